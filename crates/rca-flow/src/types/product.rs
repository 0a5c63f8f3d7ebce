use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which clusters a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ClusterQuery {
    /// `active`, `acknowledged` or `resolved`.
    #[cfg_attr(feature = "openapi", param(inline, value_type = Option<super::words::ClusterStateWord>))]
    pub state: Option<String>,
    /// A category of the report.
    pub category: Option<String>,
    /// Seen in this repository, by its full name.
    pub repository: Option<String>,
    /// At most so many [100, max 500].
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
    /// Where to read on.
    #[cfg_attr(feature = "openapi", param(max_length = 500))]
    pub cursor: Option<String>,
}

/// Failures with one fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterView {
    /// Its id.
    pub id: String,
    /// What makes the failures the same.
    pub fingerprint: String,
    /// `active`, `acknowledged` or `resolved`.
    pub state: String,
    /// Failed jobs so far.
    pub count: i64,
    /// RFC 3339.
    pub first_seen_at: String,
    /// RFC 3339.
    pub last_seen_at: String,
    /// RFC 3339; null unless it is resolved.
    pub resolved_at: Option<String>,
    /// In how many repositories it was seen.
    pub repository_count: i64,
    /// Full names, the latest first.
    pub repositories: Vec<String>,
    /// The category of the last report.
    pub category: Option<String>,
    /// The root cause in words.
    pub root_cause: Option<String>,
    /// The commit with which it last turned green.
    pub last_fix: Option<String>,
    /// The last analysis.
    pub last_analysis_id: Option<String>,
}

/// A part of a plain list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ListQuery {
    /// `open` shows only what is not resolved.
    pub state: Option<String>,
    /// `json` or `csv`, where the list can be a table.
    pub format: Option<String>,
    /// At most so many [100, max 500].
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
    /// Where to read on.
    #[cfg_attr(feature = "openapi", param(max_length = 500))]
    pub cursor: Option<String>,
}

/// Which entries of the audit a list or table shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct AuditQuery {
    /// Who: a part of the name.
    pub actor: Option<String>,
    /// What: a part of the action, e.g. `channel.`.
    pub action: Option<String>,
    /// To what: a part of it.
    pub target: Option<String>,
    /// From, RFC 3339.
    #[cfg_attr(feature = "openapi", param(format = DateTime))]
    pub since: Option<String>,
    /// To, RFC 3339.
    #[cfg_attr(feature = "openapi", param(format = DateTime))]
    pub until: Option<String>,
    /// `json` or `csv`.
    pub format: Option<String>,
    /// At most so many [100, max 500]; a table has all.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
    /// Where to read on.
    #[cfg_attr(feature = "openapi", param(max_length = 500))]
    pub cursor: Option<String>,
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentView {
    /// Its id.
    pub id: String,
    /// What is wrong, in snake_case.
    pub code: String,
    /// `low`, `medium` or `high`.
    pub severity: String,
    /// What is wrong, in words.
    pub message: String,
    /// What helps.
    pub remedy: String,
    /// The integration that it is about.
    pub integration_id: Option<String>,
    /// The repository that it is about.
    pub repository_id: Option<String>,
    /// RFC 3339.
    pub opened_at: String,
    /// RFC 3339; null while it lasts.
    pub resolved_at: Option<String>,
}

/// Who did what.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditView {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// RFC 3339.
    pub at: String,
    /// Who: a token, a member, `system`.
    pub actor: String,
    /// What, such as `integration.connect`.
    pub action: String,
    /// To what.
    pub target: String,
    /// Details.
    pub detail: Value,
    /// The hash over this entry and the one before.
    pub hash: String,
}

/// A person to add.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberRequest {
    /// The mail address.
    #[cfg_attr(feature = "openapi", schema(min_length = 3, max_length = 254))]
    pub email: String,
    /// `owner`, `admin`, `member` or `viewer`.
    #[cfg_attr(feature = "openapi", schema(value_type = super::words::RoleWord))]
    pub role: String,
}

/// Another role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleRequest {
    /// `owner`, `admin`, `member` or `viewer`.
    #[cfg_attr(feature = "openapi", schema(value_type = super::words::RoleWord))]
    pub role: String,
}

/// A person of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberView {
    /// Its id.
    pub id: String,
    /// The mail address.
    pub email: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// RFC 3339.
    pub created_at: String,
}

/// Which span is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct StatsQuery {
    /// From, RFC 3339 [30 days before `until`].
    #[cfg_attr(feature = "openapi", param(format = DateTime))]
    pub since: Option<String>,
    /// To, RFC 3339; now where it is not given.
    #[cfg_attr(feature = "openapi", param(format = DateTime))]
    pub until: Option<String>,
    /// Only this repository, by its full name.
    pub repository: Option<String>,
}

/// Which span is counted, and how many places the table has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct TopQuery {
    /// From, RFC 3339 [30 days before `until`].
    #[cfg_attr(feature = "openapi", param(format = DateTime))]
    pub since: Option<String>,
    /// To, RFC 3339; now where it is not given.
    #[cfg_attr(feature = "openapi", param(format = DateTime))]
    pub until: Option<String>,
    /// Only this repository, by its full name.
    pub repository: Option<String>,
    /// At most so many [10, max 500].
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
}

/// A value that half, and one that nine in ten, do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Percentiles {
    /// Half are at most this; null where there is nothing to count.
    pub p50: Option<f64>,
    /// Nine in ten are at most this.
    pub p90: Option<f64>,
}

/// The span in numbers. Back-filled failures are not counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// RFC 3339.
    pub since: String,
    /// RFC 3339.
    pub until: String,
    /// Failed jobs.
    pub failures: i64,
    /// Runs that ended, of those that a forge told us of.
    pub runs: i64,
    /// Those of them that failed.
    pub failed_runs: i64,
    /// `failed_runs / runs`; null where no run is known.
    pub failure_rate: Option<f64>,
    /// Seconds from the first sign of a failure to its report.
    pub time_to_report_seconds: Percentiles,
    /// Minutes that failed jobs ran, as far as their logs tell.
    pub minutes_lost: f64,
    /// Clusters first seen in the span.
    pub new_clusters: i64,
    /// Older clusters that were seen again.
    pub recurring_clusters: i64,
    /// Clusters that are active now.
    pub active_clusters: i64,
}

/// One day and domain of the time series. Days without failures are not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Point {
    /// The day in UTC, e.g. `2027-01-31`.
    pub day: String,
    /// `code`, `test`, `dependency`, `configuration`, `infrastructure` or `unknown`.
    pub domain: String,
    /// Failed jobs.
    pub failures: i64,
    /// Minutes that they ran.
    pub minutes_lost: f64,
}

/// A repository with its failures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RepositoryStatsView {
    /// Its full name.
    pub repository: String,
    /// Failed jobs.
    pub failures: i64,
    /// Minutes that they ran.
    pub minutes_lost: f64,
}

/// A cluster with what it cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CauseView {
    /// The cluster.
    pub cluster_id: String,
    /// The root cause in words.
    pub root_cause: Option<String>,
    /// The category.
    pub category: Option<String>,
    /// `active`, `acknowledged` or `resolved`.
    pub state: String,
    /// Failed jobs in the span.
    pub failures: i64,
    /// Minutes that they ran.
    pub minutes_lost: f64,
}
