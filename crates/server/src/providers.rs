//! The adapters of this build: the one place that names them all.

use std::sync::Arc;

use forge_core::{ForgeKind, Provider, WebhookReceiver};
use forge_http::HttpClient;

use crate::config::{LogSource, LogSourceKind};

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
    let mut bitbucket_dc = forge_bitbucket_dc::BitbucketDc::builder(http.clone());
    for source in log_sources {
        let kind = match source.kind {
            LogSourceKind::Jenkins => forge_bitbucket_dc::LogSourceKind::Jenkins,
            LogSourceKind::Bamboo => forge_bitbucket_dc::LogSourceKind::Bamboo,
            LogSourceKind::TeamCity => forge_bitbucket_dc::LogSourceKind::TeamCity,
        };
        let connected =
            forge_bitbucket_dc::LogSource::new(kind, source.base_url.as_str(), source.token.clone())?;
        bitbucket_dc = bitbucket_dc.with_log_source(match &source.username {
            Some(username) => connected.with_username(username.clone()),
            None => connected,
        });
    }
    Ok(vec![
        Arc::new(forge_gitlab::GitLab::new(http.clone())),
        Arc::new(forge_github::GitHub::new(http.clone())),
        Arc::new(forge_bitbucket_cloud::BitbucketCloud::new(http.clone())),
        Arc::new(bitbucket_dc.build()),
        Arc::new(forge_gitflic::GitFlic::new(http.clone())),
    ])
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
