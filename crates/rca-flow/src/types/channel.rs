use std::fmt;

use serde_json::Map;

use super::{Deserialize, Serialize, Value};

/// Which messages a channel wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelFilters {
    /// Full names of repositories; `*` stands for any text. None: all. At most 100.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub repositories: Vec<String>,
    /// Branches, likewise; failures without a known branch pass only where there is none.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub branches: Vec<String>,
    /// `low`, `medium` or `high`: nothing below.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::words::SeverityWord>))]
    pub min_severity: Option<String>,
    /// Only failures that were never seen before.
    pub first_occurrence_only: bool,
}

/// Asks for a channel.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelRequest {
    /// `slack`, `telegram`, `matrix`, `email` or `webhook`.
    #[cfg_attr(feature = "openapi", schema(value_type = super::words::ChannelKindWord))]
    pub kind: String,
    /// What people call it, 1 to 100 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100))]
    pub name: String,
    /// slack `{webhook_url}` or `{bot_token, channel, api_base_url?}`; telegram `{bot_token, chat_id?, api_base_url?}`,
    /// where the chat can be linked by the bot once the public address is https; matrix `{homeserver_url, access_token, room_id}`; email `{to: [address]}`; webhook `{url}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub config: Map<String, Value>,
    /// Which messages it wants.
    pub filters: Option<ChannelFilters>,
    /// Whether it is told of incidents [yes where no repository is named in the filters].
    pub incidents: Option<bool>,
    /// Whether it is told once a day what happened, at the hour (UTC) of the settings' `digest`, instead of each thing;
    /// incidents come at once (default: no).
    pub digest: Option<bool>,
    /// Whether anything is sent to it; yes where it is not given.
    pub enabled: Option<bool>,
}

/// Changes a channel: what is not given stays.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelPatch {
    /// What people call it.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// The whole configuration anew.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub config: Option<Map<String, Value>>,
    /// All filters anew.
    pub filters: Option<ChannelFilters>,
    /// Whether it is told of incidents.
    pub incidents: Option<bool>,
    /// Whether it is told once a day. `false`: what was held is told at once.
    pub digest: Option<bool>,
    /// Whether anything is sent to it. `true` also lets one go on that we stopped.
    pub enabled: Option<bool>,
}

// Both hold secrets that are still plain JSON.
impl fmt::Debug for ChannelRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChannelRequest").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for ChannelPatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChannelPatch").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A channel as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelView {
    /// Its id.
    pub id: String,
    /// `slack`, `telegram`, `matrix`, `email` or `webhook`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// The configuration; secrets are `{"fingerprint": ...}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub config: Value,
    /// `ready`, or `waiting`: no Telegram chat is linked to it yet, and nothing is sent.
    pub state: String,
    /// Which messages it wants.
    pub filters: ChannelFilters,
    /// Whether it is told of incidents.
    pub incidents: bool,
    /// Whether it is told once a day, where the settings name an hour.
    pub digest: bool,
    /// Whether anything is sent to it.
    pub enabled: bool,
    /// Why we stopped sending to it.
    pub disabled_reason: Option<String>,
    /// RFC 3339.
    pub created_at: String,
}

/// A channel that was just made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelMade {
    /// The channel.
    #[serde(flatten)]
    pub channel: ChannelView,
    /// What a webhook's requests are signed with (Standard Webhooks). Shown only here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// How a Telegram chat is linked to it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub link: Option<TelegramLink>,
}

/// Links a Telegram chat to a channel: whoever opens one of these first, once, before they expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TelegramLink {
    /// Opens a chat with the bot: `https://t.me/{bot}?start={code}`.
    pub link: String,
    /// Adds the bot to a group.
    pub group_link: String,
    /// RFC 3339.
    pub link_expires_at: String,
}

/// What was, or is to be, sent to a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotificationView {
    /// Its id.
    pub id: String,
    /// `analysis.failed`, `run.fixed`, `digest`, `incident.opened`, `incident.resolved` or `test`.
    pub event: String,
    /// What it says, in one line.
    pub subject: String,
    /// `pending`, `held` (for the digest), `sent`, `failed`, `skipped`, or `unknown`: the answer was lost, and sending again might say it twice.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// Why it was not sent.
    pub error: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339: when it was last tried or changed.
    pub updated_at: String,
}
