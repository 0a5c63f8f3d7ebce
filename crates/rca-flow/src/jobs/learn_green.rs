//! A green run of the default branch: the logs of those of its jobs that have failed before are learned from.

use std::time::Duration;

use forge_core::{
    ErrorKind, ForgeClientExt,
    model::{Conclusion, Job, RefType, Run, RunRef, Status},
};
use futures_util::TryStreamExt;
use rca_store::{AnalysisFilter, ClaimedTask, NewTask, PageRequest};
use serde_json::json;

use super::{Context, JobError, JobResult, LEARN_GREEN, Settlement, context, field};
use crate::{baselines, flow::Flow, monitor::repo_ref};

/// How long the forge may take to have the log of a job that has ended.
const PATIENCE: Duration = Duration::from_mins(10);
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Jobs of one run that are learned from.
const MOST_JOBS: usize = 50;

/// The task for a run, where it can teach anything: it passed on the default branch of a repository that has failed.
pub(super) async fn task(flow: &Flow, context: &Context, run: &Run) -> Result<Option<NewTask>, JobError> {
    let (integration, repository) = (&context.integration, &context.repository);
    let is_of_branch = run.git_ref.is_some()
        && run.git_ref == repository.default_branch
        && run.ref_type != Some(RefType::Tag)
        // A fork's branch can have the same name.
        && run.head_repo_id.is_none();
    if !is_of_branch
        || run.conclusion != Some(Conclusion::Success)
        || !has_failed(flow, context, None).await?
    {
        return Ok(None);
    }
    let payload = json!({ "repository": repository.id, "run": run.as_ref() });
    let key = format!("learn:{}:{}", repository.id, run.id);
    let task = NewTask::new(integration.workspace.clone(), LEARN_GREEN, key, payload);
    Ok(Some(task.with_integration(integration.id.clone()).with_priority(-5)))
}

pub(super) async fn run(flow: &Flow, task: &ClaimedTask, age: Duration) -> JobResult {
    let run: RunRef = field(task, "run")?;
    let Some(context) = context(flow, task).await? else { return Ok(Settlement::done(Vec::new())) };
    if !context.repository.monitored {
        return Ok(Settlement::done(Vec::new()));
    }
    match learn(flow, &context, &run).await {
        Ok(()) => Ok(Settlement::done(Vec::new())),
        Err(JobError::Forge(error)) if error.kind().is_credential() => Err(error.into()),
        // Nobody waits for it, and the next green run comes.
        Err(JobError::Forge(error)) if age > PATIENCE || is_final(error.kind()) => {
            tracing::debug!(repository = %context.repository.full_name, %error, "a green run was not learned");
            Ok(Settlement::done(Vec::new()))
        }
        Err(JobError::Forge(_)) => Ok(Settlement::wait(LOOK_AGAIN)),
        Err(error) => Err(error),
    }
}

fn is_final(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::Forbidden | ErrorKind::Unsupported)
}

async fn learn(flow: &Flow, context: &Context, run: &RunRef) -> Result<(), JobError> {
    let ci = context.client.require_ci()?;
    let own = repo_ref(&context.repository);
    let all: Vec<Job> = ci.list_jobs(&own, run).try_collect().await?;
    let is_green = |job: &Job| job.status == Status::Completed && job.conclusion == Some(Conclusion::Success);
    // What ran in another repository has its log and its branch there.
    let is_own = |job: &Job| job.repo.as_ref().is_none_or(|repo| repo.id == own.id) && !job.is_log_erased;
    for job in all.iter().filter(|job| is_green(job) && is_own(job)).take(MOST_JOBS) {
        if !has_failed(flow, context, Some(&job.name)).await?
            || !baselines::is_wanted(flow, context, job).await?
        {
            continue;
        }
        match baselines::learn(flow, context, &job.name, job).await {
            // One job without a log does not keep the others from being learned.
            Err(JobError::Forge(error)) if is_final(error.kind()) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Whether any job of the repository was analysed, or one of this name.
async fn has_failed(flow: &Flow, context: &Context, job_name: Option<&str>) -> Result<bool, JobError> {
    let filter = AnalysisFilter {
        integration: Some(context.integration.id.clone()),
        repository: Some(context.repository.id.clone()),
        job_name: job_name.map(str::to_owned),
        ..AnalysisFilter::default()
    };
    let found =
        flow.store().list_analyses(&context.integration.workspace, &filter, &PageRequest::first(1)).await?;
    Ok(!found.items.is_empty())
}
