//! GitHub App, end to end: from the manifest to an integration, and from a delivery to the bot's comment and check run.

use std::time::Duration;

use forge_core::{AppManifest, model::Target};
use forge_testkit::{FakeApp, FakeGitHub, HookSetup, JobSpec, Message, PullSpec, RunSpec};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;

use crate::{
    support::{TestServer, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const SHA: &str = "4be1f20000000000000000000000000000000001";
const HOOK_SECRET: &str = "what the deliveries of the app are signed with";

async fn connected(server: &TestServer, fake: &FakeGitHub, installation: &str, app: &FakeApp) -> Value {
    let body = json!({
        "base_url": fake.base_url().as_str(),
        "app_id": app.app_id,
        "private_key": app.private_key.expose_secret(),
        "installation_id": installation,
        "webhook_secret": HOOK_SECRET,
        "mode": "webhook",
        "backfill": { "enabled": false },
    });
    server.post("/v1/integrations/github/app", body).await.expect(201)
}

/// Sends as GitHub would to the app's hook: a hook of a repository with the same address and secret signs for it.
async fn deliver(fake: &FakeGitHub, integration: &Value, message: &Message) {
    let signer = fake.add_repo("elsewhere/signer");
    let setup = HookSetup::new(integration["webhook_url"].as_str().unwrap()).with_secret(HOOK_SECRET);
    let hook = fake.add_hook(&signer, &setup);
    let outcome = fake.sign(hook, message).unwrap().send(Duration::from_secs(5)).await;
    assert_eq!(outcome.status, Some(202), "{outcome:?}");
    fake.delete_repo(&signer);
}

#[tokio::test]
async fn a_delivery_to_the_app_becomes_the_bots_comment_and_check_run() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let app = fake.add_app("forge-rca");
    let installation = fake.install_app(&app.app_id, "acme");
    let integration = connected(&server, &fake, &installation, &app).await;
    assert_eq!(integration["auth"], "app");
    assert_eq!(integration["health"]["problems"][0]["code"], "hook_pending", "{integration:#}");
    let text = integration.to_string();
    assert!(!text.contains(HOOK_SECRET) && !text.contains("PRIVATE KEY"), "{text}");
    let id = integration["id"].as_str().unwrap();
    server.monitor(id, &repo).await;
    assert!(fake.hooks(&repo).is_empty(), "the app has the one hook");
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    deliver(&fake, &integration, &fake.payload(&run).unwrap()).await;
    let comments = live_comments(&fake, &repo, &Target::Pull(pull.number.to_string()), 1).await;
    assert_eq!(comments[0].author, "forge-rca[bot]", "{comments:#?}");
    server.idle().await;
    let checks = fake.check_runs();
    assert_eq!((checks.len(), checks[0].sha.as_str()), (1, SHA), "{checks:#?}");
    let health = server.get(&format!("/v1/integrations/{id}")).await.expect(200)["health"].clone();
    assert_eq!(health["problems"], json!([]), "{health:#}");

    // Uninstalled: said where people look, and everything stays readable.
    fake.delete_installation(&installation);
    let body = json!({ "action": "deleted", "installation": { "id": installation.parse::<u64>().unwrap() } });
    deliver(&fake, &integration, &Message::new("installation", "", body.to_string())).await;
    eventually("the health says so", async || {
        let now = server.get(&format!("/v1/integrations/{id}")).await.expect(200);
        (now["health"]["status"] == "broken").then_some(())
    })
    .await;
    assert_eq!(server.analyses("repository=acme/shop", 1).await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn from_the_manifest_to_the_integration() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    fake.add_repo("acme/shop");
    let body = json!({ "base_url": fake.base_url().as_str(), "organization": "acme" });
    let started = server.post("/v1/integrations/github/app/start", body).await.expect(201);
    let create_url: Url = started["create_url"].as_str().unwrap().parse().unwrap();
    let manifest = AppManifest::new(started["manifest"].clone(), create_url);
    let back = fake.submit_manifest(&manifest).await.unwrap();
    assert!(
        back.as_str().starts_with(&format!("{}/v1/integrations/github/app/callback?", server.base)),
        "{back}"
    );
    let browser = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let answer = browser.get(back.clone()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 303, "{:?}", answer.text().await);
    let install: Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    let state = install.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let parts: Vec<&str> = install.path().split('/').collect();
    let slug = parts[parts.iter().position(|part| *part == "installations").unwrap() - 1].to_owned();
    let app = fake.find_app(&slug).unwrap();
    let installation = fake.install_app(&app.app_id, "acme");
    let installed = format!(
        "/v1/integrations/github/app/installed?installation_id={installation}&setup_action=install&state={state}"
    );
    let page = server.send(server.http.get(format!("{}{installed}", server.base))).await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.text);
    let all = server.get("/v1/integrations").await.expect(200);
    assert_eq!(all["items"][0]["auth"], "app", "{all:#}");
    let again = server.send(server.http.get(format!("{}{installed}", server.base))).await;
    again.expect_error(400, "invalid_state");
    server.send(server.http.get(back)).await.expect_error(400, "invalid_state");
    server.stop().await;
}
