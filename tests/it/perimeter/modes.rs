//! Webhook, polling, hybrid: changed while it runs, and polled by two servers at once.

use std::sync::Arc;

use forge_core::model::Target;
use forge_testkit::{Fake, FakeGitLab, FakeOptions, RepoHandle};
use rca_store::testing::Database;
use secrecy::SecretString;
use serde_json::json;
use server::{Config, Role};

use super::{fails, patch, red, sha, texts};
use crate::support::{TestServer, eventually};

/// Each commit has its one comment, and none has two.
async fn said_once(fake: &Fake, repo: &RepoHandle, count: usize) {
    eventually(&format!("all {count} are told"), async || {
        let is_told = |number| !fake.comments(repo, &Target::Commit(sha(number))).is_empty();
        (0..count).all(is_told).then_some(())
    })
    .await;
    assert_eq!(fake.all_comments().len(), count, "none twice");
}

#[tokio::test]
async fn modes_change_without_a_restart_and_lose_nothing() {
    // Without hooks of groups, so that the repository's own hook comes and goes.
    let fake = FakeGitLab::start_with(&FakeOptions::new().with_version("19.2.0")).await;
    let server = TestServer::start_with(|config| config.poll_interval = 1).await;
    let repo = fake.add_repo("acme/shop");
    let id = server.connect(&fake).await;
    server.monitor(&id, &repo).await;
    fails(&fake, &repo, 0).await;
    said_once(&fake, &repo, 1).await;

    // Nothing is delivered from here on but what a hook that stands at the forge delivers.
    patch(&server, &id, json!({ "mode": "polling" })).await;
    fake.add_run(&repo, &red(1));
    said_once(&fake, &repo, 2).await;
    eventually("its hook is gone", async || fake.hooks(&repo).is_empty().then_some(())).await;

    patch(&server, &id, json!({ "mode": "hybrid" })).await;
    fake.add_run(&repo, &red(2));
    said_once(&fake, &repo, 3).await;
    eventually("its hook is there again", async || (fake.hooks(&repo).len() == 1).then_some(())).await;

    // After the last look and before the first delivery: the forge is looked at once more.
    patch(&server, &id, json!({ "mode": "polling" })).await;
    eventually("its hook is gone", async || fake.hooks(&repo).is_empty().then_some(())).await;
    fake.add_run(&repo, &red(3));
    patch(&server, &id, json!({ "mode": "webhook" })).await;
    said_once(&fake, &repo, 4).await;
    eventually("its hook is there again", async || (fake.hooks(&repo).len() == 1).then_some(())).await;
    eventually("the forge is not polled any more", async || {
        let looked = "SELECT name FROM mark WHERE name LIKE 'poll:%' AND value <> 'null'";
        texts(&server, looked).await.is_empty().then_some(())
    })
    .await;
    fails(&fake, &repo, 4).await;
    said_once(&fake, &repo, 5).await;
    let sources: Vec<String> = server
        .analyses("repository=acme/shop", 5)
        .await
        .iter()
        .rev()
        .map(|analysis| analysis["source"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sources, ["webhook", "poll", "poll", "poll", "webhook"]);
    server.idle().await;
    assert_eq!(fake.all_comments().len(), 5);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_poll_and_one_dies() {
    let Some(database) = Database::postgres().await else { return };
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut servers = Vec::new();
    for _ in 0..2 {
        let url = database.url().to_owned();
        let change = move |config: &mut Config| {
            config.database_url = Some(SecretString::from(url));
            config.poll_interval = 1;
        };
        servers.push(TestServer::start_in(Arc::clone(&folder), Role::All, change).await);
    }
    let fake = FakeGitLab::start().await;
    let repos = [fake.add_repo("acme/shop"), fake.add_repo("acme/till")];
    let id = servers[0].connect(&fake).await;
    patch(&servers[0], &id, json!({ "mode": "polling" })).await;
    for repo in &repos {
        let of = servers[1].discovered(&id, repo).await;
        let path = format!("/v1/integrations/{id}/repositories/monitor");
        servers[1].post(&path, json!({ "add": [of] })).await.expect(200);
    }
    eventually("both were looked at", async || {
        let marks = database.texts("SELECT name FROM mark WHERE name LIKE 'poll:%'").await;
        (marks.len() == 2).then_some(())
    })
    .await;
    for number in 0..8 {
        fake.add_run(&repos[number % 2], &red(number));
    }
    servers[0].analyses("", 4).await;
    // One ends in the middle; what it was at goes on in the other.
    let first = servers.remove(0);
    first.stop().await;
    for number in 8..12 {
        fake.add_run(&repos[number % 2], &red(number));
    }
    let all = servers[0].analyses("", 12).await;
    assert_eq!(all.len(), 12, "each run once");
    assert!(
        all.iter().all(|analysis| analysis["source"] == "poll" && analysis["state"] == "done"),
        "{all:#?}"
    );
    servers[0].idle().await;
    for number in 0..12 {
        let said = fake.comments(&repos[number % 2], &Target::Commit(sha(number)));
        assert_eq!(said.len(), 1, "commit {number}");
    }
    assert_eq!(fake.all_comments().len(), 12);
    for server in servers {
        server.stop().await;
    }
}
