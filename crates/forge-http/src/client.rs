//! The one HTTP client: addresses guarded, time and concurrency bounded, nothing followed by itself.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use forge_core::{Error, ErrorKind, Result, Retry, url::SafeUrl};
use http::{HeaderMap, Method};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use url::Url;

use crate::egress_guard::{Guard, IpNetwork, Refusal, Resolve, ResolverHook, SystemResolver};

/// The longest wait that a call takes upon itself; longer ones go back to the caller as an error.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A client for all requests of a program. Cheap to clone; clones share connections and limits.
///
/// Redirects are never followed by itself, proxies are never taken from the environment, and every address is judged
/// when it is connected to.
#[derive(Clone)]
pub struct HttpClient(Arc<Shared>);

struct Shared {
    client: reqwest::Client,
    guard: Arc<Guard>,
    has_proxy: bool,
    total_timeout: Duration,
    stream_timeout: Duration,
    max_concurrency_per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    pauses: Mutex<HashMap<PauseKey, Instant>>,
}

/// A forge counts requests per credential, so one user's exhausted budget must not hold up another's requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PauseKey {
    pub(crate) origin: String,
    pub(crate) credential: String,
}

/// Settings of an [`HttpClient`]. Everything is closed until it is opened.
#[derive(Debug, Clone)]
pub struct HttpClientBuilder {
    user_agent: String,
    connect_timeout: Duration,
    read_timeout: Duration,
    total_timeout: Duration,
    stream_timeout: Duration,
    proxy: Option<Url>,
    root_certificates: Vec<Vec<u8>>,
    allowed: Vec<IpNetwork>,
    is_http_allowed: bool,
    is_metadata_allowed: bool,
    resolver: Arc<dyn Resolve>,
    max_concurrency_per_host: usize,
}

impl HttpClient {
    /// Begins with the defaults.
    #[must_use]
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder {
            user_agent: concat!("forge-rca/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(15 * 60),
            proxy: None,
            root_certificates: Vec::new(),
            allowed: Vec::new(),
            is_http_allowed: false,
            is_metadata_allowed: false,
            resolver: Arc::new(SystemResolver),
            max_concurrency_per_host: 8,
        }
    }

    /// Judges a URL that a person gave, as far as that is possible without resolving its name: scheme, user
    /// information, literal addresses. The name's addresses are judged at every connect.
    ///
    /// # Errors
    /// [`ErrorKind::AddressRefused`].
    pub fn check_url(&self, url: &Url) -> Result<()> {
        self.0.guard.check_url(url)
    }

    /// Sends one request once. Redirects come back as answers.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<reqwest::Response> {
        self.0.guard.check_url(url)?;
        if self.0.has_proxy {
            // Behind a proxy our connector sees only the proxy; the target is judged here or not at all.
            if let Some(host) = url.domain() {
                self.0.guard.resolve(host).await.map_err(|cause| {
                    find_refusal(&cause).map_or_else(
                        || {
                            Error::new(ErrorKind::Unreachable, format!("cannot resolve '{host}'"))
                                .with_hint("names are checked here even when a proxy connects")
                        },
                        Refusal::into_error,
                    )
                })?;
            }
        }
        let mut request = self.0.client.request(method, url.clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().await.map_err(|cause| transport_error(cause, url))
    }

    /// Waits for a free place at the host. The permit is kept until the answer is read.
    pub(crate) async fn enter(&self, origin: &str) -> Result<OwnedSemaphorePermit> {
        let places = {
            let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            if hosts.len() > 1000 {
                hosts.retain(|_, places| Arc::strong_count(places) > 1);
            }
            Arc::clone(
                hosts
                    .entry(origin.to_owned())
                    .or_insert_with(|| Arc::new(Semaphore::new(self.0.max_concurrency_per_host))),
            )
        };
        // The semaphore is never closed.
        places
            .acquire_owned()
            .await
            .map_err(|_| Error::new(ErrorKind::Unreachable, "the client is shut down"))
    }

    /// Waits until the forge wants to hear from us again, or says how long that would be.
    pub(crate) async fn wait_for_turn(&self, key: &PauseKey) -> Result<()> {
        loop {
            let until = {
                let mut pauses = self.0.pauses.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                match pauses.get(key) {
                    Some(until) if *until > now => *until,
                    Some(_) => {
                        pauses.remove(key);
                        return Ok(());
                    }
                    None => return Ok(()),
                }
            };
            let wait = until.saturating_duration_since(Instant::now());
            if wait > LONGEST_WAIT {
                return Err(Error::new(ErrorKind::RateLimited, "the forge's rate limit is used up")
                    .with_retry(Retry::After(wait)));
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Nothing more goes out under `key` for `wait`.
    pub(crate) fn pause(&self, key: &PauseKey, wait: Duration) {
        let now = Instant::now();
        let until = now + wait;
        let mut pauses = self.0.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.retain(|_, until| *until > now);
        let entry = pauses.entry(key.clone()).or_insert(until);
        *entry = (*entry).max(until);
    }

    pub(crate) fn total_timeout(&self) -> Duration {
        self.0.total_timeout
    }

    pub(crate) fn stream_timeout(&self) -> Duration {
        self.0.stream_timeout
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpClient")
            .field("has_proxy", &self.0.has_proxy)
            .field("allowed_networks", &self.0.guard.allowed)
            .field("is_http_allowed", &self.0.guard.is_http_allowed)
            .finish_non_exhaustive()
    }
}

impl HttpClientBuilder {
    /// What the client calls itself.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// How long a connection may take to be made, TLS included. 10 seconds unless set.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long nothing may arrive. 30 seconds unless set.
    #[must_use]
    pub fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long one try of an API call may take with its whole answer, and how long the headers of a stream may take.
    /// 60 seconds unless set.
    #[must_use]
    pub fn with_total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// How long a stream may take in all, so that one byte now and then does not hold it open for ever. 15 minutes
    /// unless set.
    #[must_use]
    pub fn with_stream_timeout(mut self, timeout: Duration) -> Self {
        self.stream_timeout = timeout;
        self
    }

    /// Connects through this proxy. Without it none is used, whatever the environment says.
    ///
    /// The proxy's own address passes the same guard, and so does each target: its name has to resolve here too.
    #[must_use]
    pub fn with_proxy(mut self, proxy: &Url) -> Self {
        self.proxy = Some(proxy.clone());
        self
    }

    /// Trusts the certificates in this PEM text besides those of the system.
    #[must_use]
    pub fn with_root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.root_certificates.push(pem.to_vec());
        self
    }

    /// Allows these networks although they are not global. Adds to what was allowed before.
    #[must_use]
    pub fn with_allowed_networks(mut self, networks: impl IntoIterator<Item = IpNetwork>) -> Self {
        self.allowed.extend(networks);
        self
    }

    /// Allows `http:`. Credentials then travel readable: only for tests and closed networks.
    #[must_use]
    pub fn with_http_allowed(mut self, is_allowed: bool) -> Self {
        self.is_http_allowed = is_allowed;
        self
    }

    /// Dangerous: lifts the separate ban on metadata and link-local addresses. They still have to be in an allowed
    /// network.
    #[must_use]
    pub fn with_metadata_allowed(mut self, is_allowed: bool) -> Self {
        self.is_metadata_allowed = is_allowed;
        self
    }

    /// Resolves names with `resolver`; its answers are judged like the system's.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// How many requests may be under way at one host at a time. 8 unless set; at least 1.
    #[must_use]
    pub fn with_max_concurrency_per_host(mut self, max: usize) -> Self {
        self.max_concurrency_per_host = max.max(1);
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when a certificate, the proxy or the user agent is not usable, when the machine has
    /// no CA certificates, or when no TLS provider is installed (feature `rustls-ring` off);
    /// [`ErrorKind::AddressRefused`] when the proxy's address is not allowed.
    pub fn build(self) -> Result<HttpClient> {
        install_tls_provider()?;
        let guard = Arc::new(Guard {
            allowed: self.allowed,
            is_http_allowed: self.is_http_allowed,
            is_metadata_allowed: self.is_metadata_allowed,
            resolver: self.resolver,
        });
        let mut builder = reqwest::Client::builder()
            .user_agent(self.user_agent)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(self.max_concurrency_per_host)
            .http2_max_header_list_size(64 * 1024)
            .http1_max_headers(200)
            .dns_resolver(Arc::new(ResolverHook(Arc::clone(&guard))));
        let has_proxy = self.proxy.is_some();
        if let Some(proxy) = self.proxy {
            guard.check_literal(&proxy).map_err(|refusal| {
                refusal.into_error().with_operation(format!("use the proxy {}", SafeUrl(&proxy)))
            })?;
            let proxy = reqwest::Proxy::all(proxy.clone()).map_err(|_| {
                Error::new(ErrorKind::InvalidInput, format!("{} is no usable proxy", SafeUrl(&proxy)))
                    .with_hint("write http://host:port or https://host:port")
            })?;
            builder = builder.proxy(proxy);
        }
        for pem in &self.root_certificates {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, "the CA certificate is not readable PEM")
                        .with_hint("give one or more BEGIN CERTIFICATE blocks")
                })?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|cause| {
            Error::new(ErrorKind::InvalidInput, "cannot make the HTTP client")
                .with_hint("check that the system has CA certificates (package ca-certificates)")
                .with_source(cause.without_url())
        })?;
        Ok(HttpClient(Arc::new(Shared {
            client,
            guard,
            has_proxy,
            total_timeout: self.total_timeout,
            stream_timeout: self.stream_timeout,
            max_concurrency_per_host: self.max_concurrency_per_host,
            hosts: Mutex::default(),
            pauses: Mutex::default(),
        })))
    }
}

/// The HTTP library panics without a provider, so there has to be one before it is asked.
fn install_tls_provider() -> Result<()> {
    #[cfg(feature = "rustls-ring")]
    {
        // Fails only when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    if rustls::crypto::CryptoProvider::get_default().is_some() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "no TLS provider is installed")
        .with_hint("switch on the feature rustls-ring, or install a rustls provider first"))
}

/// What a transport failure means. The library's text is kept as the cause, without the URL.
pub(crate) fn transport_error(cause: reqwest::Error, url: &Url) -> Error {
    if let Some(refusal) = find_refusal(&cause) {
        return refusal.into_error().with_unsent();
    }
    // There was no connection to write on.
    let is_unsent = cause.is_connect() || cause.is_builder();
    let host = url.host_str().unwrap_or_default();
    let (kind, message, hint) = if cause.is_timeout() {
        (ErrorKind::Timeout, format!("no answer from {host} in time"), None)
    } else if is_certificate_fault(&cause) {
        (
            ErrorKind::Unreachable,
            format!("the certificate of {host} is not trusted"),
            Some("if it is signed by an own CA, add that CA's certificate"),
        )
    } else if cause.is_connect() {
        (
            ErrorKind::Unreachable,
            format!("cannot connect to {host}"),
            Some("check the host name, the network and the firewall"),
        )
    } else if cause.is_builder() {
        (ErrorKind::InvalidInput, "the request cannot be built".to_owned(), None)
    } else if cause.is_decode() && !is_body_fault(&cause) {
        (ErrorKind::UnexpectedResponse, format!("the answer of {host} cannot be decoded"), None)
    } else {
        (ErrorKind::Unreachable, format!("the connection to {host} broke"), None)
    };
    let is_final = is_certificate_fault(&cause);
    let mut error = Error::new(kind, message).with_source(cause.without_url());
    if is_final {
        error = error.with_retry(Retry::Never);
    }
    if is_unsent {
        error = error.with_unsent();
    }
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Reads the body up to `limit` bytes, counted after decompression.
///
/// # Errors
/// [`ErrorKind::TooLarge`] as soon as the limit is passed.
pub(crate) async fn read_body(response: &mut reqwest::Response, url: &Url, limit: usize) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|cause| transport_error(cause, url))? {
        if body.len() + chunk.len() > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the answer is larger than {limit} bytes, the limit of this call"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads the beginning of a body, for error messages; a failure on the way only shortens it.
pub(crate) async fn read_start(response: &mut reqwest::Response, limit: usize) -> Bytes {
    let mut body = BytesMut::new();
    while body.len() < limit {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = limit - body.len();
                body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            }
            Ok(None) | Err(_) => break,
        }
    }
    body.freeze()
}

fn find_refusal(error: &(dyn StdError + 'static)) -> Option<Refusal> {
    find_cause(error, |cause| cause.downcast_ref::<Refusal>().cloned())
}

fn is_certificate_fault(error: &(dyn StdError + 'static)) -> bool {
    find_cause(error, |cause| {
        matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
            .then_some(())
    })
    .is_some()
}

/// The library calls a body that breaks off a decoding fault and keeps the real one as its cause.
fn is_body_fault(error: &(dyn StdError + 'static)) -> bool {
    find_cause(error, |cause| {
        cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_body).then_some(())
    })
    .is_some()
}

fn find_cause<T>(
    error: &(dyn StdError + 'static),
    wanted: impl Fn(&(dyn StdError + 'static)) -> Option<T>,
) -> Option<T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = wanted(cause) {
            return Some(found);
        }
        // An I/O error hides the error it wraps from `source`, which shows only that one's own cause.
        if let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            next = Some(inner);
        } else {
            next = cause.source();
        }
    }
    None
}
