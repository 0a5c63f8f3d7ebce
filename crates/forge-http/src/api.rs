//! Requests to one forge: credential, retries, limits, and answers that are either good or an error.

#![expect(
    clippy::disallowed_methods,
    reason = "the secret is used here, where it goes into a request, a cipher or a hash"
)]

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use forge_core::{
    Credential, CredentialKind, CredentialProvider, Error, ErrorKind, Result, Retry, secret, url as forge_url,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{
    client::{self, HttpClient, LONGEST_WAIT, PauseKey},
    dialect::{Answer, Dialect},
    response::Response,
    stream::StreamResponse,
};

/// Tries of a repeatable request, the first included.
const MAX_TRIES: u32 = 3;
/// As much of an error's body as is looked at.
const ERROR_BODY_BYTES: usize = 64 * 1024;

/// One forge's API with one credential. Cheap to clone.
#[derive(Clone)]
pub struct ApiClient(Arc<Api>);

struct Api {
    http: HttpClient,
    base: Url,
    credentials: Arc<dyn CredentialProvider>,
    dialect: Arc<dyn Dialect>,
}

/// A request that has not been sent. A mistake in building it shows when it is sent.
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    api: ApiClient,
    pub(crate) method: Method,
    pub(crate) url: Url,
    headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    operation: Option<String>,
    is_repeatable: bool,
    max_body: usize,
    allowed: Vec<u16>,
    fault: Option<Error>,
}

impl ApiClient {
    /// The API at `base` (a path in it is kept), spoken in `dialect`.
    #[must_use]
    pub fn new(
        http: HttpClient,
        base: Url,
        credentials: Arc<dyn CredentialProvider>,
        dialect: Arc<dyn Dialect>,
    ) -> Self {
        Self(Arc::new(Api { http, base, credentials, dialect }))
    }

    /// The base URL.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// `GET` of `path`, which is percent-encoded already and is appended to the base.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// `POST`. Not repeated after a failure unless it is [`Request::repeatable`].
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// `PUT`.
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    /// `PATCH`. Not repeated after a failure unless it is [`Request::repeatable`].
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// `GET` of an address that the forge has named. Sending it fails with [`ErrorKind::AddressRefused`] when it is
    /// not of the base URL's origin: the credential never goes elsewhere.
    pub fn get_url(&self, url: Url) -> Request {
        let fault = (!forge_url::same_origin(&self.0.base, &url)).then(|| {
            Error::new(
                ErrorKind::AddressRefused,
                format!("the forge names a cross-origin address at {}", url.host_str().unwrap_or_default()),
            )
            .with_hint("check that the base URL is the address that the forge itself uses (its external URL)")
        });
        self.new_request(Method::GET, url, fault)
    }

    fn request(&self, method: Method, path: &str) -> Request {
        let base = &self.0.base;
        let url = if is_plain(path) && base.query().is_none() && base.fragment().is_none() {
            forge_url::append(base, path).ok()
        } else {
            None
        };
        let fault = url
            .is_none()
            .then(|| Error::new(ErrorKind::InvalidInput, "the path is not plain and percent-encoded"));
        self.new_request(method, url.unwrap_or_else(|| base.clone()), fault)
    }

    fn new_request(&self, method: Method, url: Url, fault: Option<Error>) -> Request {
        let is_repeatable = !matches!(method, Method::POST | Method::PATCH);
        Request {
            api: self.clone(),
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            operation: None,
            is_repeatable,
            max_body: 10 * 1024 * 1024,
            allowed: Vec::new(),
            fault,
        }
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.0.http
    }

    fn pause_key(&self, origin: &str, credential: &Credential) -> PauseKey {
        PauseKey { origin: origin.to_owned(), credential: secret::fingerprint(credential.secret()) }
    }
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApiClient")
            .field("forge", &self.0.dialect.kind())
            .field("base", &forge_url::SafeUrl(&self.0.base))
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Adds query parameters; values are encoded here.
    pub fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        if !pairs.is_empty() {
            self.url.query_pairs_mut().extend_pairs(pairs);
        }
        self
    }

    /// Sends `value` as JSON.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.with_body(body, "application/json"),
            Err(_) => {
                self.fault
                    .get_or_insert_with(|| Error::new(ErrorKind::InvalidInput, "the body cannot be JSON"));
                self
            }
        }
    }

    /// Sends `pairs` as a form.
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.with_body(body.into_bytes(), "application/x-www-form-urlencoded")
    }

    /// Sends bytes as they are.
    pub fn bytes(self, body: impl Into<Bytes>, content_type: &'static str) -> Self {
        self.with_body(body, content_type)
    }

    fn with_body(mut self, body: impl Into<Bytes>, content_type: &'static str) -> Self {
        self.body = Some(body.into());
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self
    }

    /// Sets a header, in place of one that the dialect sets.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Names what is being done, for errors: `list hooks of group/shop`.
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Declares that doing it twice does no harm, so that it may be retried.
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Declares that doing it twice does harm whatever its method, so that it is never retried: a `GET` that spends a
    /// code. A lost answer is then an error, and whoever asked has to find out what became of it.
    pub fn once(mut self) -> Self {
        self.is_repeatable = false;
        self
    }

    /// The largest answer to take, after decompression. 10 MiB unless set.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Returns an answer with this status as good instead of as an error. Call it again for more.
    pub fn allow_status(mut self, status: u16) -> Self {
        self.allowed.push(status);
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// What the dialect makes of a status that is no success; [`ErrorKind::Timeout`], [`ErrorKind::Unreachable`],
    /// [`ErrorKind::AddressRefused`], [`ErrorKind::TooLarge`], [`ErrorKind::RateLimited`]; and whatever the
    /// credential provider says.
    pub async fn send(mut self) -> Result<Response> {
        let forge = self.api.0.dialect.kind();
        let outcome = self.send_whole().await;
        let (status, headers, body) = outcome.map_err(|error| self.name_error(error))?;
        Ok(Response { status, headers, url: self.url, body, forge, operation: self.operation })
    }

    /// Sends it and reads the answer as JSON.
    ///
    /// # Errors
    /// As [`Request::send`] and [`Response::json`].
    pub async fn fetch<T: DeserializeOwned>(self) -> Result<T> {
        self.send().await?.json()
    }

    /// Sends it and returns as soon as the headers are there; the body follows as a stream of at most `max_bytes`.
    /// A redirect is returned, not followed.
    ///
    /// # Errors
    /// As [`Request::send`], for all that happens before the body.
    pub async fn stream(mut self, max_bytes: u64) -> Result<StreamResponse> {
        self.allowed.extend([301, 302, 303, 307, 308]);
        let outcome = self.open().await;
        let response = outcome.map_err(|error| self.name_error(error))?;
        let url = self.url.clone();
        Ok(self.into_stream(response, url, max_bytes))
    }

    /// As [`Request::stream`], but follows at most `max_hops` redirects, each with a `GET`.
    ///
    /// Every hop passes the address guard, none may fall back from https to http, and once a hop has left the base
    /// URL's origin neither the credential nor any other header of ours goes along.
    ///
    /// # Errors
    /// As [`Request::stream`]; answers of later hops reach the dialect with [`Answer::hop`] above 0.
    pub async fn stream_following(mut self, max_bytes: u64, max_hops: usize) -> Result<StreamResponse> {
        self.allowed.extend([301, 302, 303, 307, 308]);
        let outcome = self.follow(max_hops).await;
        let (response, url) = outcome.map_err(|error| self.name_error(error))?;
        Ok(self.into_stream(response, url, max_bytes))
    }

    async fn follow(&mut self, max_hops: usize) -> Result<(reqwest::Response, Url)> {
        let mut response = self.open().await?;
        let mut url = self.url.clone();
        let mut is_at_home = true;
        for hop in 1..=max_hops + 1 {
            if !is_redirect(response.status()) {
                return Ok((response, url));
            }
            if hop > max_hops {
                break;
            }
            let next = redirect_target(&url, response.headers())?;
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(Error::new(
                    ErrorKind::AddressRefused,
                    "the forge redirects from https to an unencrypted address",
                ));
            }
            self.api.http().check_url(&next)?;
            is_at_home = is_at_home && forge_url::same_origin(&self.api.0.base, &next);
            url = next;
            response = self.try_often(&url, hop, is_at_home).await?;
        }
        Err(Error::new(ErrorKind::UnexpectedResponse, format!("more than {max_hops} redirects")))
    }

    fn into_stream(self, response: reqwest::Response, url: Url, max_bytes: u64) -> StreamResponse {
        let deadline = Instant::now() + self.api.http().stream_timeout();
        StreamResponse::new(response, url, max_bytes, deadline, self.api.0.dialect.kind(), self.operation)
    }

    /// What later pages of the same list take over from the first.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            headers: self.headers.clone(),
            operation: self.operation.clone(),
            max_body: self.max_body,
            allowed: self.allowed.clone(),
        }
    }

    pub(crate) fn with_settings(mut self, settings: Settings) -> Self {
        self.headers = settings.headers;
        self.operation = settings.operation;
        self.max_body = settings.max_body;
        self.allowed = settings.allowed;
        self
    }

    pub(crate) fn name_error(&self, error: Error) -> Error {
        let error = match error.forge() {
            Some(_) => error,
            None => error.with_forge(self.api.0.dialect.kind()),
        };
        match &self.operation {
            Some(operation) => error.with_operation(operation.clone()),
            None => error,
        }
    }

    async fn open(&mut self) -> Result<reqwest::Response> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        self.try_often(&self.url, 0, true).await
    }

    async fn send_whole(&mut self) -> Result<(StatusCode, HeaderMap, Bytes)> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let trip = Trip { url: &self.url, hop: 0, is_at_home: true, reads_body: true };
        let arrived = self.tries(trip).await?;
        Ok((arrived.response.status(), arrived.response.headers().clone(), arrived.body))
    }

    async fn try_often(&self, url: &Url, hop: usize, is_at_home: bool) -> Result<reqwest::Response> {
        let trip = Trip { url, hop, is_at_home, reads_body: false };
        Ok(self.tries(trip).await?.response)
    }

    /// Tries until it works, may not be tried again, or has been tried often enough.
    async fn tries(&self, trip: Trip<'_>) -> Result<Arrived> {
        let mut is_refreshed = false;
        let mut credential = self.credential_for(trip).await?;
        let mut tries = 0;
        loop {
            let failure = match self.try_once(trip, &credential).await {
                Ok(arrived) => return Ok(arrived),
                Err(failure) => failure,
            };
            let may_refresh = trip.is_at_home && credential.kind() != CredentialKind::None;
            if failure.status() == Some(401) && may_refresh && !is_refreshed {
                // Rejected unread, so even a POST may go again. Once only: a new token that is rejected too would
                // otherwise be refreshed for ever.
                is_refreshed = true;
                credential = self.api.0.credentials.refresh(&credential).await?;
                continue;
            }
            tries += 1;
            if !self.is_repeatable || tries >= MAX_TRIES || !is_worth_repeating(&failure) {
                return Err(failure);
            }
            let wait = match failure.retry() {
                Retry::After(wait) if wait > LONGEST_WAIT => return Err(failure),
                // Jitter on top, so that all who were told the same second do not come in that second.
                Retry::After(wait) => wait + jitter(Duration::from_millis(250)),
                _ => jitter(Duration::from_millis(500) * 2_u32.pow(tries)),
            };
            tracing::debug!(
                forge = %self.api.0.dialect.kind(),
                kind = failure.kind().as_str(),
                tries,
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "request is tried again"
            );
            tokio::time::sleep(wait).await;
            credential = self.credential_for(trip).await?;
        }
    }

    async fn credential_for(&self, trip: Trip<'_>) -> Result<Arc<Credential>> {
        if trip.is_at_home {
            self.api.0.credentials.credential().await
        } else {
            Ok(Arc::new(Credential::none()))
        }
    }

    async fn try_once(&self, trip: Trip<'_>, credential: &Credential) -> Result<Arrived> {
        let api = &*self.api.0;
        let mut headers = HeaderMap::new();
        if trip.is_at_home {
            headers = api.dialect.headers();
            for (name, value) in &self.headers {
                headers.insert(name, value.clone());
            }
            if credential.kind() != CredentialKind::None {
                let mut proof = HeaderMap::new();
                api.dialect.authorize(credential, &mut proof)?;
                for (name, mut value) in proof {
                    // Keeps it out of HTTP/2's header table and of the libraries' debug output.
                    value.set_sensitive(true);
                    if let Some(name) = name {
                        headers.insert(name, value);
                    }
                }
            }
        }
        let origin = trip.url.origin().ascii_serialization();
        let key = self.api.pause_key(&origin, credential);
        api.http.wait_for_turn(&key).await?;
        let _place = api.http.enter(&origin).await?;
        let round = async {
            let (method, body) =
                if trip.hop == 0 { (self.method.clone(), self.body.clone()) } else { (Method::GET, None) };
            let mut response = api.http.send(method, trip.url, headers, body).await?;
            let received_at = Timestamp::now();
            if trip.is_at_home {
                self.heed_rate_limit(&response, &key, received_at);
            }
            let status = response.status();
            if status.is_success() || self.allowed.contains(&status.as_u16()) {
                let body = if trip.reads_body {
                    client::read_body(&mut response, trip.url, self.max_body).await?
                } else {
                    Bytes::new()
                };
                return Ok(Arrived { response, body });
            }
            let body = client::read_start(&mut response, ERROR_BODY_BYTES).await;
            let body = without_secret(body, credential);
            let answer =
                Answer { status, headers: response.headers(), body: &body, received_at, hop: trip.hop };
            let error = api.dialect.classify(&answer);
            // A storage's limit is not kept: without a credential it would be everybody's.
            if let (true, ErrorKind::RateLimited, Retry::After(wait)) =
                (trip.is_at_home, error.kind(), error.retry())
            {
                api.http.pause(&key, wait);
            }
            Err(if error.status().is_some() { error } else { error.with_status(status.as_u16()) })
        };
        timeout(api.http.total_timeout(), round).await.unwrap_or_else(|_| {
            let host = trip.url.host_str().unwrap_or_default();
            Err(Error::new(ErrorKind::Timeout, format!("no complete answer from {host} in time")))
        })
    }

    fn heed_rate_limit(&self, response: &reqwest::Response, key: &PauseKey, now: Timestamp) {
        let Some(limit) = self.api.0.dialect.rate_limit(response.headers(), now) else { return };
        let (0, Some(resets_at)) = (limit.remaining, limit.resets_at) else { return };
        // At most a day, so that a wrong clock at the forge cannot silence us for ever.
        let seconds = resets_at.as_second().saturating_sub(now.as_second()).clamp(0, 86_400);
        self.api.http().pause(key, Duration::from_secs(seconds.unsigned_abs()));
    }
}

#[derive(Clone)]
pub(crate) struct Settings {
    headers: HeaderMap,
    operation: Option<String>,
    max_body: usize,
    allowed: Vec<u16>,
}

/// Where one try goes.
#[derive(Clone, Copy)]
struct Trip<'a> {
    url: &'a Url,
    hop: usize,
    is_at_home: bool,
    reads_body: bool,
}

struct Arrived {
    response: reqwest::Response,
    body: Bytes,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("url", &forge_url::SafeUrl(&self.url))
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// Whether a path stays where it is put: no dot segments (a repository may be called `..`), in no disguise that the URL
/// standard undoes (`%2e`, backslashes, tabs), and no fragment.
fn is_plain(path: &str) -> bool {
    let place = path.split_once('?').map_or(path, |(place, _)| place);
    !path.bytes().any(|byte| byte <= b' ' || byte == b'\\' || byte == b'#')
        && !place
            .split('/')
            .any(|segment| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

/// A proxy's or forge's error page may repeat what it was sent; the token must not come back into our messages.
fn without_secret(body: Bytes, credential: &Credential) -> Bytes {
    let secret = credential.secret().expose_secret().as_bytes();
    if secret.len() < 8 || !body.windows(secret.len()).any(|window| window == secret) {
        return body;
    }
    let text = String::from_utf8_lossy(&body).replace(credential.secret().expose_secret(), "***");
    text.into()
}

fn is_worth_repeating(failure: &Error) -> bool {
    if failure.retry() == Retry::Never {
        return false;
    }
    match failure.kind() {
        ErrorKind::RateLimited => true,
        ErrorKind::Timeout | ErrorKind::Unreachable => {
            failure.status().is_none() || failure.status() == Some(408)
        }
        _ => matches!(failure.status(), Some(429 | 502..=504)),
    }
}

/// Somewhere between nothing and `most`.
fn jitter(most: Duration) -> Duration {
    most.mul_f64(rand::random::<f64>())
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn redirect_target(from: &Url, headers: &HeaderMap) -> Result<Url> {
    headers
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| from.join(location).ok())
        .ok_or_else(|| Error::new(ErrorKind::UnexpectedResponse, "the redirect names no usable address"))
}
