//! Everything that the API has, a person can do on a page.

use forge_testkit::{FakeGitHub, FakeGitLab, JobSpec, RunSpec};
use serde_json::json;

use crate::{
    support::{TestServer, cargo_log, eventually, pytest_log},
    web::{Web, attribute},
};

/// What is not for people: programs send it, or forges do, or a page is the other end of it.
const FOR_PROGRAMS: [&str; 25] = [
    "/api/analyze",
    "/api/ingest/log",
    "/api/integrations/bitbucket/oauth/callback",
    "/api/integrations/gitflic/oauth/callback",
    "/api/integrations/github/oauth/callback",
    "/auth/gitlab/callback",
    "/healthz",
    "/readyz",
    "/v1/channels/{id}/telegram",
    "/v1/ingest/circleci",
    "/v1/ingest/drone",
    "/v1/ingest/jenkins",
    "/v1/ingest/log",
    "/v1/ingest/raw",
    "/v1/ingest/teamcity",
    "/v1/instance",
    "/v1/integrations/github/app/callback",
    "/v1/integrations/github/app/installed",
    "/v1/integrations/{forge}/authorize",
    "/v1/integrations/{forge}/callback",
    "/v1/openapi.json",
    "/v1/operations/{id}",
    "/v1/webhooks/gitlab",
    "/v1/webhooks/{forge}/{hook_id}",
    "/webhook/gitflic",
];

/// A route of the API, the page where a person does the same, and what of it stands there.
const PLACES: &[(&str, &str, &str)] = &[
    ("get /v1/analyses", "/failures", "name=\"severity\""),
    ("post /v1/analyses", "/analyse", "name=\"post\""),
    ("get /v1/analyses/{id}", "/analyses/ANALYSIS", "export?format=sarif"),
    ("post /v1/analyses/{id}/rerun", "/analyses/ANALYSIS", "/rerun\""),
    ("post /v1/analyses/{id}/verdict", "/analyses/ANALYSIS", "/verdict\""),
    ("get /v1/audit", "/audit?action=integration", "/audit.csv?action=integration"),
    ("get /v1/channels", "/channels", "/channels/new?kind=matrix"),
    ("post /v1/channels", "/channels/new?kind=telegram", "name=\"api_base_url\""),
    ("get /v1/channels/{id}", "/channels/CHANNEL", "every channel has a page"),
    ("patch /v1/channels/{id}", "/channels/CHANNEL", "name=\"first_occurrence_only\""),
    ("delete /v1/channels/{id}", "/channels/CHANNEL", "/remove\""),
    ("get /v1/channels/{id}/deliveries", "/channels/CHANNEL", "What it was told"),
    ("post /v1/channels/{id}/test", "/channels/CHANNEL", "/test\""),
    ("post /v1/channels/{id}/link", "/channels/new?kind=telegram", "Leave the chat id empty to get a link"),
    ("get /v1/clusters", "/clusters", "name=\"state\""),
    ("get /v1/clusters/{id}", "/clusters/CLUSTER", "/state\""),
    ("post /v1/clusters/{id}/acknowledge", "/clusters/CLUSTER", "value=\"acknowledged\""),
    ("post /v1/clusters/{id}/resolve", "/clusters/CLUSTER", "value=\"resolved\""),
    ("post /v1/clusters/{id}/reopen", "/clusters?state=resolved", "name=\"state\""),
    ("get /v1/deliveries", "/deliveries", "name=\"status\""),
    ("get /v1/deliveries/{id}", "/deliveries/DELIVERY", "Show the payload"),
    ("post /v1/deliveries/{id}/replay", "/deliveries/DELIVERY", "/replay\""),
    ("get /v1/incidents", "/incidents", "Nothing needs attention"),
    ("get /v1/ingest/snippets", "/send", "id=\"snippet-jenkins\""),
    ("get /v1/integrations", "/integrations", "/integrations/INTEGRATION"),
    ("post /v1/integrations/github/app", "/connect/github?way=known-app", "name=\"private_key\""),
    ("post /v1/integrations/github/app/start", "/connect/github?way=app", "name=\"organization\""),
    ("post /v1/integrations/{forge}/start", "/connect/gitlab?way=oauth", "name=\"client_secret\""),
    (
        "post /v1/integrations/{forge}/webhook",
        "/connect/bitbucket-dc?base_url=https://b.test&way=webhook",
        "name=\"token\"",
    ),
    ("get /v1/integrations/{id}", "/integrations/INTEGRATION", "What the credential can do"),
    ("patch /v1/integrations/{id}", "/integrations/INTEGRATION", "name=\"perimeter\""),
    ("delete /v1/integrations/{id}", "/integrations/INTEGRATION/disconnect", "name=\"keep_webhooks\""),
    ("post /v1/integrations/{id}/check", "/integrations/INTEGRATION", "/check\""),
    ("get /v1/integrations/{id}/repositories", "/integrations/INTEGRATION/repositories", "name=\"search\""),
    (
        "post /v1/integrations/{id}/repositories/monitor",
        "/integrations/INTEGRATION/repositories",
        "name=\"on\"",
    ),
    (
        "get /v1/integrations/{id}/runs/{run_id}",
        "/run?integration=INTEGRATION&repository=acme/shop&run=RUN",
        "3 failed jobs",
    ),
    ("post /v1/integrations/{id}/sync", "/integrations/INTEGRATION", "/sync\""),
    ("put /v1/integrations/{id}/token", "/integrations/INTEGRATION", "id=\"new-token\""),
    (
        "post /v1/integrations/{id}/token",
        "/connect/gitlab?base_url=https://g.test&way=personal",
        "name=\"api_base_url\"",
    ),
    ("get /v1/members", "/members", "Nobody but token holders yet"),
    ("post /v1/members", "/members", "name=\"email\""),
    ("patch /v1/members/{id}", "/members", "name=\"role\""),
    ("delete /v1/members/{id}", "/members", "name=\"role\""),
    (
        "post /v1/repositories/{id}/webhook-secret",
        "/integrations/INTEGRATION/repositories/REPOSITORY",
        "/secret\"",
    ),
    ("get /v1/settings", "/settings", "id=\"about\""),
    ("put /v1/settings", "/settings", "name=\"pull_request_per_hour\""),
    ("get /v1/stats/overview", "/statistics", "of the runs failed"),
    ("get /v1/stats/timeseries", "/statistics", "Failures per day"),
    ("get /v1/stats/top-causes", "/statistics", "/clusters/CLUSTER"),
    ("get /v1/stats/top-repositories", "/statistics", "repository=acme%2Fshop"),
    ("get /v1/tokens", "/tokens", "/revoke\""),
    ("post /v1/tokens", "/tokens", "name=\"expires_on\""),
    ("delete /v1/tokens/{id}", "/tokens", "/revoke\""),
];

fn jobs() -> Vec<JobSpec> {
    vec![
        JobSpec::failed("test 3.12", pytest_log()),
        JobSpec::failed("build", cargo_log()),
        JobSpec::failed("test 3.13", pytest_log()),
    ]
}

#[tokio::test]
async fn each_route_of_the_api_has_its_place_on_a_page() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    let repository = server.monitor(&integration, &repo).await;
    let run = fake.add_run(&repo, &RunSpec::new(jobs()));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let analysis = server.analyses("repository=acme/shop", 3).await.swap_remove(0);
    let channel = json!({"kind": "webhook", "name": "every channel has a page", "config": {"url": "https://127.0.0.1:9/"}});
    let channel = server.post("/v1/channels", channel).await.expect(201);
    server.post("/v1/tokens", json!({"name": "ci", "scopes": ["ingest"]})).await.expect(201);
    let delivery = server.get("/v1/deliveries?status=done").await.expect(200)["items"][0].clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let names = [
        ("INTEGRATION", integration),
        ("REPOSITORY", repository),
        ("ANALYSIS", text(&analysis["id"])),
        ("CLUSTER", text(&analysis["cluster_id"])),
        ("CHANNEL", text(&channel["id"])),
        ("DELIVERY", text(&delivery["id"])),
        ("RUN", run.forge_id.clone()),
    ];
    let filled = |text: &str| names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
    let owner = Web::owner(&server).await;
    let mut missing = Vec::new();
    for (route, page, mark) in PLACES {
        let page = filled(page);
        let shown = owner.get(&page).await.expect(200);
        if !shown.contains(&filled(mark)) {
            missing.push(format!("{route}: no {mark} on {page}"));
        }
    }
    let api = server.get("/v1/openapi.json").await.expect(200);
    for (path, methods) in api["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let route = format!("{method} {path}");
            let is_known =
                FOR_PROGRAMS.contains(&path.as_str()) || PLACES.iter().any(|place| place.0 == route);
            if !is_known {
                missing.push(format!("{route}: say where a person does this"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    server.stop().await;
}

#[tokio::test]
async fn a_run_is_analysed_by_hand_and_seen_as_a_whole() {
    let (server, fake) = (TestServer::start().await, FakeGitHub::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.discovered(&integration, &repo).await;
    let run = fake.add_run(&repo, &RunSpec::new(jobs()));
    let owner = Web::owner(&server).await;
    let fields =
        [("integration", integration.as_str()), ("repository", "acme/shop"), ("run", run.forge_id.as_str())];
    let wrong = [fields[0], fields[1], ("run", "4711000"), ("attempt", "2")];
    let page = owner.post("/analyse", "/analyse", &wrong).await.expect(404);
    assert!(
        page.contains("value=\"4711000\"") && page.contains("role=\"alert\""),
        "what was entered stays: {page}"
    );
    owner
        .post("/analyse", "/analyse", &[fields[0], fields[1], fields[2], ("attempt", "two")])
        .await
        .expect(422);

    let address = owner.post("/analyse", "/analyse", &fields).await.redirect();
    assert!(address.starts_with("/run?integration="), "{address}");
    server.analyses("repository=acme/shop", 3).await;
    let page = owner.get(&address).await.expect(200);
    assert!(page.contains("3 failed jobs") && page.contains("2 jobs"), "{page}");
    assert!(page.contains("test 3.13") && !page.contains("hx-get=\"/run"), "nothing is waited for: {page}");
    let export = attribute(&page, "href=\"/run/export");
    let file = owner.get(&format!("/run/export{export}")).await;
    assert!(file.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert!(file.expect(200).contains("3 jobs failed, 2 causes"));
    let again = attribute(&page, "href=\"/analyse?");
    let form = owner.get(&format!("/analyse?{again}")).await.expect(200);
    assert!(form.contains(&format!("value=\"{}\"", run.forge_id)) && form.contains("acme/shop"), "{form}");
    owner.get("/run?integration=x").await.expect(404);

    let made = server.post("/v1/tokens", json!({"name": "v", "role": "viewer"})).await.expect(201);
    let viewer = Web::signed_in(&server, made["token"].as_str().unwrap()).await;
    viewer.get("/analyse").await.expect(403);
    assert!(!viewer.get(&address).await.expect(200).contains("href=\"/analyse?"));
    let csrf = attribute(&viewer.get("/failures").await.expect(200), "name=\"csrf\" value=\"");
    let mut all = vec![("csrf", csrf.as_str())];
    all.extend(fields);
    viewer.post_as_is("/analyse", &all).await.expect(403);
    owner.post_as_is("/analyse", &fields).await.expect(403);
    server.stop().await;
}

#[tokio::test]
async fn the_audit_is_filtered_on_the_page_in_the_table_and_by_the_api() {
    let server = TestServer::start().await;
    let owner = Web::owner(&server).await;
    for name in ["one", "two"] {
        server.post("/v1/tokens", json!({"name": name, "scopes": ["ingest"]})).await.expect(201);
    }
    server.put("/v1/settings", json!({"digest": {"hour": 7}})).await.expect(200);
    let found = eventually("the audit has both", async || {
        let list = server.get("/v1/audit?action=token.").await.expect(200);
        (list["items"].as_array()?.len() == 2).then_some(list)
    })
    .await;
    assert!(
        found["items"].as_array().unwrap().iter().all(|entry| entry["action"] == "token.create"),
        "{found:#}"
    );
    let page = owner.get("/audit?action=settings").await.expect(200);
    assert!(page.contains("settings.update") && !page.contains("token.create"), "{page}");
    let table = attribute(&page, "href=\"/audit.csv");
    let table = owner.get(&format!("/audit.csv{table}")).await.expect(200);
    assert!(table.contains("settings.update") && !table.contains("token.create"), "{table}");
    let day = found["items"][0]["at"].as_str().unwrap()[..10].to_owned();
    assert!(owner.get(&format!("/audit?since={day}&until={day}")).await.expect(200).contains("token.create"));
    let none = owner.get("/audit?until=2020-01-01").await.expect(200);
    assert!(none.contains("No entry matches") && none.contains("Clear filters"), "{none}");
    owner.get("/audit?since=yesterday").await.expect(422);
    server.get("/v1/audit?since=yesterday").await.expect_error(422, "invalid_field");
    server.get("/v1/audit?actor=%25").await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_log_source_gets_another_token_in_place() {
    let server = TestServer::start().await;
    let owner = Web::owner(&server).await;
    let source =
        |token| [("kind", "Jenkins"), ("base_url", "https://jenkins.example.com/"), ("token", token)];
    owner.post("/settings", "/settings/log-source", &source("first")).await.redirect();
    let first = server.get("/v1/settings").await.expect(200)["log_sources"][0]["fingerprint"].clone();
    owner.post("/settings", "/settings/log-source", &source("second")).await.redirect();
    let now = server.get("/v1/settings").await.expect(200);
    assert_eq!(now["log_sources"].as_array().unwrap().len(), 1, "{now:#}");
    assert_ne!(now["log_sources"][0]["fingerprint"], first);
    server.stop().await;
}
