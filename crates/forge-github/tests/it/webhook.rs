//! Deliveries: proofs, and the facts of every event against golden files.

use std::{fs, path::PathBuf};

use forge_core::{
    Delivery, ErrorKind, Proof, Secrets, VerifyError, WebhookReceiver, model::Event, model::EventKind,
};
use forge_github::GitHubWebhooks;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::Timestamp;
use proptest::prelude::*;
use sha2::Sha256;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/github/webhooks")
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
    let headers = headers(&[("x-github-event", name)]);
    GitHubWebhooks.inspect(&delivery(&headers, body))
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
            assert!(
                path.with_file_name(file.replace(".golden.json", ".json")).exists(),
                "{file} has no payload"
            );
            continue;
        }
        let name = file.split('.').next().unwrap();
        let body = fs::read(&path).unwrap();
        let event = inspect(name, &body).unwrap_or_else(|error| panic!("{file}: {error}"));
        let facts = serde_json::to_string_pretty(&event).unwrap() + "\n";
        let golden = path.with_extension("golden.json");
        if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
            fs::write(&golden, &facts).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(facts, expected, "{file}");
        checked += 1;
    }
    assert!(checked >= 50, "only {checked} payloads");
}

#[test]
fn the_event_is_known_by_its_shape_where_the_header_is_missing() {
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if file.ends_with(".golden.json") {
            continue;
        }
        let name = file.split('.').next().unwrap();
        let body = fs::read(&path).unwrap();
        let bare = HeaderMap::new();
        let by_shape = GitHubWebhooks.inspect(&delivery(&bare, &body)).unwrap();
        assert_eq!(by_shape.kind, inspect(name, &body).unwrap().kind, "{file}");
    }
}

#[test]
fn the_documented_vector_passes_and_one_flipped_bit_fails() {
    let body = *b"Hello, World!";
    let secrets = secrets("It's a Secret to Everybody");
    let headers = headers(&[(
        "X-Hub-Signature-256",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )]);
    let verified = GitHubWebhooks.verify(&delivery(&headers, &body), &secrets).map(|it| it.proof());
    assert_eq!(verified, Ok(Proof::Hmac));
    for position in 0..body.len() {
        let mut flipped = body;
        flipped[position] ^= 1;
        let refused = GitHubWebhooks.verify(&delivery(&headers, &flipped), &secrets).unwrap_err();
        assert_eq!(refused, VerifyError::Mismatch);
    }
}

#[test]
fn weaker_missing_and_doubled_proofs_are_refused() {
    let body = br#"{"zen":"x","hook_id":1}"#;
    let good = sign("s3cret", body);
    let upper = format!("sha256={}", good["sha256=".len()..].to_uppercase());
    let cases: &[(&[(&'static str, &str)], VerifyError)] = &[
        (&[], VerifyError::Missing),
        (&[("x-hub-signature", "sha1=0123456789012345678901234567890123456789")], VerifyError::Missing),
        (&[("x-hub-signature-256", "")], VerifyError::Malformed),
        (&[("x-hub-signature-256", &good[..good.len() - 1])], VerifyError::Malformed),
        (&[("x-hub-signature-256", &upper)], VerifyError::Malformed),
        (&[("x-hub-signature-256", &good["sha256=".len()..])], VerifyError::Malformed),
        (&[("x-hub-signature-256", &good), ("x-hub-signature-256", &good)], VerifyError::Ambiguous),
        (&[("x-gitlab-token", "s3cret")], VerifyError::Missing),
        (&[("x-hub-signature", &good)], VerifyError::Missing),
    ];
    for (pairs, expected) in cases {
        let headers = headers(pairs);
        let refused = GitHubWebhooks.verify(&delivery(&headers, body), &secrets("s3cret")).unwrap_err();
        assert_eq!(refused, *expected, "{pairs:?}");
    }
    let headers = headers(&[("x-hub-signature-256", &good)]);
    let unproved = delivery(&headers, body);
    assert_eq!(GitHubWebhooks.verify(&unproved, &Secrets::none()).unwrap_err(), VerifyError::NoSecret);
    assert_eq!(GitHubWebhooks.verify(&unproved, &secrets("")).unwrap_err(), VerifyError::NoSecret);
    assert_eq!(GitHubWebhooks.verify(&unproved, &secrets("other")).unwrap_err(), VerifyError::Mismatch);
    assert!(!GitHubWebhooks.is_unsigned_ping(&unproved), "GitHub signs its pings");
}

#[test]
fn the_previous_secret_is_accepted_while_it_is_given() {
    let body = br#"{"zen":"x","hook_id":1}"#;
    let both = secrets("new").with_shared("old".to_owned().into());
    for (signed_with, is_accepted) in [("new", true), ("old", true), ("older", false)] {
        let headers = headers(&[("x-hub-signature-256", &sign(signed_with, body))]);
        assert_eq!(GitHubWebhooks.verify(&delivery(&headers, body), &both).is_ok(), is_accepted);
    }
}

#[test]
fn verified_deliveries_are_parsed_and_carry_their_id() {
    let body = fs::read(fixtures().join("workflow_run.failed.json")).unwrap();
    let headers = headers(&[
        ("x-github-event", "workflow_run"),
        ("x-github-delivery", "0f6e8a10-9f5e-11ef-8d2a-6a1f0f9f1c11"),
        ("x-hub-signature-256", &sign("k", &body)),
    ]);
    let delivery = delivery(&headers, &body);
    let verified = GitHubWebhooks.verify(&delivery, &secrets("k")).unwrap();
    let event = GitHubWebhooks.parse(&verified).unwrap();
    assert!(event.triggers_rca);
    assert_eq!(GitHubWebhooks.delivery_id(&headers).as_deref(), Some("0f6e8a10-9f5e-11ef-8d2a-6a1f0f9f1c11"));
    assert_eq!(GitHubWebhooks.delivery_id(&HeaderMap::new()), None);
}

#[test]
fn a_form_encoded_delivery_is_signed_as_sent_and_read() {
    let json = fs::read_to_string(fixtures().join("workflow_run.failed.json")).unwrap();
    let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish();
    let headers = headers(&[
        ("x-github-event", "workflow_run"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-hub-signature-256", &sign("k", body.as_bytes())),
    ]);
    let delivery = delivery(&headers, body.as_bytes());
    let verified = GitHubWebhooks.verify(&delivery, &secrets("k")).unwrap();
    assert_eq!(GitHubWebhooks.parse(&verified).unwrap(), inspect("workflow_run", json.as_bytes()).unwrap());
}

#[test]
fn broken_utf8_in_a_message_does_not_hide_the_run() {
    let mut body = fs::read(fixtures().join("workflow_run.failed.json")).unwrap();
    let at = body.windows(5).position(|window| window == b"Round").unwrap();
    body[at] = 0xff;
    assert!(inspect("workflow_run", &body).unwrap().triggers_rca);
}

#[test]
fn what_github_does_not_send_is_an_error_and_never_a_panic() {
    let deep = "[".repeat(10_000);
    let deep_object = format!("{{\"a\":{deep}");
    let cases: &[(&str, &[u8])] = &[
        ("workflow_run", b""),
        ("workflow_run", b"null"),
        ("workflow_run", b"[]"),
        ("workflow_run", b"{"),
        ("workflow_run", b"<html></html>"),
        ("workflow_run", b"{}"),
        ("workflow_run", br#"{"workflow_run":"x"}"#),
        ("workflow_job", br#"{"workflow_run":{}}"#),
        ("check_run", br#"{"check_run":[]}"#),
        ("check_suite", b"{}"),
        ("pull_request", br#"{"pull_request":7}"#),
        ("push", b"{}"),
        ("status", b"{}"),
        ("workflow_run", deep.as_bytes()),
        ("workflow_run", deep_object.as_bytes()),
    ];
    for (name, body) in cases {
        let error = inspect(name, body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{name}");
        assert_eq!(error.operation(), Some("read a delivery"));
        assert!(error.hint().is_some());
    }
    let bare = HeaderMap::new();
    for body in [&br#"{"object_kind":"pipeline","object_attributes":{}}"#[..], b"{}", br#"{"a":1}"#] {
        assert!(GitHubWebhooks.inspect(&delivery(&bare, body)).is_err());
    }
}

#[test]
fn an_almost_empty_payload_is_facts() {
    let event = inspect("workflow_run", br#"{"workflow_run":{}}"#).unwrap();
    assert_eq!(event.kind, EventKind::Run);
    assert!(!event.terminal && !event.failed && !event.triggers_rca);
    assert_eq!((event.repo, event.run_id, event.attempt, event.sha), (None, None, None, None));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
    ];
    let key = prop_oneof![
        Just("workflow_run"),
        Just("workflow_job"),
        Just("check_run"),
        Just("check_suite"),
        Just("pull_request"),
        Just("pull_requests"),
        Just("repository"),
        Just("id"),
        Just("run_attempt"),
        Just("status"),
        Just("conclusion"),
        Just("head_branch"),
        Just("ref"),
        Just("state"),
        Just("branches"),
        Just("app"),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
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
        name in prop_oneof![Just("workflow_run".to_owned()), "[ -~]{0,40}"],
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
            let headers = headers(&[("x-hub-signature-256", &sign("k", body)), ("x-github-event", &name)]);
            let delivery = delivery(&headers, body);
            let verified = GitHubWebhooks.verify(&delivery, &secrets("k"));
            prop_assert!(verified.is_ok());
            let _ = GitHubWebhooks.parse(&verified.unwrap());
        }
    }
}

proptest! {
    #[test]
    fn any_json_in_any_place_is_read_or_refused(
        value in any_json(),
        name in prop::sample::select(vec![
            "workflow_run", "workflow_job", "check_run", "check_suite", "status", "push", "pull_request", "ping", "x",
        ]),
    ) {
        if let Ok(event) = inspect(name, value.to_string().as_bytes()) {
            prop_assert!(!event.triggers_rca || (event.failed && event.terminal && event.run_id.is_some()));
            prop_assert!(event.reason.is_some());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = inspect("workflow_run", &body);
    }
}
