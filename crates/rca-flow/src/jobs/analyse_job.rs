//! One failed job: its log, streamed through the redactor into the engine, never kept. A log that was analysed before
//! is not analysed again; its job has its own analysis and is told all the same.

use std::time::Duration;

use forge_core::{ErrorKind, ForgeClientExt, LogOptions, model::Job};
use rca_engine::Report;
use rca_store::{Analysis, ClaimedTask, ClusterHit, Write};

use super::{
    JobError, JobResult, Settlement,
    analyse_run::{said_of, said_when_last},
    context, facts, field,
    read_log::{Guide, Read, read},
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
    if !context.repository.monitored && analysis.source != "manual" {
        ended(&mut analysis, "failed", "the repository is not monitored any more");
        return Ok(Settlement::done(vec![Write::UpsertAnalysis(Box::new(analysis))]));
    }
    if job.is_log_erased {
        return Ok(Settlement::done(
            without_log(flow, &mut analysis, "the log was erased at the forge").await?,
        ));
    }
    let repo = job.repo.clone().unwrap_or_else(|| repo_ref(&context.repository));
    let ci = context.client.require_ci()?;
    let options = LogOptions::new(flow.config().log_max_bytes);
    let mut guide = Guide::of_job(flow, &context, &analysis, &job, true).await?;
    let (mut writes, green) = (std::mem::take(&mut guide.writes), guide.green.take());
    let log = ci.job_log(&repo, &job, options).await;
    let Read { mut report, input_key, reused_from } = match read(flow, &task.workspace, guide, log).await {
        Ok(read) => read,
        Err(JobError::Forge(error)) => {
            let reason = match error.kind() {
                ErrorKind::NotReady if age > PATIENCE => "the forge never finished the log",
                ErrorKind::Gone => "the log has expired or was erased",
                ErrorKind::NotFound => "the forge has no log of this job",
                // The log lies at a CI server that nobody has told us of.
                ErrorKind::Unsupported => error.message(),
                _ => return Err(error.into()),
            };
            writes.extend(without_log(flow, &mut analysis, reason).await?);
            return Ok(Settlement::done(writes));
        }
        Err(error) => return Err(error),
    };
    let told = facts::introduced_by(flow, &context, &analysis, &job, &report, green).await;
    analysis.introduced_by = Some(value(&told));
    (analysis.input_key, analysis.reused_from) = (Some(input_key), reused_from);
    reword(flow, &mut analysis, &mut report).await;
    writes.extend(finish(&mut analysis, &report, now().as_millisecond()));
    writes.extend(said_when_last(flow, &analysis).await?);
    Ok(Settlement::done(writes))
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
