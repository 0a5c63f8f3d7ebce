//! What a token can do is found out when it is connected.

use forge_core::ForgeKind;
use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, TokenKind, TokenSpec,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::support::TestServer;

async fn connect(server: &TestServer, fake: &Fake, token: &SecretString) -> Value {
    let mut body = json!({
        "base_url": fake.base_url().as_str(), "token": token.expose_secret(), "mode": "webhook",
        "backfill": {"enabled": false},
    });
    if fake.kind() == ForgeKind::BITBUCKET_CLOUD {
        body["email"] = "rca-bot@example.com".into();
    }
    let path = format!("/v1/integrations/{}/token", fake.kind());
    server.post(&path, body).await.expect(201)["health"].clone()
}

async fn full(server: &TestServer, fake: &Fake) {
    let health = connect(server, fake, &fake.token()).await;
    assert_eq!(
        (&health["credential"], &health["status"]),
        (&json!("valid"), &json!("healthy")),
        "{health:#}"
    );
    assert_eq!((&health["scopes"]["missing"], &health["problems"]), (&json!([]), &json!([])), "{health:#}");
    for what in ["discover", "hook", "read_logs", "comment"] {
        assert_eq!(health["can"][what], true, "{what}: {health:#}");
    }
    let has_status = fake.kind() != ForgeKind::GITFLIC;
    assert_eq!(health["can"]["set_status"], has_status, "{health:#}");
}

async fn reduced(server: &TestServer, fake: &Fake, token: &SecretString) {
    let health = connect(server, fake, token).await;
    assert_eq!(health["status"], "degraded", "{health:#}");
    let missing = health["scopes"]["missing"].as_array().unwrap();
    assert!(!missing.is_empty(), "{health:#}");
    let problem = &health["problems"][0];
    assert_eq!(problem["code"], "scope_missing", "{health:#}");
    let (message, remedy) = (problem["message"].as_str().unwrap(), problem["remedy"].as_str().unwrap());
    for scope in missing {
        let scope = scope.as_str().unwrap();
        assert!(message.contains(scope) && remedy.contains(scope), "{scope}: {problem:#}");
    }
    assert!(message.contains("cannot") && message.contains("comment"), "what will not work: {problem:#}");
    assert_eq!(health["can"]["comment"], false, "{health:#}");
    assert_eq!((&health["can"]["discover"], &health["can"]["read_logs"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn gitlab() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    full(&server, &fake).await;
    reduced(&server, &fake, &fake.read_only_token()).await;
    server.stop().await;
}

#[tokio::test]
async fn github() {
    let (server, fake) = (TestServer::start().await, FakeGitHub::start().await);
    full(&server, &fake).await;
    let token = fake.add_token(&TokenSpec::new(TokenKind::Personal, &["read:user"]));
    reduced(&server, &fake, &token).await;
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_cloud() {
    let (server, fake) = (TestServer::start().await, FakeBitbucketCloud::start().await);
    full(&server, &fake).await;
    reduced(&server, &fake, &fake.read_only_token()).await;
    server.stop().await;
}

#[tokio::test]
async fn forges_that_tell_no_scopes() {
    let server = TestServer::start().await;
    for fake in [&*FakeBitbucketDc::start().await, &*FakeGitFlic::start().await] {
        full(&server, fake).await;
        let health = connect(&server, fake, &fake.token()).await;
        assert_eq!(health["scopes"]["granted"], json!([]), "nothing is made up: {health:#}");
    }
    server.stop().await;
}

#[tokio::test]
async fn version_and_end_of_a_token_are_told() {
    let server = TestServer::start().await;
    for fake in [&*FakeGitLab::start().await, &*FakeBitbucketDc::start().await] {
        let health = connect(&server, fake, &fake.token()).await;
        assert!(health["version"].is_string(), "{}: {health:#}", fake.kind());
    }
    let fake = FakeGitLab::start().await;
    let soon = fake.now() + jiff::SignedDuration::from_hours(48);
    let token =
        fake.add_token(&TokenSpec::new(TokenKind::Personal, &["api", "read_user"]).with_expires_at(soon));
    let health = connect(&server, &fake, &token).await;
    assert_eq!(
        (&health["credential"], &health["status"]),
        (&json!("expiring"), &json!("degraded")),
        "{health:#}"
    );
    assert!(health["expires_at"].is_string(), "{health:#}");
    server.stop().await;
}
