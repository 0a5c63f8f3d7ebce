//! Everything is tested through the public interface.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails, and tests look at the secrets that they made"
)]

mod conformance;
mod errors;
mod facts;
mod oauth;
mod quirks;
mod requests;
mod server;
mod tokens;
mod webhook;
