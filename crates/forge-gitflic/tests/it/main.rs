//! Everything is tested through the public interface.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod ci;
mod conformance;
mod errors;
mod feedback;
mod hooks;
mod oauth;
mod old;
mod quirks;
mod repos;
mod server;
mod webhook;
mod whole;
