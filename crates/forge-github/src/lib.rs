#![doc = include_str!("../README.md")]

mod app;
mod builder;
mod check_runs;
mod ci;
mod client;
mod error;
mod facts;
mod feedback;
mod hooks;
mod oauth;
mod provider;
mod pull_requests;
mod repos;
mod webhook;
mod wire;

pub use builder::GitHubBuilder;
pub use provider::GitHub;
pub use webhook::GitHubWebhooks;
