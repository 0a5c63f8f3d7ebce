//! Examples live beside this file; run one with `cargo run --package examples --example NAME`.
