//! GitHub adapter.
mod webhook;
mod wire;

pub use webhook::GitHubWebhooks;
