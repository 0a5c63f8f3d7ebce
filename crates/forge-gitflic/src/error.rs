//! What GitFlic's statuses mean.

use std::time::Duration;

use forge_core::{Error, ErrorKind, ForgeKind, Result, Retry};
use forge_http::{Answer, default_classify};

/// Without `Retry-After`: the limit counts by the hour, so that coming back at once only makes it worse.
const LIMIT_WAIT: Duration = Duration::from_secs(300);

/// The error of an answer that is no success.
pub(crate) fn classify(answer: &Answer<'_>) -> Error {
    let status = answer.status.as_u16();
    if answer.hop > 0 {
        return classify_storage(answer);
    }
    let error = with_title(default_classify(ForgeKind::GITFLIC, answer), answer);
    match status {
        // Never GitFlic itself, whose API answers in JSON.
        403 if answer.is_html() => {
            Error::new(ErrorKind::UnexpectedResponse, format!("a web page refuses the request (status {status})"))
                .with_forge(ForgeKind::GITFLIC)
                .with_status(status)
                .with_hint("check the base URL, and whether a proxy or login page stands before the API")
        }
        401 => error.with_hint("the token is expired, revoked or mistyped: replace it or connect again"),
        403 => error.with_hint(
            "the token needs PROJECT_READ and PROJECT_EDIT, and its user the administrator's role for hooks; a user who is blocked or has to change the password or set up a second factor is refused everything",
        ),
        404 => error.with_hint("check the name, and that the token may see it: renamed projects do not redirect"),
        429 if answer.retry_after().is_none() => error
            .with_retry(Retry::After(LIMIT_WAIT))
            .with_hint("gitflic.ru allows 500 requests an hour: prefer webhooks to polling"),
        429 => error.with_hint("gitflic.ru allows 500 requests an hour: prefer webhooks to polling"),
        500 => error.with_hint("GitFlic answers 500 also to fields that its version does not know"),
        _ => error,
    }
}

/// A bad token has the same status as a missing right; told apart by asking who the token is.
pub(crate) fn rejected(operation: &str) -> Error {
    Error::new(ErrorKind::Unauthorized, "GitFlic does not accept the token (status 403)")
        .with_forge(ForgeKind::GITFLIC)
        .with_status(403)
        .with_operation(operation)
        .with_hint(
            "the token is expired, revoked, mistyped or lacks USER_READ, or its user is blocked: replace it or connect again",
        )
}

pub(crate) fn unsupported<T>(what: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, what.to_owned()).with_forge(ForgeKind::GITFLIC))
}

/// The storage that a log download may be redirected to.
fn classify_storage(answer: &Answer<'_>) -> Error {
    let status = answer.status.as_u16();
    let (kind, message) = match status {
        404 => (ErrorKind::NotReady, "the log is not in the storage yet"),
        410 => (ErrorKind::Gone, "the log is gone from the storage"),
        400 | 401 | 403 => (ErrorKind::Forge, "the storage refuses the address that GitFlic gave"),
        _ => return default_classify(ForgeKind::GITFLIC, answer),
    };
    Error::new(kind, format!("{message} (status {status})"))
        .with_forge(ForgeKind::GITFLIC)
        .with_status(status)
}

/// Errors carry a key of GitFlic's translations as `title`, which says more than the status does.
fn with_title(error: Error, answer: &Answer<'_>) -> Error {
    let body = answer.json();
    let title = body.as_ref().and_then(|body| body.get("title")?.as_str()).unwrap_or_default();
    let is_key = (3..=120).contains(&title.len())
        && title.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._- ".contains(&byte));
    if !is_key {
        return error;
    }
    let mut told = Error::new(error.kind(), format!("{}: {title}", error.message()))
        .with_forge(ForgeKind::GITFLIC)
        .with_status(answer.status.as_u16())
        .with_retry(error.retry());
    // The hints of the statuses below are set by the caller.
    if let (Some(hint), false) = (error.hint(), matches!(answer.status.as_u16(), 401 | 403 | 404)) {
        told = told.with_hint(hint);
    }
    told
}
