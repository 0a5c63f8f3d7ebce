//! What changed, what was green before, which tests failed, and the file that defines the pipelines.

mod diff;
mod tests;

use async_trait::async_trait;
use forge_core::{
    Error, ErrorKind, Facts, ForgeKind, Result,
    model::{
        Change, CiConfig, Commits, Conclusion, Diff, GreenJob, Job, RefType, RepoRef, ReportedTest, Run,
        RunRef,
    },
    text::is_commit_id,
};
use futures_util::TryStreamExt as _;
use http::{HeaderValue, header};
use url::form_urlencoded;

use crate::{
    client::{BitbucketCloudClient, repo_path, segment, shown},
    wire,
};

/// The only name that Bitbucket Pipelines reads its configuration from.
const CI_CONFIG: &str = "bitbucket-pipelines.yml";
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Runs of a branch that have not passed, whose steps are read all the same: a step can be green in a red run.
const MAX_RED_RUNS: usize = 20;
/// Passed runs without the step, after which it is taken for one that the branch's pipeline does not have.
const MAX_PASSED_RUNS: usize = 10;
const MAX_TOLD: usize = 20;
const MAX_REDIRECTS: usize = 3;

#[async_trait]
impl Facts for BitbucketCloudClient {
    /// Two requests for up to a hundred files: their list, and the text of the change.
    async fn diff(&self, repo: &RepoRef, change: &Change) -> Result<Diff> {
        diff::read(self, repo, change).await
    }

    async fn commits_between(&self, repo: &RepoRef, base: &str, head: &str) -> Result<Commits> {
        // developer.atlassian.com/cloud/bitbucket/rest/api-group-commits: 100 is the most of a page.
        let path = format!(
            "{}/commits?include={}&exclude={}&pagelen=100",
            repo_path(repo)?,
            query_value(head),
            query_value(base)
        );
        let page: wire::Page<wire::CommitAnswer> =
            self.get(path, format!("list the commits up to {head} in {}", shown(repo))).await?;
        let is_truncated = page.next.is_some();
        let items = page.values.into_iter().map(wire::CommitAnswer::into_model).collect();
        let mut commits = Commits::default();
        (commits.items, commits.is_truncated) = (items, is_truncated);
        Ok(commits)
    }

    /// One request for the branch's last hundred runs, and one for the steps of each that is looked at, the newest
    /// first: at most twenty that have not passed and ten that have. The limit of requests is low, and a step that ten
    /// passed runs do not have is no step of the branch's pipeline.
    async fn last_green_job(
        &self,
        repo: &RepoRef,
        run: &Run,
        job: &Job,
        branch: &str,
    ) -> Result<Option<GreenJob>> {
        let (mut red, mut passed) = (0, 0);
        for candidate in self.runs_of(repo, branch).await? {
            let is_comparable = candidate.id != run.id
                && candidate.name == run.name
                && candidate.conclusion != Some(Conclusion::StartupFailure);
            if !is_comparable {
                continue;
            }
            if candidate.conclusion == Some(Conclusion::Success) {
                passed += 1;
                if passed > MAX_PASSED_RUNS {
                    break;
                }
            } else {
                red += 1;
                if red > MAX_RED_RUNS {
                    continue;
                }
            }
            if let Some(found) = self.green_step(repo, &candidate, &job.name).await? {
                return Ok(Some(GreenJob::new(candidate, found)));
            }
        }
        Ok(None)
    }

    /// One request for the branch's last hundred runs.
    async fn passed_runs(&self, repo: &RepoRef, branch: &str, _pull: Option<&str>) -> Result<Vec<Run>> {
        let mut runs = self.runs_of(repo, branch).await?;
        runs.retain(|run| run.conclusion == Some(Conclusion::Success));
        runs.truncate(MAX_TOLD);
        Ok(runs)
    }

    /// From the step's test report: those that failed or broke off, with the reasons of the first twenty.
    async fn failing_tests(&self, repo: &RepoRef, _run: &Run, job: &Job) -> Result<Vec<ReportedTest>> {
        tests::read(self, repo, job).await
    }

    /// `bitbucket-pipelines.yml`, as one request gives it. Configurations that it imports are not followed.
    async fn ci_config(&self, repo: &RepoRef, run: &Run) -> Result<Option<CiConfig>> {
        let Some(sha) = &run.sha else { return Ok(None) };
        Ok(self.read_file(repo, sha, CI_CONFIG).await?.map(|text| CiConfig::new(CI_CONFIG, text)))
    }

    /// Two requests on a branch: its name can hold slashes, which the path of a file's address does not take.
    async fn read_file(&self, repo: &RepoRef, git_ref: &str, path: &str) -> Result<Option<String>> {
        let operation = format!("read {path} of {}", shown(repo));
        let sha = if is_commit_id(git_ref) {
            Some(git_ref.to_owned())
        } else {
            self.head_of(repo, git_ref).await?
        };
        let Some(sha) = sha else { return Ok(None) };
        let encoded: Vec<String> = path.split('/').map(segment).collect::<Result<_>>()?;
        let request = self
            .api
            .get(&format!("{}/src/{}/{}", repo_path(repo)?, segment(&sha)?, encoded.join("/")))
            .header(header::ACCEPT, HeaderValue::from_static("*/*"))
            .operation(&operation);
        let response = match request.stream_following(MAX_FILE_BYTES, MAX_REDIRECTS).await {
            Ok(response) => response,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (text, is_cut) = response.into_log().read_to_end().await?;
        if is_cut {
            return Err(Error::new(ErrorKind::TooLarge, "the file is larger than 1 MiB")
                .with_forge(ForgeKind::BITBUCKET_CLOUD)
                .with_operation(operation));
        }
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }
}

impl BitbucketCloudClient {
    /// The last hundred runs of the branch, newest first. Filtered here too: which of the parameters for a branch fits
    /// which kind of run is not documented.
    async fn runs_of(&self, repo: &RepoRef, branch: &str) -> Result<Vec<Run>> {
        let path = format!(
            "{}/pipelines?target.branch={}&sort=-created_on&pagelen=100",
            repo_path(repo)?,
            query_value(branch)
        );
        let page: wire::Page<wire::Pipeline> =
            self.get(path, format!("list the runs of {branch} in {}", shown(repo))).await?;
        let mut runs = Vec::new();
        for pipeline in page.values {
            self.remember_pipeline(repo, pipeline.build_number, &pipeline.uuid);
            let run = pipeline.into_model(&self.place.web, repo);
            if run.git_ref.as_deref() == Some(branch) && run.ref_type == Some(RefType::Branch) {
                runs.push(run);
            }
        }
        Ok(runs)
    }

    /// The commit that a branch stands at (developer.atlassian.com/cloud/bitbucket/rest/api-group-refs).
    async fn head_of(&self, repo: &RepoRef, branch: &str) -> Result<Option<String>> {
        let name: Vec<String> = branch.split('/').map(segment).collect::<Result<_>>()?;
        let path = format!("{}/refs/branches/{}", repo_path(repo)?, name.join("/"));
        let answer: Result<wire::Branch> =
            self.get(path, format!("read branch {branch} of {}", shown(repo))).await;
        match answer {
            Ok(branch) => Ok(Some(branch.target.hash)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn green_step(&self, repo: &RepoRef, run: &Run, name: &str) -> Result<Option<Job>> {
        let mut jobs = forge_core::Ci::list_jobs(self, repo, &RunRef::new(run.id.clone()));
        while let Some(job) = jobs.try_next().await? {
            if job.name == name && job.conclusion == Some(Conclusion::Success) {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }
}

/// `text` as a value in a query.
fn query_value(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
