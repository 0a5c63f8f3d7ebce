//! What a process measures of its own work.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Sums since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Logs that the engine read to their end.
    pub logs: u64,
    /// Their bytes.
    pub log_bytes: u64,
    /// Time that the engine took for them, without waiting for the forge.
    pub engine_time: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Measures {
    logs: AtomicU64,
    log_bytes: AtomicU64,
    engine_nanoseconds: AtomicU64,
}

impl Measures {
    pub(crate) fn log_done(&self, bytes: u64, time: Duration) {
        self.logs.fetch_add(1, Ordering::Relaxed);
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.engine_nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Measured {
        Measured {
            logs: self.logs.load(Ordering::Relaxed),
            log_bytes: self.log_bytes.load(Ordering::Relaxed),
            engine_time: Duration::from_nanos(self.engine_nanoseconds.load(Ordering::Relaxed)),
        }
    }
}
