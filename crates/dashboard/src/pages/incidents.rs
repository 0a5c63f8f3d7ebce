//! Incidents: what needs a person now, and what did before.

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    routing::get,
};
use rca_flow::types::{IncidentView, ListQuery};

use super::{Page, html};
use crate::{
    Dashboard,
    fields::Fields,
    frame::{Frame, Nav},
    session::Viewer,
};

const PAGE: u32 = 50;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/incidents", get(list))
}

struct Row {
    incident: IncidentView,
    title: String,
    remedy: String,
    colour: &'static str,
    /// Where it is repaired, and the words on the button.
    repair: Option<(String, String)>,
}

impl Row {
    fn new(f: &Frame, incident: IncidentView) -> Self {
        let (code, subject) = incident.code.split_once(':').unwrap_or((&incident.code, ""));
        let href = match (code, &incident.integration_id, &incident.repository_id) {
            ("channel_disabled", ..) => Some(format!("/channels/{subject}")),
            ("hook_failing" | "hook_silent" | "hook_lost", Some(integration), Some(repository)) => {
                Some(format!("/integrations/{integration}/repositories/{repository}"))
            }
            (
                "credential_rejected" | "credential_expiring" | "credential_expired" | "scope_missing",
                Some(integration),
                _,
            ) => Some(format!("/integrations/{integration}#token")),
            (_, Some(integration), _) => Some(format!("/integrations/{integration}")),
            _ => None,
        };
        let label = f
            .find(&format!("incident_repair.{code}"))
            .map_or_else(|| f.t("incident.open_subject"), str::to_owned);
        Self {
            title: f
                .find(&format!("incident_title.{code}"))
                .map_or_else(|| f.said(&incident.message).into_owned(), str::to_owned),
            remedy: f
                .find(&format!("incident_remedy.{code}"))
                .map_or_else(|| f.said(&incident.remedy).into_owned(), str::to_owned),
            colour: if incident.severity == "high" { "red" } else { "amber" },
            repair: href.map(|href| (href, label)),
            incident,
        }
    }
}

#[derive(Template)]
#[template(path = "incidents.html")]
struct IncidentsPage {
    f: Frame,
    open: Vec<Row>,
    resolved: Vec<IncidentView>,
    next: Option<String>,
    is_first: bool,
}

async fn list(State(state): State<Dashboard>, viewer: Viewer, RawQuery(query): RawQuery) -> Page {
    let caller = viewer.caller();
    let cursor = Fields::parse(query.unwrap_or_default().as_bytes()).get("cursor").map(str::to_owned);
    let f = Frame::inside(&state, &viewer, Nav::Incidents).await?;
    let is_first = cursor.is_none();
    let mut open = Vec::new();
    if is_first {
        let query = ListQuery { state: Some("open".to_owned()), limit: Some(500), ..ListQuery::default() };
        let list = state.flow.list_incidents(&caller, &query).await?;
        open = list.items.into_iter().map(|incident| Row::new(&f, incident)).collect();
        // What is worst comes first; among equals the newest, as they came.
        open.sort_by_key(|row| row.incident.severity != "high");
    }
    let query = ListQuery { limit: Some(PAGE), cursor, ..ListQuery::default() };
    let list = state.flow.list_incidents(&caller, &query).await?;
    let resolved = list.items.into_iter().filter(|incident| incident.resolved_at.is_some()).collect();
    html(&IncidentsPage { f, open, resolved, next: list.next_cursor, is_first })
}
