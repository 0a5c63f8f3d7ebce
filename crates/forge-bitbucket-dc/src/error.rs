//! What Bitbucket's statuses mean.

use std::time::Duration;

use forge_core::{Error, ErrorKind, ForgeKind, Retry};
use forge_http::{Answer, default_classify};
use http::HeaderMap;

/// Atlassian's own client for Jenkins waits this long where `Retry-After` is absent.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// The error of an answer that is no success.
pub(crate) fn classify(answer: &Answer<'_>) -> Error {
    let error = default_classify(ForgeKind::BITBUCKET_DC, answer);
    match answer.status.as_u16() {
        401 if is_known_user(answer.headers) => forbidden(answer),
        401 => error.with_hint(
            "the token is expired, revoked or mistyped: create a new one; project and repository tokens work as \
             Bearer only",
        ),
        403 => error.with_hint(
            "check the token's permissions (project read, repository admin), and whether the repository is archived; \
             some resources refuse OAuth: try an HTTP access token",
        ),
        404 => error.with_hint(
            "check project key and repository slug, and that the token may see it: Bitbucket answers 404 for both, \
             and a renamed repository has a new slug",
        ),
        429 if answer.retry_after().is_none() => error.with_retry(Retry::After(DEFAULT_WAIT)),
        _ => error,
    }
}

/// A missing permission is a 401 in Bitbucket's REST API, like a bad token. `X-AUSERNAME` tells them apart: it names the
/// user, and anonymous requests have none.
///
/// The status is kept as 403, so that nobody refreshes a credential that is good.
fn forbidden(answer: &Answer<'_>) -> Error {
    let mut message = "the credential may not do this (status 401 with a known user)".to_owned();
    if let Some(said) = answer.message() {
        message.push_str(": ");
        message.push_str(&said);
    }
    Error::new(ErrorKind::Forbidden, message)
        .with_forge(ForgeKind::BITBUCKET_DC)
        .with_status(403)
        .with_hint("give the token repository admin permission (hooks) or repository write, and project read")
}

fn is_known_user(headers: &HeaderMap) -> bool {
    user_name(headers).is_some()
}

/// The user that the server took the credential for.
pub(crate) fn user_name(headers: &HeaderMap) -> Option<String> {
    let name = headers.get("x-ausername")?.to_str().ok()?.trim();
    let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
    (!name.is_empty() && name != "anonymous").then(|| name.into_owned())
}

/// Absent objects are no failure in many places.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone)
}
