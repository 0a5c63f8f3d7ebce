//! Deliveries: proofs, and the facts of every event against golden files.

use std::{fs, path::PathBuf};

use forge_core::{
    Delivery, ErrorKind, Proof, Secrets, VerifyError, WebhookReceiver,
    model::{Event, EventKind},
};
use forge_gitflic::GitFlicWebhooks;
use http::HeaderMap;
use jiff::Timestamp;
use proptest::prelude::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gitflic/webhooks")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn delivery<'a>(headers: &'a HeaderMap, query: Option<&'a str>, body: &'a [u8]) -> Delivery<'a> {
    Delivery { headers, query, body, received_at: Timestamp::UNIX_EPOCH }
}

fn inspect(body: &[u8]) -> forge_core::Result<Event> {
    GitFlicWebhooks.inspect(&delivery(&HeaderMap::new(), None, body))
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
        let body = fs::read(&path).unwrap();
        let event = inspect(&body).unwrap_or_else(|error| panic!("{file}: {error}"));
        let facts = serde_json::to_string_pretty(&event).unwrap() + "\n";
        let golden = path.with_extension("golden.json");
        if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
            fs::write(&golden, &facts).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(facts, expected, "{file}");
        checked += 1;
    }
    assert!(checked >= 30, "only {checked} payloads");
}

#[test]
fn only_a_named_failed_pipeline_triggers() {
    let mut triggering = Vec::new();
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !file.ends_with(".golden.json") && inspect(&fs::read(&path).unwrap()).unwrap().triggers_rca {
            triggering.push(file.trim_end_matches(".json").to_owned());
        }
    }
    triggering.sort();
    let expected = [
        "lower_case",
        "pipeline_fail",
        "pipeline_fail.commit_object",
        "pipeline_fail.merge_request",
        "pipeline_fail.no_project",
        "pipeline_fail.only_address",
        "pipeline_fail.only_uuid",
        "pipeline_fail.placeholder_times",
        "pipeline_fail.stale_status",
        "pipeline_fail.string_number",
        "pipeline_fail.tag",
        "pipeline_fail.wrong_types",
    ];
    assert_eq!(triggering, expected);
}

#[test]
fn the_secret_is_taken_from_the_header_or_else_from_the_address() {
    let body = br#"{"action":"TEST_WEBHOOK"}"#;
    let good_query = format!("a=1&secret={SECRET}");
    let bad_query = format!("secret={OTHER}");
    let double_query = format!("secret={SECRET}&secret={SECRET}");
    let good = ("gitflic-webhook-secret", SECRET);
    let bad = ("gitflic-webhook-secret", OTHER);
    type Case<'a> = (&'a [(&'static str, &'a str)], Option<&'a str>, Result<(), VerifyError>);
    let cases: &[Case<'_>] = &[
        (&[good], None, Ok(())),
        (&[("Gitflic-Webhook-Secret", SECRET)], Some("x=1"), Ok(())),
        (&[], Some(&good_query), Ok(())),
        (&[good], Some(&bad_query), Ok(())),
        (&[bad], None, Err(VerifyError::Mismatch)),
        (&[bad], Some(&good_query), Err(VerifyError::Mismatch)),
        (&[("gitflic-webhook-secret", "")], Some(&good_query), Err(VerifyError::Mismatch)),
        (&[("gitflic-webhook-secret", &SECRET[..63])], None, Err(VerifyError::Mismatch)),
        (&[good, good], None, Err(VerifyError::Ambiguous)),
        (&[], None, Err(VerifyError::Missing)),
        (&[], Some(""), Err(VerifyError::Missing)),
        (&[], Some("secret="), Err(VerifyError::Mismatch)),
        (&[], Some(&bad_query), Err(VerifyError::Mismatch)),
        (&[], Some(&double_query), Err(VerifyError::Ambiguous)),
        (&[("authorization", SECRET)], None, Err(VerifyError::Missing)),
        (&[("x-gitlab-token", SECRET)], None, Err(VerifyError::Missing)),
    ];
    for (pairs, query, expected) in cases {
        let headers = headers(pairs);
        let delivery = delivery(&headers, *query, body);
        let verified = GitFlicWebhooks.verify(&delivery, &secrets(SECRET));
        assert_eq!(
            verified.map(|it| assert_eq!(it.proof(), Proof::SharedToken)),
            *expected,
            "{pairs:?} {query:?}"
        );
    }
    let headers = headers(&[good]);
    let unproved = delivery(&headers, None, body);
    assert_eq!(GitFlicWebhooks.verify(&unproved, &Secrets::none()).unwrap_err(), VerifyError::NoSecret);
    assert_eq!(GitFlicWebhooks.verify(&unproved, &secrets("")).unwrap_err(), VerifyError::NoSecret);
    let signing = secrets(SECRET).with_signing("whsec_AAAA".to_owned().into());
    assert!(GitFlicWebhooks.verify(&unproved, &signing).is_err(), "a token is no signature");
    assert!(!GitFlicWebhooks.is_unsigned_ping(&unproved));
}

#[test]
fn the_previous_secret_is_accepted_while_it_is_given() {
    let both = secrets("new").with_shared("old".to_owned().into());
    for (sent, is_accepted) in [("new", true), ("old", true), ("older", false)] {
        let headers = headers(&[("gitflic-webhook-secret", sent)]);
        assert_eq!(GitFlicWebhooks.verify(&delivery(&headers, None, b"{}"), &both).is_ok(), is_accepted);
    }
}

#[test]
fn there_is_no_delivery_id_to_be_found() {
    let headers =
        headers(&[("x-request-id", "1"), ("x-github-delivery", "2"), ("gitflic-webhook-secret", "s")]);
    assert_eq!(GitFlicWebhooks.delivery_id(&headers), None);
}

#[test]
fn broken_bytes_and_a_byte_order_mark_do_not_hide_the_pipeline() {
    let mut body = b"\xef\xbb\xbf".to_vec();
    body.extend(fs::read(fixtures().join("pipeline_fail.json")).unwrap());
    let at = body.windows(4).position(|window| window == b"Shop").unwrap();
    body[at] = 0xff;
    assert!(inspect(&body).unwrap().triggers_rca);
}

#[test]
fn what_gitflic_does_not_send_is_an_error_and_never_a_panic() {
    let deep = "[".repeat(10_000);
    let deep_object = format!("{{\"a\":{deep}");
    let bodies: &[&[u8]] = &[
        b"",
        b"null",
        b"[]",
        b"{",
        b"7",
        b"<html></html>",
        b"\"PIPELINE_FAIL\"",
        deep.as_bytes(),
        deep_object.as_bytes(),
    ];
    for body in bodies {
        let error = inspect(body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
        assert_eq!(error.operation(), Some("read a delivery"));
        assert!(error.hint().is_some());
    }
    let other_forge =
        inspect(br#"{"object_kind":"pipeline","object_attributes":{"status":"failed"}}"#).unwrap();
    assert_eq!(other_forge.kind, EventKind::Other);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[A-Z_a-z0-9/]{0,16}".prop_map(Into::into),
        prop::sample::select(vec![
            "PIPELINE_FAIL",
            "PIPELINE_NEW",
            "FAILED",
            "CANCELED",
            "12",
            "refs/heads/x"
        ])
        .prop_map(Into::into),
    ];
    let key = prop::sample::select(vec![
        "action",
        "project_id",
        "project",
        "pipeline",
        "local_id",
        "id",
        "status",
        "ref",
        "commit",
        "commit_id",
        "url",
        "tag",
        "push",
        "merge_request",
        "source",
        "owner_alias",
        "alias",
    ]);
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
            let headers = headers(&[("gitflic-webhook-secret", SECRET)]);
            let delivery = delivery(&headers, None, body);
            let verified = GitFlicWebhooks.verify(&delivery, &secrets(SECRET));
            prop_assert!(verified.is_ok());
            let _ = GitFlicWebhooks.parse(&verified.unwrap());
        }
    }
}

proptest! {
    #[test]
    fn any_json_in_any_place_is_read_or_refused(
        value in any_json(),
        action in prop::sample::select(vec!["PIPELINE_FAIL", "PIPELINE_NEW", "PIPELINE_SUCCESS", "MERGE", "TAG_CREATE", "X"]),
    ) {
        let mut value = value;
        if let Some(object) = value.as_object_mut() {
            object.insert("action".to_owned(), action.into());
        }
        if let Ok(event) = inspect(value.to_string().as_bytes()) {
            prop_assert!(!event.triggers_rca || (event.failed && event.terminal && event.run_id.is_some()));
            prop_assert!(event.reason.is_some());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = inspect(&body);
    }
}
