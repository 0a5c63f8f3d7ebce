//! The binary as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]
#![expect(clippy::indexing_slicing, reason = "reading JSON answers")]
#![expect(
    clippy::disallowed_methods,
    reason = "these tests run the program and look at the secrets they made"
)]

mod analyze;
mod config;
mod forge;
mod inspect;
mod kill;
mod limits;
mod mcp;
mod operate;
#[cfg(feature = "otel")]
mod otel;
mod processes;
mod program;
mod workspace;
