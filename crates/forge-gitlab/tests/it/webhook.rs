//! Deliveries: proof and facts.

use std::{fs, path::PathBuf};

use forge_core::{
    Delivery, ErrorKind, Proof, Secrets, VerifyError, WebhookReceiver,
    model::{Event, EventKind},
};
use forge_gitlab::GitLabWebhooks;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;

/// Computed outside of this program; see the comment at each use.
const SIGNING: &str = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=";
const ID: &str = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f";
const TIME: &str = "1776000000";
const BODY: &[u8] = br#"{"object_kind":"pipeline"}"#;
const SIGNATURE: &str = "v1,C89awmWfDikrNEQ6TOFEPnjsHNUkhg//P9IYZx9ibdQ=";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers
            .append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn verify(pairs: &[(&str, &str)], body: &[u8], secrets: &Secrets, at: i64) -> Result<Proof, VerifyError> {
    let headers = headers(pairs);
    let received_at = Timestamp::from_second(at).unwrap();
    let delivery = Delivery { headers: &headers, query: None, body, received_at };
    GitLabWebhooks.verify(&delivery, secrets).map(|verified| verified.proof())
}

fn inspect(body: &[u8], event: Option<&str>) -> forge_core::Result<Event> {
    let headers = match event {
        Some(event) => headers(&[("x-gitlab-event", event)]),
        None => HeaderMap::new(),
    };
    GitLabWebhooks.inspect(&Delivery {
        headers: &headers,
        query: None,
        body,
        received_at: Timestamp::UNIX_EPOCH,
    })
}

#[test]
fn tokens_are_checked() {
    let (one, none, empty) = (Secrets::new("correct horse".into()), Secrets::none(), Secrets::new("".into()));
    let two = one.clone().with_shared("previous".into());
    let token = |value| vec![("x-gitlab-token", value)];
    let cases = [
        ("right", token("correct horse"), &one, Ok(Proof::SharedToken)),
        ("previous", token("previous"), &two, Ok(Proof::SharedToken)),
        ("previous after its end", token("previous"), &one, Err(VerifyError::Mismatch)),
        ("wrong", token("wrong"), &one, Err(VerifyError::Mismatch)),
        ("prefix", token("correct"), &one, Err(VerifyError::Mismatch)),
        ("longer", token("correct horse battery"), &one, Err(VerifyError::Mismatch)),
        ("upper case", token("CORRECT HORSE"), &one, Err(VerifyError::Mismatch)),
        ("empty", token(""), &one, Err(VerifyError::Mismatch)),
        ("missing", vec![], &one, Err(VerifyError::Missing)),
        (
            "twice",
            vec![("x-gitlab-token", "correct horse"), ("x-gitlab-token", "x")],
            &one,
            Err(VerifyError::Ambiguous),
        ),
        ("other forge", vec![("x-hub-signature-256", "sha256=00")], &one, Err(VerifyError::Missing)),
        ("no secret", token("correct horse"), &none, Err(VerifyError::NoSecret)),
        ("empty secret", token(""), &empty, Err(VerifyError::NoSecret)),
    ];
    for (name, pairs, secrets, expected) in cases {
        assert_eq!(verify(&pairs, BODY, secrets, 0), expected, "{name}");
    }
}

#[test]
fn signatures_are_checked_and_nothing_weaker_helps() {
    // HMAC-SHA256 with the 32 bytes "testtest..." over "id.timestamp.body", made with another implementation.
    let signed = Secrets::new("token".into()).with_signing(SIGNING.into());
    let base = vec![("webhook-id", ID), ("webhook-timestamp", TIME), ("webhook-signature", SIGNATURE)];
    let with = |name: &'static str, value: &'static str| {
        base.iter().map(|(key, old)| (*key, if *key == name { value } else { *old })).collect::<Vec<_>>()
    };
    let without =
        |name: &str| base.iter().filter(|(key, _)| *key != name).copied().collect::<Vec<(&str, &str)>>();
    let at = 1_776_000_000;
    let mut extra = base.clone();
    extra.push(("x-gitlab-token", "wrong"));
    let mut twice = base.clone();
    twice.push(("webhook-signature", SIGNATURE));
    let cases = vec![
        ("right", base.clone(), at, Ok(Proof::SignedTime)),
        ("a wrong token beside it", extra, at, Ok(Proof::SignedTime)),
        (
            "several signatures",
            with("webhook-signature", "v1,AAAA v2,x v1,C89awmWfDikrNEQ6TOFEPnjsHNUkhg//P9IYZx9ibdQ="),
            at,
            Ok(Proof::SignedTime),
        ),
        ("300 s late", base.clone(), at + 300, Ok(Proof::SignedTime)),
        ("301 s late", base.clone(), at + 301, Err(VerifyError::Stale)),
        ("301 s early", base.clone(), at - 301, Err(VerifyError::Stale)),
        ("other id", with("webhook-id", "other"), at, Err(VerifyError::Mismatch)),
        ("other time", with("webhook-timestamp", "1776000001"), at, Err(VerifyError::Mismatch)),
        ("no number", with("webhook-timestamp", "now"), at, Err(VerifyError::Malformed)),
        (
            "only v0",
            with("webhook-signature", "v0,C89awmWfDikrNEQ6TOFEPnjsHNUkhg//P9IYZx9ibdQ="),
            at,
            Err(VerifyError::Malformed),
        ),
        (
            "truncated",
            with("webhook-signature", "v1,C89awmWfDikrNEQ6TOFEPg=="),
            at,
            Err(VerifyError::Mismatch),
        ),
        ("not base64", with("webhook-signature", "v1,!!!!"), at, Err(VerifyError::Mismatch)),
        ("no signature", without("webhook-signature"), at, Err(VerifyError::Missing)),
        ("no time", without("webhook-timestamp"), at, Err(VerifyError::Missing)),
        ("no id", without("webhook-id"), at, Err(VerifyError::Missing)),
        ("two headers", twice, at, Err(VerifyError::Ambiguous)),
        ("only the right token", vec![("x-gitlab-token", "token")], at, Err(VerifyError::Missing)),
    ];
    for (name, pairs, at, expected) in cases {
        assert_eq!(verify(&pairs, BODY, &signed, at), expected, "{name}");
    }
    let mut flipped = BODY.to_vec();
    flipped[3] ^= 1;
    assert_eq!(verify(&base, &flipped, &signed, at), Err(VerifyError::Mismatch));
    // Two tokens while they are exchanged.
    let rotated = Secrets::none().with_signing("whsec_AAAA".into()).with_signing(SIGNING.into());
    assert_eq!(verify(&base, BODY, &rotated, at), Ok(Proof::SignedTime));
}

#[test]
fn deliveries_are_told_apart_by_the_right_header() {
    let id = |pairs: &[(&str, &str)]| GitLabWebhooks.delivery_id(&headers(pairs));
    assert_eq!(id(&[("idempotency-key", "a")]).as_deref(), Some("a"));
    assert_eq!(id(&[("webhook-id", "a"), ("idempotency-key", "b")]).as_deref(), Some("a"));
    assert_eq!(id(&[("x-gitlab-event-uuid", "a"), ("x-gitlab-webhook-uuid", "b")]), None);
    assert_eq!(id(&[("idempotency-key", "a"), ("idempotency-key", "b")]), None);
    assert_eq!(id(&[("idempotency-key", "")]), None);
    assert_eq!(id(&[("idempotency-key", &"x".repeat(1000))]), None);
    assert_eq!(id(&[]), None);
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gitlab/webhooks")
}

/// Every payload gives the facts beside it. `FORGE_RCA_BLESS=1` writes them anew: look at the difference then.
#[test]
fn payloads_give_their_facts() {
    let mut names = Vec::new();
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".json") && !name.ends_with(".golden.json") {
            names.push(name);
        }
    }
    names.sort();
    let odd = names.iter().filter(|name| name.contains("odd_")).count();
    assert!(names.len() >= 60 && odd >= 12, "only {} payloads, {odd} of them odd", names.len());
    let mut wrong = Vec::new();
    for name in names {
        let body = fs::read(fixtures().join(&name)).unwrap();
        let event = inspect(&body, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let facts = serde_json::to_string_pretty(&event).unwrap() + "\n";
        let golden = fixtures().join(name.replace(".json", ".golden.json"));
        if std::env::var_os("FORGE_RCA_BLESS").is_some() {
            fs::write(&golden, &facts).unwrap();
        }
        if fs::read_to_string(&golden).ok().as_deref() != Some(&facts) {
            wrong.push(format!("{name}:\n{facts}"));
        }
        // Whatever comes, nothing acts on what it cannot name.
        assert!(!event.triggers_rca || event.run_id.is_some(), "{name}");
        assert!(event.reason.is_some(), "{name}: a person has to be told why");
        assert!(!facts.contains("not-for-your-eyes"), "{name}: typed-in variables may be secrets");
    }
    assert!(wrong.is_empty(), "facts differ from their golden files:\n{}", wrong.join("\n"));
}

#[test]
fn only_failed_pipelines_trigger() {
    let triggering: Vec<String> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_str().unwrap().ends_with(".golden.json"))
        .filter(|path| inspect(&fs::read(path).unwrap(), None).unwrap().triggers_rca)
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert!(triggering.iter().all(|name| name.starts_with("pipeline")), "{triggering:?}");
    for name in [
        "pipeline",
        "pipeline_child",
        "pipeline_tag",
        "pipeline_merge_request",
        "pipeline_parent_without_builds",
    ] {
        assert!(triggering.iter().any(|found| found == name), "{name}");
    }
    for name in
        ["pipeline_external", "pipeline_duo_workflow", "pipeline_success_with_warnings", "pipeline_canceled"]
    {
        assert!(triggering.iter().all(|found| found != name), "{name}");
    }
}

#[test]
fn what_gitlab_does_not_send_is_an_error_that_quotes_nothing() {
    for (body, header) in [
        (&b""[..], None),
        (b"secret-canary", Some("Pipeline Hook")),
        (br#"{"object_kind":"pipeline""#, Some("Pipeline Hook")),
        (b"[]", Some("Pipeline Hook")),
        (b"null", None),
        (b"{}", None),
        (br#"{"zen":"secret-canary"}"#, None),
        (b"\xff\xfe{}", None),
    ] {
        let error = inspect(body, header).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
        assert_eq!(error.forge(), Some(forge_core::ForgeKind::GITLAB));
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let deep = "[".repeat(10_000);
    assert!(inspect(deep.as_bytes(), None).is_err());
}

#[test]
fn a_body_reshaped_by_a_template_is_ignored() {
    let event = inspect(br#"{"text":"pipeline 7 failed"}"#, Some("Pipeline Hook")).unwrap();
    assert_eq!(event.kind, EventKind::Other);
    assert!(!event.triggers_rca);
    assert!(event.reason.unwrap().contains("custom webhook template"));
}

proptest! {
    /// Payloads that somebody who knows the secret has cut and scratched, and plain rubbish.
    #[test]
    fn any_bytes_with_the_right_proof_pass_and_never_panic(
        rubbish in proptest::collection::vec(any::<u8>(), 0..400),
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        scratch in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        name in prop_oneof![Just("Pipeline Hook".to_owned()), "[ -~]{0,40}"],
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
            let headers = headers(&[("x-gitlab-token", "k"), ("x-gitlab-event", &name)]);
            let delivery = Delivery { headers: &headers, query: None, body, received_at: Timestamp::UNIX_EPOCH };
            let verified = GitLabWebhooks.verify(&delivery, &Secrets::new("k".into()));
            prop_assert!(verified.is_ok());
            let _ = GitLabWebhooks.parse(&verified.unwrap());
        }
    }
}

proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = inspect(&body, Some("Pipeline Hook"));
    }

    #[test]
    fn no_json_panics_and_none_triggers_without_a_run(
        kind in prop_oneof![Just("pipeline"), Just("build"), Just("push"), Just("merge_request"), Just("note"), Just("deployment")],
        status in ".{0,12}",
        reference in ".{0,24}",
        id in any::<i64>(),
    ) {
        let body = serde_json::json!({
            "object_kind": kind,
            "object_attributes": {"id": id, "status": status, "ref": reference, "sha": reference},
            "build_status": status, "ref": reference, "after": reference, "retries_count": id,
            "project": {"id": id, "path_with_namespace": reference},
        });
        let event = inspect(body.to_string().as_bytes(), None).unwrap();
        prop_assert!(!event.triggers_rca || (event.run_id.is_some() && status == "failed"));
    }

    #[test]
    fn no_delivery_without_the_secret_passes(
        token in "[ -~]{0,40}",
        signature in "[ -~]{0,60}",
        id in "[ -~]{0,20}",
        signed in any::<bool>(),
    ) {
        prop_assume!(token != "0123456789abcdef");
        let secrets = if signed {
            Secrets::new("0123456789abcdef".into()).with_signing(SIGNING.into())
        } else {
            Secrets::new("0123456789abcdef".into())
        };
        let pairs = [
            ("x-gitlab-token", token.as_str()),
            ("webhook-signature", signature.as_str()),
            ("webhook-id", id.as_str()),
            ("webhook-timestamp", TIME),
        ];
        prop_assert!(verify(&pairs, BODY, &secrets, 1_776_000_000).is_err());
    }
}
