use super::{Deserialize, FeedbackChange, FeedbackPatch, SecretString, Serialize, integration::given};

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
    /// What is said at the forge, where an integration has no wish of its own. Null takes a wish back, so that it is as
    /// usual for the forge.
    pub feedback: Option<FeedbackPatch>,
    /// Where the logs lie of forges that have no CI. Replaces the whole list; at most 50.
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub log_sources: Option<Vec<LogSourceChange>>,
    /// Rules of the workspace as TOML, in the form that `forge-rca rules test` checks; at most 256 KiB. They are asked
    /// before those of a repository's `.forge-rca.toml`. Null or an empty text removes them.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub rules: Option<Option<String>>,
    /// How long what has ended is kept. Replaces the whole object; null takes that of the operator.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<RetentionDays>))]
    pub retention: Option<Option<RetentionDays>>,
    /// How often comments are posted or edited. Replaces the whole object; null is no limit.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<RateCaps>))]
    pub rate_caps: Option<Option<RateCaps>>,
    /// When the digest of the day is sent; null is never.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Digest>))]
    pub digest: Option<Option<Digest>>,
}

/// Days after which what has ended is removed. What is left out, or longer than the operator's, is as the operator's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetentionDays {
    /// Deliveries that are done or were ignored; at least 7, since forges send one again for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 7))]
    pub deliveries: Option<u32>,
    /// Deliveries and tasks that were given up and wait for somebody to replay them; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub dead: Option<u32>,
    /// Tasks that are done, and the progress of bulk operations; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub tasks: Option<u32>,
    /// Analyses with their reports, how runs ended, and what passing logs look like; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub analyses: Option<u32>,
    /// Incidents that are resolved, and what channels were told; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub incidents: Option<u32>,
}

/// How many comments are posted or edited within an hour, issues included. What is capped is said once there is room
/// again. What is left out has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RateCaps {
    /// At one pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10_000))]
    pub pull_request_per_hour: Option<u32>,
    /// In one repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10_000))]
    pub repository_per_hour: Option<u32>,
}

/// When the digest is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Digest {
    /// The hour of the day from which it is sent.
    #[cfg_attr(feature = "openapi", schema(maximum = 23))]
    pub hour: u8,
    /// The time zone of the hour: UTC.
    #[serde(default)]
    pub timezone: TimeZone,
}

/// A time zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TimeZone {
    /// Coordinated universal time.
    #[default]
    #[serde(rename = "UTC")]
    Utc,
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
    /// The rules of the workspace.
    pub rules: Option<String>,
    /// How long what has ended is kept; what is missing is as the operator's.
    pub retention: RetentionDays,
    /// How often comments are posted or edited; what is missing has no limit.
    pub rate_caps: RateCaps,
    /// When the digest of the day is sent.
    pub digest: Option<Digest>,
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
