//! The one error type of every adapter.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::ForgeKind;

/// `Result` with the error of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller may act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The forge does not accept the credential: expired, revoked or mistyped.
    Unauthorized,
    /// The OAuth grant is dead (`invalid_grant`): the user has to connect again.
    InvalidGrant,
    /// The credential is good but may not do this; the hint names the scope or role.
    Forbidden,
    /// No such object, or one that the credential may not see: forges do not tell them apart.
    NotFound,
    /// It existed and is gone for good, e.g. an expired log.
    Gone,
    /// The log is not there yet: the job has just ended.
    NotReady,
    /// The forge reports a conflict with what exists.
    Conflict,
    /// The forge understood the request and refuses its content.
    Invalid,
    /// Too many requests; [`Error::retry`] says when to come back.
    RateLimited,
    /// No answer in time.
    Timeout,
    /// No connection: name resolution, refused, TLS.
    Unreachable,
    /// The forge failed (5xx).
    Forge,
    /// The answer is not what the forge documents: HTML, truncated JSON, a wrong type.
    UnexpectedResponse,
    /// The answer is larger than the limit of this call.
    TooLarge,
    /// Our own guard refused the address, e.g. a private network that is not allowed.
    AddressRefused,
    /// This forge, or this version of it, cannot do what was asked.
    Unsupported,
    /// The configuration or an argument is wrong.
    InvalidInput,
}

impl ErrorKind {
    /// A snake_case name that is stable, for logs and the HTTP API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::InvalidGrant => "invalid_grant",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
            Self::NotReady => "not_ready",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Forge => "forge_error",
            Self::UnexpectedResponse => "unexpected_response",
            Self::TooLarge => "too_large",
            Self::AddressRefused => "address_refused",
            Self::Unsupported => "unsupported",
            Self::InvalidInput => "invalid_input",
        }
    }

    /// Whether trying the same call later, unchanged, can succeed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::NotReady | Self::RateLimited | Self::Timeout | Self::Unreachable | Self::Forge)
    }

    /// Whether the credential has to be replaced before anything else can succeed.
    #[must_use]
    pub const fn is_credential(self) -> bool {
        matches!(self, Self::Unauthorized | Self::InvalidGrant)
    }
}

/// Whether and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// The same call will fail again.
    Never,
    /// Later, with growing delays.
    Backoff,
    /// Not before this much time has passed: the forge said so.
    After(Duration),
}

/// An error of a forge call: opaque, small, and safe to log.
///
/// The text is `what was tried on what: what happened`, and never holds a response body, a URL query or a secret.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    forge: Option<ForgeKind>,
    operation: Option<String>,
    status: Option<u16>,
    is_unsent: bool,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A new error; `message` is lower case, without a full stop and without foreign data.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retry = if kind.is_transient() { Retry::Backoff } else { Retry::Never };
        Self(Box::new(Inner {
            kind,
            retry,
            forge: None,
            operation: None,
            status: None,
            is_unsent: false,
            message: message.into(),
            hint: None,
            source: None,
        }))
    }

    /// Says when to retry, where that differs from what the kind implies.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Names the forge.
    #[must_use]
    pub fn with_forge(mut self, forge: ForgeKind) -> Self {
        self.0.forge = Some(forge);
        self
    }

    /// Names what was being done, e.g. `list hooks of group/shop`. An operation that is set already stays.
    #[must_use]
    pub fn with_operation(mut self, operation: impl Into<String>) -> Self {
        self.0.operation.get_or_insert_with(|| operation.into());
        self
    }

    /// Keeps the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Names the remedy: what the reader should do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says that the request was never written: the other side knows nothing of it.
    #[must_use]
    pub fn with_unsent(mut self) -> Self {
        self.0.is_unsent = true;
        self
    }

    /// Keeps the cause. Its text must be free of secrets and URL queries.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether and when to try again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The forge, where the error came from one.
    #[must_use]
    pub fn forge(&self) -> Option<ForgeKind> {
        self.0.forge
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// The HTTP status, where an answer arrived.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Whether the request is known never to have been written, so that it can be repeated whatever it does.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.0.is_unsent
    }

    /// The remedy, where one is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What happened, without operation and hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = &self.0.operation {
            write!(formatter, "cannot {operation}: ")?;
        }
        formatter.write_str(&self.0.message)?;
        if let Some(hint) = &self.0.hint {
            write!(formatter, " (hint: {hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("forge", &self.0.forge)
            .field("operation", &self.0.operation)
            .field("status", &self.0.status)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("retry", &self.0.retry)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
