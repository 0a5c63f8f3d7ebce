//! Integration tests of the GitLab adapter: everything through its public interface.

mod api;
mod oauth;
mod quirks;
mod support;
mod webhook;
