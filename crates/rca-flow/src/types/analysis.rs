use super::{Deserialize, Report, Serialize};

/// The answer to a delivery that was believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryAnswer {
    /// `accepted`, `duplicate` or `ignored`.
    pub status: &'static str,
    /// Our id of it.
    pub delivery_id: Option<String>,
    /// Why it was ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A delivery as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryView {
    /// Its id.
    pub id: String,
    /// The integration.
    pub integration_id: String,
    /// The repository it speaks of.
    pub repository: Option<String>,
    /// The forge's name of the event.
    pub event: String,
    /// The forge's name of the action.
    pub action: Option<String>,
    /// RFC 3339.
    pub received_at: String,
    /// `pending`, `done`, `ignored` or `dead`.
    pub status: String,
    /// Why it was ignored or is dead.
    pub reason: Option<String>,
    /// The analyses that it led to.
    pub analyses: Vec<String>,
}

/// Asks for an analysis of a run or a job at a forge.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnalyseRequest {
    /// The integration.
    pub integration_id: String,
    /// The repository: our id or its full name.
    pub repository: String,
    /// The run.
    pub run_id: String,
    /// The attempt; the latest without it.
    pub attempt: Option<u32>,
    /// Only this job.
    pub job_id: Option<String>,
    /// Whether to post at the forge.
    #[serde(default)]
    pub post: bool,
}

/// The analyses that an [`AnalyseRequest`] led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Analysed {
    /// The run.
    pub run_id: String,
    /// One per failed job.
    pub analyses: Vec<AnalysedJob>,
}

/// One of [`Analysed::analyses`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnalysedJob {
    /// The analysis.
    pub id: String,
    /// The job.
    pub job_id: String,
    /// Where to read it.
    pub location: String,
}

/// A log from any CI system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IngestRequest {
    /// The CI system, or a forge's id.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 500))]
    pub provider: String,
    /// The project, e.g. its full name.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 500))]
    pub project: String,
    /// How the job ended, in the system's words.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 500))]
    pub status: String,
    /// The log, at most 10 MiB.
    #[cfg_attr(feature = "openapi", schema(max_length = 10485760))]
    pub log: String,
    /// The run.
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub pipeline_id: Option<String>,
    /// The job.
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub job_id: Option<String>,
    /// The job's name.
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub job_name: Option<String>,
    /// The branch.
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub branch: Option<String>,
    /// The commit.
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub commit_sha: Option<String>,
    /// Where a person looks at the run.
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub pipeline_url: Option<String>,
    /// The run's number.
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub build_number: Option<String>,
}

/// The answer to an ingested log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IngestAnswer {
    /// `accepted`, `duplicate` or `ignored`.
    pub status: &'static str,
    /// The analysis; null when ignored.
    pub analysis_id: Option<String>,
    /// Where to read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Why it was ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What looks wrong with the request although it was taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Which analyses a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct AnalysisFilter {
    /// Created at or after, RFC 3339.
    #[cfg_attr(feature = "openapi", param(format = DateTime))]
    pub since: Option<String>,
    /// Created before, RFC 3339.
    #[cfg_attr(feature = "openapi", param(format = DateTime))]
    pub until: Option<String>,
    /// `low`, `medium` or `high`.
    #[cfg_attr(feature = "openapi", param(inline, value_type = Option<super::words::SeverityWord>))]
    pub severity: Option<String>,
    /// A category of the report.
    pub category: Option<String>,
    /// The forge or provider.
    pub forge: Option<String>,
    /// Our id or the full name.
    pub repository: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The cluster.
    pub cluster: Option<String>,
    /// The state.
    #[cfg_attr(feature = "openapi", param(inline, value_type = Option<super::words::AnalysisStateWord>))]
    pub status: Option<String>,
    /// At most so many [100, max 500].
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
    /// Where to read on.
    #[cfg_attr(feature = "openapi", param(max_length = 500))]
    pub cursor: Option<String>,
}

/// An analysis as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnalysisView {
    /// Its id.
    pub id: String,
    /// The integration; null for ingested logs.
    pub integration_id: Option<String>,
    /// The forge that the job ran at; not there for ingested logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forge: Option<String>,
    /// The CI system that an ingested log came from; not there for jobs of a forge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Full name of the repository.
    pub repository: String,
    /// The run that the job ran in.
    pub run_id: String,
    /// The top run, where that one was started by another (child pipelines); else the same.
    pub root_run_id: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The job.
    pub job_id: String,
    /// Its name.
    pub job_name: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The commit.
    pub commit_sha: Option<String>,
    /// Number of the pull request.
    pub pr: Option<String>,
    /// Where a person looks at the run.
    pub pipeline_url: Option<String>,
    /// Where a person looks at the job.
    pub job_url: Option<String>,
    /// `webhook`, `poll`, `backfill`, `ingest` or `manual`.
    pub source: String,
    /// `queued`, `running`, `done`, `failed` or `no_log`.
    pub state: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub finished_at: Option<String>,
    /// What the engine says.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub report: Option<Report>,
    /// The cluster it belongs to.
    pub cluster_id: Option<String>,
    /// Whose failure it is.
    pub introduced_by: IntroducedBy,
    /// What we said at the forge.
    pub feedback: Vec<FeedbackView>,
    /// The analysis whose result was taken over.
    pub reused_from: Option<String>,
    /// Why there is no report.
    pub error: Option<String>,
}

/// Whose failure it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntroducedBy {
    /// `this_change`, `base_branch`, `flaky`, `infrastructure` or `unknown`.
    pub verdict: String,
    /// Why we think so.
    pub reason: String,
}

/// What we said at the forge, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeedbackView {
    /// `pr:42`, `commit:<sha>`, `issue` or `status`.
    pub target: String,
    /// `posted`, `updated`, `skipped` or `failed`.
    pub state: String,
    /// Where a person reads it.
    pub url: Option<String>,
    /// Why it was skipped or failed.
    pub reason: Option<String>,
}
