//! Adjusting the adapter.

use forge_http::HttpClient;
use jiff::tz::Offset;

use crate::{clock::Clock, provider::GitFlic};

/// Makes a [`GitFlic`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct GitFlicBuilder {
    pub(crate) http: HttpClient,
    pub(crate) clock: Clock,
    pub(crate) requests_per_hour: Option<Option<u32>>,
    pub(crate) subscribes_warnings: bool,
}

impl GitFlicBuilder {
    pub(crate) fn new(http: HttpClient) -> Self {
        Self { http, clock: Clock::MOSCOW, requests_per_hour: None, subscribes_warnings: false }
    }

    /// The zone of times that GitFlic prints without one; Moscow (UTC+3) unless set.
    ///
    /// A wrong zone costs nothing but wrong times: nothing is decided by them that the other reading would spoil.
    pub fn with_utc_offset(mut self, offset: Offset) -> Self {
        self.clock = Clock::new(offset);
        self
    }

    /// As many requests are sent within an hour with one token; then the client waits, or says when to come back.
    ///
    /// Unless set, 400 at gitflic.ru, whose limit is 500 and which does not say how many are left, and no limit
    /// elsewhere. All clients of one [`GitFlic`] and its clones count together, those of other processes do not.
    pub fn with_requests_per_hour(mut self, limit: Option<u32>) -> Self {
        self.requests_per_hour = Some(limit);
        self
    }

    /// Whether new hooks subscribe `PIPELINE_WARNING` too: pipelines that ended with failures that were allowed.
    ///
    /// Off unless set, because older versions do not know the event and may refuse the hook.
    pub fn with_warning_events(mut self, is_on: bool) -> Self {
        self.subscribes_warnings = is_on;
        self
    }

    /// The adapter.
    #[must_use]
    pub fn build(self) -> GitFlic {
        GitFlic::from_builder(self)
    }
}
