use std::time::Duration;

use forge_core::{
    Delivery, Proof, Secrets, VerifyError,
    webhook::{DEFAULT_TOLERANCE, check_hmac_sha256, check_shared_token, check_standard_webhook},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;
use secrecy::SecretString;

const HEADER: &str = "x-hub-signature-256";
/// HMAC-SHA256 of `Hello, World!` with GitHub's documented example secret.
const GOOD: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers
            .append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn delivery<'a>(headers: &'a HeaderMap, body: &'a [u8], seconds: i64) -> Delivery<'a> {
    Delivery { headers, query: None, body, received_at: Timestamp::from_second(seconds).unwrap() }
}

fn hmac(pairs: &[(&str, &str)], secrets: &Secrets, body: &[u8]) -> Result<Proof, VerifyError> {
    let headers = headers(pairs);
    check_hmac_sha256(&delivery(&headers, body, 0), HEADER, secrets).map(|verified| verified.proof())
}

#[test]
fn hmac_vectors() {
    let right = Secrets::new(secret("It's a Secret to Everybody"));
    let body = b"Hello, World!";
    let upper = GOOD.to_uppercase().replace("SHA256", "sha256");
    let hex = GOOD.trim_start_matches("sha256=");
    for (pairs, secrets, expected) in [
        (vec![(HEADER, GOOD)], right.clone(), Ok(Proof::Hmac)),
        (vec![(HEADER, GOOD)], Secrets::none(), Err(VerifyError::NoSecret)),
        (vec![(HEADER, GOOD)], Secrets::new(secret("")), Err(VerifyError::NoSecret)),
        (vec![(HEADER, GOOD)], Secrets::new(secret("another")), Err(VerifyError::Mismatch)),
        (
            vec![(HEADER, GOOD)],
            Secrets::new(secret("another")).with_shared(secret("It's a Secret to Everybody")),
            Ok(Proof::Hmac),
        ),
        (vec![], right.clone(), Err(VerifyError::Missing)),
        (
            vec![("x-hub-signature", "sha1=0123456789012345678901234567890123456789")],
            right.clone(),
            Err(VerifyError::Missing),
        ),
        (vec![(HEADER, GOOD), (HEADER, GOOD)], right.clone(), Err(VerifyError::Ambiguous)),
        (vec![(HEADER, upper.as_str())], right.clone(), Err(VerifyError::Malformed)),
        (vec![(HEADER, hex)], right.clone(), Err(VerifyError::Malformed)),
        (vec![(HEADER, &GOOD[..GOOD.len() - 2])], right.clone(), Err(VerifyError::Malformed)),
        (vec![(HEADER, "sha256=")], right.clone(), Err(VerifyError::Malformed)),
        (vec![(HEADER, " ")], right.clone(), Err(VerifyError::Malformed)),
        (vec![(HEADER, &GOOD.replace("sha256", "sha1"))], right.clone(), Err(VerifyError::Malformed)),
        (vec![(HEADER, "\u{e9}")], right, Err(VerifyError::Malformed)),
    ] {
        assert_eq!(hmac(&pairs, &secrets, body), expected, "{pairs:?} with {secrets:?}");
    }
}

const SIGNING: &str = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=";
const BODY: &[u8] = br#"{"object_kind":"pipeline"}"#;
const SIGNATURE: &str = "v1,C89awmWfDikrNEQ6TOFEPnjsHNUkhg//P9IYZx9ibdQ=";
const ID: &str = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f";
const AT: i64 = 1_776_000_000;

fn standard(signature: &str, at: i64, secrets: &Secrets, body: &[u8]) -> Result<Proof, VerifyError> {
    let headers =
        headers(&[("webhook-id", ID), ("webhook-timestamp", "1776000000"), ("webhook-signature", signature)]);
    check_standard_webhook(&delivery(&headers, body, at), secrets, DEFAULT_TOLERANCE)
        .map(|verified| verified.proof())
}

#[test]
fn standard_webhook_vectors() {
    let right = Secrets::none().with_signing(secret(SIGNING));
    let rotated = Secrets::none()
        .with_signing(secret("whsec_YW5vdGhlcmFub3RoZXJhbm90aGVyYW5vdGhlcjEyMzQ="))
        .with_signing(secret(SIGNING));
    let two = format!("v1,AAAA {SIGNATURE}");
    for (signature, at, secrets, body, expected) in [
        (SIGNATURE, AT, &right, BODY, Ok(Proof::SignedTime)),
        (two.as_str(), AT, &right, BODY, Ok(Proof::SignedTime)),
        (SIGNATURE, AT, &rotated, BODY, Ok(Proof::SignedTime)),
        (SIGNATURE, AT + 300, &right, BODY, Ok(Proof::SignedTime)),
        (SIGNATURE, AT + 301, &right, BODY, Err(VerifyError::Stale)),
        (SIGNATURE, AT - 301, &right, BODY, Err(VerifyError::Stale)),
        (SIGNATURE, AT, &right, b"{\"object_kind\":\"pipelinE\"}", Err(VerifyError::Mismatch)),
        ("v1,not base64!", AT, &right, BODY, Err(VerifyError::Mismatch)),
        ("v0,C89awmWfDikrNEQ6TOFEPnjsHNUkhg//P9IYZx9ibdQ=", AT, &right, BODY, Err(VerifyError::Malformed)),
        ("", AT, &right, BODY, Err(VerifyError::Malformed)),
        (SIGNATURE, AT, &Secrets::none(), BODY, Err(VerifyError::NoSecret)),
        (SIGNATURE, AT, &Secrets::new(secret("shared")), BODY, Err(VerifyError::NoSecret)),
    ] {
        assert_eq!(standard(signature, at, secrets, body), expected, "{signature} at {at}");
    }
    // A stale delivery with a wrong signature must not tell that it is stale.
    assert_eq!(standard("v1,AAAA", AT + 9999, &right, BODY), Err(VerifyError::Mismatch));
}

#[test]
fn a_signed_hook_takes_no_shared_token() {
    let headers = headers(&[("x-gitlab-token", "token")]);
    let delivery = delivery(&headers, BODY, 0);
    let both = Secrets::new(secret("token")).with_signing(secret(SIGNING));
    assert_eq!(check_shared_token(&delivery, Some("token"), &both).unwrap_err(), VerifyError::NoSecret);
    let shared = Secrets::new(secret("token")).with_shared(secret("older"));
    for (presented, expected) in [
        (Some("token"), Ok(Proof::SharedToken)),
        (Some("older"), Ok(Proof::SharedToken)),
        (Some("tokem"), Err(VerifyError::Mismatch)),
        (Some("token "), Err(VerifyError::Mismatch)),
        (Some(""), Err(VerifyError::Mismatch)),
        (None, Err(VerifyError::Missing)),
    ] {
        let result = check_shared_token(&delivery, presented, &shared).map(|verified| verified.proof());
        assert_eq!(result, expected, "{presented:?}");
    }
    assert_eq!(
        check_shared_token(&delivery, Some(""), &Secrets::new(secret(""))).unwrap_err(),
        VerifyError::NoSecret,
        "an empty secret never matches an empty token"
    );
}

proptest! {
    #[test]
    fn only_the_right_key_and_the_exact_body_pass(
        key in "[ -~]{1,80}",
        body in proptest::collection::vec(any::<u8>(), 0..400),
        flip in any::<prop::sample::Index>(),
    ) {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(&body);
        let header = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let secrets = Secrets::new(secret(&key));
        prop_assert_eq!(hmac(&[(HEADER, &header)], &secrets, &body), Ok(Proof::Hmac));
        if !body.is_empty() {
            let mut other = body.clone();
            other[flip.index(body.len())] ^= 1;
            prop_assert_eq!(hmac(&[(HEADER, &header)], &secrets, &other), Err(VerifyError::Mismatch));
        }
    }

    #[test]
    fn no_header_value_panics(value in proptest::collection::vec(32_u8..=255, 0..200)) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, value.clone());
        headers.insert("webhook-id", value.clone());
        headers.insert("webhook-timestamp", value.clone());
        headers.insert("webhook-signature", value);
        let delivery = delivery(&headers, b"x", 0);
        let secrets = Secrets::new(secret("s"));
        prop_assert!(check_hmac_sha256(&delivery, HEADER, &secrets).is_err());
        let signing = Secrets::none().with_signing(secret(SIGNING));
        prop_assert!(check_standard_webhook(&delivery, &signing, Duration::from_secs(300)).is_err());
    }
}
