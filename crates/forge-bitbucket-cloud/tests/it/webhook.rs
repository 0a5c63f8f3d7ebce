//! Deliveries: proofs, and the facts of every event against golden files.

use std::{fs, path::PathBuf};

use forge_bitbucket_cloud::BitbucketCloudWebhooks;
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
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/bitbucket-cloud/webhooks")
}

/// Name of the event, name of the file, body.
fn payloads() -> Vec<(String, String, Vec<u8>)> {
    let mut payloads = Vec::new();
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
        let event = file.split('.').next().unwrap().replacen('-', ":", 1);
        payloads.push((event, file, fs::read(&path).unwrap()));
    }
    payloads.sort();
    payloads
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
    let headers = headers(&[("x-event-key", name)]);
    BitbucketCloudWebhooks.inspect(&delivery(&headers, body))
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
    let payloads = payloads();
    assert!(payloads.len() >= 35, "only {} payloads", payloads.len());
    for (name, file, body) in payloads {
        let event = inspect(&name, &body).unwrap_or_else(|error| panic!("{file}: {error}"));
        let facts = serde_json::to_string_pretty(&event).unwrap() + "\n";
        let golden = fixtures().join(file.replace(".json", ".golden.json"));
        if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
            fs::write(&golden, &facts).unwrap();
        }
        assert_eq!(facts, fs::read_to_string(&golden).unwrap_or_default(), "{file}");
    }
}

/// The point of the adapter, said once more beside the golden files: exactly these begin an analysis.
#[test]
fn only_failed_pipelines_of_the_same_repository_trigger() {
    let mut triggering: Vec<String> = payloads()
        .into_iter()
        .filter(|(name, _, body)| inspect(name, body).unwrap().triggers_rca)
        .map(|(_, file, _)| file)
        .collect();
    triggering.sort();
    assert_eq!(
        triggering,
        [
            "repo-commit_status_created.born-failed.json",
            "repo-commit_status_updated.failed.json",
            "repo-commit_status_updated.newer-address.json",
            "repo-commit_status_updated.odd-commit-in-links-only.json",
            "repo-commit_status_updated.odd-duplicate-keys-and-escapes.json",
            "repo-commit_status_updated.odd-key-as-number.json",
            "repo-commit_status_updated.odd-null-actor-and-emoji.json",
            "repo-commit_status_updated.odd-null-refname.json",
            "repo-commit_status_updated.odd-number-in-name-only.json",
            "repo-commit_status_updated.odd-other-case-in-address.json",
            "repo-commit_status_updated.odd-own-host.json",
            "repo-commit_status_updated.odd-repository-inside-only.json",
            "repo-commit_status_updated.odd-uuids-in-address.json",
        ]
    );
}

#[test]
fn the_event_is_known_by_its_shape_where_the_header_is_missing() {
    for (name, file, body) in payloads() {
        let bare = HeaderMap::new();
        let by_shape = BitbucketCloudWebhooks.inspect(&delivery(&bare, &body));
        if file.contains("repository-inside-only") || file.contains("odd-no-repository") {
            assert!(by_shape.is_err(), "{file}: nothing shows whose it is");
            continue;
        }
        assert_eq!(by_shape.unwrap().kind, inspect(&name, &body).unwrap().kind, "{file}");
    }
}

#[test]
fn a_signature_passes_and_one_flipped_bit_fails() {
    // The vector of GitHub's documents: the algorithm is the same, only the header has another name.
    let body = *b"Hello, World!";
    let secrets = secrets("It's a Secret to Everybody");
    let headers = headers(&[(
        "X-Hub-Signature",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )]);
    let verified = BitbucketCloudWebhooks.verify(&delivery(&headers, &body), &secrets).map(|it| it.proof());
    assert_eq!(verified, Ok(Proof::Hmac));
    for position in 0..body.len() {
        let mut flipped = body;
        flipped[position] ^= 1;
        let refused = BitbucketCloudWebhooks.verify(&delivery(&headers, &flipped), &secrets).unwrap_err();
        assert_eq!(refused, VerifyError::Mismatch);
    }
}

#[test]
fn weaker_missing_and_doubled_proofs_are_refused() {
    let body = br#"{"repository":{}}"#;
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
        let refused =
            BitbucketCloudWebhooks.verify(&delivery(&headers, body), &secrets("s3cret")).unwrap_err();
        assert_eq!(refused, *expected, "{pairs:?}");
    }
    let headers = headers(&[("x-hub-signature", &good)]);
    let unproved = delivery(&headers, body);
    let receiver = BitbucketCloudWebhooks;
    assert_eq!(receiver.verify(&unproved, &Secrets::none()).unwrap_err(), VerifyError::NoSecret);
    assert_eq!(receiver.verify(&unproved, &secrets("")).unwrap_err(), VerifyError::NoSecret);
    assert_eq!(receiver.verify(&unproved, &secrets("other")).unwrap_err(), VerifyError::Mismatch);
    assert!(!receiver.is_unsigned_ping(&unproved));
    let both = secrets("new").with_shared("s3cret".to_owned().into());
    assert!(receiver.verify(&unproved, &both).is_ok(), "the previous secret");
}

#[test]
fn a_delivery_carries_its_id() {
    let body = fs::read(fixtures().join("repo-commit_status_updated.failed.json")).unwrap();
    let headers = headers(&[
        ("x-event-key", "repo:commit_status_updated"),
        ("x-request-uuid", "0f6e8a10-9f5e-41ef-8d2a-6a1f0f9f1c11"),
        ("x-hook-uuid", "4e1d0c9a-2222-4b7e-9a1c-5d6e7f8091a2"),
        ("x-attempt-number", "2"),
        ("x-hub-signature", &sign("k", &body)),
    ]);
    let delivery = delivery(&headers, &body);
    let verified = BitbucketCloudWebhooks.verify(&delivery, &secrets("k")).unwrap();
    assert!(BitbucketCloudWebhooks.parse(&verified).unwrap().triggers_rca);
    let id = BitbucketCloudWebhooks.delivery_id(&headers);
    assert_eq!(id.as_deref(), Some("0f6e8a10-9f5e-41ef-8d2a-6a1f0f9f1c11"));
    assert_eq!(BitbucketCloudWebhooks.delivery_id(&HeaderMap::new()), None);
}

#[test]
fn broken_utf8_in_a_message_does_not_hide_the_run() {
    let mut body = fs::read(fixtures().join("repo-commit_status_updated.failed.json")).unwrap();
    let at = body.windows(5).position(|window| window == b"Round").unwrap();
    body[at] = 0xff;
    assert!(inspect("repo:commit_status_updated", &body).unwrap().triggers_rca);
}

#[test]
fn what_bitbucket_does_not_send_is_an_error_and_never_a_panic() {
    let deep = "[".repeat(10_000);
    let deep_object = format!("{{\"a\":{deep}");
    let status = "repo:commit_status_updated";
    let cases: &[(&str, &[u8])] = &[
        (status, b""),
        (status, b"null"),
        (status, b"[]"),
        (status, b"{"),
        (status, b"<html></html>"),
        (status, b"{}"),
        (status, br#"{"commit_status":"x"}"#),
        (status, deep.as_bytes()),
        (status, deep_object.as_bytes()),
        ("repo:push", b"{}"),
        ("pullrequest:created", br#"{"pullrequest":7}"#),
    ];
    for (name, body) in cases {
        let error = inspect(name, body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{name}");
        assert_eq!(error.operation(), Some("read a delivery"));
        assert!(error.hint().is_some());
    }
    let bare = HeaderMap::new();
    for body in [&br#"{"eventKey":"repo:refs_changed","repository":{"uuid":1}}"#[..], b"{}", br#"{"a":1}"#] {
        assert!(BitbucketCloudWebhooks.inspect(&delivery(&bare, body)).is_err());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        Just("FAILED".into()),
        Just("northwind/shop".into()),
        Just("https://bitbucket.org/northwind/shop/addon/pipelines/home#!/results/4".into()),
        "https://bitbucket.org/[a-z/%#!{}]{0,20}".prop_map(Into::into),
    ];
    let key = prop::sample::select(vec![
        "commit_status",
        "repository",
        "full_name",
        "uuid",
        "url",
        "state",
        "name",
        "commit",
        "hash",
        "links",
        "href",
        "push",
        "changes",
        "new",
        "old",
        "target",
        "type",
        "pullrequest",
        "source",
        "branch",
        "id",
        "key",
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
        name in prop_oneof![Just("repo:commit_status_updated".to_owned()), "[ -~]{0,40}"],
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
            let verified = BitbucketCloudWebhooks.verify(&delivery, &secrets("k"));
            prop_assert!(verified.is_ok());
            let _ = BitbucketCloudWebhooks.parse(&verified.unwrap());
        }
    }
}

proptest! {
    #[test]
    fn any_json_in_any_place_is_read_or_refused(
        value in any_json(),
        name in prop::sample::select(vec!["repo:commit_status_updated", "repo:push", "pullrequest:created", "x"]),
    ) {
        if let Ok(event) = inspect(name, value.to_string().as_bytes()) {
            let is_whole = event.failed && event.terminal && event.run_id.is_some() && event.repo_id.is_some();
            prop_assert!(!event.triggers_rca || (is_whole && event.kind == EventKind::Run));
            prop_assert!(event.reason.is_some());
        }
    }

    /// Whatever address a status names: it counts as a run only inside of the repository at bitbucket.org.
    #[test]
    fn an_address_elsewhere_is_never_a_run(host in "[a-z]{1,8}\\.(org|com|example)", number in 1_u32..) {
        prop_assume!(host != "bitbucket.org");
        let body = serde_json::json!({
            "repository": { "uuid": "{x}", "full_name": "northwind/shop" },
            "commit_status": {
                "state": "FAILED",
                "name": format!("Pipeline #{number} for main"),
                "url": format!("https://{host}/northwind/shop/addon/pipelines/home#!/results/{number}"),
            },
        });
        let event = inspect("repo:commit_status_updated", body.to_string().as_bytes()).unwrap();
        prop_assert_eq!((event.kind, event.triggers_rca, event.run_id), (EventKind::Status, false, None));
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = inspect("repo:commit_status_updated", &body);
    }
}
