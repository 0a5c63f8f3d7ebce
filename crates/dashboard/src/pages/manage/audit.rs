//! The audit: who did what.

use std::collections::BTreeMap;

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
use serde_json::Value;

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
    /// Names of tokens by their actors.
    names: BTreeMap<String, String>,
    /// Where the next page begins.
    older: Option<String>,
    is_first: bool,
}

impl AuditPage {
    /// Who it was, as people know them: a token by its name, a member by the mail address.
    fn who<'p>(&'p self, actor: &'p str) -> &'p str {
        let named = self.names.get(actor).map(String::as_str);
        named.unwrap_or_else(|| actor.strip_prefix("member:").unwrap_or(actor))
    }

    /// The details as names with their values, and texts without their quotes.
    fn details(detail: &Value) -> Vec<(String, String)> {
        let one = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = |value: &Value| match value {
            Value::Array(values) => values.iter().map(one).collect::<Vec<_>>().join(", "),
            other => one(other),
        };
        match detail {
            Value::Object(fields) => fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.replace('_', " "), text(value)))
                .collect(),
            Value::Null => Vec::new(),
            other => vec![(String::new(), text(other))],
        }
    }
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
    let tokens = state.flow.list_tokens(&caller).await?.items;
    html(&AuditPage {
        names: tokens.into_iter().map(|token| (format!("token:{}", token.id), token.name)).collect(),
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
