//! What changed and what was green before (docs.gitflic.ru, api/commit and api/branch).
//!
//! GitFlic has neither test reports nor remarks of jobs in its API.

mod changes;

use async_trait::async_trait;
use forge_core::{
    Ci as _, Error, ErrorKind, Facts, ForgeKind, Result,
    model::{Change, CiConfig, Commits, Conclusion, Diff, GreenJob, Job, RefType, RepoRef, Run, Status},
    text::is_commit_id,
};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use crate::{
    ci::pipelines,
    client::{Call, GitFlicClient, query, repo_path, shown},
    page::More,
    wire::{self, Fields},
};

/// The file that GitFlic reads a project's jobs from.
const CI_CONFIG: &str = "gitflic-ci.yaml";
const MAX_FILE: usize = 1024 * 1024;
/// Of how many green pipelines, and of how many others, the jobs are looked at: each costs a request of the 500 an hour.
const LOOKED_INTO: usize = 10;
const MAX_TOLD: usize = 20;

#[async_trait]
impl Facts for GitFlicClient {
    async fn diff(&self, repo: &RepoRef, change: &Change) -> Result<Diff> {
        match change {
            Change::Commit(sha) => changes::of_commit(self, repo, sha).await,
            Change::Range { base, head } => changes::between(self, repo, base, head).await,
            Change::Pull(number) => changes::of_merge_request(self, repo, number).await,
            _ => crate::error::unsupported("this kind of change cannot be compared"),
        }
    }

    /// GitFlic cannot list them, so that the first parents of `head` are walked, at most twenty. What a merge brought in
    /// is not among them, and the list then says that there are more.
    async fn commits_between(&self, repo: &RepoRef, base: &str, head: &str) -> Result<Commits> {
        changes::commits_between(self, repo, base, head).await
    }

    /// One request for the branch's pipelines among the project's last hundred, then one for each that may hold it.
    async fn last_green_job(
        &self,
        repo: &RepoRef,
        run: &Run,
        job: &Job,
        branch: &str,
    ) -> Result<Option<GreenJob>> {
        let (mut green_left, mut other_left) = (LOOKED_INTO, LOOKED_INTO);
        for candidate in self.last_runs(repo, branch).await? {
            if candidate.id == run.id || candidate.status != Status::Completed {
                continue;
            }
            let left = match candidate.conclusion {
                Some(Conclusion::Success) => &mut green_left,
                // The job may have been green although the pipeline was not.
                Some(Conclusion::Failure) => &mut other_left,
                _ => continue,
            };
            if *left == 0 {
                continue;
            }
            *left -= 1;
            let jobs: Vec<Job> = self.list_jobs(repo, &candidate.as_ref()).try_collect().await?;
            let is_green = |it: &Job| it.name == job.name && it.conclusion == Some(Conclusion::Success);
            if let Some(found) = jobs.into_iter().rfind(is_green) {
                return Ok(Some(GreenJob::new(candidate, found)));
            }
        }
        Ok(None)
    }

    /// One request: those of the branch among the project's last hundred.
    async fn passed_runs(&self, repo: &RepoRef, branch: &str, _pull: Option<&str>) -> Result<Vec<Run>> {
        let mut runs = self.last_runs(repo, branch).await?;
        runs.retain(|run| run.conclusion == Some(Conclusion::Success));
        runs.truncate(MAX_TOLD);
        Ok(runs)
    }

    async fn ci_config(&self, repo: &RepoRef, run: &Run) -> Result<Option<CiConfig>> {
        let operation = format!("read {CI_CONFIG} of {}", shown(repo));
        let Some(sha) = run.sha.as_deref() else {
            return Err(Error::new(ErrorKind::InvalidInput, "the pipeline's commit is not known")
                .with_forge(ForgeKind::GITFLIC)
                .with_operation(operation));
        };
        Ok(self.read_file(repo, sha, CI_CONFIG).await?.map(|text| CiConfig::new(CI_CONFIG, text)))
    }

    /// Two requests on a branch: GitFlic gives files of commits only.
    async fn read_file(&self, repo: &RepoRef, git_ref: &str, path: &str) -> Result<Option<String>> {
        let operation = format!("read {path} of {}", shown(repo));
        let sha = if is_commit_id(git_ref) {
            Some(git_ref.to_owned())
        } else {
            self.head_of(repo, git_ref).await?
        };
        let Some(sha) = sha else { return Ok(None) };
        let place = query(&[("commitHash", &sha), ("file", path)]);
        let address = format!("{}/blob/download?{place}", repo_path(repo)?);
        let response = match self.send(&Call::get(address, operation.clone())).await {
            Ok(response) => response,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        if response.bytes().len() > MAX_FILE {
            return Err(Error::new(ErrorKind::TooLarge, format!("{path} is larger than 1 MiB"))
                .with_forge(ForgeKind::GITFLIC)
                .with_operation(operation));
        }
        let text = String::from_utf8_lossy(response.bytes()).into_owned();
        // No YAML and no TOML begins like this, but a login page does.
        if text.trim_start().starts_with('<') {
            return Err(response.unexpected("the answer is a web page and not a file"));
        }
        Ok(Some(text))
    }
}

impl GitFlicClient {
    /// The commit that a branch stands at: GitFlic lists branches, and shows none alone.
    async fn head_of(&self, repo: &RepoRef, branch: &str) -> Result<Option<String>> {
        let path = format!("{}/branch", repo_path(repo)?);
        let operation = format!("list branches of {}", shown(repo));
        // What has no name or no commit is not the branch.
        let mut heads = self.list_pages(Ok(path), operation, |items| {
            let head = |item: &Value| {
                let fields = Fields::new(item);
                Some((fields.text("name")?, fields.at("lastCommit").text("hash")?))
            };
            Some((items.iter().filter_map(head).collect::<Vec<_>>(), More::Yes))
        });
        while let Some((name, head)) = heads.try_next().await? {
            if name == branch {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// The pipelines of the branch among the last hundred of the project, newest first: GitFlic filters nothing.
    async fn last_runs(&self, repo: &RepoRef, branch: &str) -> Result<Vec<Run>> {
        let (clock, web, here, branch) = (self.clock, self.web().to_owned(), repo.clone(), branch.to_owned());
        let operation = format!("list pipelines of {}", shown(repo));
        let runs = self.list_pages(pipelines(repo), operation, move |items| {
            let read = |item: &Value| wire::run(Fields::new(item), &here, &web, clock);
            let runs: Vec<Run> = items.iter().map(read).collect::<Option<_>>()?;
            let is_there = |run: &Run| {
                run.ref_type == Some(RefType::Branch) && run.git_ref.as_deref() == Some(branch.as_str())
            };
            Some((runs.into_iter().filter(is_there).collect(), More::No))
        });
        let mut runs: Vec<Run> = runs.try_collect().await?;
        runs.sort_by_key(|run| std::cmp::Reverse(run.id.parse::<u64>().unwrap_or_default()));
        Ok(runs)
    }
}
