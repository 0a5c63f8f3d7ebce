//! Finds the root cause of a failed CI job in its log, with the lines that prove it

#[cfg(feature = "archives")]
pub mod archive;
pub mod redact;
