//! What changed, what was green before, what the test report says: docs api/merge_requests.md, api/commits.md,
//! api/repositories.md, api/pipelines.md, api/repository_files.md.

mod green;

use async_trait::async_trait;
use forge_core::{
    Facts, Result,
    model::{Change, ChangedFile, CiConfig, Commits, Diff, GreenJob, Job, RepoRef, ReportedTest, Run},
};
use forge_http::{ApiClient, Request};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::{
    client::{Client, name_of, number, segment},
    error::{Fault, absent},
    wire,
};

/// GitLab's own default limit of files in a diff (`diff_max_files`): at so many it may have left out others.
const MAX_FILES: usize = 1_000;
const MAX_COMMITS: usize = 100;
const MAX_TESTS: usize = 1_000;
/// Comparisons and test reports come in one piece, whatever their size.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
const MAX_FILE: usize = 1024 * 1024;
const DEFAULT_CI_CONFIG: &str = ".gitlab-ci.yml";
/// What starts a child pipeline.
pub(crate) const BY_PARENT: &str = "parent_pipeline";

#[async_trait]
impl Facts for Client {
    async fn diff(&self, repo: &RepoRef, change: &Change) -> Result<Diff> {
        match change {
            Change::Pull(iid) => self.merge_request_diff(repo, iid).await,
            Change::Commit(sha) => {
                let sha = segment(sha, "commit")?;
                let operation = format!("read the diff of a commit of {}", name_of(repo));
                self.diff_pages(repo, operation, move |api, path| {
                    api.get(&format!("{path}/repository/commits/{sha}/diff"))
                })
                .await
            }
            Change::Range { base, head } => {
                let comparison = self.compare(repo, base, head).await?;
                let is_truncated = comparison.compare_timeout || comparison.diffs.len() >= MAX_FILES;
                Ok(diff(comparison.diffs.into_iter().map(wire::FileDiff::into_file), is_truncated))
            }
            _ => Err(Fault::UnknownChange.into()),
        }
    }

    async fn commits_between(&self, repo: &RepoRef, base: &str, head: &str) -> Result<Commits> {
        let mut found = self.compare(repo, base, head).await?.commits;
        // Which way they are sorted is not documented; their dates tell. Turning them keeps the order of commits that
        // were rebased and so have one date.
        let date = |commit: Option<&wire::ListedCommit>| commit.and_then(|commit| commit.committed_date);
        if date(found.first()) <= date(found.last()) {
            found.reverse();
        }
        let mut commits = Commits::default();
        commits.is_truncated = found.len() > MAX_COMMITS;
        commits.items = found.into_iter().take(MAX_COMMITS).map(wire::ListedCommit::into_commit).collect();
        Ok(commits)
    }

    async fn last_green_job(
        &self,
        repo: &RepoRef,
        run: &Run,
        job: &Job,
        branch: &str,
    ) -> Result<Option<GreenJob>> {
        self.find_green_job(repo, run, job, branch).await
    }

    async fn passed_runs(&self, repo: &RepoRef, branch: &str, pull: Option<&str>) -> Result<Vec<Run>> {
        self.find_passed(repo, branch, pull).await
    }

    async fn failing_tests(&self, repo: &RepoRef, run: &Run, job: &Job) -> Result<Vec<ReportedTest>> {
        let home = job.repo.as_ref().unwrap_or(repo);
        let pipeline_id = if job.run_id.is_empty() { &run.id } else { &job.run_id };
        let pipeline_id = number(pipeline_id, "pipeline id")?;
        let operation = format!("read the test report of pipeline {pipeline_id} of {}", name_of(home));
        let report: wire::TestReport = self
            .call(home, &operation, |api, path| {
                api.get(&format!("{path}/pipelines/{pipeline_id}/test_report")).max_body(MAX_ANSWER)
            })
            .await?
            .json()?;
        // A suite is called after its job; jobs that `parallel` made share one that is called after all of them.
        let mut suites = report.test_suites;
        let name = if suites.iter().any(|suite| suite.name == job.name) {
            job.name.as_str()
        } else {
            parallel_name(&job.name)
        };
        suites.retain(|suite| suite.name == name);
        let cases = suites.into_iter().flat_map(|suite| suite.test_cases);
        Ok(cases.filter(wire::TestCase::is_failing).take(MAX_TESTS).map(wire::TestCase::into_test).collect())
    }

    async fn ci_config(&self, repo: &RepoRef, run: &Run) -> Result<Option<CiConfig>> {
        // What a child pipeline is made of stands in its parent's job, which no API shows.
        let (Some(sha), false) = (&run.sha, run.trigger.as_deref() == Some(BY_PARENT)) else {
            return Ok(None);
        };
        let operation = format!("get project {}", name_of(repo));
        let project: wire::ProjectCi =
            self.call(repo, &operation, |api, path| api.get(path)).await?.json()?;
        let file = project.ci_config_path.filter(|path| !path.is_empty());
        let file = file.unwrap_or_else(|| DEFAULT_CI_CONFIG.to_owned());
        // `path@group/project` and addresses lead out of the repository (docs ci/pipelines/settings.md).
        if file.contains('@') || file.contains("://") {
            return Ok(None);
        }
        Ok(self.read_file(repo, sha, &file).await?.map(|text| CiConfig::new(file, text)))
    }

    async fn read_file(&self, repo: &RepoRef, git_ref: &str, path: &str) -> Result<Option<String>> {
        let escaped = segment(path, "path of a file")?;
        let operation = format!("read {path} of {}", name_of(repo));
        let answer = self
            .call(repo, &operation, |api, path| {
                api.get(&format!("{path}/repository/files/{escaped}/raw"))
                    .query(&[("ref", git_ref)])
                    .max_body(MAX_FILE)
            })
            .await;
        match answer {
            Ok(answer) => Ok(Some(answer.text_lossy())),
            Err(error) if error.kind() == forge_core::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Client {
    async fn merge_request_diff(&self, repo: &RepoRef, iid: &str) -> Result<Diff> {
        let iid = number(iid, "merge request number")?.to_owned();
        let operation = format!("read the diff of merge request {iid} of {}", name_of(repo));
        let pages = iid.clone();
        let mut diff = self
            .diff_pages(repo, operation, move |api, path| {
                api.get(&format!("{path}/merge_requests/{pages}/diffs"))
            })
            .await?;
        if !diff.is_truncated {
            // The list of files does not say that it is cut; the merge request's count of them does: `1000+`.
            let operation = format!("get merge request {iid} of {}", name_of(repo));
            let answer = self
                .call(repo, &operation, |api, path| api.get(&format!("{path}/merge_requests/{iid}")))
                .await;
            let count = match absent(answer)? {
                Some(answer) => answer.json::<wire::ChangesCount>()?.changes_count,
                None => None,
            };
            diff.is_truncated = count.is_some_and(|count| count.ends_with('+'));
        }
        Ok(diff)
    }

    async fn diff_pages(
        &self,
        repo: &RepoRef,
        operation: String,
        build: impl FnOnce(&ApiClient, &str) -> Request + Send + 'static,
    ) -> Result<Diff> {
        let files: Vec<ChangedFile> = self
            .list(
                repo,
                operation,
                |api, path| build(api, path).query(&[("per_page", "100")]).max_body(MAX_ANSWER),
                wire::FileDiff::into_file,
            )
            .take(MAX_FILES)
            .try_collect()
            .await?;
        let is_truncated = files.len() >= MAX_FILES;
        Ok(diff(files, is_truncated))
    }

    /// From the merge base of the two to `head`.
    async fn compare(&self, repo: &RepoRef, base: &str, head: &str) -> Result<wire::Comparison> {
        for sha in [base, head] {
            segment(sha, "commit")?;
        }
        let operation = format!("compare two commits of {}", name_of(repo));
        self.call(repo, &operation, |api, path| {
            api.get(&format!("{path}/repository/compare"))
                .query(&[("from", base), ("to", head), ("straight", "false")])
                .max_body(MAX_ANSWER)
        })
        .await?
        .json()
    }
}

fn diff(files: impl IntoIterator<Item = ChangedFile>, is_truncated: bool) -> Diff {
    let mut diff = Diff::default();
    diff.files = files.into_iter().take(MAX_FILES).collect();
    diff.is_truncated = is_truncated;
    diff
}

/// The common name of jobs that `parallel: 5` made: `rspec 2/5` is one of `rspec`.
fn parallel_name(name: &str) -> &str {
    let Some((front, index)) = name.rsplit_once(' ') else { return name };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match index.split_once('/') {
        Some((one, all)) if is_number(one) && is_number(all) => front.trim_end(),
        _ => name,
    }
}
