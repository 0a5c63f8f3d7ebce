//! Deliveries: what forges sent, what came of it, and why nothing came of it.

use askama::Template;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use rca_flow::{
    access::Scope,
    analyses::DeliveryQuery,
    delivery_details::DeliveryDetails,
    types::{AnalysisView, DeliveryView},
};
use url::form_urlencoded;

use super::{Page, html};
use crate::{
    Dashboard,
    error::PageError,
    fields::{Fields, Posted},
    frame::{Frame, Nav},
    session::Viewer,
};

const PAGE: u32 = 50;
/// Analyses of one delivery that are shown with their causes.
const ANALYSES: usize = 20;

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/deliveries", get(list))
        .route("/deliveries/{id}", get(show))
        .route("/deliveries/{id}/replay", post(replay))
}

/// The badge of a status.
fn colour(status: &str) -> &'static str {
    match status {
        "done" => "green",
        "dead" => "red",
        "pending" => "blue",
        _ => "",
    }
}

/// An integration to choose as a filter.
struct Source {
    id: String,
    name: String,
}

#[derive(Template)]
#[template(path = "deliveries/list.html")]
struct ListPage {
    f: Frame,
    rows: Vec<DeliveryView>,
    sources: Vec<Source>,
    integration: String,
    repository: String,
    status: String,
    next: Option<String>,
    is_filtered: bool,
    /// What the filter offers.
    repositories: Vec<String>,
}

impl ListPage {
    fn is_source(&self, id: &str) -> bool {
        self.integration == id
    }

    fn is_status(&self, status: &str) -> bool {
        self.status == status
    }

    fn source(&self, id: &str) -> &str {
        self.sources.iter().find(|source| source.id == id).map_or("–", |source| source.name.as_str())
    }
}

async fn sources(state: &Dashboard, viewer: &Viewer) -> Result<Vec<Source>, PageError> {
    let all = state
        .flow
        .store()
        .list_integrations(&viewer.session.workspace)
        .await
        .map_err(PageError::from_store)?;
    let name = |forge: &str, base_url: &str| {
        let forge = state.flow.forge(forge).map_or(forge.to_owned(), |forge| forge.display_name().to_owned());
        let host = base_url.split_once("://").map_or(base_url, |(_, host)| host);
        format!("{forge} · {host}")
    };
    Ok(all.into_iter().map(|it| Source { name: name(&it.forge, &it.base_url), id: it.id }).collect())
}

async fn list(State(state): State<Dashboard>, viewer: Viewer, RawQuery(query): RawQuery) -> Page {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let (integration, repository, status) =
        (fields.text("integration"), fields.text("repository"), fields.text("status"));
    let wanted = |name: &str| fields.get(name).map(str::to_owned);
    let query = DeliveryQuery {
        integration: wanted("integration"),
        repository: wanted("repository"),
        status: wanted("status"),
        limit: Some(PAGE),
        cursor: wanted("cursor"),
    };
    let list = state.flow.list_deliveries(&viewer.caller(), &query).await?;
    let next = list.next_cursor.map(|cursor| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let all = [
            ("integration", &integration),
            ("repository", &repository),
            ("status", &status),
            ("cursor", &cursor),
        ];
        query.extend_pairs(all.into_iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    });
    let page = ListPage {
        f: Frame::inside(&state, &viewer, Nav::Deliveries).await?,
        rows: list.items,
        sources: sources(&state, &viewer).await?,
        repositories: state.flow.repositories_like(&viewer.caller(), "").await?,
        is_filtered: !(integration.is_empty() && repository.is_empty() && status.is_empty()),
        integration,
        repository,
        status,
        next,
    };
    html(&page)
}

#[derive(Template)]
#[template(path = "deliveries/show.html")]
struct ShowPage {
    f: Frame,
    delivery: DeliveryView,
    details: DeliveryDetails,
    source: Option<Source>,
    analyses: Vec<AnalysisView>,
    more: usize,
    is_waiting: bool,
}

async fn show(State(state): State<Dashboard>, Path(id): Path<String>, viewer: Viewer) -> Page {
    let caller = viewer.caller();
    let delivery = state.flow.get_delivery(&caller, &id).await?;
    let details = state.flow.delivery_details(&caller, &id).await?;
    let mut analyses = Vec::new();
    for id in delivery.analyses.iter().take(ANALYSES) {
        // One that retention has removed is simply not there any more.
        if let Ok(analysis) = state.flow.get_analysis(&caller, id).await {
            analyses.push(analysis);
        }
    }
    let source = sources(&state, &viewer).await?.into_iter().find(|it| it.id == delivery.integration_id);
    let page = ShowPage {
        f: Frame::inside(&state, &viewer, Nav::Deliveries).await?,
        more: delivery.analyses.len().saturating_sub(ANALYSES),
        is_waiting: delivery.status == "pending",
        delivery,
        details,
        source,
        analyses,
    };
    html(&page)
}

async fn replay(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    state.flow.replay_delivery(&caller, &id).await?;
    Ok(Redirect::to(&format!("/deliveries/{id}?said=replayed")).into_response())
}
