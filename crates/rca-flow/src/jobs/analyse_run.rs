//! A failed run: one analysis per failed job, child runs included.

use forge_core::{
    ErrorKind, ForgeClientExt,
    model::{Job, Run, Target},
};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use rca_store::{Analysis, AnalysisFilter, NewTask, PageRequest, Write, new_id};
use serde_json::{Value, json};

use super::{ANALYSE_JOB, Context, JobError, analyse_job, announce::announce_of, feedback_task};
use crate::{
    flow::{Flow, now},
    monitor::repo_ref,
};

/// The job id of a failure of a whole run that never had a job.
pub(crate) const WHOLE_RUN: &str = "run";

/// How long the others of a run are waited for at least.
const GATHER_MS: i64 = 5_000;
/// The same while so many are waiting that it is certain to be said again.
const GATHER_MANY_MS: i64 = 30_000;
const MANY_WAITING: u32 = 20;

/// Where an analysis comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// `webhook`, `poll`, `backfill` or `manual`.
    pub(crate) source: &'a str,
    /// Whether to say it at the forge.
    pub(crate) post: bool,
    /// Only this job.
    pub(crate) only_job: Option<&'a str>,
}

/// What is to be done about a run.
pub(crate) struct Plan {
    /// The analyses, and whether each is new.
    pub(crate) analyses: Vec<(Analysis, bool)>,
    /// The tasks for those that are not done.
    pub(crate) writes: Vec<Write>,
}

/// Stores one analysis per failed job. Calling it again for the same run finds the same ones.
pub(crate) async fn plan_run(
    flow: &Flow,
    context: &Context,
    run: &Run,
    origin: Origin<'_>,
) -> Result<Plan, JobError> {
    let (integration, repository) = (&context.integration, &context.repository);
    let jobs = failed_jobs(context, run).await?;
    let jobs: Vec<Job> =
        jobs.into_iter().filter(|job| origin.only_job.is_none_or(|only| only == job.id)).collect();
    let mut plan = Plan { analyses: Vec::new(), writes: Vec::new() };
    let is_config_error = jobs.is_empty() && origin.only_job.is_none() && run.config_error.is_some();
    if jobs.is_empty() && !is_config_error {
        return Ok(plan);
    }
    let target = target(context, run).await?;
    let told = |key| target.as_ref().and_then(|target| target.get(key)).and_then(Value::as_str);
    let base = Analysis {
        workspace: integration.workspace.clone(),
        integration: Some(integration.id.clone()),
        forge: integration.forge.clone(),
        repository_key: repository.id.clone(),
        repository: repository.full_name.clone(),
        root_run_id: Some(run.root_id.clone().unwrap_or_else(|| run.id.clone())),
        // A list of runs may name a merge request where a branch is expected.
        branch: run.git_ref.clone().or_else(|| told("branch").map(str::to_owned)),
        commit_sha: run.sha.clone(),
        pr: told("pr").map(str::to_owned),
        pipeline_url: run.web_url.clone(),
        source: origin.source.to_owned(),
        state: "queued".to_owned(),
        data: json!({ "post": origin.post, "target": target }),
        ..Analysis::default()
    };
    for job in jobs {
        let analysis = Analysis {
            id: new_id(),
            run_id: job.run_id.clone(),
            attempt: i64::from(job.attempt.max(run.attempt)),
            job_id: job.id.clone(),
            job_name: Some(job.name.clone()),
            job_url: job.web_url.clone(),
            data: with_end(&base.data, job.finished_at.or(run.finished_at).or(run.updated_at)),
            ..base.clone()
        };
        let (mut analysis, is_new) = flow.store().create_analysis_if_new(analysis).await?;
        if !is_new && job.run_id != run.id && analysis.root_run_id != base.root_run_id {
            // The child run was seen before anybody knew what had started it.
            analysis.root_run_id.clone_from(&base.root_run_id);
            plan.writes.push(Write::UpsertAnalysis(Box::new(analysis.clone())));
        }
        if !is_new && origin.post {
            plan.writes.extend(now_posted(&mut analysis, target.as_ref()));
        }
        if matches!(analysis.state.as_str(), "queued" | "running") {
            plan.writes.push(Write::Enqueue(job_task(&analysis, job)));
        }
        plan.analyses.push((analysis, is_new));
    }
    if let Some(text) = run.config_error.as_deref().filter(|_| is_config_error) {
        let analysis = Analysis {
            id: new_id(),
            run_id: run.id.clone(),
            attempt: i64::from(run.attempt),
            job_id: WHOLE_RUN.to_owned(),
            job_name: Some(run.name.clone().unwrap_or_else(|| "configuration".to_owned())),
            job_url: run.web_url.clone(),
            ..base
        };
        let (mut analysis, is_new) = flow.store().create_analysis_if_new(analysis).await?;
        if !is_new && origin.post {
            plan.writes.extend(now_posted(&mut analysis, target.as_ref()));
        }
        if analysis.state == "queued" {
            let report = crate::reports::config_error(text);
            plan.writes.extend(analyse_job::finish(&mut analysis, &report, now().as_millisecond()));
            plan.writes.extend(said_of(&analysis));
        }
        plan.analyses.push((analysis, is_new));
    }
    Ok(plan)
}

/// Remembers when the job ended at the forge: a back-fill reads old failures late.
fn with_end(data: &Value, ended_at: Option<Timestamp>) -> Value {
    let mut data = data.clone();
    if let (Some(data), Some(at)) = (data.as_object_mut(), ended_at) {
        data.insert("ended_at".to_owned(), Value::from(at.as_millisecond()));
    }
    data
}

/// What was analysed in silence, by a back-fill or by hand, is said once a hook or a poll tells of it, too.
fn now_posted(analysis: &mut Analysis, target: Option<&Value>) -> Vec<Write> {
    if analysis.data.get("post") == Some(&Value::Bool(true)) {
        return Vec::new();
    }
    if let Some(data) = analysis.data.as_object_mut() {
        data.insert("post".to_owned(), Value::Bool(true));
        data.insert("target".to_owned(), json!(target));
    }
    let said = if analysis.state == "queued" { Vec::new() } else { said_of(analysis) };
    std::iter::once(Write::UpsertAnalysis(Box::new(analysis.clone()))).chain(said).collect()
}

/// The jobs that fail the run now: neither allowed to fail, nor run again since.
pub(super) async fn failed_jobs(context: &Context, run: &Run) -> Result<Vec<Job>, JobError> {
    let ci = context.client.require_ci()?;
    let mut jobs = ci.list_jobs(&repo_ref(&context.repository), &run.as_ref());
    let mut failed = Vec::new();
    while let Some(job) = jobs.try_next().await? {
        if job.is_failed() && !job.is_allowed_to_fail && !job.is_retried {
            failed.push(job);
        }
    }
    Ok(failed)
}

/// The tasks that say it, at the forge and to channels, where that is wanted.
pub(super) fn said_of(analysis: &Analysis) -> Vec<Write> {
    [feedback_of(analysis), announce_of(analysis)].into_iter().flatten().map(Write::Enqueue).collect()
}

fn feedback_of(analysis: &Analysis) -> Option<NewTask> {
    let integration = analysis.integration.as_deref()?;
    if !analysis.data.get("post").and_then(Value::as_bool).unwrap_or(false) {
        return None;
    }
    let target = analysis.data.get("target").filter(|target| target.is_object())?;
    Some(feedback_task(integration, &analysis.workspace, &analysis.repository_key, target))
}

/// As [`said_of`], put off a little while other jobs of the run are still being analysed: a run of five hundred
/// failed jobs is told once and not five hundred times.
pub(super) async fn said_when_last(flow: &Flow, analysis: &Analysis) -> Result<Vec<Write>, JobError> {
    let tasks = [feedback_of(analysis), announce_of(analysis)].into_iter().flatten();
    let filter = AnalysisFilter {
        integration: analysis.integration.clone(),
        repository: Some(analysis.repository_key.clone()),
        run_id: analysis.root_run_id.clone(),
        state: Some("queued".to_owned()),
        ..AnalysisFilter::default()
    };
    let page = PageRequest::first(MANY_WAITING + 1);
    let waiting = flow.store().list_analyses(&analysis.workspace, &filter, &page).await?;
    let waiting = waiting.items.iter().filter(|other| other.id != analysis.id).count();
    let delay = match u32::try_from(waiting).unwrap_or(u32::MAX) {
        0 => 0,
        1..MANY_WAITING => GATHER_MS,
        MANY_WAITING.. => GATHER_MANY_MS,
    };
    Ok(tasks.map(|task| Write::Enqueue(task.with_delay_ms(delay))).collect())
}

fn job_task(analysis: &Analysis, mut job: Job) -> NewTask {
    // They can be many, and the log says more.
    job.steps.clear();
    NewTask::new(
        analysis.workspace.clone(),
        ANALYSE_JOB,
        format!("analyse:{}", analysis.id),
        json!({ "analysis": analysis.id, "repository": analysis.repository_key, "job": job }),
    )
    .with_integration(analysis.integration.clone().unwrap_or_default())
}

/// Where it will be said: the pull request of the run, else its commit.
async fn target(context: &Context, run: &Run) -> Result<Option<Value>, JobError> {
    let ci = context.client.require_ci()?;
    let repo = repo_ref(&context.repository);
    let pulls = match ci.find_pull_requests(&repo, run).await {
        Ok(pulls) => pulls,
        // A credential that may not read pull requests can still comment on the commit.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Unsupported
            ) =>
        {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(pull) = pulls.into_iter().find(|pull| pull.is_open) {
        let key = Target::Pull(pull.number.clone()).key();
        let elsewhere = (pull.repo.id != repo.id).then_some(pull.repo);
        return Ok(Some(json!({
            "key": key,
            "pr": pull.number,
            "repo": elsewhere,
            "sha": run.sha,
            "base": pull.target_branch,
            "branch": pull.source_branch,
        })));
    }
    Ok(run.sha.as_ref().map(|sha| json!({ "key": Target::Commit(sha.clone()).key(), "sha": sha })))
}
