//! A receiver of deliveries, for tests that have no server of their own.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{sync::Notify, task::AbortHandle, task::JoinSet};
use url::Url;

use crate::wire::code;

/// One delivery as it arrived.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Received {
    /// The path.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<(u16, Vec<Received>)>,
    arrived: Notify,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, (u16, Vec<Received>)> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A loopback server that takes every request, remembers it, and answers one status. Dropping it stops it.
#[derive(Debug)]
pub struct Receiver {
    url: Url,
    inbox: Arc<Inbox>,
    task: AbortHandle,
}

impl Receiver {
    /// Starts one that answers 204.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start() -> Self {
        let listener = crate::server::bind().await.expect("a loopback port for the receiver");
        let address = listener.local_addr().expect("a bound listener has an address");
        let url = Url::parse(&format!("http://{address}/hook")).expect("a loopback address is a URL");
        let inbox = Arc::new(Inbox::default());
        inbox.lock().0 = 204;
        let shared = Arc::clone(&inbox);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let inbox = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| take(Arc::clone(&inbox), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    // An error is a sender that went away.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { url, inbox, task: task.abort_handle() }
    }

    /// Where to deliver to.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The status of the next answers.
    pub fn set_status(&self, status: u16) {
        self.inbox.lock().0 = status;
    }

    /// Everything that has arrived, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.inbox.lock().1.clone()
    }

    /// Waits until at least `count` deliveries have arrived, and gives all.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        loop {
            let arrived = self.inbox.arrived.notified();
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            arrived.await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(inbox: Arc<Inbox>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), 32 * 1024 * 1024).await.unwrap_or_default();
    let status = {
        let mut inbox = inbox.lock();
        inbox.1.push(Received { path: parts.uri.path().to_owned(), headers: parts.headers, body });
        inbox.0
    };
    inbox.arrived.notify_one();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code(status);
    Ok(response)
}
