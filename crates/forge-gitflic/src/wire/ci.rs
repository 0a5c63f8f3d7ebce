use std::collections::HashMap;

use forge_core::model::{Conclusion, Job, RepoRef, Run, Status};

use super::{Fields, branch_or_tag, conclusion_of, status_of, web_url};
use crate::clock::Clock;

/// A pipeline. Its id is the number within the project, by which the API addresses it; its UUID leads nowhere.
///
/// `config_error` is set when it failed for a reason of its own and never started.
pub(crate) fn run(fields: Fields<'_>, repo: &RepoRef, base_url: &str, clock: Clock) -> Option<Run> {
    let number = fields.number("localId")?;
    let mut run = Run::new(number.clone());
    let status = fields.word("status");
    run.status = status.as_deref().map_or(Status::Unknown, status_of);
    run.conclusion = status.as_deref().and_then(conclusion_of);
    (run.git_ref, run.ref_type) = branch_or_tag(fields.text("ref"));
    run.sha = fields.text("commitId");
    run.trigger = fields.word("source");
    run.web_url = web_url(base_url, repo, &format!("/ci-cd/pipeline/{number}"));
    run.number = Some(number);
    run.created_at = fields.time("createdAt", clock);
    let started_at = fields.time("startedAt", clock);
    run.finished_at = fields.time("finishedAt", clock);
    run.updated_at = run.finished_at.or(started_at).or(run.created_at);
    if run.is_failed() && !fields.has("startedAt") {
        run.config_error = fields.text("failureReason");
    }
    Some(run)
}

/// A job. Its id is the number within the project. A job with a warning failed, and was allowed to.
pub(crate) fn job(fields: Fields<'_>, run_id: &str, clock: Clock) -> Option<Job> {
    let run_id = fields.number("pipelineLocalId").unwrap_or_else(|| run_id.to_owned());
    let mut job = Job::new(fields.number("localId")?, run_id, fields.text("name").unwrap_or_default());
    let status = fields.word("status");
    job.status = status.as_deref().map_or(Status::Unknown, status_of);
    job.conclusion = status.as_deref().and_then(conclusion_of);
    if status.as_deref() == Some("WARNING") {
        job.conclusion = Some(Conclusion::Failure);
        job.is_allowed_to_fail = true;
    }
    job.stage = fields.text("stageName");
    job.failure_reason = fields.text("failureReason");
    job.started_at = fields.time("startedAt", clock);
    job.finished_at = fields.time("finishedAt", clock);
    job.is_log_erased = fields.has("erasedAt");
    Some(job)
}

/// Counts the attempts of jobs of one pipeline, which stand side by side in it under the same name.
pub(crate) fn number_jobs(jobs: &mut [Job]) {
    jobs.sort_by_key(|job| job.id.parse::<u64>().unwrap_or(u64::MAX));
    let mut attempts: HashMap<String, u32> = HashMap::new();
    for job in jobs.iter_mut() {
        let attempt = attempts.entry(job.name.clone()).or_default();
        *attempt += 1;
        job.attempt = *attempt;
    }
    for job in jobs {
        job.is_retried = attempts.get(&job.name).is_some_and(|last| *last > job.attempt);
    }
}

/// A file that a job left behind; one of them is its log.
#[derive(Debug, Clone)]
pub(crate) struct Artifact {
    pub(crate) id: Option<String>,
    pub(crate) download_url: Option<String>,
    is_trace: bool,
    is_named_log: bool,
}

impl Artifact {
    pub(crate) fn read(fields: Fields<'_>) -> Self {
        let name = fields.text("fileName").unwrap_or_default();
        Self {
            id: fields.id("id").or_else(|| fields.id("uuid")),
            download_url: fields.text("downloadUrl"),
            is_trace: fields.word("fileType").as_deref() == Some("TRACE"),
            is_named_log: name.to_ascii_lowercase().ends_with(".log"),
        }
    }

    /// The log among the files: the one that GitFlic calls a trace, else one with the name of a log. Never just the
    /// first, which may be a user's archive.
    pub(crate) fn log_among(all: Vec<Self>) -> Option<Self> {
        let index =
            all.iter().position(|it| it.is_trace).or_else(|| all.iter().position(|it| it.is_named_log))?;
        all.into_iter().nth(index)
    }
}
