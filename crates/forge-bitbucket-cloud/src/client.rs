//! One credential at one installation.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{
    BoxStream, Capabilities, Ci, Credential, CredentialKind, CredentialProvider, Error, ErrorKind, Facts,
    Feedback, ForgeClient, ForgeKind, Hooks, Repos, Result,
    model::{Account, Identity, RepoRef},
};
use forge_http::{Answer, ApiClient, Dialect, HttpClient, Next, RateLimit, Request, Response, pages};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{
    error,
    provider::{CAPABILITIES, Place},
    scopes, wire,
};

const MAX_REDIRECTS: usize = 3;
/// Braces of UUIDs are encoded with the rest.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// So many pipelines' UUIDs are remembered.
const MAX_REMEMBERED: usize = 4096;

/// The client that [`crate::BitbucketCloud`] hands out; implements every facet.
#[derive(Debug, Clone)]
pub(crate) struct BitbucketCloudClient {
    pub(crate) place: Place,
    pub(crate) api: ApiClient,
    credentials: Arc<dyn CredentialProvider>,
    learned: Arc<Learned>,
}

/// What need not be asked twice.
#[derive(Debug, Default)]
struct Learned {
    /// The UUID of the credential's user, once it was needed; `None` inside for an access token, which has none.
    own_uuid: OnceLock<Option<String>>,
    /// The UUID under which an access token writes, seen at what it wrote.
    bot_uuid: OnceLock<String>,
    /// UUIDs of pipelines by repository and build number: they never change.
    pipelines: Mutex<HashMap<(String, u64), String>>,
    /// Bitbucket does not take a build number in place of a pipeline's UUID.
    needs_pipeline_uuids: AtomicBool,
}

/// A request that can be sent again at another address, after a redirect.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) operation: String,
}

/// Whether a list goes on after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    /// Where the page's `next` says. Next addresses are never built.
    AsLinked,
    /// As linked, to the end: pages that the list counts are fetched ahead.
    AsCounted,
    /// No.
    No,
}

impl BitbucketCloudClient {
    pub(crate) fn new(http: HttpClient, place: Place, credentials: Arc<dyn CredentialProvider>) -> Self {
        let dialect = Arc::new(BitbucketCloudDialect);
        let api = ApiClient::new(http, place.api.clone(), Arc::clone(&credentials), dialect);
        Self { place, api, credentials, learned: Arc::default() }
    }

    /// Sends `call`, also when the repository has moved.
    pub(crate) async fn send(&self, call: Call) -> Result<Response> {
        let mut request = self.request(&call, &call.path);
        for _ in 0..MAX_REDIRECTS {
            let response = request.send().await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let target = redirect_target(&response)?;
            request = if call.method == Method::GET {
                allow_redirects(self.api.get_url(target).operation(&call.operation))
            } else {
                let path = self.path_of(&target).ok_or_else(|| {
                    response.unexpected("Bitbucket redirects a change to an address outside of its API")
                })?;
                self.request(&call, &path)
            };
        }
        Err(Error::new(ErrorKind::UnexpectedResponse, "Bitbucket redirects in a circle")
            .with_forge(ForgeKind::BITBUCKET_CLOUD)
            .with_operation(call.operation))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: String, operation: String) -> Result<T> {
        self.send(Call { method: Method::GET, path, body: None, operation }).await?.json()
    }

    /// All items of a paged list, read as the stream is. `choose` picks those of a page that count.
    pub(crate) fn list<T, U, F>(
        &self,
        path: Result<String>,
        operation: String,
        choose: F,
    ) -> BoxStream<'static, Result<U>>
    where
        T: DeserializeOwned + 'static,
        U: Send + 'static,
        F: Fn(Vec<T>) -> (Vec<U>, More) + Send + Sync + 'static,
    {
        let path = match path {
            Ok(path) => path,
            Err(error) => return stream::once(async move { Err(error.with_operation(operation)) }).boxed(),
        };
        let first = allow_redirects(self.api.get(&path).operation(operation));
        pages(first, self.api.clone(), move |response| {
            if response.status().is_redirection() {
                return Ok((Vec::new(), Some(Next::Url(redirect_target(response)?))));
            }
            let page: wire::Page<T> = response.json()?;
            let last = page.last();
            let (items, more) = choose(page.values);
            let next = match page.next.filter(|_| more != More::No) {
                Some(next) => {
                    let url = Url::parse(&next);
                    let url = url.map_err(|_| response.unexpected("the next page has no address"))?;
                    Some(match last.filter(|_| more == More::AsCounted) {
                        Some(last) => Next::Counted(url, last),
                        None => Next::Url(url),
                    })
                }
                None => None,
            };
            Ok((items, next))
        })
    }

    /// The UUID of the credential's user; `None` for an access token, which has no user that it could read, until it
    /// has written something.
    pub(crate) async fn own_uuid(&self) -> Result<Option<String>> {
        if let Some(uuid) = self.learned.own_uuid.get() {
            return Ok(uuid.clone().or_else(|| self.learned.bot_uuid.get().cloned()));
        }
        let user: Result<wire::User> = self.get("user".to_owned(), "read the token's user".to_owned()).await;
        let uuid = match user {
            Ok(user) => user.uuid,
            Err(error) if self.is_without_user(&error).await? => None,
            Err(error) => return Err(error),
        };
        let uuid = self.learned.own_uuid.get_or_init(|| uuid).clone();
        Ok(uuid.or_else(|| self.learned.bot_uuid.get().cloned()))
    }

    /// `uuid` is the author of something that this credential wrote.
    pub(crate) fn learn_author(&self, uuid: Option<&str>) {
        if let Some(uuid) = uuid {
            self.learned.bot_uuid.get_or_init(|| uuid.to_owned());
        }
    }

    pub(crate) async fn is_access_token(&self) -> Result<bool> {
        Ok(self.credentials.credential().await?.kind() == CredentialKind::AccessToken)
    }

    /// Access tokens of a repository, project or workspace belong to a bot; what only users may ask is forbidden.
    pub(crate) async fn is_without_user(&self, error: &Error) -> Result<bool> {
        let is_refusal = matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound);
        Ok(is_refusal && self.is_access_token().await?)
    }

    pub(crate) fn remember_pipeline(&self, repo: &RepoRef, number: u64, uuid: &str) {
        let mut known = self.known_pipelines();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert((repo.id.clone(), number), uuid.to_owned());
    }

    pub(crate) fn remembered_pipeline(&self, repo: &RepoRef, number: u64) -> Option<String> {
        self.known_pipelines().get(&(repo.id.clone(), number)).cloned()
    }

    fn known_pipelines(&self) -> MutexGuard<'_, HashMap<(String, u64), String>> {
        self.learned.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn needs_pipeline_uuids(&self) -> bool {
        self.learned.needs_pipeline_uuids.load(Ordering::Relaxed)
    }

    pub(crate) fn learn_pipeline_uuids_are_needed(&self) {
        self.learned.needs_pipeline_uuids.store(true, Ordering::Relaxed);
    }

    fn request(&self, call: &Call, path: &str) -> Request {
        let request = match call.method {
            Method::POST => self.api.post(path),
            Method::PUT => self.api.put(path),
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

#[async_trait]
impl ForgeClient for BitbucketCloudClient {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_CLOUD
    }

    fn base_url(&self) -> &Url {
        &self.place.web
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn whoami(&self) -> Result<Identity> {
        let operation = "read the token's user".to_owned();
        let call = Call { method: Method::GET, path: "user".to_owned(), body: None, operation };
        let mut identity = match self.send(call).await {
            Ok(response) => {
                let user: wire::User = response.json()?;
                let mut identity = Identity::new(user.into_account());
                identity.scopes = granted(response.headers());
                identity
            }
            Err(error) if self.is_without_user(&error).await? => {
                Identity::new(Account::new("access-token", "access token"))
            }
            Err(error) => return Err(error),
        };
        identity.missing_scopes = identity.scopes.as_deref().map(scopes::missing).unwrap_or_default();
        identity.expires_at = self.credentials.credential().await?.expires_at();
        Ok(identity)
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

/// Not documented; where the header is absent only trying shows what a token may do.
fn granted(headers: &HeaderMap) -> Option<Vec<String>> {
    let text = headers.get("x-oauth-scopes")?.to_str().ok()?;
    let scopes = text.split([',', ' ']).filter(|scope| !scope.is_empty()).map(str::to_owned);
    Some(scopes.collect())
}

/// `text` as one segment of a path.
///
/// # Errors
/// When it is empty or a dot segment, which would lead to another path.
pub(crate) fn segment(text: &str) -> Result<String> {
    if matches!(text, "" | "." | "..") {
        return Err(Error::new(ErrorKind::InvalidInput, "an empty or dotted name cannot stand in a path")
            .with_forge(ForgeKind::BITBUCKET_CLOUD));
    }
    Ok(utf8_percent_encode(text, SEGMENT).to_string())
}

/// `repositories/<workspace>/<uuid>`: the UUID survives a rename. The workspace may be left empty in braces beside it.
pub(crate) fn repo_path(repo: &RepoRef) -> Result<String> {
    let (workspace, slug) = repo.full_name.split_once('/').unwrap_or(("{}", ""));
    let name = if repo.id.is_empty() { slug } else { &repo.id };
    Ok(format!("repositories/{}/{}", segment(workspace)?, segment(name)?))
}

/// What a person calls the repository.
pub(crate) fn shown(repo: &RepoRef) -> &str {
    if repo.full_name.is_empty() { &repo.id } else { &repo.full_name }
}

fn allow_redirects(request: Request) -> Request {
    [301, 302, 307, 308].into_iter().fold(request, Request::allow_status)
}

fn redirect_target(response: &Response) -> Result<Url> {
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    location
        .and_then(|location| response.url().join(location).ok())
        .ok_or_else(|| response.unexpected("Bitbucket redirects to no usable address"))
}

#[derive(Debug)]
struct BitbucketCloudDialect;

impl Dialect for BitbucketCloudDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_CLOUD
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))])
    }

    /// OAuth and access tokens go as Bearer, API tokens as Basic with the mail address of the Atlassian account.
    #[expect(clippy::disallowed_methods, reason = "this is where the credential is put on the wire")]
    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let invalid = |message: &str, hint: &str| {
            Error::new(ErrorKind::InvalidInput, message)
                .with_forge(ForgeKind::BITBUCKET_CLOUD)
                .with_hint(hint)
        };
        let secret = credential.secret().expose_secret();
        let text = match (credential.kind(), credential.user()) {
            (_, Some(user)) => format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))),
            (CredentialKind::ApiToken, None) => {
                let hint = "give the mail address of the Atlassian account beside the API token";
                return Err(invalid("an API token goes with a mail address, and there is none", hint));
            }
            (_, None) => format!("Bearer {secret}"),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            invalid(
                "the token holds characters that no token has",
                "copy the token again, without line breaks",
            )
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        error::classify(answer)
    }

    /// The headers tell that the limit is near, never how much is left or when it ends.
    fn rate_limit(&self, _headers: &HeaderMap, _now: Timestamp) -> Option<RateLimit> {
        None
    }
}
