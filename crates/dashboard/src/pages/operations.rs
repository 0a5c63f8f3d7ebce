//! Long work: how far it is. The page can be left and come back to.

use askama::Template;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    routing::get,
};
use rca_flow::types::OperationItem;

use super::{Page, html};
use crate::{
    Dashboard,
    error::PageError,
    fields::Fields,
    frame::{Frame, Nav},
    session::Viewer,
};

/// Failures that are named.
const NAMED: usize = 100;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/operations/{id}", get(show))
}

/// An item that failed.
struct Failed {
    id: String,
    repository: String,
    error: String,
}

#[derive(Template)]
#[template(path = "operation.html")]
struct OperationPage {
    f: Frame,
    kind: String,
    state: String,
    done: usize,
    total: usize,
    succeeded: usize,
    /// Failed runs that a back-fill has found.
    runs: usize,
    failed: Vec<Failed>,
    failures: usize,
    error: Option<String>,
    /// Where it was begun.
    integration: Option<String>,
    is_connecting: bool,
    address: String,
}

async fn show(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Page {
    let caller = viewer.caller();
    let operation = state.flow.get_operation(&caller, &id).await?;
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let mut failed = Vec::new();
    let (mut failures, mut runs) = (0, 0);
    for item in &operation.items {
        let (id, error) = match item {
            OperationItem::Monitor(item) => (&item.id, &item.error),
            OperationItem::Backfill(item) => {
                runs += item.runs;
                (&item.id, &item.error)
            }
        };
        let Some(error) = error else { continue };
        failures += 1;
        if failed.len() < NAMED {
            let name = state.flow.repository_name(&caller, id).await.map_err(PageError::from)?;
            let (id, error) = (id.clone(), error.clone());
            failed.push(Failed { repository: name.unwrap_or_else(|| id.clone()), id, error });
        }
    }
    let page = OperationPage {
        f: Frame::inside(&state, &viewer, Nav::Integrations).await?,
        succeeded: operation.done.saturating_sub(failures),
        kind: operation.kind,
        state: operation.state,
        done: operation.done,
        total: operation.total,
        runs,
        failed,
        failures,
        error: operation.error,
        integration: query.get("integration").map(str::to_owned),
        is_connecting: query.get("step") == Some("connect"),
        address: viewer.address.clone(),
    };
    html(&page)
}
