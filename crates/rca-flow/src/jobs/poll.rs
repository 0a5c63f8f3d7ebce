//! Asking the forge for failures that no hook told us of, and keeping the list of repositories fresh.

use std::{collections::BTreeSet, time::Duration};

use forge_core::{ErrorKind, ForgeClientExt};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use rca_store::{Analysis, AnalysisFilter, ClaimedTask, Integration, PageRequest, Repository, Write};
use serde_json::{Value, json};

use super::{
    Context, JobError, JobResult, Origin, Settlement,
    feedback::state_mark,
    feedback_task, hooks, integration_of, learn_green, plan_run,
    process_delivery::{KEPT_RUNS, healed},
    sync_task,
};
use crate::{
    connect::timestamp,
    flow::{Flow, now},
    integrations::mode_of,
    monitor::repo_ref,
    types::Mode,
};

/// Runs that ended shortly before the last look are looked at again: forges index late and clocks differ.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// A hook has this long before the poll is said to be first.
const HOOK_GRACE: SignedDuration = SignedDuration::from_mins(2);
/// How often the repositories are listed again: new ones come, others vanish or get another name.
const SYNC_EVERY_MS: i64 = 10 * 60 * 1000;
/// More new failures than this in one look are left to the next.
const MOST_RUNS: usize = 100;

/// Red comments are looked at again every so many looks.
const WAKE_EVERY: i64 = 5;
/// So many of them at a time, those of the newest failures.
const MOST_WOKEN: usize = 20;
/// What has failed longer ago is left as it stands until a delivery tells of it.
const MENDED_WITHIN_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let integration = integration_of(flow, task).await?;
    let mode = mode_of(&integration);
    let interval = if mode == Mode::Webhook {
        hooks::interval_ms(flow)
    } else {
        flow.config().poll_interval_ms.max(1000)
    };
    let mut pause = Duration::from_millis(u64::try_from(interval).unwrap_or(60_000));
    let mut writes = upkeep(flow, &integration).await?;
    if integration.auth == "webhook_only" {
        return Ok(Settlement { writes, ..Settlement::wait(pause) });
    }
    let client = flow.client(&integration).await?;
    if mode != Mode::Polling {
        for (repository, since) in hooks::look_after(flow, &integration, &*client).await? {
            if repository.monitored {
                let client = std::sync::Arc::clone(&client);
                let context = Context { integration: integration.clone(), repository, client };
                flow.store().write(failures_since(flow, &context, mode, since).await?.writes).await?;
            }
        }
    }
    if mode != Mode::Polling {
        let found = catch_up(flow, &integration, &client).await?;
        writes.extend(found);
    }
    if mode == Mode::Webhook && last_looks(flow, &integration, &client).await? {
        pause =
            pause.min(Duration::from_millis(u64::try_from(flow.config().poll_interval_ms).unwrap_or(60_000)));
    }
    if mode != Mode::Webhook {
        if mode == Mode::Polling || client.capabilities().unannounced_runs {
            writes.extend(wake_red(flow, &integration, &client, interval).await?);
        }
        for repository in flow.all_repositories(&integration, Some(true)).await? {
            let context = Context {
                integration: integration.clone(),
                repository,
                client: std::sync::Arc::clone(&client),
            };
            match look(flow, &context, mode).await {
                Ok(found) => flow.store().write(found).await?,
                Err(JobError::Forge(error)) if error.kind().is_credential() => return Err(error.into()),
                Err(JobError::Forge(error)) => {
                    tracing::debug!(repository = %context.repository.full_name, %error, "the poll failed");
                    if matches!(
                        error.kind(),
                        ErrorKind::RateLimited | ErrorKind::Unreachable | ErrorKind::Timeout
                    ) {
                        // It is the same for the others: come back later, and less often.
                        pause *= 2;
                        if let forge_core::Retry::After(after) = error.retry() {
                            pause = pause.max(after);
                        }
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Settlement { writes, ..Settlement::wait(pause) })
}

/// Looks for the runs of deliveries that were refused because they came too fast.
async fn catch_up(
    flow: &Flow,
    integration: &Integration,
    client: &std::sync::Arc<dyn forge_core::ForgeClient>,
) -> Result<Vec<Write>, JobError> {
    let missed = flow.missed(integration).await?;
    for missed in &missed {
        for repository in &missed.repositories {
            let context = Context {
                integration: integration.clone(),
                repository: repository.clone(),
                client: std::sync::Arc::clone(client),
            };
            // The run had ended before its delivery came, by the forge's clock.
            match failures_since(flow, &context, Mode::Webhook, missed.since - OVERLAP).await {
                Ok(found) => flow.store().write(found.writes).await?,
                Err(JobError::Forge(error)) if !error.kind().is_credential() => {
                    tracing::debug!(repository = %repository.full_name, %error, "cannot catch up yet");
                    return Ok(Vec::new());
                }
                Err(error) => return Err(error),
            }
        }
        flow.found_missed(integration, missed).await?;
    }
    // Some may have told that a run passed.
    if missed.is_empty() { Ok(Vec::new()) } else { wake_red(flow, integration, client, 0).await }
}

/// Where the forge was polled before and is not any more: it is looked at until the hook is there, so that nothing falls
/// between the last look and the first delivery. Returns whether some are left.
async fn last_looks(
    flow: &Flow,
    integration: &Integration,
    client: &std::sync::Arc<dyn forge_core::ForgeClient>,
) -> Result<bool, JobError> {
    let workspace = &integration.workspace;
    let marks = flow.store().list_marks(workspace, LOOKED_AT).await?;
    let polled: BTreeSet<&str> = marks
        .iter()
        .filter(|(_, at)| at.is_i64())
        .filter_map(|(name, _)| name.strip_prefix(LOOKED_AT))
        .collect();
    let mut is_left = false;
    if polled.is_empty() {
        return Ok(is_left);
    }
    for repository in flow.all_repositories(integration, Some(true)).await? {
        if !polled.contains(repository.id.as_str()) {
            continue;
        }
        // Asked before the look: what comes after it comes by the hook.
        let hook = flow.hook_of(integration, &repository).await?;
        let is_told = hook.is_some_and(|hook| matches!(hook.state.as_str(), "active" | "registered"));
        let mark = format!("{LOOKED_AT}{}", repository.id);
        let context =
            Context { integration: integration.clone(), repository, client: std::sync::Arc::clone(client) };
        match look(flow, &context, Mode::Webhook).await {
            Ok(mut found) => {
                if is_told {
                    let value = Value::Null;
                    found.push(Write::SetMark { workspace: workspace.clone(), name: mark, value });
                }
                is_left |= !is_told;
                flow.store().write(found).await?;
            }
            Err(JobError::Forge(error)) if !error.kind().is_credential() => {
                tracing::debug!(repository = %context.repository.full_name, %error, "the last look failed");
                is_left = true;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(is_left)
}

/// Marks when the forge was last asked for a repository's failures.
const LOOKED_AT: &str = "poll:";

async fn look(flow: &Flow, context: &Context, mode: Mode) -> Result<Vec<Write>, JobError> {
    let (integration, repository) = (&context.integration, &context.repository);
    let mark = format!("{LOOKED_AT}{}", repository.id);
    let begun = now();
    let watermark =
        flow.store().get_mark(&integration.workspace, &mark).await?.and_then(|mark| mark.as_i64());
    let set_mark = Write::SetMark {
        workspace: integration.workspace.clone(),
        name: mark,
        value: Value::from(begun.as_millisecond()),
    };
    // What was before the first look is the back-fill's.
    let Some(watermark) = watermark else { return Ok(vec![set_mark]) };
    let mut found = failures_since(flow, context, mode, timestamp(watermark) - OVERLAP).await?;
    if found.is_all {
        found.writes.push(set_mark);
    }
    Ok(found.writes)
}

/// What is to be done about failed runs.
struct Found {
    writes: Vec<Write>,
    /// Whether there are no more of them.
    is_all: bool,
}

/// The failed runs since a time, each with what is to be done about it.
async fn failures_since(
    flow: &Flow,
    context: &Context,
    mode: Mode,
    since: Timestamp,
) -> Result<Found, JobError> {
    let (integration, repository, begun) = (&context.integration, &context.repository, now());
    let mut writes = Vec::new();
    let mut runs = context.client.require_ci()?.list_failed_runs(&repo_ref(repository), since);
    let mut new = 0;
    while let Some(run) = runs.try_next().await? {
        if new >= MOST_RUNS {
            return Ok(Found { writes, is_all: false });
        }
        if !run.is_failed() {
            continue;
        }
        let origin = Origin { source: "poll", post: true, only_job: None };
        let plan = plan_run(flow, context, &run, origin).await?;
        let is_late =
            run.finished_at.or(run.updated_at).is_some_and(|at| begun.duration_since(at) > HOOK_GRACE);
        let is_new = plan.analyses.iter().any(|(_, is_new)| *is_new);
        new += usize::from(is_new);
        if mode == Mode::Hybrid && is_late && is_new {
            writes.extend(missed(flow, integration, repository).await?);
        }
        writes.extend(plan.writes);
    }
    Ok(Found { writes, is_all: true })
}

/// The hook should have told us and did not.
async fn missed(
    flow: &Flow,
    integration: &Integration,
    repository: &Repository,
) -> Result<Vec<Write>, JobError> {
    let hook = flow.hook_of(integration, repository).await?;
    let Some(hook) = hook.filter(|hook| matches!(hook.state.as_str(), "active" | "registered")) else {
        return Ok(Vec::new());
    };
    Ok(hooks::silent(&hook, integration, &repository.full_name))
}

/// Wakes the comments that say a failure, now and then: a run that is repeated and passes is announced by nobody here.
/// Each reads its runs again, and says something only where that has changed.
async fn wake_red(
    flow: &Flow,
    integration: &Integration,
    client: &std::sync::Arc<dyn forge_core::ForgeClient>,
    interval: i64,
) -> Result<Vec<Write>, JobError> {
    let (workspace, at) = (&integration.workspace, now().as_millisecond());
    let mark = format!("woken:{}", integration.id);
    let last = flow.store().get_mark(workspace, &mark).await?.and_then(|mark| mark.as_i64());
    if last.is_some_and(|last| at - last < WAKE_EVERY * interval) {
        return Ok(Vec::new());
    }
    let mut writes = vec![Write::SetMark { workspace: workspace.clone(), name: mark, value: json!(at) }];
    let filter = AnalysisFilter {
        integration: Some(integration.id.clone()),
        since: Some(at - MENDED_WITHIN_MS),
        ..AnalysisFilter::default()
    };
    let failures = flow.store().list_analyses(workspace, &filter, &PageRequest::first(500)).await?;
    let mut seen = BTreeSet::new();
    let mut asked = BTreeSet::new();
    for analysis in &failures.items {
        let Some(target) = analysis.data.get("target").filter(|target| target.is_object()) else { continue };
        let Some(key) = target.get("key").and_then(Value::as_str) else { continue };
        if !seen.insert((&analysis.repository_key, key)) {
            continue;
        }
        let state = flow.store().get_mark(workspace, &state_mark(&analysis.repository_key, key)).await?;
        if state.is_some_and(|state| state == "red") {
            if asked.insert((&analysis.repository_key, &analysis.branch, &analysis.pr)) {
                mended(flow, integration, client, analysis).await?;
            }
            let task = feedback_task(&integration.id, workspace, &analysis.repository_key, target);
            writes.push(Write::Enqueue(task));
            if writes.len() > MOST_WOKEN {
                break;
            }
        }
    }
    Ok(writes)
}

/// Asks for runs that have passed since on the branch of a failure: of new ones nobody tells where there is no hook. Only
/// of branches that are red, so that a forge where all is well is asked nothing.
async fn mended(
    flow: &Flow,
    integration: &Integration,
    client: &std::sync::Arc<dyn forge_core::ForgeClient>,
    analysis: &Analysis,
) -> Result<(), JobError> {
    let Some(facts) = client.facts().filter(|_| client.capabilities().green_jobs) else { return Ok(()) };
    let repository = flow.store().get_repository(&analysis.workspace, &analysis.repository_key).await?;
    let (Some(repository), Some(branch)) =
        (repository.filter(|repository| repository.monitored), analysis.branch.as_deref())
    else {
        return Ok(());
    };
    let client = std::sync::Arc::clone(client);
    let context = Context { integration: integration.clone(), repository, client };
    let passed = match facts.passed_runs(&repo_ref(&context.repository), branch, analysis.pr.as_deref()).await
    {
        Ok(passed) => passed,
        Err(error) if error.kind().is_credential() => return Err(error.into()),
        Err(error) => {
            tracing::debug!(repository = %context.repository.full_name, %error, "passed runs are not known");
            return Ok(());
        }
    };
    let mut names = BTreeSet::new();
    // The newest of each workflow counts; the last one told is the first remembered.
    let mut newest: Vec<_> = passed.into_iter().filter(|run| names.insert(run.name.clone())).collect();
    newest.truncate(KEPT_RUNS);
    for mut run in newest.into_iter().rev() {
        run.git_ref = Some(branch.to_owned());
        let (mut writes, _) = healed(flow, &context, &run).await?;
        writes.extend(learn_green::task(flow, &context, &run).await?.map(Write::Enqueue));
        flow.store().write(writes).await?;
    }
    Ok(())
}

async fn upkeep(flow: &Flow, integration: &Integration) -> Result<Vec<Write>, JobError> {
    let mark = format!("synced:{}", integration.id);
    let at = now().as_millisecond();
    let last = flow.store().get_mark(&integration.workspace, &mark).await?.and_then(|mark| mark.as_i64());
    if last.is_some_and(|last| at - last < SYNC_EVERY_MS) {
        return Ok(Vec::new());
    }
    let mut writes =
        vec![Write::SetMark { workspace: integration.workspace.clone(), name: mark, value: json!(at) }];
    // They were listed when the integration was connected.
    writes.extend(last.map(|_| Write::Enqueue(sync_task(integration))));
    Ok(writes)
}
