//! Several servers on one database.

use std::{sync::Arc, time::Duration};

use forge_testkit::{Fake, FakeGitLab, JobSpec, PullSpec, RunSpec};
use rca_store::testing::Database;
use secrecy::SecretString;
use serde_json::json;
use server::{Config, Role};

use crate::support::{TestServer, eventually, pytest_log};

/// Servers that share a database and the key to it.
async fn replicas(database: &Database, count: usize) -> Vec<TestServer> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut servers = Vec::new();
    for _ in 0..count {
        let url = database.url().to_owned();
        let change = move |config: &mut Config| config.database_url = Some(SecretString::from(url));
        servers.push(TestServer::start_in(Arc::clone(&folder), Role::All, change).await);
    }
    servers
}

async fn connect_by_oauth(server: &TestServer, fake: &Fake) -> String {
    fake.add_user("ada");
    fake.set_approver(Some("ada"));
    let app = fake
        .add_oauth_app(
            &[&format!("{}/v1/integrations/gitlab/callback", server.base)],
            &["api", "read_user", "read_api"],
            true,
        )
        .oauth_app();
    let body = json!({"base_url": fake.base_url().as_str(), "client_id": app.client_id, "mode": "webhook",
        "client_secret": secrecy::ExposeSecret::expose_secret(&app.client_secret), "backfill": {"enabled": false}});
    let started = server.post("/v1/integrations/gitlab/start", body).await.expect(201);
    let back = fake.browse(&started["authorize_url"].as_str().unwrap().parse().unwrap()).await.unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let body = json!({"state": started["state"], "code": code});
    server.post("/v1/integrations/gitlab/authorize", body).await.expect(201)["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_is_refreshed_once() {
    let Some(database) = Database::postgres().await else { return };
    let servers = replicas(&database, 2).await;
    let fake = FakeGitLab::start().await;
    fake.set_access_token_lifetime(Some(Duration::from_secs(7200)));
    let repo = fake.add_repo("acme/shop");
    let integration = connect_by_oauth(&servers[0], &fake).await;
    servers[0].monitor(&integration, &repo).await;
    // Both replicas meet the token long after its end.
    fake.advance_clock(Duration::from_secs(3 * 3600));
    let before = fake.refreshes();
    let mut calls = tokio::task::JoinSet::new();
    for server in &servers {
        for _ in 0..25 {
            let request = server
                .request(reqwest::Method::POST, &format!("/v1/integrations/{integration}/check"))
                .bearer_auth(crate::support::OWNER);
            calls.spawn(async move { request.send().await.unwrap().status().as_u16() });
        }
    }
    let statuses = calls.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(fake.refreshes() - before, 1, "one refresh for 50 calls in two replicas");
    assert_eq!(fake.invalid_grants(), 0);
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_say_everything_once() {
    let Some(database) = Database::postgres().await else { return };
    let mut servers = replicas(&database, 3).await;
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = servers[0].connect(&fake).await;
    servers[0].monitor(&integration, &repo).await;
    let hook = fake.hooks(&repo).remove(0).id;
    for index in 0..20 {
        let pull = fake.open_pull(
            &repo,
            &PullSpec::new("change", &format!("branch-{index}")).with_sha(&format!("{index:040x}")),
        );
        let run =
            fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
        let request = fake.signed_request(&run, hook).unwrap();
        // Each delivery reaches two replicas.
        for server in [&servers[index % 3], &servers[(index + 1) % 3]] {
            let mut copy = request.clone();
            copy.url = copy.url.replace(&servers[0].base, &server.base);
            assert_eq!(copy.send(Duration::from_secs(10)).await.status, Some(202));
        }
    }
    // One of them dies in the middle, without a word.
    drop(servers.pop());
    let analyses = servers[0].analyses("", 20).await;
    assert_eq!(analyses.len(), 20);
    eventually("every pull request has its comment", async || {
        (fake.all_comments().len() >= 20).then_some(())
    })
    .await;
    servers[0].idle().await;
    assert_eq!(fake.all_comments().len(), 20, "and none has two");
    for server in servers {
        server.stop().await;
    }
}
