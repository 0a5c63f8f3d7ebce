//! Tests of the contract crate through its public items.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod ensure_hook;
mod instance;
mod webhook;
