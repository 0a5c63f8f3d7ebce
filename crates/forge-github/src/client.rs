//! One credential at one installation.

#![expect(clippy::disallowed_methods, reason = "the token goes into the Authorization header")]

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{
    BoxStream, Capabilities, Ci, Credential, CredentialKind, CredentialProvider, Error, ErrorKind, Facts,
    Feedback, ForgeClient, ForgeKind, Hooks, Repos, Result,
    model::{Account, Identity, RepoRef},
};
use forge_http::{
    Answer, ApiClient, Dialect, HttpClient, Next, RateLimit, Request, Response, next_link, numbered_link,
    pages,
};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{error, provider::CAPABILITIES, wire};

/// The only version that every GitHub knows: Enterprise Server refuses newer ones.
const API_VERSION: &str = "2022-11-28";
/// Renamed repositories lead to their new place in one step, transferred and renamed ones in two.
const MAX_REDIRECTS: usize = 3;
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The client that [`crate::GitHub`] hands out; implements every facet.
#[derive(Debug, Clone)]
pub(crate) struct GitHubClient {
    base_url: Url,
    pub(crate) api: ApiClient,
    pub(crate) credentials: Arc<dyn CredentialProvider>,
    /// The login of the credential's user, once it was needed; `None` inside where it cannot be known.
    own_login: Arc<OnceLock<Option<String>>>,
}

/// A request that can be sent again at another address, after a redirect.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) operation: String,
}

impl GitHubClient {
    pub(crate) fn new(
        http: HttpClient,
        base_url: Url,
        api_url: Url,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Self {
        let api = ApiClient::new(http, api_url, Arc::clone(&credentials), Arc::new(GitHubDialect));
        Self { base_url, api, credentials, own_login: Arc::default() }
    }

    /// Sends `call`, also when the repository has moved.
    ///
    /// GitHub answers 301 (307 where the method must stay) with the address by id when a repository was renamed or
    /// transferred: rest/using-the-rest-api/best-practices, "Follow redirects".
    pub(crate) async fn send(&self, call: Call) -> Result<Response> {
        self.send_adjusted(call, |request| request).await
    }

    /// As [`GitHubClient::send`], with something else about each request.
    pub(crate) async fn send_adjusted<F>(&self, call: Call, adjust: F) -> Result<Response>
    where
        F: Fn(Request) -> Request + Send + Sync,
    {
        let mut request = adjust(self.request(&call, &call.path));
        for _ in 0..MAX_REDIRECTS {
            let response = request.send().await?;
            if !is_redirect(&response) {
                return Ok(response);
            }
            let target = redirect_target(&response)?;
            request = adjust(if call.method == Method::GET {
                allow_redirects(self.api.get_url(target).operation(&call.operation))
            } else {
                let path = self.path_of(&target).ok_or_else(|| {
                    response
                        .unexpected("GitHub redirects a change to an address outside of its API")
                        .with_hint("check the base URL")
                })?;
                self.request(&call, &path)
            });
        }
        Err(Error::new(ErrorKind::UnexpectedResponse, "GitHub redirects in a circle")
            .with_forge(ForgeKind::GITHUB)
            .with_operation(call.operation))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: String, operation: String) -> Result<T> {
        self.send(Call { method: Method::GET, path, body: None, operation }).await?.json()
    }

    /// All items of a paged list, read as the stream is.
    pub(crate) fn list<T, F>(
        &self,
        path: Result<String>,
        operation: String,
        items: F,
    ) -> BoxStream<'static, Result<T>>
    where
        T: Send + 'static,
        F: Fn(&Response) -> Result<(Vec<T>, More)> + Send + Sync + 'static,
    {
        let path = match path {
            Ok(path) => path,
            Err(error) => return stream::once(async move { Err(error.with_operation(operation)) }).boxed(),
        };
        let first = allow_redirects(self.api.get(&path).operation(operation));
        pages(first, self.api.clone(), move |response| {
            if is_redirect(response) {
                return Ok((Vec::new(), Some(Next::Url(redirect_target(response)?))));
            }
            let (items, more) = items(response)?;
            let next = match more {
                More::AsLinked => next_link(response)?.map(Next::Url),
                More::AsCounted => numbered_link(response)?,
                More::No => None,
            };
            Ok((items, next))
        })
    }

    /// The login of the credential's user; `None` for an app's installation of which only the token is known.
    pub(crate) async fn own_login(&self) -> Result<Option<String>> {
        if let Some(login) = self.own_login.get() {
            return Ok(login.clone());
        }
        let login = if self.is_installation().await? {
            self.credentials.identity().await?.map(|identity| identity.account.login)
        } else {
            let user: wire::User = self.get("user".to_owned(), "read the token's user".to_owned()).await?;
            Some(user.login)
        };
        Ok(self.own_login.get_or_init(|| login).clone())
    }

    pub(crate) async fn is_installation(&self) -> Result<bool> {
        Ok(self.credentials.credential().await?.kind() == CredentialKind::Installation)
    }

    fn request(&self, call: &Call, path: &str) -> Request {
        let request = match call.method {
            Method::POST => self.api.post(path),
            // Our changes set values, so that doing one twice does no harm.
            Method::PATCH => self.api.patch(path).repeatable(),
            Method::DELETE => self.api.delete(path),
            _ => self.api.get(path),
        };
        let request = allow_redirects(request.operation(&call.operation));
        match &call.body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    /// The path of `url` within the API.
    fn path_of(&self, url: &Url) -> Option<String> {
        let base = self.api.base();
        let path = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
        let is_ours =
            forge_core::url::same_origin(base, url) && url.query().is_none() && path.starts_with('/');
        is_ours.then(|| path.to_owned())
    }
}

/// Whether a list goes on after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    /// Where the `Link` header says. Next addresses are never built: GitHub changes their form.
    AsLinked,
    /// As linked, to the end: pages that the header counts are fetched ahead.
    AsCounted,
    /// No.
    No,
}

#[async_trait]
impl ForgeClient for GitHubClient {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITHUB
    }

    fn base_url(&self) -> &Url {
        &self.base_url
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn whoami(&self) -> Result<Identity> {
        if self.is_installation().await? {
            return self.whoami_installation().await;
        }
        let response = self.send(get("user".to_owned(), "read the token's user".to_owned())).await?;
        let user: wire::User = response.json()?;
        let mut account = Account::new(user.id.to_string(), user.login);
        account.display_name = user.name.filter(|name| !name.is_empty());
        Ok(identity(account, response.headers()))
    }

    fn repos(&self) -> &dyn Repos {
        self
    }

    fn hooks(&self) -> Option<&dyn Hooks> {
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

impl GitHubClient {
    /// An installation token has no user and `GET /user` refuses it; that it works at all shows in its repositories.
    async fn whoami_installation(&self) -> Result<Identity> {
        let path = "installation/repositories?per_page=1".to_owned();
        let response = self.send(get(path, "read the installation's repositories".to_owned())).await?;
        response.json::<wire::RepositoryPage>()?;
        let mut found = identity(Account::new("installation", "installation"), response.headers());
        if let Some(app) = self.credentials.identity().await? {
            found.account = app.account;
            found.scopes = app.scopes;
            found.missing_scopes = app.missing_scopes;
            // Its tokens are minted anew for ever.
            found.expires_at = None;
        }
        Ok(found)
    }
}

fn identity(account: Account, headers: &HeaderMap) -> Identity {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut identity = Identity::new(account);
    // Absent for fine-grained and installation tokens: only trying shows what those may do.
    identity.scopes = text("x-oauth-scopes").map(|scopes| {
        scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
    });
    identity.missing_scopes = identity.scopes.as_deref().map(missing_scopes).unwrap_or_default();
    identity.expires_at = text("github-authentication-token-expiration").and_then(expiration);
    identity.server_version = text("x-github-enterprise-version").map(str::to_owned);
    identity
}

/// What of `repo` and `admin:repo_hook` is missing. GitHub docs, apps/oauth-apps/building-oauth-apps/
/// scopes-for-oauth-apps: `repo` grants full access to hooks too.
fn missing_scopes(granted: &[String]) -> Vec<String> {
    let has = |scope: &str| granted.iter().any(|granted| granted == scope);
    let mut missing = Vec::new();
    if !has("repo") {
        missing.push("repo".to_owned());
        if !has("admin:repo_hook") {
            missing.push("admin:repo_hook".to_owned());
        }
    }
    missing
}

/// `2026-12-01 10:00:00 UTC`, or with an offset instead of the name.
fn expiration(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |time| format!("{time}+0000"));
    Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", text).ok()
}

pub(crate) fn get(path: String, operation: String) -> Call {
    Call { method: Method::GET, path, body: None, operation }
}

/// `text` as one segment of a path.
///
/// # Errors
/// When it is empty or a dot segment, which would lead to another path.
pub(crate) fn segment(text: &str) -> Result<String> {
    if matches!(text, "" | "." | "..") {
        return Err(Error::new(ErrorKind::InvalidInput, "an empty or dotted name cannot stand in a path")
            .with_forge(ForgeKind::GITHUB));
    }
    Ok(utf8_percent_encode(text, SEGMENT).to_string())
}

/// `repos/<owner>/<name>`, or `repositories/<id>` where only the id is known: GitHub's own redirects lead there.
pub(crate) fn repo_path(repo: &RepoRef) -> Result<String> {
    match repo.full_name.split_once('/') {
        Some((owner, name)) => Ok(format!("repos/{}/{}", segment(owner)?, segment(name)?)),
        None => Ok(format!("repositories/{}", segment(&repo.id)?)),
    }
}

/// What a person calls the repository.
pub(crate) fn shown(repo: &RepoRef) -> &str {
    if repo.full_name.is_empty() { &repo.id } else { &repo.full_name }
}

fn allow_redirects(request: Request) -> Request {
    [301, 302, 307, 308].into_iter().fold(request, Request::allow_status)
}

fn is_redirect(response: &Response) -> bool {
    response.status().is_redirection()
}

fn redirect_target(response: &Response) -> Result<Url> {
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    location
        .and_then(|location| response.url().join(location).ok())
        .ok_or_else(|| response.unexpected("GitHub redirects to no usable address"))
}

#[derive(Debug)]
pub(crate) struct GitHubDialect;

impl Dialect for GitHubDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITHUB
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
        headers
    }

    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let secret = credential.secret().expose_secret();
        let text = match credential.user() {
            // Only the endpoints under /applications take an OAuth application's own id and secret.
            Some(user) => format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))),
            None => format!("Bearer {secret}"),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the token holds characters that no token has")
                .with_forge(ForgeKind::GITHUB)
                .with_hint("copy the token again, without line breaks")
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        error::classify(answer)
    }

    fn rate_limit(&self, headers: &HeaderMap, _now: Timestamp) -> Option<RateLimit> {
        let (remaining, resets_at) = error::remaining(headers)?;
        Some(RateLimit { remaining, resets_at })
    }
}
