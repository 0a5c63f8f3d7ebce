//! Deliveries: proofs, and the facts of every event against golden files.

use std::{fs, path::PathBuf};

use forge_bitbucket_dc::BitbucketDcWebhooks;
use forge_core::{
    Delivery, ErrorKind, Proof, Secrets, VerifyError, WebhookReceiver,
    model::{Event, EventKind},
};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use sha2::Sha256;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/bitbucket-dc/webhooks")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn delivery<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> Delivery<'a> {
    Delivery { headers, query: None, body, received_at: Timestamp::UNIX_EPOCH }
}

fn inspect(name: &str, body: &[u8]) -> forge_core::Result<Event> {
    let headers = if name.is_empty() { HeaderMap::new() } else { headers(&[("x-event-key", name)]) };
    BitbucketDcWebhooks.inspect(&delivery(&headers, body))
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn secrets(secret: &str) -> Secrets {
    Secrets::new(secret.to_owned().into())
}

#[test]
fn every_payload_gives_its_golden_facts() {
    let mut checked = 0;
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if file.ends_with(".golden.json") {
            let payload = path.with_file_name(file.replace(".golden.json", ".json"));
            assert!(payload.exists(), "{file} has no payload");
            continue;
        }
        let body = fs::read(&path).unwrap();
        let parsed: Value = serde_json::from_slice(&body).unwrap();
        let name = parsed["eventKey"].as_str().unwrap_or("diagnostics:ping");
        let event = inspect(name, &body).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(inspect("", &body).unwrap(), event, "{file}: without the header");
        let facts = serde_json::to_string_pretty(&event).unwrap() + "\n";
        let golden = path.with_extension("golden.json");
        if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
            fs::write(&golden, &facts).unwrap();
        }
        assert_eq!(facts, fs::read_to_string(&golden).unwrap_or_default(), "{file}");
        checked += 1;
    }
    assert!(checked >= 30, "only {checked} payloads");
}

#[test]
fn the_event_is_known_by_its_shape_where_nothing_names_it() {
    for (file, kind) in [
        ("refs_changed.update", EventKind::Push),
        ("pr_opened.from-fork", EventKind::PullRequest),
        ("build_status_updated.failed", EventKind::Status),
    ] {
        let body = fs::read(fixtures().join(format!("{file}.json"))).unwrap();
        let mut parsed: Value = serde_json::from_slice(&body).unwrap();
        parsed.as_object_mut().unwrap().remove("eventKey");
        let event = inspect("", parsed.to_string().as_bytes()).unwrap();
        assert_eq!(event.kind, kind, "{file}");
    }
}

#[test]
fn a_right_proof_passes_and_one_flipped_bit_fails() {
    let body = *b"Hello, World!";
    let secrets = secrets("It's a Secret to Everybody");
    let headers = headers(&[(
        "X-Hub-Signature",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )]);
    let verified = BitbucketDcWebhooks.verify(&delivery(&headers, &body), &secrets).map(|it| it.proof());
    assert_eq!(verified, Ok(Proof::Hmac));
    for position in 0..body.len() {
        let mut flipped = body;
        flipped[position] ^= 1;
        let refused = BitbucketDcWebhooks.verify(&delivery(&headers, &flipped), &secrets).unwrap_err();
        assert_eq!(refused, VerifyError::Mismatch);
    }
}

#[test]
fn weaker_missing_and_doubled_proofs_are_refused() {
    let body = br#"{"eventKey":"repo:refs_changed"}"#;
    let good = sign("s3cret", body);
    let upper = format!("sha256={}", good["sha256=".len()..].to_uppercase());
    let cases: &[(&[(&'static str, &str)], VerifyError)] = &[
        (&[], VerifyError::Missing),
        (&[("x-hub-signature", "sha1=0123456789012345678901234567890123456789")], VerifyError::Malformed),
        (&[("x-hub-signature", "")], VerifyError::Malformed),
        (&[("x-hub-signature", &good[..good.len() - 1])], VerifyError::Malformed),
        (&[("x-hub-signature", &upper)], VerifyError::Malformed),
        (&[("x-hub-signature", &good["sha256=".len()..])], VerifyError::Malformed),
        (&[("x-hub-signature", &good), ("x-hub-signature", &good)], VerifyError::Ambiguous),
        (&[("x-hub-signature-256", &good)], VerifyError::Missing),
        (&[("x-gitlab-token", "s3cret")], VerifyError::Missing),
    ];
    for (pairs, expected) in cases {
        let headers = headers(pairs);
        let refused = BitbucketDcWebhooks.verify(&delivery(&headers, body), &secrets("s3cret")).unwrap_err();
        assert_eq!(refused, *expected, "{pairs:?}");
    }
    let signed = headers(&[("x-hub-signature", &good)]);
    let signed = delivery(&signed, body);
    assert_eq!(BitbucketDcWebhooks.verify(&signed, &Secrets::none()).unwrap_err(), VerifyError::NoSecret);
    assert_eq!(BitbucketDcWebhooks.verify(&signed, &secrets("")).unwrap_err(), VerifyError::NoSecret);
    let both = secrets("new").with_shared("s3cret".to_owned().into());
    assert!(BitbucketDcWebhooks.verify(&signed, &both).is_ok(), "the previous secret");
}

#[test]
fn only_the_unsigned_ping_needs_no_proof_and_it_triggers_nothing() {
    let body = br#"{"test":true}"#;
    let ping = headers(&[("x-event-key", "diagnostics:ping")]);
    assert!(BitbucketDcWebhooks.is_unsigned_ping(&delivery(&ping, body)));
    let event = BitbucketDcWebhooks.inspect(&delivery(&ping, body)).unwrap();
    assert!(event.kind == EventKind::Ping && !event.triggers_rca);

    let signed = headers(&[("x-event-key", "diagnostics:ping"), ("x-hub-signature", "sha256=00")]);
    assert!(!BitbucketDcWebhooks.is_unsigned_ping(&delivery(&signed, body)), "a proof has to be right");
    let push = headers(&[("x-event-key", "repo:refs_changed")]);
    assert!(!BitbucketDcWebhooks.is_unsigned_ping(&delivery(&push, body)));
    let twice = headers(&[("x-event-key", "diagnostics:ping"), ("x-event-key", "repo:refs_changed")]);
    assert!(!BitbucketDcWebhooks.is_unsigned_ping(&delivery(&twice, body)));
    let bare = HeaderMap::new();
    assert!(
        !BitbucketDcWebhooks.is_unsigned_ping(&delivery(&bare, body)),
        "the header says it, not the body"
    );
}

#[test]
fn the_delivery_id_is_the_request_id() {
    let id = |pairs: &[(&'static str, &str)]| BitbucketDcWebhooks.delivery_id(&headers(pairs));
    assert_eq!(id(&[("x-request-id", " 7d1c-22 ")]).as_deref(), Some("7d1c-22"));
    assert_eq!(id(&[("x-request-uuid", "cloud")]), None);
    assert_eq!(id(&[("x-request-id", "")]), None);
}

#[test]
fn broken_utf8_and_a_byte_order_mark_do_not_hide_the_push() {
    let mut body = b"\xef\xbb\xbf".to_vec();
    body.extend(fs::read(fixtures().join("refs_changed.update.json")).unwrap());
    let at = body.windows(5).position(|window| window == b"Robin").unwrap();
    body[at] = 0xff;
    assert!(inspect("repo:refs_changed", &body).unwrap().triggers_rca);
}

#[test]
fn what_the_server_does_not_send_is_an_error_and_never_a_panic() {
    let deep = "[".repeat(10_000);
    let deep_object = format!("{{\"a\":{deep}");
    let cases: &[(&str, &[u8])] = &[
        ("repo:refs_changed", b""),
        ("repo:refs_changed", b"null"),
        ("repo:refs_changed", b"[]"),
        ("repo:refs_changed", b"{"),
        ("repo:refs_changed", b"<html></html>"),
        ("repo:refs_changed", b"{}"),
        ("repo:refs_changed", br#"{"changes":{}}"#),
        ("pr:opened", b"{}"),
        ("pr:opened", br#"{"pullRequest":7}"#),
        ("", b"{}"),
        ("", br#"{"object_kind":"pipeline","object_attributes":{}}"#),
        ("", br#"{"push":{"changes":[]},"repository":{"full_name":"a/b"}}"#),
        ("repo:refs_changed", deep.as_bytes()),
        ("repo:refs_changed", deep_object.as_bytes()),
    ];
    for (name, body) in cases {
        let error = inspect(name, body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{name}");
        assert_eq!(error.operation(), Some("read a delivery"));
        assert!(error.hint().is_some());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        Just(Value::from("1f4c8a90b2d3e4f50617283940a1b2c3d4e5f607")),
        Just(Value::from("0".repeat(40))),
        Just(Value::from("FAILED")),
        "\\PC{0,12}".prop_map(Into::into),
    ];
    let key = prop::sample::select(vec![
        "eventKey",
        "changes",
        "ref",
        "refId",
        "id",
        "type",
        "toHash",
        "repository",
        "project",
        "key",
        "slug",
        "pullRequest",
        "fromRef",
        "toRef",
        "latestCommit",
        "commit",
        "buildStatus",
        "state",
        "url",
        "new",
        "test",
    ]);
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Payloads that somebody who knows the secret has cut and scratched, and plain rubbish.
    #[test]
    fn any_bytes_with_the_right_proof_pass_and_never_panic(
        rubbish in proptest::collection::vec(any::<u8>(), 0..400),
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        scratch in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        name in prop_oneof![Just("repo:build_status_updated".to_owned()), "[ -~]{0,40}"],
    ) {
        let mut paths: Vec<_> = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let mut body = fs::read(which.get(&paths)).unwrap();
        match scratch {
            Some((place, byte)) => {
                let place = place.index(body.len());
                body.splice(place..=place, [byte]);
            }
            None => body.truncate(cut.index(body.len())),
        }
        for body in [&body, &rubbish] {
            let headers = headers(&[("x-hub-signature", &sign("k", body)), ("x-event-key", &name)]);
            let delivery = delivery(&headers, body);
            let verified = BitbucketDcWebhooks.verify(&delivery, &secrets("k"));
            prop_assert!(verified.is_ok());
            let _ = BitbucketDcWebhooks.parse(&verified.unwrap());
        }
    }
}

proptest! {
    #[test]
    fn any_json_in_any_place_is_read_or_refused(
        value in any_json(),
        name in prop::sample::select(vec![
            "repo:refs_changed", "pr:opened", "pr:merged", "repo:build_status_updated", "repo:modified",
            "diagnostics:ping", "x", "",
        ]),
    ) {
        if let Ok(event) = inspect(name, value.to_string().as_bytes()) {
            prop_assert!(!event.triggers_rca || event.run_id.is_some());
            prop_assert!(event.run_id.as_ref().is_none_or(|sha| sha.bytes().any(|byte| byte != b'0')));
            prop_assert!(event.reason.is_some());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = inspect("repo:refs_changed", &body);
    }
}
