#![doc = include_str!("../README.md")]

mod analyzer;
mod baseline;
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
pub use crate::report::{
    BaselineSummary, Category, Consequence, Domain, Evidence, EvidenceRole, Failing, FailingTest, Location,
    LogSummary, Redactions, Report, Retry, SCHEMA, Severity, Status, StepStatus, StepSummary,
};
