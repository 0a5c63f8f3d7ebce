//! Removing what has ended longer ago than the retention says: the operator's for all, and a shorter one where a
//! workspace wants it. One task for the whole database, for ever.

use std::time::Duration;

use rca_store::{NewTask, Retention};
use serde_json::json;

use super::{JobResult, PRUNE, Settlement};
use crate::{flow::Flow, settings};

const EVERY: Duration = Duration::from_secs(60 * 60);
/// When the database did not take it, and when there is more to remove.
const SOON: Duration = Duration::from_secs(60);
/// Small, so that other writers wait only shortly.
const BATCH: u32 = 500;
/// Then others have their turn first.
const MOST_BATCHES: usize = 200;

pub(crate) fn task(flow: &Flow) -> NewTask {
    NewTask::new(flow.store().default_workspace(), PRUNE, PRUNE, json!({})).with_priority(-20)
}

pub(super) async fn run(flow: &Flow) -> JobResult {
    match all(flow).await {
        Ok(true) => Ok(Settlement::wait(EVERY)),
        Ok(false) => Ok(Settlement::wait(SOON)),
        // Never given up: without it the database grows until the disk is full.
        Err(error) => {
            tracing::warn!(%error, "cannot remove what is older than the retention");
            Ok(Settlement::wait(SOON))
        }
    }
}

/// Whether nothing is left to remove.
async fn all(flow: &Flow) -> rca_store::Result<bool> {
    let operator = flow.config().retention;
    let mut batches = 0;
    if !until_empty(flow, None, operator, &mut batches).await? {
        return Ok(false);
    }
    for (workspace, wishes) in flow.store().list_settings_with("retention").await? {
        let retention = settings::retention(&wishes, operator);
        if !until_empty(flow, Some(&workspace), retention, &mut batches).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn until_empty(
    flow: &Flow,
    workspace: Option<&str>,
    retention: Retention,
    batches: &mut usize,
) -> rca_store::Result<bool> {
    loop {
        let pruned = flow.store().prune(workspace, retention, BATCH).await?;
        if pruned.is_empty() {
            return Ok(true);
        }
        tracing::info!(workspace, ?pruned, "removed what is older than the retention");
        *batches += 1;
        if *batches >= MOST_BATCHES {
            return Ok(false);
        }
    }
}
