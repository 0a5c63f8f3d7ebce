//! The listeners: everything is recorded, then faults, then the forge.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::{body::Incoming as HyperBody, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};

use crate::{
    deliver::{DeliveryOutcome, SignedRequest},
    dialect::{Callback, Dialect, Outcome},
    fault::Fault,
    record::{Listener, Recorded, method_matches, path_matches, presented},
    send::send,
    wire::{Incoming, Reply, ReplyBody, code},
    world::{Sent, World, shift},
};

const MAX_BODY: usize = 32 * 1024 * 1024;

pub(crate) struct Shared {
    pub(crate) dialect: Box<dyn Dialect>,
    pub(crate) root: String,
    world: Mutex<World>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(dialect: Box<dyn Dialect>, root: String, world: World) -> Self {
        Self { dialect, root, world: Mutex::new(world) }
    }

    /// A test that panicked while it held the lock must not hide its own message behind a second panic.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a delivery and remembers what came of it.
    pub(crate) async fn deliver(&self, request: SignedRequest) -> DeliveryOutcome {
        let outcome = request.send(self.dialect.delivery_timeout()).await;
        let mut world = self.world();
        let (id, at) = (world.next_large_id(), world.now());
        self.dialect.settle(&mut world, request.hook_id, &outcome);
        world.sent.push_back(Sent { id, request, outcome: outcome.clone(), at });
        if world.sent.len() > 10_000 {
            world.sent.pop_front();
        }
        outcome
    }
}

/// Stops its listener when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes a free loopback port; requests wait in the backlog until [`serve`].
pub(crate) async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
}

pub(crate) fn serve(listener: TcpListener, shared: &Arc<Shared>, which: Listener) -> Server {
    let shared = Arc::clone(shared);
    let task = tokio::spawn(async move {
        // Dropped with this task: that ends all connections.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        let service = service_fn(move |request| handle(Arc::clone(&shared), which, request));
                        let http = hyper::server::conn::http1::Builder::new();
                        // An error here is a client that went away, or a fault that we were told to make.
                        let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    });
                }
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    });
    Server { task: task.abort_handle() }
}

async fn handle(
    shared: Arc<Shared>,
    which: Listener,
    request: Request<HyperBody>,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), MAX_BODY).await.map_err(io::Error::other)?;
    let full_path = parts.uri.path().to_owned();
    let query = parts.uri.query();
    let index = {
        let mut world = shared.world();
        world.requests.push(Recorded {
            listener: which,
            method: parts.method.clone(),
            path: full_path.clone(),
            query: query.map(str::to_owned),
            headers: parts.headers.clone(),
            body: body.clone(),
            credential: presented(&parts.headers, query),
            status: 0,
        });
        world.requests.len() - 1
    };
    let incoming = |path: &str| {
        Incoming::new(parts.method.clone(), path.to_owned(), query, parts.headers.clone(), body.clone())
    };
    let reply = match which {
        Listener::BlobStore => crate::blob_store::answer(&mut shared.world(), &incoming(&full_path)),
        Listener::Forge => match full_path.strip_prefix(shared.root.as_str()) {
            Some(path) if path.starts_with('/') => answer(&shared, &incoming(path), index).await?,
            _ => {
                remember_unknown(&mut shared.world(), index);
                Reply::bytes(404, "text/html", Bytes::from_static(b"<html><body>404</body></html>"))
            }
        },
    };
    if let Some(record) = shared.world().requests.get_mut(index) {
        record.status = reply.status.as_u16();
    }
    Ok(reply.into_response())
}

fn remember_unknown(world: &mut World, index: usize) {
    if let Some(record) = world.requests.get(index).cloned() {
        world.unknown.push(record);
    }
}

async fn answer(shared: &Arc<Shared>, request: &Incoming, index: usize) -> io::Result<Reply> {
    let (fault, latency) = {
        let mut world = shared.world();
        (take_fault(&mut world, request), world.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let dialect = shared.dialect.as_ref();
    match fault {
        None => {}
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Close) => return Err(closed()),
        Some(Fault::CloseAfter) => {
            carry_out(shared, request, index).await;
            return Err(closed());
        }
        Some(Fault::Status(429)) => return Ok(dialect.rate_limited(None, None)),
        Some(Fault::RateLimited { retry_after }) => return Ok(dialect.rate_limited(None, retry_after)),
        Some(Fault::Status(status)) => return Ok(dialect.error(status)),
        Some(Fault::RetryAfter { status, seconds }) => {
            return Ok(dialect.error(status).with_header("retry-after", &seconds.to_string()));
        }
        Some(Fault::RetryAt(wait)) => {
            let date = httpdate(SystemTime::now() + wait);
            return Ok(dialect.rate_limited(None, None).with_header("retry-after", &date));
        }
        Some(Fault::Refused { status, message }) => {
            return Ok(Reply::json(status, &serde_json::json!({ "message": message })));
        }
        Some(Fault::Html(status)) => {
            let page =
                "<!DOCTYPE html><html><head><title>Gateway</title></head><body>try later</body></html>";
            return Ok(Reply::bytes(status, "text/html; charset=utf-8", Bytes::from_static(page.as_bytes())));
        }
        Some(Fault::WrongType) => {
            return Ok(Reply::bytes(200, "application/json", Bytes::from_static(b"\"unexpected\"")));
        }
        Some(Fault::TruncatedJson) => {
            let reply = carry_out(shared, request, index).await;
            let ReplyBody::Bytes(bytes) = reply.body else { return Ok(reply) };
            let mut cut = Reply::bytes(200, "application/json", bytes.slice(..bytes.len() * 2 / 3));
            cut.status = code(200);
            return Ok(cut);
        }
        Some(Fault::Redirect(status, location)) => return Ok(Reply::redirect(status, &location)),
    }
    Ok(carry_out(shared, request, index).await)
}

/// RFC 9110, section 5.6.7.
fn httpdate(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "closed on command")
}

fn take_fault(world: &mut World, request: &Incoming) -> Option<Fault> {
    let armed = world.faults.iter_mut().find(|armed| {
        armed.left > 0
            && method_matches(&armed.method, &request.method)
            && path_matches(&armed.pattern, &request.path)
    })?;
    armed.left -= 1;
    let fault = armed.fault.clone();
    world.faults.retain(|armed| armed.left > 0);
    Some(fault)
}

async fn carry_out(shared: &Arc<Shared>, request: &Incoming, index: usize) -> Reply {
    let dialect = shared.dialect.as_ref();
    let (outcome, limit) = {
        let mut world = shared.world();
        let limit = if dialect.is_api(&request.path) { spend(&mut world) } else { None };
        match limit {
            Some((limit, false)) => {
                let wait = limit.resets_at.as_second() - world.now().as_second();
                let wait = u64::try_from(wait).unwrap_or(0).max(1);
                return dialect.rate_limited(Some(&limit), Some(wait));
            }
            Some((limit, true)) => (dialect.route(&mut world, request), Some(limit)),
            None => (dialect.route(&mut world, request), None),
        }
    };
    let reply = match outcome {
        Outcome::Reply(reply) => reply,
        Outcome::Deliver(delivery, then) => then(&shared.deliver(*delivery).await),
        Outcome::ReplyThenDeliver(reply, delivery) => {
            let shared = Arc::clone(shared);
            tokio::spawn(async move { shared.deliver(*delivery).await });
            reply
        }
        Outcome::Callback(callback) => {
            let Callback { url, body, taken, refused } = *callback;
            let mut headers = http::HeaderMap::new();
            crate::deliver::put(&mut headers, "content-type", "application/json");
            let sent =
                send(Method::POST, &url, &headers, Bytes::from(body), dialect.delivery_timeout()).await;
            if sent.is_ok_and(|(status, _, _)| status.is_success()) { taken } else { refused }
        }
        Outcome::Unknown(reply) => {
            remember_unknown(&mut shared.world(), index);
            reply
        }
    };
    match limit {
        Some(limit) => dialect.with_rate_headers(reply, &limit),
        None => reply,
    }
}

/// Takes one request from the budget; whether there was one left.
fn spend(world: &mut World) -> Option<(crate::world::RateLimit, bool)> {
    let now = world.now();
    let limit = world.rate_limit.as_mut()?;
    if limit.resets_at <= now {
        limit.remaining = limit.limit;
        limit.resets_at = shift(now, window_seconds(limit.window));
    }
    let is_allowed = limit.remaining > 0;
    limit.remaining = limit.remaining.saturating_sub(1);
    Some((*limit, is_allowed))
}

pub(crate) fn window_seconds(window: Duration) -> i64 {
    i64::try_from(window.as_secs()).unwrap_or(i64::MAX).max(1)
}
