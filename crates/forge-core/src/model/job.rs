use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Conclusion, Status};

/// One job of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Job {
    /// The forge's id.
    pub id: String,
    /// The run it ran in: with child runs not the one that was asked for.
    pub run_id: String,
    /// The repository it ran in, where that is another one (multi-project pipelines).
    pub repo: Option<super::RepoRef>,
    /// From 1: the run's attempt, or 1 + the number of earlier jobs of that name in the run.
    pub attempt: u32,
    /// Name, with matrix values as the forge prints them.
    pub name: String,
    /// Stage, where the forge has stages.
    pub stage: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// How it ended.
    pub conclusion: Option<Conclusion>,
    /// Its failure does not fail the run.
    pub is_allowed_to_fail: bool,
    /// A later attempt of the same job exists in the same run.
    pub is_retried: bool,
    /// The forge's own word for why it failed, e.g. `job_execution_timeout`.
    pub failure_reason: Option<String>,
    /// Where a person looks at it.
    pub web_url: Option<String>,
    /// Runner name.
    pub runner: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Size of the log in bytes, where the forge tells beforehand.
    pub log_bytes: Option<u64>,
    /// The log was deleted.
    pub is_log_erased: bool,
    /// Steps, where the forge reports them.
    pub steps: Vec<JobStep>,
}

impl Job {
    /// A job of unknown status.
    #[must_use]
    pub fn new(id: impl Into<String>, run_id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            run_id: run_id.into(),
            repo: None,
            attempt: 1,
            name: name.into(),
            stage: None,
            status: Status::Unknown,
            conclusion: None,
            is_allowed_to_fail: false,
            is_retried: false,
            failure_reason: None,
            web_url: None,
            runner: None,
            started_at: None,
            finished_at: None,
            log_bytes: None,
            is_log_erased: false,
            steps: Vec::new(),
        }
    }

    /// Whether it ended in a failure that deserves a cause.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.status == Status::Completed && self.conclusion.is_some_and(Conclusion::is_failure)
    }
}

/// One step of a job, as the forge's API reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStep {
    /// Name.
    pub name: String,
    /// Its place, from 1.
    pub number: u32,
    /// How it ended.
    pub conclusion: Option<Conclusion>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
