//! Thousands of repositories at each forge: found with the fewest requests, watched, and told apart when they change.

use forge_core::{ForgeKind, model::Target};
use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, Fault, JobSpec, PullSpec,
    RepoHandle, RunSpec, State,
};
use serde_json::{Value, json};

use crate::{
    five_forges::server_with_jenkins,
    support::{TestServer, cargo_log, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const RED: &str = "4be1f20000000000000000000000000000000001";
const MENDED: &str = "4be1f20000000000000000000000000000000002";
const MANY: usize = 1_200;

/// The requests that list `acme/shop` and 1,200 others.
fn listing(forge: ForgeKind) -> Vec<(&'static str, usize)> {
    match forge.as_str() {
        "gitlab" => vec![("/api/v4/projects", 13)],
        "github" => vec![("/api/v3/user/repos", 13)],
        "bitbucket-cloud" => {
            vec![("/2.0/user/workspaces", 1), ("/2.0/repositories/acme", 1), ("/2.0/repositories/bulk", 12)]
        }
        // Its fake gives a hundred at a time, however many are asked for; one request more asked who the token is.
        "bitbucket-dc" => vec![("/rest/api/1.0/repos", 14)],
        _ => vec![("/rest-api/project/my", 13), ("/rest-api/project/shared", 1)],
    }
}

/// Waits until an operation has ended.
async fn ended(server: &TestServer, operation: &str) -> Value {
    eventually(&format!("operation {operation} has ended"), async || {
        let answer = server.get(&format!("/v1/operations/{operation}")).await;
        // Connecting answers before its first listing has begun.
        if answer.status.as_u16() == 404 {
            return None;
        }
        let operation = answer.expect(200);
        (operation["state"] != "running").then_some(operation)
    })
    .await
}

/// Waits until nothing is left to do; where pushes are watched for hours there always is, and what follows waits itself.
async fn settled(server: &TestServer, fake: &Fake) {
    if fake.tells_runs() {
        server.idle().await;
    }
}

async fn sync(server: &TestServer, fake: &Fake, integration: &str) {
    let accepted = server.post(&format!("/v1/integrations/{integration}/sync"), json!({})).await.expect(202);
    let operation = accepted["operation_id"].as_str().unwrap();
    assert_eq!(accepted["location"], format!("/v1/operations/{operation}"));
    assert_eq!(ended(server, operation).await["state"], "done");
    settled(server, fake).await;
}

async fn repositories(server: &TestServer, integration: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/integrations/{integration}/repositories?limit=500{cursor}");
        let page = server.get(&path).await.expect(200);
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn deliver(fake: &Fake, repo: &RepoHandle, spec: RunSpec) {
    let run = fake.add_run(repo, &spec);
    let outcomes = fake.deliver(&run).await;
    assert!(!outcomes.is_empty(), "somebody listens");
    for outcome in outcomes {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

async fn the_whole_loop(server: TestServer, fake: &Fake) {
    fake.add_repos(MANY);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    let found = ended(&server, &format!("sync-{integration}")).await;
    assert_eq!((&found["state"], &found["done"]), (&json!("done"), &json!(MANY + 1)), "{found}");
    for (path, pages) in listing(fake.kind()) {
        assert_eq!(fake.count("GET", path), pages, "{path} is read with the fewest requests");
    }
    let all = repositories(&server, &integration).await;
    assert_eq!(all.len(), MANY + 1);
    let id = server.monitor(&integration, &repo).await;
    assert!(all.iter().any(|item| item["id"] == id.as_str() && item["forge_id"] == repo.forge_id.as_str()));
    let watched =
        server.get(&format!("/v1/integrations/{integration}/repositories?monitored=true")).await.expect(200);
    assert_eq!(watched["items"].as_array().unwrap().len(), 1);

    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(RED));
    let target = Target::Pull(pull.number.to_string());
    let jobs = vec![
        JobSpec::green("lint"),
        JobSpec::failed("test 3.12", pytest_log()),
        JobSpec::failed("test 3.13", pytest_log()),
        JobSpec::failed("build", cargo_log()),
    ];
    deliver(fake, &repo, RunSpec::new(jobs).for_pull(&pull)).await;
    let analyses = server.analyses("repository=acme/shop", 3).await;
    assert_eq!(analyses.len(), 3, "{analyses:#?}");
    for analysis in &analyses {
        assert_eq!((&analysis["state"], &analysis["source"]), (&json!("done"), &json!("webhook")));
        assert_eq!(analysis["report"]["status"], "cause_found", "{analysis:#}");
    }
    settled(&server, fake).await;
    eventually("the comment tells of all three jobs", async || {
        let told = live_comments(fake, &repo, &target, 1).await;
        let parts = ["test 3.12", "test 3.13", "build", "mismatched types"];
        parts.iter().all(|part| told[0].body.contains(part)).then_some(())
    })
    .await;
    assert_eq!(fake.all_comments().len(), 1, "three jobs, one comment");

    let green = RunSpec::new(vec![JobSpec::green("test 3.12"), JobSpec::green("build")]);
    let green = match fake.tells_runs() {
        true => green.for_pull(&pull),
        // Its builds belong to commits, and the mending commit is another one.
        false => green.with_branch("feature/refund").with_sha(MENDED),
    };
    deliver(fake, &repo, green.with_state(State::Success)).await;
    let is_edited = fake.kind() != ForgeKind::GITFLIC;
    let count = if is_edited { 1 } else { 2 };
    let said = eventually("it is told that all is well", async || {
        let comments = fake.comments(&repo, &target);
        comments.last().is_some_and(|last| last.body.to_lowercase().contains("fixed")).then_some(comments)
    })
    .await;
    settled(&server, fake).await;
    assert_eq!((said.len(), fake.all_comments().len()), (count, count), "{said:#?}");
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

#[tokio::test]
async fn gitlab_from_discovery_to_green() {
    the_whole_loop(TestServer::start().await, &*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github_from_discovery_to_green() {
    the_whole_loop(TestServer::start().await, &*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn bitbucket_cloud_from_discovery_to_green() {
    the_whole_loop(TestServer::start().await, &*FakeBitbucketCloud::start().await).await;
}

#[tokio::test]
async fn bitbucket_dc_from_discovery_to_green() {
    let fake = FakeBitbucketDc::start().await;
    the_whole_loop(server_with_jenkins(&fake).await, &fake).await;
}

#[tokio::test]
async fn gitflic_from_discovery_to_green() {
    the_whole_loop(TestServer::start().await, &*FakeGitFlic::start().await).await;
}

async fn a_move_keeps_what_is_known(server: TestServer, fake: &Fake) {
    let repo = fake.add_repo("acme/shop");
    let old = fake.add_repo("acme/old");
    let bare = fake.add_repo("acme/bare");
    let integration = server.connect(fake).await;
    let id = server.monitor(&integration, &repo).await;
    let red =
        |job: &str| RunSpec::new(vec![JobSpec::failed(job, pytest_log())]).with_branch("main").with_sha(RED);
    deliver(fake, &repo, red("before")).await;
    server.analyses("repository=acme/shop", 1).await;
    settled(&server, fake).await;
    let hooks = fake.hooks(&repo);
    assert_eq!(hooks.len(), 1);

    let moved = fake.rename(&repo, "platform/store");
    if fake.archives() {
        fake.archive(&old);
    }
    fake.set_ci(&bare, false);
    sync(&server, fake, &integration).await;
    let all = repositories(&server, &integration).await;
    assert_eq!(all.len(), 3, "{all:#?}");
    let named = |name: &str| all.iter().find(|item| item["full_name"] == name).unwrap();
    let store = named("platform/store");
    assert_eq!((&store["id"], &store["monitored"]), (&json!(id), &json!(true)), "the same row: {store}");
    assert_eq!(named("acme/old")["archived"], fake.archives());
    assert_eq!(store["archived"], false);
    // Only GitLab's listing tells whether CI is on.
    let tells_ci = fake.kind() == ForgeKind::GITLAB;
    let expected = if tells_ci { (json!(false), json!(true)) } else { (Value::Null, Value::Null) };
    assert_eq!((&named("acme/bare")["has_ci"], &store["has_ci"]), (&expected.0, &expected.1));

    assert_eq!(fake.hooks(&moved), hooks, "the hook moved along and is left alone");
    deliver(fake, &moved, red("after")).await;
    let analyses = server.analyses(&format!("repository={id}"), 2).await;
    assert_eq!(analyses.len(), 2, "what was known before is still its own: {analyses:#?}");
    settled(&server, fake).await;
    let gone = server.delete(&format!("/v1/integrations/{integration}")).await.expect(200);
    assert_eq!(gone["leftover_hooks"], json!([]), "{gone}");
    server.stop().await;
}

#[tokio::test]
async fn gitlab_moved() {
    a_move_keeps_what_is_known(TestServer::start().await, &*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github_moved() {
    a_move_keeps_what_is_known(TestServer::start().await, &*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn bitbucket_cloud_moved() {
    a_move_keeps_what_is_known(TestServer::start().await, &*FakeBitbucketCloud::start().await).await;
}

#[tokio::test]
async fn bitbucket_dc_moved() {
    let fake = FakeBitbucketDc::start().await;
    a_move_keeps_what_is_known(server_with_jenkins(&fake).await, &fake).await;
}

#[tokio::test]
async fn gitflic_moved() {
    a_move_keeps_what_is_known(TestServer::start().await, &*FakeGitFlic::start().await).await;
}

#[tokio::test]
async fn hundreds_are_monitored_in_the_background_each_for_itself() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    fake.add_repos(300);
    let integration = server.connect(&fake).await;
    ended(&server, &format!("sync-{integration}")).await;
    fake.fail_times("POST", "/api/v4/projects/*/hooks", Fault::Status(403), 3);
    let path = format!("/v1/integrations/{integration}/repositories/monitor");
    let accepted = server.post(&path, json!({"all": true})).await.expect(202);
    let operation = accepted["operation_id"].as_str().unwrap();
    assert_eq!(accepted["location"], format!("/v1/operations/{operation}"));
    let over = ended(&server, operation).await;
    assert_eq!((&over["kind"], &over["state"]), (&json!("monitor"), &json!("done")));
    assert_eq!((&over["done"], &over["total"]), (&json!(300), &json!(300)));
    let items = over["items"].as_array().unwrap();
    let refused: Vec<&Value> = items.iter().filter(|item| item["hook_registered"] == false).collect();
    assert_eq!((items.len(), refused.len()), (300, 3), "partial success is normal");
    assert!(refused.iter().all(|item| item["monitored"] == true && item["error"].is_string()), "{refused:?}");
    assert_eq!(fake.count("POST", "/api/v4/projects/*/hooks"), 300);
    server.stop().await;
}
