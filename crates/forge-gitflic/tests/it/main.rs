//! Everything is tested through the public interface.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![expect(clippy::disallowed_methods, reason = "tests look at the secrets that they have made up")]

mod ci;
mod conformance;
mod errors;
mod facts;
mod feedback;
mod hooks;
mod oauth;
mod old;
mod quirks;
mod repos;
mod server;
mod webhook;
mod whole;
