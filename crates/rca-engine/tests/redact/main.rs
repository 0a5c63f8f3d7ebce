//! The redactor and the archive readers, through their public interfaces.

#![expect(clippy::unwrap_used, reason = "a failed step fails its test")]

#[cfg(feature = "archives")]
mod archive;
mod corpus;
mod stream;
