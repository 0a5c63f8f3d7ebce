//! The hourly limit, kept on our side because GitFlic does not say what is left.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use forge_http::RateLimit;
use jiff::{SignedDuration, Timestamp};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The times of the last hour's answers.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    spent: Mutex<VecDeque<Timestamp>>,
}

impl Budget {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit: usize::try_from(limit.max(1)).unwrap_or(usize::MAX), spent: Mutex::default() }
    }

    /// Counts one answer, and says what is left.
    pub(crate) fn spend(&self, now: Timestamp) -> RateLimit {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.push_back(now);
        while spent.front().is_some_and(|at| now.duration_since(*at) >= HOUR) || spent.len() > self.limit {
            spent.pop_front();
        }
        let left = self.limit - spent.len();
        let resets_at = spent.front().and_then(|at| at.checked_add(HOUR).ok());
        RateLimit { remaining: u64::try_from(left).unwrap_or(u64::MAX), resets_at }
    }
}
