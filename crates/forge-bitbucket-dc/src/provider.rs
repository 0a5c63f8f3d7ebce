//! The front door.

use std::sync::Arc;

use forge_core::{
    Capabilities, CredentialProvider, Error, ErrorKind, ForgeClient, ForgeKind, Instance, OAuthApp,
    OAuthFlow, Provider, Result, WebhookReceiver,
};
use forge_http::HttpClient;
use url::Url;

use crate::{
    builder::BitbucketDcBuilder, client::DcClient, log_source::LogSources, oauth::DcOAuth,
    webhook::BitbucketDcWebhooks,
};

/// What this adapter can do. A comment may have 32,768 characters; the rest is room for what a database counts
/// otherwise.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::NONE
    .with_oauth(true, true)
    .with_signed_deliveries(false)
    .with_hooks(true)
    .with_ci(false, false)
    .with_unannounced_runs()
    .with_comments(true, true, true, 30_000)
    .with_status()
    .with_namespace_hooks()
    .with_changes()
    .with_green_jobs()
    .with_files();

/// Bitbucket Data Center, formerly Bitbucket Server, from 7.6 on.
#[derive(Debug, Clone)]
pub struct BitbucketDc {
    http: HttpClient,
    settings: Arc<Settings>,
}

/// What all clients of one adapter share.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) log_sources: LogSources,
    pub(crate) projects: Vec<String>,
    pub(crate) has_insights: bool,
}

impl BitbucketDc {
    /// Bitbucket Data Center over `http`, with the defaults of [`BitbucketDc::builder`]: without log sources.
    #[must_use]
    pub fn new(http: HttpClient) -> Self {
        Self::builder(http).build()
    }

    /// Bitbucket Data Center over `http`, to be adjusted.
    pub fn builder(http: HttpClient) -> BitbucketDcBuilder {
        BitbucketDcBuilder::new(http)
    }

    pub(crate) fn from_parts(http: HttpClient, settings: Arc<Settings>) -> Self {
        Self { http, settings }
    }
}

impl Provider for BitbucketDc {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_DC
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn webhooks(&self) -> &dyn WebhookReceiver {
        &BitbucketDcWebhooks
    }

    fn oauth(&self, instance: &Instance, app: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>> {
        let root = match instance.oauth_base_url() {
            Some(url) => url.clone(),
            None => append(&rest_url(instance)?, "oauth2/latest")?,
        };
        Ok(Some(Box::new(DcOAuth::new(self.http.clone(), &root, app)?)))
    }

    fn connect(
        &self,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Arc<dyn ForgeClient>> {
        let rest = rest_url(instance)?;
        let settings = Arc::clone(&self.settings);
        Ok(Arc::new(DcClient::new(
            self.http.clone(),
            instance.base_url().clone(),
            rest,
            credentials,
            settings,
        )))
    }
}

/// `{base}/rest`; a context path such as `/bitbucket` stays.
fn rest_url(instance: &Instance) -> Result<Url> {
    match instance.api_base_url() {
        Some(url) => Ok(url.clone()),
        None if instance.base_url().host_str() == Some("bitbucket.org") => {
            Err(wrong_base("is that of Bitbucket Cloud, which is another product"))
        }
        None => append(instance.base_url(), "rest"),
    }
}

pub(crate) fn append(base: &Url, path: &str) -> Result<Url> {
    forge_core::url::append(base, path).map_err(|error| wrong_base("cannot be extended").with_source(error))
}

fn wrong_base(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the base URL {problem}"))
        .with_forge(ForgeKind::BITBUCKET_DC)
        .with_hint("give the address of the server as in the browser, with its context path if it has one")
}
