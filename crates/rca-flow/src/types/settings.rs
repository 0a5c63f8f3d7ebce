use super::{Deserialize, FeedbackChange, SecretString, Serialize};

/// A CI server that holds logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LogSourceKind {
    /// Jenkins.
    Jenkins,
    /// Bamboo.
    Bamboo,
    /// TeamCity.
    TeamCity,
}

/// Changes the settings of a workspace: what is not given stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsChange {
    /// What is said at the forge, where an integration has no wish of its own.
    pub feedback: Option<FeedbackChange>,
    /// Where the logs lie of forges that have no CI. Replaces the whole list; at most 50.
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub log_sources: Option<Vec<LogSourceChange>>,
}

/// A log source as it shall be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogSourceChange {
    /// Which CI server.
    pub kind: LogSourceKind,
    /// Its address as a person opens it, or that of a folder in it.
    pub base_url: String,
    /// The user that the token belongs to; it then goes as a password.
    pub username: Option<String>,
    /// The token. May be left out for a source that is known by the same kind, address and user.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub token: Option<SecretString>,
}

/// The settings of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsView {
    /// The wishes of the workspace; what is missing is as the forge's default.
    pub feedback: FeedbackChange,
    /// The log sources.
    pub log_sources: Vec<LogSourceView>,
}

/// A log source as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogSourceView {
    /// Which CI server.
    pub kind: LogSourceKind,
    /// Its address.
    pub base_url: String,
    /// The user that the token belongs to.
    pub username: Option<String>,
    /// Tells one token from another and nothing about it.
    pub fingerprint: String,
}
