//! Everything through the public interface, against servers on the loopback.
#![expect(clippy::disallowed_methods, reason = "tests look at the secrets that they made")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics is a test that fails")]

mod guard;
mod limits;
mod oauth;
mod pages;
mod requests;
mod streams;
mod support;
mod tls_and_proxy;
mod token_cache;
mod words;
