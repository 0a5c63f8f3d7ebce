//! The last failures of a repository that has just become monitored: analysed, not posted.

use forge_core::{ErrorKind, ForgeClientExt};
use futures_util::TryStreamExt;
use jiff::SignedDuration;
use rca_store::{ClaimedTask, Write};

use super::{Context, JobError, JobResult, Origin, Settlement, context, field, plan_run};
use crate::{
    flow::{Flow, now},
    integrations::backfill_of,
    monitor::repo_ref,
    operations::backfill_write,
};

/// Older logs are gone at most forges.
const REACH: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let (mut writes, runs) = match context(flow, task).await? {
        Some(context) => plan(flow, &context).await?,
        None => (Vec::new(), 0),
    };
    writes.extend(ended(task, runs, None));
    Ok(Settlement::done(writes))
}

pub(super) fn give_up(task: &ClaimedTask, reason: &str) -> Vec<Write> {
    ended(task, 0, Some(reason.to_owned())).into_iter().collect()
}

/// Its record in the operation that it belongs to.
fn ended(task: &ClaimedTask, runs: usize, error: Option<String>) -> Option<Write> {
    let item: Option<String> = field(task, "item").ok()?;
    let repository: String = field(task, "repository").ok()?;
    Some(backfill_write(&task.workspace, &item?, &repository, runs, error))
}

/// What is to be analysed, and of how many runs.
async fn plan(flow: &Flow, context: &Context) -> Result<(Vec<Write>, usize), JobError> {
    let backfill = backfill_of(&context.integration);
    let (mut writes, mut found) = (Vec::new(), 0);
    if !backfill.enabled || !context.repository.monitored {
        return Ok((writes, found));
    }
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
        found += 1;
        let origin = Origin { source: "backfill", post: false, only_job: None };
        writes.extend(plan_run(flow, context, &run, origin).await?.writes);
    }
    Ok((writes, found))
}
