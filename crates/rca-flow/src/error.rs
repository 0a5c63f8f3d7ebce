//! The one error of the use cases: a code for programs, a text for people.

use std::fmt;

use forge_core::ErrorKind;
use serde_json::Value;

/// `Result` with the error of this crate.
pub type Result<T, E = FlowError> = std::result::Result<T, E>;

/// The class of an error: each is one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlowErrorKind {
    /// 400: the request itself is broken.
    BadRequest,
    /// 401: who asks is not known.
    Unauthorized,
    /// 403: who asks may not.
    Forbidden,
    /// 404: no such object in this workspace.
    NotFound,
    /// 409: what exists forbids it.
    Conflict,
    /// 413: too much.
    TooLarge,
    /// 422: a field is wrong, or the forge refused it.
    Unprocessable,
    /// 429: too often.
    RateLimited,
    /// 502: the forge failed.
    BadGateway,
    /// 503: we cannot now.
    Unavailable,
}

impl FlowErrorKind {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimited => 429,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
        }
    }
}

/// An error of a use case. Safe to show: no bodies, URL queries or secrets.
#[derive(Debug, Clone)]
pub struct FlowError {
    /// Stable, snake_case.
    pub code: &'static str,
    /// For people: what failed, and what to do.
    pub message: String,
    /// Structured particulars, e.g. which scopes are missing.
    pub details: Option<Value>,
    /// The class.
    pub kind: FlowErrorKind,
}

impl FlowError {
    /// An error without particulars.
    pub fn new(kind: FlowErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None, kind }
    }

    /// Adds particulars.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// A field has a value that cannot be.
    pub fn invalid_field(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(FlowErrorKind::Unprocessable, "invalid_field", format!("{field}: {problem}"))
            .with_details(serde_json::json!({ "field": field }))
    }

    /// No such object in this workspace.
    pub fn not_found(what: &str) -> Self {
        Self::new(FlowErrorKind::NotFound, "not_found", format!("there is no such {what}"))
    }

    pub(crate) fn invalid_state() -> Self {
        Self::new(
            FlowErrorKind::BadRequest,
            "invalid_state",
            "the state is unknown, expired, used or of another session; begin connecting again",
        )
    }
}

impl fmt::Display for FlowError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for FlowError {}

impl From<forge_core::Error> for FlowError {
    fn from(error: forge_core::Error) -> Self {
        use FlowErrorKind::{BadGateway, Conflict, NotFound, RateLimited, Unprocessable};
        let (kind, code) = match error.kind() {
            ErrorKind::Unauthorized => (Unprocessable, "token_rejected"),
            ErrorKind::InvalidGrant => (Unprocessable, "grant_rejected"),
            ErrorKind::Forbidden => (Unprocessable, "scope_missing"),
            ErrorKind::NotFound => (NotFound, "not_found"),
            ErrorKind::Gone => (NotFound, "gone"),
            ErrorKind::NotReady => (Conflict, "not_ready"),
            ErrorKind::Conflict => (Conflict, "conflict"),
            ErrorKind::Invalid => (Unprocessable, "forge_refused"),
            ErrorKind::RateLimited => (RateLimited, "forge_rate_limited"),
            ErrorKind::Timeout | ErrorKind::Unreachable => (BadGateway, "forge_unreachable"),
            ErrorKind::AddressRefused => (Unprocessable, "address_not_allowed"),
            ErrorKind::Unsupported => (Unprocessable, "version_unsupported"),
            ErrorKind::InvalidInput => (Unprocessable, "invalid_field"),
            // Also what later versions add: the forge did something that we have no better word for.
            _ => (BadGateway, "forge_error"),
        };
        let mut details = serde_json::Map::new();
        if let Some(forge) = error.forge() {
            details.insert("forge".to_owned(), Value::from(forge.as_str()));
        }
        if let Some(status) = error.status() {
            details.insert("status".to_owned(), Value::from(status));
        }
        if let Some(hint) = error.hint() {
            details.insert("remedy".to_owned(), Value::from(hint));
        }
        let details = (!details.is_empty()).then_some(Value::Object(details));
        Self { code, message: error.to_string(), details, kind }
    }
}
