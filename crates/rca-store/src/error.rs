//! The one error type of the store.

use std::fmt;

/// What the store's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the store could not do what was asked.
///
/// Display texts name the operation, never a value that was stored.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of failure a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The database did not answer in time, is full, locked or gone. Try again later; answer 503 at intake.
    Unavailable,
    /// The lease was taken over by somebody else: drop the result, nothing of it was written.
    Fenced,
    /// The object to change does not exist (in this workspace).
    NotFound,
    /// A uniqueness or reference rule was broken.
    Conflict,
    /// The master key does not fit this database.
    WrongKey,
    /// A sealed value cannot be opened: it was altered, moved, or its key is missing.
    Unsealable,
    /// The database was written by a newer version of this program.
    SchemaTooNew,
    /// The database runs with settings under which an acknowledged write can be lost.
    UnsafeSettings,
    /// The address, the key file or an argument cannot be used.
    Invalid,
    /// Stored data is not what the schema promises, or the database refused a statement.
    Database,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what} not found"))
    }

    /// The same failure for another caller of one batch; the source stays with the first.
    pub(crate) fn copy(&self) -> Self {
        Self::new(self.kind, self.message.clone())
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without anything being changed.
    pub fn is_transient(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => ErrorKind::Conflict,
            sqlx::Error::Database(database) if database.is_foreign_key_violation() => ErrorKind::Conflict,
            sqlx::Error::Database(database) if database.code().is_some_and(|code| is_transient(&code)) => {
                ErrorKind::Unavailable
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Database,
        };
        let message = match &error {
            sqlx::Error::Database(database) => format!(
                "the database refused a statement (code {})",
                database.code().as_deref().unwrap_or("unknown")
            ),
            sqlx::Error::PoolTimedOut => "no database connection became free in time".to_owned(),
            sqlx::Error::Io(_) => "the connection to the database failed".to_owned(),
            _ => "the database operation failed".to_owned(),
        };
        Self::new(kind, message).with_source(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(_: serde_json::Error) -> Self {
        // The parser's message can quote the text, so it is not kept.
        Self::new(ErrorKind::Database, "a stored document is not valid JSON")
    }
}

/// PostgreSQL: classes 08 (connection), 40 (rollback, deadlock), 53 (resources), 57 (operator intervention),
/// 55P03 (lock not available). SQLite: BUSY 5, LOCKED 6, NOMEM 7, READONLY 8, IOERR 10, FULL 13, CANTOPEN 14,
/// also in the low byte of an extended code.
fn is_transient(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03";
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 8 | 10 | 13 | 14))
}
