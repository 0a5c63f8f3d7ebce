//! The keys that are in force: those of the key file, read again when it was replaced, so that a rotation reaches
//! processes that run.

use crate::seal::KeyRing;
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

/// What tells one state of the key file from the next: it is replaced as a whole, and rotation changes its length.
type Stamp = Option<(SystemTime, u64)>;

pub(crate) struct LiveKeys {
    state: RwLock<(KeyRing, Stamp)>,
}

impl LiveKeys {
    pub(crate) fn new(ring: KeyRing) -> Self {
        let stamp = stamp(&ring);
        Self { state: RwLock::new((ring, stamp)) }
    }

    /// The ring to seal and open with now. Take it once per operation: it may be another one the next time.
    pub(crate) fn current(&self) -> KeyRing {
        let (ring, seen) = self.state.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now = stamp(&ring);
        // A file that is away keeps the keys that are known: they still open everything that was sealed.
        if now.is_none() || now == seen {
            return ring;
        }
        match ring.read_again() {
            Ok(new) => {
                tracing::info!(keys = ?new, "the master key file was replaced; its keys are in force");
                if let Ok(mut state) = self.state.write() {
                    *state = (new.clone(), now);
                }
                new
            }
            Err(error) => {
                tracing::warn!(%error, "the master key file was replaced by one that cannot be used; the keys known so far stay");
                if let Ok(mut state) = self.state.write() {
                    state.1 = now;
                }
                ring
            }
        }
    }
}

impl fmt::Debug for LiveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current().fmt(f)
    }
}

fn stamp(ring: &KeyRing) -> Stamp {
    let metadata = std::fs::metadata(ring.file()?).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
