//! Telegram: sendMessage and editMessageText of the Bot API.
//!
//! Source: Telegram's Bot API documentation. Formatting travels as entities beside the text, so no markup is parsed;
//! but mentions, addresses and commands are still found in text outside of code, so they are broken there.

#![expect(clippy::disallowed_methods, reason = "the token is part of the address")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use forge_core::{Credential, Error, ErrorKind, ForgeKind, Result, Retry, StaticCredential};
use forge_http::{Answer, ApiClient, HttpClient};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    Message, Notifier, Place, Sent,
    chat::{Chat, set},
    config::TelegramConfig,
    message::{excerpt, line},
};

const KIND: ForgeKind = ForgeKind::custom("telegram");
/// The longest text, in UTF-16 units.
const TEXT_UNITS: usize = 4096;
const EXCERPT_CHARS: usize = 2200;

#[derive(Debug)]
pub(crate) struct Telegram {
    api: ApiClient,
    token: SecretString,
    chat_id: String,
}

#[derive(Deserialize)]
struct Reply {
    result: Option<SentMessage>,
}

#[derive(Deserialize)]
struct SentMessage {
    message_id: i64,
}

impl Telegram {
    pub(crate) fn new(http: &HttpClient, config: &TelegramConfig) -> Result<Self> {
        Ok(Self {
            api: connect(http, &config.bot_token, config.api_base_url.as_ref())?,
            token: config.bot_token.clone(),
            chat_id: config.chat_id.clone(),
        })
    }

    async fn call(&self, method: &str, body: &Value) -> Result<Reply> {
        let path = format!("bot{}/{method}", self.token.expose_secret());
        let answer =
            self.api.post(&path).json(body).operation("post to Telegram").allow_status(400).send().await?;
        if answer.status().is_success() {
            return answer.json();
        }
        // The one refusal that says where to go instead is read here; the others as everywhere.
        let said: Value = answer.json()?;
        if said.pointer("/description").and_then(Value::as_str).is_some_and(|it| it.contains("not modified"))
        {
            return Ok(Reply { result: None });
        }
        if let Some(chat) = said.pointer("/parameters/migrate_to_chat_id").and_then(Value::as_i64) {
            return Err(Error::new(ErrorKind::Conflict, format!("{MOVED}{chat}")).with_status(400));
        }
        Err(bad_request(said.pointer("/description").and_then(Value::as_str).unwrap_or_default()))
    }
}

/// A client for the bot of `token`, which the caller puts into each path.
pub(crate) fn connect(http: &HttpClient, token: &SecretString, base: Option<&Url>) -> Result<ApiClient> {
    let base = match base {
        Some(url) => url.clone(),
        None => Url::parse("https://api.telegram.org")
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "Telegram's address is not a URL"))?,
    };
    http.check_url(&base)?;
    // It stands in the path, so it must not leave its segment.
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte))
    };
    if !is_token(token.expose_secret()) {
        return Err(Error::new(ErrorKind::InvalidInput, "bot_token is no token of a Telegram bot")
            .with_hint("copy it from @BotFather: digits, a colon, letters"));
    }
    let nobody = Arc::new(StaticCredential::new(Credential::none()));
    let dialect = Arc::new(Chat { kind: KIND, read: refusal });
    Ok(ApiClient::new(http.clone(), base, nobody, dialect))
}

/// Before the new id of a chat that became a supergroup.
const MOVED: &str = "the chat has moved to ";

#[async_trait]
impl Notifier for Telegram {
    fn can_edit(&self) -> bool {
        true
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    async fn send(&self, message: &Message, place: Place<'_>) -> Result<Sent> {
        let (text, entities) = compose(message);
        let mut body = json!({
            "chat_id": self.chat_id,
            "text": text,
            "entities": entities,
            "link_preview_options": { "is_disabled": true },
        });
        let method = match place {
            Place::New => "sendMessage",
            Place::Reply(earlier) => {
                if let Ok(id) = earlier.id.parse::<i64>() {
                    set(
                        &mut body,
                        "reply_parameters",
                        json!({ "message_id": id, "allow_sending_without_reply": true }),
                    );
                }
                "sendMessage"
            }
            Place::Edit(earlier) => match earlier.id.parse::<i64>() {
                Ok(id) => {
                    set(&mut body, "message_id", id);
                    "editMessageText"
                }
                Err(_) => "sendMessage",
            },
        };
        if let Place::Reply(Sent { place: Some(chat), .. }) | Place::Edit(Sent { place: Some(chat), .. }) =
            place
        {
            set(&mut body, "chat_id", chat.as_str());
        }
        let (reply, moved) = match self.call(method, &body).await {
            Err(error) if error.message().starts_with(MOVED) => {
                // A group that became a supergroup has a new id; messages of before cannot be reached from it.
                let chat = error.message().trim_start_matches(MOVED).to_owned();
                set(&mut body, "chat_id", chat.as_str());
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("message_id");
                    fields.remove("reply_parameters");
                }
                (self.call("sendMessage", &body).await?, Some(chat))
            }
            Err(error) if error.kind() == ErrorKind::Invalid && body.get("entities").is_some() => {
                // Plain is better than silent.
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("entities");
                }
                (self.call(method, &body).await?, None)
            }
            reply => (reply?, None),
        };
        let id = match (reply.result, place) {
            (Some(sent), _) => sent.message_id.to_string(),
            (None, Place::Edit(earlier)) => earlier.id.clone(),
            (None, _) => String::new(),
        };
        let place = moved.or_else(|| match place {
            Place::Reply(earlier) | Place::Edit(earlier) => earlier.place.clone(),
            Place::New => None,
        });
        Ok(Sent { id, place })
    }
}

fn refusal(answer: &Answer<'_>) -> Option<Error> {
    let said = answer.json()?;
    let description = said.get("description").and_then(Value::as_str).unwrap_or_default();
    let status = answer.status.as_u16();
    let error = match status {
        401 | 404 => Error::new(ErrorKind::Unauthorized, "Telegram does not know the bot token")
            .with_hint("copy the token from @BotFather again"),
        403 => Error::new(ErrorKind::Forbidden, "the bot may not write to the chat")
            .with_hint("add the bot to the chat, or unblock it"),
        429 => {
            let seconds = said.pointer("/parameters/retry_after").and_then(Value::as_u64).unwrap_or(1);
            Error::new(ErrorKind::RateLimited, "Telegram takes no more messages now")
                .with_retry(Retry::After(Duration::from_secs(seconds.min(86_400))))
        }
        400 => bad_request(description),
        _ => return None,
    };
    Some(error.with_status(status))
}

fn bad_request(description: &str) -> Error {
    let error = if description.contains("chat not found") {
        Error::new(ErrorKind::NotFound, "there is no such chat")
            .with_hint("check chat_id, and that the bot was started or added there")
    } else if description.contains("message to edit not found") || description.contains("can't be edited") {
        Error::new(ErrorKind::Conflict, "the earlier message cannot be changed any more")
    } else {
        Error::new(ErrorKind::Invalid, format!("Telegram refuses the message: {}", line(description, 120)))
    };
    error.with_operation("post to Telegram").with_status(400)
}

/// Text and its formatting; offsets and lengths are in UTF-16 units.
struct Composer {
    text: String,
    units: usize,
    entities: Vec<Value>,
}

impl Composer {
    /// Adds `part` where there is room for all of it.
    fn push(&mut self, part: &str, entity: Option<Value>) {
        let units = part.encode_utf16().count();
        if self.units + units > TEXT_UNITS {
            return;
        }
        if let Some(mut entity) = entity.filter(|_| units > 0) {
            set(&mut entity, "offset", self.units);
            set(&mut entity, "length", units);
            self.entities.push(entity);
        }
        self.text.push_str(part);
        self.units += units;
    }
}

fn compose(message: &Message) -> (String, Vec<Value>) {
    let mut composer = Composer { text: String::new(), units: 0, entities: Vec::new() };
    composer.push(message.tone.symbol(), None);
    composer.push(" ", None);
    composer.push(&broken(&line(&message.title, 300)), Some(json!({ "type": "bold" })));
    for (label, value) in &message.facts {
        composer.push(&format!("\n{}: ", broken(&line(label, 60))), None);
        composer.push(&line(value, 200), Some(json!({ "type": "code" })));
    }
    for paragraph in &message.text {
        composer.push(&format!("\n\n{}", broken(&line(paragraph, 700))), None);
    }
    if !message.excerpt.is_empty() {
        composer.push("\n\n", None);
        composer.push(
            &excerpt(&message.excerpt, EXCERPT_CHARS),
            Some(json!({ "type": "pre", "language": "text" })),
        );
    }
    for (index, link) in message.links.iter().enumerate() {
        composer.push(if index == 0 { "\n\n" } else { " · " }, None);
        composer.push(&line(&link.label, 75), Some(json!({ "type": "text_link", "url": link.url.as_str() })));
    }
    (composer.text, composer.entities)
}

/// Breaks what Telegram would make clickable by itself: `@name`, `#tag`, `$TAG`, `/command`, `host.tld`, `a:b`.
fn broken(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 8);
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        safe.push(character);
        let is_next_word = rest.peek().is_some_and(|next| next.is_alphanumeric() || *next == '/');
        if matches!(character, '@' | '#' | '$' | '/' | '.' | ':') && is_next_word {
            safe.push('\u{200b}');
        }
    }
    safe
}
