//! What a channel needs to know, as the API takes it.

use forge_core::{Error, ErrorKind, Result};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

/// Which channel it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// Slack, by incoming webhook or by bot token.
    Slack,
    /// A Telegram chat.
    Telegram,
    /// A Matrix room.
    Matrix,
    /// Mail.
    Email,
    /// A signed request to an address of the user.
    Webhook,
}

impl ChannelKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Slack, Self::Telegram, Self::Matrix, Self::Email, Self::Webhook];

    /// The word that the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Telegram => "telegram",
            Self::Matrix => "matrix",
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

/// A channel's configuration. Secrets are typed; `Debug` shows none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ChannelConfig {
    /// Slack.
    Slack(SlackConfig),
    /// Telegram.
    Telegram(TelegramConfig),
    /// Matrix.
    Matrix(MatrixConfig),
    /// Mail.
    Email(EmailConfig),
    /// A signed webhook.
    Webhook(WebhookConfig),
}

/// `{webhook_url}` or `{bot_token, channel, api_base_url?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackConfig {
    /// The address of an incoming webhook: whoever knows it may post.
    pub(crate) webhook_url: Option<SecretString>,
    pub(crate) bot_token: Option<SecretString>,
    pub(crate) channel: Option<String>,
    pub(crate) api_base_url: Option<Url>,
}

/// `{bot_token, chat_id, api_base_url?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    pub(crate) bot_token: SecretString,
    /// A number, or `@channel`. Numbers come as JSON numbers too.
    #[serde(deserialize_with = "text_or_number")]
    pub(crate) chat_id: String,
    pub(crate) api_base_url: Option<Url>,
}

/// `{homeserver_url, access_token, room_id}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixConfig {
    pub(crate) homeserver_url: Url,
    pub(crate) access_token: SecretString,
    pub(crate) room_id: String,
}

/// `{to: [address]}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    pub(crate) to: Vec<String>,
}

/// `{url}`. The address may hold a secret of the receiver, so it is kept like one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    pub(crate) url: SecretString,
}

/// The fields that are never shown again, of all kinds.
const SECRETS: [&str; 4] = ["webhook_url", "bot_token", "access_token", "url"];

impl ChannelConfig {
    /// Takes a configuration as the API gets it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], which names the field and not its value.
    pub fn parse(kind: &str, config: &Value) -> Result<Self> {
        fn read<T: serde::de::DeserializeOwned>(config: &Value) -> Result<T> {
            T::deserialize(config).map_err(|fault| {
                // The library's text names fields and types; values appear only as `invalid type: string "..."`.
                let text = fault.to_string();
                let text = text.split("invalid value").next().unwrap_or_default();
                let text = if text.contains('"') { "a field of config has the wrong type" } else { text };
                Error::new(ErrorKind::InvalidInput, format!("config: {}", text.trim()))
            })
        }
        let config = match kind {
            "slack" => Self::Slack(read(config)?),
            "telegram" => Self::Telegram(read(config)?),
            "matrix" => Self::Matrix(read(config)?),
            "email" => Self::Email(read(config)?),
            "webhook" => Self::Webhook(read(config)?),
            _ => {
                return Err(Error::new(ErrorKind::InvalidInput, "the channel kind is unknown")
                    .with_hint("one of slack, telegram, matrix, email, webhook"));
            }
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let fault = |text: &str| Err(Error::new(ErrorKind::InvalidInput, text));
        match self {
            Self::Slack(slack) => match (&slack.webhook_url, &slack.bot_token, &slack.channel) {
                (Some(_), None, None) if slack.api_base_url.is_none() => Ok(()),
                (None, Some(_), Some(channel)) if !channel.trim().is_empty() => Ok(()),
                _ => fault("config: give either webhook_url, or bot_token and channel"),
            },
            Self::Telegram(telegram) if telegram.chat_id.trim().is_empty() => {
                fault("config: chat_id is empty")
            }
            Self::Matrix(matrix) if !matrix.room_id.starts_with('!') => {
                fault("config: room_id is the internal id of the room, which begins with '!'")
            }
            Self::Email(email) if email.to.is_empty() || email.to.len() > 50 => {
                fault("config: to needs 1 to 50 addresses")
            }
            Self::Email(email) => {
                for address in &email.to {
                    if address.parse::<lettre::Address>().is_err() {
                        return fault("config: to holds something that is no mail address");
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Which channel it is.
    #[must_use]
    pub fn kind(&self) -> ChannelKind {
        match self {
            Self::Slack(_) => ChannelKind::Slack,
            Self::Telegram(_) => ChannelKind::Telegram,
            Self::Matrix(_) => ChannelKind::Matrix,
            Self::Email(_) => ChannelKind::Email,
            Self::Webhook(_) => ChannelKind::Webhook,
        }
    }

    /// `config` as it may be shown: each secret replaced by `{"fingerprint": ...}`.
    #[must_use]
    pub fn shown(config: &Value) -> Value {
        let Some(fields) = config.as_object() else { return Value::Null };
        let mut shown = Map::new();
        for (name, value) in fields {
            let value = match value.as_str() {
                Some(text) if SECRETS.contains(&name.as_str()) => {
                    let secret = SecretString::from(text.to_owned());
                    json!({ "fingerprint": forge_core::secret::fingerprint(&secret) })
                }
                _ => value.clone(),
            };
            shown.insert(name.clone(), value);
        }
        Value::Object(shown)
    }
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) if number.is_i64() => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("chat_id is a number or a text")),
    }
}
