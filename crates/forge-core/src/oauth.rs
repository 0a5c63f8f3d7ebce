//! The OAuth authorization-code flow, in each forge's dialect.

#![expect(
    clippy::disallowed_methods,
    reason = "codes, verifiers and tokens go into the requests of the flow"
)]

use std::fmt;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use crate::Result;

/// An OAuth application registered at the forge.
#[derive(Debug, Clone)]
pub struct OAuthApp {
    /// The application's public id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretString,
    /// The scopes to ask for; empty takes the adapter's default for this product.
    pub scopes: Vec<String>,
}

/// The `state` parameter: random, used once, bound by the caller to whoever began the flow.
#[derive(Clone)]
pub struct CsrfState(SecretString);

impl CsrfState {
    /// Takes `entropy` (at least 16 bytes from a cryptographic source) as the state.
    #[must_use]
    pub fn from_entropy(entropy: &[u8; 32]) -> Self {
        Self(SecretString::from(hex::encode(entropy)))
    }

    /// The text that travels in the URL.
    #[must_use]
    pub fn as_secret(&self) -> &SecretString {
        &self.0
    }
}

impl fmt::Debug for CsrfState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CsrfState(..)")
    }
}

/// A PKCE pair (RFC 7636), method `S256` only.
#[derive(Clone)]
pub struct Pkce {
    verifier: SecretString,
    challenge: String,
}

impl Pkce {
    /// Makes the pair from `entropy`, 32 bytes from a cryptographic source.
    #[must_use]
    pub fn from_entropy(entropy: &[u8; 32]) -> Self {
        Self::from_verifier(SecretString::from(URL_SAFE_NO_PAD.encode(entropy)))
    }

    /// The pair of a stored verifier.
    #[must_use]
    pub fn from_verifier(verifier: SecretString) -> Self {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret().as_bytes()));
        Self { verifier, challenge }
    }

    /// The secret half, sent with the code.
    #[must_use]
    pub fn verifier(&self) -> &SecretString {
        &self.verifier
    }

    /// The public half, sent with the authorize URL.
    #[must_use]
    pub fn challenge(&self) -> &str {
        &self.challenge
    }
}

impl fmt::Debug for Pkce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pkce").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// What a token endpoint gave.
#[derive(Debug, Clone)]
pub struct TokenSet {
    /// The access token.
    pub access_token: SecretString,
    /// The refresh token, where the forge has one. Assume that using it invalidates it.
    pub refresh_token: Option<SecretString>,
    /// When the access token expires; `None` when it does not.
    pub expires_at: Option<Timestamp>,
    /// The granted scopes; empty when the forge did not say.
    pub scopes: Vec<String>,
}

/// One forge's OAuth flow for one application at one instance.
#[async_trait]
pub trait OAuthFlow: fmt::Debug + Send + Sync {
    /// Where to send the browser. `pkce` is ignored where [`crate::Capabilities::oauth_pkce`] is false.
    fn authorize_url(&self, redirect: &Url, state: &CsrfState, pkce: Option<&Pkce>) -> Url;

    /// Turns the code into tokens.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidGrant`] when the code is wrong, used or expired; [`crate::ErrorKind::Unauthorized`]
    /// when the forge rejects the application.
    async fn exchange_code(
        &self,
        code: &SecretString,
        redirect: &Url,
        pkce: Option<&Pkce>,
    ) -> Result<TokenSet>;

    /// Turns a refresh token into a new pair. Must run in single flight: forges kill the grant on reuse. Never
    /// retried inside, because a lost answer may mean a spent token.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidGrant`] when the refresh token is spent or revoked.
    async fn refresh(&self, refresh_token: &SecretString, redirect: &Url) -> Result<TokenSet>;

    /// Revokes the grant as far as the forge can; `false` where it has no way to.
    async fn revoke(&self, tokens: &TokenSet) -> Result<bool>;
}
