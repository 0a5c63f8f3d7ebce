//! The store from outside, on both engines.
#![expect(clippy::disallowed_methods, reason = "tests look at the secrets that they made")]

// `cfg(test)` is always on here; it tells clippy that helpers beside the tests are test code too.
#[cfg(test)]
mod crash;
#[cfg(test)]
mod inbox;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod model;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod open;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod support;
#[cfg(test)]
mod vault;
