//! One failed job: its log, streamed through the redactor into the engine, never kept.

use std::time::{Duration, Instant};

use forge_core::{ErrorKind, ForgeClientExt, LogOptions, model::Job};
use futures_util::TryStreamExt;
use rca_engine::{Analyzer, Report};
use rca_store::{Analysis, ClaimedTask, ClusterHit, Write};

use super::{
    JobError, JobResult, Settlement,
    analyse_run::{said_of, said_when_last},
    context, facts, field,
};
use crate::{
    connect::{value, word},
    flow::{Flow, now},
    monitor::repo_ref,
    rewording::reword,
};

/// How long a forge may take to have the log of a job that has ended.
const PATIENCE: Duration = Duration::from_mins(10);

pub(super) async fn run(flow: &Flow, task: &ClaimedTask, age: Duration) -> JobResult {
    let id: String = field(task, "analysis")?;
    let job: Job = field(task, "job")?;
    let Some(mut analysis) = flow.store().get_analysis(&task.workspace, &id).await? else {
        return Err(JobError::Dead("the analysis is gone".to_owned()));
    };
    if !matches!(analysis.state.as_str(), "queued" | "running") {
        return Ok(Settlement::done(said_of(&analysis)));
    }
    let Some(context) = context(flow, task).await? else {
        return Ok(Settlement::done(
            without_log(flow, &mut analysis, "the repository is not visible any more").await?,
        ));
    };
    if job.is_log_erased {
        return Ok(Settlement::done(
            without_log(flow, &mut analysis, "the log was erased at the forge").await?,
        ));
    }
    let repo = job.repo.clone().unwrap_or_else(|| repo_ref(&context.repository));
    let ci = context.client.require_ci()?;
    let options = LogOptions::new(flow.config().log_max_bytes);
    let mut report = match read(flow, ci.job_log(&repo, &job, options).await).await {
        Ok(report) => report,
        Err(error) => {
            let reason = match error.kind() {
                ErrorKind::NotReady if age > PATIENCE => "the forge never finished the log",
                ErrorKind::Gone => "the log has expired or was erased",
                ErrorKind::NotFound => "the forge has no log of this job",
                // The log lies at a CI server that nobody has told us of.
                ErrorKind::Unsupported => error.message(),
                _ => return Err(error.into()),
            };
            return Ok(Settlement::done(without_log(flow, &mut analysis, reason).await?));
        }
    };
    let told = facts::introduced_by(flow, &context, &analysis, &job, &report).await;
    analysis.introduced_by = Some(value(&told));
    reword(flow, &mut analysis, &mut report).await;
    let mut writes = finish(&mut analysis, &report, now().as_millisecond());
    writes.extend(said_when_last(flow, &analysis).await?);
    Ok(Settlement::done(writes))
}

/// The report of a log, which is streamed through.
pub(crate) async fn read(
    flow: &Flow,
    log: forge_core::Result<forge_core::LogStream>,
) -> forge_core::Result<Report> {
    let mut log = log?;
    let mut analyzer = Analyzer::new();
    let mut time = Duration::ZERO;
    while let Some(chunk) = log.bytes.try_next().await? {
        let began = Instant::now();
        analyzer.push(&chunk);
        time += began.elapsed();
        // The engine computes; others share this thread.
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let mut report = analyzer.finish();
    flow.0.measures.log_done(report.log.bytes, time + began.elapsed());
    if log.is_truncated() {
        report.truncated = true;
        report.notes.push("the log was longer than the limit and was read only in part".to_owned());
    }
    Ok(report)
}

/// Stores what the engine says.
pub(crate) fn finish(analysis: &mut Analysis, report: &Report, at: i64) -> Vec<Write> {
    analysis.state = "done".to_owned();
    analysis.error = None;
    analysis.finished_at = Some(at);
    analysis.category = Some(word(&report.category));
    analysis.severity = Some(word(&report.severity));
    let has_cause = !report.root_cause.is_empty() && !report.fingerprint.is_empty();
    analysis.fingerprint = has_cause.then(|| report.fingerprint.clone());
    analysis.report = Some(value(report));
    let mut writes = vec![Write::UpsertAnalysis(Box::new(analysis.clone()))];
    if has_cause {
        writes.push(Write::UpsertCluster(ClusterHit {
            workspace: analysis.workspace.clone(),
            fingerprint: report.fingerprint.clone(),
            category: analysis.category.clone(),
            root_cause: Some(report.root_cause.clone()),
            repository: analysis.repository.clone(),
            analysis: analysis.id.clone(),
        }));
    }
    writes
}

async fn without_log(flow: &Flow, analysis: &mut Analysis, reason: &str) -> Result<Vec<Write>, JobError> {
    ended(analysis, "no_log", reason);
    let mut writes = vec![Write::UpsertAnalysis(Box::new(analysis.clone()))];
    writes.extend(said_when_last(flow, analysis).await?);
    Ok(writes)
}

fn ended(analysis: &mut Analysis, state: &str, reason: &str) {
    analysis.state = state.to_owned();
    analysis.error = Some(reason.to_owned());
    analysis.finished_at = Some(now().as_millisecond());
}

/// The analysis of a task that was given up says so.
pub(super) async fn give_up(flow: &Flow, task: &ClaimedTask, reason: &str) -> Vec<Write> {
    let Ok(id) = field::<String>(task, "analysis") else { return Vec::new() };
    match flow.store().get_analysis(&task.workspace, &id).await {
        Ok(Some(mut analysis)) if matches!(analysis.state.as_str(), "queued" | "running") => {
            ended(&mut analysis, "failed", reason);
            let said = said_of(&analysis);
            std::iter::once(Write::UpsertAnalysis(Box::new(analysis))).chain(said).collect()
        }
        _ => Vec::new(),
    }
}
