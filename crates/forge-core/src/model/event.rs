use serde::{Deserialize, Serialize};

use super::{Conclusion, RepoRef, RunRef, Status};
use crate::ForgeKind;

/// What kind of thing a delivery tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A pipeline or workflow run changed.
    Run,
    /// A job changed.
    Job,
    /// A check run or check suite changed.
    Check,
    /// A commit status changed.
    Status,
    /// Commits, branches or tags changed.
    Push,
    /// A pull or merge request changed.
    PullRequest,
    /// The forge tests the hook.
    Ping,
    /// Anything else.
    Other,
}

/// What a Git reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefType {
    /// A branch.
    Branch,
    /// A tag.
    Tag,
}

/// The normalised facts of a delivery: flat, every field that the payload does not say is `None`.
///
/// It is a hint, not the truth: the state is read again at the forge before anything is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The forge that sent it.
    pub forge: ForgeKind,
    /// What it tells of.
    #[serde(rename = "event")]
    pub kind: EventKind,
    /// The forge's action word, e.g. `completed`; the status word where the forge has no actions.
    pub action: Option<String>,
    /// Full name of the repository.
    pub repo: Option<String>,
    /// The forge's id of the repository.
    pub repo_id: Option<String>,
    /// Branch or tag name, without `refs/heads/` or `refs/tags/`.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
    /// Whether it is a branch or a tag.
    pub ref_type: Option<RefType>,
    /// The commit.
    pub sha: Option<String>,
    /// The run.
    pub run_id: Option<String>,
    /// The run that started this one, where the payload names it (child pipelines).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_run_id: Option<String>,
    /// The run's attempt, from 1.
    pub attempt: Option<u32>,
    /// The job.
    pub job_id: Option<String>,
    /// The job's name, or the context of a status or check.
    pub job_name: Option<String>,
    /// Where the run or job stands.
    pub status: Option<Status>,
    /// How it ended.
    pub conclusion: Option<Conclusion>,
    /// Nothing more will come of this run or job (unless it is run again).
    pub terminal: bool,
    /// It ended in a failure that deserves a cause.
    pub failed: bool,
    /// We act on it.
    pub triggers_rca: bool,
    /// Number of the pull request that the payload names.
    pub pr: Option<String>,
    /// What started the run, in the forge's words.
    pub trigger: Option<String>,
    /// Why we act or do not act on it, for people.
    pub reason: Option<String>,
}

impl Event {
    /// An event of which nothing is known; it triggers nothing.
    #[must_use]
    pub fn new(forge: ForgeKind, kind: EventKind) -> Self {
        Self {
            forge,
            kind,
            action: None,
            repo: None,
            repo_id: None,
            git_ref: None,
            ref_type: None,
            sha: None,
            run_id: None,
            parent_run_id: None,
            attempt: None,
            job_id: None,
            job_name: None,
            status: None,
            conclusion: None,
            terminal: false,
            failed: false,
            triggers_rca: false,
            pr: None,
            trigger: None,
            reason: None,
        }
    }

    /// The repository, where the payload names it fully.
    #[must_use]
    pub fn repo_ref(&self) -> Option<RepoRef> {
        Some(RepoRef::new(self.repo_id.clone()?, self.repo.clone().unwrap_or_default()))
    }

    /// The run, where the payload names it.
    #[must_use]
    pub fn run_ref(&self) -> Option<RunRef> {
        Some(RunRef::new(self.run_id.clone()?).with_attempt(self.attempt))
    }
}
