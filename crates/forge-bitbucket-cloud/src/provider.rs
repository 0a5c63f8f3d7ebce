//! The front door.

use std::sync::Arc;

use forge_core::{
    Capabilities, CredentialProvider, Error, ErrorKind, ForgeClient, ForgeKind, Instance, OAuthApp,
    OAuthFlow, Provider, Result, WebhookReceiver,
};
use forge_http::HttpClient;
use url::Url;

use crate::{
    client::BitbucketCloudClient, oauth::BitbucketCloudOAuth, scopes, webhook::BitbucketCloudWebhooks,
};

/// What this adapter can do. A comment may have 32,768 characters; the rest is room for another way of counting.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::NONE
    .with_oauth(false, true)
    .with_signed_deliveries(false)
    .with_hooks(false)
    .with_ci(false, false)
    .with_comments(true, true, true, 30_000)
    .with_status()
    .with_changes()
    .with_green_jobs()
    .with_test_reports()
    .with_ci_config()
    .with_files();

/// Bitbucket Cloud at bitbucket.org.
///
/// The namespace of the instance, or a base URL such as `https://bitbucket.org/acme`, limits the listing of repositories
/// to the workspace `acme`, for access tokens, which cannot list workspaces.
#[derive(Debug, Clone)]
pub struct BitbucketCloud {
    http: HttpClient,
}

impl BitbucketCloud {
    /// Bitbucket Cloud over `http`.
    #[must_use]
    pub fn new(http: HttpClient) -> Self {
        Self { http }
    }

    /// What an `error` on the OAuth callback means. `invalid_scope` names the boxes to tick at the OAuth consumer.
    #[must_use]
    pub fn callback_error(code: &str) -> Error {
        scopes::callback_error(code)
    }

    /// What of the scopes that this product needs is not among `granted`, each with the box to tick at the OAuth
    /// consumer; for API tokens the plain names. An empty `granted` says nothing and gives nothing.
    #[must_use]
    pub fn missing_scopes(granted: &[String]) -> Vec<String> {
        scopes::missing(granted)
    }
}

impl Provider for BitbucketCloud {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_CLOUD
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn webhooks(&self) -> &dyn WebhookReceiver {
        &BitbucketCloudWebhooks
    }

    fn oauth(&self, instance: &Instance, app: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>> {
        let place = Place::of(instance)?;
        Ok(Some(Box::new(BitbucketCloudOAuth::new(self.http.clone(), &place.oauth, app)?)))
    }

    fn connect(
        &self,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Arc<dyn ForgeClient>> {
        Ok(Arc::new(BitbucketCloudClient::new(self.http.clone(), Place::of(instance)?, credentials)))
    }
}

/// The addresses that follow from an instance.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) web: Url,
    pub(crate) api: Url,
    oauth: Url,
    pub(crate) workspace: Option<String>,
}

impl Place {
    fn of(instance: &Instance) -> Result<Self> {
        let mut web = instance.base_url().clone();
        let is_cloud = match web.host_str().unwrap_or_default() {
            "bitbucket.org" | "www.bitbucket.org" => true,
            "api.bitbucket.org" => return Err(wrong_base("is the address of the API")),
            _ => false,
        };
        let mut workspace = instance.namespace().map(str::to_owned);
        if is_cloud {
            let path = web.path().trim_matches('/').to_owned();
            let path = path.strip_suffix("/workspace/overview").unwrap_or(&path);
            if path.contains('/') {
                return Err(wrong_base("is the address of a repository or page"));
            }
            workspace = workspace.or_else(|| (!path.is_empty()).then(|| path.to_owned()));
            web.set_path("");
        }
        let api = match instance.api_base_url() {
            Some(url) => url.clone(),
            None if is_cloud => {
                Url::parse("https://api.bitbucket.org/2.0").map_err(|_| wrong_base("is not a host"))?
            }
            None => append(&web, "2.0")?,
        };
        let oauth = match instance.oauth_base_url() {
            Some(url) if url.path().ends_with("/site/oauth2") => url.clone(),
            Some(url) => append(url, "site/oauth2")?,
            None => append(&web, "site/oauth2")?,
        };
        Ok(Self { web, api, oauth, workspace })
    }
}

pub(crate) fn append(base: &Url, path: &str) -> Result<Url> {
    forge_core::url::append(base, path).map_err(|error| wrong_base("cannot be extended").with_source(error))
}

fn wrong_base(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the base URL {problem}"))
        .with_forge(ForgeKind::BITBUCKET_CLOUD)
        .with_hint("give https://bitbucket.org, or https://bitbucket.org/<workspace> for an access token")
}
