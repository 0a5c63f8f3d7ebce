//! What changed, and the last good build of the same key.

mod diff;

use async_trait::async_trait;
use forge_core::{
    ErrorKind, Facts, Result,
    model::{Change, Commits, Conclusion, Diff, GreenJob, Job, RefType, RepoRef, Run},
    text::is_commit_id,
};

use http::{HeaderValue, header};

use crate::{
    client::{DcClient, repo_path, segment, shown},
    wire,
};

/// Commits with a good build whose statuses are read before the search ends.
const MAX_READ: usize = 50;
/// Commits whose statuses are read for a passed one: builds of the newest may still run.
const MAX_ASKED: usize = 3;
const MAX_FILE_BYTES: usize = 1024 * 1024;

#[async_trait]
impl Facts for DcClient {
    /// Two requests for up to a thousand files: their list, and their lines.
    async fn diff(&self, repo: &RepoRef, change: &Change) -> Result<Diff> {
        diff::read(self, repo, change).await
    }

    async fn commits_between(&self, repo: &RepoRef, base: &str, head: &str) -> Result<Commits> {
        let operation = format!("list the commits up to {head} in {}", shown(repo));
        let page = self.commit_page(repo, &[("since", base), ("until", head)], operation).await?;
        let web_url = self.web_url(repo);
        let mut commits = Commits::default();
        commits.is_truncated = page.goes_on();
        commits.items = page.values.into_iter().map(|commit| commit.into_model(web_url.as_deref())).collect();
        Ok(commits)
    }

    /// The newest of the branch's last hundred commits whose builds are all good: one request for the commits, one that
    /// counts their builds, one for the statuses of that commit.
    async fn passed_runs(&self, repo: &RepoRef, branch: &str, _pull: Option<&str>) -> Result<Vec<Run>> {
        let until = format!("refs/heads/{branch}");
        let operation = format!("list the commits of {branch} in {}", shown(repo));
        let commits = match self.commit_page(repo, &[("until", &until)], operation).await {
            Ok(page) => page.values,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let shas: Vec<&str> = commits.iter().map(|commit| commit.id.as_str()).collect();
        let counts = self.count_builds(repo, &shas).await?;
        let is_good = |sha: &&str| {
            counts.as_ref().is_none_or(|counts| {
                counts.get(*sha).is_some_and(|count| count.has_good() && !count.has_failed())
            })
        };
        for sha in shas.into_iter().filter(is_good).take(MAX_ASKED) {
            let operation = format!("read the build statuses of {sha} in {}", shown(repo));
            let mut run = self.assemble(repo, sha, &self.statuses(repo, sha, &operation).await?);
            if run.conclusion == Some(Conclusion::Success) {
                (run.git_ref, run.ref_type) = (Some(branch.to_owned()), Some(RefType::Branch));
                return Ok(vec![run]);
            }
        }
        Ok(Vec::new())
    }

    /// The newest commit of the branch on which the status of the same key is successful, among the last hundred: one
    /// request for the commits, one that counts their builds, and one for the statuses of each that has a good build,
    /// at most fifty. Its log need not be at a log source: then only its commit helps.
    async fn last_green_job(
        &self,
        repo: &RepoRef,
        run: &Run,
        job: &Job,
        branch: &str,
    ) -> Result<Option<GreenJob>> {
        let until = format!("refs/heads/{branch}");
        let operation = format!("list the commits of {branch} in {}", shown(repo));
        let commits = match self.commit_page(repo, &[("until", &until)], operation).await {
            Ok(page) => page.values,
            // The branch is gone.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let shas: Vec<&str> =
            commits.iter().map(|commit| commit.id.as_str()).filter(|sha| *sha != run.id).collect();
        let counts = self.count_builds(repo, &shas).await?;
        let is_green = |sha: &&str| {
            // A server without the question has all of them read.
            counts.as_ref().is_none_or(|counts| counts.get(*sha).is_some_and(|count| count.has_good()))
        };
        let key = job.id.splitn(3, ':').nth(2);
        for sha in shas.into_iter().filter(is_green).take(MAX_READ) {
            let operation = format!("read the build statuses of {sha} in {}", shown(repo));
            let statuses = self.statuses(repo, sha, &operation).await?;
            let found = statuses.iter().find_map(|status| {
                let found = status.to_job(sha);
                let is_same = key.map_or(found.name == job.name, |key| status.key == key);
                (is_same && found.conclusion == Some(Conclusion::Success)).then_some(found)
            });
            if let Some(found) = found {
                let mut run = self.assemble(repo, sha, &statuses);
                (run.git_ref, run.ref_type) = (Some(branch.to_owned()), Some(RefType::Branch));
                return Ok(Some(GreenJob::new(run, found)));
            }
        }
        Ok(None)
    }

    /// The REST resource `raw`, which takes what `git` takes for a commit (docs.atlassian.com, Bitbucket REST 7.6,
    /// "projects/{projectKey}/repos/{repositorySlug}/raw").
    async fn read_file(&self, repo: &RepoRef, git_ref: &str, path: &str) -> Result<Option<String>> {
        let encoded: Vec<String> = path.split('/').map(segment).collect::<Result<_>>()?;
        let at = if is_commit_id(git_ref) { git_ref.to_owned() } else { format!("refs/heads/{git_ref}") };
        let request = self
            .api
            .get(&format!("{}/raw/{}", repo_path(repo)?, encoded.join("/")))
            .query(&[("at", &at)])
            .max_body(MAX_FILE_BYTES)
            .header(header::ACCEPT, HeaderValue::from_static("*/*"))
            .operation(format!("read {path} of {}", shown(repo)));
        match self.send(request).await {
            Ok(response) => Ok(Some(response.text_lossy())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl DcClient {
    async fn commit_page(
        &self,
        repo: &RepoRef,
        query: &[(&str, &str)],
        operation: String,
    ) -> Result<wire::Page<wire::Commit>> {
        let request = self.api.get(&format!("{}/commits", repo_path(repo)?)).query(query);
        self.send(request.query(&[("limit", "100")]).operation(operation)).await?.json()
    }

    fn web_url(&self, repo: &RepoRef) -> Option<String> {
        let (project, slug) = repo.full_name.split_once('/')?;
        Some(wire::repository_url(&self.base_url, project, slug))
    }
}
