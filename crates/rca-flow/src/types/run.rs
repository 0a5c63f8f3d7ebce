use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AnalysisView, IntroducedBy};

/// What fails in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunReport {
    /// The integration.
    pub integration_id: String,
    /// Full name of the repository.
    pub repository: String,
    /// The run; its child runs are part of it.
    pub run_id: String,
    /// The last attempt that failed.
    pub attempt: u32,
    /// The branch.
    pub branch: Option<String>,
    /// The commit.
    pub commit_sha: Option<String>,
    /// Number of the pull request.
    pub pr: Option<String>,
    /// Where a person looks at the run.
    pub pipeline_url: Option<String>,
    /// Failed jobs.
    pub failed_jobs: usize,
    /// Those of them that are still being analysed.
    pub pending: usize,
    /// Jobs of one cause together, the first cause first; those without a cause come last.
    pub causes: Vec<RunCause>,
    /// Failures of jobs that were run again and failed again.
    pub earlier_attempts: Vec<RunJob>,
}

/// One cause, and the jobs that fail by it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunCause {
    /// The root cause in words; null where none was found.
    pub root_cause: Option<String>,
    /// The category of the report.
    pub category: Option<String>,
    /// `low`, `medium` or `high`.
    pub severity: Option<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    /// Why there is no report.
    pub missing: Option<String>,
    /// The cluster.
    pub cluster_id: Option<String>,
    /// Whose failure it is.
    pub introduced_by: Option<IntroducedBy>,
    /// Later errors in the logs that follow from it.
    pub consequences: usize,
    /// How many jobs fail by it.
    pub count: usize,
    /// The jobs.
    pub jobs: Vec<RunJob>,
}

/// A failed job of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunJob {
    /// Its analysis.
    pub analysis_id: String,
    /// The run that it ran in, which can be a child run.
    pub run_id: String,
    /// The job.
    pub job_id: String,
    /// Its name.
    pub job_name: Option<String>,
    /// Where a person looks at it.
    pub job_url: Option<String>,
    /// Its attempt.
    pub attempt: u32,
    /// `queued`, `running`, `done`, `failed` or `no_log`.
    pub state: String,
}

/// An analysis made again, and what is different.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rerun {
    /// The analysis as it is now.
    pub analysis: AnalysisView,
    /// Whether the report is as it was.
    pub is_same: bool,
    /// Fields of the report that changed, evidence and steps left out.
    pub changes: Vec<ReportChange>,
    /// Evidence that was not there before.
    pub evidence_added: Vec<EvidencePlace>,
    /// Evidence that is there no more.
    pub evidence_removed: Vec<EvidencePlace>,
}

/// A field of a report that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportChange {
    /// Its path, e.g. `failing.tests`; `report` where there was none before.
    pub field: String,
    /// The old value.
    pub before: Value,
    /// The new value.
    pub after: Value,
}

/// Where evidence stands in the raw log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EvidencePlace {
    /// First line, from 1.
    pub start_line: u64,
    /// Last line.
    pub end_line: u64,
    /// `cause`, `consequence` or `context`.
    pub role: String,
    /// The rule that recognised it.
    pub rule: String,
}
