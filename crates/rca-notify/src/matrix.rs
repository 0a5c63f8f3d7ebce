//! Matrix: notices in a room, by the Client-Server API.
//!
//! Source: the Matrix specification, "Instant messaging", "Threading", "Event replacements", "User mentions". The
//! transaction id is the message's key, so the server shows a message that is sent twice once.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use forge_core::{Error, ErrorKind, ForgeKind, Result, Retry};
use forge_http::{Answer, ApiClient, HttpClient};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Message, Notifier, Place, Sent,
    chat::{Chat, Token, set},
    config::MatrixConfig,
    message::{excerpt, line},
};

const KIND: ForgeKind = ForgeKind::custom("matrix");
/// An event may have 65,536 bytes, and the text travels up to four times (two forms, twice in an edit).
const EXCERPT_CHARS: usize = 3000;

#[derive(Debug)]
pub(crate) struct Matrix {
    api: ApiClient,
    room_id: String,
}

#[derive(Deserialize)]
struct Accepted {
    event_id: String,
}

impl Matrix {
    pub(crate) fn new(http: &HttpClient, config: &MatrixConfig) -> Result<Self> {
        http.check_url(&config.homeserver_url)?;
        let dialect = Arc::new(Chat { kind: KIND, read: refusal });
        let credentials = Arc::new(Token::new(&config.access_token));
        let api = ApiClient::new(http.clone(), config.homeserver_url.clone(), credentials, dialect);
        Ok(Self { api, room_id: config.room_id.clone() })
    }
}

#[async_trait]
impl Notifier for Matrix {
    fn can_edit(&self) -> bool {
        true
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message, place: Place<'_>) -> Result<Sent> {
        let (body, formatted) = (plain(message), html(message));
        let mut content = json!({
            "msgtype": "m.notice",
            "body": body,
            "format": "org.matrix.custom.html",
            "formatted_body": formatted,
            // Nobody is notified by what stands in a log.
            "m.mentions": {},
        });
        match place {
            Place::New => {}
            Place::Reply(earlier) => {
                set(
                    &mut content,
                    "m.relates_to",
                    json!({
                        "rel_type": "m.thread",
                        "event_id": earlier.id,
                        "is_falling_back": true,
                        "m.in_reply_to": { "event_id": earlier.id },
                    }),
                );
            }
            Place::Edit(earlier) => {
                let new = content.clone();
                set(&mut content, "body", format!("* {body}"));
                set(&mut content, "m.new_content", new);
                set(&mut content, "m.relates_to", json!({ "rel_type": "m.replace", "event_id": earlier.id }));
            }
        }
        let path = format!(
            "_matrix/client/v3/rooms/{}/send/m.room.message/{}",
            segment(&self.room_id),
            segment(&message.key)
        );
        let accepted: Accepted =
            self.api.put(&path).json(&content).operation("post to Matrix").fetch().await?;
        Ok(match place {
            // A thread and its replacements hang on the first event.
            Place::Edit(earlier) => earlier.clone(),
            _ => Sent::new(accepted.event_id),
        })
    }
}

fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn refusal(answer: &Answer<'_>) -> Option<Error> {
    let said = answer.json()?;
    let code = said.get("errcode").and_then(Value::as_str)?;
    let error = match code {
        "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_USER_DEACTIVATED" => {
            Error::new(ErrorKind::Unauthorized, "the homeserver does not accept the access token")
                .with_hint("log the bot in again and replace the channel's token")
        }
        "M_FORBIDDEN" => Error::new(ErrorKind::Forbidden, "the bot may not write to the room")
            .with_hint("invite the bot to the room and let it join"),
        "M_NOT_FOUND" => Error::new(ErrorKind::NotFound, "there is no such room").with_hint("check room_id"),
        "M_LIMIT_EXCEEDED" => {
            let wait = said.get("retry_after_ms").and_then(Value::as_u64).map(Duration::from_millis);
            let wait = wait.or_else(|| answer.retry_after()).unwrap_or(Duration::from_secs(1));
            Error::new(ErrorKind::RateLimited, "the homeserver takes no more messages now")
                .with_retry(Retry::After(wait.min(Duration::from_hours(24))))
        }
        "M_TOO_LARGE" => Error::new(ErrorKind::TooLarge, "the message is too large for the homeserver"),
        _ if answer.status.is_client_error() => {
            let code: String =
                code.chars().filter(|it| it.is_ascii_uppercase() || *it == '_').take(40).collect();
            Error::new(ErrorKind::Invalid, format!("the homeserver refuses the message ({code})"))
        }
        _ => return None,
    };
    Some(error.with_status(answer.status.as_u16()))
}

/// The message without markup.
pub(crate) fn plain(message: &Message) -> String {
    let mut text = format!("{} {}", message.tone.symbol(), line(&message.title, 300));
    for (label, value) in &message.facts {
        text.push_str(&format!("\n{}: {}", line(label, 60), line(value, 200)));
    }
    for paragraph in &message.text {
        text.push_str(&format!("\n\n{}", line(paragraph, 1000)));
    }
    if !message.excerpt.is_empty() {
        text.push_str(&format!("\n\n{}", excerpt(&message.excerpt, EXCERPT_CHARS)));
    }
    for link in &message.links {
        text.push_str(&format!("\n{}: {}", line(&link.label, 75), link.url));
    }
    text
}

/// The message in HTML, every text escaped; also the body of a mail.
pub(crate) fn html(message: &Message) -> String {
    let mut html =
        format!("<p>{} <strong>{}</strong></p>", message.tone.symbol(), escaped(&line(&message.title, 300)));
    if !message.facts.is_empty() {
        html.push_str("<p>");
        for (index, (label, value)) in message.facts.iter().enumerate() {
            let end = if index == 0 { "" } else { "<br>" };
            html.push_str(&format!(
                "{end}{}: <code>{}</code>",
                escaped(&line(label, 60)),
                escaped(&line(value, 200))
            ));
        }
        html.push_str("</p>");
    }
    for paragraph in &message.text {
        html.push_str(&format!("<p>{}</p>", escaped(&line(paragraph, 1000))));
    }
    if !message.excerpt.is_empty() {
        let lines = excerpt(&message.excerpt, EXCERPT_CHARS);
        html.push_str(&format!("<pre><code>{}</code></pre>", escaped(&lines)));
    }
    if !message.links.is_empty() {
        let links: Vec<String> = message
            .links
            .iter()
            .map(|link| {
                format!("<a href=\"{}\">{}</a>", escaped(link.url.as_str()), escaped(&line(&link.label, 75)))
            })
            .collect();
        html.push_str(&format!("<p>{}</p>", links.join(" · ")));
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
