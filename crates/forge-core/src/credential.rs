//! What a client authenticates with, and where it comes from.

#![expect(clippy::disallowed_methods, reason = "two credentials are compared")]

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::{Error, ErrorKind, Result, model::Identity, secret};

/// How a credential was obtained, which decides how each forge wants it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialKind {
    /// An OAuth access token.
    OAuth,
    /// A personal, group, project, repository or workspace access token.
    AccessToken,
    /// An Atlassian API token, sent as HTTP Basic together with the account's mail address.
    ApiToken,
    /// A GitHub App installation token.
    Installation,
    /// No credential: only what the forge gives to anybody.
    None,
}

/// One credential as it is sent. `Debug` shows no secret.
#[derive(Clone)]
pub struct Credential {
    kind: CredentialKind,
    secret: SecretString,
    user: Option<String>,
    expires_at: Option<Timestamp>,
}

impl Credential {
    /// A credential of `kind`. No form is checked: forges change the shape of their tokens.
    #[must_use]
    pub fn new(kind: CredentialKind, secret: SecretString) -> Self {
        Self { kind, secret, user: None, expires_at: None }
    }

    /// No credential.
    #[must_use]
    pub fn none() -> Self {
        Self::new(CredentialKind::None, SecretString::from(String::new()))
    }

    /// The user that goes with it in HTTP Basic, e.g. a mail address.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// When it stops working.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: Option<Timestamp>) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// How it was obtained.
    #[must_use]
    pub fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// The token itself.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The user for HTTP Basic.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// When it stops working, where that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether both carry the same secret, compared in constant time.
    #[must_use]
    pub fn is_same_secret(&self, other: &Self) -> bool {
        secret::matches(self.secret.expose_secret().as_bytes(), &other.secret)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("kind", &self.kind)
            .field("user", &self.user)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Gives the credential for each request, so that a refreshed token is used at once everywhere.
#[async_trait]
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// The credential to use now. May refresh it before it expires.
    async fn credential(&self) -> Result<Arc<Credential>>;

    /// A new credential after the forge answered 401 to `rejected`.
    ///
    /// Called at most once per request. An implementation refreshes in single flight, and when somebody else has
    /// refreshed meanwhile (the current credential is not `rejected`) it returns the current one.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] when it cannot be refreshed, [`ErrorKind::InvalidGrant`] when the grant is dead.
    async fn refresh(&self, rejected: &Credential) -> Result<Arc<Credential>>;

    /// Who the credentials belong to, where only this provider can find out: the token of a GitHub App's installation
    /// cannot ask for its app. `None`: the credential itself can ask.
    ///
    /// # Errors
    /// Whatever the forge gives.
    async fn identity(&self) -> Result<Option<Identity>> {
        Ok(None)
    }
}

/// A credential that never changes, such as a personal access token.
#[derive(Debug, Clone)]
pub struct StaticCredential(Arc<Credential>);

impl StaticCredential {
    /// Provides `credential` for ever.
    #[must_use]
    pub fn new(credential: Credential) -> Self {
        Self(Arc::new(credential))
    }

    /// An access token given by a person.
    #[must_use]
    pub fn token(token: SecretString) -> Self {
        Self::new(Credential::new(CredentialKind::AccessToken, token))
    }
}

#[async_trait]
impl CredentialProvider for StaticCredential {
    async fn credential(&self) -> Result<Arc<Credential>> {
        Ok(Arc::clone(&self.0))
    }

    async fn refresh(&self, _rejected: &Credential) -> Result<Arc<Credential>> {
        Err(Error::new(ErrorKind::Unauthorized, "the forge rejected the token")
            .with_hint("the token is expired, revoked or mistyped: create a new one and replace it"))
    }
}
