//! The loop at the forges that lack something: Pipelines told as commit statuses, no CI at all, comments that cannot be
//! edited.

use std::collections::BTreeSet;

use forge_core::model::Target;
use forge_testkit::{
    CiServer, Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, HookSetup, JobSpec, PullHandle,
    PullSpec, RepoHandle, RunSpec, State,
};
use reqwest::Method;
use serde_json::json;
use server::config::{LogSource, LogSourceKind};
use url::Url;

use crate::{
    support::{TestServer, cargo_log, eventually, pytest_log},
    webhook_to_comment::{commit_loop, live_comments, pull_request_loop},
};

const RED: &str = "4be1f20000000000000000000000000000000001";
const MENDED: &str = "4be1f20000000000000000000000000000000002";

#[tokio::test]
async fn bitbucket_cloud_pull_request() {
    pull_request_loop(&*FakeBitbucketCloud::start().await).await;
}

#[tokio::test]
async fn bitbucket_cloud_commit() {
    commit_loop(&*FakeBitbucketCloud::start().await).await;
}

#[tokio::test]
async fn bitbucket_shows_no_html() {
    let fake = FakeBitbucketCloud::start().await;
    let server = TestServer::start().await;
    let (repo, pull) = watched_pull(&server, &fake).await;
    deliver(&fake, &repo, red(&[("test", pytest_log())]).for_pull(&pull)).await;
    let target = Target::Pull(pull.number.to_string());
    let comment = live_comments(&fake, &repo, &target, 1).await.remove(0);
    assert!(comment.body.starts_with("[forge-rca-v1-"), "{}", comment.body);
    assert!(!comment.body.contains("<sub>") && !comment.body.contains("<!--"), "{}", comment.body);
    server.idle().await;
    let reports = fake.reports();
    assert_eq!(reports.len(), 1, "the status comes with a report: {reports:#?}");
    server.stop().await;
}

fn red(jobs: &[(&str, String)]) -> RunSpec {
    RunSpec::new(jobs.iter().map(|(name, log)| JobSpec::failed(name, log.clone())).collect())
}

async fn watched_pull(server: &TestServer, fake: &Fake) -> (RepoHandle, PullHandle) {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(RED));
    (repo, pull)
}

async fn deliver(fake: &Fake, repo: &RepoHandle, spec: RunSpec) {
    let run = fake.add_run(repo, &spec);
    let outcomes = fake.deliver(&run).await;
    assert!(!outcomes.is_empty(), "somebody listens");
    for outcome in outcomes {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

fn jenkins(fake: &FakeBitbucketDc) -> LogSource {
    LogSource {
        kind: LogSourceKind::Jenkins,
        base_url: fake.ci_url(CiServer::Jenkins).parse().unwrap(),
        username: Some(FakeBitbucketDc::CI_USER.to_owned()),
        token: FakeBitbucketDc::CI_TOKEN.to_owned().into(),
    }
}

pub(crate) async fn server_with_jenkins(fake: &FakeBitbucketDc) -> TestServer {
    let source = jenkins(fake);
    TestServer::start_with(|config| config.log_sources.push(source)).await
}

#[tokio::test]
async fn bitbucket_dc_pull_request_with_logs_at_jenkins() {
    let fake = FakeBitbucketDc::start().await;
    let server = server_with_jenkins(&fake).await;
    let (repo, pull) = watched_pull(&server, &fake).await;
    let jobs = vec![
        JobSpec::green("lint"),
        JobSpec::failed("test", pytest_log()),
        JobSpec::failed("build", cargo_log()).with_log_delay(1),
    ];
    deliver(&fake, &repo, RunSpec::new(jobs).for_pull(&pull)).await;
    let analyses = server.analyses("repository=acme/shop", 2).await;
    assert_eq!(analyses.len(), 2, "{analyses:#?}");
    for analysis in &analyses {
        assert_eq!((&analysis["state"], &analysis["commit_sha"]), (&json!("done"), &json!(RED)));
        assert_eq!(analysis["report"]["status"], "cause_found", "{analysis:#}");
        assert_eq!(analysis["branch"], "feature/refund", "{analysis:#}");
    }
    let target = Target::Pull(pull.number.to_string());
    // The task of the push goes on looking, so that the server is never idle.
    let told = eventually("both failures are told", async || {
        let comments = live_comments(&fake, &repo, &target, 1).await;
        assert_eq!(comments.len(), 1, "one living comment: {comments:#?}");
        let told = comments[0].body.clone();
        ["test", "build", "mismatched types"].iter().all(|part| told.contains(part)).then_some(told)
    })
    .await;
    eventually("the status comes with a report", async || {
        fake.insights_reports().iter().any(|(sha, ..)| sha == RED).then_some(())
    })
    .await;

    // The mending commit is another run.
    let green = RunSpec::new(vec![JobSpec::green("test"), JobSpec::green("build")])
        .with_branch("feature/refund")
        .with_sha(MENDED)
        .with_state(State::Success);
    deliver(&fake, &repo, green).await;
    let turned = eventually("the comment turns green", async || {
        let comments = fake.comments(&repo, &target);
        (comments[0].body != told).then_some(comments)
    })
    .await;
    assert_eq!(turned.len(), 1, "still one comment");
    assert!(turned[0].body.to_lowercase().contains("fixed"), "{}", turned[0].body);
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_dc_waits_for_builds_that_nobody_announces() {
    let fake = FakeBitbucketDc::start().await;
    let server = server_with_jenkins(&fake).await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let running = vec![JobSpec::new("test", State::Running, pytest_log())];
    let run = fake.add_run(&repo, &RunSpec::new(running).with_branch("main").with_sha(RED));
    fake.deliver(&run).await;
    // The push is looked into, and the build is not there yet.
    eventually("the build statuses were read", async || {
        (fake.count("GET", "/rest/build-status/1.0/commits/*") > 0).then_some(())
    })
    .await;
    assert!(server.get("/v1/analyses").await.expect(200)["items"].as_array().unwrap().is_empty());
    fake.rerun(&run, &[JobSpec::failed("test", pytest_log())]);
    let analysis = server.analyses("branch=main", 1).await.remove(0);
    assert_eq!((&analysis["source"], &analysis["state"]), (&json!("webhook"), &json!("done")));
    let comments = live_comments(&fake, &repo, &Target::Commit(RED.to_owned()), 1).await;
    assert_eq!(comments.len(), 1);
    server.stop().await;
}

/// A build is run again and passes, without a push: nothing is delivered.
async fn dc_build_run_again(mode: &str) {
    let fake = FakeBitbucketDc::start().await;
    let source = jenkins(&fake);
    let server = TestServer::start_with(|config| {
        config.log_sources.push(source);
        config.poll_interval = 1;
    })
    .await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.patch(&format!("/v1/integrations/{integration}"), json!({"mode": mode})).await.expect(200);
    server.monitor(&integration, &repo).await;
    let jobs = vec![JobSpec::failed("test", pytest_log())];
    let run = fake.add_run(&repo, &RunSpec::new(jobs).with_branch("main").with_sha(RED));
    fake.deliver(&run).await;
    let target = Target::Commit(RED.to_owned());
    let told = live_comments(&fake, &repo, &target, 1).await.remove(0).body;
    fake.rerun(&run, &[JobSpec::green("test")]);
    let turned = eventually("the comment turns green", async || {
        let comments = fake.comments(&repo, &target);
        (comments[0].body != told).then_some(comments)
    })
    .await;
    assert_eq!(turned.len(), 1, "still one comment");
    assert!(turned[0].body.to_lowercase().contains("fixed"), "{}", turned[0].body);
    let deliveries = server.get("/v1/deliveries").await.expect(200);
    assert_eq!(
        deliveries["items"][0]["status"], "done",
        "what was said of the failure stays: {deliveries:#}"
    );
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_dc_build_that_is_run_again_turns_the_comment_green_by_the_pushs_task() {
    dc_build_run_again("webhook").await;
}

#[tokio::test]
async fn bitbucket_dc_build_that_is_run_again_turns_the_comment_green_by_the_poll() {
    dc_build_run_again("hybrid").await;
}

#[tokio::test]
async fn bitbucket_dc_without_a_log_source_says_what_is_missing() {
    let fake = FakeBitbucketDc::start().await;
    let server = TestServer::start().await;
    let (repo, pull) = watched_pull(&server, &fake).await;
    deliver(&fake, &repo, red(&[("test", pytest_log())]).for_pull(&pull)).await;
    let analysis = server.analyses("repository=acme/shop", 1).await.remove(0);
    assert_eq!(analysis["state"], "no_log", "{analysis:#}");
    assert!(analysis["error"].is_string(), "{analysis:#}");
    assert_eq!(
        fake.count("GET", "/jenkins/**"),
        0,
        "an address of a build status is never asked as it stands"
    );
    server.stop().await;
}

#[tokio::test]
async fn gitflic_merge_request_is_told_each_cause_once() {
    let fake = FakeGitFlic::start().await;
    let server = TestServer::start().await;
    let (repo, pull) = watched_pull(&server, &fake).await;
    let target = Target::Pull(pull.number.to_string());
    let tests = || red(&[("test 3.12", pytest_log()), ("test 3.13", pytest_log())]).for_pull(&pull);

    deliver(&fake, &repo, tests()).await;
    let analyses = server.analyses("repository=acme/shop", 2).await;
    assert!(analyses.iter().all(|analysis| analysis["report"]["status"] == "cause_found"), "{analyses:#?}");
    live_comments(&fake, &repo, &target, 1).await;
    server.idle().await;
    let first = fake.comments(&repo, &target);
    assert_eq!(first.len(), 1, "{first:#?}");
    assert!(first[0].body.contains("test 3.12") && first[0].body.contains("test 3.13"), "{}", first[0].body);

    // The same cause in the next pipeline is not said again.
    deliver(&fake, &repo, tests()).await;
    server.analyses("repository=acme/shop", 4).await;
    server.idle().await;
    assert_eq!(fake.comments(&repo, &target).len(), 1, "{:#?}", fake.comments(&repo, &target));

    // Another one is.
    deliver(&fake, &repo, red(&[("build", cargo_log())]).for_pull(&pull)).await;
    server.analyses("repository=acme/shop", 5).await;
    let changed = live_comments(&fake, &repo, &target, 2).await;
    assert!(changed[1].body.contains("mismatched types"), "{}", changed[1].body);
    server.idle().await;

    // Green is said once, however many pipelines pass.
    for _ in 0..2 {
        let green = RunSpec::new(vec![JobSpec::green("build")]).for_pull(&pull).with_state(State::Success);
        deliver(&fake, &repo, green).await;
        live_comments(&fake, &repo, &target, 3).await;
        server.idle().await;
    }
    let all = fake.comments(&repo, &target);
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(all[2].body.to_lowercase().contains("fixed"), "{}", all[2].body);
    let texts: BTreeSet<&str> = all.iter().map(|comment| comment.body.as_str()).collect();
    assert_eq!(texts.len(), 3, "never the same text twice");
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

async fn connected_by_posted_code(path: &str) {
    let fake = FakeGitFlic::start().await;
    let server = TestServer::start_with(|config| {
        if !path.starts_with("/v1/") {
            config.callback_paths.insert(forge_core::ForgeKind::GITFLIC, path.to_owned());
        }
    })
    .await;
    let redirect = format!("{}{path}", server.base);
    let app = fake.add_oauth_app(&[&redirect], &[], false).oauth_app();
    let body = json!({
        "base_url": fake.base_url().as_str(),
        "client_id": app.client_id,
        "client_secret": secrecy::ExposeSecret::expose_secret(&app.client_secret),
    });
    let started = server.post("/v1/integrations/gitflic/start", body).await.expect(201);
    assert_eq!(started["redirect_uri"], redirect);
    let authorize: Url = started["authorize_url"].as_str().unwrap().parse().unwrap();
    let back = fake.browse(&authorize).await.unwrap();
    assert_eq!(back.query(), None, "the code went from server to server");
    let page = server.send(server.http.get(back)).await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.text);
    let all = server.get("/v1/integrations").await.expect(200);
    assert_eq!((&all["items"][0]["forge"], &all["items"][0]["auth"]), (&json!("gitflic"), &json!("oauth")));

    let again = json!({ "state": started["state"], "code": "stolen" });
    server.send(server.request(Method::POST, path).json(&again)).await.expect_error(400, "invalid_state");
    server.stop().await;
}

#[tokio::test]
async fn gitflic_posts_the_code() {
    connected_by_posted_code("/v1/integrations/gitflic/callback").await;
}

#[tokio::test]
async fn gitflic_posts_the_code_to_the_alias() {
    connected_by_posted_code("/api/integrations/gitflic/oauth/callback").await;
}

#[tokio::test]
async fn only_gitflic_posts_codes() {
    let server = TestServer::start().await;
    let body = json!({ "state": "s", "code": "c" });
    for forge in ["gitlab", "github", "bitbucket-cloud", "bitbucket-dc"] {
        let path = format!("/v1/integrations/{forge}/callback");
        server
            .send(server.request(Method::POST, &path).json(&body))
            .await
            .expect_error(405, "method_not_allowed");
    }
    server.stop().await;
}

#[tokio::test]
async fn gitflic_hooks_are_found_by_their_secret() {
    let fake = FakeGitFlic::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    let id = server.monitor(&integration, &repo).await;
    let secret = server.post(&format!("/v1/repositories/{id}/webhook-secret"), json!({})).await;
    let secret = secret.json["secret"].as_str().unwrap().to_owned();
    let run = fake.add_run(&repo, &red(&[("test", pytest_log())]).with_branch("main").with_sha(RED));
    let body = fake.payload(&run).unwrap().body;
    let post = |query: &str, header: Option<&str>| {
        let request = server.request(Method::POST, &format!("/webhook/gitflic{query}")).body(body.clone());
        header.into_iter().fold(request, |request, secret| request.header("gitflic-webhook-secret", secret))
    };
    server.send(post("", None)).await.expect_error(401, "unauthorized");
    server.send(post("?secret=nonsense", None)).await.expect_error(401, "unauthorized");
    // A wrong header is not made good by the address.
    let query = format!("?secret={secret}");
    server.send(post(&query, Some("nonsense"))).await.expect_error(401, "unauthorized");
    assert_eq!(server.send(post(&query, None)).await.expect(202)["status"], "accepted");
    assert_eq!(server.send(post("", Some(&secret))).await.expect(202)["status"], "duplicate");
    server.analyses("branch=main", 1).await;

    // The rotation made another hook at the forge: that one is known, and removed.
    let gone = server.delete(&format!("/v1/integrations/{integration}")).await.expect(200);
    assert_eq!(gone["leftover_hooks"], json!([]), "{gone}");
    assert!(fake.hooks(&repo).is_empty(), "{:?}", fake.hooks(&repo));
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_dc_by_its_hook_alone() {
    let fake = FakeBitbucketDc::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("SHOP/basket");
    let body = json!({ "base_url": fake.base_url().as_str(), "project_key": "SHOP", "repository": "basket" });
    let made = server.post("/v1/integrations/bitbucket-dc/webhook", body.clone()).await.expect(201);
    assert_eq!(made["registered"], false, "{made:#}");
    assert_eq!(made["integration"]["auth"], "webhook_only");
    assert_eq!(made["integration"]["health"]["credential"], "none");
    assert!(made["instructions"].as_str().unwrap().contains("Create webhook"));
    let (url, secret) = (made["webhook_url"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(secret.len(), 64);
    assert!(fake.requests().is_empty(), "nothing is asked without a token: {:?}", fake.requests());

    // A person sets the hook up; its deliveries are proved, and say why nothing more is done.
    fake.add_hook(&repo, &HookSetup::new(url).with_secret(secret));
    let run = fake.add_run(&repo, &red(&[("test", pytest_log())]).with_branch("main").with_sha(RED));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let deliveries = server.get("/v1/deliveries").await.expect(200);
    assert_eq!(deliveries["items"][0]["status"], "ignored", "{deliveries:#}");
    assert!(deliveries["items"][0]["reason"].as_str().unwrap().contains("ingest"), "{deliveries:#}");
    let id = made["integration"]["id"].as_str().unwrap();
    let list = server.get(&format!("/v1/integrations/{id}/repositories")).await.expect(200);
    assert_eq!(list["items"][0]["full_name"], "SHOP/basket");
    assert_eq!(list["items"][0]["hook"]["state"], "active", "{list:#}");

    let other =
        json!({ "base_url": "https://gitlab.example", "project_key": "SHOP", "repository": "basket" });
    server.post("/v1/integrations/gitlab/webhook", other).await.expect_error(422, "webhook_only_unsupported");
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_dc_by_its_hook_with_a_token_registers_it() {
    let fake = FakeBitbucketDc::start().await;
    let server = server_with_jenkins(&fake).await;
    let repo = fake.add_repo("SHOP/basket");
    let token = secrecy::ExposeSecret::expose_secret(&fake.token()).to_owned();
    let body = json!({
        "base_url": fake.base_url().as_str(),
        "project_key": "SHOP",
        "repository": "SHOP/basket",
        "token": token,
    });
    let made = server.post("/v1/integrations/bitbucket-dc/webhook", body).await.expect(201);
    assert_eq!(made["registered"], true, "{made:#}");
    let hooks = fake.hooks(&repo);
    assert_eq!((hooks.len(), hooks[0].url.as_str()), (1, made["webhook_url"].as_str().unwrap()));
    assert_eq!(hooks[0].secret.as_deref(), made["secret"].as_str());
    deliver(&fake, &repo, red(&[("test", pytest_log())]).with_branch("main").with_sha(RED)).await;
    let comments = live_comments(&fake, &repo, &Target::Commit(RED.to_owned()), 1).await;
    assert_eq!(comments.len(), 1);
    server.stop().await;
}
