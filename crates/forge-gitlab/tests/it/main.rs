//! Integration tests of the GitLab adapter: everything through its public interface.
#![expect(clippy::disallowed_methods, reason = "tests look at the secrets that they made")]
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod api;
mod authorization_server;
mod conformance;
mod facts;
mod hooks;
mod oauth;
mod quirks;
mod support;
mod webhook;
