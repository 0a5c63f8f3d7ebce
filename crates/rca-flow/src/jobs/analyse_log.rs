//! A log that was sent to us. It was redacted before it was sealed, and is wiped with the end of its analysis.

#![expect(
    clippy::disallowed_methods,
    reason = "the secret is used here, where it goes into a request, a cipher or a hash"
)]

use std::time::Instant;

use rca_engine::{Redactions, Report};
use rca_store::{ClaimedTask, SecretOwner, Write};
use secrecy::{ExposeSecret, SecretString};

use super::{
    JobError, JobResult, Settlement,
    analyse_job::finish,
    field,
    place_log::{belongs_to, place_task, told_alone},
    read_log::Guide,
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
    let guide = Guide::of_workspace(flow, &task.workspace).await?;
    let sha256: String = field(task, "sha256").unwrap_or_default();
    let (input_key, known) = guide.known(flow, &task.workspace, &sha256, false).await?;
    let (mut report, reused_from) = match known {
        Some((report, id)) => (report, Some(id)),
        None => (made(flow, task, guide, log).await?, None),
    };
    (analysis.input_key, analysis.reused_from) = (Some(input_key), reused_from);
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

async fn made(flow: &Flow, task: &ClaimedTask, guide: Guide, log: SecretString) -> Result<Report, JobError> {
    let (mut analyzer, notes) = guide.into_analyzer();
    let analysed = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        analyzer.push(log.expose_secret().as_bytes());
        (analyzer.finish(), began.elapsed())
    });
    let (mut report, time): (Report, _) =
        analysed.await.map_err(|_| JobError::Store("the analysis was interrupted".to_owned()))?;
    flow.0.measures.log_done(report.log.bytes, time);
    report.notes.extend(notes);
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
    Ok(report)
}
