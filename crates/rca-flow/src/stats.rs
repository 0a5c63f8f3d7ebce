//! Statistics: what failures cost, and how fast they are explained.

use std::collections::BTreeMap;

use rca_engine::Category;
use rca_store::Span;
use serde_json::Value;

use crate::{
    analyses::millisecond,
    connect::word,
    error::{FlowError, Result},
    flow::{Caller, Flow},
    types::{CauseView, List, Overview, Percentiles, Point, RepositoryStatsView, StatsQuery, TopQuery, time},
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The span where none is given, and the longest that is counted.
const DEFAULT_DAYS: i64 = 30;
const MAX_DAYS: i64 = 400;

impl Flow {
    /// A span in numbers.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn stats_overview(&self, caller: &Caller, query: &StatsQuery) -> Result<Overview> {
        let span = self.span(query).await?;
        let totals = self.store().totals(&caller.workspace, &span).await?;
        let rate = |part: i64, whole: i64| (whole > 0).then(|| round(part as f64 / whole as f64, 4));
        let seconds = |milliseconds: Option<i64>| milliseconds.map(|it| round(it as f64 / 1000.0, 3));
        Ok(Overview {
            since: time(span.since),
            until: time(span.until),
            failures: totals.failures,
            runs: totals.runs,
            failed_runs: totals.failed_runs,
            failure_rate: rate(totals.failed_runs, totals.runs),
            time_to_report_seconds: Percentiles {
                p50: seconds(totals.report_p50_ms),
                p90: seconds(totals.report_p90_ms),
            },
            minutes_lost: minutes(totals.seconds_lost),
            new_clusters: totals.new_clusters,
            recurring_clusters: totals.recurring_clusters,
            active_clusters: totals.active_clusters,
        })
    }

    /// Failures by day and domain.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn stats_timeseries(&self, caller: &Caller, query: &StatsQuery) -> Result<List<Point>> {
        let span = self.span(query).await?;
        let mut points: BTreeMap<(i64, String), (i64, i64)> = BTreeMap::new();
        for count in self.store().failures_by_day(&caller.workspace, &span).await? {
            let domain = domain_of(count.category.as_deref());
            let sums = points.entry((count.day, domain)).or_default();
            sums.0 += count.failures;
            sums.1 += count.seconds_lost;
        }
        let items = points
            .into_iter()
            .map(|((day, domain), (failures, seconds))| Point {
                day: time(day * DAY_MS).chars().take(10).collect(),
                domain,
                failures,
                minutes_lost: minutes(seconds),
            })
            .collect();
        Ok(List { items, next_cursor: None })
    }

    /// The repositories with the most failures.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn stats_top_repositories(
        &self,
        caller: &Caller,
        query: &TopQuery,
    ) -> Result<List<RepositoryStatsView>> {
        let (span, limit) = self.top(query).await?;
        let found = self.store().top_repositories(&caller.workspace, &span, limit).await?;
        let items = found
            .into_iter()
            .map(|it| RepositoryStatsView {
                repository: it.repository,
                failures: it.failures,
                minutes_lost: minutes(it.seconds_lost),
            })
            .collect();
        Ok(List { items, next_cursor: None })
    }

    /// The clusters that cost the most.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn stats_top_causes(&self, caller: &Caller, query: &TopQuery) -> Result<List<CauseView>> {
        let (span, limit) = self.top(query).await?;
        let found = self.store().top_causes(&caller.workspace, &span, limit).await?;
        let items = found
            .into_iter()
            .map(|it| CauseView {
                cluster_id: it.cluster,
                root_cause: it.root_cause,
                category: it.category,
                state: it.state,
                failures: it.failures,
                minutes_lost: minutes(it.seconds_lost),
            })
            .collect();
        Ok(List { items, next_cursor: None })
    }

    async fn span(&self, query: &StatsQuery) -> Result<Span> {
        let until = match millisecond("until", query.until.as_deref())? {
            Some(until) => until,
            // What was created in this very millisecond counts too.
            None => self.store().now().await?.saturating_add(1),
        };
        let since = millisecond("since", query.since.as_deref())?
            .unwrap_or_else(|| until.saturating_sub(DEFAULT_DAYS * DAY_MS));
        if since >= until {
            return Err(FlowError::invalid_field("since", "is not before until"));
        }
        if until - since > MAX_DAYS * DAY_MS {
            return Err(FlowError::invalid_field("since", "is more than 400 days before until"));
        }
        Ok(Span { since, until, repository: query.repository.clone() })
    }

    async fn top(&self, query: &TopQuery) -> Result<(Span, u32)> {
        let limit = query.limit.unwrap_or(10);
        if !(1..=500).contains(&limit) {
            return Err(FlowError::invalid_field("limit", "is not between 1 and 500"));
        }
        let span = StatsQuery {
            since: query.since.clone(),
            until: query.until.clone(),
            repository: query.repository.clone(),
        };
        Ok((self.span(&span).await?, limit))
    }
}

fn domain_of(category: Option<&str>) -> String {
    let category = category
        .and_then(|word| serde_json::from_value::<Category>(Value::from(word)).ok())
        .unwrap_or(Category::Unknown);
    word(&category.domain())
}

fn minutes(seconds: i64) -> f64 {
    round(seconds as f64 / 60.0, 1)
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
