#![doc = include_str!("../README.md")]

mod analyzer;
#[cfg(feature = "archives")]
pub mod archive;
mod baseline;
mod blocks;
mod candidate;
mod custom;
mod detectors;
mod frame;
mod input;
mod literals;
mod rank;
mod recognised;
pub mod redact;
pub mod render;
mod report;
mod rules;
mod steps;
mod template;
#[cfg(feature = "rules")]
mod user_rules;

/// The version of the engine: the same version gives the same report for the same log, rules and baseline.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Tells one set of detectors from another, also between builds of one version: a hash of their rules, in hex. Whoever
/// keeps reports to use them again should ask for this besides [`VERSION`].
#[must_use]
pub fn detectors_digest() -> &'static str {
    static DIGEST: std::sync::LazyLock<String> = std::sync::LazyLock::new(detectors::digest);
    &DIGEST
}

pub use crate::analyzer::{Analyzer, Options, analyze};
pub use crate::baseline::{Baseline, BaselineError, Learner};
pub use crate::custom::{Detector, Finding};
#[doc(hidden)]
pub use crate::rank::Signs;
pub use crate::recognised::{Recognised, recognised};
pub use crate::redact::{Redactions, Redactor};
pub use crate::render::HumanOptions;
pub use crate::report::{
    BaselineSummary, Category, Consequence, Domain, Evidence, EvidenceRole, Failing, FailingTest, Location,
    LogSummary, Report, Retry, SCHEMA, Severity, Status, StepStatus, StepSummary,
};
#[cfg(feature = "rules")]
pub use crate::user_rules::{RuleHits, Rules, RulesError};
