//! Build statuses as runs and jobs: Bitbucket Data Center has no CI of its own.
//!
//! A run is a commit, its id the full hash. It is what a push names, it never changes, and several CI servers may report
//! on it. A job is one build status of it.

mod failed;
mod pulls;

use async_trait::async_trait;
use forge_core::{
    BoxStream, Ci, Error, ErrorKind, ForgeKind, LogOptions, LogStream, Result,
    model::{Conclusion, Job, PullRequest, RepoRef, Run, RunRef, Status},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use crate::{
    client::{DcClient, repo_path, segment, shown},
    error,
    log_source::not_configured,
    wire::{self, BuildStatus, is_our_key},
};

#[async_trait]
impl Ci for DcClient {
    /// The commit's statuses as one: failed as soon as one has failed, although others still run; a build that never
    /// reports its end would otherwise hide all failures. Without any status it is queued.
    async fn get_run(&self, repo: &RepoRef, run: &RunRef) -> Result<Run> {
        let operation = format!("read the build statuses of {} in {}", run.id, shown(repo));
        let sha = full_hash(&run.id, &operation)?;
        let statuses = self.statuses(repo, sha, &operation).await?;
        if statuses.is_empty() {
            // The list is empty for any commit in the world.
            let path = format!("{}/commits/{sha}", repo_path(repo)?);
            self.get::<wire::Commit>(&path, operation).await?;
        }
        let mut found = self.assemble(repo, sha, &statuses);
        if let Some(full) = self.ref_of(repo, sha, &statuses).await? {
            let (name, kind) = wire::stripped_ref(&full);
            (found.git_ref, found.ref_type) = (Some(name), Some(kind));
        }
        Ok(found)
    }

    /// From the heads of all branches, the commits of the branches that changed lately, and the open pull requests; the
    /// limits are in the crate's documentation.
    fn list_failed_runs(&self, repo: &RepoRef, since: Timestamp) -> BoxStream<'static, Result<Run>> {
        let (client, repo) = (self.clone(), repo.clone());
        stream::once(async move { failed::find(&client, &repo, since).await })
            .map_ok(|runs| stream::iter(runs.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    fn list_jobs(&self, repo: &RepoRef, run: &RunRef) -> BoxStream<'static, Result<Job>> {
        let (client, repo, id) = (self.clone(), repo.clone(), run.id.clone());
        stream::once(async move {
            let operation = format!("list the builds of {id} in {}", shown(&repo));
            let sha = full_hash(&id, &operation)?;
            let statuses = client.statuses(&repo, sha, &operation).await?;
            let jobs: Vec<Result<Job>> = statuses.iter().map(|status| Ok(status.to_job(sha))).collect();
            Ok::<_, Error>(stream::iter(jobs))
        })
        .try_flatten()
        .boxed()
    }

    async fn get_job(&self, repo: &RepoRef, job_id: &str) -> Result<Job> {
        let operation = format!("read build {job_id} of {}", shown(repo));
        let missing = |message: &str| {
            Error::new(ErrorKind::NotFound, message)
                .with_forge(ForgeKind::BITBUCKET_DC)
                .with_operation(operation.clone())
        };
        let mut parts = job_id.splitn(3, ':');
        let (Some(sha), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(missing("this is not the id of a build"));
        };
        let sha = full_hash(sha, &operation)?;
        let statuses = self.statuses(repo, sha, &operation).await?;
        if let Some(status) = statuses.iter().find(|status| status.job_id(sha) == job_id) {
            return Ok(status.to_job(sha));
        }
        Err(if statuses.iter().any(|status| status.key == key) {
            missing("a later build has replaced its status")
        } else {
            missing("the commit has no such build status")
        })
    }

    /// From the log source that the build's address lies at. An address anywhere else is never asked: whoever may read
    /// a repository may set a status with any address.
    async fn job_log(&self, repo: &RepoRef, job: &Job, options: LogOptions) -> Result<LogStream> {
        let operation = format!("read the log of build {} of {}", job.name, shown(repo));
        let told = |error: Error| error.with_forge(ForgeKind::BITBUCKET_DC).with_operation(operation.clone());
        let Some(url) = job.web_url.as_deref().and_then(|url| url::Url::parse(url).ok()) else {
            return Err(told(
                Error::new(ErrorKind::NotFound, "the build status has no web address to find a log by")
                    .with_hint("send the log by the ingest API"),
            ));
        };
        if matches!(job.status, Status::Queued | Status::Running) {
            return Err(told(Error::new(ErrorKind::NotReady, "the build has not ended")));
        }
        match self.settings.log_sources.find(&url) {
            Some(source) => source.open(&url, options, &operation).await,
            None => Err(told(not_configured(&url))),
        }
    }

    async fn find_pull_requests(&self, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
        pulls::find(self, repo, run).await
    }
}

impl DcClient {
    /// The build statuses of a commit, ours left out, newest first.
    ///
    /// Only the old interface lists them (the new one gives one by its key), and that one is global to the commit: a
    /// fork that shares it has its statuses there too. Where a key is there twice, that of this repository is kept.
    pub(crate) async fn statuses(
        &self,
        repo: &RepoRef,
        sha: &str,
        operation: &str,
    ) -> Result<Vec<BuildStatus>> {
        let path = format!("build-status/1.0/commits/{sha}");
        let query = [("orderBy", "NEWEST"), ("limit", "100")];
        let all: Vec<BuildStatus> = self.list(Ok(path), &query, operation.to_owned()).try_collect().await?;
        let all: Vec<BuildStatus> = all.into_iter().filter(|status| !is_our_key(&status.key)).collect();
        let is_repeated =
            |status: &BuildStatus| all.iter().filter(|other| other.key == status.key).count() > 1;
        let mut kept: Vec<BuildStatus> = Vec::new();
        for status in &all {
            if is_repeated(status) {
                if kept.iter().any(|known| known.key == status.key) {
                    continue;
                }
                if let Some(own) = self.rich_status(repo, sha, &status.key, operation).await? {
                    kept.push(own);
                    continue;
                }
                // The server cannot tell whose they are: all count.
                kept.extend(all.iter().filter(|other| other.key == status.key).cloned());
            } else {
                kept.push(status.clone());
            }
        }
        Ok(kept)
    }

    /// One status of this repository, from 7.14 on; `None` where there is none or the server is older.
    async fn rich_status(
        &self,
        repo: &RepoRef,
        sha: &str,
        key: &str,
        operation: &str,
    ) -> Result<Option<BuildStatus>> {
        let path = format!("{}/commits/{}/builds", repo_path(repo)?, segment(sha)?);
        let request = self.api.get(&path).query(&[("key", key)]).allow_status(405).operation(operation);
        match self.send(request).await {
            Ok(response) if response.status().is_success() => response.json().map(Some),
            Ok(_) => Ok(None),
            Err(error)
                if error::is_absent(&error)
                    || matches!(
                        error.kind(),
                        ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::Forbidden
                    ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The branch or tag that was built, where a status tells; the list does not, the rich status may.
    async fn ref_of(&self, repo: &RepoRef, sha: &str, statuses: &[BuildStatus]) -> Result<Option<String>> {
        if let Some(known) = statuses.iter().find_map(|status| status.git_ref.clone()) {
            return Ok(Some(known));
        }
        let first = statuses.iter().find(|status| status.state() == "FAILED").or_else(|| statuses.first());
        let Some(first) = first else { return Ok(None) };
        let operation = format!("read build {} of {sha} in {}", first.key, shown(repo));
        let rich = self.rich_status(repo, sha, &first.key, &operation).await?;
        Ok(rich.and_then(|status| status.git_ref).filter(|name| !name.is_empty()))
    }

    pub(crate) fn assemble(&self, repo: &RepoRef, sha: &str, statuses: &[BuildStatus]) -> Run {
        let has = |state: &str| statuses.iter().any(|status| status.state() == state);
        let mut run = Run::new(sha);
        run.sha = Some(sha.to_owned());
        (run.status, run.conclusion) = if statuses.is_empty() {
            (Status::Queued, None)
        } else if has("FAILED") {
            (Status::Completed, Some(Conclusion::Failure))
        } else if has("INPROGRESS") {
            (Status::Running, None)
        } else if statuses.iter().any(|status| wire::status(status.state()) == Status::Unknown) {
            (Status::Unknown, None)
        } else if has("CANCELLED") {
            (Status::Completed, Some(Conclusion::Cancelled))
        } else {
            (Status::Completed, Some(Conclusion::Success))
        };
        run.web_url = repo.full_name.split_once('/').map(|(project, slug)| {
            format!("{}/commits/{sha}", wire::repository_url(&self.base_url, project, slug))
        });
        run.created_at = statuses.iter().filter_map(BuildStatus::created_at).min();
        run.updated_at = statuses.iter().filter_map(BuildStatus::updated_at).max();
        if run.status == Status::Completed {
            run.finished_at = run.updated_at;
        }
        run
    }
}

/// Only whole hashes name a run: what is short may become ambiguous.
fn full_hash<'a>(text: &'a str, operation: &str) -> Result<&'a str> {
    let is_hash = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash {
        return Ok(text);
    }
    Err(Error::new(ErrorKind::NotFound, "this is not the full hash of a commit")
        .with_forge(ForgeKind::BITBUCKET_DC)
        .with_operation(operation)
        .with_hint("Bitbucket has no runs: a run's id is the commit that was built"))
}
