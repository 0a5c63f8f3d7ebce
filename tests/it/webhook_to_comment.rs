//! The loop: a pipeline breaks, a delivery comes, the comment says why; and turns green.

use forge_core::{ForgeKind, model::Target};
use forge_testkit::{
    Fake, FakeComment, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RepoHandle, RunSpec, State,
};
use serde_json::json;

use crate::support::{TestServer, cargo_log, eventually, pytest_log};

const SHA: &str = "4be1f20000000000000000000000000000000001";

fn three_failed_jobs(forge: ForgeKind) -> Vec<JobSpec> {
    let mut jobs = vec![
        JobSpec::green("lint"),
        JobSpec::failed("test 3.12", pytest_log()),
        JobSpec::failed("test 3.13", pytest_log()).with_log_delay(1),
        JobSpec::failed("build", cargo_log()),
    ];
    // GitHub's API does not tell such jobs from others.
    if forge == ForgeKind::GITLAB {
        jobs.push(JobSpec::failed("flaky lint", "nothing\n").with_allow_failure());
    }
    jobs
}

pub(crate) async fn live_comments(
    fake: &Fake,
    repo: &RepoHandle,
    target: &Target,
    count: usize,
) -> Vec<FakeComment> {
    eventually(&format!("{count} comment(s) at {}", target.key()), async || {
        let comments = fake.comments(repo, target);
        (comments.len() >= count).then_some(comments)
    })
    .await
}

pub(crate) async fn pull_request_loop(fake: &Fake) {
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let run = fake.add_run(&repo, &RunSpec::new(three_failed_jobs(fake.kind())).for_pull(&pull));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let analyses = server.analyses("repository=acme/shop", 3).await;
    assert_eq!(analyses.len(), 3, "green and allowed failures have none: {analyses:#?}");
    server.idle().await;

    let target = Target::Pull(pull.number.to_string());
    let comments = live_comments(fake, &repo, &target, 1).await;
    assert_eq!(comments.len(), 1, "one living comment: {comments:#?}");
    let body = &comments[0].body;
    for part in ["test 3.12", "test 3.13", "build"] {
        assert!(body.contains(part), "'{part}' is missing in:\n{body}");
    }
    assert!(body.contains("mismatched types"), "the cause is cited:\n{body}");
    for analysis in &analyses {
        assert_eq!(analysis["state"], "done", "{analysis:#}");
        assert_eq!(analysis["source"], "webhook");
        let id = analysis["id"].as_str().unwrap();
        let full = server.get(&format!("/v1/analyses/{id}")).await.expect(200);
        assert_eq!(full["report"]["status"], "cause_found", "{full:#}");
        assert!(full["report"]["evidence"][0]["start_line"].as_u64().unwrap() >= 1);
        let posted = full["feedback"].as_array().unwrap();
        assert!(
            posted.iter().any(|entry| matches!(entry["state"].as_str(), Some("posted" | "updated"))),
            "where it was said: {posted:?}"
        );
    }

    // The same deliveries again: nothing new is said.
    let edits = comments[0].history.len();
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    server.idle().await;
    assert_eq!(server.analyses("repository=acme/shop", 3).await.len(), 3);
    let again = fake.comments(&repo, &target);
    assert_eq!((again.len(), again[0].history.len()), (1, edits), "nothing is said twice");

    // Green: the same comment turns.
    let green = fake.add_run(
        &repo,
        &RunSpec::new(vec![JobSpec::green("test 3.12")]).for_pull(&pull).with_state(State::Success),
    );
    fake.deliver(&green).await;
    let turned = eventually("the comment turns green", async || {
        let comments = fake.comments(&repo, &target);
        (comments[0].body != *body).then_some(comments)
    })
    .await;
    assert_eq!(turned.len(), 1, "still one comment");
    assert!(turned[0].body.to_lowercase().contains("fixed"), "{}", turned[0].body);
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

#[tokio::test]
async fn gitlab_merge_request() {
    pull_request_loop(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github_pull_request() {
    pull_request_loop(&*FakeGitHub::start().await).await;
}

/// GitLab: a child pipeline fails while its parent goes on, then the parent fails too; all of it is one comment.
#[tokio::test]
async fn gitlab_child_pipelines_share_their_parents_comment() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let grandchild = RunSpec::new(vec![JobSpec::failed("deploy check", pytest_log())]);
    let child = RunSpec::new(vec![JobSpec::failed("unit", cargo_log())]).with_child(grandchild);
    let spec = RunSpec::new(vec![JobSpec::green("lint")])
        .for_pull(&pull)
        .with_child(child)
        .with_state(State::Running);
    let run = fake.add_run(&repo, &spec);
    fake.deliver(&run).await;
    let analyses = server.analyses("repository=acme/shop", 2).await;
    for analysis in &analyses {
        assert_eq!(analysis["root_run_id"], run.forge_id.as_str(), "{analysis:#}");
        assert_ne!(analysis["run_id"], run.forge_id.as_str());
    }
    server.idle().await;
    let target = Target::Pull(pull.number.to_string());
    let comments = live_comments(&fake, &repo, &target, 1).await;
    let parts = ["unit", "deploy check"];
    assert!(parts.iter().all(|part| comments[0].body.contains(part)), "{}", comments[0].body);

    fake.set_run_state(&run, State::Failed);
    fake.deliver(&run).await;
    server.idle().await;
    assert_eq!(server.analyses("repository=acme/shop", 2).await.len(), 2, "nothing is analysed twice");
    let comments = fake.all_comments();
    assert_eq!(comments.len(), 1, "{comments:#?}");
    assert!(parts.iter().all(|part| comments[0].body.contains(part)), "{}", comments[0].body);
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

pub(crate) async fn commit_loop(fake: &Fake) {
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let run = fake.add_run(
        &repo,
        &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_branch("main").with_sha(SHA),
    );
    fake.deliver(&run).await;
    let comments = live_comments(fake, &repo, &Target::Commit(SHA.to_owned()), 1).await;
    assert_eq!(comments.len(), 1);
    server.idle().await;
    let analysis = server.analyses("branch=main", 1).await.remove(0);
    assert_eq!(analysis["commit_sha"], SHA);
    assert_eq!(analysis["pr"], serde_json::Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn gitlab_commit() {
    commit_loop(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github_commit() {
    commit_loop(&*FakeGitHub::start().await).await;
}

async fn refused_comment_falls_through(fake: &Fake, pattern: &str) {
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    fake.fail_times("POST", pattern, forge_testkit::Fault::Status(403), 100);
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    fake.deliver(&run).await;
    let comments = live_comments(fake, &repo, &Target::Commit(SHA.to_owned()), 1).await;
    assert_eq!(comments.len(), 1, "said at the commit instead");
    server.idle().await;
    let id = server.analyses("", 1).await[0]["id"].as_str().unwrap().to_owned();
    let feedback = server.get(&format!("/v1/analyses/{id}")).await.expect(200)["feedback"].clone();
    let refused = feedback.as_array().unwrap().iter().find(|entry| {
        matches!(entry["state"].as_str(), Some("skipped" | "failed")) && entry["reason"].is_string()
    });
    assert!(refused.is_some(), "the reason is recorded: {feedback:#}");
    server.stop().await;
}

#[tokio::test]
async fn gitlab_refuses_the_note() {
    refused_comment_falls_through(&*FakeGitLab::start().await, "/api/v4/projects/*/merge_requests/*/notes")
        .await;
}

#[tokio::test]
async fn github_refuses_the_comment() {
    refused_comment_falls_through(&*FakeGitHub::start().await, "/api/v3/repos/*/*/issues/*/comments").await;
}

#[tokio::test]
async fn a_run_without_jobs_is_told_from_its_configuration_error() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let run = fake.add_run(
        &repo,
        &RunSpec::config_error("jobs:test script can't be blank").with_branch("main").with_sha(SHA),
    );
    fake.deliver(&run).await;
    let analysis = server.analyses("", 1).await.remove(0);
    let full = server.get(&format!("/v1/analyses/{}", analysis["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(full["report"]["category"], "config_error", "{full:#}");
    assert!(full["report"]["root_cause"].as_str().unwrap().contains("script can't be blank"));
    server.stop().await;
}

#[tokio::test]
async fn manual_analysis_posts_nothing_unless_asked() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.discovered(&integration, &repo).await;
    let run = fake.add_run(
        &repo,
        &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_branch("main").with_sha(SHA),
    );
    let body =
        json!({"integration_id": integration, "repository": "acme/shop", "run_id": run.id.to_string()});
    let accepted = server.post("/v1/analyses", body).await.expect(202);
    assert_eq!(accepted["run_id"], run.id.to_string());
    let id = accepted["analyses"][0]["id"].as_str().unwrap().to_owned();
    let analysis = eventually("the analysis is done", async || {
        let analysis = server.get(&format!("/v1/analyses/{id}")).await.expect(200);
        (analysis["state"] == "done").then_some(analysis)
    })
    .await;
    assert_eq!(analysis["source"], "manual");
    server.idle().await;
    assert!(fake.all_comments().is_empty(), "{:?}", fake.all_comments());
    server.stop().await;
}
