//! Tests of the contract crate through its public items.

mod ensure_hook;
mod instance;
mod webhook;
