//! The adapters of this build: the one place that names them all.

use std::sync::Arc;

use forge_core::{ForgeKind, Provider, WebhookReceiver};
use forge_http::HttpClient;

/// The forges that this build has an adapter for.
pub const KINDS: [ForgeKind; 2] = [ForgeKind::GITLAB, ForgeKind::GITHUB];

/// One provider per adapter, all over one HTTP client.
#[must_use]
pub fn all(http: &HttpClient) -> Vec<Arc<dyn Provider>> {
    vec![Arc::new(forge_gitlab::GitLab::new(http.clone())), Arc::new(forge_github::GitHub::new(http.clone()))]
}

/// The receiving side alone, which needs no HTTP client.
#[must_use]
pub fn receiver(kind: ForgeKind) -> Option<&'static dyn WebhookReceiver> {
    match kind {
        ForgeKind::GITLAB => Some(&forge_gitlab::GitLabWebhooks),
        ForgeKind::GITHUB => Some(&forge_github::GitHubWebhooks),
        _ => None,
    }
}
