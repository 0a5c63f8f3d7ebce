//! What the chats' APIs have in common: how an answer that is no success becomes an error.

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{
    Credential, CredentialKind, CredentialProvider, Error, ErrorKind, ForgeKind, Result, Retry,
};
use forge_http::{Answer, Dialect, RateLimit};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// A token that a person gave to a channel.
#[derive(Debug)]
pub(crate) struct Token(Arc<Credential>);

impl Token {
    pub(crate) fn new(token: &SecretString) -> Self {
        Self(Arc::new(Credential::new(CredentialKind::AccessToken, token.clone())))
    }
}

#[async_trait]
impl CredentialProvider for Token {
    async fn credential(&self) -> Result<Arc<Credential>> {
        Ok(Arc::clone(&self.0))
    }

    async fn refresh(&self, _rejected: &Credential) -> Result<Arc<Credential>> {
        Err(Error::new(ErrorKind::Unauthorized, "the channel does not accept the token")
            .with_status(401)
            .with_hint("make a new token for the bot and replace the channel's"))
    }
}

/// One chat's ways on the wire.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) kind: ForgeKind,
    /// Reads the chat's own error out of an answer, where it is one.
    pub(crate) read: fn(&Answer<'_>) -> Option<Error>,
}

impl Dialect for Chat {
    fn kind(&self) -> ForgeKind {
        self.kind
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
    }

    #[expect(clippy::disallowed_methods, reason = "the token goes into the request here")]
    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let value = HeaderValue::try_from(format!("Bearer {}", credential.secret().expose_secret()))
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "the token has characters that no token has"))?;
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        (self.read)(answer).unwrap_or_else(|| by_status(answer))
    }

    fn rate_limit(&self, _headers: &HeaderMap, _now: Timestamp) -> Option<RateLimit> {
        None
    }
}

/// What a status means where the chat says nothing of its own.
pub(crate) fn by_status(answer: &Answer<'_>) -> Error {
    let status = answer.status.as_u16();
    let (kind, what, hint) = match status {
        300..=399 => (ErrorKind::UnexpectedResponse, "the channel redirects", "check the channel's address"),
        401 => {
            (ErrorKind::Unauthorized, "the channel does not accept the token", "replace the channel's token")
        }
        403 => (ErrorKind::Forbidden, "the channel refuses us", "check that the bot may write there"),
        404 => (ErrorKind::NotFound, "there is no such channel", "check the channel's settings"),
        410 => (ErrorKind::Gone, "the channel is gone", "set the channel up again"),
        413 => (ErrorKind::TooLarge, "the message is too large for the channel", ""),
        429 => (ErrorKind::RateLimited, "the channel takes no more messages now", ""),
        400..=499 => (ErrorKind::Invalid, "the channel refuses the message", ""),
        _ => (ErrorKind::Forge, "the channel failed", ""),
    };
    let mut error = Error::new(kind, format!("{what} (status {status})")).with_status(status);
    if !hint.is_empty() {
        error = error.with_hint(hint);
    }
    match answer.retry_after() {
        Some(after) if matches!(status, 429 | 503) => error.with_retry(Retry::After(after)),
        _ => error,
    }
}

/// Sets a field of a JSON object.
pub(crate) fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value.into());
    }
}
