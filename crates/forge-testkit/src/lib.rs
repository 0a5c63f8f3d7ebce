//! Stateful fake forges on loopback and the conformance suite that every adapter passes
