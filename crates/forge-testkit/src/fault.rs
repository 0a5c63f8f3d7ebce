//! Faults on command.

use std::time::Duration;

/// How the next fitting request goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This status, with an error body in the forge's form.
    Status(u16),
    /// 429 in the forge's form, with or without `Retry-After` (seconds).
    RateLimited {
        /// The value of `Retry-After`.
        retry_after: Option<u64>,
    },
    /// This status with `Retry-After` (seconds).
    RetryAfter {
        /// The status, e.g. 503.
        status: u16,
        /// The value of `Retry-After`.
        seconds: u64,
    },
    /// 429 in the forge's form with `Retry-After` as an HTTP date, this far from now by the clock of the machine.
    RetryAt(Duration),
    /// This status and JSON with this `message`, as GitHub and GitLab put it.
    Refused {
        /// The status, e.g. 403.
        status: u16,
        /// What the forge says.
        message: String,
    },
    /// An HTML page with this status, as a proxy in front of the forge sends it.
    Html(u16),
    /// Status 200 and JSON that ends in the middle.
    TruncatedJson,
    /// Status 200 and JSON of an unexpected type.
    WrongType,
    /// No answer until the client gives up or the fake is dropped.
    Hang,
    /// The connection is closed without an answer.
    Close,
    /// The request is carried out, then the connection is closed without an answer.
    CloseAfter,
    /// The right answer, after this time.
    Slow(Duration),
    /// A redirect of this status to this address.
    Redirect(u16, String),
}

#[derive(Debug, Clone)]
pub(crate) struct Armed {
    pub(crate) method: String,
    pub(crate) pattern: String,
    pub(crate) fault: Fault,
    pub(crate) left: u32,
}
