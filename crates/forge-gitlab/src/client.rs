//! One installation with one credential: addresses, headers, redirects of moved projects, `whoami`.

#![expect(clippy::disallowed_methods, reason = "the token goes into the Authorization header")]

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use forge_core::{
    BoxStream, Capabilities, Ci, Credential, CredentialKind, CredentialProvider, Error, ErrorKind, Facts,
    Feedback, ForgeClient, ForgeKind, Hooks, Instance, Repos, Result,
    model::{Identity, RepoRef},
    url as forge_url,
};
use forge_http::{
    Answer, ApiClient, Dialect, HttpClient, Next, RateLimit, Request, Response, next_link, pages,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    ci::Roots,
    error::{self, Fault, absent},
    hooks::HookCalls,
    provider::CAPABILITIES,
    wire,
};

/// What may stand in one path segment as it is: RFC 3986, unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a call is about: hooks belong to projects and to groups, all else to projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Project,
    Group,
}

impl Owner {
    fn root(self) -> &'static str {
        match self {
            Self::Project => "projects",
            Self::Group => "groups",
        }
    }
}

/// A client: what is asked and how. Cheap to clone, so that streams can own it.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

struct Shared {
    base_url: Url,
    oauth_base_url: Url,
    api: ApiClient,
    credentials: Arc<dyn CredentialProvider>,
    own_id: OnceLock<u64>,
    knows_signing: AtomicBool,
    roots: Roots,
}

impl Client {
    pub(crate) fn new(
        http: HttpClient,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Self> {
        let api_base = api_base(instance)?;
        let oauth_base_url = instance.oauth_base_url().unwrap_or_else(|| instance.base_url()).clone();
        http.check_url(&api_base)?;
        let api = ApiClient::new(http, api_base, Arc::clone(&credentials), Arc::new(GitLabDialect));
        Ok(Self(Arc::new(Shared {
            base_url: instance.base_url().clone(),
            oauth_base_url,
            api,
            credentials,
            own_id: OnceLock::new(),
            knows_signing: AtomicBool::new(false),
            roots: Roots::default(),
        })))
    }

    pub(crate) fn api(&self) -> &ApiClient {
        &self.0.api
    }

    /// The pipelines that are known to have started others.
    pub(crate) fn roots(&self) -> &Roots {
        &self.0.roots
    }

    /// Sends a request about a project; `build` gets the project's path.
    pub(crate) async fn call(
        &self,
        repo: &RepoRef,
        operation: &str,
        build: impl Fn(&ApiClient, &str) -> Request + Send + Sync,
    ) -> Result<Response> {
        self.call_at(Owner::Project, repo, operation, build).await
    }

    /// As [`Client::call`], about a group too. What has moved answers with a redirect to its id (docs api/rest,
    /// "Redirects"): the same request then goes to that id, whatever its method.
    pub(crate) async fn call_at(
        &self,
        owner: Owner,
        repo: &RepoRef,
        operation: &str,
        build: impl Fn(&ApiClient, &str) -> Request + Send + Sync,
    ) -> Result<Response> {
        let key = key_of(repo)?;
        let response = self.send_catching_redirects(owner, operation, &key, &build).await?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        let id = self.moved_to(owner, &response).filter(|id| *id != key).ok_or(Fault::StrayRedirect)?;
        let response = self.send_catching_redirects(owner, operation, &id, &build).await?;
        if response.status().is_redirection() {
            return Err(Error::from(Fault::StrayRedirect).with_operation(operation));
        }
        Ok(response)
    }

    async fn send_catching_redirects(
        &self,
        owner: Owner,
        operation: &str,
        key: &str,
        build: &(impl Fn(&ApiClient, &str) -> Request + Send + Sync),
    ) -> Result<Response> {
        let mut request = build(self.api(), &format!("{}/{key}", owner.root())).operation(operation);
        for status in [301, 302, 307, 308] {
            request = request.allow_status(status);
        }
        request.send().await
    }

    fn moved_to(&self, owner: Owner, response: &Response) -> Option<String> {
        let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
        let target = response.url().join(location).ok()?;
        if !forge_url::same_origin(self.api().base(), &target) {
            return None;
        }
        let (_, rest) = target.path().split_once(&format!("/{}/", owner.root()))?;
        let id = rest.split('/').next()?;
        is_number(id).then(|| id.to_owned())
    }

    /// All pages of a list about a project, each page asked for when it is needed.
    pub(crate) fn list<T, U>(
        &self,
        repo: &RepoRef,
        operation: String,
        build: impl FnOnce(&ApiClient, &str) -> Request + Send + 'static,
        convert: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> BoxStream<'static, Result<U>>
    where
        T: DeserializeOwned + 'static,
        U: Send + 'static,
    {
        self.list_at(Owner::Project, repo, operation, build, convert)
    }

    /// As [`Client::list`], about a group too.
    pub(crate) fn list_at<T, U>(
        &self,
        owner: Owner,
        repo: &RepoRef,
        operation: String,
        build: impl FnOnce(&ApiClient, &str) -> Request + Send + 'static,
        convert: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> BoxStream<'static, Result<U>>
    where
        T: DeserializeOwned + 'static,
        U: Send + 'static,
    {
        let client = self.clone();
        let repo = repo.clone();
        stream::once(async move {
            let key = match owner {
                Owner::Project => client.numeric_key(&repo).await?,
                Owner::Group => key_of(&repo)?,
            };
            let first = build(client.api(), &format!("{}/{key}", owner.root())).operation(operation);
            Ok::<_, Error>(client.pages(first, convert))
        })
        .try_flatten()
        .boxed()
    }

    pub(crate) fn pages<T, U>(
        &self,
        first: Request,
        convert: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> BoxStream<'static, Result<U>>
    where
        T: DeserializeOwned + 'static,
        U: Send + 'static,
    {
        pages(first, self.api().clone(), move |page| {
            let items: Vec<T> = page.json()?;
            Ok((items.into_iter().map(&convert).collect(), next_link(page)?.map(Next::Url)))
        })
    }

    /// The project's key for lists: next links of a moved project would lead away from its old path.
    pub(crate) async fn numeric_key(&self, repo: &RepoRef) -> Result<String> {
        let key = key_of(repo)?;
        if is_number(&key) {
            return Ok(key);
        }
        let operation = format!("get project {}", name_of(repo));
        let project: wire::ProjectId =
            self.call(repo, &operation, |api, path| api.get(path)).await?.json()?;
        Ok(project.id.to_string())
    }

    /// The id of the user that the credential belongs to; asked for once.
    pub(crate) async fn own_id(&self) -> Result<u64> {
        if let Some(id) = self.0.own_id.get() {
            return Ok(*id);
        }
        Ok(self.user().await?.id)
    }

    async fn user(&self) -> Result<wire::User> {
        let user: wire::User = self.api().get("user").operation("get the token's user").fetch().await?;
        self.0.own_id.get_or_init(|| user.id);
        Ok(user)
    }

    /// Whether this instance has shown that it knows signing tokens.
    pub(crate) fn knows_signing(&self) -> bool {
        self.0.knows_signing.load(Ordering::Relaxed)
    }

    pub(crate) fn set_knows_signing(&self) {
        self.0.knows_signing.store(true, Ordering::Relaxed);
    }

    /// What the token's own description says; `None` where GitLab has none for it.
    async fn token_info(&self) -> Result<Option<wire::TokenInfo>> {
        let kind = self.0.credentials.credential().await?.kind();
        let operation = "read the token's scopes";
        let request = if kind == CredentialKind::OAuth {
            let url = append(&self.0.oauth_base_url, "oauth/token/info")?;
            if !forge_url::same_origin(&url, self.api().base()) {
                // The token is bound to the API's origin; it is not shown elsewhere to learn its scopes.
                return Ok(None);
            }
            self.api().get_url(url)
        } else {
            self.api().get("personal_access_tokens/self")
        };
        // The token has just proved good, so a 401 here means that this endpoint does not know its kind. Taken as an
        // answer it does not set off a refresh.
        match absent(request.operation(operation).allow_status(401).send().await)? {
            Some(answer) if answer.status() != 401 => answer.json().map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) async fn version(&self) -> Result<Option<String>> {
        let found: Option<wire::Version> =
            absent(self.api().get("version").operation("get GitLab's version").fetch().await)?;
        Ok(found.map(|found| found.version))
    }

    /// The web address of something in a project.
    pub(crate) fn web_url(&self, repo: &RepoRef, tail: &str) -> Option<String> {
        let is_path = repo.full_name.contains('/');
        is_path.then(|| {
            let base = self.0.base_url.as_str().trim_end_matches('/');
            let path = repo.full_name.split('/').map(|part| utf8_percent_encode(part, SEGMENT).to_string());
            format!("{base}/{}/-/{tail}", path.collect::<Vec<_>>().join("/"))
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("base_url", &forge_url::SafeUrl(&self.0.base_url))
            .finish_non_exhaustive()
    }
}

/// What the outside gets: the client with its facets.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    hooks: HookCalls,
    group_hooks: HookCalls,
}

impl Connection {
    pub(crate) fn new(
        http: HttpClient,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Self> {
        let client = Client::new(http, instance, credentials)?;
        let hooks = HookCalls::new(client.clone(), Owner::Project);
        let group_hooks = HookCalls::new(client.clone(), Owner::Group);
        Ok(Self { client, hooks, group_hooks })
    }
}

#[async_trait]
impl ForgeClient for Connection {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITLAB
    }

    fn base_url(&self) -> &Url {
        &self.client.0.base_url
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn whoami(&self) -> Result<Identity> {
        let client = &self.client;
        let user = client.user().await?;
        let is_oauth = client.0.credentials.credential().await?.kind() == CredentialKind::OAuth;
        let kind = if is_oauth { "OAuth access token" } else { user.token_kind() };
        let mut identity = Identity::new(user.into_account());
        if let Some(info) = client.token_info().await? {
            identity.expires_at = info.expires_at(Timestamp::now());
            identity.missing_scopes = info.missing_scopes();
            identity.scopes = info.into_scopes();
        }
        identity.token_kind = Some(kind.to_owned());
        identity.server_version = client.version().await?;
        Ok(identity)
    }

    fn repos(&self) -> &dyn Repos {
        &self.client
    }

    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(&self.hooks)
    }

    fn namespace_hooks(&self) -> Option<&dyn Hooks> {
        Some(&self.group_hooks)
    }

    fn ci(&self) -> Option<&dyn Ci> {
        Some(&self.client)
    }

    fn feedback(&self) -> Option<&dyn Feedback> {
        Some(&self.client)
    }

    fn facts(&self) -> Option<&dyn Facts> {
        Some(&self.client)
    }
}

/// GitLab's ways on the wire.
#[derive(Debug)]
pub(crate) struct GitLabDialect;

impl Dialect for GitLabDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITLAB
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers
    }

    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        // `Authorization: Bearer` serves all kinds of token; `PRIVATE-TOKEN` refuses those that came by OAuth (docs
        // api/rest/authentication).
        let text = format!("Bearer {}", credential.secret().expose_secret());
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the token holds characters that no token has")
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
        let remaining = headers.get("ratelimit-remaining")?.to_str().ok()?.trim().parse().ok()?;
        Some(RateLimit { remaining, resets_at: error::reset_at(headers) })
    }
}

/// The root of the REST API: `{base}/api/v4`, below whatever path the instance has.
fn api_base(instance: &Instance) -> Result<Url> {
    match instance.api_base_url() {
        Some(url) => Ok(url.clone()),
        None => append(instance.base_url(), "api/v4"),
    }
}

pub(crate) fn append(base: &Url, path: &str) -> Result<Url> {
    forge_url::append(base, path).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the base URL cannot carry a path").with_source(error)
    })
}

/// The project or group as it stands in a path: its id, which survives a rename, else its encoded full path.
fn key_of(repo: &RepoRef) -> Result<String> {
    let text = if is_number(&repo.id) || repo.full_name.is_empty() { &repo.id } else { &repo.full_name };
    segment(text, "project or group")
}

/// What people call the project or group, for errors.
pub(crate) fn name_of(repo: &RepoRef) -> &str {
    if repo.full_name.is_empty() { &repo.id } else { &repo.full_name }
}

/// `text` as one path segment.
pub(crate) fn segment(text: &str, what: &'static str) -> Result<String> {
    if matches!(text, "" | "." | "..") {
        return Err(Fault::NotAName(what).into());
    }
    Ok(utf8_percent_encode(text, SEGMENT).to_string())
}

/// `text` where it is an id of GitLab's.
pub(crate) fn number<'a>(text: &'a str, what: &'static str) -> Result<&'a str> {
    if is_number(text) { Ok(text) } else { Err(Fault::NotANumber(what).into()) }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
}
