use serde::Deserializer;

use super::{Deserialize, ForgeKind, SecretString, Serialize, Value};

/// How failures reach us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Mode {
    /// By hooks only.
    Webhook,
    /// By asking the forge regularly.
    Polling,
    /// By hooks, and by asking for what they missed.
    #[default]
    Hybrid,
}

/// Which repositories are monitored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PerimeterMode {
    /// Those that were chosen one by one.
    #[default]
    Selected,
    /// All that the credential sees, new ones too.
    All,
    /// All of certain projects, new ones too.
    Projects,
}

/// The perimeter of an integration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Perimeter {
    /// How it is chosen.
    pub mode: PerimeterMode,
    /// The project keys or group paths of mode `projects`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
}

/// How much of the past is analysed when a repository becomes monitored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backfill {
    /// Whether at all.
    pub enabled: bool,
    /// How many failed runs.
    pub runs: u32,
}

impl Default for Backfill {
    fn default() -> Self {
        Self { enabled: true, runs: 20 }
    }
}

/// A partial [`Backfill`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackfillChange {
    /// Whether at all.
    pub enabled: Option<bool>,
    /// How many failed runs, at most 100.
    #[cfg_attr(feature = "openapi", schema(maximum = 100))]
    pub runs: Option<u32>,
}

/// What we say at the forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeedbackPolicy {
    /// A comment on the pull request.
    pub pr_comment: bool,
    /// A comment on the commit, where there is no pull request or it cannot be commented.
    pub commit_comment: bool,
    /// An issue, where neither can be done.
    pub issue: bool,
    /// A status at the commit.
    pub status: bool,
}

/// A partial [`FeedbackPolicy`]: what is not there is as it is without a wish.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeedbackChange {
    /// A comment on the pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr_comment: Option<bool>,
    /// A comment on the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_comment: Option<bool>,
    /// An issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<bool>,
    /// A status at the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<bool>,
}

/// Changes wishes about feedback: what is not given stays, null takes a wish back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeedbackPatch {
    /// A comment on the pull request.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub pr_comment: Option<Option<bool>>,
    /// A comment on the commit.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub commit_comment: Option<Option<bool>>,
    /// An issue.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub issue: Option<Option<bool>>,
    /// A status at the commit.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub status: Option<Option<bool>>,
}

impl FeedbackPatch {
    /// The wishes after the change.
    #[must_use]
    pub fn over(self, known: FeedbackChange) -> FeedbackChange {
        FeedbackChange {
            pr_comment: self.pr_comment.unwrap_or(known.pr_comment),
            commit_comment: self.commit_comment.unwrap_or(known.commit_comment),
            issue: self.issue.unwrap_or(known.issue),
            status: self.status.unwrap_or(known.status),
        }
    }
}

/// A field that is there, be it null, is not one that is left out.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Begins an OAuth flow.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartRequest {
    /// Web address of the instance; the forge's cloud without it.
    pub base_url: Option<String>,
    /// Root of the API, where it does not follow from `base_url`.
    pub api_base_url: Option<String>,
    /// Root of the OAuth pages, where it does not follow from `base_url`.
    pub oauth_base_url: Option<String>,
    /// The OAuth application; the operator's platform application without it.
    pub client_id: Option<String>,
    /// Its secret.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub client_secret: Option<SecretString>,
    /// How failures reach us.
    pub mode: Option<Mode>,
    /// Which repositories are monitored.
    pub perimeter: Option<Perimeter>,
    /// How much of the past is analysed.
    pub backfill: Option<BackfillChange>,
    /// What we say at the forge.
    pub feedback: Option<FeedbackChange>,
}

/// An OAuth flow that has begun.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Started {
    /// The state; good once.
    pub state: String,
    /// Where the browser goes now.
    pub authorize_url: String,
    /// Where the forge sends it back to: to be registered with the application.
    pub redirect_uri: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}

/// Ends an OAuth flow.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorizeRequest {
    /// As it was given at the start.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub state: SecretString,
    /// As the forge gave it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: SecretString,
}

/// Connects with a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenRequest {
    /// Web address of the instance; the forge's cloud without it.
    pub base_url: Option<String>,
    /// Root of the API, where it does not follow from `base_url`.
    pub api_base_url: Option<String>,
    /// Root of the OAuth pages, where it does not follow from `base_url`.
    pub oauth_base_url: Option<String>,
    /// The token.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: SecretString,
    /// What the token was made for: `instance`, `project` or `repository`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::words::LevelWord>))]
    pub level: Option<String>,
    /// The project of a project's token.
    pub project_key: Option<String>,
    /// Full name of the repository of a repository's token.
    pub repository: Option<String>,
    /// The account's mail address, for Atlassian API tokens.
    pub email: Option<String>,
    /// The workspace, for tokens that cannot list workspaces.
    pub workspace: Option<String>,
    /// How failures reach us.
    pub mode: Option<Mode>,
    /// Which repositories are monitored.
    pub perimeter: Option<Perimeter>,
    /// How much of the past is analysed.
    pub backfill: Option<BackfillChange>,
    /// What we say at the forge.
    pub feedback: Option<FeedbackChange>,
}

/// Connects one repository by its hook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookOnlyRequest {
    /// Web address of the instance.
    pub base_url: String,
    /// The project's key.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub project_key: String,
    /// The repository, with or without the project before it.
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub repository: String,
    /// A token that may register the hook, where there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub token: Option<SecretString>,
}

/// A repository that was connected by its hook.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookOnly {
    /// The integration.
    pub integration: IntegrationView,
    /// Where the forge has to send to.
    pub webhook_url: String,
    /// The hook's secret. Shown now and never again.
    pub secret: String,
    /// Whether the hook is registered at the forge.
    pub registered: bool,
    /// What a person has to do.
    pub instructions: String,
}

/// Replaces the token of an integration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplaceTokenRequest {
    /// The new token, of the same account at the same instance.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: SecretString,
    /// The account's mail address, for Atlassian API tokens.
    pub email: Option<String>,
}

/// Changes an integration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntegrationPatch {
    /// How failures reach us.
    pub mode: Option<Mode>,
    /// Which repositories are monitored.
    pub perimeter: Option<Perimeter>,
    /// How much of the past is analysed.
    pub backfill: Option<BackfillChange>,
    /// What we say at the forge; null takes a wish back, so that it is as the workspace has it.
    pub feedback: Option<FeedbackPatch>,
    /// Switched on.
    pub enabled: Option<bool>,
}

/// An integration as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntegrationView {
    /// Its id.
    pub id: String,
    /// The forge.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub forge: ForgeKind,
    /// The web address of the instance.
    pub base_url: String,
    /// `oauth`, `token`, `app` or `webhook_only`.
    pub auth: String,
    /// Who we are at the forge.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub account: Value,
    /// How failures reach us.
    pub mode: Mode,
    /// Which repositories are monitored.
    pub perimeter: Perimeter,
    /// What we say at the forge.
    pub feedback: FeedbackPolicy,
    /// How much of the past is analysed.
    pub backfill: Backfill,
    /// Switched on.
    pub enabled: bool,
    /// RFC 3339.
    pub created_at: String,
    /// Where the deliveries of an app go; null for integrations that are no app's.
    pub webhook_url: Option<String>,
    /// How it is.
    pub health: Health,
}

/// In one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HealthStatus {
    /// All that is switched on works.
    #[default]
    Healthy,
    /// It works, but not all of it.
    Degraded,
    /// Nothing works until somebody acts.
    Broken,
}

/// How the credential is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Credential {
    /// The forge accepts it.
    Valid,
    /// It ends within a week and cannot be refreshed.
    Expiring,
    /// It has ended.
    Expired,
    /// The forge rejects it.
    Rejected,
    /// Not asked yet.
    #[default]
    Unknown,
    /// There is none: the integration only receives.
    None,
}

/// The health of an integration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// In one word.
    pub status: HealthStatus,
    /// How the credential is.
    pub credential: Credential,
    /// When it ends, RFC 3339.
    pub expires_at: Option<String>,
    /// The version of the instance, where it tells.
    pub version: Option<String>,
    /// What it was granted.
    pub scopes: Scopes,
    /// What it lets us do.
    pub can: Can,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Scopes of a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scopes {
    /// Granted.
    pub granted: Vec<String>,
    /// Needed and not granted.
    pub missing: Vec<String>,
}

/// What an integration can do, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Can {
    /// List repositories.
    pub discover: bool,
    /// Manage hooks.
    pub hook: bool,
    /// Read logs.
    pub read_logs: bool,
    /// Comment.
    pub comment: bool,
    /// Set a commit status.
    pub set_status: bool,
}

/// Something that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Stable, snake_case.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// What a disconnect did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Disconnected {
    /// Whether the forge has revoked the grant.
    pub revoked: bool,
    /// How many hooks were removed.
    pub removed_hooks: usize,
    /// Hooks that are still there.
    pub leftover_hooks: Vec<LeftoverHook>,
}

/// A hook that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftoverHook {
    /// Full name of the repository.
    pub repository: String,
    /// Our address that it sends to.
    pub url: String,
    /// Why it is still there.
    pub reason: String,
}
