#![doc = include_str!("../README.md")]

mod builder;
mod ci;
mod client;
mod error;
mod facts;
mod feedback;
mod hooks;
mod log_source;
mod oauth;
mod provider;
mod repos;
mod version;
mod webhook;
mod wire;

pub use builder::BitbucketDcBuilder;
pub use log_source::{LogSource, LogSourceKind, LogSources};
pub use provider::BitbucketDc;
pub use webhook::BitbucketDcWebhooks;
