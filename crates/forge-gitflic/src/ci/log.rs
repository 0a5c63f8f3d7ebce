//! The log of a job: an artifact of the kind `trace`.

use forge_core::{
    Error, ErrorKind, ForgeKind, LogOptions, LogStream, Result,
    model::{Conclusion, Job, RepoRef, Status},
    url::same_origin,
};
use forge_http::StreamResponse;
use futures_util::TryStreamExt as _;
use http::header::CONTENT_TYPE;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::{
    client::{Call, GitFlicClient, repo_path, segment, shown},
    wire::{self, Artifact, Fields},
};

/// How long after the end of its job a log may still be on its way.
const LOG_DELAY: SignedDuration = SignedDuration::from_mins(10);
/// The download, and a storage behind it.
const MAX_HOPS: usize = 3;

pub(super) async fn open(
    client: &GitFlicClient,
    repo: &RepoRef,
    job: &Job,
    options: LogOptions,
) -> Result<LogStream> {
    let operation = format!("read the log of job {} of {}", job.id, shown(repo));
    if job.is_log_erased {
        return Err(missing(ErrorKind::Gone, "the job's log was erased", &operation));
    }
    let place = format!("{}/cicd/job/{}", repo_path(repo)?, segment(&job.id)?);
    let artifacts = client
        .list(Ok(format!("{place}/artifacts")), operation.clone(), |fields| Some(Artifact::read(fields)))
        .try_collect()
        .await;
    let artifacts: Vec<Artifact> = match artifacts {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(explain(client, repo, job, &operation).await.unwrap_or(error));
        }
        artifacts => artifacts?,
    };
    let Some(log) = Artifact::log_among(artifacts) else {
        let error = missing(ErrorKind::NotFound, "the job has no log among its artifacts", &operation);
        return Err(explain(client, repo, job, &operation).await.unwrap_or(error));
    };
    match download(client, &place, &log, &operation, options).await {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => {
            Err(explain(client, repo, job, &operation).await.unwrap_or(error))
        }
        stream => stream,
    }
}

/// From the address that GitFlic names, when it lies at the API's own origin, because the token has to go along;
/// else from the documented one.
async fn download(
    client: &GitFlicClient,
    place: &str,
    log: &Artifact,
    operation: &str,
    options: LogOptions,
) -> Result<LogStream> {
    let mut requests = Vec::new();
    if let Some(url) = named_url(client.api.base(), log) {
        requests.push(client.api.get_url(url));
    }
    if let Some(id) = &log.id {
        requests.push(client.api.get(&format!("{place}/artifact/{}/download", segment(id)?)));
    }
    let mut failure = missing(
        ErrorKind::AddressRefused,
        "the log lies at another origin than the API, where the token must not go",
        operation,
    )
    .with_hint("check that the API base URL is the address that GitFlic itself uses");
    for request in requests {
        match request.operation(operation).stream_following(options.max_bytes, MAX_HOPS).await {
            Ok(response) => return as_log(response, operation),
            Err(error) if error.kind() == ErrorKind::NotFound => failure = error,
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

/// Absolute or from the root; anything else is no address.
fn named_url(base: &Url, log: &Artifact) -> Option<Url> {
    let text = log.download_url.as_deref()?;
    let url = if text.starts_with('/') { base.join(text) } else { Url::parse(text) };
    url.ok().filter(|url| same_origin(url, base))
}

fn as_log(response: StreamResponse, operation: &str) -> Result<LogStream> {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html")) {
        return Err(missing(ErrorKind::UnexpectedResponse, "a web page came instead of the log", operation)
            .with_hint("check the base URL, and whether a proxy or login page stands before the API"));
    }
    Ok(response.into_log())
}

/// Why there is no log: not yet, not any more, or never. `None` when not even the job is to be seen.
async fn explain(client: &GitFlicClient, repo: &RepoRef, job: &Job, operation: &str) -> Option<Error> {
    let path = format!("{}/cicd/job/{}", repo_path(repo).ok()?, segment(&job.id).ok()?);
    let call = Call::get(path, format!("read job {} of {}", job.id, shown(repo)));
    let (clock, now) = (client.clock, Timestamp::now());
    let response = client.send(&call).await.ok()?;
    let (job, expires_at) = wire::read(&response, "a job", |fields: Fields<'_>| {
        Some((wire::job(fields, "", clock)?, fields.time("artifactsExpireAt", clock)))
    })
    .ok()?;
    if job.is_log_erased {
        return Some(missing(ErrorKind::Gone, "the job's log was erased", operation));
    }
    if job.status != Status::Completed {
        return Some(missing(
            ErrorKind::NotReady,
            "the job has not ended and its log is not there yet",
            operation,
        ));
    }
    if job.conclusion == Some(Conclusion::Skipped) {
        return Some(missing(ErrorKind::NotFound, "the job was skipped and has no log", operation));
    }
    // Times have no zone; in whichever reading it is fresh, waiting is right.
    let is_fresh = job.finished_at.is_none_or(|at| {
        [at, clock.as_if_utc(at)].into_iter().any(|at| {
            let age = now.duration_since(at);
            age.abs() < LOG_DELAY
        })
    });
    if is_fresh {
        return Some(missing(
            ErrorKind::NotReady,
            "the job has just ended and its log is not there yet",
            operation,
        ));
    }
    if expires_at.is_some_and(|at| clock.as_if_utc(at) < now) {
        return Some(missing(ErrorKind::Gone, "the job's artifacts have expired", operation));
    }
    Some(missing(ErrorKind::NotFound, "the job has no log among its artifacts", operation).with_hint(
        "versions before 4.10 offer no logs by API: send the log from the pipeline to the ingest address",
    ))
}

fn missing(kind: ErrorKind, message: &str, operation: &str) -> Error {
    Error::new(kind, message).with_forge(ForgeKind::GITFLIC).with_operation(operation)
}
