//! The use cases against a forge that lives in memory and a store on disk.
#![expect(clippy::disallowed_methods, reason = "tests look at the secrets that they made")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that is wrong shall stop where it is wrong"
)]

mod app;
mod connect;
mod hooks;
mod ingest;
mod introduced_by;
mod loops;
mod markdown;
mod operations;
mod policy;
mod receive;
mod render;
mod settings;
mod stub;
mod wide_hooks;
