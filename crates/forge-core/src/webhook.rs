//! Receiving deliveries: verify the raw bytes first, parse afterwards.
//!
//! The only way to a [`Verified`] delivery is one of the check functions here, so an adapter cannot parse what nobody
//! has proved.

#![expect(clippy::disallowed_methods, reason = "the secret is the key of the signature")]

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::{Result, model::Event, secret};

/// How far a signed time may lie from ours: what the Standard Webhooks specification advises.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// One request as it arrived. The body is the exact bytes: re-serialising JSON breaks every signature.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The query string without `?`, still encoded.
    pub query: Option<&'a str>,
    /// The body as received.
    pub body: &'a [u8],
    /// When it arrived, for forges that sign a time.
    pub received_at: Timestamp,
}

impl<'a> Delivery<'a> {
    /// The one value of a header; `None` when it is absent.
    ///
    /// # Errors
    /// [`VerifyError::Ambiguous`] when it is there twice, [`VerifyError::Malformed`] when it is not visible ASCII.
    pub fn header(&self, name: &str) -> Result<Option<&'a str>, VerifyError> {
        let mut values = self.headers.get_all(name).iter();
        let Some(first) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(VerifyError::Ambiguous);
        }
        first.to_str().map(Some).map_err(|_| VerifyError::Malformed)
    }
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Delivery")
            .field("body_bytes", &self.body.len())
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

/// The secrets of one hook: the current one, and during a rotation the previous one.
///
/// A hook that has a signing secret accepts signatures only: a matching shared token does not help then.
#[derive(Clone, Default)]
pub struct Secrets {
    shared: Vec<SecretString>,
    signing: Vec<SecretString>,
}

impl Secrets {
    /// No secret: every check fails with [`VerifyError::NoSecret`].
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A hook proved by `secret`: the key of its HMAC, or the token it repeats. An empty secret counts as none.
    #[must_use]
    pub fn new(secret: SecretString) -> Self {
        Self::none().with_shared(secret)
    }

    /// A further secret that is valid too, e.g. the previous one. Empty ones are dropped.
    #[must_use]
    pub fn with_shared(mut self, secret: SecretString) -> Self {
        if !secret.expose_secret().is_empty() {
            self.shared.push(secret);
        }
        self
    }

    /// A signing token in the `whsec_` form of Standard Webhooks. Empty ones are dropped.
    #[must_use]
    pub fn with_signing(mut self, secret: SecretString) -> Self {
        if !secret.expose_secret().is_empty() {
            self.signing.push(secret);
        }
        self
    }

    /// Whether deliveries must be signed with a signing token.
    #[must_use]
    pub fn requires_signature(&self) -> bool {
        !self.signing.is_empty()
    }

    /// Whether there is no secret at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.signing.is_empty()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({} shared, {} signing)", self.shared.len(), self.signing.len())
    }
}

/// How a delivery was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// HMAC-SHA256 over the body.
    Hmac,
    /// HMAC-SHA256 over id, time and body; the time was fresh.
    SignedTime,
    /// The shared token was repeated: it proves the sender, not the body.
    SharedToken,
}

/// A delivery whose proof was checked. Only the check functions of this module make one.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    delivery: Delivery<'a>,
    proof: Proof,
}

impl<'a> Verified<'a> {
    /// The delivery.
    #[must_use]
    pub fn delivery(&self) -> &Delivery<'a> {
        &self.delivery
    }

    /// How it was proved.
    #[must_use]
    pub fn proof(&self) -> Proof {
        self.proof
    }
}

/// Why a delivery is not believed. For our own logs: the sender is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The hook has no secret, so nothing can prove a delivery.
    #[error("the hook has no secret")]
    NoSecret,
    /// The proof is not there.
    #[error("the signature or token header is missing")]
    Missing,
    /// The proof is there twice, or in two contradicting forms.
    #[error("the signature or token header is given twice")]
    Ambiguous,
    /// The proof is not of the form the forge documents, e.g. a weaker algorithm.
    #[error("the signature or token header is malformed")]
    Malformed,
    /// The proof is wrong.
    #[error("the signature or token is wrong")]
    Mismatch,
    /// The signed time is too far from ours.
    #[error("the signed time is outside the tolerance")]
    Stale,
}

/// The receiving side of an adapter: no I/O, no state.
pub trait WebhookReceiver: fmt::Debug + Send + Sync {
    /// The forge's own id of the event, the same when it is sent again; `None` where the forge gives none.
    fn delivery_id(&self, headers: &HeaderMap) -> Option<String>;

    /// Checks the proof on the raw bytes, with the strongest form the hook has and no fall-back to a weaker one.
    ///
    /// # Errors
    /// [`VerifyError`], which must not reach the sender.
    fn verify<'a>(&self, delivery: &Delivery<'a>, secrets: &Secrets) -> Result<Verified<'a>, VerifyError>;

    /// Whether this is the harmless test message that the forge sends without a proof.
    fn is_unsigned_ping(&self, delivery: &Delivery<'_>) -> bool;

    /// What happened. Unknown events and values give an [`Event`] that triggers nothing, never an error.
    ///
    /// # Errors
    /// [`crate::ErrorKind::UnexpectedResponse`] when the body is not what the forge sends at all.
    fn parse(&self, verified: &Verified<'_>) -> Result<Event>;

    /// As [`WebhookReceiver::parse`], for a person's eyes and without a proof: nothing may be done on its word.
    ///
    /// # Errors
    /// As [`WebhookReceiver::parse`].
    fn inspect(&self, delivery: &Delivery<'_>) -> Result<Event>;
}

/// Checks `sha256=<lower-case hex>` of HMAC-SHA256 over the raw body, as GitHub and Bitbucket send it.
///
/// # Errors
/// [`VerifyError`]; other algorithms and upper-case or truncated digests are malformed.
pub fn check_hmac_sha256<'a>(
    delivery: &Delivery<'a>,
    header: &str,
    secrets: &Secrets,
) -> Result<Verified<'a>, VerifyError> {
    if secrets.shared.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    let value = delivery.header(header)?.ok_or(VerifyError::Missing)?;
    let digest = value.strip_prefix("sha256=").ok_or(VerifyError::Malformed)?;
    if digest.len() != 64 || digest.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(VerifyError::Malformed);
    }
    let digest = hex::decode(digest).map_err(|_| VerifyError::Malformed)?;
    let mut is_valid = false;
    for secret in &secrets.shared {
        // No early exit: the time must not tell which of two secrets fits.
        is_valid |= hmac_is(secret.expose_secret().as_bytes(), &[delivery.body], &digest);
    }
    if is_valid {
        Ok(Verified { delivery: *delivery, proof: Proof::Hmac })
    } else {
        Err(VerifyError::Mismatch)
    }
}

/// Checks the Standard Webhooks form: `webhook-id`, `webhook-timestamp`, and one or more space-separated `v1,<base64>`
/// in `webhook-signature`, HMAC-SHA256 over `id.timestamp.body` with the decoded key of a `whsec_` token.
///
/// # Errors
/// [`VerifyError`]; [`VerifyError::Stale`] when the signed time is further from `received_at` than `tolerance`.
pub fn check_standard_webhook<'a>(
    delivery: &Delivery<'a>,
    secrets: &Secrets,
    tolerance: Duration,
) -> Result<Verified<'a>, VerifyError> {
    if secrets.signing.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    let id = delivery.header("webhook-id")?.ok_or(VerifyError::Missing)?;
    let time = delivery.header("webhook-timestamp")?.ok_or(VerifyError::Missing)?;
    let signatures = delivery.header("webhook-signature")?.ok_or(VerifyError::Missing)?;
    let seconds: i64 = time.parse().map_err(|_| VerifyError::Malformed)?;
    let mut is_valid = false;
    let mut has_known_version = false;
    for signature in signatures.split(' ').filter_map(|part| part.strip_prefix("v1,")).take(8) {
        has_known_version = true;
        let Ok(digest) = STANDARD.decode(signature) else { continue };
        for secret in &secrets.signing {
            let encoded = secret.expose_secret();
            let Ok(key) = STANDARD.decode(encoded.strip_prefix("whsec_").unwrap_or(encoded)) else {
                continue;
            };
            is_valid |= hmac_is(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", delivery.body], &digest);
        }
    }
    if !has_known_version {
        return Err(VerifyError::Malformed);
    }
    if !is_valid {
        return Err(VerifyError::Mismatch);
    }
    // The age is judged last, so that only the holder of the secret learns that a signature was right but old.
    if delivery.received_at.as_second().abs_diff(seconds) > tolerance.as_secs() {
        return Err(VerifyError::Stale);
    }
    Ok(Verified { delivery: *delivery, proof: Proof::SignedTime })
}

/// Checks a token that the sender repeats as it was configured.
///
/// # Errors
/// [`VerifyError::Missing`] without a presented token, [`VerifyError::Mismatch`] with a wrong one.
pub fn check_shared_token<'a>(
    delivery: &Delivery<'a>,
    presented: Option<&str>,
    secrets: &Secrets,
) -> Result<Verified<'a>, VerifyError> {
    if secrets.requires_signature() || secrets.shared.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    let presented = presented.ok_or(VerifyError::Missing)?;
    let mut is_valid = false;
    for secret in &secrets.shared {
        is_valid |= secret::matches(presented.as_bytes(), secret);
    }
    if is_valid {
        Ok(Verified { delivery: *delivery, proof: Proof::SharedToken })
    } else {
        Err(VerifyError::Mismatch)
    }
}

fn hmac_is(key: &[u8], parts: &[&[u8]], digest: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    for part in parts {
        mac.update(part);
    }
    // `verify_slice` compares in constant time.
    mac.verify_slice(digest).is_ok()
}
