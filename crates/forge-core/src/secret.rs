//! Comparing and encoding secrets without leaking them.

#![expect(clippy::disallowed_methods, reason = "secrets are compared and fingerprinted here")]

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether `presented` is the secret, in time that depends on neither: both sides are hashed first, so that not even
/// the length shows.
#[must_use]
pub fn matches(presented: &[u8], secret: &SecretString) -> bool {
    let left = Sha256::digest(presented);
    let right = Sha256::digest(secret.expose_secret().as_bytes());
    bool::from(left.as_slice().ct_eq(right.as_slice()))
}

/// A short, harmless mark by which a person can tell two secrets apart: the first eight hex digits of its SHA-256.
#[must_use]
pub fn fingerprint(secret: &SecretString) -> String {
    let mut digest = hex::encode(Sha256::digest(secret.expose_secret().as_bytes()));
    digest.truncate(8);
    digest
}
