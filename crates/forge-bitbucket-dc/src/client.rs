//! One credential at one installation.

#![expect(clippy::disallowed_methods, reason = "the token goes into the Authorization header")]

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{
    BoxStream, Capabilities, Ci, Credential, CredentialProvider, Error, ErrorKind, Facts, Feedback,
    ForgeClient, ForgeKind, Hooks, Repos, Result,
    model::{Account, Identity, RepoRef},
};
use forge_http::{Answer, ApiClient, Dialect, HttpClient, Next, RateLimit, Request, Response, pages};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    error,
    provider::{CAPABILITIES, Settings},
    version::Version,
    wire,
};

/// Personal projects are called `~user`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The client that [`crate::BitbucketDc`] hands out; implements every facet.
#[derive(Debug, Clone)]
pub(crate) struct DcClient {
    pub(crate) base_url: Url,
    pub(crate) api: ApiClient,
    pub(crate) settings: Arc<Settings>,
    known: Arc<Known>,
}

/// What answers have told on the way.
#[derive(Debug, Default)]
struct Known {
    user_name: OnceLock<String>,
    version: OnceLock<Option<Version>>,
    events: OnceLock<Option<Vec<String>>>,
}

impl DcClient {
    pub(crate) fn new(
        http: HttpClient,
        base_url: Url,
        rest_url: Url,
        credentials: Arc<dyn CredentialProvider>,
        settings: Arc<Settings>,
    ) -> Self {
        let api = ApiClient::new(http, rest_url, credentials, Arc::new(DcDialect));
        Self { base_url, api, settings, known: Arc::default() }
    }

    /// Sends `request` and remembers what the answer tells of the user.
    pub(crate) async fn send(&self, request: Request) -> Result<Response> {
        let response = request.send().await?;
        self.note_user(&response);
        Ok(response)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, operation: String) -> Result<T> {
        self.send(self.api.get(path).operation(operation)).await?.json()
    }

    /// All items of a paged list, read as the stream is.
    ///
    /// The next page begins at `nextPageStart`, never at `start` plus `limit`: pages are filtered after they are cut
    /// (Bitbucket REST docs, "Paged APIs").
    pub(crate) fn list<T>(
        &self,
        path: Result<String>,
        query: &[(&str, &str)],
        operation: String,
    ) -> BoxStream<'static, Result<T>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let path = match path {
            Ok(path) => path,
            Err(error) => return stream::once(async move { Err(error.with_operation(operation)) }).boxed(),
        };
        let first = self.api.get(&path).query(query).operation(&operation);
        let query: Vec<(String, String)> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let client = self.clone();
        pages(first, self.api.clone(), move |response| {
            client.note_user(response);
            let page: wire::Page<T> = response.json()?;
            let next = page.next_page_start.filter(|_| page.is_last_page != Some(true)).map(|start| {
                let start = start.to_string();
                let pairs = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let pairs: Vec<(&str, &str)> = pairs.chain([("start", start.as_str())]).collect();
                Next::Request(client.api.get(&path).query(&pairs).operation(&operation))
            });
            Ok((page.values, next))
        })
    }

    /// The user that the credential belongs to, as far as an answer has told.
    pub(crate) fn user_name(&self) -> Option<&str> {
        self.known.user_name.get().map(String::as_str)
    }

    fn note_user(&self, response: &Response) {
        if self.known.user_name.get().is_none()
            && let Some(name) = error::user_name(response.headers())
        {
            // Somebody else may have been quicker, with the same name.
            let _ = self.known.user_name.set(name);
        }
    }

    /// The server's version; `None` where it does not say or says something else.
    pub(crate) async fn version(&self) -> Result<Option<Version>> {
        if let Some(version) = self.known.version.get() {
            return Ok(*version);
        }
        let text = self.version_text().await?;
        let version = text.as_deref().and_then(Version::parse);
        Ok(*self.known.version.get_or_init(|| version))
    }

    async fn version_text(&self) -> Result<Option<String>> {
        let operation = "read the server's version".to_owned();
        match self.get::<wire::Properties>("api/1.0/application-properties", operation).await {
            Ok(properties) => Ok(properties.version),
            Err(error) if error::is_absent(&error) || error.kind() == ErrorKind::Forbidden => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The events that hooks can be subscribed to; `None` where the server does not tell.
    ///
    /// The address is not taken from `/rest/capabilities`: behind a proxy that names the server otherwise, that one
    /// leads elsewhere.
    pub(crate) async fn webhook_events(&self) -> Result<Option<Vec<String>>> {
        if let Some(events) = self.known.events.get() {
            return Ok(events.clone());
        }
        let operation = "read the server's webhook events".to_owned();
        let events =
            match self.get::<wire::WebhookCapabilities>("webhooks/latest/capabilities", operation).await {
                Ok(capabilities) => Some(capabilities.events).filter(|events| !events.is_empty()),
                Err(error)
                    if error::is_absent(&error)
                        || matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::UnexpectedResponse) =>
                {
                    None
                }
                Err(error) => return Err(error),
            };
        Ok(self.known.events.get_or_init(|| events).clone())
    }
}

#[async_trait]
impl ForgeClient for DcClient {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_DC
    }

    fn base_url(&self) -> &Url {
        &self.base_url
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    /// Bitbucket tells neither scopes nor expiry. Its version it tells to everybody, so a list shows whether the token
    /// is good.
    async fn whoami(&self) -> Result<Identity> {
        let operation = "check the token";
        let request = self.api.get("api/1.0/repos").query(&[("permission", "REPO_READ"), ("limit", "1")]);
        let response = self.send(request.operation(operation)).await?;
        response.json::<wire::Page<wire::Repository>>()?;
        let Some(name) = self.name_of(&response).await? else {
            return Err(Error::new(ErrorKind::Unauthorized, "the server takes the token for nobody's")
                .with_forge(ForgeKind::BITBUCKET_DC)
                .with_operation(operation)
                .with_hint(
                    "the token is expired, revoked or mistyped, or a proxy removes the header X-AUSERNAME from \
                     the server's answers",
                ));
        };
        let version = self.version_text().await?;
        if let Some(parsed) = version.as_deref().and_then(Version::parse)
            && parsed < Version::MINIMUM
        {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("Bitbucket {}.{} is too old", parsed.0, parsed.1),
            )
            .with_forge(ForgeKind::BITBUCKET_DC)
            .with_operation(operation)
            .with_hint("7.6 is the oldest that is supported: upgrade, or send logs by the ingest API"));
        }
        let mut identity = Identity::new(self.account(name).await?);
        identity.server_version = version;
        Ok(identity)
    }

    fn repos(&self) -> &dyn Repos {
        self
    }

    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(self)
    }

    fn namespace_hooks(&self) -> Option<&dyn Hooks> {
        Some(self)
    }

    fn ci(&self) -> Option<&dyn Ci> {
        Some(self)
    }

    fn feedback(&self) -> Option<&dyn Feedback> {
        Some(self)
    }

    fn facts(&self) -> Option<&dyn Facts> {
        Some(self)
    }
}

impl DcClient {
    /// Whom the server takes the token for; `None` when for nobody. A token of a project or repository belongs to no
    /// person, so that its header may be missing: it is good when it may write to anything, which nobody may unnamed.
    async fn name_of(&self, response: &Response) -> Result<Option<String>> {
        if let Some(name) = error::user_name(response.headers()) {
            return Ok(Some(name));
        }
        let request = self.api.get("api/1.0/repos").query(&[("permission", "REPO_WRITE"), ("limit", "1")]);
        let request = request.operation("check what the token may write to");
        let writable: wire::Page<wire::Repository> = self.send(request).await?.json()?;
        Ok((!writable.values.is_empty()).then(|| "access-token".to_owned()))
    }

    /// Looked up by slug, which is the name in lower case but for rare characters. Tokens of projects and repositories
    /// belong to users that cannot be looked up: the name has to do for those.
    async fn account(&self, name: String) -> Result<Account> {
        if self.user_name().is_none() {
            return Ok(Account::new(name.clone(), name));
        }
        let path = format!("api/1.0/users/{}", segment(&name.to_lowercase())?);
        match self.get::<wire::User>(&path, "read the token's user".to_owned()).await {
            Ok(user) => {
                let mut account =
                    Account::new(user.id.map_or_else(|| name.clone(), |id| id.to_string()), name);
                account.display_name = user.display_name.filter(|name| !name.is_empty());
                Ok(account)
            }
            Err(error) if error::is_absent(&error) || error.kind() == ErrorKind::Forbidden => {
                Ok(Account::new(name.clone(), name))
            }
            Err(error) => Err(error),
        }
    }
}

/// `text` as one segment of a path.
///
/// # Errors
/// When it is empty or a dot segment, which would lead to another path.
pub(crate) fn segment(text: &str) -> Result<String> {
    if matches!(text, "" | "." | "..") {
        return Err(Error::new(ErrorKind::InvalidInput, "an empty or dotted name cannot stand in a path")
            .with_forge(ForgeKind::BITBUCKET_DC));
    }
    Ok(utf8_percent_encode(text, SEGMENT).to_string())
}

/// `projects/<KEY>/repos/<slug>`, below the version of each API.
pub(crate) fn repo_place(repo: &RepoRef) -> Result<String> {
    let Some((project, slug)) = repo.full_name.split_once('/') else {
        return Err(Error::new(ErrorKind::InvalidInput, "the repository's name is not of the form KEY/slug")
            .with_forge(ForgeKind::BITBUCKET_DC)
            .with_hint("Bitbucket finds repositories by project key and slug only"));
    };
    Ok(format!("projects/{}/repos/{}", segment(project)?, segment(slug)?))
}

pub(crate) fn repo_path(repo: &RepoRef) -> Result<String> {
    Ok(format!("api/1.0/{}", repo_place(repo)?))
}

/// What a person calls the repository.
pub(crate) fn shown(repo: &RepoRef) -> &str {
    if repo.full_name.is_empty() { &repo.id } else { &repo.full_name }
}

#[derive(Debug)]
pub(crate) struct DcDialect;

impl Dialect for DcDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_DC
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        // Atlassian, "Form token handling": without it changes are taken for forged ones of a browser.
        headers.insert("x-atlassian-token", HeaderValue::from_static("no-check"));
        headers
    }

    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let secret = credential.secret().expose_secret();
        let text = match credential.user() {
            Some(user) => format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))),
            None => format!("Bearer {secret}"),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the token holds characters that no token has")
                .with_forge(ForgeKind::BITBUCKET_DC)
                .with_hint("copy the token again, without line breaks")
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        error::classify(answer)
    }

    /// Nothing is told beforehand: a token bucket per user and node, and 429 when it is empty.
    fn rate_limit(&self, _headers: &HeaderMap, _now: Timestamp) -> Option<RateLimit> {
        None
    }
}
