//! The use cases against a forge that lives in memory and a store on disk.

mod connect;
mod ingest;
mod loops;
mod markdown;
mod policy;
mod receive;
mod render;
mod stub;
