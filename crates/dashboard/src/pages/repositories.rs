//! Choosing which repositories of an integration are monitored: thousands of them, a page at a time.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use rca_flow::{
    access::Scope,
    types::{
        IntegrationView, MonitorItem, MonitorOutcome, MonitorRequest, OperationView, RepositoryFilter,
        RepositoryView,
    },
};
use url::form_urlencoded;

use super::{
    Page, html,
    integrations::{hook_colour, is_poll_only},
};
use crate::{
    Dashboard,
    error::PageError,
    fields::{Fields, Posted},
    frame::{Frame, Nav},
    session::Viewer,
};

const PAGE: u32 = 100;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/integrations/{id}/repositories", get(show).post(save))
}

/// What the address says.
#[derive(Debug, Clone, Default)]
struct Wanted {
    search: String,
    /// `yes`, `no`, or empty for all.
    monitored: String,
    cursor: String,
    /// `connect` while it is a step of connecting.
    step: String,
}

impl Wanted {
    fn read(fields: &Fields) -> Self {
        Self {
            search: fields.text("search"),
            monitored: fields.text("monitored"),
            cursor: fields.text("cursor"),
            step: fields.text("step"),
        }
    }

    fn filter(&self) -> RepositoryFilter {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        RepositoryFilter {
            search: text(&self.search),
            monitored: match self.monitored.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            limit: Some(PAGE),
            cursor: text(&self.cursor),
        }
    }

    fn query(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let all = [
            ("search", self.search.as_str()),
            ("monitored", &self.monitored),
            ("cursor", cursor),
            ("step", &self.step),
        ];
        query.extend_pairs(all.into_iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

struct Row {
    repository: RepositoryView,
    /// What saving has done to it.
    result: Option<MonitorItem>,
}

impl Row {
    fn colour(&self) -> &'static str {
        hook_colour(&self.repository.hook.state)
    }

    fn is_poll_only(&self) -> bool {
        is_poll_only(&self.repository)
    }
}

/// What saving did, in numbers.
struct Saved {
    added: usize,
    removed: usize,
    failed: usize,
    /// Back-fill that was begun.
    backfill: Option<String>,
}

#[derive(Template)]
#[template(path = "integrations/repositories.html")]
struct RepositoriesPage {
    f: Frame,
    /// Of connecting; nothing outside of it.
    step: usize,
    integration: IntegrationView,
    name: &'static str,
    can: Vec<(&'static str, bool)>,
    wanted: Wanted,
    rows: Vec<Row>,
    matching: i64,
    all: i64,
    monitored: i64,
    next: Option<String>,
    saved: Option<Saved>,
    /// The reading of the forge's list, while it goes on.
    sync: Option<OperationView>,
    query: String,
}

impl RepositoriesPage {
    fn is_connecting(&self) -> bool {
        self.wanted.step == "connect"
    }

    fn is_shown(&self, monitored: &str) -> bool {
        self.wanted.monitored == monitored
    }

    /// New repositories come by themselves: there is nothing to choose.
    fn is_chosen_by_hand(&self) -> bool {
        super::integrations::word(&self.integration.perimeter.mode) == "selected"
    }

    fn is_manual_only(&self) -> bool {
        self.integration.auth == "webhook_only"
    }
}

async fn show(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Page {
    let wanted = Wanted::read(&Fields::parse(query.unwrap_or_default().as_bytes()));
    html(&page(&state, &viewer, &id, wanted, None).await?)
}

async fn page(
    state: &Dashboard,
    viewer: &Viewer,
    id: &str,
    wanted: Wanted,
    items: Option<Vec<MonitorItem>>,
) -> Result<RepositoriesPage, PageError> {
    let caller = viewer.caller();
    let f = Frame::inside(state, viewer, Nav::Integrations).await?;
    let integration = state.flow.get_integration(&caller, id).await?;
    let filter = wanted.filter();
    let list = state.flow.list_repositories(&caller, id, &filter).await?;
    let matching = state.flow.count_repositories(&caller, id, &filter).await?;
    let numbers = state.flow.integration_numbers(&caller).await?.remove(id).unwrap_or_default();
    let sync = state.flow.get_operation(&caller, &format!("sync-{id}")).await.ok();
    let saved = items.as_deref().map(summary);
    let mut results: BTreeMap<String, MonitorItem> =
        items.unwrap_or_default().into_iter().map(|item| (item.id.clone(), item)).collect();
    let rows = list
        .items
        .into_iter()
        .map(|repository| Row { result: results.remove(&repository.id), repository })
        .collect();
    let can = &integration.health.can;
    Ok(RepositoriesPage {
        f,
        step: 5,
        name: integration.forge.display_name(),
        can: vec![
            ("discover", can.discover),
            ("hook", can.hook),
            ("read_logs", can.read_logs),
            ("comment", can.comment),
            ("set_status", can.set_status),
        ],
        query: wanted.query(&wanted.cursor),
        next: list.next_cursor.map(|cursor| wanted.query(&cursor)),
        wanted,
        rows,
        matching,
        all: numbers.repositories,
        monitored: numbers.monitored,
        saved,
        sync: sync.filter(|sync| sync.state == "running"),
        integration,
    })
}

fn summary(items: &[MonitorItem]) -> Saved {
    Saved {
        added: items.iter().filter(|item| item.monitored).count(),
        removed: items.iter().filter(|item| !item.monitored && item.error.is_none()).count(),
        failed: items.iter().filter(|item| item.error.is_some()).count(),
        backfill: items.iter().find_map(|item| item.backfill_operation_id.clone()),
    }
}

async fn save(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    let fields = &posted.fields;
    let wanted = Wanted::read(fields);
    let search = wanted.filter().search;
    let outcome = match fields.get("matching") {
        Some("monitor") => state.flow.monitor_matching(&caller, &id, search.as_deref(), true).await?,
        Some("stop") => state.flow.monitor_matching(&caller, &id, search.as_deref(), false).await?,
        _ => state.flow.monitor(&caller, &id, changes(fields)).await?,
    };
    match outcome {
        MonitorOutcome::Done(items) => {
            Ok(html(&page(&state, &posted.viewer, &id, wanted, Some(items)).await?)?.into_response())
        }
        MonitorOutcome::Accepted { operation_id } => {
            let step = if wanted.step.is_empty() { "" } else { "&step=connect" };
            let address = format!("/operations/{operation_id}?integration={id}{step}");
            Ok(Redirect::to(&address).into_response())
        }
    }
}

/// The boxes of the page against what they were: a box that is not ticked is not sent, so the page names what it showed.
fn changes(fields: &Fields) -> MonitorRequest {
    let on: std::collections::BTreeSet<String> = fields.all("on").into_iter().collect();
    let (was_on, was_off) = (fields.all("was_on"), fields.all("was_off"));
    MonitorRequest {
        add: was_off.into_iter().filter(|id| on.contains(id)).collect(),
        remove: was_on.into_iter().filter(|id| !on.contains(id)).collect(),
        all: false,
    }
}

#[cfg(test)]
mod tests {
    use super::changes;
    use crate::fields::Fields;

    #[test]
    fn only_what_changed_is_asked_for() {
        let sent = Fields::parse(b"was_on=1&was_on=2&was_off=3&was_off=4&on=1&on=3&on=9");
        let changes = changes(&sent);
        assert_eq!((changes.add, changes.remove), (vec!["3".to_owned()], vec!["2".to_owned()]));
    }
}
