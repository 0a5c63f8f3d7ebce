//! The redactor and the archive readers, through their public interfaces.

#[cfg(feature = "archives")]
mod archive;
mod corpus;
mod stream;
