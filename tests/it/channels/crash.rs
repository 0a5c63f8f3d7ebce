//! The answer is lost: what cannot be repeated is never repeated, what can is said once all the same.

use std::sync::Arc;

use serde_json::json;
use server::Role;
use tokio::net::TcpListener;

use super::{
    sink::{add, ingest, log},
    wire::{Fate, Wire},
};
use crate::support::{OWNER, TestServer, eventually, pytest_log};

/// The process is killed between the request and its answer, and another one goes on.
async fn killed_while_sending(kind: &str) -> Wire {
    let wire = Wire::start().await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    // What a dead process held is taken over soon.
    let start = || TestServer::start_in(Arc::clone(&folder), Role::All, |config| config.worker_lease = 2);
    let server = start().await;
    let channel = add(&server, wire.channel(kind)).await;
    wire.expect(&[Fate::Silence]);
    ingest(&server, "project=shop&job_id=1", pytest_log()).await;
    wire.sees(1).await;
    server.kill().await;
    let server = start().await;
    let is_repeatable = matches!(kind, "matrix" | "webhook");
    let told = log(&server, &channel, &[if is_repeatable { "sent" } else { "unknown" }]).await;
    server.idle().await;
    assert_eq!(wire.seen().len(), if is_repeatable { 2 } else { 1 }, "{:?}", wire.seen());
    if !is_repeatable {
        assert!(told[0]["error"].as_str().unwrap().contains("twice"), "{told:?}");
    }
    server.stop().await;
    wire
}

#[tokio::test]
async fn telegram_is_not_told_twice() {
    killed_while_sending("telegram").await;
}

#[tokio::test]
async fn slack_is_not_told_twice() {
    killed_while_sending("slack").await;
}

#[tokio::test]
async fn matrix_shows_a_transaction_once() {
    let seen = killed_while_sending("matrix").await.seen();
    assert_eq!((&seen[0].path, &seen[0].body), (&seen[1].path, &seen[1].body));
}

#[tokio::test]
async fn a_webhook_is_repeated_under_the_same_id() {
    let seen = killed_while_sending("webhook").await.seen();
    let id = |at: usize| seen[at].headers["webhook-id"].clone();
    // Only the time of sending is another.
    assert_eq!((id(0), &seen[0].body["data"]), (id(1), &seen[1].body["data"]));
}

#[tokio::test]
async fn what_was_written_is_not_written_again() {
    for kind in ["telegram", "slack"] {
        let (server, wire) = (TestServer::start().await, Wire::start().await);
        let channel = add(&server, wire.channel(kind)).await;
        wire.expect(&[Fate::HangUp]);
        ingest(&server, "project=shop&job_id=1", pytest_log()).await;
        log(&server, &channel, &["unknown"]).await;
        server.idle().await;
        assert_eq!(wire.seen().len(), 1, "{kind}");

        // The button, too, does not say that nothing came.
        wire.expect(&[Fate::HangUp]);
        let path = format!("/v1/channels/{channel}/test");
        let tried = server.post(&path, json!({})).await.expect(200);
        assert_eq!(tried["state"], "unknown", "{tried}");
        assert!(tried["error"].as_str().unwrap().contains("may have arrived"), "{tried}");
        assert_eq!(server.post(&path, json!({})).await.expect(200)["state"], "sent");
        assert_eq!(wire.seen().len(), 3, "{kind}");
        server.stop().await;
    }
}

#[tokio::test]
async fn what_was_never_written_is_tried_again() {
    let server = TestServer::start().await;
    // An address at which nobody listens any more.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let mut request = Wire::start().await.channel("telegram");
    request["config"]["api_base_url"] = json!(format!("http://{address}"));
    let channel = add(&server, request).await;
    ingest(&server, "project=shop&job_id=1", pytest_log()).await;
    eventually("it was tried twice", async || {
        let list = server.get(&format!("/v1/channels/{channel}/deliveries")).await.expect(200);
        let item = &list["items"][0];
        assert!(matches!(item["state"].as_str(), None | Some("pending")), "{item}");
        let said = item["error"].as_str().unwrap_or_default().contains("cannot connect");
        (item["attempts"].as_i64() >= Some(2) && said).then_some(())
    })
    .await;
    let tried = server.post(&format!("/v1/channels/{channel}/test"), json!({})).await.expect(200);
    assert_eq!(tried["state"], "failed", "nothing can have arrived: {tried}");
    let wire = Wire::on(TcpListener::bind(address).await.unwrap());
    log(&server, &channel, &["failed", "sent"]).await;
    server.idle().await;
    assert_eq!(wire.seen().len(), 1);
    server.stop().await;
}

/// The server dies while it tries a channel: what became of the test is told, and nobody is told twice.
#[tokio::test]
async fn a_test_that_was_left_in_the_middle_comes_to_an_end() {
    for (kind, end, requests) in [("telegram", "unknown", 1), ("webhook", "sent", 2)] {
        let wire = Wire::start().await;
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let server = TestServer::start_in(Arc::clone(&folder), Role::All, |_| {}).await;
        let channel = add(&server, wire.channel(kind)).await;
        wire.expect(&[Fate::Silence]);
        let path = format!("/v1/channels/{channel}/test");
        let request = server.request(reqwest::Method::POST, &path).bearer_auth(OWNER).json(&json!({}));
        let tried = tokio::spawn(request.send());
        wire.sees(1).await;
        log(&server, &channel, &["pending"]).await;
        server.kill().await;
        tried.abort();
        let server = TestServer::start_in(Arc::clone(&folder), Role::All, |_| {}).await;
        // Two minutes pass.
        let database = format!("sqlite://{}", folder.path().join("forge-rca.db").display());
        rca_store::testing::execute(&database, "UPDATE task SET run_at = 0 WHERE kind = 'notify'").await;
        let told = log(&server, &channel, &[end]).await;
        server.idle().await;
        assert_eq!(wire.seen().len(), requests, "{kind}: {told:?}");
        assert_eq!(told[0]["error"].is_string(), end == "unknown", "{told:?}");
        // One that comes to its end leaves nothing to do.
        assert_eq!(server.post(&path, json!({})).await.expect(200)["state"], "sent");
        server.idle().await;
        assert_eq!(wire.seen().len(), requests + 1, "{kind}");
        server.stop().await;
    }
}
