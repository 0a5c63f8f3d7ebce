//! Connecting: OAuth, tokens, and everything that can be wrong with them.

use forge_core::ForgeKind;
use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitHub, FakeGitLab, FakeOptions, Fault, TokenKind,
    TokenSpec,
};
use serde_json::{Value, json};
use url::Url;

use crate::support::{OWNER, TestServer, eventually};

async fn begin(server: &TestServer, fake: &Fake) -> Value {
    let app = fake.add_oauth_app(
        &[&format!("{}/v1/integrations/{}/callback", server.base, fake.kind())],
        &[
            // GitLab
            "api",
            "read_user",
            "read_api",
            // Bitbucket Cloud: the boxes ticked at the consumer
            "account",
            "repository",
            "pullrequest:write",
            "webhook",
            "pipeline",
            // Bitbucket Data Center
            "REPO_ADMIN",
        ],
        false,
    );
    let app = app.oauth_app();
    let body = json!({
        "base_url": fake.base_url().as_str(),
        "client_id": app.client_id,
        "client_secret": secrecy::ExposeSecret::expose_secret(&app.client_secret),
        "backfill": {"enabled": false},
    });
    server.post(&format!("/v1/integrations/{}/start", fake.kind()), body).await.expect(201)
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// `token_path` is where codes are exchanged.
async fn oauth_loop(fake: &Fake, token_path: &str) {
    let is_cloud = fake.kind() == ForgeKind::BITBUCKET_CLOUD;
    let server = TestServer::start().await;
    fake.add_user("ada");
    fake.set_approver(Some("ada"));
    fake.add_repo("acme/shop");
    let started = begin(&server, fake).await;
    let authorize: Url = started["authorize_url"].as_str().unwrap().parse().unwrap();
    assert_eq!(parameter(&authorize, "state"), started["state"].as_str().unwrap());
    // Bitbucket Cloud documents neither PKCE nor revoking.
    assert_eq!(parameter(&authorize, "code_challenge_method"), if is_cloud { "" } else { "S256" });
    assert!(started["redirect_uri"].as_str().unwrap().starts_with(&server.base));
    let back = fake.browse(&authorize).await.unwrap();

    let path = format!("/v1/integrations/{}/authorize", fake.kind());
    let body = json!({"state": parameter(&back, "state"), "code": parameter(&back, "code")});
    let tokens = fake.count("POST", token_path);
    // A state of nobody, and one of another forge: no request is made with the code.
    let foreign = json!({"state": "0".repeat(64), "code": parameter(&back, "code")});
    server.post(&path, foreign).await.expect_error(400, "invalid_state");
    assert_eq!(fake.count("POST", token_path), tokens, "no code was sent anywhere");

    let integration = server.post(&path, body.clone()).await.expect(201);
    assert_eq!(integration["auth"], "oauth");
    assert_eq!(integration["health"]["credential"], "valid", "{integration:#}");
    server.post(&path, body).await.expect_error(400, "invalid_state");

    let id = integration["id"].as_str().unwrap();
    eventually("its repositories are found", async || {
        let list = server.get(&format!("/v1/integrations/{id}/repositories")).await.expect(200);
        (list["items"][0]["full_name"] == "acme/shop").then_some(())
    })
    .await;
    let text = server.get(&format!("/v1/integrations/{id}")).await.text;
    assert!(!text.contains("client_secret") && !text.contains("access_token"), "{text}");

    let gone = server.delete(&format!("/v1/integrations/{id}")).await.expect(200);
    assert_eq!(gone["revoked"], !is_cloud, "{gone:#}");
    server.get(&format!("/v1/integrations/{id}")).await.expect_error(404, "not_found");
    server.stop().await;
}

#[tokio::test]
async fn gitlab_by_oauth() {
    oauth_loop(&*FakeGitLab::start().await, "/oauth/token").await;
}

#[tokio::test]
async fn github_by_oauth() {
    oauth_loop(&*FakeGitHub::start().await, "/login/oauth/access_token").await;
}

#[tokio::test]
async fn bitbucket_cloud_by_oauth() {
    oauth_loop(&*FakeBitbucketCloud::start().await, "/site/oauth2/access_token").await;
}

#[tokio::test]
async fn bitbucket_dc_by_oauth() {
    oauth_loop(&*FakeBitbucketDc::start().await, "/rest/oauth2/latest/token").await;
}

#[tokio::test]
async fn the_browser_callback_connects_and_a_refusal_is_told() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    fake.add_user("ada");
    fake.set_approver(Some("ada"));
    let started = begin(&server, &fake).await;
    let authorize: Url = started["authorize_url"].as_str().unwrap().parse().unwrap();
    let back = fake.browse(&authorize).await.unwrap();
    // No token on this request: the browser comes from the forge.
    let page = server.http.get(back.clone()).send().await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let again = server.http.get(back).send().await.unwrap();
    assert_eq!(again.status().as_u16(), 400, "a state works once");

    fake.set_approver(None);
    let started = begin(&server, &fake).await;
    let back = fake.browse(&started["authorize_url"].as_str().unwrap().parse().unwrap()).await.unwrap();
    assert_eq!(parameter(&back, "error"), "access_denied");
    let refused = server.http.get(back).send().await.unwrap();
    assert!(refused.status().is_client_error(), "{}", refused.status());
    server.stop().await;
}

#[tokio::test]
async fn an_access_token_of_bitbucket_cloud_finds_its_repository_in_the_workspace_that_is_given() {
    let fake = FakeBitbucketCloud::start().await;
    let server = TestServer::start().await;
    let token = fake.add_token(
        &TokenSpec::new(TokenKind::FineGrained, &["repository", "pullrequest:write", "webhook", "pipeline"])
            .with_login("repository-bot"),
    );
    let shop = fake.add_repo("acme/shop");
    let hidden = fake.add_repo("acme/payroll");
    fake.set_access(&hidden, "repository-bot", 0);
    fake.add_repo("emca/elsewhere");
    let body = |workspace: &str| {
        json!({
            "base_url": fake.base_url().as_str(),
            "token": secrecy::ExposeSecret::expose_secret(&token),
            "workspace": workspace,
            "mode": "webhook",
            "backfill": {"enabled": false},
        })
    };
    let path = "/v1/integrations/bitbucket-cloud/token";
    for wrong in ["", "acme/shop", "two words"] {
        let error = server.post(path, body(wrong)).await.expect_error(422, "invalid_field");
        assert!(error.contains("workspace"), "{error}");
    }
    let id = server.post(path, body("acme")).await.expect(201)["id"].as_str().unwrap().to_owned();
    server.monitor(&id, &shop).await;
    let list = server.get(&format!("/v1/integrations/{id}/repositories")).await.expect(200);
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["full_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["acme/shop"]);
    assert_eq!(
        fake.count("GET", "/2.0/user/workspaces"),
        0,
        "it may not list workspaces, and is not asked to"
    );
    server.stop().await;
}

async fn with_token(server: &TestServer, forge: &str, base_url: &str, token: &str) -> crate::support::Answer {
    server
        .post(&format!("/v1/integrations/{forge}/token"), json!({"base_url": base_url, "token": token}))
        .await
}

#[tokio::test]
async fn a_relative_root_is_kept() {
    let fake = FakeGitLab::start_with(&FakeOptions::new().with_root("/gitlab")).await;
    assert!(fake.base_url().path().starts_with("/gitlab"));
    let server = TestServer::start().await;
    let id = server.connect(&fake).await;
    let integration = server.get(&format!("/v1/integrations/{id}")).await.expect(200);
    assert_eq!(
        integration["base_url"].as_str().unwrap().trim_end_matches('/'),
        fake.base_url().as_str().trim_end_matches('/')
    );
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

#[tokio::test]
async fn a_read_only_token_connects_and_says_what_it_cannot_do() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let token = fake.add_token(&TokenSpec::new(TokenKind::Personal, &["read_api"]));
    let token = secrecy::ExposeSecret::expose_secret(&token).to_owned();
    let integration = with_token(&server, "gitlab", fake.base_url().as_str(), &token).await.expect(201);
    let health = &integration["health"];
    assert_eq!(health["scopes"]["missing"], json!(["api"]), "{health:#}");
    assert_eq!(health["can"]["comment"], false);
    assert_eq!(health["can"]["hook"], false);
    assert_eq!(health["can"]["read_logs"], true);
    let problem = &health["problems"][0];
    assert!(problem["remedy"].as_str().unwrap().contains("api"), "{problem:#}");
    server.stop().await;
}

#[tokio::test]
async fn every_wrong_way_in_has_its_own_error() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let base = fake.base_url().as_str();

    let text = with_token(&server, "gitlab", base, "glpat-wrong").await.expect_error(422, "token_rejected");
    assert!(!text.contains("glpat-wrong"), "{text}");
    let expired =
        fake.add_token(&TokenSpec::new(TokenKind::Personal, &["api"]).with_expires_at(in_the_past()));
    let expired = secrecy::ExposeSecret::expose_secret(&expired).to_owned();
    with_token(&server, "gitlab", base, &expired).await.expect_error(422, "token_rejected");
    with_token(&server, "gitlab", "not a url", "x").await.expect(422);
    with_token(&server, "gitlab", "http://10.1.2.3", "x").await.expect_error(422, "address_not_allowed");
    with_token(&server, "gitlab", "http://169.254.169.254/latest", "x")
        .await
        .expect_error(422, "address_not_allowed");
    // A port where nobody listens, on an address that is allowed.
    let text =
        with_token(&server, "gitlab", "http://127.0.0.1:1", "x").await.expect_error(502, "forge_unreachable");
    assert!(!text.contains("os error"), "coarse on purpose, it must not be a port scanner: {text}");
    with_token(&server, "gitea", base, "x").await.expect_error(404, "not_found");
    assert!(fake.requests().iter().all(|request| !request.path.contains("glpat")), "no token in a path");

    fake.fail_times("GET", "/api/v4/**", Fault::Html(502), 10);
    with_token(&server, "gitlab", base, "x").await.expect_error(502, "forge_error");

    let path = "/v1/integrations/gitlab/token";
    server.post(path, json!({"base_url": base, "token": "x", "tokn": 1})).await.expect(422);
    server.post(path, json!({"base_url": base})).await.expect(422);
    let request = server
        .request(reqwest::Method::POST, path)
        .bearer_auth(OWNER)
        .header("content-type", "application/json");
    server.send(request.body("{\"token\": ")).await.expect_error(400, "malformed_json");
    let request =
        server.request(reqwest::Method::POST, path).bearer_auth(OWNER).header("content-type", "text/plain");
    server.send(request.body("{}")).await.expect_error(415, "unsupported_media_type");
    server.stop().await;
}

fn in_the_past() -> jiff::Timestamp {
    jiff::Timestamp::UNIX_EPOCH
}

#[tokio::test]
async fn plain_http_is_refused_unless_the_operator_allows_it() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start_with(|config| config.dangerous_allow_http = false).await;
    let text = with_token(&server, "gitlab", fake.base_url().as_str(), "x")
        .await
        .expect_error(422, "address_not_allowed");
    assert!(text.contains("https"), "names the remedy: {text}");
    assert!(fake.requests().is_empty(), "nothing was sent");
    server.stop().await;
}

#[tokio::test]
async fn a_rejected_token_parks_the_work_until_it_is_replaced() {
    use forge_testkit::{JobSpec, RunSpec};
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let old = fake.token();
    let body = json!({"base_url": fake.base_url().as_str(), "token": secrecy::ExposeSecret::expose_secret(&old),
        "mode": "webhook", "backfill": {"enabled": false}});
    let integration = server.post("/v1/integrations/gitlab/token", body).await.expect(201);
    let id = integration["id"].as_str().unwrap().to_owned();
    server.monitor(&id, &repo).await;
    fake.revoke_token(&old);
    let sha = "4be1f20000000000000000000000000000000009";
    let run = fake.add_run(
        &repo,
        &RunSpec::new(vec![JobSpec::failed("test", crate::support::pytest_log())])
            .with_branch("main")
            .with_sha(sha),
    );
    fake.deliver(&run).await;
    eventually("the integration is known to be broken", async || {
        let integration = server.get(&format!("/v1/integrations/{id}")).await.expect(200);
        (integration["health"]["credential"] == "rejected").then_some(())
    })
    .await;
    assert!(fake.all_comments().is_empty());
    let new = fake.token();
    let body = json!({"token": secrecy::ExposeSecret::expose_secret(&new)});
    server.put(&format!("/v1/integrations/{id}/token"), body).await.expect(200);
    server.analyses("", 1).await;
    server.idle().await;
    assert_eq!(fake.all_comments().len(), 1, "the waiting work went on");
    server.stop().await;
}

#[tokio::test]
async fn deselecting_removes_the_hook_and_stops_everything() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    let id = server.monitor(&integration, &repo).await;
    assert_eq!(fake.hooks(&repo).len(), 1);
    let path = format!("/v1/integrations/{integration}/repositories/monitor");
    // Once more changes nothing.
    server.post(&path, json!({"add": [id]})).await.expect(200);
    assert_eq!(fake.hooks(&repo).len(), 1, "no second hook");
    let answer = server.post(&path, json!({"remove": [id]})).await.expect(200);
    assert_eq!(answer["items"][0]["monitored"], false, "{answer}");
    assert!(fake.hooks(&repo).is_empty());
    let unknown = server.post(&path, json!({"add": ["no-such-id"]})).await.expect(200);
    assert!(unknown["items"][0]["error"].is_string(), "{unknown}");
    server.stop().await;
}

#[tokio::test]
async fn disconnecting_leaves_what_it_is_told_to_leave() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let kept = server.delete(&format!("/v1/integrations/{integration}?keep_webhooks=true")).await.expect(200);
    assert_eq!(kept["removed_hooks"], 0, "{kept}");
    assert_eq!(fake.hooks(&repo).len(), 1);

    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    fake.fail_times("DELETE", "/api/v4/projects/*/hooks/*", Fault::Status(403), 10);
    let left = server.delete(&format!("/v1/integrations/{integration}")).await.expect(200);
    assert_eq!(left["leftover_hooks"][0]["repository"], "acme/shop", "{left}");
    assert!(left["leftover_hooks"][0]["reason"].is_string(), "{left}");
    server.stop().await;
}

#[tokio::test]
async fn a_rotated_secret_overlaps_with_the_old_one() {
    use forge_testkit::{JobSpec, RunSpec};
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    let id = server.monitor(&integration, &repo).await;
    let run = fake.add_run(
        &repo,
        &RunSpec::new(vec![JobSpec::green("a")]).with_sha("4be1f20000000000000000000000000000000003"),
    );
    let old = fake.signed_request(&run, fake.hooks(&repo)[0].id).unwrap();
    let rotated = server.post(&format!("/v1/repositories/{id}/webhook-secret"), json!({})).await.expect(200);
    assert_eq!(rotated["secret"].as_str().unwrap().len(), 64, "{rotated}");
    let new = fake.signed_request(&run, fake.hooks(&repo)[0].id).unwrap();
    assert_ne!(old.headers, new.headers, "the forge has the new secret");
    for request in [old, new] {
        let outcome = request.send(std::time::Duration::from_secs(10)).await;
        assert_eq!(outcome.status, Some(202), "{outcome:?}");
    }
    server.stop().await;
}
