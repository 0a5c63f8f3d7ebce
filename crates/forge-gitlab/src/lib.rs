#![doc = include_str!("../README.md")]

mod provider;

mod builder;
mod client;
mod oauth;

mod ci;
mod facts;
mod feedback;
mod hooks;
mod repos;
mod webhook;

mod error;
mod reference;
mod status;
mod wire;

pub use builder::GitLabBuilder;
pub use provider::GitLab;
pub use webhook::GitLabWebhooks;
