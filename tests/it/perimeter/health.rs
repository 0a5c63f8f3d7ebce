//! Health over time: an end that comes near, scopes that are missing, a hook that cannot be mended. Each is one incident
//! with a remedy, told once, and over by itself.

use forge_testkit::{Fake, FakeGitLab, Fault, TokenKind, TokenSpec};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use super::{fails, incidents, integration, is_open, patch, red, repositories, texts};
use crate::support::{TestServer, eventually};

async fn server() -> TestServer {
    TestServer::start_with(|config| config.poll_interval = 1).await
}

async fn connect(server: &TestServer, fake: &Fake, token: &SecretString) -> String {
    let body = json!({ "base_url": fake.base_url().as_str(), "token": token.expose_secret(), "mode": "webhook",
        "backfill": { "enabled": false } });
    let path = format!("/v1/integrations/{}/token", fake.kind());
    server.post(&path, body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

async fn replace(server: &TestServer, id: &str, token: &SecretString) -> Value {
    let new = json!({ "token": token.expose_secret() });
    server.put(&format!("/v1/integrations/{id}/token"), new).await.expect(200)["health"].clone()
}

/// A channel of incidents; what it is told.
async fn channel(server: &TestServer) -> MockServer {
    let chat = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&chat).await;
    let own = json!({ "kind": "webhook", "name": "own", "config": { "url": format!("{}/in", chat.uri()) } });
    server.post("/v1/channels", own).await.expect(201);
    chat
}

async fn told(chat: &MockServer, count: usize) -> Vec<String> {
    eventually(&format!("{count} are told"), async || {
        let all = chat.received_requests().await.unwrap_or_default();
        (all.len() >= count)
            .then(|| all.iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()).collect())
    })
    .await
}

#[tokio::test]
async fn an_end_that_comes_near_is_noticed_told_once_and_over_with_a_new_token() {
    let (fake, server) = (FakeGitLab::start().await, server().await);
    let chat = channel(&server).await;
    // In a moment it is less than a week away.
    let ends = fake.now() + jiff::SignedDuration::from_hours(7 * 24) + jiff::SignedDuration::from_secs(3);
    let scopes = ["api", "read_user", "read_api"];
    let token = fake.add_token(&TokenSpec::new(TokenKind::Personal, &scopes).with_expires_at(ends));
    let id = connect(&server, &fake, &token).await;
    let soon = integration(&server, &id, "nobody asked, and it is noticed", |it| {
        it["health"]["credential"] == "expiring"
    })
    .await;
    assert_eq!(soon["health"]["status"], "degraded", "{soon}");
    let open = incidents(&server, "credential_expiring", "it is told", |all| all.len() == 1).await;
    assert!(is_open(&open[0]) && open[0]["remedy"].as_str().unwrap().contains("token"), "{open:?}");
    let since = soon["health"]["problems"][0]["since"].clone();
    let again = server.post(&format!("/v1/integrations/{id}/check"), json!({})).await.expect(200);
    assert_eq!(again["health"]["problems"][0]["since"], since, "it began when it began");

    assert_eq!(replace(&server, &id, &fake.token()).await["status"], "healthy");
    let over = incidents(&server, "credential_expiring", "it is over", |all| !is_open(&all[0])).await;
    assert_eq!(over.len(), 1, "one problem, one incident: {over:?}");
    let told = told(&chat, 2).await;
    server.idle().await;
    assert_eq!(told.len(), 2, "its beginning and its end, once each: {told:#?}");
    server.stop().await;
}

#[tokio::test]
async fn a_forge_that_takes_the_token_again_is_noticed() {
    let (fake, server) = (FakeGitLab::start().await, server().await);
    let chat = channel(&server).await;
    let repo = fake.add_repo("acme/shop");
    let id = connect(&server, &fake, &fake.token()).await;
    server.monitor(&id, &repo).await;
    server.idle().await;
    fake.fail_times("*", "/api/v4/**", Fault::Status(401), 100_000);
    fails(&fake, &repo, 1).await;
    integration(&server, &id, "it is refused", |it| it["health"]["credential"] == "rejected").await;
    told(&chat, 1).await;
    fake.clear_faults();
    integration(&server, &id, "it is taken again", |it| it["health"]["status"] == "healthy").await;
    assert_eq!(server.analyses("repository=acme/shop", 1).await.len(), 1, "what waited is done");
    server.idle().await;
    let all = incidents(&server, "credential_rejected", "it is over", |all| !all.iter().any(is_open)).await;
    assert_eq!(all.len(), 1, "{all:?}");
    let told = told(&chat, 3).await;
    let about = |what: &str| told.iter().filter(|text| text.contains(what)).count();
    assert_eq!(
        (told.len(), about("does not accept our credential")),
        (3, 2),
        "beginning, end, failure: {told:#?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_lacks_scopes_is_told_and_what_the_forge_refuses_has_its_reason() {
    let (fake, server) = (FakeGitLab::start().await, server().await);
    let repo = fake.add_repo("acme/shop");
    let id = connect(&server, &fake, &fake.token()).await;
    incidents(&server, "scope_missing", "nothing is wrong", <[_]>::is_empty).await;
    patch(&server, &id, json!({ "mode": "polling", "feedback": { "status": true } })).await;
    let of = server.discovered(&id, &repo).await;
    let path = format!("/v1/integrations/{id}/repositories/monitor");
    server.post(&path, json!({ "add": [of] })).await.expect(200);
    eventually("the poll has looked", async || {
        let marks = texts(&server, "SELECT name FROM mark WHERE name LIKE 'poll:%'").await;
        (!marks.is_empty()).then_some(())
    })
    .await;

    let health = replace(&server, &id, &fake.read_only_token()).await;
    assert_eq!(health["can"]["comment"], false, "{health}");
    let open = incidents(&server, "scope_missing", "it is told", |all| all.len() == 1).await;
    assert!(is_open(&open[0]) && open[0]["remedy"].as_str().unwrap().contains("api"), "{open:?}");
    fake.add_run(&repo, &red(1));
    let analysis = server.analyses("repository=acme/shop", 1).await.remove(0);
    let shown = format!("/v1/analyses/{}", analysis["id"].as_str().unwrap());
    let feedback = eventually("why nothing is said is recorded", async || {
        let feedback = server.get(&shown).await.expect(200)["feedback"].clone();
        (!feedback.as_array()?.is_empty()).then_some(feedback)
    })
    .await;
    // What scopes mean is the forge's to say: it is asked, and its refusal recorded.
    for target in feedback.as_array().unwrap() {
        assert!(["failed", "skipped"].contains(&target["state"].as_str().unwrap()), "{feedback:#}");
        assert!(!target["reason"].as_str().unwrap().is_empty(), "{feedback:#}");
    }
    assert_eq!(feedback[0]["state"], "failed", "{feedback:#}");
    server.idle().await;
    assert!(fake.all_comments().is_empty(), "{:?}", fake.all_comments());

    assert_eq!(replace(&server, &id, &fake.token()).await["status"], "healthy");
    incidents(&server, "scope_missing", "it is over", |all| !is_open(&all[0])).await;
    server.stop().await;
}

#[tokio::test]
async fn a_hook_that_cannot_be_made_again_is_told_with_what_helps() {
    let (fake, server) = (FakeGitLab::start().await, server().await);
    let repo = fake.add_repo("acme/shop");
    let token = fake.token();
    let id = connect(&server, &fake, &token).await;
    server.monitor(&id, &repo).await;
    server.idle().await;
    fake.fail_times("POST", "/api/v4/projects/*/hooks", Fault::Status(403), 100_000);
    let hook = &fake.hooks(&repo)[0].forge_id;
    let url = format!(
        "{}/api/v4/projects/{}/hooks/{hook}",
        fake.base_url().as_str().trim_end_matches('/'),
        repo.forge_id
    );
    let person = reqwest::Client::builder().no_proxy().build().unwrap();
    person.delete(url).bearer_auth(token.expose_secret()).send().await.unwrap();
    let open = incidents(&server, "hook_lost", "it is told", |all| all.len() == 1).await;
    let (message, remedy) = (open[0]["message"].as_str().unwrap(), open[0]["remedy"].as_str().unwrap());
    assert!(message.contains("acme/shop") && message.contains("removed"), "{open:?}");
    assert!(remedy.contains("hooks"), "{open:?}");
    repositories(&server, &id, "and seen", |items| items[0]["hook"]["state"] == "lost").await;
    fake.clear_faults();
    repositories(&server, &id, "it is made again", |items| items[0]["hook"]["state"] == "registered").await;
    let over = incidents(&server, "hook_lost", "it is over", |all| !is_open(&all[0])).await;
    assert_eq!(over.len(), 1, "one problem, one incident: {over:?}");
    assert_eq!(fake.hooks(&repo).len(), 1);
    server.stop().await;
}
