//! The engine through its public interface.

mod baselines;
mod bounds;
mod detectors;
mod rendering;
