//! The audit: who did what.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;
use rca_flow::{
    access::Scope,
    types::{AuditView, ListQuery},
};
use serde::Deserialize;

use crate::{
    Dashboard,
    error::PageError,
    frame::{Frame, Nav},
    pages::{Page, html},
    session::Viewer,
};

/// Entries of one page.
const ROWS: u32 = 50;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/audit", get(show)).route("/audit.csv", get(table))
}

#[derive(Template)]
#[template(path = "manage/audit.html")]
struct AuditPage {
    f: Frame,
    entries: Vec<AuditView>,
    /// Where the next page begins.
    older: Option<String>,
    is_first: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Part {
    cursor: Option<String>,
}

async fn show(State(state): State<Dashboard>, viewer: Viewer, Query(part): Query<Part>) -> Page {
    let caller = viewer.require(Scope::Admin)?;
    let is_first = part.cursor.is_none();
    let query = ListQuery { limit: Some(ROWS), cursor: part.cursor, ..ListQuery::default() };
    let list = state.flow.list_audit(&caller, &query).await?;
    html(&AuditPage {
        f: Frame::inside(&state, &viewer, Nav::Audit).await?,
        entries: list.items,
        older: list.next_cursor,
        is_first,
    })
}

async fn table(State(state): State<Dashboard>, viewer: Viewer) -> Result<Response, PageError> {
    let caller = viewer.require(Scope::Admin)?;
    let table = state.flow.audit_table(&caller).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ];
    Ok((headers, table).into_response())
}
