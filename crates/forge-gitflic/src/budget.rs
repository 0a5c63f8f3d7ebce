//! The hourly limit, kept on our side because GitFlic does not say what is left.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use forge_core::{Credential, secret};
use forge_http::RateLimit;
use jiff::{SignedDuration, Timestamp};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The budgets of all tokens, so that two clients with one token share one.
#[derive(Debug, Default)]
pub(crate) struct Budgets(Mutex<HashMap<(String, String), Arc<Budget>>>);

impl Budgets {
    /// The budget of a token at an origin. Those that nobody holds and that are whole again are forgotten.
    pub(crate) fn of(&self, origin: &str, credential: &Credential, limit: u32) -> Arc<Budget> {
        let key = (origin.to_owned(), secret::fingerprint(credential.secret()));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        all.retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.is_whole(now));
        Arc::clone(all.entry(key).or_insert_with(|| Arc::new(Budget::new(limit))))
    }
}

/// The times of the last hour's answers.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    spent: Mutex<VecDeque<Timestamp>>,
}

impl Budget {
    fn new(limit: u32) -> Self {
        Self { limit: usize::try_from(limit.max(1)).unwrap_or(usize::MAX), spent: Mutex::default() }
    }

    fn is_whole(&self, now: Timestamp) -> bool {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.back().is_none_or(|at| now.duration_since(*at) >= HOUR)
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
