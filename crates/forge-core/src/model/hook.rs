use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

/// A hook as it should be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HookSpec {
    /// Our address; it holds an unguessable id of the hook.
    pub url: Url,
    /// The secret: HMAC key or token, as the forge has it.
    pub secret: SecretString,
    /// A signing token (`whsec_...`) for forges that have them beside the secret.
    pub signing_token: Option<SecretString>,
}

impl HookSpec {
    /// A hook at `url` with `secret`.
    #[must_use]
    pub fn new(url: Url, secret: SecretString) -> Self {
        Self { url, secret, signing_token: None }
    }

    /// Asks for signatures too, where the forge's version has them.
    #[must_use]
    pub fn with_signing_token(mut self, token: SecretString) -> Self {
        self.signing_token = Some(token);
        self
    }
}

/// A hook as the forge shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hook {
    /// The forge's id of the hook.
    pub id: String,
    /// Where it sends to, exactly as the forge prints it.
    pub url: String,
    /// Whether it is switched on.
    pub is_active: bool,
    /// The events it is subscribed to, in the forge's words, sorted.
    pub events: Vec<String>,
    /// Whether TLS certificates are checked; `None` where the forge does not tell.
    pub verifies_tls: Option<bool>,
    /// Whether the forge took the signing token, so that unsigned deliveries are to be refused.
    pub is_signed: bool,
    /// What the forge says of its deliveries.
    pub health: HookHealth,
}

impl Hook {
    /// An active hook.
    #[must_use]
    pub fn new(id: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            url: url.into(),
            is_active: true,
            events: Vec::new(),
            verifies_tls: None,
            is_signed: false,
            health: HookHealth::default(),
        }
    }
}

/// What the forge says of a hook's deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HookHealth {
    /// Whether the forge itself has switched it off after failures.
    pub is_disabled: bool,
    /// Until when, where that is temporary.
    pub disabled_until: Option<Timestamp>,
    /// The last failure in the forge's words, cut to 200 characters.
    pub last_failure: Option<String>,
}

/// A delivery as the forge remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HookDelivery {
    /// The forge's id of this attempt, by which it can be sent again.
    pub id: String,
    /// The forge's id of the event, the same when it is sent again; what [`crate::WebhookReceiver::delivery_id`]
    /// reads from the delivery itself.
    pub event_id: Option<String>,
    /// The event in the forge's words.
    pub event: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The status that we answered with; `None` when there was no answer.
    pub status: Option<u16>,
}

impl HookDelivery {
    /// A delivery that got no answer.
    #[must_use]
    pub fn new(id: impl Into<String>, event: impl Into<String>, sent_at: Timestamp) -> Self {
        Self { id: id.into(), event_id: None, event: event.into(), sent_at, status: None }
    }

    /// Whether it was answered with a 2xx.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}
