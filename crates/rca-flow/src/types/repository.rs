use super::{Deserialize, Serialize};

/// Which repositories a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct RepositoryFilter {
    /// A part of the full name, in any case.
    pub search: Option<String>,
    /// Only monitored ones, or only others.
    pub monitored: Option<bool>,
    /// At most so many [100, max 500].
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
    /// Where to read on.
    #[cfg_attr(feature = "openapi", param(max_length = 500))]
    pub cursor: Option<String>,
}

/// A repository as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RepositoryView {
    /// Its id with us.
    pub id: String,
    /// Its id at the forge.
    pub forge_id: String,
    /// Its path.
    pub full_name: String,
    /// Null for an empty repository.
    pub default_branch: Option<String>,
    /// Where a person looks at it.
    pub web_url: Option<String>,
    /// Whether it is read-only at the forge.
    pub archived: bool,
    /// Whether CI is switched on; null where the forge's listing does not tell.
    pub has_ci: Option<bool>,
    /// Whether it is in the perimeter.
    pub monitored: bool,
    /// Its hook.
    pub hook: HookView,
}

/// The hook of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HookView {
    /// `none`, `pending_manual`, `registered`, `active`, `unhealthy`, `disabled` or `lost`.
    pub state: String,
    /// RFC 3339.
    pub last_delivery_at: Option<String>,
    /// What is wrong with it.
    pub last_error: Option<String>,
}

/// Changes which repositories are monitored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MonitorRequest {
    /// To monitor, by our ids.
    #[serde(default)]
    pub add: Vec<String>,
    /// To leave, by our ids.
    #[serde(default)]
    pub remove: Vec<String>,
    /// To monitor all there are.
    #[serde(default)]
    pub all: bool,
}

/// What became of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MonitorItem {
    /// The repository.
    pub id: String,
    /// Whether it is monitored now.
    pub monitored: bool,
    /// Whether its hook is registered at the forge.
    pub hook_registered: bool,
    /// The operation that tells how far its back-fill is, where one was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill_operation_id: Option<String>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Done at once, or going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorOutcome {
    /// Up to fifty repositories.
    Done(Vec<MonitorItem>),
    /// More: the operation to ask for.
    Accepted {
        /// Its id.
        operation_id: String,
    },
}

/// How far a long operation is. It survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationView {
    /// `monitor`, `backfill` or `sync`.
    pub kind: String,
    /// `running`, `done` or `failed`. An operation some of whose items failed is done.
    pub state: String,
    /// How many items are done; of a sync, how many repositories were read.
    pub done: usize,
    /// How many there are, as far as that is known.
    pub total: usize,
    /// How many of those that are done failed.
    pub failed: usize,
    /// Those that are done, in the order in which they were asked for; a sync has none.
    pub items: Vec<OperationItem>,
    /// Where to read on, when there are more items.
    pub next_cursor: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Which items of an operation to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct OperationQuery {
    /// `true`: only those that failed.
    #[serde(default)]
    pub failed: bool,
    /// At most so many [500, max 500].
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
    /// Where to read on.
    #[cfg_attr(feature = "openapi", param(max_length = 500))]
    pub cursor: Option<String>,
}

impl OperationItem {
    /// What failed.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Monitor(item) => item.error.as_deref(),
            Self::Backfill(item) => item.error.as_deref(),
        }
    }
}

/// What became of one item of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OperationItem {
    /// Of a change of what is monitored.
    Monitor(MonitorItem),
    /// Of a back-fill.
    Backfill(BackfillItem),
}

/// What became of the back-fill of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackfillItem {
    /// The repository.
    pub id: String,
    /// How many failed runs are analysed.
    pub runs: usize,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A new webhook secret; shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookSecret {
    /// The address to register.
    pub webhook_url: String,
    /// The secret to register.
    pub secret: String,
    /// Until when the old one works, RFC 3339.
    pub expires_old_at: String,
}
