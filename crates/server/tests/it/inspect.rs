use std::fs;

use crate::program::{Ran, run};

/// HMAC-SHA256 of `body` with `secret`, as GitHub sends it.
fn signature(secret: &str, body: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("X-Hub-Signature-256: sha256={}", hex::encode(mac.finalize().into_bytes()))
}

const RUN: &str = r#"{"action":"completed","workflow_run":{"id":5000000001,"run_attempt":2,"name":"ci","event":"push","status":"completed","conclusion":"failure","head_branch":"main","head_sha":"0123456789012345678901234567890123456789","pull_requests":[]},"repository":{"id":77,"full_name":"acme/shop"}}"#;

fn inspect(body: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.json");
    fs::write(&path, body).unwrap();
    let mut arguments = vec!["webhook", "inspect", "--forge", "github"];
    arguments.extend(["--header", "X-GitHub-Event: workflow_run", "--header", "X-GitHub-Delivery: abc-1"]);
    arguments.extend(more);
    arguments.push(path.to_str().unwrap());
    run(&arguments)
}

#[test]
fn prints_the_normalised_facts() {
    let ran = inspect(RUN, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let facts = ran.json();
    for (field, expected) in [
        ("forge", serde_json::json!("github")),
        ("event", "run".into()),
        ("action", "completed".into()),
        ("verified", serde_json::Value::Null),
        ("delivery_id", "abc-1".into()),
        ("repo", "acme/shop".into()),
        ("repo_id", "77".into()),
        ("ref", "main".into()),
        ("ref_type", "branch".into()),
        ("sha", "0123456789012345678901234567890123456789".into()),
        ("run_id", "5000000001".into()),
        ("attempt", 2.into()),
        ("job_id", serde_json::Value::Null),
        ("job_name", serde_json::Value::Null),
        ("status", "completed".into()),
        ("conclusion", "failure".into()),
        ("terminal", true.into()),
        ("failed", true.into()),
        ("triggers_rca", true.into()),
        ("pr", serde_json::Value::Null),
        ("trigger", "push".into()),
    ] {
        assert_eq!(facts[field], expected, "{field} in {facts:#}");
    }
    assert_eq!(facts.as_object().unwrap().len(), 22, "exactly the documented fields: {facts:#}");
}

#[test]
fn the_proof_decides_the_exit_code() {
    let good = inspect(RUN, &["--secret", "hush", "--header", &signature("hush", RUN)]);
    assert_eq!((good.code, &good.json()["verified"]), (0, &true.into()), "{}", good.stderr);
    let wrong = inspect(RUN, &["--secret", "hush", "--header", &signature("other", RUN)]);
    assert_eq!((wrong.code, &wrong.json()["verified"]), (1, &false.into()));
    let missing = inspect(RUN, &["--secret", "hush"]);
    assert_eq!((missing.code, &missing.json()["verified"]), (1, &false.into()));
}

#[test]
fn what_no_forge_sends_is_exit_code_two() {
    for body in ["", "not json", "[1, 2", "\u{0}"] {
        let ran = inspect(body, &[]);
        assert_eq!(ran.code, 2, "{body:?}: {}", ran.stdout);
        assert!(ran.stderr.contains("body.json"), "names the file: {}", ran.stderr);
    }
    let unknown = run(&["webhook", "inspect", "--forge", "gitea", "x"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("bitbucket-dc"), "lists the forges: {}", unknown.stderr);
    let header = inspect(RUN, &["--header", "no colon"]);
    assert_eq!(header.code, 2);
}
