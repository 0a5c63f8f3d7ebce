#![doc = include_str!("../README.md")]

mod ci;
mod client;
mod error;
mod facts;
mod feedback;
mod hooks;
mod oauth;
mod pipelines;
mod provider;
mod pull_requests;
mod repos;
mod scopes;
mod webhook;
mod wire;

pub use provider::BitbucketCloud;
pub use webhook::BitbucketCloudWebhooks;
