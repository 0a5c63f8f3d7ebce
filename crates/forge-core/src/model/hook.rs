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
