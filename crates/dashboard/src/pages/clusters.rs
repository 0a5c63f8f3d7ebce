//! Clusters: failures with one cause, and what people decide about them.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use rca_engine::Category;
use rca_flow::{
    access::Scope,
    types::{AnalysisFilter, ClusterQuery, ClusterView},
    whole::ClusterSince,
};
use url::form_urlencoded;

use super::{
    Page,
    charts::DayChart,
    failures::day_or_time,
    html,
    rows::{Row, rows, word},
};
use crate::{
    Dashboard,
    error::PageError,
    fields::Posted,
    frame::{Frame, Nav},
    session::Viewer,
};

const ROWS: u32 = 50;
/// Days of the chart.
const DAYS: i64 = 30;
/// Analyses on the page of a cluster; all of them are among the failures.
const SHOWN: u32 = 20;

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/clusters", get(list))
        .route("/clusters/{id}", get(show))
        .route("/clusters/{id}/state", post(change))
}

pub(crate) fn state_class(state: &str) -> &'static str {
    match state {
        "active" => "red",
        "acknowledged" => "amber",
        _ => "green",
    }
}

#[derive(Template)]
#[template(path = "report/clusters.html")]
struct ClustersPage {
    f: Frame,
    clusters: Vec<ClusterView>,
    state: String,
    category: String,
    repository: String,
    categories: Vec<String>,
    /// What the filter offers.
    repositories: Vec<String>,
    spans: Vec<Since>,
    is_filtered: bool,
    is_first: bool,
    first: String,
    next: Option<String>,
}

/// What happened to the shown ones since a day: a number of the overview leads here.
struct Since {
    name: String,
    value: String,
    words: String,
}

async fn list(
    State(state): State<Dashboard>,
    viewer: Viewer,
    Query(query): Query<BTreeMap<String, String>>,
) -> Page {
    let get =
        |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let wanted = ClusterQuery {
        state: get("state"),
        category: get("category"),
        repository: get("repository"),
        limit: Some(ROWS),
        cursor: get("cursor"),
    };
    let since = ClusterSince {
        new: get("new_since").map(|day| day_or_time(&day)),
        back: get("back_since").map(|day| day_or_time(&day)),
        resolved: get("resolved_since").map(|day| day_or_time(&day)),
    };
    let found = state.flow.recent_clusters(&viewer.caller(), &wanted, &since).await?;
    let f = Frame::inside(&state, &viewer, Nav::Clusters).await?;
    let mut spans = Vec::new();
    for name in ["new", "back", "resolved"] {
        if let Some(value) = get(&format!("{name}_since")) {
            let words = f.t1(&format!("clusters_more.{name}"), &value);
            spans.push(Since { name: format!("{name}_since"), value, words });
        }
    }
    let address = |cursor: Option<&str>| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let filters =
            [("state", &wanted.state), ("category", &wanted.category), ("repository", &wanted.repository)];
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        for span in &spans {
            query.append_pair(&span.name, &span.value);
        }
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        format!("/clusters?{}", query.finish())
    };
    html(&ClustersPage {
        clusters: found.items,
        is_filtered: !spans.is_empty()
            || wanted.state.is_some()
            || wanted.category.is_some()
            || wanted.repository.is_some(),
        repositories: state.flow.repositories_like(&viewer.caller(), "").await?,
        is_first: wanted.cursor.is_none(),
        first: address(None),
        next: found.next_cursor.as_deref().map(|cursor| address(Some(cursor))),
        categories: Category::ALL.iter().map(word).collect(),
        state: wanted.state.unwrap_or_default(),
        category: wanted.category.unwrap_or_default(),
        repository: wanted.repository.unwrap_or_default(),
        spans,
        f,
    })
}

#[derive(Template)]
#[template(path = "report/cluster.html")]
struct ClusterPage {
    f: Frame,
    cluster: ClusterView,
    title: String,
    chart: DayChart,
    rows: Vec<Row>,
    /// The address of all its failures.
    all: String,
    /// Each repository with the address of its failures by this cause.
    repositories: Vec<(String, String)>,
}

async fn show(State(state): State<Dashboard>, viewer: Viewer, Path(id): Path<String>) -> Page {
    let caller = viewer.caller();
    let cluster = state.flow.get_cluster(&caller, &id).await?;
    let filter =
        AnalysisFilter { cluster: Some(id.clone()), limit: Some(SHOWN), ..AnalysisFilter::default() };
    let analyses = state.flow.list_analyses(&caller, &filter).await?;
    let days = state.flow.cluster_days(&caller, &id, DAYS).await?;
    let f = Frame::inside(&state, &viewer, Nav::Clusters).await?;
    let address = |repository: Option<&str>| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("cluster", &id);
        if let Some(repository) = repository {
            query.append_pair("repository", repository);
        }
        format!("/failures?{}", query.finish())
    };
    let repositories =
        cluster.repositories.iter().take(100).map(|name| (name.clone(), address(Some(name)))).collect();
    let class = cluster
        .category
        .as_deref()
        .and_then(|category| Category::ALL.iter().find(|known| word(*known) == category))
        .map_or_else(|| "unknown".to_owned(), |category| word(&category.domain()));
    let days = days.into_iter().map(|(day, failures)| (day, BTreeMap::from([(class.clone(), failures)])));
    html(&ClusterPage {
        title: cluster.root_cause.clone().unwrap_or_else(|| cluster.fingerprint.clone()),
        chart: DayChart::of(days.collect(), &format!("cluster={id}&")),
        rows: rows(&f, &analyses.items),
        all: address(None),
        repositories,
        cluster,
        f,
    })
}

async fn change(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    let wanted = posted.fields.text("state");
    let changed = state.flow.set_cluster_state(&caller, &id, &wanted).await?;
    let said = match changed.state.as_str() {
        "acknowledged" => "cluster_acknowledged",
        "resolved" => "cluster_resolved",
        _ => "cluster_reopened",
    };
    Ok(Redirect::to(&format!("/clusters/{}?said={said}", changed.id)).into_response())
}
