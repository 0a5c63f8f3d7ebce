//! Everything is tested through the public interface.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod ci;
mod errors;
mod facts;
mod feedback;
mod hooks;
mod logs;
mod server;
mod suite;
mod webhook;
mod whole;
