//! Everything is tested through the public interface.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod conformance;
mod old;
mod webhook;
