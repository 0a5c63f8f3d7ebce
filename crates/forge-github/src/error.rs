//! What GitHub's statuses mean.

use std::time::Duration;

use forge_core::{Error, ErrorKind, ForgeKind, Retry};
use forge_http::{Answer, default_classify};
use http::HeaderMap;
use jiff::Timestamp;

/// GitHub docs, rest/using-the-rest-api/rate-limits-for-the-rest-api: without a header, wait at least a minute.
const SECONDARY_LIMIT_WAIT: Duration = Duration::from_secs(60);

/// What to do about a suspended installation of an app.
const SUSPENDED_HINT: &str =
    "the app's installation is suspended: whoever did that can lift it on the installation's settings page";

/// The error of an answer that is no success.
///
/// A 403 is a rate limit, a missing single sign-on or a missing permission, and has to be asked in this order: GitHub
/// answers its secondary rate limit with 403 although requests remain.
pub(crate) fn classify(answer: &Answer<'_>) -> Error {
    // A renamed repository redirects within the API, whose answers carry this header.
    if answer.hop > 0 && !answer.headers.contains_key("x-github-request-id") {
        return classify_storage(answer);
    }
    let error = default_classify(ForgeKind::GITHUB, answer);
    match answer.status.as_u16() {
        401 => error.with_hint("the token is expired, revoked or mistyped: replace it or connect again"),
        403 | 429 => match rate_limit_wait(answer) {
            Some(wait) => Error::new(
                ErrorKind::RateLimited,
                format!("GitHub's rate limit is used up (status {})", answer.status.as_u16()),
            )
            .with_forge(ForgeKind::GITHUB)
            .with_retry(Retry::After(wait))
            .with_hint("wait; all tokens and OAuth apps of one user share one limit"),
            None if answer.status.as_u16() == 429 => error.with_retry(Retry::After(SECONDARY_LIMIT_WAIT)),
            None => error.with_hint(forbidden_hint(answer)),
        },
        404 => error.with_hint(match scopes_hint(answer.headers) {
            Some(scopes) => format!("check the name, and that the token may see it: {scopes}"),
            None => "check the name, and that the token may see it: GitHub answers 404 for both".to_owned(),
        }),
        410 => error.with_hint("it has expired or was deleted, or issues are switched off in the repository"),
        422 if says_exists(answer) => {
            Error::new(ErrorKind::Conflict, "GitHub has one like it already (status 422)")
                .with_forge(ForgeKind::GITHUB)
                .with_status(422)
                .with_hint("list what exists and change that instead")
        }
        451 => Error::new(ErrorKind::Forbidden, "GitHub has blocked it for legal reasons (status 451)")
            .with_forge(ForgeKind::GITHUB)
            .with_status(451)
            .with_hint("ask the owner of the repository"),
        _ => error,
    }
}

/// Answers of the storage to which GitHub redirects for a log: Azure, S3 or the like, not GitHub's API.
fn classify_storage(answer: &Answer<'_>) -> Error {
    let status = answer.status.as_u16();
    let (kind, message) = match status {
        // GitHub redirects before the log is written: the storage then answers `BlobNotFound`.
        404 => (ErrorKind::NotReady, "the log is not in GitHub's log storage yet"),
        410 => (ErrorKind::Gone, "the log is gone from GitHub's log storage"),
        // The address is good for one minute.
        400 | 401 | 403 => (ErrorKind::Forge, "GitHub's log storage refuses the address that GitHub gave"),
        _ => return default_classify(ForgeKind::GITHUB, answer),
    };
    Error::new(kind, format!("{message} (status {status})")).with_forge(ForgeKind::GITHUB).with_status(status)
}

/// How long to wait, when the answer is a rate limit at all.
fn rate_limit_wait(answer: &Answer<'_>) -> Option<Duration> {
    if let Some(wait) = answer.retry_after() {
        return Some(wait);
    }
    if let Some((0, resets_at)) = remaining(answer.headers) {
        let now = answer.received_at.as_second();
        let seconds = resets_at.map_or(60, |at| at.as_second().saturating_sub(now).clamp(1, 86_400));
        return Some(Duration::from_secs(seconds.unsigned_abs()));
    }
    // The secondary limit may come with no header; its text is all there is. Old servers speak of abuse detection.
    let message = answer.message()?.to_ascii_lowercase();
    (message.contains("rate limit") || message.contains("abuse detection")).then_some(SECONDARY_LIMIT_WAIT)
}

/// Requests left, and when the count starts anew. Enterprise Server sends neither unless its limits are switched on.
pub(crate) fn remaining(headers: &HeaderMap) -> Option<(u64, Option<Timestamp>)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let remaining = u64::try_from(number("x-ratelimit-remaining")?).ok()?;
    Some((remaining, number("x-ratelimit-reset").and_then(|at| Timestamp::from_second(at).ok())))
}

fn forbidden_hint(answer: &Answer<'_>) -> String {
    let headers = answer.headers;
    if answer.message().is_some_and(|message| message.contains("installation has been suspended")) {
        return SUSPENDED_HINT.to_owned();
    }
    let sso = headers.get("x-github-sso").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if sso.starts_with("required") {
        return "the organisation requires single sign-on: authorise the token for it in the token's settings".to_owned();
    }
    if let Some(scopes) = scopes_hint(headers) {
        return scopes;
    }
    match words(headers, "x-accepted-github-permissions") {
        Some(permissions) => format!("the token needs one of the permissions {permissions}"),
        None => {
            "check the token's permissions, its user's role, and whether the repository is archived or locked"
                .to_owned()
        }
    }
}

/// GitHub names the scopes that would do and those that the token has; only for OAuth and classic tokens.
fn scopes_hint(headers: &HeaderMap) -> Option<String> {
    let accepted = words(headers, "x-accepted-oauth-scopes")?;
    let granted = words(headers, "x-oauth-scopes").unwrap_or_else(|| "none".to_owned());
    let has_one = accepted.split(", ").any(|scope| granted.split(", ").any(|granted| granted == scope));
    (!has_one).then(|| format!("the token needs one of the scopes {accepted}; it has {granted}"))
}

/// A header's words, when it is made of nothing but such.
fn words(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    let is_plain = text.len() <= 200
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ,;:=_-".contains(&byte));
    (is_plain && !text.is_empty()).then(|| text.to_owned())
}

fn says_exists(answer: &Answer<'_>) -> bool {
    let is_code = answer.json().is_some_and(|body| {
        let errors = body.get("errors").and_then(serde_json::Value::as_array);
        errors
            .into_iter()
            .flatten()
            .any(|error| error.get("code").is_some_and(|code| code == "already_exists"))
    });
    // A second hook with the same address has no code of its own, only the text `Hook already exists on this repository`.
    is_code || all_messages(answer).contains("already exists")
}

fn all_messages(answer: &Answer<'_>) -> String {
    let mut text = String::new();
    if let Some(body) = answer.json() {
        let errors = body.get("errors").and_then(serde_json::Value::as_array);
        for part in std::iter::once(&body).chain(errors.into_iter().flatten()) {
            if let Some(message) = part.as_str().or_else(|| part.get("message")?.as_str()) {
                text.push_str(message);
                text.push('\n');
            }
        }
    }
    text
}
