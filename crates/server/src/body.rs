//! Reading request bodies: a limit for each, a budget over all, and no patience with trickles.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Largest delivery of GitHub: what it documents as its own cap.
pub const GITHUB_DELIVERY_LIMIT: usize = 25 * 1024 * 1024;
/// Largest delivery of every other forge.
pub const DELIVERY_LIMIT: usize = 5 * 1024 * 1024;
/// Largest JSON request that is not a log.
pub const JSON_LIMIT: usize = 1024 * 1024;
/// Largest log that can be pushed in.
pub const LOG_LIMIT: usize = 10 * 1024 * 1024;

/// The budget is counted in blocks of this size.
const BLOCK: usize = 16 * 1024;
/// A body that brings nothing for so long is given up.
const STALL: Duration = Duration::from_secs(10);
/// A body must be complete after so long.
const TOTAL: Duration = Duration::from_secs(30);

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Larger than the limit.
    TooLarge,
    /// Too slow.
    TooSlow,
    /// The connection broke.
    Broken,
    /// Too many bodies at once.
    Busy,
}

/// The memory that all request bodies share.
#[derive(Debug, Clone)]
pub struct BodyBudget(Arc<Semaphore>);

/// A body in memory, which gives its share of the budget back when dropped.
#[derive(Debug)]
pub struct HeldBody {
    /// The exact bytes.
    pub bytes: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl BodyBudget {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / BLOCK).clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Reads `body` up to `limit` bytes. What it takes from the budget grows with what has arrived, so that a huge
    /// `Content-Length` alone reserves nothing.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn read(&self, body: Body, limit: usize) -> Result<HeldBody, BodyError> {
        timeout(TOTAL, self.read_slowly(body, limit)).await.unwrap_or(Err(BodyError::TooSlow))
    }

    async fn read_slowly(&self, body: Body, limit: usize) -> Result<HeldBody, BodyError> {
        let mut stream = body.into_data_stream();
        let mut bytes = BytesMut::new();
        let mut permit: Option<OwnedSemaphorePermit> = None;
        while let Some(chunk) = timeout(STALL, stream.next()).await.map_err(|_| BodyError::TooSlow)? {
            let chunk = chunk.map_err(|_| BodyError::Broken)?;
            let length = bytes.len() + chunk.len();
            if length > limit {
                return Err(BodyError::TooLarge);
            }
            let wanted = length.div_ceil(BLOCK);
            let held = permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            if wanted > held {
                let more = u32::try_from(wanted - held).map_err(|_| BodyError::Busy)?;
                let more = Arc::clone(&self.0).try_acquire_many_owned(more).map_err(|_| BodyError::Busy)?;
                match &mut permit {
                    Some(permit) => permit.merge(more),
                    None => permit = Some(more),
                }
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(HeldBody { bytes: bytes.freeze(), _permit: permit })
    }
}
