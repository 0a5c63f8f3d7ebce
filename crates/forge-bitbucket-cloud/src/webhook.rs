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

/// The receiving side of Bitbucket Cloud: no I/O and no state, usable without an HTTP client.
///
/// Only `X-Hub-Signature` with `sha256=` counts as a proof. Bitbucket signs no time, so a replay is told by
/// [`WebhookReceiver::delivery_id`], which is `X-Request-UUID`.
///
/// ```
/// use forge_bitbucket_cloud::BitbucketCloudWebhooks;
/// use forge_core::{Delivery, Secrets, WebhookReceiver};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("x-event-key", "repo:push".parse().unwrap());
/// headers.insert(
///     "x-hub-signature",
///     "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".parse().unwrap(),
/// );
/// let body = b"Hello, World!";
/// let delivery = Delivery { headers: &headers, query: None, body, received_at: jiff::Timestamp::UNIX_EPOCH };
/// let secrets = Secrets::new("It's a Secret to Everybody".to_owned().into());
///
/// let verified = BitbucketCloudWebhooks.verify(&delivery, &secrets).unwrap();
/// assert!(BitbucketCloudWebhooks.parse(&verified).is_err(), "proved, but not a JSON object");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BitbucketCloudWebhooks;

impl WebhookReceiver for BitbucketCloudWebhooks {
    fn delivery_id(&self, headers: &HeaderMap) -> Option<String> {
        let id = headers.get("x-request-uuid")?.to_str().ok()?.trim();
        (!id.is_empty() && id.len() <= 128).then(|| id.to_owned())
    }

    fn verify<'a>(&self, delivery: &Delivery<'a>, secrets: &Secrets) -> Result<Verified<'a>, VerifyError> {
        check_hmac_sha256(delivery, "x-hub-signature", secrets)
    }

    /// Bitbucket Cloud sends no pings.
    fn is_unsigned_ping(&self, _delivery: &Delivery<'_>) -> bool {
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
    // Texts in a payload come from people; one broken byte must not hide a failed run.
    let text = String::from_utf8_lossy(delivery.body);
    let body: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| refused(format!("the body is not JSON (line {})", error.line())))?;
    if !body.is_object() {
        return Err(refused("the body is not a JSON object"));
    }
    let payload = Payload::new(&body);
    let name = delivery
        .headers
        .get("x-event-key")
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .or_else(|| name_by_shape(payload))
        .ok_or_else(|| refused("the body is not a Bitbucket Cloud payload"))?;
    facts::read(name, payload)
}

/// The event's name where the header is not at hand, as when a person inspects a saved body.
fn name_by_shape(payload: Payload<'_>) -> Option<&'static str> {
    // Data Center's payloads have an `eventKey` and no UUIDs.
    if payload.has("eventKey") || !payload.at("repository").has("uuid") {
        return None;
    }
    let names = [
        ("repo:commit_status", "commit_status"),
        ("repo:push", "push"),
        ("pullrequest", "pullrequest"),
        ("repo:commit_comment_created", "comment"),
    ];
    names
        .into_iter()
        .find_map(|(name, key)| payload.has(key).then_some(name))
        .or_else(|| payload.has("actor").then_some("unknown"))
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::UnexpectedResponse, message)
        .with_forge(ForgeKind::BITBUCKET_CLOUD)
        .with_operation("read a delivery")
        .with_hint("point hooks of Bitbucket Cloud repositories here, and nothing else")
}

fn event(kind: EventKind) -> Event {
    Event::new(ForgeKind::BITBUCKET_CLOUD, kind)
}
