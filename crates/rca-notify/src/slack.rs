//! Slack: chat.postMessage and chat.update with a bot token, or an incoming webhook.
//!
//! Source: Slack's documentation of both methods, of incoming webhooks and of rich text blocks. Text in a rich text
//! block is never parsed, so foreign text cannot become a mention or a link there; `text`, which notifications show, is
//! parsed, so `&`, `<` and `>` are escaped in it.

#![expect(clippy::disallowed_methods, reason = "the webhook's address is the secret and is called here")]

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{Credential, Error, ErrorKind, ForgeKind, Result, StaticCredential};
use forge_http::{ApiClient, HttpClient};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    Message, Notifier, Place, Sent,
    chat::{Chat, Token, set},
    config::SlackConfig,
    message::{excerpt, line},
};

const KIND: ForgeKind = ForgeKind::custom("slack");
/// A message of more characters than this is cut by Slack; the excerpt is the only long part.
const EXCERPT_CHARS: usize = 2800;

#[derive(Debug)]
pub(crate) struct Slack {
    api: ApiClient,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Bot { channel: String },
    Webhook { path: secrecy::SecretString },
}

#[derive(Deserialize)]
struct Posted {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    channel: Option<String>,
}

impl Slack {
    pub(crate) fn new(http: &HttpClient, config: &SlackConfig) -> Result<Self> {
        let dialect = Arc::new(Chat { kind: KIND, read: |_| None });
        if let Some(address) = &config.webhook_url {
            let invalid = || {
                Error::new(ErrorKind::InvalidInput, "the webhook address is not a URL")
                    .with_hint("copy it from the app's page \"Incoming Webhooks\"")
            };
            let url = Url::parse(address.expose_secret()).map_err(|_| invalid())?;
            http.check_url(&url)?;
            let base = url.join("/").map_err(|_| invalid())?;
            let nobody = Arc::new(StaticCredential::new(Credential::none()));
            let path = url.path().trim_start_matches('/').to_owned();
            let api = ApiClient::new(http.clone(), base, nobody, dialect);
            return Ok(Self { api, way: Way::Webhook { path: path.into() } });
        }
        let (Some(token), Some(channel)) = (&config.bot_token, &config.channel) else {
            return Err(Error::new(ErrorKind::InvalidInput, "the channel has neither webhook nor bot token"));
        };
        let base = match &config.api_base_url {
            Some(url) => url.clone(),
            None => Url::parse("https://slack.com/api")
                .map_err(|_| Error::new(ErrorKind::InvalidInput, "Slack's address is not a URL"))?,
        };
        http.check_url(&base)?;
        let api = ApiClient::new(http.clone(), base, Arc::new(Token::new(token)), dialect);
        Ok(Self { api, way: Way::Bot { channel: channel.clone() } })
    }

    async fn call(&self, method: &str, body: &Value) -> Result<Posted> {
        let request = self.api.post(method).json(body).operation("post to Slack");
        let posted: Posted = request.fetch().await?;
        match posted.error.as_deref() {
            _ if posted.ok => Ok(posted),
            Some(code) => Err(refusal(code)),
            None => Err(refusal("unknown_error")),
        }
    }

    async fn post_to_webhook(&self, path: &secrecy::SecretString, body: &Value) -> Result<()> {
        // Answers are short words in plain text: `ok`, `no_service`, `channel_is_archived`.
        let request = self.api.post(path.expose_secret()).json(body).operation("post to Slack");
        let answer =
            [400, 403, 404, 410].into_iter().fold(request, forge_http::Request::allow_status).send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(refusal(answer.text_lossy().trim()).with_status(answer.status().as_u16()))
    }
}

#[async_trait]
impl Notifier for Slack {
    fn can_edit(&self) -> bool {
        matches!(self.way, Way::Bot { .. })
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    async fn send(&self, message: &Message, place: Place<'_>) -> Result<Sent> {
        let mut body = json!({
            "text": plain(message),
            "blocks": blocks(message),
            "unfurl_links": false,
            "unfurl_media": false,
        });
        let channel = match &self.way {
            Way::Webhook { path } => {
                match self.post_to_webhook(path, &body).await {
                    Err(error) if is_markup_fault(&error) => {
                        self.post_to_webhook(path, &json!({ "text": plain(message) })).await?;
                    }
                    done => done?,
                }
                return Ok(Sent::new(""));
            }
            Way::Bot { channel } => channel,
        };
        let method = match place {
            Place::New => {
                set(&mut body, "channel", channel.as_str());
                "chat.postMessage"
            }
            Place::Reply(earlier) => {
                set(&mut body, "channel", earlier.place.as_deref().unwrap_or(channel));
                set(&mut body, "thread_ts", earlier.id.as_str());
                "chat.postMessage"
            }
            Place::Edit(earlier) => {
                set(&mut body, "channel", earlier.place.as_deref().unwrap_or(channel));
                set(&mut body, "ts", earlier.id.as_str());
                "chat.update"
            }
        };
        let posted = match self.call(method, &body).await {
            Err(error) if is_markup_fault(&error) => {
                // Plain is better than silent.
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("blocks");
                }
                self.call(method, &body).await?
            }
            posted => posted?,
        };
        Ok(Sent { id: posted.ts.unwrap_or_default(), place: posted.channel })
    }
}

fn is_markup_fault(error: &Error) -> bool {
    error.kind() == ErrorKind::Invalid
}

fn refusal(code: &str) -> Error {
    let (kind, what, hint) = match code {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => (
            ErrorKind::Unauthorized,
            "Slack does not accept the bot token",
            "install the app anew and replace the token",
        ),
        "missing_scope" => {
            (ErrorKind::Forbidden, "the bot token lacks a scope", "add chat:write and install the app anew")
        }
        "not_in_channel" => (ErrorKind::Forbidden, "the bot is not in the channel", "invite it with /invite"),
        "restricted_action"
        | "ekm_access_denied"
        | "action_prohibited"
        | "posting_to_general_channel_denied" => {
            (ErrorKind::Forbidden, "an administrator does not allow posts there", "choose another channel")
        }
        "channel_not_found" | "no_service" | "no_active_hooks" | "invalid_token" | "no_team" => (
            ErrorKind::NotFound,
            "there is no such channel or webhook",
            "check the channel's id and that the app is installed",
        ),
        "is_archived" | "channel_is_archived" => {
            (ErrorKind::Gone, "the channel is archived", "choose another channel")
        }
        "message_not_found" | "cant_update_message" | "edit_window_closed" => {
            (ErrorKind::Conflict, "the earlier message cannot be changed any more", "")
        }
        "ratelimited" | "rate_limited" => (ErrorKind::RateLimited, "Slack takes no more messages now", ""),
        "fatal_error" | "internal_error" | "service_unavailable" | "request_timeout" => {
            (ErrorKind::Forge, "Slack failed", "")
        }
        _ => (ErrorKind::Invalid, "Slack refuses the message", ""),
    };
    // The code is one of Slack's words; anything else is not repeated.
    let code: String = code.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '_').take(40).collect();
    let error = Error::new(kind, format!("{what} ({code})")).with_operation("post to Slack");
    if hint.is_empty() { error } else { error.with_hint(hint) }
}

/// The one line that notifications show.
fn plain(message: &Message) -> String {
    let text = format!("{} {}", message.tone.symbol(), line(&message.title, 300));
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn blocks(message: &Message) -> Value {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let bold = |text: &str| json!({ "type": "text", "text": text, "style": { "bold": true } });
    let section = |elements: Vec<Value>| json!({ "type": "rich_text_section", "elements": elements });
    let title = format!("{} {}", message.tone.symbol(), line(&message.title, 300));
    let mut parts = vec![section(vec![bold(&title)])];
    let mut facts = Vec::new();
    for (label, value) in &message.facts {
        let end = if facts.is_empty() { "" } else { " · " };
        facts.push(text(&format!("{end}{}: ", line(label, 60))));
        facts.push(json!({ "type": "text", "text": line(value, 200), "style": { "code": true } }));
    }
    if !facts.is_empty() {
        parts.push(section(facts));
    }
    for paragraph in &message.text {
        parts.push(section(vec![text(&line(paragraph, 1000))]));
    }
    if !message.excerpt.is_empty() {
        let lines = excerpt(&message.excerpt, EXCERPT_CHARS);
        parts.push(json!({ "type": "rich_text_preformatted", "elements": [text(&lines)] }));
    }
    let mut links = Vec::new();
    for link in &message.links {
        if !links.is_empty() {
            links.push(text(" · "));
        }
        links.push(json!({ "type": "link", "url": link.url.as_str(), "text": line(&link.label, 75) }));
    }
    if !links.is_empty() {
        parts.push(section(links));
    }
    json!([{ "type": "rich_text", "elements": parts }])
}
