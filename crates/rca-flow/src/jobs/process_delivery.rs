//! A delivery: what it says is a hint, the forge is asked what is true.

use std::{collections::BTreeSet, time::Duration};

use forge_core::{
    ErrorKind, ForgeClientExt,
    model::{Conclusion, Event, EventKind, Run, RunRef, Status},
};
use futures_util::TryStreamExt;
use rca_store::{AnalysisFilter, ClaimedTask, DeliveryStatus, FinishedRun, PageRequest, Write};
use serde_json::{Value, json};

use super::{
    Context, JobError, JobResult, Origin, Settlement, context,
    feedback::{passed_mark, state_mark},
    feedback_task, field, hooks, integration_of, learn_green,
    place_log::placed,
    plan_run,
    sync::store,
};
use crate::{
    flow::Flow,
    integrations::{mode_of, perimeter_of},
    monitor::repo_ref,
    perimeter::is_inside,
    receive::delivered,
    types::Mode,
};

/// How long the API may lag behind its own hooks.
const LAG: Duration = Duration::from_mins(2);
/// How long the builds of a push are waited for and watched, where the forge tells of pushes and not of builds.
const BUILD_WAIT: Duration = Duration::from_hours(6);
/// So many passed runs of a branch are remembered: one for each of a few workflows.
pub(super) const KEPT_RUNS: usize = 6;

pub(super) async fn run(flow: &Flow, task: &ClaimedTask, age: Duration) -> JobResult {
    let event: Event = field(task, "event")?;
    let delivery: String = field(task, "delivery")?;
    let ignored = |reason: &str| {
        vec![Write::SetDeliveryStatus {
            workspace: task.workspace.clone(),
            id: delivery.clone(),
            status: DeliveryStatus::Ignored,
            reason: Some(reason.to_owned()),
            analyses: Vec::new(),
        }]
    };
    let context = match field::<Option<String>>(task, "forge_id")? {
        Some(forge_id) => discovered(flow, task, &forge_id).await?,
        None => context(flow, task).await?,
    };
    let Some(context) = context else {
        return Ok(Settlement::done(ignored("the repository is gone, or out of our sight")));
    };
    if !context.repository.monitored {
        return Ok(Settlement::done(ignored("the repository is not monitored")));
    }
    let mut writes = Vec::new();
    if let Ok(hook) = field::<String>(task, "hook") {
        writes.push(Write::SetHookState {
            workspace: task.workspace.clone(),
            id: hook,
            change: delivered(task.created_at),
        });
        // It tells us again what it had kept from us.
        let own: Option<String> = field(task, "own")?;
        writes.push(hooks::no_longer_silent(&task.workspace, &context.integration.id, own));
    }
    // A push asks us to look for builds; how they end is announced by nobody.
    let is_unannounced = matches!(event.kind, EventKind::Push | EventKind::PullRequest);
    let mut run = match current_run(&context, &event).await {
        Ok(Some(run)) => run,
        Ok(None) => return Ok(Settlement::done(ignored("the event names no run"))),
        Err(error) if error.kind() == ErrorKind::NotFound && age < LAG => {
            return Ok(Settlement::wait(Duration::from_secs(3)));
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => {
            return Ok(Settlement::done(ignored("the forge does not know the run")));
        }
        Err(error) => return Err(error.into()),
    };
    // The forge's answer may not say what started the run, where its delivery does.
    if run.root_id.is_none() {
        run.root_id.clone_from(&event.parent_run_id);
    }
    if run.git_ref.is_none() {
        (run.git_ref, run.ref_type) = (event.git_ref.clone(), event.ref_type);
    }
    if run.status != Status::Completed {
        if is_unannounced {
            return Ok(if age < BUILD_WAIT {
                Settlement::wait(until_next_look(age))
            } else {
                Settlement::done(ignored("no build of the commit has ended within six hours"))
            });
        }
        if event.kind == EventKind::Run && event.terminal && age < LAG {
            return Ok(Settlement::wait(Duration::from_secs(3)));
        }
        return Ok(Settlement::done(ignored("the run goes on; its end will be announced")));
    }
    writes.extend(recorded(&context, &run));
    if run.is_failed() {
        let plan =
            plan_run(flow, &context, &run, Origin { source: "webhook", post: true, only_job: None }).await?;
        let reason = plan.analyses.is_empty().then(|| "the run failed, but none of its jobs did".to_owned());
        writes.extend(plan.writes);
        writes.push(Write::SetDeliveryStatus {
            workspace: task.workspace.clone(),
            id: delivery,
            status: DeliveryStatus::Done,
            reason,
            analyses: plan.analyses.into_iter().map(|(analysis, _)| analysis.id).collect(),
        });
        // Nobody announces either that they are run again without a push. Where the forge is polled, the poll sees it.
        let is_alone = mode_of(&context.integration) == Mode::Webhook;
        if is_unannounced && age < BUILD_WAIT && (is_alone || has_running_jobs(&context, &run).await?) {
            return Ok(Settlement { writes, ..Settlement::wait(until_next_look(age)) });
        }
        return Ok(Settlement::done(writes));
    }
    if run.conclusion == Some(Conclusion::Success) {
        let (healed, is_told) = healed(flow, &context, &run).await?;
        writes.extend(healed);
        writes.extend(learn_green::task(flow, &context, &run).await?.map(Write::Enqueue));
        if is_told {
            return Ok(Settlement::done(writes));
        }
    }
    if is_unannounced && has_analyses(flow, &context, &run).await? {
        // It did before; what was said of it then stays.
        return Ok(Settlement::done(writes));
    }
    writes.extend(ignored("the run did not fail"));
    Ok(Settlement::done(writes))
}

/// Counts the run; one that was cancelled or skipped says nothing of success or failure.
fn recorded(context: &Context, run: &Run) -> Option<Write> {
    let failed = run.is_failed();
    (failed || run.conclusion == Some(Conclusion::Success)).then(|| {
        Write::RecordRun(FinishedRun {
            workspace: context.integration.workspace.clone(),
            integration: context.integration.id.clone(),
            repository: context.repository.id.clone(),
            run_id: run.id.clone(),
            attempt: i64::from(run.attempt),
            failed,
        })
    })
}

/// The repository of a delivery that no sync has seen yet; monitored when the perimeter asks for it.
async fn discovered(flow: &Flow, task: &ClaimedTask, forge_id: &str) -> Result<Option<Context>, JobError> {
    let integration = integration_of(flow, task).await?;
    let client = flow.client(&integration).await?;
    let repo = match client.repos().get_repo(forge_id).await {
        Ok(repo) => repo,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let is_wanted = !repo.is_archived && is_inside(&perimeter_of(&integration), &repo.full_name);
    let forge_id = repo.id.clone();
    store(flow, &integration, vec![repo]).await?;
    let find = || flow.store().find_repository_by_forge_id(&task.workspace, &integration.id, &forge_id);
    let Some(mut repository) = find().await? else { return Ok(None) };
    if is_wanted && !repository.monitored {
        flow.start_monitoring(&integration, &repository.id, None).await;
        repository = find().await?.unwrap_or(repository);
    }
    Ok(Some(Context { integration, repository, client }))
}

/// Often at first, when somebody waits for it.
fn until_next_look(age: Duration) -> Duration {
    (age / 4).clamp(Duration::from_secs(2), Duration::from_mins(5))
}

async fn has_analyses(flow: &Flow, context: &Context, run: &Run) -> Result<bool, JobError> {
    let filter = AnalysisFilter {
        integration: Some(context.integration.id.clone()),
        repository: Some(context.repository.id.clone()),
        run_id: Some(run.id.clone()),
        ..AnalysisFilter::default()
    };
    let workspace = &context.integration.workspace;
    let found = flow.store().list_analyses(workspace, &filter, &PageRequest::first(1)).await?;
    Ok(!found.items.is_empty())
}

/// Whether other builds of the commit may still fail.
async fn has_running_jobs(context: &Context, run: &Run) -> Result<bool, JobError> {
    let ci = context.client.require_ci()?;
    let mut jobs = ci.list_jobs(&repo_ref(&context.repository), &run.as_ref());
    while let Some(job) = jobs.try_next().await? {
        if matches!(job.status, Status::Queued | Status::Running) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn current_run(context: &Context, event: &Event) -> forge_core::Result<Option<Run>> {
    let ci = context.client.require_ci()?;
    let repo = repo_ref(&context.repository);
    let run = match (&event.run_id, &event.job_id) {
        (Some(id), _) => RunRef::new(id.clone()).with_attempt(event.attempt),
        (None, Some(job)) if event.kind == EventKind::Job => {
            RunRef::new(ci.get_job(&repo, job).await?.run_id)
        }
        _ => return Ok(None),
    };
    ci.get_run(&repo, &run).await.map(Some)
}

/// Remembers that the run has passed, and wakes the comments of ours that it may turn green: those of failures on the
/// same branch. Whether there are any is the second.
pub(super) async fn healed(
    flow: &Flow,
    context: &Context,
    run: &Run,
) -> Result<(Vec<Write>, bool), JobError> {
    let Some(branch) = &run.git_ref else { return Ok((Vec::new(), false)) };
    let (integration, repository) = (&context.integration, &context.repository);
    let mark = passed_mark(&repository.id, branch);
    let known = flow.store().get_mark(&integration.workspace, &mark).await?;
    let mut known: Vec<String> =
        known.and_then(|known| serde_json::from_value(known).ok()).unwrap_or_default();
    let id = run.root_id.as_ref().unwrap_or(&run.id);
    known.retain(|other| other != id);
    known.insert(0, id.clone());
    known.truncate(KEPT_RUNS);
    let mut writes =
        vec![Write::SetMark { workspace: integration.workspace.clone(), name: mark, value: json!(known) }];
    let filter = AnalysisFilter {
        integration: Some(integration.id.clone()),
        repository: Some(repository.id.clone()),
        branch: Some(branch.clone()),
        ..AnalysisFilter::default()
    };
    let mut failures =
        flow.store().list_analyses(&integration.workspace, &filter, &PageRequest::first(100)).await?;
    failures.items.extend(placed(flow, repository, filter).await?);
    let mut seen = BTreeSet::new();
    let mut is_told = false;
    for target in failures.items.iter().filter_map(|analysis| analysis.data.get("target")) {
        let Some(key) = target.get("key").and_then(Value::as_str) else { continue };
        if !seen.insert(key) {
            continue;
        }
        let mark = state_mark(&repository.id, key);
        if flow.store().get_mark(&integration.workspace, &mark).await?.is_some_and(|state| state == "red") {
            is_told = true;
            let task = feedback_task(&integration.id, &integration.workspace, &repository.id, target);
            writes.push(Write::Enqueue(task));
        }
    }
    Ok((writes, is_told))
}
