//! What the worker does: one task kind each.
//!
//! Every one can be stopped at any point and begun again: what it did at the forge is found again by its mark there,
//! and what it writes here is written together with its end.

use std::time::Duration;

use forge_core::ForgeClient;
use rca_store::{
    ANNOUNCE_INCIDENT, ClaimedTask, DeliveryStatus, Integration, NewTask, Outcome, Repository, Write,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{
    error::{FlowError, FlowErrorKind},
    flow::Flow,
    operations::{BackfillPlan, End, sync_operation},
};

mod analyse_job;
mod analyse_log;
mod analyse_run;
mod announce;
mod app_changed;
mod backfill;
pub(crate) mod check;
mod digest;
mod facts;
mod feedback;
mod hooks;
mod later;
mod learn_green;
mod monitor;
mod notify;
mod passed_log;
mod place_log;
mod poll;
mod process_delivery;
pub(crate) mod prune;
mod rate_caps;
mod read_log;
mod sync;

pub(crate) use analyse_job::finish;
pub(crate) use analyse_log::LOG_SECRET;
pub(crate) use analyse_run::{Origin, plan_run};
pub(crate) use announce::{Told, notification};
pub(crate) use digest::digest_task;
pub(crate) use facts::introduced_by;
pub(crate) use feedback::failed_job;
pub(crate) use hooks::{hook_is_well, no_longer_silent};
pub(crate) use notify::{incident_code, is_lost, lost, notify_task};
pub(crate) use passed_log::passed;
pub(crate) use read_log::{Guide, read as read_log};
pub(crate) use sync::is_under;

pub(crate) const PROCESS_DELIVERY: &str = "process_delivery";
pub(crate) const ANNOUNCE: &str = "announce";
pub(crate) const ANNOUNCE_FIXED: &str = "announce_fixed";
pub(crate) const NOTIFY: &str = "notify";
pub(crate) const APP_CHANGED: &str = "app_changed";
pub(crate) const ANALYSE_JOB: &str = "analyse_job";
pub(crate) const ANALYSE_LOG: &str = "analyse_log";
pub(crate) const FEEDBACK: &str = "feedback";
pub(crate) const BACKFILL: &str = "backfill";
pub(crate) const CHECK: &str = "check";
pub(crate) const LEARN_GREEN: &str = "learn_green";
pub(crate) const MONITOR: &str = "monitor";
pub(crate) const PLACE_LOG: &str = "place_log";
pub(crate) const DIGEST: &str = "digest";
pub(crate) const POLL: &str = "poll";
pub(crate) const PRUNE: &str = "prune";
pub(crate) const SYNC: &str = "sync";

/// The context of the commit status that we set; events about it are ours and make no work.
pub(crate) const STATUS_CONTEXT: &str = "forge-rca";

/// Every kind, for claiming.
pub(crate) const KINDS: [&str; 18] = [
    PROCESS_DELIVERY,
    APP_CHANGED,
    ANALYSE_JOB,
    ANALYSE_LOG,
    FEEDBACK,
    BACKFILL,
    LEARN_GREEN,
    MONITOR,
    POLL,
    SYNC,
    ANNOUNCE,
    ANNOUNCE_FIXED,
    ANNOUNCE_INCIDENT,
    NOTIFY,
    PRUNE,
    PLACE_LOG,
    DIGEST,
    CHECK,
];

/// Those that come again for ever: two for each integration, which look after it and its credential, one for each channel
/// that waits for its digest, and the one that removes what is older than the retention.
pub(crate) const RECURRING: [&str; 4] = [POLL, CHECK, DIGEST, PRUNE];

/// How a task ended, and what it writes with its end.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) outcome: Outcome,
    pub(crate) writes: Vec<Write>,
}

impl Settlement {
    fn done(writes: Vec<Write>) -> Self {
        Self { outcome: Outcome::Done, writes }
    }

    fn wait(pause: Duration) -> Self {
        let delay_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        Self { outcome: Outcome::Wait { delay_ms }, writes: Vec::new() }
    }
}

/// Why a task did not end.
#[derive(Debug)]
pub(crate) enum JobError {
    /// A call to the forge failed: its kind says what to do.
    Forge(forge_core::Error),
    /// The store failed: try again.
    Store(String),
    /// It cannot succeed.
    Dead(String),
}

impl From<forge_core::Error> for JobError {
    fn from(error: forge_core::Error) -> Self {
        Self::Forge(error)
    }
}

impl From<rca_store::Error> for JobError {
    fn from(error: rca_store::Error) -> Self {
        match error.kind() {
            rca_store::ErrorKind::NotFound | rca_store::ErrorKind::Invalid => Self::Dead(error.to_string()),
            _ => Self::Store(error.to_string()),
        }
    }
}

impl From<FlowError> for JobError {
    fn from(error: FlowError) -> Self {
        match error.kind {
            FlowErrorKind::Unavailable | FlowErrorKind::BadGateway | FlowErrorKind::RateLimited => {
                Self::Store(error.message)
            }
            _ => Self::Dead(error.message),
        }
    }
}

pub(crate) type JobResult = Result<Settlement, JobError>;

/// Does a task.
pub(crate) async fn run(flow: &Flow, task: &ClaimedTask, age: Duration) -> JobResult {
    match task.kind.as_str() {
        PROCESS_DELIVERY => process_delivery::run(flow, task, age).await,
        APP_CHANGED => app_changed::run(flow, task).await,
        ANALYSE_JOB => analyse_job::run(flow, task, age).await,
        ANALYSE_LOG => analyse_log::run(flow, task).await,
        FEEDBACK => feedback::run(flow, task, age).await,
        BACKFILL => backfill::run(flow, task).await,
        CHECK => check::run(flow, task).await,
        LEARN_GREEN => learn_green::run(flow, task, age).await,
        MONITOR => monitor::run(flow, task).await,
        POLL => poll::run(flow, task).await,
        SYNC => sync::run(flow, task).await,
        ANNOUNCE => announce::run(flow, task).await,
        ANNOUNCE_FIXED => announce::fixed(flow, task).await,
        ANNOUNCE_INCIDENT => announce::incident(flow, task).await,
        NOTIFY => notify::run(flow, task, age).await,
        PRUNE => prune::run(flow).await,
        PLACE_LOG => place_log::run(flow, task, age).await,
        DIGEST => digest::run(flow, task).await,
        other => Err(JobError::Dead(format!("this version knows no task '{other}'"))),
    }
}

/// What is written when a task is given up, so that people see it where they look.
pub(crate) async fn give_up(flow: &Flow, task: &ClaimedTask, reason: &str) -> Vec<Write> {
    match task.kind.as_str() {
        ANALYSE_JOB | ANALYSE_LOG => analyse_job::give_up(flow, task, reason).await,
        BACKFILL => backfill::give_up(task, reason),
        FEEDBACK => feedback::give_up(flow, task, reason).await,
        NOTIFY => notify::give_up(flow, task, reason).await,
        PLACE_LOG => place_log::give_up(flow, task, reason).await,
        MONITOR | SYNC => operation_failed(flow, task, reason).await,
        _ => Vec::new(),
    }
}

/// What is written when the integration of a task was disconnected: an end for everything that waits for it.
pub(crate) async fn abandon(flow: &Flow, task: &ClaimedTask, reason: &str) -> Vec<Write> {
    let mut writes = give_up(flow, task, reason).await;
    let Ok(id) = field::<String>(task, "delivery") else { return writes };
    let delivery = flow.store().get_delivery(&task.workspace, &id).await;
    if delivery.is_ok_and(|found| found.is_some_and(|found| found.status == DeliveryStatus::Pending)) {
        writes.push(Write::SetDeliveryStatus {
            workspace: task.workspace.clone(),
            id,
            status: DeliveryStatus::Ignored,
            reason: Some(reason.to_owned()),
            analyses: Vec::new(),
        });
    }
    writes
}

/// Whether a task of this kind comes again for ever.
pub(crate) fn is_recurring(kind: &str) -> bool {
    RECURRING.contains(&kind)
}

async fn operation_failed(flow: &Flow, task: &ClaimedTask, reason: &str) -> Vec<Write> {
    let operation = match task.kind.as_str() {
        SYNC => integration_of(flow, task).await.ok().map(|integration| sync_operation(&integration)),
        _ => field::<Option<String>>(task, "operation").ok().flatten(),
    };
    let Some(operation) = operation else { return Vec::new() };
    let end = flow.end_operation(&task.workspace, &operation, End::Failed(reason.to_owned())).await;
    end.ok().flatten().into_iter().collect()
}

pub(crate) fn sync_task(integration: &Integration) -> NewTask {
    NewTask::new(integration.workspace.clone(), SYNC, format!("sync:{}", integration.id), json!({}))
        .with_integration(integration.id.clone())
}

pub(crate) fn poll_task(integration: &Integration) -> NewTask {
    NewTask::new(integration.workspace.clone(), POLL, format!("poll:{}", integration.id), json!({}))
        .with_integration(integration.id.clone())
}

/// `item` is where its end is recorded. Tasks of two operations stay two, so that both come to their ends.
pub(crate) fn backfill_task(
    integration: &Integration,
    repository: &Repository,
    item: Option<&str>,
) -> NewTask {
    NewTask::new(
        integration.workspace.clone(),
        BACKFILL,
        format!("backfill:{}:{}", repository.id, item.unwrap_or_default()),
        json!({ "repository": repository.id, "item": item }),
    )
    .with_integration(integration.id.clone())
    .with_priority(-10)
}

pub(crate) fn monitor_task(
    integration: &Integration,
    operation: &str,
    add: &[String],
    remove: &[String],
    backfill: Option<&BackfillPlan>,
) -> NewTask {
    let payload = json!({ "operation": operation, "add": add, "remove": remove, "backfill": backfill });
    NewTask::new(integration.workspace.clone(), MONITOR, format!("monitor:{operation}"), payload)
        .with_integration(integration.id.clone())
}

pub(crate) fn feedback_task(integration: &str, workspace: &str, repository: &str, target: &Value) -> NewTask {
    let key = target.get("key").and_then(Value::as_str).unwrap_or_default();
    NewTask::new(
        workspace,
        FEEDBACK,
        format!("feedback:{repository}:{key}"),
        json!({ "repository": repository, "target": target }),
    )
    .with_integration(integration)
    .with_priority(5)
}

fn field<T: DeserializeOwned>(task: &ClaimedTask, name: &str) -> Result<T, JobError> {
    let value = task.payload.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value)
        .map_err(|_| JobError::Dead(format!("the task's field '{name}' cannot be read")))
}

/// The integration, repository and client of a task.
pub(crate) struct Context {
    pub(crate) integration: Integration,
    pub(crate) repository: Repository,
    pub(crate) client: Arc<dyn ForgeClient>,
}

/// `None`: the repository is not monitored any more, or gone; nothing is to be done for it.
async fn integration_of(flow: &Flow, task: &ClaimedTask) -> Result<Integration, JobError> {
    let id = task.integration.as_deref().unwrap_or_default();
    Ok(flow.integration(&task.workspace, id).await?)
}

async fn context(flow: &Flow, task: &ClaimedTask) -> Result<Option<Context>, JobError> {
    let integration = integration_of(flow, task).await?;
    let id: String = field(task, "repository")?;
    let Some(repository) = flow.store().get_repository(&task.workspace, &id).await? else { return Ok(None) };
    let client = flow.client(&integration).await?;
    Ok(Some(Context { integration, repository, client }))
}
