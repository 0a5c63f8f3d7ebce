//! Hooks: what is sent, and what is made of the answer.

use forge_core::{EnsureHook, ErrorKind, ForgeClientExt as _, Provider, StaticCredential, model::HookSpec};
use forge_gitflic::GitFlic;
use forge_testkit::{FakeGitFlic, FakeOptions, HookSetup};
use serde_json::{Value, json};
use std::sync::Arc;
use wiremock::ResponseTemplate;

use crate::server::{Forge, http, ok, page, refusal, repo};

const HOOKS: &str = "/project/northwind/shop/setting/webhook";

fn spec() -> HookSpec {
    let url = "https://rca.example.com/v1/webhooks/gitflic/h1".parse().unwrap();
    HookSpec::new(url, "0123456789abcdef".to_owned().into())
}

fn hook(id: &str, events: &Value) -> Value {
    json!({"id": id, "url": spec().url.as_str(), "secret": "shown", "events": events, "updatedAt": "time.now"})
}

#[tokio::test]
async fn a_hook_is_made_with_the_least_and_the_secret() {
    let forge = Forge::start().await;
    forge
        .on(
            "POST",
            HOOKS,
            ok(&hook("h", &json!({"PIPELINE_FAIL": true, "PIPELINE_SUCCESS": true, "MERGE": false}))),
        )
        .await;
    let made = forge.client.hooks().unwrap().create_hook(&repo(), &spec()).await.unwrap();
    assert_eq!(
        (made.id.as_str(), made.events.as_slice()),
        ("h", &["PIPELINE_FAIL".to_owned(), "PIPELINE_SUCCESS".to_owned()][..])
    );
    assert!(forge.client.hooks().unwrap().is_as_specified(&made, &spec()));
    assert!(!format!("{made:?}").contains("shown"), "the secret that GitFlic shows is not kept");
    insta::assert_json_snapshot!(forge.sent().await);
}

#[tokio::test]
async fn what_is_refused_is_sent_with_every_event_named() {
    let forge = Forge::start().await;
    forge.once("POST", HOOKS, refusal(400, "error.webhook.events")).await;
    forge.on("POST", HOOKS, ok(&hook("h", &json!({"PIPELINE_FAIL": true})))).await;
    forge.client.hooks().unwrap().create_hook(&repo(), &spec()).await.unwrap();
    insta::assert_json_snapshot!(forge.sent().await[1]["events"]);
}

#[tokio::test]
async fn warnings_are_subscribed_on_demand() {
    let forge = Forge::with(&GitFlic::builder(http()).with_warning_events(true).build()).await;
    forge.on("POST", HOOKS, ok(&hook("h", &json!({"PIPELINE_FAIL": true, "PIPELINE_SUCCESS": true})))).await;
    let hooks = forge.client.hooks().unwrap();
    let made = hooks.create_hook(&repo(), &spec()).await.unwrap();
    assert_eq!(forge.sent().await[0]["events"]["PIPELINE_WARNING"], true);
    assert!(!hooks.is_as_specified(&made, &spec()), "the warning is missing");
}

#[tokio::test]
async fn an_answer_without_a_hook_is_made_good_by_the_list() {
    let forge = Forge::start().await;
    forge.on("POST", HOOKS, ResponseTemplate::new(200)).await;
    forge.on("GET", HOOKS, page(&[hook("old", &json!({})), hook("new", &json!(["PIPELINE_FAIL"]))])).await;
    let made = forge.client.hooks().unwrap().create_hook(&repo(), &spec()).await.unwrap();
    assert_eq!((made.id.as_str(), made.events.len()), ("new", 1));
}

#[tokio::test]
async fn the_new_hook_is_there_before_the_old_one_goes() {
    let forge = Forge::start().await;
    forge
        .on("POST", HOOKS, ok(&hook("new", &json!({"PIPELINE_FAIL": true, "PIPELINE_SUCCESS": true}))))
        .await;
    forge.on("DELETE", &format!("{HOOKS}/old/delete"), ResponseTemplate::new(204)).await;
    let changed = forge.client.hooks().unwrap().update_hook(&repo(), "old", &spec()).await.unwrap();
    assert_eq!(changed.id, "new");
    assert_eq!(forge.asked().await, [format!("POST {HOOKS}"), format!("DELETE {HOOKS}/old/delete")]);

    // Where two with one address are refused, the old one goes first.
    let forge = Forge::start().await;
    forge.once("POST", HOOKS, refusal(409, "error.webhook.exists")).await;
    forge.on("POST", HOOKS, ok(&hook("new", &json!({})))).await;
    forge.on("DELETE", &format!("{HOOKS}/old/delete"), ResponseTemplate::new(200)).await;
    assert_eq!(forge.client.hooks().unwrap().update_hook(&repo(), "old", &spec()).await.unwrap().id, "new");
    assert_eq!(forge.asked().await.len(), 3);
}

#[tokio::test]
async fn both_ways_to_delete_are_tried_and_the_right_one_is_remembered() {
    let forge = Forge::start().await;
    for id in ["a", "b"] {
        forge.on("DELETE", &format!("{HOOKS}/{id}/delete"), refusal(405, "error.method")).await;
        forge.on("POST", &format!("{HOOKS}/{id}/delete"), ResponseTemplate::new(200)).await;
    }
    let hooks = forge.client.hooks().unwrap();
    hooks.delete_hook(&repo(), "a").await.unwrap();
    hooks.delete_hook(&repo(), "b").await.unwrap();
    let verbs: Vec<String> = forge.asked().await.iter().map(|line| line[..4].to_owned()).collect();
    assert_eq!(verbs, ["DELE", "POST", "POST"]);

    // Gone in every way in which it may be said; forbidden and unknown ways are errors.
    for (delete, post, outcome) in [
        (404, 404, None),
        (405, 404, None),
        (404, 405, None),
        (405, 405, Some(ErrorKind::Invalid)),
        (500, 200, Some(ErrorKind::Forge)),
    ] {
        let forge = Forge::start().await;
        forge.on("DELETE", &format!("{HOOKS}/x/delete"), refusal(delete, "error.x")).await;
        forge.on("POST", &format!("{HOOKS}/x/delete"), ResponseTemplate::new(post)).await;
        let deleted = forge.client.hooks().unwrap().delete_hook(&repo(), "x").await;
        assert_eq!(deleted.err().map(|error| error.kind()), outcome, "{delete} {post}");
    }
}

#[tokio::test]
async fn a_version_that_wants_every_event_named_gets_a_hook_and_keeps_one() {
    let fake = FakeGitFlic::start_with(&FakeOptions::new().with_version("2.9.0")).await;
    let shop = fake.add_repo("northwind/shop");
    fake.add_hook(&shop, &HookSetup::new(spec().url.as_str()).with_secret("old").with_events(&["PUSH"]));
    let credentials = Arc::new(StaticCredential::token(fake.token()));
    let client = GitFlic::new(http()).connect(&fake.instance(), credentials).unwrap();
    let ensured = client.ensure_hook(&shop.repo_ref(), &spec(), None).await.unwrap();
    assert_eq!(ensured.action, EnsureHook::Updated);
    let hooks = fake.hooks(&shop);
    assert_eq!(hooks.len(), 1);
    assert_eq!(hooks[0].events, ["PIPELINE_FAIL", "PIPELINE_SUCCESS"]);
    assert_eq!(hooks[0].secret.as_deref(), Some("0123456789abcdef"));
    let again = client.ensure_hook(&shop.repo_ref(), &spec(), Some(&ensured.hook.id)).await.unwrap();
    assert_eq!(again.action, EnsureHook::Unchanged);
}
