//! How much one token, one workspace, one hook, and one address without a valid token or proof, may ask for.
//!
//! Counted in this process alone and forgotten with it: a guard against floods and runaway clients, not a bill.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use forge_http::IpNetwork;
use http::{HeaderMap, StatusCode};

use crate::{app::AppState, error::ApiError, listener::Peer};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Buckets that are full again are forgotten when there are so many.
const MOST_BUCKETS: usize = 10_000;

/// What the operator allows; 0 is no limit.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Requests a minute of one token.
    pub requests_per_minute: u64,
    /// Requests a minute of all tokens of one workspace.
    pub workspace_requests_per_minute: u64,
    /// Bytes of logs a day that one token sends in.
    pub bytes_per_day: u64,
    /// Proved deliveries a minute of one hook.
    pub deliveries_per_minute: u64,
    /// Proved deliveries a minute of all hooks of one workspace.
    pub workspace_deliveries_per_minute: u64,
    /// Requests a minute of one address that prove nothing: without a valid token, or with a wrong proof.
    pub unproved_per_minute: u64,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNetwork>,
}

/// The counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Quotas(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    limits: Limits,
    requests: Buckets<String>,
    workspace_requests: Buckets<String>,
    deliveries: Buckets<String>,
    workspace_deliveries: Buckets<String>,
    bytes: Buckets<String>,
    unproved: Buckets<IpAddr>,
}

impl Quotas {
    /// Nothing is used yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Counts {
            requests: Buckets::new(limits.requests_per_minute, MINUTE),
            workspace_requests: Buckets::new(limits.workspace_requests_per_minute, MINUTE),
            deliveries: Buckets::new(limits.deliveries_per_minute, MINUTE),
            workspace_deliveries: Buckets::new(limits.workspace_deliveries_per_minute, MINUTE),
            bytes: Buckets::new(limits.bytes_per_day, DAY),
            unproved: Buckets::new(limits.unproved_per_minute, MINUTE),
            limits,
        }))
    }

    /// Counts a request of a token.
    ///
    /// # Errors
    /// 429 with the time after which it may come again.
    pub fn request(&self, workspace: &str, token: &str) -> Result<(), ApiError> {
        // The token first: one that asks too much does not use up what the others of its workspace have.
        self.0.requests.take(token.to_owned(), 1, Instant::now()).map_err(|wait| {
            let limit = self.0.limits.requests_per_minute;
            ApiError::too_many(
                format!("the token may make {limit} requests a minute: wait, or ask the operator for more"),
                wait,
            )
        })?;
        self.0.workspace_requests.take(workspace.to_owned(), 1, Instant::now()).map_err(|wait| {
            let limit = self.0.limits.workspace_requests_per_minute;
            ApiError::too_many(
                format!(
                    "the tokens of a workspace may make {limit} requests a minute: wait, or ask the operator for more"
                ),
                wait,
            )
        })
    }

    /// Counts a log that a token sent in.
    ///
    /// # Errors
    /// 429 with the time after which it may come again.
    pub fn log(&self, token: &str, bytes: usize) -> Result<(), ApiError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0.bytes.take(token.to_owned(), bytes, Instant::now()).map_err(|wait| {
            let limit = self.0.limits.bytes_per_day;
            ApiError::too_many(
                format!("the token may send {limit} bytes of logs a day: wait, or ask the operator for more"),
                wait,
            )
        })
    }

    /// Counts a request of `address` that proves nothing.
    fn unproved(&self, address: IpAddr) -> Result<(), ApiError> {
        self.0.unproved.take(address, 1, Instant::now()).map_err(|wait| {
            let text = "too many requests without a valid token or proof from this address: wait";
            ApiError::too_many(text, wait)
        })
    }

    /// The address that a request comes from: the last one in `X-Forwarded-For` that no trusted proxy has, and only if
    /// a trusted proxy speaks to us. What stands before it anybody can have written.
    fn address(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let is_trusted =
            |address: IpAddr| self.0.limits.trusted_proxies.iter().any(|network| network.contains(address));
        let mut address = peer.ip().to_canonical();
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        for hop in forwarded.into_iter().rev() {
            if !is_trusted(address) {
                break;
            }
            let Ok(next) = hop.trim().parse::<IpAddr>() else { break };
            address = next.to_canonical();
        }
        address
    }
}

/// Answers 429 instead of 401 to an address that has proved nothing too often. Who proves something is always let in:
/// many share an address behind a proxy, and a stranger's flood must not keep a forge's deliveries out. What is done for
/// a request until its proof has failed is bounded: its body by the budget of all bodies, then one hash.
pub async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        return next.run(request).await;
    };
    let address = state.quotas.address(peer, request.headers());
    let headers = request.headers().clone();
    let response = next.run(request).await;
    let is_unproved =
        response.status() == StatusCode::UNAUTHORIZED || response.extensions().get::<Unproved>().is_some();
    if !is_unproved {
        return response;
    }
    match state.quotas.unproved(address) {
        Ok(()) => response,
        Err(error) => {
            let refused = error.into_response();
            let Some(mut page) = dashboard::too_many_page(&headers) else { return refused };
            if let Some(wait) = refused.headers().get(http::header::RETRY_AFTER) {
                page.headers_mut().insert(http::header::RETRY_AFTER, wait.clone());
            }
            page
        }
    }
}

/// Marks an answer to a request that proved nothing and got something all the same. Health is not marked: whoever asks
/// for it behind the address of a flood would take us for dead.
#[derive(Debug, Clone, Copy)]
pub struct Unproved;

impl rca_flow::Admission for Quotas {
    fn admit(&self, workspace: &str, hook: &str) -> Result<(), Duration> {
        let at = Instant::now();
        // The hook first: one that is flooded does not use up what the others of its workspace have.
        self.0.deliveries.take(hook.to_owned(), 1, at)?;
        self.0.workspace_deliveries.take(workspace.to_owned(), 1, at)
    }
}

/// Token buckets that refill evenly over a period.
#[derive(Debug)]
struct Buckets<K> {
    /// The most that a bucket holds; 0 is no limit.
    size: u64,
    period: Duration,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(size: u64, period: Duration) -> Self {
        Self { size, period, buckets: Mutex::default() }
    }

    /// Takes `count`, or says how long to wait for it.
    fn take(&self, key: K, count: u64, now: Instant) -> Result<(), Duration> {
        if self.size == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_BUCKETS {
            buckets.retain(|_, bucket| self.refilled(*bucket, now) < self.size as f64);
        }
        let full = Bucket { left: self.size as f64, at: now };
        let bucket = buckets.entry(key).or_insert(full);
        let left = self.refilled(*bucket, now);
        // More than a whole bucket is let through when it is full; else it could never be.
        let wanted = (count as f64).min(self.size as f64);
        if left < wanted {
            return Err(self.time_for(wanted - left));
        }
        *bucket = Bucket { left: left - wanted, at: now };
        Ok(())
    }

    fn refilled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        let size = self.size as f64;
        (bucket.left + size * passed / self.period.as_secs_f64()).min(size)
    }

    fn time_for(&self, count: f64) -> Duration {
        self.period.mul_f64(count / self.size as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills_evenly() {
        let buckets = Buckets::new(60, MINUTE);
        let begin = Instant::now();
        for _ in 0..60 {
            assert_eq!(buckets.take("a", 1, begin), Ok(()));
        }
        let wait = buckets.take("a", 1, begin).unwrap_err();
        assert!((wait.as_secs_f64() - 1.0).abs() < 0.01, "{wait:?}");
        assert_eq!(buckets.take("b", 60, begin), Ok(()), "each has its own");
        assert_eq!(buckets.take("a", 1, begin + Duration::from_millis(1001)), Ok(()));
        assert!(buckets.take("a", 1, begin + Duration::from_millis(1002)).is_err());
        assert_eq!(
            buckets.take("a", 1000, begin + 2 * MINUTE),
            Ok(()),
            "more than a bucket needs a full one"
        );
        assert!(buckets.take("a", 1, begin + 2 * MINUTE).is_err());
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let quotas =
            Quotas::new(Limits { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Limits::default() });
        let of = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            quotas.address(SocketAddr::new(peer.parse().unwrap(), 1), &headers).to_string()
        };
        assert_eq!(of("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "a stranger's header is nothing");
        assert_eq!(of("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            of("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7",
            "what stands before is made up"
        );
        assert_eq!(of("10.0.0.1", &["1.1.1.1", "198.51.100.7"]), "198.51.100.7", "also in two headers");
        assert_eq!(of("10.0.0.1", &["not an address"]), "10.0.0.1");
        assert_eq!(of("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    }
}
