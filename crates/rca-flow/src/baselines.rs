//! What passing logs of a job look like: learned from green jobs of the default branch, used where the job fails.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use forge_core::{
    ForgeClientExt, LogOptions,
    model::{GreenJob, Job, RepoRef, Run, RunRef},
};
use futures_util::TryStreamExt;
use rca_engine::Baseline;
use rca_store::{Analysis, BaselineKey, StoredBaseline};

use crate::{
    flow::Flow,
    jobs::{Context, JobError},
    monitor::repo_ref,
};

/// The branches that are learned from: what passes on the default branch is what people take for normal.
const BRANCH_CLASS: &str = "default";
/// The most of a green log that is learned.
const MOST_LOG: u64 = 64 * 1024 * 1024;
/// The most bytes of a stored baseline. One that would grow beyond it begins anew with the newest log.
const MOST_BYTES: usize = 512 * 1024;
/// So many learned jobs are remembered, so that none is read twice.
const REMEMBERED: usize = 20;
/// After so many logs more of them add little, and are read seldom.
const ENOUGH: u32 = 5;
const SELDOM_MS: i64 = 6 * 60 * 60 * 1000;
/// How long the forge may take with a green log that a failure waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often another replica may be first.
const TRIES: usize = 3;

/// A job that nothing is known of is asked about once in this time.
const ASK_EVERY: Duration = Duration::from_mins(60);
/// And of one repository so many jobs in that.
const MOST_ASKED: usize = 20;
const ASK_WINDOW: Duration = Duration::from_mins(10);
const KEPT: usize = 10_000;

/// For which jobs a green log was looked for lately, by repository and name.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<HashMap<(String, String), Instant>>);

impl Asked {
    /// Whether to look for one now; counts it.
    fn may_ask(&self, repository: &str, job: &str) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (repository.to_owned(), job.to_owned());
        if asked.get(&key).is_some_and(|at| at.elapsed() < ASK_EVERY) {
            return false;
        }
        let is_recent = |at: &Instant| at.elapsed() < ASK_WINDOW;
        let recent = asked.iter().filter(|((other, _), at)| other == repository && is_recent(at)).count();
        if recent >= MOST_ASKED {
            return false;
        }
        if asked.len() >= KEPT {
            asked.clear();
        }
        asked.insert(key, Instant::now());
        true
    }
}

/// The run of a failed job and the last green execution of the job on a branch, asked once for all who need it.
#[derive(Debug)]
pub(crate) struct Green {
    pub(crate) branch: String,
    pub(crate) run: Run,
    pub(crate) job: Option<GreenJob>,
}

/// What is known of a job's passing logs, without asking anybody.
pub(crate) async fn stored(
    flow: &Flow,
    context: &Context,
    job_name: &str,
) -> Result<Option<Baseline>, JobError> {
    let stored = flow.store().get_baseline(&key(context, job_name)).await?;
    // What another version wrote is learned again.
    Ok(stored.and_then(|stored| Baseline::decode(&stored.encoded).ok()).filter(|known| !known.is_empty()))
}

/// Looks for the last green job on the default branch and learns its log, where nothing is known of the job. Forks,
/// jobs of other repositories and back-fills do not make the forge work for this.
pub(crate) async fn needed(
    flow: &Flow,
    context: &Context,
    analysis: &Analysis,
    job: &Job,
) -> (Option<Baseline>, Option<Green>) {
    let own = repo_ref(&context.repository);
    let is_elsewhere = job.repo.as_ref().is_some_and(|repo| repo.id != own.id)
        || analysis.data.pointer("/target/repo").is_some_and(|repo| !repo.is_null());
    let Some(branch) = context.repository.default_branch.clone() else { return (None, None) };
    let (Some(facts), Some(ci)) = (context.client.facts(), context.client.ci()) else { return (None, None) };
    if is_elsewhere
        || analysis.source == "backfill"
        || !context.client.capabilities().green_jobs
        || !flow.0.asked.may_ask(&context.repository.id, &job.name)
    {
        return (None, None);
    }
    let look = async {
        let run = RunRef::new(analysis.run_id.clone()).with_attempt(u32::try_from(analysis.attempt).ok());
        let run = ci.get_run(&own, &run).await.ok()?;
        if run.head_repo_id.is_some() {
            return None;
        }
        let green = facts.last_green_job(&own, &run, job, &branch).await.ok()?;
        Some(Green { branch: branch.clone(), run, job: green })
    };
    let Ok(Some(green)) = tokio::time::timeout(PATIENCE, look).await else { return (None, None) };
    let Some(found) = &green.job else { return (None, Some(green)) };
    let learned = tokio::time::timeout(PATIENCE, learn(flow, context, &job.name, &found.job)).await;
    let baseline = match learned {
        Ok(Ok(baseline)) => baseline,
        Ok(Err(error)) => {
            tracing::debug!(job = %job.name, ?error, "a green log could not be learned");
            None
        }
        Err(_) => None,
    };
    (baseline, Some(green))
}

/// Whether the log of another green job is worth reading.
pub(crate) async fn is_wanted(flow: &Flow, context: &Context, job: &Job) -> Result<bool, JobError> {
    let Some(stored) = flow.store().get_baseline(&key(context, &job.name)).await? else { return Ok(true) };
    if stored.learned.contains(&job.id) {
        return Ok(false);
    }
    let has_enough = Baseline::decode(&stored.encoded).is_ok_and(|known| known.logs() >= ENOUGH);
    Ok(!has_enough || flow.store().now().await? - stored.updated_at >= SELDOM_MS)
}

/// Reads a green job's log into what is stored for jobs called `name`. Each job is read once.
pub(crate) async fn learn(
    flow: &Flow,
    context: &Context,
    name: &str,
    green: &Job,
) -> Result<Option<Baseline>, JobError> {
    let key = key(context, name);
    let mut known = flow.store().get_baseline(&key).await?;
    let decoded = |known: &Option<StoredBaseline>| {
        known.as_ref().and_then(|known| Baseline::decode(&known.encoded).ok()).unwrap_or_default()
    };
    if known.as_ref().is_some_and(|known| known.learned.contains(&green.id)) {
        return Ok(Some(decoded(&known)));
    }
    let repo: RepoRef = green.repo.clone().unwrap_or_else(|| repo_ref(&context.repository));
    let options = LogOptions::new(MOST_LOG.min(flow.config().log_max_bytes));
    let mut log = context.client.require_ci()?.job_log(&repo, green, options).await?;
    let mut learner = Baseline::new().learn();
    while let Some(chunk) = log.bytes.try_next().await? {
        learner.push(&chunk);
        // The engine computes; others share this thread.
        tokio::task::yield_now().await;
    }
    let fresh = learner.finish();
    for _ in 0..TRIES {
        let mut merged = decoded(&known);
        merged.merge(&fresh);
        let mut encoded = merged.encode();
        if encoded.len() > MOST_BYTES {
            (merged, encoded) = (fresh.clone(), fresh.encode());
        }
        if encoded.len() > MOST_BYTES {
            return Ok(None);
        }
        let mut learned = known.as_ref().map(|known| known.learned.clone()).unwrap_or_default();
        learned.insert(0, green.id.clone());
        learned.truncate(REMEMBERED);
        let new = StoredBaseline { encoded, learned, updated_at: 0 };
        if flow.store().put_baseline(&key, known.as_ref(), &new).await? {
            return Ok(Some(merged));
        }
        known = flow.store().get_baseline(&key).await?;
    }
    Ok(Some(fresh))
}

fn key(context: &Context, job_name: &str) -> BaselineKey {
    BaselineKey {
        workspace: context.repository.workspace.clone(),
        repository: context.repository.id.clone(),
        job_name: job_name.to_owned(),
        branch_class: BRANCH_CLASS.to_owned(),
    }
}
