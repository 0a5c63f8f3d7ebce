//! The audit: who did what.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;
use rca_flow::{
    access::Scope,
    types::{AuditQuery, AuditView},
};
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    Dashboard,
    error::PageError,
    fields::Fields,
    frame::{Frame, Nav},
    pages::{Page, failures::day_or_time, html, statistics::next},
    session::Viewer,
};

/// Entries of one page.
const ROWS: u32 = 50;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/audit", get(show)).route("/audit.csv", get(table))
}

/// What the address asks for.
struct Wanted {
    actor: String,
    action: String,
    target: String,
    /// Days; the second is part of the span.
    since: String,
    until: String,
    cursor: String,
}

impl Wanted {
    fn of(query: Option<String>) -> Self {
        let fields = Fields::parse(query.unwrap_or_default().as_bytes());
        Self {
            actor: fields.text("actor"),
            action: fields.text("action"),
            target: fields.text("target"),
            since: fields.text("since"),
            until: fields.text("until"),
            cursor: fields.text("cursor"),
        }
    }

    /// The filters as they stand in an address; another page of the list has its cursor too.
    fn query(&self, cursor: &str) -> String {
        let all = [
            ("actor", self.actor.as_str()),
            ("action", &self.action),
            ("target", &self.target),
            ("since", &self.since),
            ("until", &self.until),
            ("cursor", cursor),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(all.into_iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }

    fn asked(&self) -> AuditQuery {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        AuditQuery {
            actor: given(&self.actor),
            action: given(&self.action),
            target: given(&self.target),
            since: given(&self.since).map(|day| day_or_time(&day)),
            until: given(&self.until).map(|day| day_or_time(&next(&day))),
            limit: Some(ROWS),
            cursor: given(&self.cursor),
            ..AuditQuery::default()
        }
    }
}

#[derive(Template)]
#[template(path = "manage/audit.html")]
struct AuditPage {
    f: Frame,
    entries: Vec<AuditView>,
    /// Names of tokens by their actors.
    names: BTreeMap<String, String>,
    /// Where the next page begins, the first one is, and the table.
    older: Option<String>,
    newest: String,
    table: String,
    is_first: bool,
    is_filtered: bool,
    wanted: Wanted,
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

async fn show(State(state): State<Dashboard>, viewer: Viewer, RawQuery(query): RawQuery) -> Page {
    let caller = viewer.require(Scope::Admin)?;
    let wanted = Wanted::of(query);
    let list = state.flow.list_audit(&caller, &wanted.asked()).await?;
    let filters = wanted.query("");
    let tokens = state.flow.list_tokens(&caller).await?.items;
    html(&AuditPage {
        names: tokens.into_iter().map(|token| (format!("token:{}", token.id), token.name)).collect(),
        f: Frame::inside(&state, &viewer, Nav::Audit).await?,
        entries: list.items,
        older: list.next_cursor.map(|cursor| format!("/audit?{}", wanted.query(&cursor))),
        newest: format!("/audit?{filters}"),
        table: format!("/audit.csv?{filters}"),
        is_first: wanted.cursor.is_empty(),
        is_filtered: !filters.is_empty(),
        wanted,
    })
}

async fn table(
    State(state): State<Dashboard>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let caller = viewer.require(Scope::Admin)?;
    let table = state.flow.audit_table(&caller, &Wanted::of(query).asked()).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ];
    Ok((headers, table).into_response())
}
