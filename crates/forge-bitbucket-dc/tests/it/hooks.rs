//! Hooks: what is sent, and what is made of the answer.

use forge_core::{
    EnsureHook, ErrorKind, ForgeClientExt as _,
    model::{HookSpec, RepoRef},
};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, REPO, answer, page, refusal, repo};

const EVENTS: &str = "/webhooks/latest/capabilities";

fn hooks_path() -> String {
    format!("{REPO}/webhooks")
}

fn list_path() -> String {
    format!("{REPO}/webhooks?statistics=true&limit=100")
}

fn spec() -> HookSpec {
    let url = "https://rca.example.com/v1/webhooks/bitbucket-dc/h1".parse().unwrap();
    HookSpec::new(url, "0123456789abcdef".to_owned().into())
}

fn hook(id: u64, change: impl FnOnce(&mut Value)) -> Value {
    let mut hook = json!({
        "id": id, "name": "Forge RCA", "createdDate": 1_790_928_000_000_u64, "updatedDate": 1_790_928_000_000_u64,
        "events": ["pr:from_ref_updated", "pr:opened", "repo:modified", "repo:refs_changed"],
        "configuration": {"secret": "0123456789abcdef", "createdBy": "bitbucket"},
        "url": "https://rca.example.com/v1/webhooks/bitbucket-dc/h1",
        "active": true, "scopeType": "repository", "sslVerificationRequired": true,
    });
    change(&mut hook);
    hook
}

#[tokio::test]
async fn create_sends_the_secret_in_the_configuration_and_the_known_events() {
    let forge = Forge::start().await;
    let known =
        json!({"application-webhooks": ["repo:refs_changed", "pr:opened", "repo:modified", "pr:merged"]});
    forge.on("GET", EVENTS, answer(200, &known)).await;
    // Real servers answer 201, their documents say 200.
    forge.once("POST", &hooks_path(), answer(201, &hook(7, |_| ()))).await;
    forge.once("POST", &hooks_path(), answer(200, &hook(8, |_| ()))).await;
    let hooks = forge.client.hooks().unwrap();
    assert_eq!(hooks.create_hook(&repo(), &spec()).await.unwrap().id, "7");
    assert_eq!(hooks.create_hook(&repo(), &spec()).await.unwrap().id, "8");
    insta::assert_json_snapshot!(forge.sent().await[0]);
    let asked = forge.asked().await;
    assert_eq!(
        asked.iter().filter(|line| line.ends_with("capabilities")).count(),
        1,
        "asked once: {asked:?}"
    );
    let requests = forge.requests().await;
    assert!(requests.iter().all(|request| request.headers["x-atlassian-token"] == "no-check"));
}

#[tokio::test]
async fn an_event_for_build_statuses_is_used_where_the_server_lists_it() {
    let forge = Forge::start().await;
    let events = ["repo:refs_changed", "pr:opened", "repo:build_status_updated", "repo:modified"];
    forge.on("GET", EVENTS, answer(200, &json!({"application-webhooks": events}))).await;
    let path = format!("{}/7", hooks_path());
    let stored = hook(7, |hook| hook["events"] = json!(["repo:modified", "repo:build_status_updated"]));
    forge.on("PUT", &path, answer(200, &stored)).await;
    let hooks = forge.client.hooks().unwrap();
    let updated = hooks.update_hook(&repo(), "7", &spec()).await.unwrap();
    assert_eq!(forge.sent().await[0]["events"], json!(["repo:build_status_updated", "repo:modified"]));
    assert!(hooks.is_as_specified(&updated, &spec()));
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_events_gets_the_usual_ones() {
    for capabilities in [ResponseTemplate::new(404), answer(401, &refusal("no", "AuthorisationException"))] {
        let forge = Forge::start().await;
        forge.on("GET", EVENTS, capabilities).await;
        forge.on("POST", &hooks_path(), answer(201, &hook(7, |_| ()))).await;
        forge.client.hooks().unwrap().create_hook(&repo(), &spec()).await.unwrap();
        let expected = json!(["pr:from_ref_updated", "pr:opened", "repo:modified", "repo:refs_changed"]);
        assert_eq!(forge.sent().await[0]["events"], expected);
    }
}

#[tokio::test]
async fn what_differs_is_noticed() {
    let forge = Forge::start().await;
    let cases: Vec<(Value, bool)> = vec![
        (hook(1, |_| ()), true),
        (hook(2, |hook| hook["events"] = json!(["repo:refs_changed", "pr:opened"])), true),
        (hook(3, |hook| hook["events"] = json!(["pr:merged"])), false),
        (hook(4, |hook| hook["active"] = json!(false)), false),
        (hook(5, |hook| hook["sslVerificationRequired"] = json!(false)), false),
        // Servers before the switch always verify and do not tell.
        (hook(6, |hook| drop(hook.as_object_mut().unwrap().remove("sslVerificationRequired"))), true),
        (hook(7, |hook| hook["configuration"] = json!({"createdBy": "x"})), false),
        // Where no configuration is shown, nothing speaks against it.
        (hook(8, |hook| drop(hook.as_object_mut().unwrap().remove("configuration"))), true),
        (hook(9, |hook| hook["url"] = json!("https://elsewhere.example.com/")), false),
    ];
    let all: Value = cases.iter().map(|(hook, _)| hook.clone()).collect();
    forge.on("GET", &list_path(), page(&all)).await;
    let hooks = forge.client.hooks().unwrap();
    let listed: Vec<_> = hooks.list_hooks(&repo()).try_collect().await.unwrap();
    assert_eq!(listed.len(), cases.len());
    for (hook, (_, expected)) in listed.iter().zip(&cases) {
        assert_eq!(hooks.is_as_specified(hook, &spec()), *expected, "hook {}", hook.id);
    }
}

#[tokio::test]
async fn health_is_the_newest_delivery() {
    let delivery = |finish: u64, outcome: &str, text: &str| {
        json!({"id": finish, "event": "repo:refs_changed", "start": finish - 9, "finish": finish,
               "result": {"outcome": outcome, "description": text}})
    };
    let forge = Forge::start().await;
    let failed = delivery(1_790_928_900_000, "FAILURE", "502\u{1b}[31m");
    let ok = delivery(1_790_928_100_000, "SUCCESS", "200");
    let later = delivery(1_790_929_999_000, "SUCCESS", "200");
    let error = delivery(1_790_929_000_000, "ERROR", "connect timed out");
    let all = json!([
        hook(1, |hook| hook["statistics"] =
            json!({"lastFailure": failed, "lastSuccess": ok, "lastError": null})),
        hook(2, |hook| hook["statistics"] = json!({"lastFailure": failed, "lastSuccess": later})),
        hook(3, |hook| hook["statistics"] = json!({"lastFailure": failed, "lastError": error})),
        hook(4, |hook| hook["statistics"] = json!("never")),
        hook(5, |_| ()),
    ]);
    forge.on("GET", &list_path(), page(&all)).await;
    let listed: Vec<_> = forge.client.hooks().unwrap().list_hooks(&repo()).try_collect().await.unwrap();
    let failures: Vec<_> = listed.iter().map(|hook| hook.health.last_failure.as_deref()).collect();
    assert_eq!(failures, [Some("FAILURE: 502[31m"), None, Some("ERROR: connect timed out"), None, None]);
}

#[tokio::test]
async fn pages_go_on_at_the_next_start_and_not_at_start_plus_limit() {
    let forge = Forge::start().await;
    let first = json!({"values": [hook(1, |hook| hook["url"] = json!("https://other.example.com"))],
                       "size": 1, "limit": 100, "start": 0, "isLastPage": false, "nextPageStart": 317});
    forge.on("GET", &list_path(), answer(200, &first)).await;
    forge.on("GET", &format!("{}&start=317", list_path()), page(&json!([hook(2, |_| ())]))).await;
    let ensured = forge.client.ensure_hook(&repo(), &spec(), Some("2")).await.unwrap();
    assert_eq!((ensured.action, ensured.hook.id.as_str()), (EnsureHook::Unchanged, "2"));
}

#[tokio::test]
async fn hooks_of_a_project_are_those_of_its_key() {
    let forge = Forge::start().await;
    let project = RepoRef::new("", "NW");
    forge.on("GET", "/api/1.0/projects/NW/webhooks?statistics=true&limit=100", page(&json!([]))).await;
    forge.on("GET", EVENTS, ResponseTemplate::new(404)).await;
    forge.on("POST", "/api/1.0/projects/NW/webhooks", answer(201, &hook(9, |_| ()))).await;
    let ensured = forge.client.ensure_hook(&project, &spec(), None).await.unwrap();
    assert_eq!((ensured.action, ensured.hook.id.as_str()), (EnsureHook::Created, "9"));
}

#[tokio::test]
async fn a_test_that_our_side_did_not_take_is_an_error() {
    let forge = Forge::start().await;
    forge.on("GET", &format!("{}/7", hooks_path()), answer(200, &hook(7, |_| ()))).await;
    let query = "url=https%3A%2F%2Frca.example.com%2Fv1%2Fwebhooks%2Fbitbucket-dc%2Fh1&webhookId=7&sslVerificationRequired=true";
    let path = format!("{}/test?{query}", hooks_path());
    for (response, is_good) in [
        (json!({"response": {"statusCode": 200}}), true),
        (json!({"response": {"statusCode": 503}}), false),
        (json!({"response": {"message": "Connection refused"}}), false),
        (json!({}), true),
    ] {
        forge.once("POST", &path, answer(200, &response)).await;
        let tested = forge.client.hooks().unwrap().test_hook(&repo(), "7").await;
        assert_eq!(tested.is_ok(), is_good, "{response}");
        if let Err(error) = tested {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.hint().is_some());
        }
    }
}

#[tokio::test]
async fn a_server_before_hooks_of_projects_says_so() {
    let project = RepoRef::new("", "NW");
    let missing = || ResponseTemplate::new(404).set_body_raw("<status>404</status>", "application/xml");
    let list = "/api/1.0/projects/NW/webhooks?statistics=true&limit=100";
    for (version, kind) in [("8.6.2", ErrorKind::Unsupported), ("9.4.0", ErrorKind::NotFound)] {
        let forge = Forge::start().await;
        forge.on("GET", list, missing()).await;
        forge.on("GET", EVENTS, ResponseTemplate::new(404)).await;
        forge.on("POST", "/api/1.0/projects/NW/webhooks", missing()).await;
        let version = json!({ "version": version });
        forge.on("GET", "/api/1.0/application-properties", answer(200, &version)).await;
        let hooks = forge.client.namespace_hooks().unwrap();
        let listed: forge_core::Result<Vec<_>> = hooks.list_hooks(&project).try_collect().await;
        assert_eq!(listed.unwrap_err().kind(), kind);
        let error = hooks.create_hook(&project, &spec()).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.hint().is_some(), "{error:?}");
    }
}
