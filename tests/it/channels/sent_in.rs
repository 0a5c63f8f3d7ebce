//! Logs that any CI sends in, where they belong to a repository that is watched: the forge is told, too, and once.

use forge_core::model::Target;
use forge_testkit::{
    Fake, FakeBitbucketDc, FakeGitHub, FakeGitLab, Fault, JobSpec, PullSpec, RepoHandle, RunSpec, State,
};
use serde_json::{Value, json};

use super::sink::{Chat, add};
use crate::{
    support::{TestServer, cargo_log, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const SHA: &str = "4be1f20000000000000000000000000000000001";
const MENDED: &str = "4be1f20000000000000000000000000000000002";

async fn watched(server: &TestServer, fake: &Fake) -> RepoHandle {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    repo
}

/// A log of another CI, for the commit and branch of the pull request.
fn jenkins(job: &str, log: String) -> Value {
    json!({ "provider": "jenkins", "project": "Acme/Shop", "status": "FAILURE", "log": log, "job_id": job,
        "job_name": job, "build_number": "12", "branch": "origin/feature/refund", "commit_sha": SHA })
}

/// Sends a log in; gives its analysis once all is said.
async fn send(server: &TestServer, body: Value) -> Value {
    let report = server.post("/v1/ingest/log?wait=30", body).await.expect(200);
    server.idle().await;
    let id = report["id"].as_str().unwrap();
    server.get(&format!("/v1/analyses/{id}")).await.expect(200)
}

#[track_caller]
fn said(analysis: &Value, target: &str) -> Value {
    let all = analysis["feedback"].as_array().unwrap();
    all.iter()
        .find(|entry| entry["target"] == target)
        .unwrap_or_else(|| panic!("{target} in {analysis:#}"))
        .clone()
}

#[track_caller]
fn unsaid(analysis: &Value, part: &str) {
    let why = said(analysis, "forge");
    assert_eq!(why["state"], "skipped");
    assert!(why["reason"].as_str().unwrap().contains(part), "{why}");
}

async fn pull_request_of_another_ci(fake: &Fake) {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    add(&server, chat.telegram()).await;
    let repo = watched(&server, fake).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let target = Target::Pull(pull.number.to_string());
    // The forge is down for a moment: nothing is lost.
    fake.fail_times("GET", "/api/**", Fault::Status(503), 2);
    let first = send(&server, jenkins("test", pytest_log())).await;
    let comments = live_comments(fake, &repo, &target, 1).await;
    assert_eq!(comments.len(), 1);
    assert!(comments[0].body.contains("jenkins run 12"), "{}", comments[0].body);
    assert_eq!(said(&first, &target.key())["state"], "posted", "{first:#}");
    assert_eq!((&first["pr"], &first["repository"]), (&json!(pull.number.to_string()), &json!("acme/shop")));
    assert!(first["cluster_id"].is_string(), "{first:#}");

    // The same again is nothing new; another job joins the same comment.
    send(&server, jenkins("test", pytest_log())).await;
    assert_eq!(fake.comments(&repo, &target)[0].history.len(), comments[0].history.len());
    send(&server, jenkins("build", cargo_log())).await;
    let told = fake.comments(&repo, &target);
    assert_eq!(fake.all_comments().len(), 1, "one comment: {told:#?}");
    for part in ["2 jobs failed", "mismatched types", "400 == 480"] {
        assert!(told[0].body.contains(part), "'{part}' in {}", told[0].body);
    }
    assert_eq!(chat.shown().len(), 2, "each cause once: {:?}", chat.texts());

    // An hour later the next commit passes at the forge.
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    let hour = "UPDATE analysis SET created_at = created_at - 3600000";
    rca_store::testing::execute(&database, hour).await;
    let green = RunSpec::new(vec![JobSpec::green("lint")])
        .with_branch("feature/refund")
        .with_sha(MENDED)
        .with_state(State::Success);
    fake.deliver(&fake.add_run(&repo, &green)).await;
    eventually("the comment turns green", async || {
        fake.comments(&repo, &target)[0].body.contains("All jobs pass again").then_some(())
    })
    .await;
    server.idle().await;
    assert_eq!(fake.all_comments().len(), 1);
    assert!(fake.issues().is_empty());
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

#[tokio::test]
async fn github_hears_of_another_ci_at_the_pull_request() {
    pull_request_of_another_ci(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn gitlab_hears_of_another_ci_at_the_merge_request() {
    pull_request_of_another_ci(&*FakeGitLab::start().await).await;
}

/// The log of a job that the forge tells of itself, sent in by the job before its run ends.
async fn own_job(fake: &Fake, provider: &str, is_first: bool) {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    add(&server, chat.telegram()).await;
    let repo = watched(&server, fake).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let jobs = vec![JobSpec::failed("test", pytest_log()), JobSpec::failed("build", cargo_log())];
    let state = if is_first { State::Running } else { State::Failed };
    let run = fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull).with_state(state));
    if !is_first {
        fake.deliver(&run).await;
        server.analyses("repository=acme/shop", 2).await;
        server.idle().await;
    }
    let body = json!({ "provider": provider, "project": "acme/shop", "status": "failed", "log": pytest_log(),
        "pipeline_id": run.forge_id, "job_name": "test", "branch": "feature/refund", "commit_sha": SHA });
    let report = server.post("/v1/ingest/log?wait=30", body).await.expect(200);
    if is_first {
        fake.set_run_state(&run, State::Failed);
        fake.deliver(&run).await;
        server.analyses("repository=acme/shop", 3).await;
    }
    server.idle().await;
    let comments = fake.all_comments();
    assert_eq!(comments.len(), 1, "{comments:#?}");
    assert!(comments[0].body.contains("2 jobs failed"), "{}", comments[0].body);
    assert_eq!(chat.shown().len(), 2, "each cause once: {:?}", chat.texts());
    let sent = server.get(&format!("/v1/analyses/{}", report["id"].as_str().unwrap())).await.expect(200);
    unsaid(&sent, "known to the forge");
    let clusters = server.get("/v1/clusters").await.expect(200);
    for cluster in clusters["items"].as_array().unwrap() {
        assert_eq!(cluster["count"], 1, "one failure is counted once: {cluster:#}");
    }
    server.stop().await;
}

#[tokio::test]
async fn gitlab_job_that_was_told_of_before() {
    own_job(&*FakeGitLab::start().await, "gitlab_ci", false).await;
}

#[tokio::test]
async fn gitlab_job_that_is_told_of_later() {
    own_job(&*FakeGitLab::start().await, "gitlab_ci", true).await;
}

#[tokio::test]
async fn github_job_that_was_told_of_before() {
    own_job(&*FakeGitHub::start().await, "github_actions", false).await;
}

#[tokio::test]
async fn github_job_that_is_told_of_later() {
    own_job(&*FakeGitHub::start().await, "github_actions", true).await;
}

#[tokio::test]
async fn a_commit_without_a_pull_request_is_told_at_the_commit() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let repo = watched(&server, &fake).await;
    let run = RunSpec::new(vec![JobSpec::green("lint")]).with_branch("main").with_sha(SHA);
    fake.add_run(&repo, &run.with_state(State::Success));
    let mut log = jenkins("test", pytest_log());
    log["branch"] = json!("main");
    let told = send(&server, log).await;
    assert_eq!(said(&told, &format!("commit:{SHA}"))["state"], "posted", "{told:#}");
    assert_eq!(live_comments(&fake, &repo, &Target::Commit(SHA.to_owned()), 1).await.len(), 1);
    server.stop().await;
}

/// Bitbucket Data Center names the build, and has no log of it.
#[tokio::test]
async fn bitbucket_dc_build_whose_log_is_sent_in() {
    let fake = FakeBitbucketDc::start().await;
    let server = TestServer::start().await;
    let repo = watched(&server, &fake).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    fake.deliver(
        &fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull)),
    )
    .await;
    let missing = server.analyses("repository=acme/shop", 1).await.remove(0);
    assert_eq!(missing["state"], "no_log");
    let mut log = jenkins("test", pytest_log());
    log["pipeline_url"] = missing["job_url"].clone();
    server.post("/v1/ingest/log?wait=30", log).await.expect(200);
    let told = eventually("the cause is told", async || {
        let comments = live_comments(&fake, &repo, &Target::Pull(pull.number.to_string()), 1).await;
        comments[0].body.contains("400 == 480").then(|| comments[0].body.clone())
    })
    .await;
    assert!(told.contains("1 job failed") && !told.contains("No analysis"), "{told}");
    assert_eq!(fake.all_comments().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn what_belongs_nowhere_says_why() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let alone = send(&server, jenkins("none", pytest_log())).await;
    assert_eq!(alone["feedback"], json!([]), "nobody expects a forge to be told: {alone:#}");

    let repo = watched(&server, &fake).await;
    let other = fake.add_repo("acme/other");
    let integrations = server.get("/v1/integrations").await.expect(200);
    let integration = integrations["items"][0]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/v1/integrations/{integration}/sync"), json!({})).await.expect(202);
    server.discovered(&integration, &other).await;
    let with = |fields: Value| {
        let mut log = jenkins(&fields.to_string(), pytest_log());
        for (name, value) in fields.as_object().unwrap() {
            log[name] = value.clone();
        }
        log
    };
    for (fields, reason) in [
        (json!({ "project": "acme/other" }), "not monitored"),
        (json!({ "project": "acme/unknown" }), "no integration has"),
        (json!({ "project": "$CI_PROJECT_PATH" }), "no integration has"),
        (json!({ "provider": "gitlab_ci" }), "no integration has"),
        (json!({ "commit_sha": null, "branch": null, "build_number": null }), "neither a commit"),
        (json!({ "commit_sha": null, "branch": "nobody" }), "no open pull request"),
        (json!({ "commit_sha": "4be1f2", "branch": null }), "neither a branch nor a whole commit"),
    ] {
        let told = send(&server, with(fields)).await;
        unsaid(&told, reason);
        assert!(told["cluster_id"].is_string(), "it is remembered all the same: {told:#}");
    }
    // A fork's pull request shows nothing that was sent in.
    let fork = fake.add_fork("stranger/shop", &repo);
    fake.open_pull(&repo, &PullSpec::new("Stranger", "feature/refund").from_fork(&fork).with_sha(SHA));
    unsaid(&send(&server, with(json!({ "job_id": "fork" }))).await, "fork");

    // Refused everywhere: recorded, and no issue is opened for a commit that anybody may have made up.
    fake.fail_times("POST", "/api/v3/repos/*/*/commits/*/comments", Fault::Status(422), 100);
    let lost = send(&server, with(json!({ "commit_sha": MENDED, "branch": null }))).await;
    assert_eq!(said(&lost, &format!("commit:{MENDED}"))["state"], "failed", "{lost:#}");
    assert!(said(&lost, &format!("issue:commit:{MENDED}"))["reason"].as_str().unwrap().contains("no issue"));
    fake.clear_faults();

    // Two integrations with such a repository: nobody is guessed.
    let second = FakeGitLab::start().await;
    let twin = second.add_repo("acme/shop");
    let integration = server.connect(&second).await;
    server.monitor(&integration, &twin).await;
    unsaid(&send(&server, with(json!({ "job_id": "twins" }))).await, "several");
    let clear =
        send(&server, with(json!({ "provider": "github", "commit_sha": MENDED, "branch": null }))).await;
    assert_eq!(said(&clear, &format!("commit:{MENDED}"))["state"], "posted", "{clear:#}");
    assert_eq!((fake.all_comments().len(), second.all_comments().len()), (1, 0));
    assert!(fake.issues().is_empty(), "{:?}", fake.issues());
    server.stop().await;
}
