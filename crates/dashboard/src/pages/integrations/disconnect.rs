//! Ending an integration: what will happen, said before; what could not be done, said after.

use askama::Template;
use axum::extract::{Path, State};
use rca_flow::types::{Disconnected, RepositoryFilter};

use super::{Card, one, require_admin};
use crate::{
    Dashboard,
    fields::Posted,
    frame::{Frame, Nav},
    pages::{Page, html},
    session::Viewer,
};

/// Repositories that are named; of more only their number is said.
const NAMED: u32 = 20;

#[derive(Template)]
#[template(path = "integrations/disconnect.html")]
struct AskPage {
    f: Frame,
    card: Card,
    hooks: i64,
    repositories: Vec<String>,
    more: i64,
}

pub(super) async fn ask(State(state): State<Dashboard>, Path(id): Path<String>, viewer: Viewer) -> Page {
    let caller = require_admin(&viewer)?;
    let f = Frame::inside(&state, &viewer, Nav::Integrations).await?;
    let card = one(&state, &caller, &f, &id).await?;
    let filter =
        RepositoryFilter { monitored: Some(true), limit: Some(NAMED), ..RepositoryFilter::default() };
    let repositories: Vec<String> = state
        .flow
        .list_repositories(&caller, &id, &filter)
        .await?
        .items
        .into_iter()
        .map(|repository| repository.full_name)
        .collect();
    let hooks = card.numbers.hooks.iter().filter(|(state, _)| *state != "none").map(|(_, count)| count).sum();
    let named = i64::try_from(repositories.len()).unwrap_or(0);
    html(&AskPage { more: card.numbers.monitored - named, f, card, hooks, repositories })
}

#[derive(Template)]
#[template(path = "integrations/disconnected.html")]
struct DonePage {
    f: Frame,
    name: &'static str,
    host: String,
    auth: String,
    kept: bool,
    report: Disconnected,
}

pub(super) async fn disconnect(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Page {
    let caller = require_admin(&posted.viewer)?;
    let view = state.flow.get_integration(&caller, &id).await?;
    let kept = posted.fields.is_on("keep_webhooks");
    let report = state.flow.disconnect(&caller, &id, kept).await?;
    let f = Frame::inside(&state, &posted.viewer, Nav::Integrations).await?;
    let page = DonePage {
        f,
        name: view.forge.display_name(),
        host: super::host(&view.base_url),
        auth: view.auth,
        kept,
        report,
    };
    html(&page)
}
