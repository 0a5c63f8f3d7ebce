#![doc = include_str!("../README.md")]

mod analyzer;
#[cfg(feature = "archives")]
pub mod archive;
mod baseline;
mod blocks;
mod candidate;
mod detectors;
mod frame;
mod input;
mod rank;
pub mod redact;
pub mod render;
mod report;
mod rules;
mod steps;
mod template;

pub use crate::analyzer::{Analyzer, Options, analyze};
pub use crate::baseline::{Baseline, Learner};
pub use crate::redact::{Redactions, Redactor};
pub use crate::render::HumanOptions;
pub use crate::report::{
    BaselineSummary, Category, Consequence, Domain, Evidence, EvidenceRole, Failing, FailingTest, Location,
    LogSummary, Report, Retry, SCHEMA, Severity, Status, StepStatus, StepSummary,
};
