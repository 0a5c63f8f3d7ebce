//! Pipelines, their steps and logs.

use std::sync::{Arc, atomic::AtomicBool};

use async_trait::async_trait;
use forge_core::{
    BoxStream, Ci, Error, ErrorKind, ForgeKind, LogOptions, LogStream, Result,
    model::{Conclusion, Job, PullRequest, RepoRef, Run, RunRef, Status},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderValue, header};
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::{BitbucketCloudClient, More, repo_path, segment, shown},
    pull_requests, wire,
};

/// How long a pipeline may take until it ends, as far as looking for failed ones goes.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(24);
/// How long after the end of its step a log may still be missing.
const LOG_DELAY: SignedDuration = SignedDuration::from_mins(10);
/// A step that ended longer ago had a log, which has expired. The time for which logs are kept is not documented.
const LOG_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The log's address, the storage's front, the storage.
const MAX_LOG_HOPS: usize = 3;

#[async_trait]
impl Ci for BitbucketCloudClient {
    async fn get_run(&self, repo: &RepoRef, run: &RunRef) -> Result<Run> {
        Ok(self.pipeline(repo, &run.id).await?.into_model(&self.place.web, repo))
    }

    /// Those that failed, then those that could not run, each newest created first.
    ///
    /// Two lists, because it is not documented that `status` may be given twice. A page is the last one when nothing
    /// on it changed since `since` and its oldest run began more than a day before: a run keeps its creation time when
    /// its steps are run again.
    fn list_failed_runs(&self, repo: &RepoRef, since: Timestamp) -> BoxStream<'static, Result<Run>> {
        let horizon = since.checked_sub(LONGEST_RUN).unwrap_or(Timestamp::MIN);
        let list = |status: &str| {
            let (client, place, repo) = (self.clone(), self.place.web.clone(), repo.clone());
            let path = repo_path(&repo)
                .map(|path| format!("{path}/pipelines?status={status}&sort=-created_on&pagelen=100"));
            let operation = format!("list failed runs of {}", shown(&repo));
            self.list(path, operation, move |values: Vec<wire::Pipeline>| {
                for pipeline in &values {
                    client.remember_pipeline(&repo, pipeline.build_number, &pipeline.uuid);
                }
                let runs: Vec<Run> =
                    values.into_iter().map(|pipeline| pipeline.into_model(&place, &repo)).collect();
                let has_changed = |run: &Run| run.updated_at.is_none_or(|at| at >= since);
                let is_past =
                    runs.last().is_none_or(|oldest| oldest.created_at.is_some_and(|at| at < horizon));
                let more = if is_past && !runs.iter().any(has_changed) { More::No } else { More::AsLinked };
                (runs.into_iter().filter(|run| run.is_failed() && has_changed(run)).collect(), more)
            })
        };
        list("FAILED").chain(list("ERROR")).boxed()
    }

    /// The latest run of every step; Bitbucket does not list earlier ones.
    fn list_jobs(&self, repo: &RepoRef, run: &RunRef) -> BoxStream<'static, Result<Job>> {
        let (client, repo, run_id) = (self.clone(), repo.clone(), run.id.clone());
        let operation = format!("list jobs of run {run_id} of {}", shown(&repo));
        stream::once(async move {
            let (number, uuid) = if run_id.starts_with('{') {
                let pipeline = client.pipeline(&repo, &run_id).await?;
                (pipeline.build_number.to_string(), pipeline.uuid)
            } else {
                let uuid = client.pipeline_uuid(&repo, &run_id).await?;
                (run_id, uuid)
            };
            let path = format!("{}/pipelines/{}/steps?pagelen=100", repo_path(&repo)?, segment(&uuid)?);
            let web = client.place.web.clone();
            let steps = client.list(Ok(path), operation, |values: Vec<wire::Step>| (values, More::AsLinked));
            let jobs = steps.enumerate().map(move |(index, step)| {
                step.map(|step: wire::Step| step.into_model(&web, &repo, &number, Some(index + 1)))
            });
            Ok::<_, Error>(jobs)
        })
        .try_flatten()
        .boxed()
    }

    async fn get_job(&self, repo: &RepoRef, job_id: &str) -> Result<Job> {
        let (step, id, _) = self.step(repo, job_id).await?;
        Ok(step.into_model(&self.place.web, repo, &id.run, None))
    }

    /// The step is read first: the log's address is the same for every run of it, and another run's log must not stand
    /// for this one's.
    async fn job_log(&self, repo: &RepoRef, job: &Job, options: LogOptions) -> Result<LogStream> {
        let (step, id, path) = self.step(repo, &job.id).await?;
        let step = step.into_model(&self.place.web, repo, &id.run, None);
        let operation = format!("read the log of job {} of {}", job.id, shown(repo));
        let refused = |kind, message: &str| {
            Error::new(kind, message).with_forge(ForgeKind::BITBUCKET_CLOUD).with_operation(operation.clone())
        };
        if step.status != Status::Completed && step.status != Status::Unknown {
            return Err(refused(ErrorKind::NotReady, "the step has not ended and its log is not whole"));
        }
        // One byte more than is wanted, so that it shows whether there was more. The storage does not see the header.
        let range = HeaderValue::from_str(&format!("bytes=0-{}", options.max_bytes));
        let mut request = self
            .api
            .get(&format!("{path}/log"))
            .operation(&operation)
            .header(header::ACCEPT, HeaderValue::from_static("application/octet-stream"))
            .allow_status(416);
        if let Ok(range) = range {
            request = request.header(header::RANGE, range);
        }
        let error = match request.stream_following(options.max_bytes, MAX_LOG_HOPS).await {
            // An empty log has no first byte.
            Ok(response) if response.status().as_u16() == 416 => {
                let truncated = Arc::new(AtomicBool::new(false));
                return Ok(LogStream { bytes: stream::empty().boxed(), truncated });
            }
            Ok(response) => return Ok(response.into_log()),
            Err(error) => error,
        };
        let age = step.finished_at.map(|at| Timestamp::now().duration_since(at));
        match error.kind() {
            ErrorKind::NotReady if age.is_some_and(|age| age > LONGEST_RUN) => {
                Err(refused(ErrorKind::Gone, "the log is gone from Bitbucket's log storage").with_status(404))
            }
            ErrorKind::NotFound => Err(match age {
                _ if step.conclusion == Some(Conclusion::Skipped) => {
                    refused(ErrorKind::NotFound, "the step did not run and has no log")
                }
                Some(age) if age < LOG_DELAY => {
                    refused(ErrorKind::NotReady, "the step has just ended and its log is not there yet")
                }
                Some(age) if age > LOG_LIFE => refused(ErrorKind::Gone, "the log has expired"),
                _ => refused(ErrorKind::NotFound, "the step has no log"),
            }
            .with_status(404)),
            _ => Err(error),
        }
    }

    async fn find_pull_requests(&self, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
        pull_requests::find(self, repo, run).await
    }
}
