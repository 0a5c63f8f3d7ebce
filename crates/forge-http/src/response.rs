//! Good answers.

use std::fmt;

use bytes::Bytes;
use forge_core::{Error, ErrorKind, ForgeKind, Result, url::SafeUrl};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use crate::dialect;

/// A good answer, read to its end.
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) body: Bytes,
    pub(crate) forge: ForgeKind,
    pub(crate) operation: Option<String>,
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The address that was asked.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body as text, with what is not UTF-8 replaced.
    #[must_use]
    pub fn text_lossy(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedResponse`], which tells the place of the fault but nothing of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|fault| {
            // The parser's own text may quote the body.
            let what = if dialect::is_html(&self.headers, &self.body) {
                "the answer is a web page, not JSON".to_owned()
            } else {
                let kind = match fault.classify() {
                    serde_json::error::Category::Eof => "ends too early",
                    serde_json::error::Category::Data => "has other fields or types than documented",
                    _ => "is not JSON",
                };
                format!("the answer {kind} (line {}, column {})", fault.line(), fault.column())
            };
            let error = self.unexpected(what);
            if dialect::is_html(&self.headers, &self.body) {
                error.with_hint("check the base URL, and whether a proxy or login page stands before the API")
            } else {
                error
            }
        })
    }

    /// An [`ErrorKind::UnexpectedResponse`] about this answer, for parsers.
    #[must_use]
    pub fn unexpected(&self, message: impl Into<String>) -> Error {
        let error = Error::new(ErrorKind::UnexpectedResponse, message)
            .with_forge(self.forge)
            .with_status(self.status.as_u16());
        match &self.operation {
            Some(operation) => error.with_operation(operation.clone()),
            None => error,
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Response")
            .field("status", &self.status)
            .field("url", &SafeUrl(&self.url))
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
