//! Removing what has ended longer ago than the retention says. One task for the whole database, for ever.

use std::time::Duration;

use rca_store::NewTask;
use serde_json::json;

use super::{JobResult, PRUNE, Settlement};
use crate::flow::Flow;

const EVERY: Duration = Duration::from_secs(60 * 60);
/// When the database did not take it.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Small, so that other writers wait only shortly.
const BATCH: u32 = 500;
/// Then others have their turn first.
const MOST_BATCHES: usize = 200;

pub(crate) fn task(flow: &Flow) -> NewTask {
    NewTask::new(flow.store().default_workspace(), PRUNE, PRUNE, json!({})).with_priority(-20)
}

pub(super) async fn run(flow: &Flow) -> JobResult {
    for _ in 0..MOST_BATCHES {
        match flow.store().prune(flow.config().retention, BATCH).await {
            Ok(pruned) if pruned.is_empty() => return Ok(Settlement::wait(EVERY)),
            Ok(pruned) => tracing::info!(?pruned, "removed what is older than the retention"),
            // Never given up: without it the database grows until the disk is full.
            Err(error) => {
                tracing::warn!(%error, "cannot remove what is older than the retention");
                return Ok(Settlement::wait(AFTER_FAILURE));
            }
        }
    }
    Ok(Settlement::wait(AFTER_FAILURE))
}
