//! What is red now, what recurs, what it costs; before anything is connected, the two doors in.

use askama::Template;
use axum::{Router, extract::State, routing::get};
use jiff::Timestamp;
use rca_flow::{
    types::{AnalysisFilter, CauseView, ClusterQuery, ClusterView, HealthStatus},
    whole::{ClusterCounts, ClusterSince},
};

use super::{Page, charts::DayChart, html};
use crate::{
    Dashboard,
    error::PageError,
    frame::{Frame, Nav},
    session::Viewer,
};

/// What is listed as red.
const RED: u32 = 15;
/// A queue that is older than this needs attention.
const LATE_MS: i64 = 60_000;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/", get(show))
}

#[derive(Template)]
#[template(path = "report/first.html")]
struct FirstPage {
    f: Frame,
}

#[derive(Template)]
#[template(path = "report/overview.html")]
struct OverviewPage {
    f: Frame,
    counts: ClusterCounts,
    /// Half of the reports of the last week were there after this.
    time_to_report: Option<String>,
    chart: DayChart,
    costs: Vec<Cost>,
    clusters: Vec<ClusterView>,
    integrations: usize,
    troubled: Vec<Troubled>,
    queue_age: Option<String>,
    today: String,
}

/// A cluster with what it cost.
struct Cost {
    id: String,
    cause: String,
    shown: String,
    failures: i64,
    /// Those failures.
    href: String,
    /// Of a hundred.
    width: i64,
}

struct Troubled {
    id: String,
    name: String,
    is_broken: bool,
    problem: String,
}

async fn show(State(state): State<Dashboard>, viewer: Viewer) -> Page {
    let caller = viewer.caller();
    let flow = &state.flow;
    let f = Frame::inside(&state, &viewer, Nav::Overview).await?;
    let integrations = flow.list_integrations(&caller).await?;
    if integrations.is_empty() {
        let one = AnalysisFilter { limit: Some(1), ..AnalysisFilter::default() };
        if flow.list_analyses(&caller, &one).await?.items.is_empty() {
            return html(&FirstPage { f });
        }
    }
    let today: String = Timestamp::now().to_string().chars().take(10).collect();
    let counts = flow.cluster_counts(&caller, &format!("{today}T00:00:00Z")).await?;
    let counted = state.numbers.of(flow, &caller).await?;
    let active =
        ClusterQuery { state: Some("active".to_owned()), limit: Some(RED), ..ClusterQuery::default() };
    let clusters = flow.recent_clusters(&caller, &active, &ClusterSince::default()).await?.items;
    let age = flow.store().queue_age_ms().await.map_err(PageError::from_store)?;
    let troubled = integrations
        .iter()
        .filter(|integration| integration.health.status != HealthStatus::Healthy)
        .map(|integration| Troubled {
            id: integration.id.clone(),
            name: integration.base_url.clone(),
            is_broken: integration.health.status == HealthStatus::Broken,
            problem: integration
                .health
                .problems
                .first()
                .map(|problem| f.said(&problem.message).into_owned())
                .unwrap_or_default(),
        })
        .collect();
    html(&OverviewPage {
        counts,
        time_to_report: counted.time_to_report.map(|seconds| f.span(seconds)),
        chart: DayChart::of(counted.days.clone(), "counted=yes&"),
        costs: costs(&f, &counted.causes, counted.days.first().map_or("", |(day, _)| day)),
        clusters,
        integrations: integrations.len(),
        troubled,
        queue_age: (age > LATE_MS).then(|| f.seconds(age / 1_000)),
        today,
        f,
    })
}

fn costs(f: &Frame, causes: &[CauseView], since: &str) -> Vec<Cost> {
    let most = causes.iter().map(|cause| cause.minutes_lost).fold(0.0, f64::max);
    causes
        .iter()
        .filter(|cause| cause.minutes_lost > 0.0)
        .map(|cause| Cost {
            width: ((cause.minutes_lost / most * 100.0).round() as i64).clamp(1, 100),
            shown: match cause.minutes_lost.round() as i64 {
                0 => f.t1("time.minutes", "< 1"),
                minutes => f.t1("time.minutes", f.number(minutes)),
            },
            cause: cause.root_cause.clone().unwrap_or_else(|| cause.cluster_id.clone()),
            href: format!("/failures?cluster={}&since={since}&counted=yes", cause.cluster_id),
            id: cause.cluster_id.clone(),
            failures: cause.failures,
        })
        .collect()
}
