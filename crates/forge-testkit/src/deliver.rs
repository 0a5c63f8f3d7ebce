//! Deliveries: payloads signed as the forge signs them.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha2::Sha256;
use url::Url;

use crate::send::send;

/// A payload before it is signed for a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The forge's event header value, e.g. `Pipeline Hook` or `workflow_run`.
    pub event: String,
    /// What a hook has to be subscribed to, e.g. `pipeline_events` or `workflow_run`; empty goes to every hook.
    pub subscription: String,
    /// The body.
    pub body: Bytes,
}

impl Message {
    /// A message; `subscription` may be empty.
    #[must_use]
    pub fn new(event: &str, subscription: &str, body: impl Into<Bytes>) -> Self {
        Self { event: event.to_owned(), subscription: subscription.to_owned(), body: body.into() }
    }
}

/// A delivery, ready to be sent, any number of times.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SignedRequest {
    /// The hook's id.
    pub hook_id: u64,
    /// The forge's id of the delivery, the same when it is sent again.
    pub delivery_id: String,
    /// What it tells of.
    pub message: Message,
    /// Where to.
    pub url: String,
    /// All headers, the signature among them.
    pub headers: HeaderMap,
}

impl SignedRequest {
    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.message.body
    }

    /// Sends it once, as the forge would: POST, no redirects, this long at most.
    pub async fn send(&self, timeout: Duration) -> DeliveryOutcome {
        let outcome = |status, error| DeliveryOutcome {
            hook_id: self.hook_id,
            event: self.message.event.clone(),
            delivery_id: self.delivery_id.clone(),
            status,
            error,
        };
        let url = match Url::parse(&self.url) {
            Ok(url) => url,
            Err(error) => return outcome(None, Some(error.to_string())),
        };
        match send(Method::POST, &url, &self.headers, self.message.body.clone(), timeout).await {
            Ok((status, _, _)) => outcome(Some(status.as_u16()), None),
            Err(error) => outcome(None, Some(error.to_string())),
        }
    }
}

/// What came of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryOutcome {
    /// The hook's id.
    pub hook_id: u64,
    /// The forge's event header value.
    pub event: String,
    /// The forge's id of the delivery.
    pub delivery_id: String,
    /// The receiver's status; `None` when there was no answer.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl DeliveryOutcome {
    /// Whether the receiver answered 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// HMAC-SHA256 over the parts in order.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length, so there is nothing to do on the other branch.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
