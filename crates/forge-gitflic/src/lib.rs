#![doc = include_str!("../README.md")]

mod budget;
mod builder;
mod ci;
mod client;
mod clock;
mod error;
mod facts;
mod feedback;
mod hooks;
mod oauth;
mod page;
mod provider;
mod pull_requests;
mod repos;
mod webhook;
mod wire;

pub use builder::GitFlicBuilder;
pub use provider::GitFlic;
pub use webhook::GitFlicWebhooks;
