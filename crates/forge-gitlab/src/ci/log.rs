//! A job's log: docs api/jobs.md, "Get a log file".

use std::time::Duration;

use bytes::Bytes;
use forge_core::{
    BoxStream, ErrorKind, LogOptions, LogStream, Result,
    model::{Job, RepoRef, Status},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, header};
use jiff::Timestamp;

use crate::{
    client::{Client, name_of, number},
    error::Fault,
};

/// For this long after a job's end an empty log may still fill: it is moved from the runner in the background.
const SETTLING: Duration = Duration::from_secs(60);
/// GitLab serves logs itself; with object storage one hop is expected.
const MAX_HOPS: usize = 3;

impl Client {
    pub(super) async fn read_log(&self, repo: &RepoRef, job: &Job, options: LogOptions) -> Result<LogStream> {
        let operation = format!("read the log of job {} of {}", job.id, name_of(repo));
        if job.is_log_erased {
            return Err(forge_core::Error::from(Fault::LogErased).with_operation(operation));
        }
        let repo = job.repo.as_ref().unwrap_or(repo);
        let id = number(&job.id, "job id")?;
        let key = self.numeric_key(repo).await?;
        // No Range, no tail: GitLab sends the whole log or nothing.
        let request = self.api().get(&format!("projects/{key}/jobs/{id}/trace")).operation(&operation);
        let response = match request.stream_following(options.max_bytes, MAX_HOPS).await {
            Ok(response) => response,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(self.why_empty(repo, job, None).await?.with_operation(operation));
            }
            Err(error) => return Err(error),
        };
        let now = date(response.headers());
        let LogStream { mut bytes, truncated } = response.into_log();
        // A job without a log answers 200 with an empty body, so the first bytes decide.
        let first = loop {
            match bytes.try_next().await? {
                Some(chunk) if chunk.is_empty() => {}
                first => break first,
            }
        };
        let Some(first) = first else {
            if options.max_bytes == 0 {
                return Ok(LogStream { bytes, truncated });
            }
            return Err(self.why_empty(repo, job, now).await?.with_operation(operation));
        };
        let bytes: BoxStream<'static, Result<Bytes>> =
            stream::once(async move { Ok(first) }).chain(bytes).boxed();
        Ok(LogStream { bytes, truncated })
    }

    /// Why there is no log: the job is looked at again, since what the caller holds may be old.
    async fn why_empty(
        &self,
        repo: &RepoRef,
        job: &Job,
        now: Option<Timestamp>,
    ) -> Result<forge_core::Error> {
        let job = self.fetch_job(repo, &job.id).await?.into_job(&job.run_id);
        let now = now.unwrap_or_else(Timestamp::now);
        let is_settling = job.finished_at.is_some_and(|at| now.duration_since(at).unsigned_abs() < SETTLING);
        let has_archive = job.log_bytes.is_some_and(|bytes| bytes > 0);
        let fault = if job.is_log_erased {
            Fault::LogErased
        } else if job.status != Status::Completed || is_settling || has_archive {
            Fault::LogNotReady
        } else {
            Fault::NoLog
        };
        Ok(fault.into())
    }
}

/// The forge's own clock, which `finished_at` is from too.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}
