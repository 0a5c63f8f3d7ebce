//! CI servers that hold the logs: Jenkins, Bamboo, TeamCity, each with its own credential.

#![expect(clippy::disallowed_methods, reason = "the token goes into the Authorization header")]

mod places;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{
    Credential, CredentialKind, Error, ErrorKind, ForgeKind, Instance, LogOptions, LogStream, Result, Retry,
    StaticCredential, url::same_origin,
};
use forge_http::{
    Answer, ApiClient, Dialect, HttpClient, RateLimit, Request, StreamResponse, default_classify,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use self::places::Place;

/// The server itself, its storage's front, the storage.
const MAX_HOPS: usize = 3;

/// Which CI server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogSourceKind {
    /// Jenkins, with folders, multibranch pipelines and Blue Ocean addresses.
    Jenkins,
    /// Bamboo Data Center or Server.
    Bamboo,
    /// TeamCity.
    TeamCity,
}

impl LogSourceKind {
    fn name(self) -> &'static str {
        match self {
            Self::Jenkins => "Jenkins",
            Self::Bamboo => "Bamboo",
            Self::TeamCity => "TeamCity",
        }
    }
}

/// A CI server whose logs may be read. `Debug` shows no secret.
///
/// It is asked only about builds whose address begins with its own: same scheme, host and port, and at or below its
/// path. Its token goes nowhere else, and Bitbucket's token never goes to it.
///
/// Whoever may read a repository may set a build status that points at any build of this server. So its user should see
/// no more than the readers of the monitored repositories, or the address should be that of a folder, such as
/// `https://ci.example.com/job/team-a`.
#[derive(Debug, Clone)]
pub struct LogSource {
    kind: LogSourceKind,
    base_url: Url,
    username: Option<String>,
    token: SecretString,
}

impl LogSource {
    /// The server at `base_url`, as a person opens it, e.g. `https://ci.example.com/jenkins`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the address is no http(s) address or carries a user, query or fragment.
    pub fn new(kind: LogSourceKind, base_url: &str, token: SecretString) -> Result<Self> {
        let base_url = Instance::new(base_url)?.base_url().clone();
        Ok(Self { kind, base_url, username: None, token })
    }

    /// The user that the token belongs to: it then goes as the password of HTTP Basic, which Jenkins needs. Without it
    /// the token goes as Bearer.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    pub(crate) fn connect(&self, http: &HttpClient) -> ConnectedSource {
        let mut credential = Credential::new(CredentialKind::AccessToken, self.token.clone());
        if let Some(username) = &self.username {
            credential = credential.with_user(username);
        }
        let api = ApiClient::new(
            http.clone(),
            self.base_url.clone(),
            Arc::new(StaticCredential::new(credential)),
            Arc::new(LogDialect(self.kind)),
        );
        ConnectedSource { kind: self.kind, base_url: self.base_url.clone(), api }
    }
}

/// The log sources of an adapter, which may be replaced while it is in use: what is read next goes by the new list.
///
/// Copies are the same list. Whoever shares an adapter shares its log sources: a build status may point anywhere, so that
/// tenants who must not read each other's logs need an adapter with a list of its own each. An adapter costs nothing but
/// its list; the HTTP client can be shared.
///
/// ```
/// use forge_bitbucket_dc::{BitbucketDc, LogSource, LogSourceKind, LogSources};
/// # fn main() -> forge_core::Result<()> {
/// # let http = forge_http::HttpClient::builder().build()?;
/// let sources = LogSources::new(&http);
/// let bitbucket = BitbucketDc::builder(http).with_log_sources(&sources).build();
/// // Later, when the settings change:
/// let token = "11aa22bb".to_owned().into();
/// sources.replace([LogSource::new(LogSourceKind::TeamCity, "https://ci.example.com", token)?]);
/// # drop(bitbucket);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LogSources {
    http: HttpClient,
    sources: Arc<RwLock<Vec<Arc<ConnectedSource>>>>,
}

impl LogSources {
    /// An empty list, whose servers are asked over `http`.
    #[must_use]
    pub fn new(http: &HttpClient) -> Self {
        Self { http: http.clone(), sources: Arc::default() }
    }

    /// These, in place of all that were there before. A log that is being read is read to its end. Where the addresses
    /// of two are one below the other, the longer address counts for what lies below it.
    pub fn replace(&self, sources: impl IntoIterator<Item = LogSource>) {
        let connected = sources.into_iter().map(|source| Arc::new(source.connect(&self.http))).collect();
        *self.sources.write().unwrap_or_else(PoisonError::into_inner) = connected;
    }

    /// The one that the build at `url` belongs to.
    pub(crate) fn find(&self, url: &Url) -> Option<Arc<ConnectedSource>> {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        let holding = sources.iter().filter(|source| source.holds(url));
        holding.max_by_key(|source| source.base_url.path().len()).map(Arc::clone)
    }
}

/// Names the servers, shows no secret.
impl fmt::Debug for LogSources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        formatter.debug_list().entries(sources.iter()).finish()
    }
}

/// A log source that can be asked.
pub(crate) struct ConnectedSource {
    kind: LogSourceKind,
    base_url: Url,
    api: ApiClient,
}

impl fmt::Debug for ConnectedSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ConnectedSource({} at {})", self.kind.name(), self.base_url)
    }
}

impl ConnectedSource {
    /// Whether `url` lies at this server.
    pub(crate) fn holds(&self, url: &Url) -> bool {
        self.below(url).is_some()
    }

    fn below<'a>(&self, url: &'a Url) -> Option<&'a str> {
        if !same_origin(&self.base_url, url) || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let rest = url.path().strip_prefix(self.base_url.path().trim_end_matches('/'))?;
        rest.strip_prefix('/')
    }

    /// The log of the build at `url`.
    pub(crate) async fn open(&self, url: &Url, options: LogOptions, operation: &str) -> Result<LogStream> {
        let place = self.below(url).and_then(|path| places::find(self.kind, path, url.query()));
        let Some(place) = place else {
            let message = format!("the build's address is not one of a {} build", self.kind.name());
            return Err(self
                .error(ErrorKind::Unsupported, message, operation)
                .with_hint("send the log by the ingest API"));
        };
        let response = match place {
            Place::Jenkins(build) => self.jenkins(&build, options, operation).await?,
            Place::File { path, query } => {
                let request = self.api.get(&path).query(&borrowed(&query));
                self.stream(request, options, operation).await?
            }
            Place::BambooPlan(key) => {
                let job = self.failed_bamboo_job(&key, operation).await?;
                let request = self.api.get(&places::bamboo_log(&job).unwrap_or_default());
                self.stream(request, options, operation).await?
            }
        };
        self.not_empty(response.into_log(), operation).await
    }

    /// The progressive text says whether the build still writes; where a proxy hides it the whole text has to do.
    async fn jenkins(&self, build: &str, options: LogOptions, operation: &str) -> Result<StreamResponse> {
        let request = self.api.get(&format!("{build}/logText/progressiveText")).query(&[("start", "0")]);
        match self.stream(request, options, operation).await {
            Ok(response) => {
                let more = response.headers().get("x-more-data").and_then(|value| value.to_str().ok());
                if more.is_some_and(|more| more.eq_ignore_ascii_case("true")) {
                    return Err(self.error(ErrorKind::NotReady, "the build still writes its log", operation));
                }
                Ok(response)
            }
            Err(error) if error.kind() == ErrorKind::Gone => {
                self.stream(self.api.get(&format!("{build}/consoleText")), options, operation).await
            }
            Err(error) => Err(error),
        }
    }

    async fn stream(&self, request: Request, options: LogOptions, operation: &str) -> Result<StreamResponse> {
        let response = request.operation(operation).stream_following(options.max_bytes, MAX_HOPS).await?;
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html")) {
            let message = format!("{} answers with a web page instead of a log", self.kind.name());
            return Err(self
                .error(ErrorKind::Forbidden, message, operation)
                .with_hint("it is most likely the login page: check user and token of the log source"));
        }
        Ok(response)
    }

    /// Bamboo reports a plan, and logs belong to the plan's jobs: the first one that failed.
    async fn failed_bamboo_job(&self, key: &str, operation: &str) -> Result<String> {
        let request = self
            .api
            .get(&format!("rest/api/latest/result/{key}.json"))
            .query(&[("expand", "stages.stage.results.result")])
            .operation(operation);
        let answer: serde_json::Value = request.fetch().await?;
        places::failed_bamboo_job(&answer)
            .ok_or_else(|| self.error(ErrorKind::NotFound, "no job of the Bamboo plan has failed", operation))
    }

    /// An empty log is none.
    async fn not_empty(&self, log: LogStream, operation: &str) -> Result<LogStream> {
        let LogStream { mut bytes, truncated } = log;
        match bytes.try_next().await? {
            Some(first) => Ok(LogStream { bytes: stream::iter([Ok(first)]).chain(bytes).boxed(), truncated }),
            // A limit of no bytes ends like this too.
            None if truncated.load(std::sync::atomic::Ordering::Acquire) => {
                Ok(LogStream { bytes: stream::empty().boxed(), truncated })
            }
            None => Err(self.error(ErrorKind::NotFound, "the build has written no log", operation)),
        }
    }

    fn error(&self, kind: ErrorKind, message: impl Into<String>, operation: &str) -> Error {
        Error::new(kind, message).with_forge(ForgeKind::BITBUCKET_DC).with_operation(operation)
    }
}

/// Why there is no log, where no log source fits.
pub(crate) fn not_configured(url: &Url) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "Bitbucket Data Center holds no logs, and no log source is configured for the build's address",
    )
    .with_hint(format!(
        "configure the CI server at {} as a log source (Jenkins, Bamboo or TeamCity), or send the log by the ingest API",
        url.origin().ascii_serialization()
    ))
}

fn borrowed<'a>(pairs: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    pairs.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// How CI servers speak HTTP. Their refusals are never `Unauthorized`: Bitbucket's credential has nothing to do with it.
#[derive(Debug)]
struct LogDialect(LogSourceKind);

impl Dialect for LogDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_DC
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(
            header::ACCEPT,
            HeaderValue::from_static("text/plain, application/json, */*;q=0.1"),
        )])
    }

    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let secret = credential.secret().expose_secret();
        let text = match credential.user() {
            Some(user) => format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))),
            None => format!("Bearer {secret}"),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the log source's token holds characters that no token has")
                .with_hint("copy the token again, without line breaks")
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        let name = self.0.name();
        let status = answer.status.as_u16();
        let told = |kind: ErrorKind, message: String, status: u16| {
            Error::new(kind, message).with_forge(ForgeKind::BITBUCKET_DC).with_status(status)
        };
        match (answer.hop, status) {
            (0, 401 | 403) => told(
                ErrorKind::Forbidden,
                format!("{name} does not accept the log source's credential (status {status})"),
                // Kept as 403: there is nothing to refresh.
                403,
            )
            .with_hint("check user and token of the log source, and that the user may read the job"),
            (0, 404 | 410) => told(
                ErrorKind::Gone,
                format!("{name} has no such build any more, or hides it from the log source's user (status {status})"),
                status,
            )
            .with_hint("keep builds longer, or let the user read the job"),
            (0, _) => default_classify(ForgeKind::BITBUCKET_DC, answer),
            (_, 404) => told(
                ErrorKind::NotReady,
                format!("the log is not in the storage that {name} names (status 404)"),
                status,
            ),
            _ => told(ErrorKind::Forge, format!("the storage that {name} names fails (status {status})"), status)
                .with_retry(Retry::Backoff),
        }
    }

    fn rate_limit(&self, _headers: &HeaderMap, _now: Timestamp) -> Option<RateLimit> {
        None
    }
}
