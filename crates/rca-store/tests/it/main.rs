//! The store from outside, on both engines.

mod crash;
mod inbox;
mod model;
mod objects;
mod open;
mod queue;
mod support;
mod vault;
