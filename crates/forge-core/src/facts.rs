//! Facts about a failure beyond its log: what changed, what was green before, what the forge itself has noted.

use async_trait::async_trait;

use crate::{
    Error, ErrorKind, Result,
    model::{Annotation, Change, CiConfig, Commits, Diff, GreenJob, Job, RepoRef, ReportedTest, Run},
};

/// What helps to tell whose failure it is. Each method has its flag in [`crate::Capabilities`]; without it the method
/// gives [`ErrorKind::Unsupported`] and sends nothing.
#[async_trait]
pub trait Facts: std::fmt::Debug + Send + Sync {
    /// The files that `change` touches, with the lines it wrote.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when a commit is not there (any more): a force push takes commits away.
    async fn diff(&self, repo: &RepoRef, change: &Change) -> Result<Diff> {
        let _ = (repo, change);
        Err(unsupported("read what a change touches"))
    }

    /// The commits that `head` has and `base` has not, newest first.
    ///
    /// # Errors
    /// As [`Facts::diff`].
    async fn commits_between(&self, repo: &RepoRef, base: &str, head: &str) -> Result<Commits> {
        let _ = (repo, base, head);
        Err(unsupported("list commits"))
    }

    /// The latest green execution of the job called `job.name`, in runs of the same pipeline or workflow as `run`, on
    /// `branch`, other than `run` itself. `None` when it is not among the last hundred runs of the branch.
    ///
    /// # Errors
    /// Whatever the calls give.
    async fn last_green_job(
        &self,
        repo: &RepoRef,
        run: &Run,
        job: &Job,
        branch: &str,
    ) -> Result<Option<GreenJob>> {
        let _ = (repo, run, job, branch);
        Err(unsupported("find green runs"))
    }

    /// Runs of `branch` that passed, among its last, newest first: at most twenty, none of forks and none that another run
    /// has started. `pull` is the number of the pull request that comes from the branch, for forges that list its runs
    /// elsewhere. Cheap, since it is asked again and again: one request, three at Bitbucket Data Center.
    ///
    /// Goes with [`crate::Capabilities::green_jobs`].
    ///
    /// # Errors
    /// Whatever the calls give; a branch that is gone has an empty list.
    async fn passed_runs(&self, repo: &RepoRef, branch: &str, pull: Option<&str>) -> Result<Vec<Run>> {
        let _ = (repo, branch, pull);
        Err(unsupported("find green runs"))
    }

    /// The failing tests that the forge's own test report lists for the job, at most a thousand.
    ///
    /// # Errors
    /// Whatever the calls give; a job without a report has an empty list.
    async fn failing_tests(&self, repo: &RepoRef, run: &Run, job: &Job) -> Result<Vec<ReportedTest>> {
        let _ = (repo, run, job);
        Err(unsupported("read test reports"))
    }

    /// The remarks that the job left at lines of files, at most a thousand.
    ///
    /// # Errors
    /// Whatever the calls give; a job without remarks has an empty list.
    async fn annotations(&self, repo: &RepoRef, job: &Job) -> Result<Vec<Annotation>> {
        let _ = (repo, job);
        Err(unsupported("read annotations"))
    }

    /// The text of a file of the repository, on a branch or at a commit: `git_ref` is a branch's name or a commit's full
    /// id, `path` is relative to the root. `None` where the file, the branch or the commit is not there. What is no
    /// UTF-8 is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] above 1 MiB, and whatever the calls give.
    async fn read_file(&self, repo: &RepoRef, git_ref: &str, path: &str) -> Result<Option<String>> {
        let _ = (repo, git_ref, path);
        Err(unsupported("read files"))
    }

    /// The file that defines the run's jobs, as it was at the run's commit; `None` where it is not in the repository.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] above 1 MiB, and whatever the calls give.
    async fn ci_config(&self, repo: &RepoRef, run: &Run) -> Result<Option<CiConfig>> {
        let _ = (repo, run);
        Err(unsupported("read the CI configuration"))
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "the forge has no API for it").with_operation(what)
}
