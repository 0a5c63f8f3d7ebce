//! Examples live beside this file; run one with `cargo run --package examples --example NAME`.

/// The code in the repository's README, compiled so that it stays true.
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
