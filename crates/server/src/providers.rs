//! The adapters of this build: the one place that names them all.

use std::sync::Arc;

use forge_core::{ForgeKind, Provider, WebhookReceiver};
use forge_http::HttpClient;
use rca_flow::{
    settings::{LogSource, LogSourceAdapter},
    types::LogSourceKind,
};

/// The forges that this build has an adapter for.
pub const KINDS: [ForgeKind; 5] = [
    ForgeKind::GITLAB,
    ForgeKind::GITHUB,
    ForgeKind::BITBUCKET_CLOUD,
    ForgeKind::BITBUCKET_DC,
    ForgeKind::GITFLIC,
];

/// One provider per adapter, all over one HTTP client. `log_sources` are where logs lie of forges that have no CI.
///
/// # Errors
/// When a log source has an address that cannot be one.
pub fn all(
    http: &HttpClient,
    log_sources: &[LogSource],
) -> Result<Vec<Arc<dyn Provider>>, forge_core::Error> {
    Ok(vec![
        Arc::new(forge_gitlab::GitLab::new(http.clone())),
        Arc::new(forge_github::GitHub::new(http.clone())),
        Arc::new(forge_bitbucket_cloud::BitbucketCloud::new(http.clone())),
        WithLogSources::new(http, log_sources).provider(&[])?,
        Arc::new(forge_gitflic::GitFlic::new(http.clone())),
    ])
}

/// Bitbucket Data Center with log sources: those of the operator serve every workspace, those of a workspace its own.
#[derive(Debug)]
pub(crate) struct WithLogSources {
    http: HttpClient,
    operators: Vec<LogSource>,
}

impl WithLogSources {
    pub(crate) fn new(http: &HttpClient, operators: &[LogSource]) -> Self {
        Self { http: http.clone(), operators: operators.to_vec() }
    }
}

impl LogSourceAdapter for WithLogSources {
    fn forge(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_DC
    }

    fn check(&self, source: &LogSource) -> forge_core::Result<()> {
        self.http.check_url(&source.base_url)?;
        log_source(source).map(|_| ())
    }

    fn provider(&self, sources: &[LogSource]) -> forge_core::Result<Arc<dyn Provider>> {
        let mut builder = forge_bitbucket_dc::BitbucketDc::builder(self.http.clone());
        // The first that fits is asked: what a workspace has set goes before what the operator has.
        for source in sources.iter().chain(&self.operators) {
            builder = builder.with_log_source(log_source(source)?);
        }
        Ok(Arc::new(builder.build()))
    }
}

fn log_source(source: &LogSource) -> forge_core::Result<forge_bitbucket_dc::LogSource> {
    let kind = match source.kind {
        LogSourceKind::Jenkins => forge_bitbucket_dc::LogSourceKind::Jenkins,
        LogSourceKind::Bamboo => forge_bitbucket_dc::LogSourceKind::Bamboo,
        LogSourceKind::TeamCity => forge_bitbucket_dc::LogSourceKind::TeamCity,
    };
    let made = forge_bitbucket_dc::LogSource::new(kind, source.base_url.as_str(), source.token.clone())?;
    Ok(match &source.username {
        Some(username) => made.with_username(username.clone()),
        None => made,
    })
}

/// The receiving side alone, which needs no HTTP client.
#[must_use]
pub fn receiver(kind: ForgeKind) -> Option<&'static dyn WebhookReceiver> {
    match kind {
        ForgeKind::GITLAB => Some(&forge_gitlab::GitLabWebhooks),
        ForgeKind::GITHUB => Some(&forge_github::GitHubWebhooks),
        ForgeKind::BITBUCKET_CLOUD => Some(&forge_bitbucket_cloud::BitbucketCloudWebhooks),
        ForgeKind::BITBUCKET_DC => Some(&forge_bitbucket_dc::BitbucketDcWebhooks),
        ForgeKind::GITFLIC => Some(&forge_gitflic::GitFlicWebhooks),
        _ => None,
    }
}
