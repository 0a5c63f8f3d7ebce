//! An analysis with all that belongs on its page, and the failures, tests and commits that people search for.

use std::collections::BTreeMap;

use rca_store::{ClusterFilter, FoundTest, SiblingJob};
use serde::Deserialize;

use crate::{
    analyses::{millisecond, one_of, view},
    clusters,
    error::{FlowError, Result},
    flow::{Caller, Flow},
    rerun::LastRerun,
    types::{AnalysisView, ClusterQuery, ClusterView, List, page, time},
};

/// Other jobs of a run that are named; a broken build breaks hundreds.
const MOST_JOBS: u32 = 500;
/// Found things of one kind.
const MOST_FOUND: u32 = 20;
/// Names that a filter offers, or that a part of one stands for.
const MOST_NAMES: u32 = 50;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// An analysis with what surrounds it.
#[derive(Debug, Clone)]
pub struct WholeAnalysis {
    /// The analysis.
    pub analysis: AnalysisView,
    /// What a person said of it.
    pub verdict: Option<VerdictView>,
    /// The run's number as people know it, where an ingested log named it.
    pub build_number: Option<String>,
    /// The web address of the repository.
    pub repository_url: Option<String>,
    /// The other failed jobs of the run.
    pub other_jobs: Vec<OtherJob>,
    /// Its cluster.
    pub cluster: Option<ClusterView>,
    /// What channels were told.
    pub notifications: Vec<ToldChannel>,
    /// When its failed tests first failed in this repository (RFC 3339), by the first 300 characters of their names.
    pub first_failures: BTreeMap<String, String>,
    /// Whether anything was to be posted at the forge.
    pub is_posted: bool,
    /// What the last rerun changed, where there was one.
    pub rerun: Option<LastRerun>,
}

/// What a person said of a report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VerdictView {
    /// Whether the report is right.
    pub correct: bool,
    /// What they added.
    #[serde(default)]
    pub note: Option<String>,
}

/// Another failed job of the same run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherJob {
    /// Its analysis.
    pub analysis_id: String,
    /// Its name.
    pub job: String,
    /// Its attempt.
    pub attempt: i64,
    /// `queued`, `running`, `done`, `failed` or `no_log`.
    pub state: String,
    /// The category of its report.
    pub category: Option<String>,
    /// Its cause in words.
    pub root_cause: Option<String>,
    /// Whether it fails by the same cause.
    pub is_same_cause: bool,
}

/// What a channel was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldChannel {
    /// The channel.
    pub channel_id: String,
    /// Its name.
    pub name: String,
    /// `slack`, `telegram`, `matrix`, `email` or `webhook`.
    pub kind: String,
    /// `analysis.failed`, `run.fixed`, ...
    pub event: String,
    /// `pending`, `sending`, `sent`, `failed`, `skipped` or `unknown`.
    pub state: String,
    /// Why it was not sent.
    pub error: Option<String>,
    /// RFC 3339.
    pub updated_at: String,
}

/// What a search found, by kind.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Repositories by their name, with the number of failures.
    pub repositories: Vec<(String, i64)>,
    /// Analyses by their run or commit.
    pub analyses: Vec<AnalysisView>,
    /// Failed tests by their name.
    pub tests: Vec<TestView>,
    /// Clusters by the text of their cause.
    pub clusters: Vec<ClusterView>,
}

/// A test that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestView {
    /// Its name.
    pub name: String,
    /// The repository.
    pub repository: String,
    /// The analysis of its last failure.
    pub analysis_id: String,
    /// RFC 3339.
    pub seen_at: String,
}

/// What happened to the clusters of a list, and since when (RFC 3339).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterSince {
    /// First seen.
    pub new: Option<String>,
    /// Known before, and seen again.
    pub back: Option<String>,
    /// Resolved, and still so.
    pub resolved: Option<String>,
}

/// How many clusters there are in a state, now or since a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterCounts {
    /// Active now.
    pub active: i64,
    /// First seen since then.
    pub new: i64,
    /// Known before, seen again since then.
    pub recurring: i64,
    /// Resolved since then.
    pub resolved: i64,
}

impl Flow {
    /// One analysis with all that belongs on its page.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn whole_analysis(&self, caller: &Caller, id: &str) -> Result<WholeAnalysis> {
        let store = self.store();
        let workspace = caller.workspace.as_str();
        let analysis = store.get_analysis(workspace, id).await?;
        let analysis = analysis.ok_or_else(|| FlowError::not_found("analysis"))?;
        let feedback = store.list_feedback(workspace, &[id.to_owned()]).await?.remove(id).unwrap_or_default();
        let cluster = match &analysis.cluster_id {
            Some(cluster) => store.get_cluster(workspace, cluster).await?,
            None => None,
        };
        let root = analysis.root_run_id.clone().unwrap_or_else(|| analysis.run_id.clone());
        let (mut other_jobs, mut repository_url) = (Vec::new(), None);
        if let Some(integration) = &analysis.integration {
            let repository = store.get_repository(workspace, &analysis.repository_key).await?;
            repository_url = repository.and_then(|repository| repository.web_url);
            let jobs = store.jobs_of_run(workspace, integration, &analysis.repository_key, &root, MOST_JOBS);
            let same = |job: &SiblingJob| job.cluster.is_some() && job.cluster == analysis.cluster_id;
            other_jobs = jobs
                .await?
                .into_iter()
                .filter(|job| job.analysis != analysis.id)
                .map(|job| OtherJob {
                    is_same_cause: same(&job),
                    analysis_id: job.analysis,
                    job: job.job,
                    attempt: job.attempt,
                    state: job.state,
                    category: job.category,
                    root_cause: job.root_cause,
                })
                .collect();
        }
        let told = store
            .notifications_of_run(workspace, &analysis.repository_key, &root, analysis.cluster_id.as_deref())
            .await?;
        let names: Vec<String> = analysis
            .report
            .as_ref()
            .and_then(|report| report.pointer("/failing/tests")?.as_array())
            .into_iter()
            .flatten()
            .filter_map(|test| test.get("name")?.as_str().map(str::to_owned))
            .collect();
        let first = store.first_failures(workspace, &analysis.repository, &names).await?;
        let word = |name: &str| analysis.data.get(name).cloned();
        Ok(WholeAnalysis {
            verdict: word("verdict").and_then(|verdict| serde_json::from_value(verdict).ok()),
            build_number: word("build_number").and_then(|number| number.as_str().map(str::to_owned)),
            is_posted: word("post").and_then(|post| post.as_bool()).unwrap_or(false),
            rerun: LastRerun::read(&analysis.data),
            first_failures: first.into_iter().map(|(name, at)| (name, time(at))).collect(),
            repository_url,
            other_jobs,
            cluster: cluster.map(clusters::view),
            notifications: told
                .into_iter()
                .map(|told| ToldChannel {
                    channel_id: told.channel,
                    name: told.name,
                    kind: told.kind,
                    event: told.event,
                    state: told.state,
                    error: told.error,
                    updated_at: time(told.updated_at),
                })
                .collect(),
            analysis: view(analysis, feedback),
        })
    }

    /// Clusters, the last seen first. Its cursors are not those of [`Flow::list_clusters`].
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn recent_clusters(
        &self,
        caller: &Caller,
        query: &ClusterQuery,
        since: &ClusterSince,
    ) -> Result<List<ClusterView>> {
        let time = |name: &str, text: &Option<String>| millisecond(name, text.as_deref());
        one_of("state", query.state.as_deref(), &["active", "acknowledged", "resolved"])?;
        let filter = ClusterFilter {
            state: query.state.clone(),
            category: query.category.clone(),
            repository: query.repository.clone(),
            new_since: time("new_since", &since.new)?,
            back_since: time("back_since", &since.back)?,
            resolved_since: time("resolved_since", &since.resolved)?,
        };
        let page = page(query.limit, query.cursor.as_deref())?;
        let page = self.store().recent_clusters(&caller.workspace, &filter, &page).await?;
        let items = page.items.into_iter().map(clusters::view).collect();
        Ok(List { items, next_cursor: page.next_cursor })
    }

    /// Failures of a cluster on each of the last `days` days (UTC), the oldest first, the days without any included.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn cluster_days(
        &self,
        caller: &Caller,
        cluster: &str,
        days: i64,
    ) -> Result<Vec<(String, i64)>> {
        let today = self.store().now().await? / DAY_MS;
        let first = today - days.clamp(1, 400) + 1;
        let found = self.store().cluster_days(&caller.workspace, cluster, first * DAY_MS).await?;
        let of =
            |day: i64| found.iter().find(|(other, _)| *other == day).map_or(0, |(_, failures)| *failures);
        Ok((first..=today).map(|day| (time(day * DAY_MS).chars().take(10).collect(), of(day))).collect())
    }

    /// How clusters are, counted since `since` (RFC 3339).
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn cluster_counts(&self, caller: &Caller, since: &str) -> Result<ClusterCounts> {
        let since = millisecond("since", Some(since))?.unwrap_or_default();
        let [active, new, recurring, resolved] =
            self.store().cluster_counts(&caller.workspace, since).await?;
        Ok(ClusterCounts { active, new, recurring, resolved })
    }

    /// Repositories whose full name holds `part`: those in which something failed, then those that are monitored. One
    /// that has that very name is alone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn repositories_like(&self, caller: &Caller, part: &str) -> Result<Vec<String>> {
        let (store, workspace) = (self.store(), caller.workspace.as_str());
        let failing = store.find_failing_repositories(workspace, part, MOST_NAMES).await?;
        let mut names: Vec<String> = failing.into_iter().map(|(name, _)| name).collect();
        for name in store.find_monitored_names(workspace, part, MOST_NAMES).await? {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if let Some(same) = names.iter().find(|name| *name == part) {
            return Ok(vec![same.clone()]);
        }
        names.truncate(MOST_NAMES as usize);
        Ok(names)
    }

    /// Branches on which something failed, by name; at most two hundred.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn failing_branches(&self, caller: &Caller) -> Result<Vec<String>> {
        Ok(self.store().failing_branches(&caller.workspace, 200).await?)
    }

    /// Repositories, runs, commits, failed tests and causes that `text` may mean; at most twenty of each.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn search(&self, caller: &Caller, text: &str) -> Result<Found> {
        let text = text.trim();
        // One character is in everything.
        if text.chars().count() < 2 {
            return Ok(Found::default());
        }
        let (store, workspace) = (self.store(), caller.workspace.as_str());
        let run = text.trim_start_matches('#');
        let mut analyses = store.find_by_run(workspace, run, MOST_FOUND).await?;
        let sha = text.to_ascii_lowercase();
        if (6..=64).contains(&sha.len()) && sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let of_commit = store.find_by_commit(workspace, &sha, MOST_FOUND).await?;
            let is_new = |id: &str| !analyses.iter().any(|known| known.id == id);
            let more: Vec<_> = of_commit.into_iter().filter(|found| is_new(&found.id)).collect();
            analyses.extend(more);
        }
        let test = |found: FoundTest| TestView {
            name: found.name,
            repository: found.repository,
            analysis_id: found.analysis,
            seen_at: time(found.seen_at),
        };
        Ok(Found {
            repositories: store.find_failing_repositories(workspace, text, MOST_FOUND).await?,
            analyses: analyses.into_iter().map(|analysis| view(analysis, Vec::new())).collect(),
            tests: store.find_tests(workspace, text, MOST_FOUND).await?.into_iter().map(test).collect(),
            clusters: store
                .find_clusters(workspace, text, MOST_FOUND)
                .await?
                .into_iter()
                .map(clusters::view)
                .collect(),
        })
    }
}
