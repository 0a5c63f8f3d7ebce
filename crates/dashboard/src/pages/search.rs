//! What a word may mean: a repository, a run, a commit, a test, a cause.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use rca_flow::{types::ClusterView, whole::TestView};

use super::{
    Page, html,
    rows::{Row, rows},
};
use crate::{
    Dashboard,
    frame::{Frame, Nav},
    session::Viewer,
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/search", get(show))
}

#[derive(Template)]
#[template(path = "report/search.html")]
struct SearchPage {
    f: Frame,
    query: String,
    /// Name, failures, and the address of its failures.
    repositories: Vec<(String, i64, String)>,
    rows: Vec<Row>,
    tests: Vec<TestView>,
    clusters: Vec<ClusterView>,
}

impl SearchPage {
    fn is_empty(&self) -> bool {
        self.repositories.is_empty()
            && self.rows.is_empty()
            && self.tests.is_empty()
            && self.clusters.is_empty()
    }
}

async fn show(
    State(state): State<Dashboard>,
    viewer: Viewer,
    Query(query): Query<BTreeMap<String, String>>,
) -> Page {
    let query: String =
        query.get("q").map(|text| text.trim().chars().take(200).collect()).unwrap_or_default();
    let found = state.flow.search(&viewer.caller(), &query).await?;
    let f = Frame::inside(&state, &viewer, Nav::None).await?;
    let repositories = found
        .repositories
        .into_iter()
        .map(|(name, failures)| {
            let query: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("repository", &name)
                .finish();
            (name, failures, format!("/failures?{query}"))
        })
        .collect();
    html(&SearchPage {
        rows: rows(&f, &found.analyses),
        tests: found.tests,
        clusters: found.clusters,
        repositories,
        query,
        f,
    })
}
