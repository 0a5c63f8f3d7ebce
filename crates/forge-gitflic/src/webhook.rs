//! Deliveries: the proof first, then the facts.

mod facts;

use forge_core::{
    Delivery, Error, ErrorKind, ForgeKind, Result, Secrets, Verified, VerifyError, WebhookReceiver,
    model::Event, webhook::check_shared_token,
};
use http::HeaderMap;
use serde_json::Value;

const SECRET_HEADER: &str = "gitflic-webhook-secret";

/// The receiving side of GitFlic: no I/O and no state, usable without an HTTP client.
///
/// GitFlic repeats the hook's secret in `Gitflic-Webhook-Secret`; a hook whose address carries `?secret=` is accepted
/// too, when the header is not there. Neither proves the body nor the time, and there is no delivery id: tell
/// repetitions by project, pipeline and status, and read the pipeline again before acting.
///
/// ```
/// use forge_core::{Delivery, Secrets, WebhookReceiver};
/// use forge_gitflic::GitFlicWebhooks;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("gitflic-webhook-secret", "0123456789abcdef".parse().unwrap());
/// let body = br#"{"action":"PIPELINE_FAIL","project_id":"p","pipeline":{"local_id":12,"ref":"refs/heads/main"}}"#;
/// let delivery = Delivery { headers: &headers, query: None, body, received_at: jiff::Timestamp::UNIX_EPOCH };
/// let secrets = Secrets::new("0123456789abcdef".to_owned().into());
///
/// let verified = GitFlicWebhooks.verify(&delivery, &secrets).unwrap();
/// let event = GitFlicWebhooks.parse(&verified).unwrap();
/// assert!(event.triggers_rca);
/// assert_eq!(event.run_id.as_deref(), Some("12"));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GitFlicWebhooks;

impl WebhookReceiver for GitFlicWebhooks {
    fn delivery_id(&self, _headers: &HeaderMap) -> Option<String> {
        None
    }

    fn verify<'a>(&self, delivery: &Delivery<'a>, secrets: &Secrets) -> Result<Verified<'a>, VerifyError> {
        if let Some(presented) = delivery.header(SECRET_HEADER)? {
            // A wrong header is not made good by the address.
            return check_shared_token(delivery, Some(presented), secrets);
        }
        let query = delivery.query.unwrap_or_default();
        let mut given = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "secret");
        let presented = given.next().map(|(_, value)| value);
        if given.next().is_some() {
            return Err(VerifyError::Ambiguous);
        }
        check_shared_token(delivery, presented.as_deref(), secrets)
    }

    fn is_unsigned_ping(&self, _delivery: &Delivery<'_>) -> bool {
        // The test message carries the secret like every other.
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
    // Strings in a payload come from people; one broken byte must not hide a failed pipeline.
    let text = String::from_utf8_lossy(delivery.body);
    let body: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| refused(format!("the body is not JSON (line {})", error.line())))?;
    if !body.is_object() {
        return Err(refused("the body is not a JSON object"));
    }
    Ok(facts::read(&body))
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::UnexpectedResponse, message)
        .with_forge(ForgeKind::GITFLIC)
        .with_operation("read a delivery")
        .with_hint("check that the sender is a GitFlic webhook")
}
