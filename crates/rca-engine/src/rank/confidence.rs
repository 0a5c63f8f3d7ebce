//! How often a claim of each kind is right, measured on labelled logs with `examples/calibrate.rs`.

use super::{Ranked, is_cause};
use crate::analyzer::Reader;
use crate::report::Category;

/// Specific wording, and nothing else competes.
const CLEAR: f64 = 0.95;
/// The same, but the log does not say which step failed.
const NO_STEP: f64 = 0.94;
/// A cause of another kind scored almost as much.
const RIVAL: f64 = 0.93;
/// Wording that several tools share.
const SHARED: f64 = 0.92;
/// The job went on for long after it.
const WENT_ON: f64 = 0.50;
/// General wording, such as a line that begins with `error:`.
const GENERAL: f64 = 0.65;
/// Hardly more than a word.
const GUESS: f64 = 0.45;

/// How often a claim of this kind is right.
pub(super) fn confidence(reader: &Reader, ranked: &[Ranked<'_>], best: &Ranked<'_>) -> f64 {
    let category = best.rule.map(|rule| rule.category);
    let rival = ranked.iter().any(|item| {
        is_cause(item)
            && item.candidate.weight >= 45
            && item.score > best.score - 8
            && item.rule.map(|rule| rule.category.domain()) != category.map(Category::domain)
    });
    let known_step = reader.steps.has_failed_command() || reader.steps.job_failed.is_some();
    let stated: f64 = match best.candidate.weight {
        ..35 => GUESS,
        35..45 => GENERAL,
        _ if best.doubt => WENT_ON,
        45..60 => SHARED,
        _ if rival => RIVAL,
        _ if !known_step => NO_STEP,
        _ => CLEAR,
    };
    if best.candidate.novel == Some(true) { stated.midpoint(1.0) } else { stated }
}
