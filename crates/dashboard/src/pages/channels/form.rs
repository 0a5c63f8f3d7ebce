//! The fields of each kind of channel, and what a person wishes to be told.

use rca_flow::types::{ChannelFilters, ChannelView};
use serde_json::{Map, Value};

use crate::{fields::Fields, locale::Locale};

/// The kinds, in the words of the API.
pub(super) const KINDS: [&str; 5] = ["slack", "telegram", "matrix", "email", "webhook"];

/// A field of a channel's configuration.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Never shown again.
    pub(super) is_secret: bool,
    pub(super) is_needed: bool,
    pub(super) value: String,
}

pub(super) fn fields_of(kind: &str) -> Vec<Field> {
    let field = |name, is_secret, is_needed| Field { name, is_secret, is_needed, value: String::new() };
    match kind {
        "slack" => vec![
            field("webhook_url", true, false),
            field("bot_token", true, false),
            field("channel", false, false),
            field("api_base_url", false, false),
        ],
        "telegram" => vec![
            field("bot_token", true, true),
            field("chat_id", false, false),
            field("api_base_url", false, false),
        ],
        "matrix" => vec![
            field("homeserver_url", false, true),
            field("access_token", true, true),
            field("room_id", false, true),
        ],
        "email" => vec![field("to", false, true)],
        "webhook" => vec![field("url", true, true)],
        _ => Vec::new(),
    }
}

/// The fields as they were sent; secrets are not sent back.
pub(super) fn filled(kind: &str, sent: &Fields) -> Vec<Field> {
    let mut fields = fields_of(kind);
    for field in fields.iter_mut().filter(|field| !field.is_secret) {
        field.value = sent.text(field.name);
    }
    fields
}

/// What the API takes.
pub(super) fn config_of(kind: &str, sent: &Fields) -> Map<String, Value> {
    let mut config = Map::new();
    for field in fields_of(kind) {
        let Some(text) = sent.get(field.name) else { continue };
        let value = if field.name == "to" { Value::from(words(text)) } else { Value::from(text) };
        config.insert(field.name.to_owned(), value);
    }
    config
}

/// What is known of a configuration; of secrets only by what they can be told apart.
pub(super) fn shown(config: &Value) -> Vec<(String, String)> {
    let Some(fields) = config.as_object() else { return Vec::new() };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => {
            other.get("fingerprint").and_then(Value::as_str).map_or_else(|| other.to_string(), str::to_owned)
        }
    };
    fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// What there is to do at the other side.
pub(super) fn steps_of(locale: Locale, kind: &str) -> Vec<&'static str> {
    (1..).map_while(|number| locale.find(&format!("channel_steps.{kind}_{number}"))).collect()
}

/// What a person wishes to be told, as it stands in the form.
#[derive(Debug, Clone)]
pub(super) struct Wishes {
    /// One a line.
    pub(super) repositories: String,
    /// One a line.
    pub(super) branches: String,
    /// Empty: all.
    pub(super) min_severity: String,
    pub(super) first_occurrence_only: bool,
    pub(super) incidents: bool,
    /// Once a day instead of each thing.
    pub(super) digest: bool,
    pub(super) enabled: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            repositories: String::new(),
            branches: String::new(),
            min_severity: String::new(),
            first_occurrence_only: false,
            incidents: true,
            digest: false,
            enabled: true,
        }
    }
}

impl Wishes {
    pub(super) fn of(channel: &ChannelView) -> Self {
        Self {
            repositories: channel.filters.repositories.join("\n"),
            branches: channel.filters.branches.join("\n"),
            min_severity: channel.filters.min_severity.clone().unwrap_or_default(),
            first_occurrence_only: channel.filters.first_occurrence_only,
            incidents: channel.incidents,
            digest: channel.digest,
            enabled: channel.enabled,
        }
    }

    pub(super) fn from_fields(fields: &Fields) -> Self {
        Self {
            repositories: fields.text("repositories"),
            branches: fields.text("branches"),
            min_severity: fields.text("min_severity"),
            first_occurrence_only: fields.is_on("first_occurrence_only"),
            incidents: fields.is_on("incidents"),
            digest: fields.is_on("digest"),
            enabled: fields.is_on("enabled"),
        }
    }

    pub(super) fn filters(&self) -> ChannelFilters {
        ChannelFilters {
            repositories: words(&self.repositories),
            branches: words(&self.branches),
            min_severity: Some(self.min_severity.clone()).filter(|word| !word.is_empty()),
            first_occurrence_only: self.first_occurrence_only,
        }
    }
}

/// Names and addresses have no blanks in them; people write them with commas or on lines of their own.
fn words(text: &str) -> Vec<String> {
    text.split(|it: char| it == ',' || it.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
