//! Receiving deliveries of project, group and system hooks: the proof first, the facts afterwards.

mod facts;
mod payload;

use forge_core::{
    Delivery, Error, ErrorKind, ForgeKind, Result, Secrets, Verified, VerifyError, WebhookReceiver,
    model::Event,
    webhook::{DEFAULT_TOLERANCE, check_shared_token, check_standard_webhook},
};
use http::HeaderMap;
use serde_json::Value;

/// The longest delivery id that is taken over: GitLab sends UUIDs.
const MAX_DELIVERY_ID: usize = 128;

/// GitLab's deliveries: no I/O, no state, usable without an HTTP client.
///
/// A hook with a signing token (GitLab 19.0 and later) is proved by its signature only, whatever `X-Gitlab-Token`
/// says; any other hook by `X-Gitlab-Token`.
///
/// ```
/// use forge_core::{Delivery, Secrets, WebhookReceiver};
/// use forge_gitlab::GitLabWebhooks;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("x-gitlab-token", "s3cret".parse().unwrap());
/// let delivery = Delivery {
///     headers: &headers,
///     query: None,
///     body: br#"{"object_kind":"pipeline","object_attributes":{"id":31,"status":"failed"}}"#,
///     received_at: "2026-01-01T00:00:00Z".parse().unwrap(),
/// };
/// let verified = GitLabWebhooks.verify(&delivery, &Secrets::new("s3cret".into())).unwrap();
/// let event = GitLabWebhooks.parse(&verified).unwrap();
/// assert_eq!(event.run_id.as_deref(), Some("31"));
/// assert!(event.triggers_rca);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GitLabWebhooks;

impl WebhookReceiver for GitLabWebhooks {
    fn delivery_id(&self, headers: &HeaderMap) -> Option<String> {
        // `webhook-id` is `Idempotency-Key` under the name that the signature covers, so it goes first. Neither
        // `X-Gitlab-Event-UUID` (shared by all hooks that one event set off) nor `X-Gitlab-Webhook-UUID` (new for each
        // attempt, see app/services/web_hook_service.rb) names the event.
        ["webhook-id", "idempotency-key"].into_iter().find_map(|name| {
            let mut values = headers.get_all(name).iter();
            let value = values.next()?.to_str().ok()?.trim();
            let is_usable = values.next().is_none() && !value.is_empty() && value.len() <= MAX_DELIVERY_ID;
            is_usable.then(|| value.to_owned())
        })
    }

    fn verify<'a>(&self, delivery: &Delivery<'a>, secrets: &Secrets) -> Result<Verified<'a>, VerifyError> {
        if secrets.requires_signature() {
            return check_standard_webhook(delivery, secrets, DEFAULT_TOLERANCE);
        }
        let presented = delivery.header("x-gitlab-token")?;
        check_shared_token(delivery, presented, secrets)
    }

    fn is_unsigned_ping(&self, _delivery: &Delivery<'_>) -> bool {
        // GitLab has no ping: its test button sends a real event with the usual proof.
        false
    }

    fn parse(&self, verified: &Verified<'_>) -> Result<Event> {
        self.inspect(verified.delivery())
    }

    fn inspect(&self, delivery: &Delivery<'_>) -> Result<Event> {
        let body: Value = serde_json::from_slice(delivery.body).map_err(|error| {
            // Only the place: the text of a serde error may quote the body.
            not_gitlab(format!("the body is not JSON (line {}, column {})", error.line(), error.column()))
        })?;
        if !body.is_object() {
            return Err(not_gitlab("the body is not a JSON object"));
        }
        let header = delivery.header("x-gitlab-event").ok().flatten();
        facts::event(&body, header).ok_or_else(|| {
            not_gitlab("neither the body nor X-Gitlab-Event names an event")
                .with_hint("check that the hook is a GitLab hook and has no custom webhook template")
        })
    }
}

fn not_gitlab(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::UnexpectedResponse, message)
        .with_forge(ForgeKind::GITLAB)
        .with_operation("read a delivery")
}
