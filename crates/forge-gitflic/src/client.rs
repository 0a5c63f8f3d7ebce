//! One credential at one installation.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use forge_core::{
    Capabilities, Ci, Credential, CredentialProvider, Error, ErrorKind, Facts, Feedback, ForgeClient,
    ForgeKind, Hooks, Repos, Result,
    model::{Account, Identity, RepoRef},
};
use forge_http::{Answer, ApiClient, Dialect, HttpClient, RateLimit, Request, Response};
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use crate::{
    budget::{Budget, Budgets},
    clock::Clock,
    error,
    provider::CAPABILITIES,
    wire,
};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const WHO: &str = "user/me";

/// What a client is made of.
pub(crate) struct Connection {
    pub(crate) http: HttpClient,
    pub(crate) base_url: Url,
    pub(crate) api_url: Url,
    pub(crate) clock: Clock,
    pub(crate) requests_per_hour: Option<u32>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) subscribes_warnings: bool,
}

/// The client that [`crate::GitFlic`] hands out; implements every facet.
#[derive(Debug, Clone)]
pub(crate) struct GitFlicClient {
    pub(crate) base_url: Url,
    pub(crate) api: ApiClient,
    pub(crate) clock: Clock,
    pub(crate) subscribes_warnings: bool,
    credentials: Arc<dyn CredentialProvider>,
    own_user: Arc<OnceLock<wire::User>>,
    pub(crate) learned: Arc<Learned>,
}

/// Which of two readings this installation was found to follow, so that the other is not tried again.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    lists_pipelines_only: AtomicBool,
    deletes_by_post: AtomicBool,
    compares_branches_only: AtomicBool,
}

impl Learned {
    pub(crate) fn lists_pipelines_only(&self) -> bool {
        self.lists_pipelines_only.load(Ordering::Relaxed)
    }

    pub(crate) fn note_no_single_pipelines(&self) {
        self.lists_pipelines_only.store(true, Ordering::Relaxed);
    }

    pub(crate) fn deletes_by_post(&self) -> bool {
        self.deletes_by_post.load(Ordering::Relaxed)
    }

    pub(crate) fn note_deletes_by_post(&self) {
        self.deletes_by_post.store(true, Ordering::Relaxed);
    }

    pub(crate) fn compares_branches_only(&self) -> bool {
        self.compares_branches_only.load(Ordering::Relaxed)
    }

    pub(crate) fn note_compares_branches_only(&self) {
        self.compares_branches_only.store(true, Ordering::Relaxed);
    }
}

/// A request that can be sent again with another token.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) operation: String,
}

impl Call {
    pub(crate) fn get(path: String, operation: String) -> Self {
        Self { method: Method::GET, path, body: None, operation }
    }
}

impl GitFlicClient {
    pub(crate) fn new(connection: Connection, credentials: Arc<dyn CredentialProvider>) -> Self {
        let dialect = GitFlicDialect {
            origin: connection.api_url.origin().ascii_serialization(),
            limit: connection.requests_per_hour.map(|limit| (limit, connection.budgets)),
            budget: OnceLock::new(),
        };
        let api =
            ApiClient::new(connection.http, connection.api_url, Arc::clone(&credentials), Arc::new(dialect));
        Self {
            base_url: connection.base_url,
            api,
            clock: connection.clock,
            subscribes_warnings: connection.subscribes_warnings,
            credentials,
            own_user: Arc::default(),
            learned: Arc::default(),
        }
    }

    /// Sends `call`; when the token turns out to be bad, once more with a refreshed one.
    ///
    /// GitFlic answers 403 to a bad token as it does to a missing right, so a refusal is followed by the question who
    /// the token is, which every good token may ask.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response> {
        let credential = self.credentials.credential().await?;
        let refusal = match self.request(call).send().await {
            Err(error) if error.kind() == ErrorKind::Forbidden && error.status() == Some(403) => error,
            outcome => return outcome,
        };
        if call.path != WHO && !self.is_token_bad().await {
            return Err(refusal);
        }
        match self.credentials.refresh(&credential).await {
            // A token that is new and refused still is not bad: the right is missing.
            Ok(_) => self.request(call).send().await,
            Err(cause) if matches!(cause.kind(), ErrorKind::Unauthorized | ErrorKind::InvalidGrant) => {
                let told = error::rejected(&call.operation);
                Err(if cause.kind() == ErrorKind::InvalidGrant { cause } else { told.with_source(cause) })
            }
            Err(cause) => Err(cause),
        }
    }

    /// Whether the question who the token is gets refused too. Another fault decides nothing.
    async fn is_token_bad(&self) -> bool {
        let answer = self.api.get(WHO).operation("read the token's user").send().await;
        answer.is_err_and(|error| error.kind() == ErrorKind::Forbidden && error.status() == Some(403))
    }

    fn request(&self, call: &Call) -> Request {
        let request = match call.method {
            Method::POST => self.api.post(&call.path),
            Method::PUT => self.api.put(&call.path),
            // Our changes set values, so that doing one twice does no harm.
            Method::PATCH => self.api.patch(&call.path).repeatable(),
            Method::DELETE => self.api.delete(&call.path),
            _ => self.api.get(&call.path),
        };
        let request = request.operation(&call.operation);
        match &call.body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    /// The credential's user, asked for once.
    pub(crate) async fn own_user(&self) -> Result<wire::User> {
        if let Some(user) = self.own_user.get() {
            return Ok(user.clone());
        }
        let call = Call::get(WHO.to_owned(), "read the token's user".to_owned());
        let user = wire::read(&self.send(&call).await?, "a user", wire::user)?;
        Ok(self.own_user.get_or_init(|| user).clone())
    }

    pub(crate) fn web(&self) -> &str {
        self.base_url.as_str()
    }
}

#[async_trait]
impl ForgeClient for GitFlicClient {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITFLIC
    }

    fn base_url(&self) -> &Url {
        &self.base_url
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    /// GitFlic tells neither scopes nor expiry nor its version.
    async fn whoami(&self) -> Result<Identity> {
        let call = Call::get(WHO.to_owned(), "read the token's user".to_owned());
        let user = wire::read(&self.send(&call).await?, "a user", wire::user)?;
        let mut account = Account::new(user.id, user.username);
        account.display_name = user.full_name;
        let mut identity = Identity::new(account);
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

/// The path of a project: GitFlic addresses them by the aliases of owner and project only.
pub(crate) fn repo_path(repo: &RepoRef) -> Result<String> {
    let Some((owner, alias)) = repo.full_name.split_once('/') else {
        return Err(Error::new(ErrorKind::InvalidInput, "the project's full name is not known")
            .with_forge(ForgeKind::GITFLIC)
            .with_hint("GitFlic needs owner/alias: read the project by its id first"));
    };
    Ok(format!("project/{}/{}", segment(owner)?, segment(alias)?))
}

/// One segment of a path, encoded. Empty and dot segments would lead elsewhere.
pub(crate) fn segment(text: &str) -> Result<String> {
    if text.is_empty() || text == "." || text == ".." {
        return Err(Error::new(ErrorKind::InvalidInput, "an id or name is empty or a dot segment")
            .with_forge(ForgeKind::GITFLIC));
    }
    Ok(utf8_percent_encode(text, SEGMENT).to_string())
}

/// A query, encoded.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What a person calls the project.
pub(crate) fn shown(repo: &RepoRef) -> &str {
    if repo.full_name.is_empty() { &repo.id } else { &repo.full_name }
}

#[derive(Debug)]
struct GitFlicDialect {
    origin: String,
    /// The hourly limit, where there is one, and where the budgets are.
    limit: Option<(u32, Arc<Budgets>)>,
    /// That of the first token that was sent: later ones are its successors.
    budget: OnceLock<Arc<Budget>>,
}

impl Dialect for GitFlicDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITFLIC
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"))])
    }

    /// docs.gitflic.ru, api/intro: `token` before API tokens and OAuth tokens alike.
    #[expect(clippy::disallowed_methods, reason = "this is where the token goes to the forge")]
    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let text = format!("token {}", credential.secret().expose_secret());
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the token holds characters that no token has")
                .with_forge(ForgeKind::GITFLIC)
                .with_hint("copy the token again, without line breaks")
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        if let Some((limit, budgets)) = &self.limit {
            self.budget.get_or_init(|| budgets.of(&self.origin, credential, *limit));
        }
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        error::classify(answer)
    }

    fn rate_limit(&self, _headers: &HeaderMap, now: Timestamp) -> Option<RateLimit> {
        self.budget.get().map(|budget| budget.spend(now))
    }
}
