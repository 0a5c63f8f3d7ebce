use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::RefType;

/// Where a run or job stands. What a forge says beyond these is `Unknown`, never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waiting to begin: created, pending, waiting for a resource, scheduled.
    Queued,
    /// Under way.
    Running,
    /// Ended; the conclusion says how.
    Completed,
    /// A word that this adapter does not know.
    Unknown,
}

/// How a run or job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// All well.
    Success,
    /// Failed.
    Failure,
    /// Stopped by a person or by another run.
    Cancelled,
    /// Stopped by a time limit.
    TimedOut,
    /// Never ran.
    Skipped,
    /// Neither good nor bad.
    Neutral,
    /// Waits for an approval.
    ActionRequired,
    /// Could not start, e.g. a broken configuration file.
    StartupFailure,
    /// Given up by the forge.
    Stale,
    /// Waits for a person to press a button.
    Manual,
    /// A word that this adapter does not know.
    Unknown,
}

impl Conclusion {
    /// Whether this is a failure that deserves a cause: failure, time-out or a start that failed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::TimedOut | Self::StartupFailure)
    }
}

/// Names a run in a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunRef {
    /// The forge's id of the run.
    pub id: String,
    /// Which attempt, from 1; `None` is the latest. Ignored where runs have no attempts.
    pub attempt: Option<u32>,
}

impl RunRef {
    /// The latest attempt of a run.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), attempt: None }
    }

    /// A certain attempt.
    #[must_use]
    pub fn with_attempt(mut self, attempt: Option<u32>) -> Self {
        self.attempt = attempt;
        self
    }
}

/// A pipeline or workflow run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Run {
    /// The forge's id.
    pub id: String,
    /// From 1.
    pub attempt: u32,
    /// The top run, where this one was started by another.
    pub root_id: Option<String>,
    /// Workflow or pipeline name.
    pub name: Option<String>,
    /// The number that people know it by, e.g. `#17`'s `17`.
    pub number: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// How it ended.
    pub conclusion: Option<Conclusion>,
    /// Branch or tag name, without `refs/heads/`.
    pub git_ref: Option<String>,
    /// Whether `git_ref` is a branch or a tag.
    pub ref_type: Option<RefType>,
    /// The commit that people know: the head of the pull request, not a merge commit made for the run.
    pub sha: Option<String>,
    /// What started it, in the forge's words: `push`, `merge_request_event`, `schedule`, ...
    pub trigger: Option<String>,
    /// Where a person looks at it.
    pub web_url: Option<String>,
    /// Numbers of pull requests in this repository that the forge names itself.
    pub pull_requests: Vec<String>,
    /// The id of the repository that the head commit is in, where it is another one (fork).
    pub head_repo_id: Option<String>,
    /// Owner of the head repository, where the forge needs it to find the pull request.
    pub head_owner: Option<String>,
    /// The forge's message where the configuration was refused and no job ever ran.
    pub config_error: Option<String>,
    /// When it was created (its first attempt).
    pub created_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Run {
    /// A run of unknown status.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            attempt: 1,
            root_id: None,
            name: None,
            number: None,
            status: Status::Unknown,
            conclusion: None,
            git_ref: None,
            ref_type: None,
            sha: None,
            trigger: None,
            web_url: None,
            pull_requests: Vec::new(),
            head_repo_id: None,
            head_owner: None,
            config_error: None,
            created_at: None,
            updated_at: None,
            finished_at: None,
        }
    }

    /// Whether it ended in a failure that deserves a cause.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.status == Status::Completed && self.conclusion.is_some_and(Conclusion::is_failure)
    }

    /// The reference to use in calls.
    #[must_use]
    pub fn as_ref(&self) -> RunRef {
        RunRef::new(self.id.clone()).with_attempt(Some(self.attempt))
    }
}

/// A pull or merge request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PullRequest {
    /// The number within the repository (GitLab: iid).
    pub number: String,
    /// The repository whose number it is: for a fork's run this is not the run's repository.
    pub repo: super::RepoRef,
    /// Title.
    pub title: String,
    /// Where a person looks at it.
    pub web_url: String,
    /// Whether comments can be expected to be read.
    pub is_open: bool,
    /// The branch it comes from.
    pub source_branch: Option<String>,
    /// The branch it goes to.
    pub target_branch: Option<String>,
    /// The commit it stands at.
    pub head_sha: Option<String>,
    /// Its branch is in another repository than the one it goes to.
    pub is_from_fork: bool,
}

impl PullRequest {
    /// An open pull request.
    #[must_use]
    pub fn new(number: impl Into<String>, repo: super::RepoRef) -> Self {
        Self {
            number: number.into(),
            repo,
            title: String::new(),
            web_url: String::new(),
            is_open: true,
            source_branch: None,
            target_branch: None,
            head_sha: None,
            is_from_fork: false,
        }
    }
}
