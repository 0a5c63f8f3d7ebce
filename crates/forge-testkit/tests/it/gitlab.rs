use forge_core::model::Target;
use forge_testkit::{
    FakeGitLab, FakeOptions, HookSetup, JobSpec, PullSpec, RunSpec, State, TokenKind, TokenSpec,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::http::{call, request};

#[tokio::test]
async fn lives_under_a_path_and_pages_by_key() {
    let fake = FakeGitLab::start_with(&FakeOptions::new().with_root("/gitlab")).await;
    fake.add_repos(120);
    let path = "/api/v4/projects?pagination=keyset&order_by=id&sort=asc&per_page=100";
    let first = call(&fake, "GET", path, &Value::Null).await;
    assert_eq!(first.json().as_array().unwrap().len(), 100);
    let link = first.header("link");
    assert!(link.contains("/gitlab/api/v4/projects?") && link.contains("id_after="), "{link}");
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    let path = next.strip_prefix(fake.base_url().as_str()).unwrap();
    let second = call(&fake, "GET", path, &Value::Null).await;
    assert_eq!((second.json().as_array().unwrap().len(), second.header("link")), (20, ""));
    assert_eq!(fake.count("GET", "/api/v4/projects"), 2);
}

#[tokio::test]
async fn oauth_tokens_go_as_bearer_only() {
    let fake = FakeGitLab::start().await;
    let oauth = fake.add_token(&TokenSpec::new(TokenKind::OAuth, &["api"]));
    let url = format!("{}api/v4/user", fake.base_url());
    let as_private = request("GET", &url, &[("private-token", oauth.expose_secret())], "").await.unwrap();
    assert_eq!(as_private.status, 401);
    let personal = fake.token();
    let as_private = request("GET", &url, &[("private-token", personal.expose_secret())], "").await.unwrap();
    assert_eq!(as_private.status, 200);
}

#[tokio::test]
async fn child_pipelines_are_listed_only_when_asked_for() {
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let child = RunSpec::new(vec![JobSpec::failed("inner", "boom")]);
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("outer")]).with_child(child));
    let ids = |value: Value| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|run| run["id"].as_u64().unwrap()).collect()
    };
    let base = format!("/api/v4/projects/{}/pipelines", repo.id);
    let plain = call(&fake, "GET", &base, &Value::Null).await;
    assert_eq!(ids(plain.json()), [run.id]);
    let children = call(&fake, "GET", &format!("{base}?source=parent_pipeline"), &Value::Null).await;
    assert_eq!(ids(children.json()), run.children);
    let bridges = call(&fake, "GET", &format!("{base}/{}/bridges", run.id), &Value::Null).await.json();
    assert_eq!(bridges[0]["downstream_pipeline"]["id"].as_u64(), run.children.first().copied());
    assert_eq!(bridges[0]["status"], "failed");
}

#[tokio::test]
async fn a_trace_that_is_not_there_is_empty() {
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom").with_log_delay(1)]));
    let job = run.jobs[0];
    let path = format!("/api/v4/projects/acme%2Fshop/jobs/{job}/trace");
    for expected in ["", "boom"] {
        let trace = call(&fake, "GET", &path, &Value::Null).await;
        assert_eq!((trace.status.as_u16(), trace.body.as_slice()), (200, expected.as_bytes()));
    }
    fake.erase_log(job);
    assert_eq!(call(&fake, "GET", &path, &Value::Null).await.body, b"");
}

#[tokio::test]
async fn signing_tokens_are_ignored_before_version_19() {
    let body = json!({
        "url": "http://127.0.0.1:9/hook", "token": "s",
        "signing_token": "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=",
    });
    for (version, expected) in [("18.4.0", Value::Null), ("19.2.0-ee", json!(true))] {
        let fake = FakeGitLab::start_with(&FakeOptions::new().with_version(version)).await;
        let repo = fake.add_repo("acme/shop");
        let path = format!("/api/v4/projects/{}/hooks", repo.id);
        let hook = call(&fake, "POST", &path, &body).await;
        assert_eq!(hook.status, 201);
        assert_eq!(hook.json()["signing_token_present"], expected, "{version}");
        // Push events are on unless they are switched off.
        assert_eq!(hook.json()["push_events"], true);
        assert_eq!(fake.hooks(&repo)[0].signing_token.is_some(), !expected.is_null());
    }
}

#[tokio::test]
async fn hooks_that_fail_are_paused_then_switched_off() {
    let fake = FakeGitLab::start().await;
    fake.set_hook_auto_disable(true);
    let receiver = forge_testkit::Receiver::start().await;
    receiver.set_status(500);
    let repo = fake.add_repo("acme/shop");
    fake.add_hook(&repo, &HookSetup::new(receiver.url().as_str()).with_events(&["pipeline_events"]));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom")]));
    for number in 1..=41 {
        assert_eq!(fake.deliver(&run).await.len(), 1, "delivery {number}");
        let hook = &fake.hooks(&repo)[0];
        assert_eq!((hook.failures, hook.is_disabled), (number, number > 3));
        if hook.is_disabled {
            // Meanwhile events are dropped, not queued.
            assert!(fake.deliver(&run).await.is_empty());
        }
        fake.advance_clock(std::time::Duration::from_secs(86_401));
    }
    // After the fortieth no time heals it.
    assert!(fake.deliver(&run).await.is_empty() && fake.hooks(&repo)[0].is_disabled);
    assert_eq!(receiver.received().len(), 41);
}

#[tokio::test]
async fn quick_actions_outside_fences_are_executed() {
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let pull = fake.open_pull(&repo, &PullSpec::new("Fix", "fix"));
    let path = format!("/api/v4/projects/{}/merge_requests/{}/notes", repo.id, pull.number);
    for (body, executed) in [
        ("log:\n```\n/close\n```\n", 0),
        ("log: a\r/merge\rb", 1),
        ("/usr/bin/env", 1),
        ("~~~~\n/close\n~~~\n/close\n~~~~", 1),
        ("text\n/approve", 2),
    ] {
        assert_eq!(call(&fake, "POST", &path, &json!({ "body": body })).await.status, 201, "{body:?}");
        assert_eq!(fake.executed_quick_actions().len(), executed, "{body:?}");
    }
    let only = call(&fake, "POST", &path, &json!({ "body": "/close" })).await;
    assert_eq!((only.status.as_u16(), only.json()["id"].is_null()), (202, true));
    assert_eq!(fake.comments(&repo, &Target::Pull(pull.number.to_string())).len(), 5);
}

#[tokio::test]
async fn a_retry_keeps_the_pipeline_and_repeats_the_job() {
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let run =
        fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom"), JobSpec::green("lint")]));
    let again = fake.rerun(&run, &[JobSpec::new("test", State::Success, "fine")]);
    assert_eq!((again.id, again.attempt), (run.id, 1));
    let base = format!("/api/v4/projects/{}/pipelines/{}", repo.id, run.id);
    assert_eq!(call(&fake, "GET", &base, &Value::Null).await.json()["status"], "success");
    let count = |answer: Value| answer.as_array().unwrap().len();
    assert_eq!(count(call(&fake, "GET", &format!("{base}/jobs"), &Value::Null).await.json()), 2);
    let path = format!("{base}/jobs?include_retried=true");
    assert_eq!(count(call(&fake, "GET", &path, &Value::Null).await.json()), 3);
}
