//! What a forge refuses while we post: limits of every form, failures for a while, comments that people take away.

use forge_core::model::Target;
use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeGitHub, FakeGitLab, Fault, JobSpec, PullHandle, PullSpec, RepoHandle,
    RunSpec, State,
};
use serde_json::Value;
use server::Role;
use std::{sync::Arc, time::Duration};

use crate::{
    support::{TestServer, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const SHAS: [&str; 2] =
    ["4be1f20000000000000000000000000000000001", "4be1f20000000000000000000000000000000002"];
const GITHUB_COMMENT: &str = "/api/v3/repos/*/*/issues/*/comments";
const GITHUB_STATUS: &str = "/api/v3/repos/*/*/statuses/*";
const GITLAB_NOTE: &str = "/api/v4/projects/*/merge_requests/*/notes";
const CLOUD_COMMENT: &str = "/2.0/repositories/*/*/pullrequests/*/comments";
const HOUR: u64 = 3600;
const SECONDARY: &str =
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

fn database(server: &TestServer) -> String {
    format!("sqlite://{}", server.folder.path().join("forge-rca.db").display())
}

/// For how many seconds tasks of a kind were put off when they last ended.
async fn put_off(server: &TestServer, kind: &str) -> Vec<u64> {
    let query = format!(
        "SELECT CAST((run_at - updated_at) / 1000 AS TEXT) FROM task WHERE kind = '{kind}' AND state = 'ready'"
    );
    let texts = rca_store::testing::texts(&database(server), &query).await;
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

async fn put_off_one(server: &TestServer, kind: &str) -> u64 {
    eventually(&format!("a task {kind} waits"), async || {
        let waits = put_off(server, kind).await;
        waits.into_iter().find(|seconds| *seconds > 30)
    })
    .await
}

/// The records of the only analysis of a repository.
async fn records(server: &TestServer, repository: &str) -> Vec<Value> {
    let analysis = server.analyses(&format!("repository={repository}"), 1).await.remove(0);
    let id = analysis["id"].as_str().unwrap();
    server.get(&format!("/v1/analyses/{id}")).await.expect(200)["feedback"].as_array().unwrap().clone()
}

async fn record(server: &TestServer, repository: &str, target: &str) -> (String, String) {
    eventually(&format!("something is recorded at {target}"), async || {
        let all = records(server, repository).await;
        let record = all.iter().find(|record| record["target"] == target)?;
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        Some((text("state"), text("reason")))
    })
    .await
}

fn pull_of(fake: &Fake, repo: &RepoHandle, sha: &str) -> (PullHandle, Target) {
    let pull = fake.open_pull(repo, &PullSpec::new("Refunds", "feature/refund").with_sha(sha));
    let target = Target::Pull(pull.number.to_string());
    (pull, target)
}

async fn fail(fake: &Fake, repo: &RepoHandle, pull: &PullHandle) {
    let run = fake.add_run(repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(pull));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

/// The same server again: what it kept in its memory alone is forgotten.
async fn restarted(server: TestServer) -> TestServer {
    let folder = Arc::clone(&server.folder);
    let address = server.base.trim_start_matches("http://").parse().unwrap();
    server.stop().await;
    TestServer::start_in(folder, Role::All, |config| config.listen = address).await
}

async fn make_due(server: &TestServer) {
    let all = "UPDATE task SET run_at = 0 WHERE state = 'ready'";
    rca_store::testing::execute(&database(server), all).await;
}

/// The time that the forge asked for is over.
async fn time_passes(server: &TestServer) {
    rca_store::testing::execute(&database(server), "UPDATE mark SET value = '0' WHERE name LIKE 'limited:%'")
        .await;
    make_due(server).await;
}

/// The forge refuses the comment for a time: it is not said elsewhere, other repositories are silent too, and afterwards
/// it is said once.
async fn comment_is_limited(fake: &Fake, pattern: &str, fault: Fault, at_least: u64) {
    let mut server = TestServer::start().await;
    let repos = [fake.add_repo("acme/shop"), fake.add_repo("acme/till")];
    let integration = server.connect(fake).await;
    for repo in &repos {
        server.monitor(&integration, repo).await;
    }
    server.idle().await;
    let (pull, target) = pull_of(fake, &repos[0], SHAS[0]);
    let (other, other_target) = pull_of(fake, &repos[1], SHAS[1]);
    fake.fail_next("POST", pattern, fault);
    fail(fake, &repos[0], &pull).await;
    let seconds = put_off_one(&server, "feedback").await;
    assert!((at_least..at_least + 120).contains(&seconds), "{seconds} s");
    let (state, reason) = record(&server, "acme/shop", &target.key()).await;
    assert_eq!(state, "skipped");
    assert!(reason.contains("it is tried again at "), "{reason}");
    assert!(fake.all_comments().is_empty(), "nothing is said elsewhere: {:?}", fake.all_comments());

    if at_least > 60 {
        // Another repository of the integration: not a single request.
        let before = fake.requests().len();
        fail(fake, &repos[1], &other).await;
        put_off_one(&server, "process_delivery").await;
        assert_eq!(fake.requests().len(), before, "{:?}", fake.requests().last());
    }
    // Another process knows it too, and posts nothing before the time.
    server = restarted(server).await;
    make_due(&server).await;
    let posts = fake.count("POST", "**");
    if at_least > 60 {
        server.analyses("repository=acme/till", 1).await;
    }
    let waiting = if at_least > 60 { 2 } else { 1 };
    eventually("what was said too early waits again", async || {
        let waits = put_off(&server, "feedback").await;
        (waits.iter().filter(|seconds| **seconds > 30).count() == waiting).then_some(())
    })
    .await;
    assert_eq!(fake.count("POST", "**"), posts);
    time_passes(&server).await;
    live_comments(fake, &repos[0], &target, 1).await;
    if at_least > 60 {
        live_comments(fake, &repos[1], &other_target, 1).await;
    }
    server.idle().await;
    assert_eq!(fake.all_comments().len(), waiting, "{:#?}", fake.all_comments());
    assert_eq!(record(&server, "acme/shop", &target.key()).await.0, "posted");
    server.stop().await;
}

#[tokio::test]
async fn github_names_seconds() {
    let fault = Fault::RateLimited { retry_after: Some(HOUR) };
    comment_is_limited(&*FakeGitHub::start().await, GITHUB_COMMENT, fault, HOUR).await;
}

#[tokio::test]
async fn github_names_a_date() {
    let fault = Fault::RetryAt(Duration::from_secs(HOUR + 5));
    comment_is_limited(&*FakeGitHub::start().await, GITHUB_COMMENT, fault, HOUR).await;
}

#[tokio::test]
async fn github_names_nothing() {
    let fault = Fault::RateLimited { retry_after: None };
    comment_is_limited(&*FakeGitHub::start().await, GITHUB_COMMENT, fault, 60).await;
}

/// GitHub's secondary limit is a 403, which is no missing permission.
#[tokio::test]
async fn github_secondary_limit() {
    let fault = Fault::RetryAfter { status: 403, seconds: HOUR };
    comment_is_limited(&*FakeGitHub::start().await, GITHUB_COMMENT, fault, HOUR).await;
    let fault = Fault::Refused { status: 403, message: SECONDARY.to_owned() };
    comment_is_limited(&*FakeGitHub::start().await, GITHUB_COMMENT, fault, 60).await;
}

#[tokio::test]
async fn gitlab_names_seconds_a_date_and_nothing() {
    let fault = Fault::RateLimited { retry_after: Some(HOUR) };
    comment_is_limited(&*FakeGitLab::start().await, GITLAB_NOTE, fault, HOUR).await;
    let fault = Fault::RetryAt(Duration::from_secs(HOUR + 5));
    comment_is_limited(&*FakeGitLab::start().await, GITLAB_NOTE, fault, HOUR).await;
    let fault = Fault::RateLimited { retry_after: None };
    comment_is_limited(&*FakeGitLab::start().await, GITLAB_NOTE, fault, 60).await;
}

#[tokio::test]
async fn bitbucket_cloud_names_seconds() {
    let fault = Fault::RateLimited { retry_after: Some(HOUR) };
    comment_is_limited(&*FakeBitbucketCloud::start().await, CLOUD_COMMENT, fault, HOUR).await;
}

/// The status comes later; the comment stays as it was posted.
async fn status_is_limited(fault: Fault, at_least: u64) {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let (pull, target) = pull_of(&fake, &repo, SHAS[0]);
    fake.fail_next("POST", GITHUB_STATUS, fault);
    fail(&fake, &repo, &pull).await;
    let seconds = put_off_one(&server, "feedback").await;
    assert!((at_least..at_least + 120).contains(&seconds), "{seconds} s");
    assert_eq!(live_comments(&fake, &repo, &target, 1).await.len(), 1);
    assert_eq!(record(&server, "acme/shop", &target.key()).await.0, "posted");
    let (state, reason) = record(&server, "acme/shop", "status").await;
    assert_eq!(state, "skipped");
    assert!(reason.contains("it is tried again at "), "{reason}");
    assert!(fake.statuses().is_empty());
    let server = restarted(server).await;
    time_passes(&server).await;
    eventually("the status is set", async || (fake.statuses().len() == 1).then_some(())).await;
    server.idle().await;
    assert_eq!((fake.statuses().len(), fake.all_comments().len()), (1, 1));
    assert_eq!(fake.all_comments()[0].history.len(), 0, "not posted or edited again");
    assert_eq!(record(&server, "acme/shop", "status").await.0, "posted");
    server.stop().await;
}

#[tokio::test]
async fn the_status_is_limited() {
    status_is_limited(Fault::RateLimited { retry_after: Some(HOUR) }, HOUR).await;
    status_is_limited(Fault::RetryAt(Duration::from_secs(HOUR + 5)), HOUR).await;
    status_is_limited(Fault::RateLimited { retry_after: None }, 60).await;
    status_is_limited(Fault::Refused { status: 403, message: SECONDARY.to_owned() }, 60).await;
}

#[tokio::test]
async fn a_status_that_is_refused_is_recorded_with_its_reason() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let (pull, target) = pull_of(&fake, &repo, SHAS[0]);
    let message = "This SHA and context has reached the maximum number of statuses.".to_owned();
    fake.fail_times("POST", GITHUB_STATUS, Fault::Refused { status: 422, message }, 100);
    fail(&fake, &repo, &pull).await;
    let (state, reason) = record(&server, "acme/shop", "status").await;
    assert_eq!(state, "failed");
    assert!(reason.contains("422") && reason.contains("maximum number of statuses"), "{reason}");
    server.idle().await;
    assert_eq!(fake.comments(&repo, &target).len(), 1);
    assert_eq!(fake.count("POST", GITHUB_STATUS), 1, "a refusal is not repeated");
    server.stop().await;
}

/// A conversation that is locked: said at the commit, and why.
#[tokio::test]
async fn a_locked_pull_request() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let (pull, target) = pull_of(&fake, &repo, SHAS[0]);
    let message = "Unable to create comment because issue is locked.".to_owned();
    fake.fail_times("POST", GITHUB_COMMENT, Fault::Refused { status: 403, message }, 100);
    fail(&fake, &repo, &pull).await;
    live_comments(&fake, &repo, &Target::Commit(SHAS[0].to_owned()), 1).await;
    let (state, reason) = record(&server, "acme/shop", &target.key()).await;
    assert_eq!(state, "failed");
    assert!(reason.contains("locked"), "{reason}");
    assert_eq!(record(&server, "acme/shop", &format!("commit:{}", SHAS[0])).await.0, "posted");
    server.idle().await;
    assert_eq!(fake.count("POST", GITHUB_COMMENT), 1);
    server.stop().await;
}

/// Closed or merged while its pipeline ran: it is said once, and recorded where.
async fn pull_request_is_closed(fake: &Fake) {
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let (pull, _) = pull_of(fake, &repo, SHAS[0]);
    fake.close_pull(&pull);
    fail(fake, &repo, &pull).await;
    eventually("it is said", async || (!fake.all_comments().is_empty()).then_some(())).await;
    server.idle().await;
    assert_eq!(fake.all_comments().len(), 1);
    let key = fake.all_comments()[0].target.key();
    assert_eq!(record(&server, "acme/shop", &key).await.0, "posted");
    server.stop().await;
}

#[tokio::test]
async fn closed_at_github() {
    pull_request_is_closed(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn closed_at_gitlab() {
    pull_request_is_closed(&*FakeGitLab::start().await).await;
}

/// 5xx for a while, connections that break, and one that breaks after the comment was taken: one comment.
async fn forge_fails_for_a_while(fake: &Fake, pattern: &str) {
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let (pull, target) = pull_of(fake, &repo, SHAS[0]);
    let faults = [Fault::Status(502), Fault::Html(503), Fault::Close, Fault::Status(500), Fault::CloseAfter];
    for fault in faults {
        fake.fail_next("POST", pattern, fault);
    }
    fail(fake, &repo, &pull).await;
    eventually("it is recorded as posted", async || {
        let record = record(&server, "acme/shop", &target.key()).await;
        matches!(record.0.as_str(), "posted" | "updated").then_some(())
    })
    .await;
    server.idle().await;
    assert_eq!(fake.comments(&repo, &target).len(), 1, "{:#?}", fake.comments(&repo, &target));
    assert_eq!(fake.all_comments().len(), 1, "{:#?}", fake.all_comments());
    server.stop().await;
}

#[tokio::test]
async fn github_fails_for_a_while() {
    forge_fails_for_a_while(&*FakeGitHub::start().await, GITHUB_COMMENT).await;
}

#[tokio::test]
async fn gitlab_fails_for_a_while() {
    forge_fails_for_a_while(&*FakeGitLab::start().await, GITLAB_NOTE).await;
}

#[tokio::test]
async fn bitbucket_cloud_fails_for_a_while() {
    forge_fails_for_a_while(&*FakeBitbucketCloud::start().await, CLOUD_COMMENT).await;
}

/// A person deletes the comment: the next failure posts one new one, which turns green like any other.
async fn comment_is_deleted(fake: &Fake) {
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let (pull, target) = pull_of(fake, &repo, SHAS[0]);
    fail(fake, &repo, &pull).await;
    let first = live_comments(fake, &repo, &target, 1).await.remove(0);
    server.idle().await;
    fake.delete_comment(first.id);
    fail(fake, &repo, &pull).await;
    let second = live_comments(fake, &repo, &target, 1).await.remove(0);
    assert_ne!(second.id, first.id);
    server.idle().await;
    assert_eq!(fake.all_comments().len(), 2, "one was deleted, one is new");
    let green = fake.add_run(
        &repo,
        &RunSpec::new(vec![JobSpec::green("test")]).for_pull(&pull).with_state(State::Success),
    );
    fake.deliver(&green).await;
    eventually("the new one turns green", async || {
        let comments = fake.comments(&repo, &target);
        (comments.len() == 1 && comments[0].body.to_lowercase().contains("fixed")).then_some(())
    })
    .await;
    server.idle().await;
    assert_eq!(fake.all_comments().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn deleted_at_github() {
    comment_is_deleted(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn deleted_at_gitlab() {
    comment_is_deleted(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn deleted_at_bitbucket_cloud() {
    comment_is_deleted(&*FakeBitbucketCloud::start().await).await;
}
