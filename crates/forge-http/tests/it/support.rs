//! A dialect, clients, and a server that answers byte for byte what a test wants.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use forge_core::{
    Credential, CredentialKind, CredentialProvider, Error, ErrorKind, ForgeKind, Result, Retry,
    StaticCredential,
};
use forge_http::{
    Answer, ApiClient, Dialect, HttpClient, HttpClientBuilder, RateLimit, Resolve, default_classify,
};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use url::Url;

/// A token that must never be seen where it does not belong.
pub(crate) const CANARY: &str = "canary-7f3a9c51-token";

#[derive(Debug)]
pub(crate) struct TestDialect;

impl Dialect for TestDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::custom("testforge")
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("application/json"));
        headers.insert("x-api-version", HeaderValue::from_static("3"));
        headers
    }

    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let value = format!("Bearer {}", credential.secret().expose_secret());
        headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        if answer.hop > 0 && answer.status.as_u16() == 404 {
            return Error::new(ErrorKind::NotReady, "the storage has no such log yet").with_status(404);
        }
        default_classify(self.kind(), answer)
    }

    fn rate_limit(&self, headers: &HeaderMap, now: Timestamp) -> Option<RateLimit> {
        let number = |name| headers.get(name)?.to_str().ok()?.parse::<i64>().ok();
        Some(RateLimit {
            remaining: number("x-remaining")?.unsigned_abs(),
            resets_at: number("x-resets-in").map(|seconds| now + jiff::SignedDuration::from_secs(seconds)),
        })
    }
}

/// Loopback and http, and nothing else beyond the defaults.
pub(crate) fn builder() -> HttpClientBuilder {
    HttpClient::builder()
        .with_http_allowed(true)
        .with_allowed_networks(["127.0.0.0/8".parse().unwrap()])
        .with_resolver(Arc::new(Names::default()))
}

pub(crate) fn client() -> HttpClient {
    builder().build().unwrap()
}

pub(crate) fn api(base: &str) -> ApiClient {
    api_with(client(), base)
}

pub(crate) fn api_with(http: HttpClient, base: &str) -> ApiClient {
    let credential = Arc::new(StaticCredential::token(CANARY.to_owned().into()));
    ApiClient::new(http, Url::parse(base).unwrap(), credential, Arc::new(TestDialect))
}

/// Answers from a table; a name may have several answers in turn, the last of which stays.
#[derive(Debug, Default)]
pub(crate) struct Names {
    table: HashMap<&'static str, Vec<Vec<IpAddr>>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Names {
    pub(crate) fn with(mut self, host: &'static str, answers: &[&[&str]]) -> Self {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect())
            .collect();
        self.table.insert(host, answers);
        self
    }

    pub(crate) fn times_asked(&self, host: &str) -> usize {
        self.asked.lock().unwrap().get(host).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let turn = {
            let mut asked = self.asked.lock().unwrap();
            let turn = asked.entry(host.to_owned()).or_default();
            *turn += 1;
            *turn - 1
        };
        let answers = self.table.get(host).ok_or_else(|| io::Error::other("no such name"))?;
        Ok(answers[turn.min(answers.len() - 1)].clone())
    }
}

/// What one connection is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, then silence with the connection open.
    Stall(Vec<u8>),
    /// These bytes, as soon as there is a permit.
    Gate(Arc<Semaphore>, Vec<u8>),
    /// These bytes, then the second ones again and again with a pause, for ever.
    Drip(Vec<u8>, Vec<u8>, Duration),
}

impl Reply {
    pub(crate) fn new(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut text =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.push_str(body);
        Self::Bytes(text.into_bytes())
    }

    pub(crate) fn json(body: &str) -> Self {
        Self::new("200 OK", &[("content-type", "application/json")], body)
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::new(&format!("{status} Moved"), &[("location", location)], "")
    }
}

/// A server on the loopback that answers each request by its turn and remembers all that was sent to it.
#[derive(Debug, Clone)]
pub(crate) struct RawServer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl RawServer {
    /// Answers by turn; the last reply stays.
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        Self::start_with(move |turn, _request| replies[turn.min(replies.len() - 1)].clone()).await
    }

    /// Answers by turn and request text.
    pub(crate) async fn start_with(answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let answer = Arc::new(answer);
        let turn = Arc::new(AtomicUsize::new(0));
        let this = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (this, answer, turn) = (this.clone(), Arc::clone(&answer), Arc::clone(&turn));
                tokio::spawn(async move { this.serve(stream, &*answer, &turn).await });
            }
        });
        server
    }

    async fn serve(
        &self,
        mut stream: TcpStream,
        answer: &(dyn Fn(usize, &str) -> Reply + Send + Sync),
        turn: &AtomicUsize,
    ) {
        let Some(request) = read_request(&mut stream).await else { return };
        self.heard.lock().unwrap().push(request.clone());
        let reply = answer(turn.fetch_add(1, Ordering::SeqCst), &request);
        // A client that has heard enough closes first; that is no fault of the test.
        let _ = send(&mut stream, reply).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The requests as they came, head and body.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.ok()?;
        if count == 0 {
            return None;
        }
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                return Some(text);
            }
        }
    }
}

async fn send(stream: &mut TcpStream, reply: Reply) -> io::Result<()> {
    match reply {
        Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            // Until the client goes away.
            stream.read(&mut [0; 16]).await.map(|_| ())
        }
        Reply::Gate(gate, bytes) => {
            let _permit = gate.acquire().await.map_err(io::Error::other)?;
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Drip(head, again, pause) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&again).await?;
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Gives `old` until it is refreshed, then `new`, and counts.
#[derive(Debug)]
pub(crate) struct Refreshable {
    old: Arc<Credential>,
    new: Arc<Credential>,
    pub(crate) refreshes: AtomicUsize,
}

impl Refreshable {
    pub(crate) fn new(old: &str, new: &str) -> Arc<Self> {
        let credential =
            |token: &str| Arc::new(Credential::new(CredentialKind::OAuth, token.to_owned().into()));
        Arc::new(Self { old: credential(old), new: credential(new), refreshes: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl CredentialProvider for Refreshable {
    async fn credential(&self) -> Result<Arc<Credential>> {
        let is_refreshed = self.refreshes.load(Ordering::SeqCst) > 0;
        Ok(Arc::clone(if is_refreshed { &self.new } else { &self.old }))
    }

    async fn refresh(&self, _rejected: &Credential) -> Result<Arc<Credential>> {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::clone(&self.new))
    }
}

/// The whole of an error as a log would show it, causes included.
pub(crate) fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(&format!(" {next} {next:?}"));
        cause = next.source();
    }
    text
}

pub(crate) fn assert_after(error: &Error, at_least: u64, at_most: u64) {
    let Retry::After(wait) = error.retry() else { panic!("no time to come back in {error:?}") };
    assert!((at_least..=at_most).contains(&wait.as_secs()), "{wait:?}");
}
