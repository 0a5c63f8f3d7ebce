//! What Bitbucket's statuses mean.

use std::time::Duration;

use forge_core::{Error, ErrorKind, ForgeKind, Retry};
use forge_http::{Answer, default_classify};
use serde_json::Value;

use crate::scopes;

/// The limit counts a rolling hour, so that only minutes help; `Retry-After` may be missing
/// (support.atlassian.com/bitbucket-cloud/docs/api-request-limits).
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(180);

/// The error of an answer that is no success.
pub(crate) fn classify(answer: &Answer<'_>) -> Error {
    if answer.hop > 0 {
        return classify_storage(answer);
    }
    let error = default_classify(ForgeKind::BITBUCKET_CLOUD, answer);
    match answer.status.as_u16() {
        401 => error.with_hint(
            "the token is expired, revoked or mistyped: replace it or connect again; an Atlassian API token needs the \
             mail address of its account beside it, other tokens must have none",
        ),
        403 => error.with_hint(forbidden_hint(answer)),
        404 => error.with_hint(
            "check the name, and that the token may see it: Bitbucket answers 404 for both, and where Pipelines is off",
        ),
        410 if is_removed(answer) => {
            Error::new(ErrorKind::Unsupported, "Bitbucket has removed this part of its API (status 410)")
                .with_forge(ForgeKind::BITBUCKET_CLOUD)
                .with_status(410)
                .with_hint("look for a newer version of this program")
        }
        429 => error
            .with_retry(Retry::After(answer.retry_after().unwrap_or(RATE_LIMIT_WAIT)))
            .with_hint("wait; all connections through one OAuth consumer share one limit, access tokens have their own"),
        _ => error,
    }
}

/// Answers of the storage to which Bitbucket redirects for a log.
fn classify_storage(answer: &Answer<'_>) -> Error {
    let status = answer.status.as_u16();
    let (kind, message) = match status {
        404 => (ErrorKind::NotReady, "the log is not in Bitbucket's log storage yet"),
        410 => (ErrorKind::Gone, "the log is gone from Bitbucket's log storage"),
        400 | 401 | 403 => {
            (ErrorKind::Forge, "Bitbucket's log storage refuses the address that Bitbucket gave")
        }
        _ => return default_classify(ForgeKind::BITBUCKET_CLOUD, answer),
    };
    Error::new(kind, format!("{message} (status {status})"))
        .with_forge(ForgeKind::BITBUCKET_CLOUD)
        .with_status(status)
}

/// `error.detail` is a string in the API description, and an object with `required` when scopes are missing.
fn forbidden_hint(answer: &Answer<'_>) -> String {
    let body = answer.json().unwrap_or_default();
    let detail = body.get("error").and_then(|error| error.get("detail"));
    let required = detail.and_then(|detail| detail.get("required")).and_then(Value::as_array);
    let is_scope = |scope: &&str| {
        scope.len() <= 64 && scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte))
    };
    let required: Vec<String> = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(is_scope)
        .take(8)
        .map(scopes::described)
        .collect();
    if required.is_empty() {
        "check the token's scopes and that its user is an administrator of the repository, which hooks need"
            .to_owned()
    } else {
        format!("the token lacks the scope {}: add it and connect again", required.join(", "))
    }
}

/// `CHANGE-2770 - ...` and the like: developer.atlassian.com/cloud/bitbucket/changelog.
fn is_removed(answer: &Answer<'_>) -> bool {
    answer.message().is_some_and(|message| message.contains("CHANGE-") || message.contains("deprecated"))
}
