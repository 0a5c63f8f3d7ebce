//! What changed, what was green before, what the jobs remarked, which file defines them.

mod green;

use async_trait::async_trait;
use forge_core::{
    Error, ErrorKind, Facts, ForgeKind, Result,
    model::{Annotation, Change, CiConfig, Commits, Diff, GreenJob, Job, RepoRef, Run},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{HeaderValue, header};
use jiff::Timestamp;

use crate::{
    client::{GitHubClient, More, get, repo_path, segment, shown},
    wire::{self, AnnotationAnswer, Comparison, FileAnswer, OneCommit},
};

/// GitHub docs, rest/pulls/pulls, "List pull requests files", and rest/commits/commits: no more than these are listed.
const MOST_FILES: usize = 3000;
/// Of a comparison.
const MOST_COMPARED_FILES: usize = 300;
const MOST_COMMITS: usize = 100;
const MOST_ANNOTATIONS: usize = 1000;
const MAX_FILE_BYTES: usize = 1024 * 1024;

#[async_trait]
impl Facts for GitHubClient {
    async fn diff(&self, repo: &RepoRef, change: &Change) -> Result<Diff> {
        let path = repo_path(repo)?;
        let (files, most) = match change {
            Change::Pull(number) => {
                let path = format!("{path}/pulls/{}/files?per_page=100", segment(number)?);
                let operation = format!("read what pull request {number} of {} changes", shown(repo));
                let pages = self.list(Ok(path), operation, |response| {
                    Ok((response.json::<Vec<FileAnswer>>()?, More::AsLinked))
                });
                (pages.take(MOST_FILES).try_collect().await?, MOST_FILES)
            }
            Change::Commit(sha) => {
                let path = format!("{path}/commits/{}", segment(sha)?);
                let operation = format!("read what commit {sha} of {} changes", shown(repo));
                let pages = self.list(Ok(path), operation, |response| {
                    Ok((response.json::<OneCommit>()?.files.unwrap_or_default(), More::AsLinked))
                });
                let files: Result<Vec<_>> = pages.take(MOST_FILES).try_collect().await;
                (files.map_err(no_commit)?, MOST_FILES)
            }
            Change::Range { base, head } => {
                // The files come whole with the first page of commits, of which one is enough.
                let compared = self.compare(repo, base, head, "?per_page=1").await?;
                (compared.files.unwrap_or_default(), MOST_COMPARED_FILES)
            }
            _ => {
                return Err(Error::new(ErrorKind::Unsupported, "GitHub has no such change")
                    .with_forge(ForgeKind::GITHUB)
                    .with_operation(format!("read what a change of {} touches", shown(repo))));
            }
        };
        let mut diff = Diff::default();
        diff.is_truncated = files.len() >= most;
        diff.files = files.into_iter().filter_map(FileAnswer::into_model).collect();
        Ok(diff)
    }

    async fn commits_between(&self, repo: &RepoRef, base: &str, head: &str) -> Result<Commits> {
        // Without paging GitHub gives the newest 250, oldest first; with it the oldest come first.
        let compared = self.compare(repo, base, head, "").await?;
        let mut listed = compared.commits.unwrap_or_default();
        let total = compared.total_commits.unwrap_or(listed.len()).max(listed.len());
        listed.reverse();
        listed.truncate(MOST_COMMITS);
        let mut commits = Commits::default();
        commits.is_truncated = total > listed.len();
        commits.items = listed.into_iter().map(wire::CommitAnswer::into_model).collect();
        Ok(commits)
    }

    async fn last_green_job(
        &self,
        repo: &RepoRef,
        run: &Run,
        job: &Job,
        branch: &str,
    ) -> Result<Option<GreenJob>> {
        green::find(self, repo, run, &job.name, branch).await
    }

    async fn passed_runs(&self, repo: &RepoRef, branch: &str, _pull: Option<&str>) -> Result<Vec<Run>> {
        green::passed(self, repo, branch).await
    }

    /// The remarks of the job's check run, without those that only say that a step has failed.
    async fn annotations(&self, repo: &RepoRef, job: &Job) -> Result<Vec<Annotation>> {
        // A job and its check run have the same id at every GitHub known; its own word is taken where that fails.
        match self.annotations_of(repo, &job.id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let path = format!("{}/actions/jobs/{}", repo_path(repo)?, segment(&job.id)?);
                let operation = format!("read job {} of {}", job.id, shown(repo));
                let answer: wire::Job = self.get(path, operation).await?;
                let named = answer.check_run_url.as_deref().and_then(|url| url.rsplit('/').next());
                match named.filter(|id| *id != job.id) {
                    Some(id) => self.annotations_of(repo, id).await,
                    None => Err(error),
                }
            }
            result => result,
        }
    }

    async fn ci_config(&self, repo: &RepoRef, run: &Run) -> Result<Option<CiConfig>> {
        let answer = self.raw_run(repo, run).await?;
        // The path may carry the reference that it was taken from.
        let path = answer.path.as_deref().and_then(|path| path.split('@').next()).unwrap_or_default();
        let sha = run.sha.clone().or_else(|| answer.head_sha.clone());
        // Runs of GitHub's own (`dynamic/...`) have no file.
        let (true, Some(sha)) = (path.starts_with(".github/"), sha) else { return Ok(None) };
        Ok(self.read_file(repo, &sha, path).await?.map(|text| CiConfig::new(path, text)))
    }

    async fn read_file(&self, repo: &RepoRef, git_ref: &str, path: &str) -> Result<Option<String>> {
        let encoded: Vec<String> = path.split('/').map(segment).collect::<Result<_>>()?;
        let call = get(
            format!("{}/contents/{}?ref={}", repo_path(repo)?, encoded.join("/"), segment(git_ref)?),
            format!("read {path} of {}", shown(repo)),
        );
        let raw = HeaderValue::from_static("application/vnd.github.raw+json");
        let sent = self.send_adjusted(call, |request| {
            request.header(header::ACCEPT, raw.clone()).max_body(MAX_FILE_BYTES)
        });
        match sent.await {
            Ok(response) => Ok(Some(response.text_lossy())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl GitHubClient {
    async fn compare(&self, repo: &RepoRef, base: &str, head: &str, query: &str) -> Result<Comparison> {
        let path = format!("{}/compare/{}...{}{query}", repo_path(repo)?, segment(base)?, segment(head)?);
        self.get(path, format!("compare {base} with {head} in {}", shown(repo))).await.map_err(no_commit)
    }

    async fn annotations_of(&self, repo: &RepoRef, check_run_id: &str) -> Result<Vec<Annotation>> {
        let path =
            format!("{}/check-runs/{}/annotations?per_page=100", repo_path(repo)?, segment(check_run_id)?);
        let operation = format!("read the annotations of job {check_run_id} of {}", shown(repo));
        let pages = self.list(Ok(path), operation, |response| {
            Ok((response.json::<Vec<AnnotationAnswer>>()?, More::AsLinked))
        });
        pages
            .try_filter_map(|answer| async { Ok(answer.into_model()) })
            .take(MOST_ANNOTATIONS)
            .try_collect()
            .await
    }

    /// The run as GitHub tells it, for what the shared model has no place.
    async fn raw_run(&self, repo: &RepoRef, run: &Run) -> Result<wire::Run> {
        let path = format!("{}/actions/runs/{}", repo_path(repo)?, segment(&run.id)?);
        self.get(path, format!("read run {} of {}", run.id, shown(repo))).await
    }
}

/// GitHub answers 422 for a commit that is not there (any more), where others answer 404.
fn no_commit(error: Error) -> Error {
    if error.kind() != ErrorKind::Invalid {
        return error;
    }
    let operation = error.operation().unwrap_or("read a change").to_owned();
    Error::new(ErrorKind::NotFound, "GitHub does not know the commit (status 422)")
        .with_forge(ForgeKind::GITHUB)
        .with_status(422)
        .with_operation(operation)
        .with_hint("a force push may have taken it away")
}

/// When an execution began, for telling which is the newest.
fn began_at(job: &Job) -> Timestamp {
    job.started_at.unwrap_or(Timestamp::MIN)
}
