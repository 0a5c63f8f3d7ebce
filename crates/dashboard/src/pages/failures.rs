//! What failed, the newest first, with its filters in the address.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use jiff::{SignedDuration, Timestamp};
use rca_engine::Category;
use rca_flow::{Caller, FlowError, types::AnalysisFilter};
use url::form_urlencoded;

use super::{
    Page, html,
    rows::{Row, rows, word},
};
use crate::{
    Dashboard,
    frame::{Frame, Nav},
    session::Viewer,
};

/// Rows of a page.
const ROWS: u32 = 50;
/// The spans that can be chosen, in hours.
const SPANS: [(&str, i64); 3] = [("1d", 24), ("7d", 168), ("30d", 720)];
/// Fields of the address that filter.
const FIELDS: [&str; 10] = [
    "repository",
    "branch",
    "category",
    "severity",
    "status",
    "forge",
    "since",
    "until",
    "cluster",
    "counted",
];

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/failures", get(show))
}

#[derive(Template)]
#[template(path = "report/failures.html")]
struct FailuresPage {
    f: Frame,
    rows: Vec<Row>,
    asked: BTreeMap<String, String>,
    is_filtered: bool,
    is_first: bool,
    /// The address of this list, for its renewal.
    address: String,
    first: String,
    next: Option<String>,
    categories: Vec<String>,
    forges: Vec<(String, &'static str)>,
    has_integrations: bool,
    /// What the filters offer.
    repositories: Vec<String>,
    branches: Vec<String>,
}

impl FailuresPage {
    fn asked(&self, name: &str) -> &str {
        self.asked.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The end of the span, as far as a field for days can show it.
    fn until_day(&self) -> &str {
        self.asked("until").get(..10).unwrap_or_default()
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.asked(name) == value
    }
}

async fn show(
    State(state): State<Dashboard>,
    viewer: Viewer,
    Query(mut query): Query<BTreeMap<String, String>>,
) -> Page {
    let caller = viewer.caller();
    let cursor = query.remove("cursor").filter(|cursor| !cursor.is_empty());
    let asked: BTreeMap<String, String> = query
        .into_iter()
        .map(|(name, value)| (name, value.trim().to_owned()))
        .filter(|(name, value)| !value.is_empty() && FIELDS.contains(&name.as_str()))
        .collect();
    let get = |name: &str| asked.get(name).cloned();
    let filter = AnalysisFilter {
        since: get("since").map(|since| since_of(&since)),
        until: get("until").map(|until| day_or_time(&until)),
        severity: get("severity"),
        category: get("category"),
        forge: get("forge"),
        repository: get("repository"),
        branch: get("branch"),
        cluster: get("cluster"),
        status: get("status"),
        limit: Some(ROWS),
        cursor: cursor.clone(),
    };
    let (filter, repositories) = of_repositories(&state, &caller, filter).await?;
    let is_counted = asked.contains_key("counted");
    let list = state.flow.find_analyses(&caller, &filter, &repositories, is_counted).await?;
    let f = Frame::inside(&state, &viewer, Nav::Failures).await?;
    let has_integrations =
        if list.items.is_empty() { !state.flow.list_integrations(&caller).await?.is_empty() } else { true };
    let address = |cursor: Option<&str>| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&asked);
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        let query = query.finish();
        if query.is_empty() { "/failures".to_owned() } else { format!("/failures?{query}") }
    };
    html(&FailuresPage {
        rows: rows(&f, &list.items),
        is_filtered: !asked.is_empty(),
        is_first: cursor.is_none(),
        address: address(cursor.as_deref()),
        first: address(None),
        next: list.next_cursor.as_deref().map(|cursor| address(Some(cursor))),
        categories: Category::ALL.iter().map(word).collect(),
        forges: state
            .flow
            .providers()
            .keys()
            .map(|forge| (forge.as_str().to_owned(), forge.display_name()))
            .collect(),
        has_integrations,
        repositories: state.flow.repositories_like(&caller, "").await?,
        branches: state.flow.failing_branches(&caller).await?,
        asked,
        f,
    })
}

/// People type a part of a repository's name: the filter is then for all that have it.
async fn of_repositories(
    state: &Dashboard,
    caller: &Caller,
    mut filter: AnalysisFilter,
) -> Result<(AnalysisFilter, Vec<String>), FlowError> {
    let Some(part) = &filter.repository else { return Ok((filter, Vec::new())) };
    let names = state.flow.repositories_like(caller, part).await?;
    // An id, or a name that only an exact look can find.
    let is_exact = names.is_empty() || names.iter().any(|name| name == part);
    if !is_exact {
        filter.repository = None;
    }
    Ok((filter, if is_exact { Vec::new() } else { names }))
}

/// A span such as `7d`, a day, or a time.
fn since_of(text: &str) -> String {
    match SPANS.iter().find(|(word, _)| *word == text) {
        Some((_, hours)) => (Timestamp::now() - SignedDuration::from_hours(*hours)).to_string(),
        None => day_or_time(text),
    }
}

/// A day begins at midnight, UTC.
pub(super) fn day_or_time(text: &str) -> String {
    match text.parse::<jiff::civil::Date>() {
        Ok(day) if text.len() == 10 => format!("{day}T00:00:00Z"),
        _ => text.to_owned(),
    }
}
