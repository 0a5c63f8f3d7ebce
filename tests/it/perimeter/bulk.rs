//! Two thousand repositories at once: in the background, readable, each for itself, across a restart and asked for twice.

use std::time::{Duration, Instant};

use forge_testkit::{FakeGitHub, Fault};
use serde_json::{Value, json};
use server::Role;

use super::ended;
use crate::support::TestServer;

const MANY: usize = 2_000;

/// All items of an operation, part by part.
async fn items(server: &TestServer, operation: &str, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/operations/{operation}?{query}{cursor}");
        let answer = server.get(&path).await;
        assert!(answer.text.len() < 150_000, "{} bytes in one answer", answer.text.len());
        let view = answer.expect(200);
        all.extend(view["items"].as_array().unwrap().iter().cloned());
        match view["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// The operation, once so many are done. Asked seldom: in a debug build each answer takes a while.
async fn done(server: &TestServer, operation: &str, at_least: u64) -> Value {
    let began = Instant::now();
    loop {
        let view = server.get(&format!("/v1/operations/{operation}?limit=1")).await.expect(200);
        if view["done"].as_u64().unwrap() >= at_least {
            return view;
        }
        assert!(began.elapsed() < Duration::from_secs(300), "not {at_least} are done: {view}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_survive_a_restart_and_a_second_request() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let fake = FakeGitHub::start().await;
    let repos = fake.add_repos(MANY);
    let server = TestServer::start_in(folder.clone(), Role::All, |_| {}).await;
    let address = server.base.trim_start_matches("http://").parse().unwrap();
    let id = server.connect(&fake).await;
    ended(&server, &format!("sync-{id}")).await;

    let hooks = "/api/v3/repos/*/*/hooks";
    fake.fail_times("POST", hooks, Fault::Status(403), 3);
    fake.fail_times("POST", hooks, Fault::Status(404), 2);
    let path = format!("/v1/integrations/{id}/repositories/monitor");
    let accepted = server.post(&path, json!({ "all": true })).await.expect(202);
    let first = accepted["operation_id"].as_str().unwrap().to_owned();
    assert_eq!(accepted["location"], format!("/v1/operations/{first}"));
    let view = done(&server, &first, 150).await;
    assert_eq!((&view["state"], &view["total"]), (&json!("running"), &json!(MANY)), "{view}");
    server.stop().await;
    let made = fake.count("POST", hooks);
    assert!(made < MANY, "it was stopped in the middle: {made}");

    // It goes on where it was, and the same is asked for again meanwhile.
    let server = TestServer::start_in(folder, Role::All, |config| config.listen = address).await;
    let again = server.post(&path, json!({ "all": true })).await.expect(202);
    let second = again["operation_id"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    for operation in [&first, &second] {
        done(&server, operation, MANY as u64).await;
    }
    let (one, two) = (ended(&server, &first).await, ended(&server, &second).await);
    for view in [&one, &two] {
        assert_eq!(
            (&view["state"], &view["done"], &view["total"]),
            (&json!("done"), &json!(MANY), &json!(MANY))
        );
    }
    server.idle().await;

    // Each repository has its own answer; the five that were refused say why.
    let all = items(&server, &first, "limit=500").await;
    let ids: std::collections::BTreeSet<&str> = all.iter().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!((all.len(), ids.len()), (MANY, MANY));
    assert_eq!(one["failed"].as_u64().unwrap() + two["failed"].as_u64().unwrap(), 5, "{}", one["failed"]);
    let mut failed = items(&server, &first, "failed=true").await;
    assert_eq!(failed.len() as u64, one["failed"].as_u64().unwrap());
    failed.extend(items(&server, &second, "failed=true").await);
    for item in &failed {
        assert_eq!((&item["monitored"], &item["hook_registered"]), (&json!(true), &json!(false)), "{item}");
        assert!(item["error"].as_str().is_some_and(|text| text.contains("hook")), "{item}");
    }
    server.get(&format!("/v1/operations/{first}?limit=501")).await.expect_error(422, "invalid_field");

    // Nothing is doubled: one hook each, and no request more than one for each and one for each refusal.
    assert!(repos.iter().all(|repo| fake.hooks(repo).len() == 1), "one hook each");
    assert_eq!(fake.count("POST", hooks), MANY + 5);
    server.stop().await;
}
