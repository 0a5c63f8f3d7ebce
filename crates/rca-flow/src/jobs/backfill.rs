//! The last failures of a repository that has just become monitored: analysed, not posted.

use forge_core::{ErrorKind, ForgeClientExt};
use futures_util::TryStreamExt;
use jiff::SignedDuration;
use rca_store::ClaimedTask;

use super::{JobResult, Origin, Settlement, context, plan_run};
use crate::{
    flow::{Flow, now},
    integrations::backfill_of,
    monitor::repo_ref,
};

/// Older logs are gone at most forges.
const REACH: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let Some(context) = context(flow, task).await? else { return Ok(Settlement::done(Vec::new())) };
    let backfill = backfill_of(&context.integration);
    if !backfill.enabled || !context.repository.monitored {
        return Ok(Settlement::done(Vec::new()));
    }
    let mut writes = Vec::new();
    let mut left = backfill.runs;
    let mut runs =
        context.client.require_ci()?.list_failed_runs(&repo_ref(&context.repository), now() - REACH);
    while left > 0 {
        let run = match runs.try_next().await {
            Ok(Some(run)) => run,
            Ok(None) => break,
            // A repository without CI has no past.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => break,
            Err(error) => return Err(error.into()),
        };
        if !run.is_failed() {
            continue;
        }
        left -= 1;
        let origin = Origin { source: "backfill", post: false, only_job: None };
        writes.extend(plan_run(flow, &context, &run, origin).await?.writes);
    }
    Ok(Settlement::done(writes))
}
