//! A Telegram chat is linked to a channel by opening the bot's link: nobody has to find out a chat's number.
//!
//! The code in the link is random, holds for one channel and one use, and expires. What the bot hears comes to an
//! address of the channel that was linked last, proved by a secret that only Telegram and we know: a bot has one address,
//! and may serve many channels of a workspace.

#![expect(clippy::disallowed_methods, reason = "the sealed configuration and secret are used here")]

use jiff::{SignedDuration, Timestamp};
use rca_notify::{ChannelConfig, TelegramBot};
use rca_store::{Channel, OauthState, PageRequest, SecretOwner, Write};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    channels::{CONFIG, config_text, is_without_chat, repaired},
    error::{FlowError, Result},
    flow::{Caller, Flow, now},
    integrations::audit,
    types::TelegramLink,
};

/// Under this name the secret lies that Telegram shows with each update.
const UPDATES: &str = "telegram_updates";
/// How long a link can be used.
const LINK_HOURS: i64 = 24;
/// What stands in place of a forge, so that no browser's state is taken for a code.
const TELEGRAM: &str = "telegram";

#[derive(Debug, Deserialize)]
struct Update {
    message: Option<Received>,
}

#[derive(Debug, Deserialize)]
struct Received {
    #[serde(default)]
    text: String,
    chat: Chat,
}

#[derive(Debug, Deserialize)]
struct Chat {
    id: i64,
}

impl Flow {
    /// A new link for a Telegram channel that no chat is linked to. The one before goes on until it expires.
    ///
    /// # Errors
    /// `not_found`, `conflict` when a chat is linked or the channel is none of Telegram, and as Telegram answers.
    pub async fn link_channel(&self, caller: &Caller, id: &str) -> Result<TelegramLink> {
        let channel = self.channel(&caller.workspace, id).await?;
        if !is_without_chat(&channel.kind, &channel.config) {
            return Err(FlowError::new(
                crate::FlowErrorKind::Conflict,
                "conflict",
                "only a Telegram channel without a chat can be linked; send /stop in the chat to unlink it",
            ));
        }
        let config = self.sealed_config(&channel).await?;
        self.check_linkable(&config)?;
        let link = self.make_link(&channel, &config).await?;
        self.store().write(vec![audit(caller, "channel.link", id, json!({}))]).await?;
        Ok(link)
    }

    /// What Telegram tells of a channel's bot, for whichever channel of that bot. The answer is what the bot replies, if anything.
    ///
    /// # Errors
    /// `unauthorized` for whatever is not proved by the channel's secret, unknown channels alike.
    pub async fn telegram_update(&self, id: &str, secret: &[u8], body: &[u8]) -> Result<Option<Value>> {
        let channel = self.store().find_channel(id).await?;
        let known = match &channel {
            Some(channel) => {
                let owner = SecretOwner::channel(id);
                self.store().get_secret(&channel.workspace, &owner, UPDATES).await?
            }
            None => None,
        };
        // The same work for a channel that is not there.
        let is_known = known.is_some();
        let known = known.unwrap_or_else(|| SecretString::from("nobody"));
        let is_proved = forge_core::secret::matches(secret, &known) && is_known;
        let Some(channel) = channel.filter(|_| is_proved) else {
            return Err(FlowError::new(
                crate::FlowErrorKind::Unauthorized,
                "unauthorized",
                "the request is not authenticated",
            ));
        };
        // What we cannot read is none of ours, and sending it again would not help.
        let Ok(Update { message: Some(received) }) = serde_json::from_slice::<Update>(body) else {
            return Ok(None);
        };
        let mut words = received.text.split_whitespace();
        // In groups the command carries the bot's name.
        let command = words.next().unwrap_or_default().split('@').next().unwrap_or_default();
        let text = match (command, words.next()) {
            ("/start", Some(code)) => self.link_chat(&channel, &received.chat, code).await?,
            ("/stop", _) => self.unlink_chat(&channel, &received.chat).await?,
            _ => None,
        };
        Ok(text.map(|text| {
            json!({ "method": "sendMessage", "chat_id": received.chat.id, "text": text,
                "link_preview_options": { "is_disabled": true } })
        }))
    }

    /// `heard` is the channel at whose address the bot was heard.
    async fn link_chat(&self, heard: &Channel, chat: &Chat, code: &str) -> Result<Option<String>> {
        let is_code = code.len() == 32 && code.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_code {
            return Ok(None);
        }
        let bot = bot_key(&self.sealed_config(heard).await?);
        let taken = self.store().take_oauth_state(&code_hash(&bot, code)).await?;
        let taken = taken.filter(|taken| taken.forge == TELEGRAM && taken.workspace == heard.workspace);
        let id = taken.and_then(|taken| Some(taken.data.get("channel")?.as_str()?.to_owned()));
        let meant = match id {
            Some(id) => self.store().get_channel(&heard.workspace, &id).await?,
            None => None,
        };
        let mut channel = match meant {
            Some(channel) if self.has_same_bot(&channel, heard).await? => channel,
            _ => {
                // Telegram tells again what it did not see us take.
                let is_linked = !self.channels_of(heard, Some(chat)).await?.is_empty();
                let text = "This link has been used or has expired. Ask for a new one in Forge RCA.";
                return Ok((!is_linked).then(|| text.to_owned()));
            }
        };
        if !is_without_chat(&channel.kind, &channel.config) {
            return Ok(Some("Another chat is linked already. Send /stop there first.".to_owned()));
        }
        let mut config = self.sealed_config(&channel).await?;
        if let Some(fields) = config.as_object_mut() {
            fields.insert("chat_id".to_owned(), json!(chat.id));
        }
        self.put_config(&mut channel, &config, "channel.linked", repaired).await?;
        Ok(Some(format!(
            "This chat is linked to the channel \u{ab}{}\u{bb}: failed pipelines are told here. Send /stop to end it.",
            forge_core::text::visible(&channel.name)
        )))
    }

    async fn unlink_chat(&self, heard: &Channel, chat: &Chat) -> Result<Option<String>> {
        let linked = self.channels_of(heard, Some(chat)).await?;
        if linked.is_empty() {
            return Ok(None);
        }
        for mut channel in linked {
            let mut config = self.sealed_config(&channel).await?;
            if let Some(fields) = config.as_object_mut() {
                fields.remove("chat_id");
            }
            self.put_config(&mut channel, &config, "channel.unlinked", |_| Vec::new()).await?;
        }
        Ok(Some("This chat is not linked any more: nothing will be told here.".to_owned()))
    }

    /// The channels of the workspace that speak through the same bot; with a chat, those that it is linked to.
    async fn channels_of(&self, channel: &Channel, chat: Option<&Chat>) -> Result<Vec<Channel>> {
        let mut same = Vec::new();
        let mut page = PageRequest::first(500);
        loop {
            let found = self.store().list_channels(&channel.workspace, &page).await?;
            for other in found.items.into_iter().filter(|other| other.kind == channel.kind) {
                let linked = other.config.get("chat_id");
                let is_meant = chat.is_none_or(|chat| {
                    linked == Some(&json!(chat.id)) || linked == Some(&json!(chat.id.to_string()))
                });
                if is_meant && self.has_same_bot(&other, channel).await? {
                    same.push(other);
                }
            }
            match found.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => return Ok(same),
            }
        }
    }

    async fn has_same_bot(&self, one: &Channel, other: &Channel) -> Result<bool> {
        if one.id == other.id {
            return Ok(true);
        }
        let (one, other) = (self.sealed_config(one).await?, self.sealed_config(other).await?);
        Ok(bot_key(&one) == bot_key(&other))
    }

    async fn put_config(
        &self,
        channel: &mut Channel,
        config: &Value,
        action: &str,
        more: impl FnOnce(&Channel) -> Vec<Write>,
    ) -> Result<()> {
        channel.config = ChannelConfig::shown(config);
        let nobody = Caller::new(channel.workspace.clone(), "telegram");
        let mut writes = vec![
            Write::PutChannel(channel.clone()),
            self.secret(channel, CONFIG, &config_text(config)),
            audit(&nobody, action, &channel.id, json!({ "chat_id": channel.config.get("chat_id") })),
        ];
        writes.extend(more(channel));
        self.store().write(writes).await?;
        Ok(())
    }

    /// Whether a chat can be linked to a bot here.
    pub(crate) fn check_linkable(&self, config: &Value) -> Result<()> {
        self.outlets()?.telegram_bot(&without_chat(config))?;
        if self.config().public_url.scheme() != "https" {
            return Err(FlowError::invalid_field(
                "config",
                "chat_id is missing; a chat can be linked by the bot only where the public address \
                 (FORGE_RCA_PUBLIC_URL) is https, because Telegram sends updates to no other",
            ));
        }
        Ok(())
    }

    /// The link of a channel that was just stored; without one it is not kept.
    pub(crate) async fn first_link(&self, channel: &Channel, config: &Value) -> Result<TelegramLink> {
        let link = self.make_link(channel, config).await;
        if link.is_err() {
            let (workspace, id) = (channel.workspace.clone(), channel.id.clone());
            self.store().write(vec![Write::DeleteChannel { workspace, id }]).await?;
        }
        link
    }

    async fn make_link(&self, channel: &Channel, config: &Value) -> Result<TelegramLink> {
        let bot = self.bot(config)?;
        let name = bot.name().await?;
        self.listen(channel, &bot).await?;
        let code = hex::encode(rand::random::<[u8; 16]>());
        let expires_at: Timestamp = now() + SignedDuration::from_hours(LINK_HOURS);
        self.store()
            .put_oauth_state(OauthState {
                state_hash: code_hash(&bot_key(config), &code),
                workspace: channel.workspace.clone(),
                forge: TELEGRAM.to_owned(),
                browser_binding: None,
                data: json!({ "channel": channel.id }),
                expires_at: expires_at.as_millisecond(),
            })
            .await?;
        Ok(TelegramLink {
            link: format!("https://t.me/{name}?start={code}"),
            group_link: format!("https://t.me/{name}?startgroup={code}"),
            link_expires_at: expires_at.to_string(),
        })
    }

    /// Has the bot's updates come to the address of a channel.
    async fn listen(&self, channel: &Channel, bot: &TelegramBot) -> Result<()> {
        let secret = SecretString::from(hex::encode(rand::random::<[u8; 32]>()));
        // Before Telegram knows the address: its first update can come before the answer.
        self.store().write(vec![self.secret(channel, UPDATES, &secret)]).await?;
        Ok(bot.send_updates_to(&self.updates_url(&channel.id)?, &secret).await?)
    }

    /// Tells Telegram to send no more updates to a channel that goes, but to another one of the same bot where there is
    /// one. Best effort: a channel can always be removed.
    pub(crate) async fn end_updates(&self, channel: &Channel) {
        let owner = SecretOwner::channel(&channel.id);
        let Ok(Some(_)) = self.store().get_secret(&channel.workspace, &owner, UPDATES).await else { return };
        let ended = async {
            let bot = self.bot(&self.sealed_config(channel).await?)?;
            let url = self.updates_url(&channel.id)?;
            if !bot.sends_updates_to(&url).await? {
                return Ok(());
            }
            let mut others = self.channels_of(channel, None).await?;
            others.retain(|other| other.id != channel.id);
            match others.first() {
                Some(other) => self.listen(other, &bot).await,
                None => Ok::<_, FlowError>(bot.send_no_updates().await?),
            }
        };
        if let Err(error) = ended.await {
            tracing::warn!(channel = %channel.id, %error, "Telegram still has the address of a removed channel");
        }
    }

    fn bot(&self, config: &Value) -> Result<TelegramBot> {
        Ok(self.outlets()?.telegram_bot(&without_chat(config))?)
    }

    fn updates_url(&self, id: &str) -> Result<Url> {
        let base = self.config().public_url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/v1/channels/{id}/telegram"))
            .map_err(|_| FlowError::invalid_field("public_url", "is no address"))
    }

    async fn sealed_config(&self, channel: &Channel) -> Result<Value> {
        let owner = SecretOwner::channel(&channel.id);
        let config = self.store().get_secret(&channel.workspace, &owner, CONFIG).await?;
        let config = config.ok_or_else(|| FlowError::not_found("channel"))?;
        serde_json::from_str(config.expose_secret())
            .map_err(|_| FlowError::invalid_field("config", "is not readable; set it anew"))
    }
}

fn without_chat(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(fields) = config.as_object_mut() {
        fields.remove("chat_id");
    }
    config
}

/// What tells one bot from another.
fn bot_key(config: &Value) -> String {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    hex::encode(Sha256::digest(format!("{} {}", text("bot_token"), text("api_base_url"))))
}

/// A code is of use to its bot alone; it names its channel.
fn code_hash(bot: &str, code: &str) -> String {
    hex::encode(Sha256::digest(format!("telegram:{bot}:{code}")))
}
