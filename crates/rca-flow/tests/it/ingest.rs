//! Logs that are sent to us.

use std::time::Duration;

use rca_flow::{
    ingest::{Ended, ended},
    types::IngestRequest,
};
use serde_json::json;

use crate::stub::{PYTEST, World, contains, disk};

fn request(log: &str) -> IngestRequest {
    serde_json::from_value(json!({
        "provider": "jenkins", "project": "group/shop", "status": "failed", "log": log, "branch": "main",
    }))
    .unwrap()
}

#[tokio::test]
async fn a_log_is_analysed_once() {
    let world = World::new().await;
    let first = world.flow.ingest(&world.caller, request(PYTEST), None).await.unwrap();
    assert_eq!(first.status, "accepted");
    let second = world.flow.ingest(&world.caller, request(PYTEST), None).await.unwrap();
    assert_eq!((second.status, &second.analysis_id), ("duplicate", &first.analysis_id));
    let other = world.flow.ingest(&world.caller, request("another\nerror: it broke\n"), None).await.unwrap();
    assert_ne!(other.analysis_id, first.analysis_id);
    world.drain().await;
    let id = first.analysis_id.unwrap();
    let view = world.flow.wait_for_analysis(&world.caller, &id, Duration::from_secs(1)).await.unwrap();
    assert_eq!((view.state.as_str(), view.source.as_str()), ("done", "ingest"));
    assert_eq!(view.integration_id, None);
    assert_eq!((view.forge, view.provider.as_deref()), (None, Some("jenkins")));
    let report = view.report.unwrap();
    assert!(!report.root_cause.is_empty());
    assert_eq!(report.log.sha256, crate::stub::sha256(PYTEST));
    assert_eq!(first.location.unwrap(), format!("/v1/analyses/{id}"));
}

#[tokio::test]
async fn an_idempotency_key_decides() {
    let world = World::new().await;
    let first = world.flow.ingest(&world.caller, request(PYTEST), Some("build-7")).await.unwrap();
    let second = world.flow.ingest(&world.caller, request("other"), Some("build-7")).await.unwrap();
    assert_eq!((second.status, second.analysis_id), ("duplicate", first.analysis_id));
    let third = world.flow.ingest(&world.caller, request(PYTEST), Some("build-8")).await.unwrap();
    assert_eq!(third.status, "accepted");
    assert_eq!(
        world.flow.ingest(&world.caller, request(PYTEST), Some("")).await.unwrap_err().code,
        "invalid_field"
    );
}

#[tokio::test]
async fn a_secret_is_gone_before_anything_is_stored() {
    let canary = "ghp_1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R";
    let world = World::new().await;
    let log = format!("token is {canary}\n{PYTEST}");
    let answer = world.flow.ingest(&world.caller, request(&log), None).await.unwrap();
    assert!(!contains(&disk(&world), canary));
    assert!(!contains(&disk(&world), "test_total_price"), "a waiting log is sealed");
    world.drain().await;
    assert!(!contains(&disk(&world), canary));
    let view = world.flow.get_analysis(&world.caller, &answer.analysis_id.unwrap()).await.unwrap();
    let report = view.report.unwrap();
    assert!(report.redactions.count >= 1);
    assert_eq!(report.log.bytes, log.len() as u64);
}

#[tokio::test]
async fn bad_input_is_told_apart() {
    let world = World::new().await;
    let big = "x".repeat(10 * 1024 * 1024 + 1);
    let cases = [
        (IngestRequest { log: big, ..request("") }, "log_too_large", 413),
        (IngestRequest { project: " ".to_owned(), ..request("x") }, "invalid_field", 422),
        (IngestRequest { branch: Some("a".repeat(501)), ..request("x") }, "invalid_field", 422),
        (IngestRequest { branch: Some("a\u{0}b".to_owned()), ..request("x") }, "invalid_field", 422),
        (
            IngestRequest { pipeline_url: Some("javascript:alert(1)".to_owned()), ..request("x") },
            "invalid_field",
            422,
        ),
    ];
    for (request, code, status) in cases {
        let error = world.flow.ingest(&world.caller, request, None).await.unwrap_err();
        assert_eq!((error.code, error.kind.status()), (code, status));
    }
    assert!(serde_json::from_value::<IngestRequest>(json!({ "provider": "x" })).is_err());
}

#[tokio::test]
async fn what_did_not_fail_is_ignored_and_unreplaced_variables_are_told() {
    let world = World::new().await;
    let passed = IngestRequest { status: "SUCCESS".to_owned(), ..request(PYTEST) };
    let answer = world.flow.ingest(&world.caller, passed, None).await.unwrap();
    assert_eq!((answer.status, answer.analysis_id), ("ignored", None));
    assert!(answer.reason.is_some());
    let literal = IngestRequest { project: "$CI_PROJECT_PATH".to_owned(), ..request(PYTEST) };
    let answer = world.flow.ingest(&world.caller, literal, None).await.unwrap();
    assert_eq!(answer.status, "accepted");
    assert!(answer.warnings[0].contains("$CI_PROJECT_PATH"));
    let fine = IngestRequest { project: "5$ shop".to_owned(), ..request(PYTEST) };
    assert!(world.flow.ingest(&world.caller, fine, None).await.unwrap().warnings.is_empty());
}

#[test]
fn words_of_many_systems() {
    for word in ["success", "PASSED", "Fixed"] {
        assert_eq!(ended(word), Ended::Passed, "{word}");
    }
    for word in ["canceled", "ABORTED", "not_run", "on hold", "skipped", "NOT_BUILT", "completed"] {
        assert_eq!(ended(word), Ended::Otherwise, "{word}");
    }
    for word in ["failed", "FAILURE", "UNSTABLE", "error", "timedout", "infrastructure_fail", "what is this"]
    {
        assert_eq!(ended(word), Ended::Failed, "{word}");
    }
}
