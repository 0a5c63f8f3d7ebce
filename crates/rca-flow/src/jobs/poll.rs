//! Asking the forge for failures that no hook told us of, and keeping the list of repositories fresh.

use std::time::Duration;

use forge_core::{ErrorKind, ForgeClientExt};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use rca_store::{ClaimedTask, HookChange, Integration, Repository, Write};
use serde_json::{Value, json};

use super::{Context, JobError, JobResult, Origin, Settlement, hooks, integration_of, plan_run, sync_task};
use crate::{
    connect::timestamp,
    flow::{Flow, now},
    integrations::{mode_of, perimeter_of},
    monitor::repo_ref,
    types::{Mode, PerimeterMode},
};

/// Runs that ended shortly before the last look are looked at again: forges index late and clocks differ.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// A hook has this long before the poll is said to be first.
const HOOK_GRACE: SignedDuration = SignedDuration::from_mins(2);
/// How often the repositories are listed again, where new ones are monitored by themselves.
const SYNC_EVERY_MS: i64 = 10 * 60 * 1000;
/// More failures than this in one look are left to the next.
const MOST_RUNS: usize = 100;

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let integration = integration_of(flow, task).await?;
    let mode = mode_of(&integration);
    let interval = if mode == Mode::Webhook {
        hooks::interval_ms(flow)
    } else {
        flow.config().poll_interval_ms.max(1000)
    };
    let mut pause = Duration::from_millis(u64::try_from(interval).unwrap_or(60_000));
    let writes = upkeep(flow, &integration).await?;
    if integration.auth == "webhook_only" {
        return Ok(Settlement { writes, ..Settlement::wait(pause) });
    }
    let client = flow.client(&integration).await?;
    if mode != Mode::Polling {
        for (repository, since) in hooks::look_after(flow, &integration, &*client).await? {
            if repository.monitored {
                let client = std::sync::Arc::clone(&client);
                let context = Context { integration: integration.clone(), repository, client };
                flow.store().write(failures_since(flow, &context, mode, since).await?).await?;
            }
        }
    }
    if mode != Mode::Webhook {
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

async fn look(flow: &Flow, context: &Context, mode: Mode) -> Result<Vec<Write>, JobError> {
    let (integration, repository) = (&context.integration, &context.repository);
    let mark = format!("poll:{}", repository.id);
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
    let mut writes = failures_since(flow, context, mode, timestamp(watermark) - OVERLAP).await?;
    writes.push(set_mark);
    Ok(writes)
}

/// The failed runs since a time, each with what is to be done about it.
async fn failures_since(
    flow: &Flow,
    context: &Context,
    mode: Mode,
    since: Timestamp,
) -> Result<Vec<Write>, JobError> {
    let (integration, repository, begun) = (&context.integration, &context.repository, now());
    let mut writes = Vec::new();
    let mut runs = context.client.require_ci()?.list_failed_runs(&repo_ref(repository), since);
    let mut seen = 0;
    while let Some(run) = runs.try_next().await? {
        seen += 1;
        if seen > MOST_RUNS {
            break;
        }
        if !run.is_failed() {
            continue;
        }
        let origin = Origin { source: "poll", post: true, only_job: None };
        let plan = plan_run(flow, context, &run, origin).await?;
        let is_late =
            run.finished_at.or(run.updated_at).is_some_and(|at| begun.duration_since(at) > HOOK_GRACE);
        if mode == Mode::Hybrid && is_late && plan.analyses.iter().any(|(_, is_new)| *is_new) {
            writes.extend(missed(flow, integration, repository).await?);
        }
        writes.extend(plan.writes);
    }
    Ok(writes)
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
    Ok(vec![Write::SetHookState {
        workspace: repository.workspace.clone(),
        id: hook.id,
        change: HookChange {
            state: Some("unhealthy".to_owned()),
            last_error: Some(Some("arrived only by poll".to_owned())),
            ..HookChange::default()
        },
    }])
}

async fn upkeep(flow: &Flow, integration: &Integration) -> Result<Vec<Write>, JobError> {
    if perimeter_of(integration).mode == PerimeterMode::Selected {
        return Ok(Vec::new());
    }
    let mark = format!("synced:{}", integration.id);
    let at = now().as_millisecond();
    let last = flow.store().get_mark(&integration.workspace, &mark).await?.and_then(|mark| mark.as_i64());
    if last.is_some_and(|last| at - last < SYNC_EVERY_MS) {
        return Ok(Vec::new());
    }
    Ok(vec![
        Write::SetMark { workspace: integration.workspace.clone(), name: mark, value: json!(at) },
        Write::Enqueue(sync_task(integration)),
    ])
}
