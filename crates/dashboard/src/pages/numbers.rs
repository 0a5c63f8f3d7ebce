//! Statistics of the overview, which take longer to count than a page may take.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use rca_flow::{
    Caller, Flow, FlowError,
    types::{CauseView, StatsQuery, TopQuery},
};

const DAYS: i64 = 30;
const CAUSES: u32 = 10;
/// What is counted faster than this is counted for each page.
const CHEAP: Duration = Duration::from_millis(10);
/// Older numbers are counted anew, behind the page that still shows them.
const FRESH: Duration = Duration::from_secs(30);

/// What was counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    /// Failures by domain of each of the last thirty days, the oldest first.
    pub(crate) days: Vec<(String, BTreeMap<String, i64>)>,
    /// The clusters that cost most in these days.
    pub(crate) causes: Vec<CauseView>,
    /// Seconds to the report, the median of the last seven days.
    pub(crate) time_to_report: Option<f64>,
}

impl Counted {
    fn is_empty(&self) -> bool {
        self.causes.is_empty() && self.days.iter().all(|(_, failures)| failures.is_empty())
    }
}

#[derive(Debug, Clone)]
struct Known {
    counted: Arc<Counted>,
    at: Instant,
    took: Duration,
    is_renewed: bool,
}

/// The last numbers of each workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    /// Held while numbers are counted that nobody has yet: whoever comes then waits for them, and does not count too.
    first: Arc<tokio::sync::Mutex<()>>,
}

impl Numbers {
    /// The numbers of the caller's workspace. With very many failures they are up to half a minute old, or as old as
    /// the last look at them.
    pub(crate) async fn of(&self, flow: &Flow, caller: &Caller) -> Result<Arc<Counted>, FlowError> {
        let Some(known) = self.known(&caller.workspace) else {
            return self.first(flow, caller).await;
        };
        // Where nothing has failed yet counting is quick, and the first failure is to be seen at once.
        if known.took <= CHEAP || known.counted.is_empty() {
            return self.renew(flow, caller).await;
        }
        if known.at.elapsed() > FRESH && !known.is_renewed {
            self.change(&caller.workspace, |known| known.is_renewed = true);
            let (numbers, flow, caller) = (self.clone(), flow.clone(), caller.clone());
            tokio::spawn(async move {
                if let Err(error) = numbers.renew(&flow, &caller).await {
                    tracing::warn!(%error, "the numbers of the overview could not be counted");
                    numbers.change(&caller.workspace, |known| known.is_renewed = false);
                }
            });
        }
        Ok(known.counted)
    }

    /// Counts the numbers of a workspace before anybody asks for them.
    pub(crate) fn prepare(&self, flow: &Flow, caller: Caller) {
        let (numbers, flow) = (self.clone(), flow.clone());
        tokio::spawn(async move {
            if let Err(error) = numbers.first(&flow, &caller).await {
                tracing::warn!(%error, "the numbers of the overview could not be counted");
            }
        });
    }

    async fn first(&self, flow: &Flow, caller: &Caller) -> Result<Arc<Counted>, FlowError> {
        let _counting = self.first.lock().await;
        match self.known(&caller.workspace) {
            Some(known) => Ok(known.counted),
            None => self.renew(flow, caller).await,
        }
    }

    fn known(&self, workspace: &str) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(workspace).cloned()
    }

    fn change(&self, workspace: &str, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get_mut(workspace) {
            change(known);
        }
    }

    async fn renew(&self, flow: &Flow, caller: &Caller) -> Result<Arc<Counted>, FlowError> {
        let began = Instant::now();
        let counted = Arc::new(count(flow, caller).await?);
        let known = Known {
            counted: Arc::clone(&counted),
            at: Instant::now(),
            took: began.elapsed(),
            is_renewed: false,
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(caller.workspace.clone(), known);
        Ok(counted)
    }
}

async fn count(flow: &Flow, caller: &Caller) -> Result<Counted, FlowError> {
    let now = Timestamp::now();
    let first = now - SignedDuration::from_hours((DAYS - 1) * 24);
    let day = |time: Timestamp| -> String { time.to_string().chars().take(10).collect() };
    let month = StatsQuery { since: Some(format!("{}T00:00:00Z", day(first))), ..StatsQuery::default() };
    let mut days: BTreeMap<String, BTreeMap<String, i64>> =
        (0..DAYS).map(|n| (day(first + SignedDuration::from_hours(n * 24)), BTreeMap::new())).collect();
    for point in flow.stats_timeseries(caller, &month).await?.items {
        days.entry(point.day).or_default().insert(point.domain, point.failures);
    }
    let week = now - SignedDuration::from_hours(7 * 24);
    let week = StatsQuery { since: Some(week.to_string()), ..StatsQuery::default() };
    let top = TopQuery { since: month.since.clone(), limit: Some(CAUSES), ..TopQuery::default() };
    Ok(Counted {
        days: days.into_iter().collect(),
        causes: flow.stats_top_causes(caller, &top).await?.items,
        time_to_report: flow.stats_overview(caller, &week).await?.time_to_report_seconds.p50,
    })
}
