#![doc = include_str!("../README.md")]

pub mod analyses;
pub mod app;
mod clusters;
pub mod connect;
mod credentials;
mod error;
mod flow;
mod health;
pub mod ingest;
mod integrations;
mod jobs;
pub mod markdown;
mod measures;
mod members;
mod monitor;
mod operations;
pub mod policy;
mod receive;
pub mod render;
mod reports;
pub mod settings;
mod stats;
pub mod types;
mod watch;
mod webhook_only;
mod wide_hooks;
mod worker;

pub use error::{FlowError, FlowErrorKind, Result};
pub use flow::{Caller, Flow, FlowConfig, Providers};
pub use measures::Measured;
pub use receive::Refused;
pub use worker::Worker;
