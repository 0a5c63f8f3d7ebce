//! Integration tests of the GitLab adapter: everything through its public interface.

#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod api;
mod conformance;
mod oauth;
mod quirks;
mod support;
mod webhook;
