//! Tests of the engine through its public interface.

mod baselines;
mod blocks;
mod bounds;
mod detectors;
mod documents;
mod hostile;
mod input;
mod output;
mod rendering;
mod rules;
