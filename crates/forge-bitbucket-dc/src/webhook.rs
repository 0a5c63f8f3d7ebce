//! Deliveries: the proof on the raw bytes, then the facts.

mod facts;
mod payload;

use forge_core::{
    Delivery, Error, ErrorKind, ForgeKind, Result, Secrets, Verified, VerifyError, WebhookReceiver,
    model::{Event, EventKind},
    webhook::check_hmac_sha256,
};
use http::HeaderMap;
use serde_json::Value;

use self::payload::Payload;

const SIGNATURE: &str = "x-hub-signature";
const EVENT: &str = "x-event-key";
const PING: &str = "diagnostics:ping";

/// The receiving side of Bitbucket Data Center: no I/O and no state, usable without an HTTP client.
///
/// Only HMAC-SHA256 in `X-Hub-Signature` counts as a proof. The test message `diagnostics:ping` has none:
/// [`WebhookReceiver::is_unsigned_ping`] knows it, and nothing may follow from it but an answer. Bitbucket signs no
/// time, so a replay is told by [`WebhookReceiver::delivery_id`], the header `X-Request-Id`.
///
/// ```
/// use forge_bitbucket_dc::BitbucketDcWebhooks;
/// use forge_core::{Delivery, Secrets, WebhookReceiver};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("x-event-key", "repo:refs_changed".parse().unwrap());
/// headers.insert(
///     "x-hub-signature",
///     "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".parse().unwrap(),
/// );
/// let body = b"Hello, World!";
/// let delivery = Delivery { headers: &headers, query: None, body, received_at: jiff::Timestamp::UNIX_EPOCH };
/// let secrets = Secrets::new("It's a Secret to Everybody".to_owned().into());
///
/// let verified = BitbucketDcWebhooks.verify(&delivery, &secrets).unwrap();
/// assert!(BitbucketDcWebhooks.parse(&verified).is_err(), "proved, but not a JSON object");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BitbucketDcWebhooks;

impl WebhookReceiver for BitbucketDcWebhooks {
    fn delivery_id(&self, headers: &HeaderMap) -> Option<String> {
        let id = headers.get("x-request-id")?.to_str().ok()?.trim();
        (!id.is_empty()).then(|| id.to_owned())
    }

    fn verify<'a>(&self, delivery: &Delivery<'a>, secrets: &Secrets) -> Result<Verified<'a>, VerifyError> {
        check_hmac_sha256(delivery, SIGNATURE, secrets)
    }

    fn is_unsigned_ping(&self, delivery: &Delivery<'_>) -> bool {
        delivery.header(EVENT).ok().flatten().is_some_and(|event| event.trim() == PING)
            && !delivery.headers.contains_key(SIGNATURE)
    }

    fn parse(&self, verified: &Verified<'_>) -> Result<Event> {
        parse(verified.delivery())
    }

    fn inspect(&self, delivery: &Delivery<'_>) -> Result<Event> {
        parse(delivery)
    }
}

fn parse(delivery: &Delivery<'_>) -> Result<Event> {
    let body = read_body(delivery.body)?;
    let payload = Payload::new(&body);
    let header = delivery.headers.get(EVENT).and_then(|value| value.to_str().ok());
    let name = header
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .or_else(|| payload.text("eventKey"))
        .or_else(|| name_by_shape(payload).map(str::to_owned))
        .ok_or_else(|| refused("the body is not a payload of Bitbucket Data Center"))?;
    facts::read(&name, payload)
}

fn read_body(body: &[u8]) -> Result<Value> {
    // Texts in a payload come from people; one broken byte must not hide a push.
    let text = String::from_utf8_lossy(body);
    let body: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| refused(format!("the body is not JSON (line {})", error.line())))?;
    if body.is_object() { Ok(body) } else { Err(refused("the body is not a JSON object")) }
}

/// The event's name where neither the header nor the body tells it.
fn name_by_shape(payload: Payload<'_>) -> Option<&'static str> {
    // Bitbucket Cloud's pushes and pull requests are built otherwise.
    if payload.at("pullRequest").has("fromRef") {
        return Some("pr:unknown");
    }
    if payload.has("changes") && payload.at("repository").has("slug") {
        return Some("repo:refs_changed");
    }
    (payload.has("buildStatus") && payload.at("repository").has("slug"))
        .then_some("repo:build_status_updated")
        .or_else(|| payload.is_true("test").then_some(PING))
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::UnexpectedResponse, message)
        .with_forge(ForgeKind::BITBUCKET_DC)
        .with_operation("read a delivery")
        .with_hint("check that the hook belongs to Bitbucket Data Center or Server, not to Bitbucket Cloud")
}

fn event(kind: EventKind) -> Event {
    Event::new(ForgeKind::BITBUCKET_DC, kind)
}
