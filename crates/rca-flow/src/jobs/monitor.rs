//! A large change of the perimeter, a few repositories at a time, with its progress readable.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use rca_store::ClaimedTask;

use super::{JobError, JobResult, Settlement, field, integration_of};
use crate::{
    flow::Flow,
    operations::{BackfillPlan, End, item_write},
    types::OperationItem,
};

/// So many repositories at a time: each takes a few requests, and forges limit how fast things may be made.
const AT_A_TIME: usize = 4;
/// So many in one go, so that a server that stops need not wait for thousands, and other tasks have their turn.
const AT_ONCE: usize = 100;

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let integration = &integration_of(flow, task).await?;
    let operation: Option<String> = field(task, "operation")?;
    let add: Vec<String> = field(task, "add")?;
    let remove: Vec<String> = field(task, "remove")?;
    let backfill: Option<BackfillPlan> = field(task, "backfill")?;
    let (operation, backfill) = (operation.as_deref(), backfill.as_ref());
    let ended = match operation {
        Some(operation) => flow.ended_items(&task.workspace, operation).await?,
        None => Default::default(),
    };
    let changes = add.into_iter().map(|id| (id, true)).chain(remove.into_iter().map(|id| (id, false)));
    let mut open: Vec<_> = changes.enumerate().filter(|(position, _)| !ended.contains(position)).collect();
    // Without an operation nothing tells the next go what is done.
    let is_last = operation.is_none() || open.len() <= AT_ONCE;
    if !is_last {
        open.truncate(AT_ONCE);
    }
    stream::iter(open)
        .map(|(position, (id, is_added))| async move {
            let item = if is_added {
                flow.start_monitoring(integration, &id, backfill).await
            } else {
                flow.stop_monitoring(integration, &id).await
            };
            if let Some(operation) = operation {
                let item = OperationItem::Monitor(item);
                flow.store().write(vec![item_write(&task.workspace, operation, position, &item)]).await?;
            }
            Ok::<_, JobError>(())
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    if !is_last {
        return Ok(Settlement::wait(Duration::ZERO));
    }
    if operation.is_none() {
        // The repositories have their hooks now: those that served them before can go.
        flow.drop_namespace_hooks(integration).await?;
    }
    let end = match operation {
        Some(operation) => flow.end_operation(&task.workspace, operation, End::Done).await?,
        None => None,
    };
    Ok(Settlement::done(end.into_iter().collect()))
}
