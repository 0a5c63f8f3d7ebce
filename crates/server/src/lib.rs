#![doc = include_str!("../README.md")]

pub mod app;
pub mod body;
pub mod cli;
pub mod config;
pub mod configuration;
pub mod error;
pub mod input;
pub mod listener;
mod metrics;
pub mod middleware;
mod objects;
pub mod openapi;
pub mod providers;
pub mod routes;
pub mod shutdown;
pub mod telemetry;

pub use app::{Application, Role};
pub use config::Config;
pub use rca_flow::snippets;
