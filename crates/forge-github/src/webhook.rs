//! Deliveries: the proof on the raw bytes, then the facts.

mod body;
mod facts;
mod payload;

use std::borrow::Cow;

use forge_core::{
    Delivery, Error, ErrorKind, ForgeKind, Result, Secrets, Verified, VerifyError, WebhookReceiver,
    model::{Event, EventKind},
    webhook::check_hmac_sha256,
};
use http::{HeaderMap, header::CONTENT_TYPE};
use serde_json::Value;

use self::payload::Payload;

/// The receiving side of GitHub: no I/O and no state, usable without an HTTP client.
///
/// Only `X-Hub-Signature-256` counts as a proof; the SHA-1 header beside it is ignored. GitHub signs no time, so a
/// replay is told by [`WebhookReceiver::delivery_id`], which is the same when GitHub (or a person) sends it again.
/// Two hooks that are subscribed to the same event get the same id: it is unique per hook only.
///
/// ```
/// use forge_core::{Delivery, Secrets, WebhookReceiver};
/// use forge_github::GitHubWebhooks;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("x-github-event", "ping".parse().unwrap());
/// headers.insert(
///     "x-hub-signature-256",
///     "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".parse().unwrap(),
/// );
/// let body = b"Hello, World!";
/// let delivery = Delivery { headers: &headers, query: None, body, received_at: jiff::Timestamp::UNIX_EPOCH };
/// let secrets = Secrets::new("It's a Secret to Everybody".to_owned().into());
///
/// let verified = GitHubWebhooks.verify(&delivery, &secrets).unwrap();
/// assert!(GitHubWebhooks.parse(&verified).is_err(), "proved, but not a JSON object");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GitHubWebhooks;

impl WebhookReceiver for GitHubWebhooks {
    fn delivery_id(&self, headers: &HeaderMap) -> Option<String> {
        let id = headers.get("x-github-delivery")?.to_str().ok()?.trim();
        (!id.is_empty()).then(|| id.to_owned())
    }

    fn verify<'a>(&self, delivery: &Delivery<'a>, secrets: &Secrets) -> Result<Verified<'a>, VerifyError> {
        check_hmac_sha256(delivery, "x-hub-signature-256", secrets)
    }

    fn is_unsigned_ping(&self, _delivery: &Delivery<'_>) -> bool {
        // GitHub signs its pings like everything else.
        false
    }

    fn parse(&self, verified: &Verified<'_>) -> Result<Event> {
        parse(verified.delivery())
    }

    fn inspect(&self, delivery: &Delivery<'_>) -> Result<Event> {
        parse(delivery)
    }
}

fn parse(delivery: &Delivery<'_>) -> Result<Event> {
    let body = read_body(delivery)?;
    let payload = Payload::new(&body);
    let name = delivery
        .headers
        .get("x-github-event")
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .or_else(|| name_by_shape(payload))
        .ok_or_else(|| refused("the body is not a GitHub payload"))?;
    facts::read(name, payload)
}

fn read_body(delivery: &Delivery<'_>) -> Result<Value> {
    // Strings in a payload come from people; one broken byte must not hide a failed run.
    let text = String::from_utf8_lossy(delivery.body);
    let is_form = delivery
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("application/x-www-form-urlencoded"));
    let json = if is_form {
        // GitHub docs, webhooks/using-webhooks/creating-webhooks: the other content type carries the JSON as `payload`.
        url::form_urlencoded::parse(text.as_bytes())
            .find_map(|(name, value)| (name == "payload").then(|| Cow::Owned(value.into_owned())))
            .ok_or_else(|| refused("the form has no field 'payload'"))?
    } else {
        text
    };
    let body = body::parse(json.trim_start_matches('\u{feff}'))
        .map_err(|error| refused(format!("the body is not JSON (line {})", error.line())))?;
    if body.is_object() { Ok(body) } else { Err(refused("the body is not a JSON object")) }
}

/// The event's name where the header is not at hand, as when a person inspects a saved body.
fn name_by_shape(payload: Payload<'_>) -> Option<&'static str> {
    // GitLab bodies have a `repository` too; this word is theirs alone.
    if payload.has("object_kind") {
        return None;
    }
    // Deployment events carry the run as well, so the narrower ones are asked first.
    let names = [
        ("deployment_status", &["deployment_status"] as &[_]),
        ("workflow_job", &["workflow_job"]),
        ("check_run", &["check_run"]),
        ("deployment", &["deployment"]),
        ("deployment_review", &["workflow_run", "since"]),
        ("workflow_run", &["workflow_run"]),
        ("check_suite", &["check_suite"]),
        ("pull_request_review", &["pull_request", "review"]),
        ("pull_request_review_comment", &["pull_request", "comment"]),
        ("pull_request_review_thread", &["pull_request", "thread"]),
        ("pull_request", &["pull_request"]),
        ("ping", &["zen", "hook_id"]),
        ("push", &["ref", "before", "after", "pusher"]),
        ("status", &["sha", "state", "context"]),
        ("installation_repositories", &["installation", "repositories_added"]),
    ];
    names
        .into_iter()
        .find_map(|(name, keys)| keys.iter().all(|key| payload.has(key)).then_some(name))
        .or_else(|| {
            // Alerts have no sender, and advisories no repository.
            let is_ours = payload.has("sender")
                || payload.has("security_advisory")
                || (payload.has("action") && payload.at("repository").has("full_name"));
            is_ours.then_some("unknown")
        })
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::UnexpectedResponse, message)
        .with_forge(ForgeKind::GITHUB)
        .with_operation("read a delivery")
        .with_hint("set the hook's content type to application/json")
}

fn event(kind: EventKind) -> Event {
    Event::new(ForgeKind::GITHUB, kind)
}
