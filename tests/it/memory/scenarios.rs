//! Unhappy ends: limits of the forge that a poll meets, a token that dies in a batch.

use forge_core::{ForgeKind, model::Target};
use forge_testkit::{Fake, FakeGitHub, FakeGitLab, Fault, JobSpec, PullSpec, RepoHandle, RunSpec};
use secrecy::ExposeSecret;
use serde_json::json;

use super::database;
use crate::support::{TestServer, eventually, pytest_log};

fn sha(number: usize) -> String {
    format!("4be1f200000000000000000000000000000{number:05}")
}

fn failed(number: usize) -> RunSpec {
    RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_sha(&sha(number))
}

async fn deliver(fake: &Fake, repo: &RepoHandle, spec: &RunSpec) {
    let run = fake.add_run(repo, spec);
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

async fn texts(server: &TestServer, query: &str) -> Vec<String> {
    rca_store::testing::texts(&database(server), query).await
}

/// Waits until the first look of the poll is over: what failed before it belongs to the back-fill.
async fn polled(server: &TestServer) {
    eventually("the poll has looked", async || {
        let marks = texts(server, "SELECT name FROM mark WHERE name LIKE 'poll:%'").await;
        (!marks.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_interval_of_the_poll_stretches_to_the_forges_limit() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start_with(|config| config.poll_interval = 1).await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    server.patch(&format!("/v1/integrations/{integration}"), json!({ "mode": "polling" })).await.expect(200);
    polled(&server).await;
    let limit = Fault::RateLimited { retry_after: Some(3000) };
    fake.fail_times("GET", "/api/v3/repos/*/*/actions/runs", limit, 1000);
    eventually("the next look is as far away as the forge wants", async || {
        let pauses = texts(
            &server,
            "SELECT CAST(run_at - updated_at AS TEXT) FROM task WHERE kind = 'poll' AND state = 'ready'",
        )
        .await;
        pauses.first()?.parse::<i64>().ok().filter(|pause| *pause >= 2_900_000)
    })
    .await;
    server.stop().await;
}

/// What waits for a new token goes on with it: nothing is lost and nothing said twice.
#[tokio::test]
async fn a_token_that_is_revoked_in_the_middle_of_a_batch_loses_nothing() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let old = fake.token();
    let body = json!({ "base_url": fake.base_url().as_str(), "token": old.expose_secret(), "mode": "webhook",
        "backfill": { "enabled": false } });
    let path = format!("/v1/integrations/{}/token", ForgeKind::GITLAB);
    let integration = server.post(&path, body).await.expect(201);
    let id = integration["id"].as_str().unwrap().to_owned();
    server.monitor(&id, &repo).await;
    for number in 0..12 {
        deliver(&fake, &repo, &failed(number)).await;
    }
    eventually("some of it is said", async || (!fake.all_comments().is_empty()).then_some(())).await;
    fake.revoke_token(&old);
    for number in 12..20 {
        deliver(&fake, &repo, &failed(number)).await;
    }
    eventually("the integration is known to be broken", async || {
        let integration = server.get(&format!("/v1/integrations/{id}")).await.expect(200);
        (integration["health"]["credential"] == "rejected").then_some(())
    })
    .await;
    let new = json!({ "token": fake.token().expose_secret() });
    server.put(&format!("/v1/integrations/{id}/token"), new).await.expect(200);
    let analyses = server.analyses("repository=acme/shop", 20).await;
    assert_eq!(analyses.len(), 20);
    server.idle().await;
    for number in 0..20 {
        assert_eq!(fake.comments(&repo, &Target::Commit(sha(number))).len(), 1, "commit {number}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_merge_request_that_only_the_poll_saw_has_its_branch() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start_with(|config| config.poll_interval = 1).await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    server.patch(&format!("/v1/integrations/{integration}"), json!({ "mode": "polling" })).await.expect(200);
    polled(&server).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund"));
    fake.add_run(&repo, &failed(1).for_pull(&pull));
    let analysis = eventually("it is analysed", async || {
        let page = server.get("/v1/analyses").await.expect(200);
        page["items"].get(0).cloned()
    })
    .await;
    assert_eq!(
        (&analysis["branch"], &analysis["pr"]),
        (&json!("feature/refund"), &json!(pull.number.to_string()))
    );
    server.stop().await;
}
