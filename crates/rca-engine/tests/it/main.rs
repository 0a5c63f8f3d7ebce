//! The engine through its public interface.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod baselines;
mod blocks;
mod bounds;
mod detectors;
mod documents;
mod fingerprints;
mod generality;
mod hostile;
mod input;
mod output;
mod rendering;
mod rules;
mod schemas;
