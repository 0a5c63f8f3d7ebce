//! Oddities.
