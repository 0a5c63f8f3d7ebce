//! The front door.

use std::sync::Arc;

use forge_core::{
    AppKey, AppSetup, Capabilities, CredentialProvider, Error, ErrorKind, ForgeClient, ForgeKind, Instance,
    OAuthApp, OAuthFlow, Provider, Result, WebhookReceiver,
};
use forge_http::HttpClient;
use url::Url;

use crate::{
    app::{InstallationTokens, ManifestSetup},
    builder::GitHubBuilder,
    client::GitHubClient,
    oauth::GitHubOAuth,
    webhook::GitHubWebhooks,
};

/// What this adapter can do. A comment may have 65,536 characters, but GitHub counts those outside of the basic plane
/// otherwise; the rest is room for that.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::NONE
    .with_oauth(true, true)
    .with_signed_deliveries(false)
    .with_hooks(true)
    .with_ci(true, false)
    .with_comments(true, true, true, 60_000)
    .with_issues()
    .with_status()
    .with_apps()
    .with_hook_deliveries(true)
    .with_changes()
    .with_green_jobs()
    .with_annotations()
    .with_ci_config()
    .with_files();

/// GitHub: github.com, GHE.com and Enterprise Server.
#[derive(Debug, Clone)]
pub struct GitHub {
    http: HttpClient,
    is_pkce_everywhere: bool,
}

impl GitHub {
    /// GitHub over `http`, with the defaults of [`GitHub::builder`].
    #[must_use]
    pub fn new(http: HttpClient) -> Self {
        Self::builder(http).build()
    }

    /// GitHub over `http`, to be adjusted.
    pub fn builder(http: HttpClient) -> GitHubBuilder {
        GitHubBuilder::new(http)
    }

    pub(crate) fn from_parts(http: HttpClient, is_pkce_everywhere: bool) -> Self {
        Self { http, is_pkce_everywhere }
    }
}

impl Provider for GitHub {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITHUB
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn webhooks(&self) -> &dyn WebhookReceiver {
        &GitHubWebhooks
    }

    fn oauth(&self, instance: &Instance, app: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>> {
        let has_pkce = self.is_pkce_everywhere || Site::of(instance)? != Site::Server;
        let flow =
            GitHubOAuth::new(self.http.clone(), oauth_url(instance)?, api_url(instance)?, app, has_pkce)?;
        Ok(Some(Box::new(flow)))
    }

    fn connect(
        &self,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Arc<dyn ForgeClient>> {
        let api = api_url(instance)?;
        Ok(Arc::new(GitHubClient::new(self.http.clone(), instance.base_url().clone(), api, credentials)))
    }

    fn app_setup(&self, instance: &Instance) -> Result<Option<Box<dyn AppSetup>>> {
        let api = api_url(instance)?;
        Ok(Some(Box::new(ManifestSetup::new(self.http.clone(), instance.base_url().clone(), api))))
    }

    fn installation(&self, instance: &Instance, key: &AppKey) -> Result<Arc<dyn CredentialProvider>> {
        Ok(Arc::new(InstallationTokens::new(self.http.clone(), api_url(instance)?, key)?))
    }
}

/// Which of GitHub's products lives at a web address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// github.com.
    DotCom,
    /// GHE.com, one sub-domain per customer.
    DataResidency,
    /// Enterprise Server.
    Server,
}

impl Site {
    fn of(instance: &Instance) -> Result<Self> {
        let base = instance.base_url();
        let host = base.host_str().unwrap_or_default();
        let site = match host {
            "github.com" | "www.github.com" => Self::DotCom,
            "api.github.com" => return Err(wrong_base("is the address of the API")),
            "ghe.com" | "api.ghe.com" => return Err(wrong_base("names no customer")),
            _ if host.ends_with(".ghe.com") => Self::DataResidency,
            _ => Self::Server,
        };
        // Somebody pasted the address of an organisation or repository.
        if site != Self::Server && !base.path().trim_matches('/').is_empty() {
            return Err(wrong_base("has a path"));
        }
        Ok(site)
    }
}

/// GitHub docs, rest/using-the-rest-api/getting-started: `api.` before the host, and on Enterprise Server `/api/v3`.
fn api_url(instance: &Instance) -> Result<Url> {
    if let Some(url) = instance.api_base_url() {
        return Ok(url.clone());
    }
    let host = instance.base_url().host_str().unwrap_or_default();
    let text = match Site::of(instance)? {
        Site::DotCom => "https://api.github.com".to_owned(),
        Site::DataResidency => format!("https://api.{host}"),
        Site::Server => return append(instance.base_url(), "api/v3"),
    };
    Url::parse(&text).map_err(|error| wrong_base("is not a host").with_source(error))
}

/// The address under which `authorize` and `access_token` lie.
fn oauth_url(instance: &Instance) -> Result<Url> {
    let root = match instance.oauth_base_url() {
        Some(url) if url.path().ends_with("/login/oauth") => return Ok(url.clone()),
        Some(url) => url,
        None => {
            Site::of(instance)?;
            instance.base_url()
        }
    };
    append(root, "login/oauth")
}

pub(crate) fn append(base: &Url, path: &str) -> Result<Url> {
    forge_core::url::append(base, path).map_err(|error| wrong_base("cannot be extended").with_source(error))
}

fn wrong_base(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the base URL {problem}"))
        .with_forge(ForgeKind::GITHUB)
        .with_hint(
            "give https://github.com, https://<customer>.ghe.com, or the address of the Enterprise Server",
        )
}
