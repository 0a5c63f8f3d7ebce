//! What a Telegram bot does besides sending messages: say who it is, and have its updates sent to us.
//!
//! Source: Telegram's Bot API documentation, getMe, setWebhook, getWebhookInfo and deleteWebhook; for links that open a
//! chat with the bot, core.telegram.org/bots/features, "Deep linking".

#![expect(clippy::disallowed_methods, reason = "the token is part of the address")]

use forge_core::{Error, ErrorKind, Result};
use forge_http::{ApiClient, HttpClient};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use crate::telegram;

/// A bot without a chat: `{bot_token, api_base_url?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct BotConfig {
    bot_token: SecretString,
    api_base_url: Option<Url>,
}

/// A Telegram bot.
#[derive(Debug)]
pub struct TelegramBot {
    api: ApiClient,
    token: SecretString,
}

#[derive(Deserialize)]
struct Reply<T> {
    result: T,
}

#[derive(Deserialize)]
struct Me {
    username: String,
}

#[derive(Deserialize)]
struct WebhookInfo {
    url: String,
}

impl TelegramBot {
    pub(crate) fn new(http: &HttpClient, config: &Value) -> Result<Self> {
        let config: BotConfig = BotConfig::deserialize(config).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "config: needs bot_token and takes api_base_url")
        })?;
        let api = telegram::connect(http, &config.bot_token, config.api_base_url.as_ref())?;
        Ok(Self { api, token: config.bot_token })
    }

    /// The bot's name, without `@`.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] when Telegram does not know the token.
    pub async fn name(&self) -> Result<String> {
        let me: Me = self.call("getMe", &json!({})).await?;
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if is_name(&me.username) {
            return Ok(me.username);
        }
        Err(Error::new(ErrorKind::UnexpectedResponse, "Telegram gives the bot no name that can be linked to"))
    }

    /// Has messages to the bot sent to `url`, each with `secret` in the header `X-Telegram-Bot-Api-Secret-Token`: 1 to
    /// 256 of `A-Z a-z 0-9 _ -`. A bot has one such address; what waited for the one before is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when Telegram does not take the address, e.g. because it is not https.
    pub async fn send_updates_to(&self, url: &Url, secret: &SecretString) -> Result<()> {
        let body = json!({
            "url": url.as_str(),
            "secret_token": secret.expose_secret(),
            "allowed_updates": ["message"],
            "drop_pending_updates": true,
        });
        self.call::<bool>("setWebhook", &body).await.map(drop)
    }

    /// Whether messages to the bot are sent to `url` now.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub async fn sends_updates_to(&self, url: &Url) -> Result<bool> {
        let info: WebhookInfo = self.call("getWebhookInfo", &json!({})).await?;
        Ok(info.url == url.as_str())
    }

    /// Ends [`Self::send_updates_to`], whatever the address: ask [`Self::sends_updates_to`] before.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub async fn send_no_updates(&self) -> Result<()> {
        self.call::<bool>("deleteWebhook", &json!({})).await.map(drop)
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, body: &Value) -> Result<T> {
        let path = format!("bot{}/{method}", self.token.expose_secret());
        let answer = self.api.post(&path).json(body).operation("ask Telegram about the bot").send().await?;
        Ok(answer.json::<Reply<T>>()?.result)
    }
}
