//! The front door.

use std::sync::Arc;

use forge_core::{
    Capabilities, CredentialProvider, Error, ErrorKind, ForgeClient, ForgeKind, Instance, OAuthApp,
    OAuthFlow, Provider, Result, WebhookReceiver,
};
use forge_http::HttpClient;
use url::Url;

use crate::{
    budget::Budgets,
    builder::GitFlicBuilder,
    client::{Connection, GitFlicClient},
    oauth::{GitFlicOAuth, Places},
    webhook::GitFlicWebhooks,
};

/// What this adapter can do. GitFlic documents no longest comment; this much is known to fit.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::NONE
    .with_oauth(false, true)
    .with_token_deliveries()
    .with_hooks(false)
    .with_ci(false, false)
    .with_comments(true, false, false, 10_000)
    .with_issues()
    .with_changes()
    .with_green_jobs()
    .with_ci_config()
    .with_files();

/// gitflic.ru allows 500 requests an hour (docs.gitflic.ru, api/intro); others use the same token's share too.
const CLOUD_REQUESTS_PER_HOUR: u32 = 400;

/// GitFlic: gitflic.ru and self-hosted.
#[derive(Debug, Clone)]
pub struct GitFlic {
    settings: GitFlicBuilder,
    budgets: Arc<Budgets>,
}

impl GitFlic {
    /// GitFlic over `http`, with the defaults of [`GitFlic::builder`].
    #[must_use]
    pub fn new(http: HttpClient) -> Self {
        Self::builder(http).build()
    }

    /// GitFlic over `http`, to be adjusted.
    pub fn builder(http: HttpClient) -> GitFlicBuilder {
        GitFlicBuilder::new(http)
    }

    pub(crate) fn from_builder(settings: GitFlicBuilder) -> Self {
        Self { settings, budgets: Arc::default() }
    }
}

impl Provider for GitFlic {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITFLIC
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn webhooks(&self) -> &dyn WebhookReceiver {
        &GitFlicWebhooks
    }

    fn oauth(&self, instance: &Instance, app: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>> {
        let settings = &self.settings;
        let places = oauth_places(instance)?;
        Ok(Some(Box::new(GitFlicOAuth::new(&settings.http, places, app, settings.clock))))
    }

    fn connect(
        &self,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Arc<dyn ForgeClient>> {
        let settings = &self.settings;
        let default_limit = is_cloud(instance)?.then_some(CLOUD_REQUESTS_PER_HOUR);
        let connection = Connection {
            http: settings.http.clone(),
            base_url: instance.base_url().clone(),
            api_url: api_url(instance)?,
            clock: settings.clock,
            requests_per_hour: settings.requests_per_hour.unwrap_or(default_limit),
            budgets: Arc::clone(&self.budgets),
            subscribes_warnings: settings.subscribes_warnings,
        };
        Ok(Arc::new(GitFlicClient::new(connection, credentials)))
    }
}

fn is_cloud(instance: &Instance) -> Result<bool> {
    let base = instance.base_url();
    match base.host_str().unwrap_or_default() {
        "gitflic.ru" | "www.gitflic.ru" if base.path().trim_matches('/').is_empty() => Ok(true),
        // Somebody pasted the address of a project.
        "gitflic.ru" | "www.gitflic.ru" => Err(wrong_base("has a path")),
        "api.gitflic.ru" | "oauth.gitflic.ru" => Err(wrong_base("is the address of the API")),
        _ => Ok(false),
    }
}

/// docs.gitflic.ru, api/intro: `api.gitflic.ru` without a path, `/rest-api` on servers.
fn api_url(instance: &Instance) -> Result<Url> {
    if let Some(url) = instance.api_base_url() {
        return Ok(url.clone());
    }
    if is_cloud(instance)? {
        return fixed("https://api.gitflic.ru");
    }
    append(instance.base_url(), "rest-api")
}

/// Where OAuth lives: the authorize page below `oauth/`, the tokens below `api/token/`.
///
/// The second is documented for the cloud only, so a server is asked below `oauth/` too. An override may be given with
/// or without `oauth` at its end.
fn oauth_places(instance: &Instance) -> Result<Places> {
    let is_known_cloud = is_cloud(instance)? && instance.oauth_base_url().is_none();
    let root = match instance.oauth_base_url() {
        Some(url) => url.clone(),
        None if is_known_cloud => fixed("https://oauth.gitflic.ru")?,
        None => instance.base_url().clone(),
    };
    let path = root.path().trim_end_matches('/').to_owned();
    let root = match path.strip_suffix("/oauth") {
        Some(parent) => {
            let mut above = root.clone();
            above.set_path(parent);
            above
        }
        None => root,
    };
    Ok(Places { authorize: append(&root, "oauth/authorize")?, root, is_known_cloud })
}

fn fixed(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| wrong_base("is not a host").with_source(error))
}

fn append(base: &Url, path: &str) -> Result<Url> {
    forge_core::url::append(base, path).map_err(|error| wrong_base("cannot be extended").with_source(error))
}

fn wrong_base(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the base URL {problem}"))
        .with_forge(ForgeKind::GITFLIC)
        .with_hint("give https://gitflic.ru, or the address of your own GitFlic as in the browser")
}
