//! Hooks: what is sent, and what is made of the answer.

use forge_core::{EnsureHook, ErrorKind, ForgeClientExt as _, model::HookSpec};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, fixture, json as answer, repo};

const HOOKS: &str = "/repos/northwind/shop/hooks";

fn spec() -> HookSpec {
    let url = "https://rca.example.com/v1/webhooks/github/h1".parse().unwrap();
    HookSpec::new(url, "0123456789abcdef".to_owned().into())
}

fn hook(id: u64, change: impl FnOnce(&mut Value)) -> Value {
    let mut hook = fixture("hook.json");
    hook["id"] = json!(id);
    change(&mut hook);
    hook
}

#[tokio::test]
async fn create_sends_json_tls_verification_and_the_secret() {
    let forge = Forge::start().await;
    forge.on("POST", HOOKS, answer(201, &fixture("hook.json"))).await;
    let hooks = forge.client.hooks().unwrap();
    let created = hooks.create_hook(&repo(), &spec()).await.unwrap();
    assert_eq!(created.id, "5150");
    assert!(hooks.is_as_specified(&created, &spec()));
    insta::assert_json_snapshot!(forge.sent().await);
}

#[tokio::test]
async fn update_sends_the_whole_configuration() {
    let forge = Forge::start().await;
    forge.on("PATCH", "/repos/northwind/shop/hooks/5150", answer(200, &fixture("hook.json"))).await;
    forge.client.hooks().unwrap().update_hook(&repo(), "5150", &spec()).await.unwrap();
    // GitHub removes the secret of a hook whose new configuration has none.
    insta::assert_json_snapshot!(forge.sent().await);
}

#[tokio::test]
async fn a_hook_that_exists_is_a_conflict() {
    let forge = Forge::start().await;
    let body = json!({
        "message": "Validation Failed",
        "errors": [{"resource": "Hook", "code": "custom", "message": "Hook already exists on this repository"}],
    });
    forge.on("POST", HOOKS, answer(422, &body)).await;
    let error = forge.client.hooks().unwrap().create_hook(&repo(), &spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.operation(), Some("create a hook of northwind/shop"));
    assert_eq!(forge.asked().await.len(), 1, "a POST is not repeated");
}

#[tokio::test]
async fn delete_is_fine_twice_and_ping_is_asked_for() {
    let forge = Forge::start().await;
    forge.once("DELETE", "/repos/northwind/shop/hooks/5150", ResponseTemplate::new(204)).await;
    forge
        .on("DELETE", "/repos/northwind/shop/hooks/5150", answer(404, &json!({"message": "Not Found"})))
        .await;
    forge.on("POST", "/repos/northwind/shop/hooks/5150/pings", ResponseTemplate::new(204)).await;
    let hooks = forge.client.hooks().unwrap();
    hooks.delete_hook(&repo(), "5150").await.unwrap();
    hooks.delete_hook(&repo(), "5150").await.unwrap();
    hooks.test_hook(&repo(), "5150").await.unwrap();
    let requests = forge.requests().await;
    assert!(requests.iter().all(|request| request.body.is_empty()));
}

#[tokio::test]
async fn ensure_reads_all_pages_keeps_the_known_hook_and_removes_doubles() {
    let forge = Forge::start().await;
    let next = format!("<{}>; rel=\"next\"", forge.url("/repos/northwind/shop/hooks?per_page=100&page=2"));
    let foreign = hook(1, |hook| hook["config"]["url"] = json!("https://other.example.com/"));
    let first = answer(200, &json!([foreign, hook(2, |_| ())])).insert_header("link", next.as_str());
    forge.on("GET", "/repos/northwind/shop/hooks?per_page=100", first).await;
    let second = answer(200, &json!([hook(3, |_| ())]));
    forge.on("GET", "/repos/northwind/shop/hooks?per_page=100&page=2", second).await;
    forge.on("DELETE", "/repos/northwind/shop/hooks/2", ResponseTemplate::new(204)).await;

    let ensured = forge.client.ensure_hook(&repo(), &spec(), Some("3")).await.unwrap();
    assert_eq!(ensured.action, EnsureHook::Unchanged);
    assert_eq!((ensured.hook.id.as_str(), ensured.removed_duplicates), ("3", 1));
}

#[tokio::test]
async fn what_differs_is_noticed() {
    let forge = Forge::start().await;
    let hooks = forge.client.hooks().unwrap();
    let cases: Vec<(Value, bool)> = vec![
        (hook(1, |_| ()), true),
        (hook(2, |hook| hook["config"]["insecure_ssl"] = json!(0)), true),
        (hook(3, |hook| hook["config"]["insecure_ssl"] = json!("1")), false),
        (hook(4, |hook| hook["active"] = json!(false)), false),
        (hook(5, |hook| hook["events"] = json!(["push"])), false),
        (hook(6, |hook| hook["config"]["content_type"] = json!("form")), false),
        (hook(7, |hook| hook["config"]["secret"] = Value::Null), false),
        (hook(8, |hook| hook["config"] = Value::Null), false),
    ];
    let all: Value = cases.iter().map(|(hook, _)| hook.clone()).collect();
    forge.on("GET", "/repos/northwind/shop/hooks?per_page=100", answer(200, &all)).await;
    let listed: Vec<_> = hooks.list_hooks(&repo()).try_collect().await.unwrap();
    for (hook, (_, expected)) in listed.iter().zip(&cases) {
        assert_eq!(hooks.is_as_specified(hook, &spec()), *expected, "hook {}", hook.id);
    }
}

#[tokio::test]
async fn the_last_failure_is_shown() {
    let forge = Forge::start().await;
    let failed = hook(1, |hook| {
        hook["last_response"] = json!({"code": 502, "status": "failed", "message": "Bad\u{1b}[31m Gateway"});
    });
    forge.on("GET", "/repos/northwind/shop/hooks?per_page=100", answer(200, &json!([failed]))).await;
    let listed: Vec<_> = forge.client.hooks().unwrap().list_hooks(&repo()).try_collect().await.unwrap();
    assert_eq!(listed[0].health.last_failure.as_deref(), Some("HTTP 502: Bad[31m Gateway"));
}

#[tokio::test]
async fn deliveries_are_read_by_cursor_as_far_back_as_asked() {
    let forge = Forge::start().await;
    let path = "/repos/northwind/shop/hooks/5150/deliveries?per_page=100";
    let delivery = |id: u64, at: &str, code: Value| {
        json!({
            "id": id, "guid": format!("guid-{id}"), "delivered_at": at, "redelivery": false, "duration": 0.27,
            "status": "OK", "status_code": code, "event": "workflow_run", "action": "completed",
            "installation_id": null, "repository_id": 123, "throttled_at": null,
        })
    };
    let next = format!("<{}&cursor=v1_2>; rel=\"next\"", forge.url(path));
    let first = json!([
        delivery(30_000_000_004, "2026-10-02T08:00:04Z", json!(202)),
        delivery(30_000_000_003, "2026-10-02T08:00:03Z", json!(0)),
    ]);
    forge.on("GET", path, answer(200, &first).insert_header("link", &*next)).await;
    let second = json!([
        delivery(30_000_000_002, "2026-10-02T08:00:02Z", json!(503)),
        delivery(30_000_000_001, "2026-10-02T08:00:01Z", Value::Null),
    ]);
    let further = format!("<{}&cursor=v1_1>; rel=\"next\"", forge.url(path));
    forge
        .on("GET", &format!("{path}&cursor=v1_2"), answer(200, &second).insert_header("link", &*further))
        .await;

    let since: Timestamp = "2026-10-02T08:00:02.9Z".parse().unwrap();
    let hooks = forge.client.hooks().unwrap();
    let found = hooks.list_deliveries(&repo(), "5150", since).await.unwrap();
    let told: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.event_id.as_deref(), it.status)).collect();
    assert_eq!(
        told,
        [
            ("30000000004", Some("guid-30000000004"), Some(202)),
            ("30000000003", Some("guid-30000000003"), None),
            ("30000000002", Some("guid-30000000002"), Some(503)),
        ]
    );
    assert_eq!(forge.asked().await.len(), 2, "older pages are not asked for");
}

#[tokio::test]
async fn a_redelivery_is_asked_for_once() {
    let forge = Forge::start().await;
    let path = "/repos/northwind/shop/hooks/5150/deliveries/30000000002/attempts";
    forge.once("POST", path, answer(202, &json!({}))).await;
    forge.on("POST", path, ResponseTemplate::new(502)).await;
    let hooks = forge.client.hooks().unwrap();
    hooks.redeliver(&repo(), "5150", "30000000002").await.unwrap();
    let error = hooks.redeliver(&repo(), "5150", "30000000002").await.unwrap_err();
    assert_eq!((error.kind(), forge.asked().await.len()), (ErrorKind::Forge, 2));
    let error = hooks.redeliver(&repo(), "5150", "..").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
