//! A log that was sent to us. It was redacted before it was sealed, and is wiped with the end of its analysis.

#![expect(
    clippy::disallowed_methods,
    reason = "the secret is used here, where it goes into a request, a cipher or a hash"
)]

use std::time::Instant;

use rca_engine::{Redactions, Report};
use rca_store::{ClaimedTask, SecretOwner, Write};
use secrecy::ExposeSecret;

use super::{
    JobError, JobResult, Settlement,
    analyse_job::finish,
    field,
    place_log::{belongs_to, place_task, told_alone},
};
use crate::{
    connect::value,
    flow::{Flow, now},
    introduced_by::{Known, decide},
    rewording::reword,
};

/// The name under which a waiting log is sealed.
pub(crate) const LOG_SECRET: &str = "log";

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let id: String = field(task, "analysis")?;
    let owner = SecretOwner::new("analysis", id.clone());
    let Some(mut analysis) = flow.store().get_analysis(&task.workspace, &id).await? else {
        return Err(JobError::Dead("the analysis is gone".to_owned()));
    };
    if analysis.state != "queued" {
        flow.store().delete_secrets(&task.workspace, &owner).await?;
        return Ok(Settlement::done(Vec::new()));
    }
    let Some(log) = flow.store().get_secret(&task.workspace, &owner, LOG_SECRET).await? else {
        return Err(JobError::Dead("the log is gone".to_owned()));
    };
    let analysed = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let report = rca_engine::analyze(log.expose_secret().as_bytes());
        (report, began.elapsed())
    });
    let (mut report, time): (Report, _) =
        analysed.await.map_err(|_| JobError::Store("the analysis was interrupted".to_owned()))?;
    flow.0.measures.log_done(report.log.bytes, time);
    // What was removed on arrival is not seen by the engine any more.
    let removed: Redactions = field(task, "redactions").unwrap_or_default();
    report.redactions.count += removed.count;
    for (kind, count) in removed.kinds {
        *report.redactions.kinds.entry(kind).or_default() += count;
    }
    if let (Ok(sha256), Ok(bytes)) = (field(task, "sha256"), field(task, "bytes")) {
        report.log.sha256 = sha256;
        report.log.bytes = bytes;
    }
    // Of a log alone no more can be told than a fault around the job.
    analysis.introduced_by = Some(value(&decide(&report, &Known::default())));
    reword(flow, &mut analysis, &mut report).await;
    // Wiped by a task of its own kind of end: once the state is no more `queued`, a repeat wipes and stops.
    let mut writes = finish(&mut analysis, &report, now().as_millisecond());
    match belongs_to(flow, &analysis).await? {
        Ok(repository) => {
            // It may be a failure that the forge tells of as well: it is counted when that is known.
            writes.retain(|write| !matches!(write, Write::UpsertCluster(_)));
            writes.push(Write::Enqueue(place_task(&analysis, &repository)));
        }
        Err(reason) => writes.extend(told_alone(&analysis, reason.as_deref())),
    }
    flow.store().write(writes).await?;
    flow.store().delete_secrets(&task.workspace, &owner).await?;
    Ok(Settlement::done(Vec::new()))
}
