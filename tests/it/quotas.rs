//! Floods: who asks too much is told when to come again, others do not notice, and no failed run is lost.

use std::time::Duration;

use forge_core::ForgeKind;
use forge_testkit::{Fake, FakeGitLab, JobSpec, RepoHandle, RunSpec, SignedRequest};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    support::{TestServer, eventually, pytest_log},
    tenants::second_owner,
};

/// Deliveries of so many different failed runs.
fn deliveries(fake: &Fake, repo: &RepoHandle, count: u32) -> Vec<SignedRequest> {
    let hook = fake.hooks(repo).remove(0).id;
    (0..count)
        .map(|number| {
            let spec = RunSpec::new(vec![JobSpec::failed("test", pytest_log())])
                .with_branch("main")
                .with_sha(&format!("{number:040x}"));
            fake.signed_request(&fake.add_run(repo, &spec), hook).unwrap()
        })
        .collect()
}

async fn statuses(requests: &[SignedRequest]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.send(Duration::from_secs(30)).await.status.unwrap());
    }
    statuses
}

/// Connects the fake in the workspace of `token` and watches the repository.
async fn watch(server: &TestServer, token: &str, fake: &Fake, repo: &RepoHandle) {
    let post = async |path: &str, body: Value| {
        server.send(server.request(Method::POST, path).bearer_auth(token).json(&body)).await
    };
    let body = json!({
        "base_url": fake.base_url().as_str(), "token": fake.token().expose_secret(), "mode": "webhook",
        "backfill": {"enabled": false},
    });
    let made = post("/v1/integrations/gitlab/token", body).await.expect(201);
    let base = format!("/v1/integrations/{}/repositories", made["id"].as_str().unwrap());
    let id = eventually("the repository is discovered", async || {
        let list = server.send(server.request(Method::GET, &base).bearer_auth(token)).await.expect(200);
        let found =
            list["items"].as_array()?.iter().find(|item| item["full_name"] == repo.full_name.as_str());
        Some(found?["id"].as_str()?.to_owned())
    })
    .await;
    let answer = post(&format!("{base}/monitor"), json!({"add": [id]})).await.expect(200);
    assert_eq!(answer["items"][0]["hook_registered"], true, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_flooded_hook_refuses_is_analysed_all_the_same() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start_with(|config| {
        config.quotas.deliveries_per_minute = 3;
        config.poll_interval = 1;
    })
    .await;
    assert_eq!(fake.kind(), ForgeKind::GITLAB);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let requests = deliveries(&fake, &repo, 8);
    let statuses = statuses(&requests).await;
    let refused: Vec<&SignedRequest> = requests
        .iter()
        .zip(&statuses)
        .filter(|(_, status)| **status == 429)
        .map(|(request, _)| request)
        .collect();
    assert!(statuses.contains(&202) && refused.len() >= 4, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 202 | 429)), "{statuses:?}");

    let again = server.http.post(&refused[0].url).headers(refused[0].headers.clone());
    let again = again.body(refused[0].body().clone()).send().await.unwrap();
    assert_eq!(again.status(), 429);
    let wait: u64 = again.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(again.json::<Value>().await.unwrap()["code"], "rate_limited");
    // Without a proof nobody learns that the hook exists, let alone that it is flooded.
    let guess = server.http.post(&refused[0].url).header("x-gitlab-token", "guess").body("{}");
    assert_eq!(guess.send().await.unwrap().status(), 401);

    // The forge sends none of them again; the integration is told by its hooks alone.
    let analyses = server.analyses("repository=acme/shop", 8).await;
    assert_eq!(analyses.len(), 8, "{analyses:#?}");
    server.idle().await;
    let taken = server.get("/v1/deliveries").await.expect(200);
    assert!(taken["items"].as_array().unwrap().len() < 8, "the others were found at the forge: {taken}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_that_floods_does_not_slow_another_down() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start_with(|config| {
        config.quotas.deliveries_per_minute = 100;
        config.quotas.workspace_deliveries_per_minute = 6;
        config.quotas.workspace_requests_per_minute = 300;
    })
    .await;
    let second = second_owner(&server).await;
    let (one, other, theirs) =
        (fake.add_repo("acme/one"), fake.add_repo("acme/other"), fake.add_repo("other/theirs"));
    let integration = server.connect(&fake).await;
    for repo in [&one, &other] {
        server.monitor(&integration, repo).await;
    }
    watch(&server, &second, &fake, &theirs).await;
    let flood = statuses(&deliveries(&fake, &one, 12)).await;
    assert!(flood.contains(&202) && flood.last() == Some(&429), "{flood:?}");
    assert_eq!(statuses(&deliveries(&fake, &other, 1)).await, [429], "all hooks of a workspace share");
    assert_eq!(statuses(&deliveries(&fake, &theirs, 3)).await, [202, 202, 202], "the other workspace");

    // The same for requests, whichever token they come with.
    let made = server.post("/v1/tokens", json!({"name": "more", "scopes": ["read"]})).await.expect(201);
    let more = made["token"].as_str().unwrap();
    let mut refused = None;
    for _ in 0..400 {
        let answer = server.get("/v1/deliveries?limit=1").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    refused.unwrap().expect_error(429, "rate_limited");
    let ask = |token: &str| server.request(Method::GET, "/v1/deliveries").bearer_auth(token);
    server.send(ask(more)).await.expect_error(429, "rate_limited");
    server.send(ask(&second)).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn what_proves_nothing_is_counted_whatever_the_answer() {
    let server = TestServer::start_with(|config| config.quotas.unproved_per_minute = 4).await;
    let ask = async |path: &str| {
        // Only trusted proxies are believed, and there are none.
        let request =
            server.request(Method::GET, path).header("x-forwarded-for", format!("198.51.100.{}", path.len()));
        server.send(request).await.status.as_u16()
    };
    assert_eq!(ask("/v1/instance").await, 200);
    assert_eq!(ask("/v1/openapi.json").await, 200);
    assert_eq!(ask("/v1/integrations/gitlab/callback?state=x&code=y").await, 400);
    let url = "/v1/webhooks/bitbucket-dc/00000000000000000000000000000000";
    let ping = async || {
        let request = server.request(Method::POST, url).header("x-event-key", "diagnostics:ping");
        server.send(request.body(r#"{"test":true}"#)).await.status.as_u16()
    };
    assert_eq!(ping().await, 200);
    for path in [
        "/v1/instance",
        "/v1/openapi.json",
        "/v1/integrations/gitlab/callback?state=x&code=y",
        "/v1/integrations/github/app/callback?state=x&code=y",
        "/v1/integrations/github/app/installed?state=x&installation_id=1",
    ] {
        assert_eq!(ask(path).await, 429, "{path}");
    }
    assert_eq!(ping().await, 429);
    assert_eq!(ask("/healthz").await, 200, "health is for those who look after the server");
    assert_eq!(ask("/readyz").await, 200);
    server.get("/v1/analyses").await.expect(200);
    server.stop().await;
}
