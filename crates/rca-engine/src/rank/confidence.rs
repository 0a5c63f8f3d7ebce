//! How often a claim is right, as measured on labelled logs with `examples/calibrate.rs`.
//!
//! Two signs tell claims that hold from those that do not: how far the line leads the best line of
//! another step, and whether the job went on for long after it. General wording caps both. More signs did not help on projects
//! that the fit had not seen.

use super::{Ranked, is_cause};

/// Points of lead over the best line of another step that say as much as any larger lead.
const FULL_LEAD: f64 = 60.0;
/// Lines that say less than this are no rivals.
const RIVAL: i32 = 35;

/// How often a claim was right, at leads of 0, 20, 40 and 60 points. Written by `examples/calibrate.rs`.
const RIGHT: [f64; 4] = [0.68, 0.82, 0.90, 0.95];
/// The same where the job went on for long after the line.
const RIGHT_WENT_ON: [f64; 4] = [0.16, 0.29, 0.46, 0.64];

/// Wording that is no tool's own, such as a line that begins with `error:`, was right no more often than this.
const RIGHT_GENERAL: f64 = 0.78;
/// Rules of less weight have such wording.
const GENERAL: i32 = 45;

/// What the confidence in a claim rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Signs {
    /// The lead over the best line of another step: 0 is none, 1 is as much as matters.
    pub lead: f64,
    /// The job went on for long after the line, so it survived it.
    pub went_on: bool,
    /// The wording is no tool's own.
    pub general: bool,
    /// No passing log of the same job has the line.
    pub novel: bool,
}

impl Signs {
    pub(super) fn of(ranked: &[Ranked<'_>], best: &Ranked<'_>) -> Self {
        let rival = ranked
            .iter()
            .filter(|item| is_cause(item) && item.candidate.weight >= RIVAL)
            .filter(|item| item.candidate.step != best.candidate.step)
            .map(|item| item.score)
            .max();
        let lead = rival.map_or(FULL_LEAD, |rival| f64::from(best.score.saturating_sub(rival)));
        Self {
            lead: lead.clamp(0.0, FULL_LEAD) / FULL_LEAD,
            went_on: best.doubt,
            general: best.candidate.weight < GENERAL,
            novel: best.candidate.novel == Some(true),
        }
    }

    /// How often a claim of this kind is right. Only additions and products, so that it is the same
    /// number on every machine.
    pub(super) fn confidence(self) -> f64 {
        let table = if self.went_on { RIGHT_WENT_ON } else { RIGHT };
        let place = self.lead * (table.len() - 1) as f64;
        let below = (place as usize).min(table.len() - 2);
        let (Some(low), Some(high)) = (table.get(below), table.get(below + 1)) else { return 0.0 };
        let right = low + (high - low) * (place - below as f64);
        let right = if self.general { right.min(RIGHT_GENERAL) } else { right };
        let right = if self.novel { right.midpoint(1.0) } else { right };
        (right * 1000.0).round() / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::Signs;

    #[test]
    fn confidence_rises_with_the_lead() {
        let stated = |lead, went_on, novel| Signs { lead, went_on, novel, general: false }.confidence();
        for (went_on, novel) in [(false, false), (true, false), (false, true)] {
            let all: Vec<f64> = (0..=60).map(|lead| stated(f64::from(lead) / 60.0, went_on, novel)).collect();
            assert!(all.is_sorted() && all.iter().all(|value| (0.0..=1.0).contains(value)), "{all:?}");
        }
        let general = Signs { lead: 1.0, went_on: false, novel: false, general: true };
        assert!(general.confidence() < stated(1.0, false, false));
        assert!(stated(1.0, true, false) < stated(1.0, false, false));
        assert!(stated(1.0, false, false) < stated(1.0, false, true));
    }
}
