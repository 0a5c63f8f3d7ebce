//! A span of time in numbers, of all repositories or of one.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    routing::get,
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use rca_flow::types::{CauseView, Overview, RepositoryStatsView, StatsQuery, TopQuery};
use url::form_urlencoded;

use super::{Page, charts::DayChart, failures::day_or_time, html};
use crate::{
    Dashboard,
    error::PageError,
    fields::Fields,
    frame::{Frame, Nav},
    session::Viewer,
};

/// Places of a table.
const PLACES: u32 = 20;
/// The days that are counted where nothing is chosen, and the most that are drawn.
const DAYS: i64 = 30;
const MOST_DAYS: i64 = 400;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/statistics", get(show))
}

#[derive(Template)]
#[template(path = "runs/statistics.html")]
struct StatisticsPage {
    f: Frame,
    since: String,
    until: String,
    repository: String,
    is_filtered: bool,
    totals: Overview,
    chart: DayChart,
    repositories: Vec<RepositoryStatsView>,
    causes: Vec<CauseView>,
}

impl StatisticsPage {
    /// A share as per cent, with one place.
    fn rate(&self) -> Option<String> {
        self.totals.failure_rate.map(|rate| format!("{:.1} %", rate * 100.0))
    }

    fn waited(&self, seconds: &Option<f64>) -> String {
        seconds.map_or_else(|| "–".to_owned(), |seconds| self.f.seconds(seconds.round() as i64))
    }

    fn minutes(&self, minutes: &f64) -> String {
        self.f.t1("time.minutes", self.f.number(minutes.round() as i64))
    }

    /// This page, of one repository.
    fn of(&self, repository: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("since", &self.since)
            .append_pair("until", &self.until)
            .append_pair("repository", repository)
            .finish();
        format!("/statistics?{query}")
    }

    /// The failures that are counted, of all repositories or of this one.
    fn failures(&self, repository: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("since", &self.since).append_pair("until", &next(&self.until));
        query.append_pair("counted", "yes");
        let repository = if repository.is_empty() { self.repository.as_str() } else { repository };
        if !repository.is_empty() {
            query.append_pair("repository", repository);
        }
        format!("/failures?{}", query.finish())
    }
}

/// The day after, as the end of a span: what is until a day includes that day.
pub(super) fn next(day: &str) -> String {
    day.parse::<Date>().and_then(|day| day.tomorrow()).map_or_else(|_| day.to_owned(), |day| day.to_string())
}

async fn show(State(state): State<Dashboard>, viewer: Viewer, RawQuery(asked): RawQuery) -> Page {
    let caller = viewer.caller();
    let fields = Fields::parse(asked.unwrap_or_default().as_bytes());
    let day = |time: Timestamp| -> String { time.to_string().chars().take(10).collect() };
    let now = Timestamp::now();
    let until = fields.get("until").map_or_else(|| day(now), str::to_owned);
    let since = fields
        .get("since")
        .map_or_else(|| day(now - SignedDuration::from_hours((DAYS - 1) * 24)), str::to_owned);
    let repository = fields.text("repository");
    let query = StatsQuery {
        since: Some(day_or_time(&since)),
        until: Some(day_or_time(&next(&until))),
        repository: Some(repository.clone()).filter(|name| !name.is_empty()),
    };
    let top = TopQuery {
        since: query.since.clone(),
        until: query.until.clone(),
        repository: query.repository.clone(),
        limit: Some(PLACES),
    };
    let totals = state.flow.stats_overview(&caller, &query).await?;
    let mut days = days(&since, &until)?;
    for point in state.flow.stats_timeseries(&caller, &query).await?.items {
        days.entry(point.day).or_default().insert(point.domain, point.failures);
    }
    let of = if repository.is_empty() {
        String::new()
    } else {
        let of =
            form_urlencoded::Serializer::new(String::new()).append_pair("repository", &repository).finish();
        format!("{of}&")
    };
    html(&StatisticsPage {
        chart: DayChart::of(days.into_iter().collect(), &format!("{of}counted=yes&")),
        repositories: state.flow.stats_top_repositories(&caller, &top).await?.items,
        causes: state.flow.stats_top_causes(&caller, &top).await?.items,
        is_filtered: ["since", "until", "repository"].iter().any(|name| fields.is_on(name)),
        f: Frame::inside(&state, &viewer, Nav::Overview).await?,
        since,
        until,
        repository,
        totals,
    })
}

type Days = BTreeMap<String, BTreeMap<String, i64>>;

/// Every day of the span, so that a day without failures is seen as one.
fn days(since: &str, until: &str) -> Result<Days, PageError> {
    let date =
        |text: &str| text.parse::<Date>().map_err(|_| PageError::invalid(format!("{text}: YYYY-MM-DD")));
    let (mut day, last) = (date(since)?, date(until)?);
    let mut days = Days::new();
    while day <= last && days.len() < MOST_DAYS as usize {
        days.insert(day.to_string(), BTreeMap::new());
        match day.tomorrow() {
            Ok(next) => day = next,
            Err(_) => break,
        }
    }
    Ok(days)
}
