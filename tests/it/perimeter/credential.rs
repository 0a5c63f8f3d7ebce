//! A credential that dies: what needs it waits, nothing turns in vain, and an end comes for all of it.

use forge_core::model::Target;
use forge_testkit::{Fake, FakeGitLab, Fault};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{fails, incidents, integration, is_open, sha, texts, worker_turns};
use crate::support::TestServer;

async fn connect(server: &TestServer, fake: &Fake, token: &SecretString) -> String {
    let body = json!({ "base_url": fake.base_url().as_str(), "token": token.expose_secret(), "mode": "webhook",
        "backfill": { "enabled": false } });
    let path = format!("/v1/integrations/{}/token", fake.kind());
    server.post(&path, body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

async fn metric(server: &TestServer, name: &str) -> String {
    let text =
        server.http.get(format!("{}/metrics", server.admin)).send().await.unwrap().text().await.unwrap();
    let line =
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    line.rsplit(' ').next().unwrap().to_owned()
}

/// Where every task of the queue stands, with what a start of it would change.
async fn queue(server: &TestServer) -> Vec<String> {
    let columns = "id || ' ' || kind || ' ' || state || ' ' || attempts || ' ' || updated_at";
    texts(server, &format!("SELECT {columns} FROM task WHERE integration IS NOT NULL ORDER BY id")).await
}

#[tokio::test]
async fn what_waits_for_a_new_token_rests_and_then_goes_on() {
    let (fake, server) = (FakeGitLab::start().await, TestServer::start().await);
    let repo = fake.add_repo("acme/shop");
    let old = fake.token();
    let id = connect(&server, &fake, &old).await;
    server.monitor(&id, &repo).await;
    server.idle().await;
    fake.revoke_token(&old);
    for number in 0..5 {
        fails(&fake, &repo, number).await;
    }
    integration(&server, &id, "it is known to be broken", |it| it["health"]["credential"] == "rejected")
        .await;
    server.idle().await;

    assert_eq!(metric(&server, "forge_rca_deliveries{state=\"pending\"}").await, "5", "none is lost");
    assert_ne!(metric(&server, "forge_rca_tasks{state=\"parked\"}").await, "0");
    let (before, asked) = (queue(&server).await, fake.requests().len());
    worker_turns(&server).await;
    assert_eq!(queue(&server).await, before, "nothing of it is tried in vain");
    assert_eq!(fake.requests().len(), asked, "and the forge is not asked");
    assert_eq!(metric(&server, "forge_rca_queue_age_seconds").await, "0.000000", "nothing is late");

    let new = json!({ "token": fake.token().expose_secret() });
    let after = server.put(&format!("/v1/integrations/{id}/token"), new).await.expect(200);
    assert_eq!(after["health"]["status"], "healthy", "{after}");
    assert_eq!(server.analyses("repository=acme/shop", 5).await.len(), 5);
    server.idle().await;
    for number in 0..5 {
        assert_eq!(fake.comments(&repo, &Target::Commit(sha(number))).len(), 1, "commit {number}");
    }
    assert_eq!(metric(&server, "forge_rca_tasks{state=\"parked\"}").await, "0");
    let all = incidents(&server, "credential_rejected", "it is over", |all| !all.iter().any(is_open)).await;
    assert_eq!(all.len(), 1, "one problem, one incident: {all:?}");
    server.stop().await;
}

/// A forge that refuses one request, or refused the token of before, has not refused the token of now.
#[tokio::test]
async fn one_refused_request_is_no_dead_credential() {
    let (fake, server) = (FakeGitLab::start().await, TestServer::start().await);
    let repo = fake.add_repo("acme/shop");
    let id = connect(&server, &fake, &fake.token()).await;
    server.monitor(&id, &repo).await;
    fake.fail_times("GET", "/api/v4/projects/*/pipelines/*", Fault::Status(401), 1);
    fails(&fake, &repo, 1).await;
    assert_eq!(server.analyses("repository=acme/shop", 1).await.len(), 1);
    server.idle().await;
    assert_eq!(fake.comments(&repo, &Target::Commit(sha(1))).len(), 1);
    let health = server.get(&format!("/v1/integrations/{id}")).await.expect(200)["health"].clone();
    assert_eq!(health["credential"], "valid", "{health}");
    incidents(&server, "credential_rejected", "there is none", <[_]>::is_empty).await;
    server.stop().await;
}

/// What waits for an integration that is gone would wait for ever.
#[tokio::test]
async fn a_disconnected_integration_leaves_nothing_that_waits() {
    let (fake, server) = (FakeGitLab::start().await, TestServer::start().await);
    let repo = fake.add_repo("acme/shop");
    let token = fake.token();
    let id = connect(&server, &fake, &token).await;
    server.monitor(&id, &repo).await;
    // One whose log cannot be read now, one that waits for a new token, one for the switch.
    fake.fail_times("GET", "/api/v4/projects/*/jobs/*/trace", Fault::Status(503), 1000);
    fails(&fake, &repo, 1).await;
    crate::support::eventually("the analysis is there", async || {
        let list = server.get("/v1/analyses").await.expect(200);
        (!list["items"].as_array()?.is_empty()).then_some(())
    })
    .await;
    fake.revoke_token(&token);
    fails(&fake, &repo, 2).await;
    integration(&server, &id, "it is known to be broken", |it| it["health"]["credential"] == "rejected")
        .await;
    let path = format!("/v1/integrations/{id}");
    server.patch(&path, json!({ "enabled": false })).await.expect(200);
    server.idle().await;
    assert_ne!(metric(&server, "forge_rca_tasks{state=\"parked\"}").await, "0");

    server.delete(&path).await.expect(200);
    server.idle().await;
    assert_eq!(metric(&server, "forge_rca_tasks{state=\"parked\"}").await, "0");
    assert_eq!(
        metric(&server, "forge_rca_tasks{state=\"dead\"}").await,
        "0",
        "an end that was wished is no fault"
    );
    assert_eq!(metric(&server, "forge_rca_deliveries{state=\"pending\"}").await, "0");
    let deliveries = server.get("/v1/deliveries").await.expect(200);
    let is_ended = |item: &&serde_json::Value| item["reason"] == "the integration was disconnected";
    let ended: Vec<_> = deliveries["items"].as_array().unwrap().iter().filter(is_ended).collect();
    assert_eq!((ended.len(), &ended[0]["status"]), (1, &json!("ignored")), "{deliveries}");
    let analyses = server.analyses("", 1).await;
    assert_eq!(analyses.len(), 1);
    assert_eq!(analyses[0]["state"], "failed", "{analyses:#?}");
    assert_eq!(analyses[0]["error"], "the integration was disconnected", "it stays readable");
    assert!(fake.all_comments().is_empty(), "nothing is said any more");
    server.stop().await;
}
