//! What GitLab's answers mean, and the faults that this adapter finds itself.

use std::time::Duration;

use forge_core::{Error, ErrorKind, ForgeKind, Result, Retry};
use forge_http::{Answer, default_classify};
use http::HeaderMap;
use jiff::Timestamp;

/// How long to wait after a 429 that does not say: limits inside the application (notes, lists of jobs) send neither
/// `Retry-After` nor `RateLimit-*`, and count per minute (docs administration/settings/rate_limit_on_*).
const UNSAID_WAIT: Duration = Duration::from_secs(60);

/// A fault found before anything was sent, or in what an answer says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// An id that goes into a path is not a number.
    #[error("the {0} is not a number")]
    NotANumber(&'static str),
    /// A name that goes into a path cannot stand there.
    #[error("the {0} is empty or not usable in an address")]
    NotAName(&'static str),
    /// GitLab redirects, but not to a project.
    #[error("GitLab redirects to something that is not a project of this instance")]
    StrayRedirect,
    /// A body that consists of commands only.
    #[error("GitLab made no comment of the text: it took all of it for quick actions")]
    NoNote,
    /// A kind of change that this adapter does not know.
    #[error("this version of the adapter cannot read such a change")]
    UnknownChange,
    /// The instance is too old.
    #[error("{what} came with GitLab {}.{}, and this instance is {version}", since.0, since.1)]
    TooOld {
        /// What it cannot do.
        what: &'static str,
        /// The version that brought it.
        since: (u32, u32),
        /// What it says that it is.
        version: String,
    },
    /// The log was erased.
    #[error("the log of this job was erased")]
    LogErased,
    /// The log is still being written.
    #[error("the log is not there yet")]
    LogNotReady,
    /// There is no log and none will come.
    #[error("this job has no log")]
    NoLog,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let (kind, hint) = match fault {
            Fault::NotANumber(_) => (ErrorKind::InvalidInput, "give the id as GitLab prints it"),
            Fault::NotAName(_) => (ErrorKind::InvalidInput, "give the full path, e.g. group/project"),
            Fault::StrayRedirect => (
                ErrorKind::UnexpectedResponse,
                "check the base URL: it has to be the address that GitLab itself uses (its external URL)",
            ),
            Fault::NoNote => {
                (ErrorKind::Invalid, "the text has to hold more than lines that begin with a slash")
            }
            Fault::UnknownChange => (ErrorKind::Unsupported, "update this adapter"),
            Fault::TooOld { .. } => {
                (ErrorKind::Unsupported, "update the instance; polling finds what no hook told")
            }
            Fault::LogErased => (ErrorKind::Gone, "retry the job to get a log"),
            Fault::LogNotReady => {
                (ErrorKind::NotReady, "GitLab writes the log in the background; try again soon")
            }
            Fault::NoLog => {
                (ErrorKind::NotFound, "the job never reached a runner, or its log was lost at the instance")
            }
        };
        Self::new(kind, fault.to_string()).with_forge(ForgeKind::GITLAB).with_hint(hint)
    }
}

/// The status table. Everything that is not here is [`default_classify`]'s.
pub(crate) fn classify(answer: &Answer<'_>) -> Error {
    let error = default_classify(ForgeKind::GITLAB, answer);
    if answer.hop > 0 {
        // The object storage's words, not GitLab's.
        return error;
    }
    let body = answer.json();
    let code = body.as_ref().and_then(|body| body.get("error")?.as_str()).unwrap_or_default();
    match answer.status.as_u16() {
        401 => error.with_hint(
            "the token is expired, revoked or mistyped: replace it, or connect again where it came by OAuth",
        ),
        403 if answer.is_html() => {
            error.with_hint("something in front of GitLab refused the request: a firewall, a proxy, or an address block")
        }
        403 if code == "insufficient_scope" || code == "insufficient_granular_scope" => {
            error.with_hint("the token lacks a scope: create one with the scope `api`, and give the application the same")
        }
        403 => error.with_hint(
            "the user lacks the role: Reporter reads pipelines, Developer comments and sets statuses, Maintainer manages hooks; archived projects are read-only",
        ),
        404 if answer.is_html() => Error::new(ErrorKind::UnexpectedResponse, "there is no GitLab API at this address")
            .with_forge(ForgeKind::GITLAB)
            .with_status(404)
            .with_hint("check the base URL, also for a missing sub-path"),
        404 => error.with_hint("GitLab answers 404 also for what the credential may not see: check path, scope and role"),
        422 | 400 if mentions_url(body.as_ref()) => error.with_hint(
            "GitLab refuses the hook's address: for one in a local network an administrator has to allow local requests from webhooks",
        ),
        429 if answer.retry_after().is_none() => {
            let wait = reset_at(answer.headers)
                .map(|at| at.as_second().saturating_sub(answer.received_at.as_second()).clamp(1, 86_400))
                .map_or(UNSAID_WAIT, |seconds| Duration::from_secs(seconds.unsigned_abs()));
            error.with_retry(Retry::After(wait))
        }
        _ => error,
    }
}

/// `RateLimit-Reset`: the second at which the count starts anew.
pub(crate) fn reset_at(headers: &HeaderMap) -> Option<Timestamp> {
    let seconds = headers.get("ratelimit-reset")?.to_str().ok()?.trim().parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

/// Answers that mean "not there for us" as `None`: for look-ups that are a bonus.
pub(crate) fn absent<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden | ErrorKind::Gone) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn mentions_url(body: Option<&serde_json::Value>) -> bool {
    let said = |key: &str| body.and_then(|body| body.get(key));
    said("message").is_some_and(|message| message.get("url").is_some())
        || said("error")
            .and_then(|error| error.as_str())
            .is_some_and(|text| text.to_ascii_lowercase().contains("url"))
}
