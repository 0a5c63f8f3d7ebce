//! The redactor and the archive readers, through their public interfaces.


mod corpus;
mod stream;
