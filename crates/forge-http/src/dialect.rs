//! How one forge speaks HTTP: what an adapter tells the shared client.

use std::{fmt, time::Duration};

use forge_core::{Credential, Error, ErrorKind, ForgeKind, Result, Retry};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

/// The longest message taken over from a forge, in characters.
const MESSAGE_CHARS: usize = 200;

/// One forge's ways on the wire.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// The forge.
    fn kind(&self) -> ForgeKind;

    /// Headers of every request to the forge itself: `Accept`, an API version. Never a credential.
    fn headers(&self) -> HeaderMap;

    /// Puts the credential into the headers. Called only for requests to the origin of the base URL.
    ///
    /// # Errors
    /// When this forge has no way to send such a credential.
    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()>;

    /// Turns an answer that is not a success into an error. [`default_classify`] is the place to start from.
    fn classify(&self, answer: &Answer<'_>) -> Error;

    /// What the headers say of the rate limit.
    fn rate_limit(&self, headers: &HeaderMap, now: Timestamp) -> Option<RateLimit>;
}

/// How many requests are left, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests left; at 0 the client waits until [`RateLimit::resets_at`].
    pub remaining: u64,
    /// When the count starts anew, where the forge tells.
    pub resets_at: Option<Timestamp>,
}

/// An answer that is not a success, as [`Dialect::classify`] sees it.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The beginning of the body, at most 64 KiB. Never goes into a message as it is.
    pub body: &'a [u8],
    /// When it arrived.
    pub received_at: Timestamp,
    /// 0 for the forge itself, 1 and more for what it redirected to (a log's storage).
    pub hop: usize,
}

impl<'a> Answer<'a> {
    /// An answer of the forge itself.
    #[must_use]
    pub fn new(status: StatusCode, headers: &'a HeaderMap, body: &'a [u8], received_at: Timestamp) -> Self {
        Self { status, headers, body, received_at, hop: 0 }
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body).ok()
    }

    /// What the forge says is wrong: the strings in `message`, `error`, `error_description` and `errors`, as one line
    /// of at most 200 characters in which control characters are shown as `<U+001B>`.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let body = self.json()?;
        let mut parts = Vec::new();
        for key in ["message", "error", "error_description", "errors"] {
            if let Some(value) = body.get(key) {
                collect_text(value, None, 0, &mut parts);
            }
        }
        let mut seen = std::collections::HashSet::new();
        parts.retain(|part| seen.insert(part.clone()));
        let found = parts.join("; ");
        if found.is_empty() {
            return None;
        }
        Some(one_line(&found))
    }

    /// `Retry-After`, given in seconds or as an HTTP date. A date in the past is zero.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.headers, self.received_at)
    }

    /// Whether it is a web page: a login page, a proxy, an error page, but not the API.
    #[must_use]
    pub fn is_html(&self) -> bool {
        is_html(self.headers, self.body)
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("hop", &self.hop)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The error that a status means on most forges; adapters override what is different with theirs.
#[must_use]
pub fn default_classify(kind: ForgeKind, answer: &Answer<'_>) -> Error {
    let status = answer.status;
    let retry_after = answer.retry_after();
    let (error_kind, what) = match status.as_u16() {
        300..=399 => (ErrorKind::UnexpectedResponse, "the forge redirects to another address"),
        401 => (ErrorKind::Unauthorized, "the forge does not accept the credential"),
        403 => (ErrorKind::Forbidden, "the credential may not do this"),
        404 => (ErrorKind::NotFound, "not found, or not visible to the credential"),
        408 => (ErrorKind::Timeout, "the forge gave up waiting"),
        409 | 412 => (ErrorKind::Conflict, "the forge reports a conflict"),
        410 => (ErrorKind::Gone, "it is gone"),
        400 | 405 | 406 | 411 | 415 | 422 => (ErrorKind::Invalid, "the forge refuses the request"),
        413 => (ErrorKind::TooLarge, "the request is too large for the forge"),
        425 | 429 => (ErrorKind::RateLimited, "too many requests"),
        501 => (ErrorKind::Unsupported, "the forge does not support this"),
        500..=599 => (ErrorKind::Forge, "the forge failed"),
        _ => (ErrorKind::UnexpectedResponse, "unexpected status"),
    };
    let mut message = format!("{what} (status {})", status.as_u16());
    if answer.is_html() {
        message.push_str(", the answer is a web page");
    } else if let Some(said) = answer.message() {
        message.push_str(": ");
        message.push_str(&said);
    }
    let mut error = Error::new(error_kind, message).with_forge(kind).with_status(status.as_u16());
    if let (Some(after), 429 | 503 | 425) = (retry_after, status.as_u16()) {
        error = error.with_retry(Retry::After(after));
    }
    match status.as_u16() {
        300..=399 => error.with_hint("check the base URL: the object or the installation may have moved"),
        401 => error.with_hint("the credential is expired, revoked or mistyped: replace it or connect again"),
        403 => error.with_hint("check the credential's scopes and the role of its user"),
        _ if answer.is_html() => {
            error.with_hint("check the base URL, and whether a proxy or login page stands before the API")
        }
        _ => error,
    }
}

pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A day is the most that is believed, so that a hostile forge cannot park us for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX).min(86_400)));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let seconds = at.as_second().saturating_sub(now.as_second()).clamp(0, 86_400);
    Some(Duration::from_secs(seconds.unsigned_abs()))
}

pub(crate) fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"));
    let start = body.trim_ascii_start();
    let start = start.get(..15.min(start.len())).unwrap_or_default().to_ascii_lowercase();
    declared || start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

/// Forges put strings, lists and objects of lists where one message is expected.
fn collect_text(value: &Value, key: Option<&str>, depth: usize, parts: &mut Vec<String>) {
    if depth > 4 || parts.len() >= 8 {
        return;
    }
    match value {
        Value::String(text) if !text.trim().is_empty() => parts.push(match key {
            Some(key) => format!("{key}: {text}"),
            None => text.clone(),
        }),
        Value::Array(items) => {
            for item in items {
                collect_text(item, key, depth + 1, parts);
            }
        }
        Value::Object(fields) => match fields.get("message") {
            Some(message) => collect_text(message, None, depth + 1, parts),
            None => {
                for (name, field) in fields {
                    collect_text(field, Some(name), depth + 1, parts);
                }
            }
        },
        _ => {}
    }
}

fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            count += 1;
        }
        for character in word.chars() {
            if count >= MESSAGE_CHARS {
                line.push('…');
                return line;
            }
            count += 1;
            if is_invisible(character) {
                line.push_str(&format!("<U+{:04X}>", u32::from(character)));
            } else {
                line.push(character);
            }
        }
    }
    line
}

/// Control characters, and those that hide or reorder text.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
