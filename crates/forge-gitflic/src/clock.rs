//! Times as GitFlic prints them.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::Offset};

/// Reads times. Pipelines and jobs have times without a zone, commits such with `Z`, and now and then a placeholder of
/// a missing translation stands there; none of that is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock(Offset);

impl Clock {
    pub(crate) const MOSCOW: Self = Self(Offset::constant(3));

    pub(crate) const fn new(offset: Offset) -> Self {
        Self(offset)
    }

    pub(crate) fn read(self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(at);
        }
        self.0.to_timestamp(text.parse::<DateTime>().ok()?).ok()
    }

    /// How far a time without a zone may be off, when it was UTC after all.
    pub(crate) fn doubt(self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.0.seconds()).abs())
    }

    /// `at` if it had been printed in UTC.
    pub(crate) fn as_if_utc(self, at: Timestamp) -> Timestamp {
        at.checked_add(SignedDuration::from_secs(i64::from(self.0.seconds()))).unwrap_or(at)
    }
}
