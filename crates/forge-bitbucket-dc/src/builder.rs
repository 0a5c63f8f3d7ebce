//! Adjusting the adapter.

use std::sync::Arc;

use forge_http::HttpClient;

use crate::{
    log_source::{LogSource, LogSources},
    provider::{BitbucketDc, Settings},
};

/// Makes a [`BitbucketDc`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct BitbucketDcBuilder {
    http: HttpClient,
    log_sources: Vec<LogSource>,
    shared_log_sources: Option<LogSources>,
    projects: Vec<String>,
    has_insights: bool,
}

impl BitbucketDcBuilder {
    pub(crate) fn new(http: HttpClient) -> Self {
        Self {
            http,
            log_sources: Vec::new(),
            shared_log_sources: None,
            projects: Vec::new(),
            has_insights: true,
        }
    }

    /// Reads logs from this CI server too. A build whose address lies at none of the log sources has no log here.
    pub fn with_log_source(mut self, source: LogSource) -> Self {
        self.log_sources.push(source);
        self
    }

    /// Reads logs from the CI servers of this list, which can be replaced while the adapter is in use. What
    /// [`BitbucketDcBuilder::with_log_source`] was given does not count then.
    pub fn with_log_sources(mut self, sources: &LogSources) -> Self {
        self.shared_log_sources = Some(sources.clone());
        self
    }

    /// Lists the repositories of these projects only (`KEY` or `~user`), in place of all that the credential sees.
    pub fn with_projects<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.projects.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Whether a status of success or failure comes with a Code Insights report of the same key; on unless set.
    pub fn with_code_insights(mut self, is_on: bool) -> Self {
        self.has_insights = is_on;
        self
    }

    /// The adapter.
    #[must_use]
    pub fn build(self) -> BitbucketDc {
        let log_sources = self.shared_log_sources.unwrap_or_else(|| {
            let sources = LogSources::new(&self.http);
            sources.replace(self.log_sources);
            sources
        });
        let settings = Settings { log_sources, projects: self.projects, has_insights: self.has_insights };
        BitbucketDc::from_parts(self.http, Arc::new(settings))
    }
}
