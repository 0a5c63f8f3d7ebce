#![doc = include_str!("../README.md")]

pub mod analyses;
pub mod app;
mod channels;
mod clusters;
pub mod connect;
mod credentials;
mod error;
mod flow;
mod health;
pub mod ingest;
mod integrations;
pub mod introduced_by;
mod jobs;
pub mod markdown;
mod members;
mod monitor;
mod notices;
mod operations;
pub mod policy;
mod receive;
pub mod render;
mod reports;
mod rerun;
mod runs;
pub mod settings;
mod stats;
pub mod types;
mod watch;
mod webhook_only;
mod wide_hooks;
mod worker;

pub use error::{FlowError, FlowErrorKind, Result};
pub use flow::{Caller, Flow, FlowConfig, Providers};
pub use receive::Refused;
pub use worker::Worker;
