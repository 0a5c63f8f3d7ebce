//! Runs, jobs and logs of GitHub Actions.

use async_trait::async_trait;
use forge_core::{
    BoxStream, Ci, Error, ErrorKind, ForgeKind, LogOptions, LogStream, Result,
    model::{Conclusion, Job, PullRequest, RepoRef, Run, RunRef, Status},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::{GitHubClient, More, repo_path, segment, shown},
    pull_requests, wire,
};

/// A job on GitHub's own runners ends after six hours at the latest (GitHub docs, actions/reference/limits).
const LONGEST_JOB: SignedDuration = SignedDuration::from_hours(6);
/// How long after the end of its job a log may still be missing.
const LOG_DELAY: SignedDuration = SignedDuration::from_mins(10);
/// The log's address, the storage's front, the storage.
const MAX_LOG_HOPS: usize = 3;

#[async_trait]
impl Ci for GitHubClient {
    async fn get_run(&self, repo: &RepoRef, run: &RunRef) -> Result<Run> {
        let path = format!("{}/actions/runs/{}", repo_path(repo)?, segment(&run.id)?);
        let path = match run.attempt {
            Some(attempt) => format!("{path}/attempts/{attempt}"),
            None => path,
        };
        let run: wire::Run = self.get(path, format!("read run {} of {}", run.id, shown(repo))).await?;
        Ok(run.into_model())
    }

    /// Newest created first.
    ///
    /// The list is read unfiltered: GitHub's `created` filter goes by the first attempt and would hide a re-run, its
    /// `status` filter knows no `startup_failure`, and a filtered list ends after 1000 runs. Reading stops after a page
    /// on which nothing changed since `since` and whose oldest run began more than six hours before it.
    fn list_failed_runs(&self, repo: &RepoRef, since: Timestamp) -> BoxStream<'static, Result<Run>> {
        let path = repo_path(repo).map(|path| format!("{path}/actions/runs?per_page=100"));
        let horizon = since.checked_sub(LONGEST_JOB).unwrap_or(Timestamp::MIN);
        self.list(path, format!("list failed runs of {}", shown(repo)), move |response| {
            let page: wire::RunPage = response.json()?;
            let runs: Vec<Run> = page.workflow_runs.into_iter().map(wire::Run::into_model).collect();
            let has_changed = |run: &Run| run.updated_at.is_none_or(|at| at >= since);
            let is_past = runs.last().is_none_or(|oldest| oldest.created_at.is_some_and(|at| at < horizon));
            let more = if is_past && !runs.iter().any(has_changed) { More::No } else { More::AsLinked };
            Ok((runs.into_iter().filter(|run| run.is_failed() && has_changed(run)).collect(), more))
        })
    }

    fn list_jobs(&self, repo: &RepoRef, run: &RunRef) -> BoxStream<'static, Result<Job>> {
        let path = repo_path(repo).and_then(|path| {
            let path = format!("{path}/actions/runs/{}", segment(&run.id)?);
            // By attempt, because the list by run mixes attempts while a re-run begins.
            Ok(match run.attempt {
                Some(attempt) => format!("{path}/attempts/{attempt}/jobs?per_page=100"),
                None => format!("{path}/jobs?per_page=100"),
            })
        });
        let run_id = run.id.clone();
        self.list(path, format!("list jobs of run {} of {}", run.id, shown(repo)), |response| {
            Ok((response.json::<wire::JobPage>()?.jobs, More::AsLinked))
        })
        .map_ok(move |job: wire::Job| job.into_model(&run_id))
        .boxed()
    }

    async fn get_job(&self, repo: &RepoRef, job_id: &str) -> Result<Job> {
        let path = format!("{}/actions/jobs/{}", repo_path(repo)?, segment(job_id)?);
        let job: wire::Job = self.get(path, format!("read job {job_id} of {}", shown(repo))).await?;
        Ok(job.into_model(""))
    }

    async fn job_log(&self, repo: &RepoRef, job: &Job, options: LogOptions) -> Result<LogStream> {
        let path = format!("{}/actions/jobs/{}/logs", repo_path(repo)?, segment(&job.id)?);
        let operation = format!("read the log of job {} of {}", job.id, shown(repo));
        let request = self.api.get(&path).operation(&operation);
        match request.stream_following(options.max_bytes, MAX_LOG_HOPS).await {
            Ok(response) => Ok(response.into_log()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.explain_missing_log(repo, job, error).await)
            }
            Err(error) => Err(error),
        }
    }

    async fn find_pull_requests(&self, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
        pull_requests::find(self, repo, run).await
    }
}

impl GitHubClient {
    /// A 404 for a log means that it is not there yet, that there never was one, or that we may not see it. The job
    /// tells them apart.
    async fn explain_missing_log(&self, repo: &RepoRef, job: &Job, error: Error) -> Error {
        let current;
        let job = if job.status == Status::Completed && job.finished_at.is_some() {
            job
        } else {
            match self.get_job(repo, &job.id).await {
                Ok(job) => {
                    current = job;
                    &current
                }
                // Not even the job is to be seen: then the 404 is about more than the log.
                Err(_) => return error,
            }
        };
        let missing = |kind: ErrorKind, message: &str| {
            Error::new(kind, message).with_forge(ForgeKind::GITHUB).with_status(404).with_operation(format!(
                "read the log of job {} of {}",
                job.id,
                shown(repo)
            ))
        };
        if job.status != Status::Completed {
            return missing(ErrorKind::NotReady, "the job has not ended and its log is not there yet");
        }
        if job.conclusion == Some(Conclusion::Skipped) {
            return missing(ErrorKind::NotFound, "the job was skipped and has no log");
        }
        let is_fresh = job.finished_at.is_none_or(|at| Timestamp::now().duration_since(at) < LOG_DELAY);
        if is_fresh {
            missing(ErrorKind::NotReady, "the job has just ended and its log is not there yet")
        } else {
            missing(ErrorKind::NotFound, "the job has no log")
                .with_hint("it never started, its log was deleted, or the token may not read Actions")
        }
    }
}
