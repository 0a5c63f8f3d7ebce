use std::fmt;

use async_trait::async_trait;
use forge_core::{Error, ErrorKind, Result};
use forge_http::HttpClient;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    ChannelConfig, MailServer, Message, mail::Mail, matrix::Matrix, slack::Slack, telegram::Telegram,
    telegram_bot::TelegramBot, webhook::Webhook,
};

/// A message that was sent, as the channel names it. Stored, and given back to answer or edit it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The channel's id of the message.
    pub id: String,
    /// Where it stands, where that differs from the configuration: Slack's channel id, Telegram's new chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl Sent {
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), place: None }
    }
}

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// On its own.
    New,
    /// Into the thread of an earlier one. Where a channel has no threads it stands on its own.
    Reply(&'a Sent),
    /// In place of an earlier one. Where a channel cannot edit it is a reply.
    Edit(&'a Sent),
}

/// One channel, ready to be used.
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync {
    /// Whether a message can be changed after it was sent.
    fn can_edit(&self) -> bool;

    /// Whether sending a message of the same key twice shows it once. Where not, a send whose answer was lost must not be
    /// repeated: [`ErrorKind::Timeout`], [`ErrorKind::UnexpectedResponse`], and [`ErrorKind::Unreachable`] unless
    /// [`Error::is_unsent`].
    fn is_repeatable(&self) -> bool;

    /// Sends it.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] and [`ErrorKind::Forbidden`] when the channel does not take the credential,
    /// [`ErrorKind::NotFound`] and [`ErrorKind::Gone`] when the place is not there: a person has to act. Others as
    /// their [`forge_core::Retry`] says.
    async fn send(&self, message: &Message, place: Place<'_>) -> Result<Sent>;
}

/// Opens channels: holds what they share.
#[derive(Debug, Clone)]
pub struct Outlets {
    http: HttpClient,
    mail: Option<MailServer>,
}

impl Outlets {
    /// Over `http`, whose address guard judges every address that a user gave. Without a mail server.
    #[must_use]
    pub fn new(http: HttpClient) -> Self {
        Self { http, mail: None }
    }

    /// Also sends mail.
    #[must_use]
    pub fn with_mail(mut self, server: MailServer) -> Self {
        self.mail = Some(server);
        self
    }

    /// Whether mail can be sent.
    #[must_use]
    pub fn has_mail(&self) -> bool {
        self.mail.is_some()
    }

    /// The bot of a Telegram channel that has no chat yet: `{bot_token, api_base_url?}`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn telegram_bot(&self, config: &serde_json::Value) -> Result<TelegramBot> {
        TelegramBot::new(&self.http, config)
    }

    /// The channel of `config`; `signing_secret` is what a webhook signs with. Sends nothing yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the configuration is not usable here: mail without a mail server, a webhook
    /// without a secret; [`ErrorKind::AddressRefused`] when the address is not allowed.
    pub fn open(
        &self,
        config: &ChannelConfig,
        signing_secret: Option<&SecretString>,
    ) -> Result<Box<dyn Notifier>> {
        Ok(match config {
            ChannelConfig::Slack(config) => Box::new(Slack::new(&self.http, config)?),
            ChannelConfig::Telegram(config) => Box::new(Telegram::new(&self.http, config)?),
            ChannelConfig::Matrix(config) => Box::new(Matrix::new(&self.http, config)?),
            ChannelConfig::Email(config) => {
                let server = self.mail.as_ref().ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, "this installation has no mail server")
                        .with_hint("set FORGE_RCA_SMTP_URL and FORGE_RCA_SMTP_FROM")
                })?;
                Box::new(Mail::new(server, config)?)
            }
            ChannelConfig::Webhook(config) => {
                let secret = signing_secret.ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, "the webhook has no signing secret")
                })?;
                Box::new(Webhook::new(&self.http, config, secret)?)
            }
        })
    }
}
