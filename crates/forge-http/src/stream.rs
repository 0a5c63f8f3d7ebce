//! Answers whose body is read as it arrives.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use forge_core::{Error, ErrorKind, ForgeKind, LogStream, Result, url::SafeUrl};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::client::transport_error;

/// An answer of which only the headers have been read.
pub struct StreamResponse {
    response: reqwest::Response,
    url: Url,
    max_bytes: u64,
    deadline: Instant,
    forge: ForgeKind,
    operation: Option<String>,
}

impl StreamResponse {
    pub(crate) fn new(
        response: reqwest::Response,
        url: Url,
        max_bytes: u64,
        deadline: Instant,
        forge: ForgeKind,
        operation: Option<String>,
    ) -> Self {
        Self { response, url, max_bytes, deadline, forge, operation }
    }

    /// The status; may be that of a redirect.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The address that answered: the last one, where redirects were followed.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The body as a log: cut at the limit, ended by an error when it breaks off, stalls or takes too long.
    #[must_use]
    pub fn into_log(self) -> LogStream {
        let truncated = Arc::new(AtomicBool::new(false));
        let state = Some((self, Arc::clone(&truncated), 0_u64));
        let bytes = stream::unfold(state, |state| async {
            let (mut open, truncated, read) = state?;
            match open.next_chunk().await {
                Ok(None) => None,
                Ok(Some(mut chunk)) => {
                    let room = open.max_bytes - read;
                    let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                    if length > room {
                        truncated.store(true, Ordering::Release);
                        chunk.truncate(usize::try_from(room).unwrap_or(usize::MAX));
                        return (!chunk.is_empty()).then_some((Ok(chunk), None));
                    }
                    Some((Ok(chunk), Some((open, truncated, read + length))))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        LogStream { bytes: bytes.boxed(), truncated }
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = match timeout_at(self.deadline, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|cause| transport_error(cause, &self.url)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "the stream takes too long")),
        };
        chunk.map_err(|error| {
            let error = error.with_forge(self.forge);
            match &self.operation {
                Some(operation) => error.with_operation(operation.clone()),
                None => error,
            }
        })
    }
}

impl fmt::Debug for StreamResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamResponse")
            .field("status", &self.response.status())
            .field("url", &SafeUrl(&self.url))
            .finish_non_exhaustive()
    }
}
