//! What the language model said of failures that are alike, so that a failure of seven jobs costs one request.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use rca_engine::Report;
use sha2::{Digest as _, Sha256};

/// So many failures are remembered, those that came last.
const MOST: usize = 1_000;

/// An answer that held for the first who asked. Whoever holds the lock asks for all who wait for it.
pub(super) type Answer = Arc<tokio::sync::Mutex<Option<String>>>;

/// Of this process, and forgotten with it. An answer is used for its own workspace alone, and only after the check of the
/// report that it is used for.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<[u8; 32], Answer>,
    /// The oldest first.
    order: VecDeque<[u8; 32]>,
}

impl Answers {
    /// The place of the answer for failures that the engine tells of in the same words.
    pub(super) fn of(&self, workspace: &str, report: &Report) -> Answer {
        let mut hash = Sha256::new();
        let parts =
            [workspace, &report.fingerprint, &report.root_cause, &report.explanation, &report.fix_suggestion];
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let key: [u8; 32] = hash.finalize().into();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = kept.answers.get(&key) {
            return Arc::clone(answer);
        }
        while kept.order.len() >= MOST
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.answers.remove(&oldest);
        }
        kept.order.push_back(key);
        let answer = Answer::default();
        kept.answers.insert(key, Arc::clone(&answer));
        answer
    }
}
