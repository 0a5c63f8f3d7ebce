//! End-to-end tests: the real server over real HTTP, against the fake forges.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]
#![expect(clippy::indexing_slicing, reason = "reading JSON answers")]
#![expect(clippy::disallowed_methods, reason = "tests look at the secrets that they made")]

mod abuse;
mod api;
mod app;
mod channels;
mod connect;
mod discovery;
mod documents;
mod down;
mod five_forges;
mod health;
mod ingest;
mod product;
mod replicas;
mod secrets;
mod settings;
mod support;
mod webhook_to_comment;
