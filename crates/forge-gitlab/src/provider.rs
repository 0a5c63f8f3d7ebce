//! The front door.

use std::sync::Arc;

use forge_core::{
    Capabilities, CredentialProvider, ForgeClient, ForgeKind, Instance, OAuthApp, OAuthFlow, Provider,
    Result, WebhookReceiver,
};
use forge_http::HttpClient;

use crate::{GitLabBuilder, GitLabWebhooks, client::Connection, oauth::GitLabOAuth};

/// What this adapter can do, for every client of it.
///
/// Pipelines have no attempts: a retried job runs again under the same pipeline id. The longest note is from docs
/// api/notes.md.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::NONE
    .with_oauth(true, true)
    .with_signed_deliveries(true)
    .with_token_deliveries()
    .with_hooks(true)
    .with_hook_deliveries(true)
    .with_namespace_hooks()
    .with_ci(false, true)
    .with_comments(true, true, true, 1_000_000)
    .with_issues()
    .with_status()
    .with_changes()
    .with_green_jobs()
    .with_test_reports()
    .with_ci_config()
    .with_files();

/// GitLab: gitlab.com, Self-Managed and Dedicated.
#[derive(Debug, Clone)]
pub struct GitLab {
    pub(crate) http: HttpClient,
}

impl GitLab {
    /// GitLab over `http`, which decides on timeouts, proxies and allowed networks.
    #[must_use]
    pub fn new(http: HttpClient) -> Self {
        Self { http }
    }

    /// As [`GitLab::new`], with settings.
    #[must_use]
    pub fn builder(http: HttpClient) -> GitLabBuilder {
        GitLabBuilder::new(http)
    }
}

impl Provider for GitLab {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITLAB
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn webhooks(&self) -> &dyn WebhookReceiver {
        &GitLabWebhooks
    }

    fn oauth(&self, instance: &Instance, app: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>> {
        Ok(Some(Box::new(GitLabOAuth::new(self.http.clone(), instance, app)?)))
    }

    fn connect(
        &self,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Arc<dyn ForgeClient>> {
        Ok(Arc::new(Connection::new(self.http.clone(), instance, credentials)?))
    }
}
