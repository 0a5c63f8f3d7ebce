//! Logs of other CI systems that say success: what their failures made red turns green. And a failure that comes from
//! two sides is said once.

use forge_core::model::Target;
use forge_testkit::{
    CiServer, Fake, FakeBitbucketDc, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RepoHandle, RunSpec,
};
use serde_json::{Value, json};
use server::config::{LogSource, LogSourceKind};

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

/// What a Jenkins job sends at its end.
fn ended(job: &str, build: u32, status: &str, sha: &str, log: String) -> Value {
    json!({ "provider": "jenkins", "project": "Acme/Shop", "status": status, "log": log, "job_id": job,
        "job_name": job, "build_number": build.to_string(), "branch": "origin/feature/refund",
        "commit_sha": sha })
}

async fn failed(server: &TestServer, body: Value) -> Value {
    let report = server.post("/v1/ingest/log?wait=30", body).await.expect(200);
    server.idle().await;
    report
}

/// Sends what is no failure; the answer is always the same.
async fn ignored(server: &TestServer, body: Value) {
    let status = body["status"].as_str().unwrap().to_owned();
    let answer = server.post("/v1/ingest/log", body).await.expect(200);
    let reason = format!("the status '{status}' is not a failure");
    assert_eq!(answer["status"], "ignored");
    assert_eq!((&answer["analysis_id"], &answer["reason"]), (&Value::Null, &json!(reason)), "{answer}");
    server.idle().await;
}

async fn clusters(server: &TestServer) -> Vec<(Value, Value)> {
    let all = server.get("/v1/clusters").await.expect(200);
    let state = |cluster: &Value| (cluster["state"].clone(), cluster["last_fix"].clone());
    all["items"].as_array().unwrap().iter().map(state).collect()
}

async fn turns_green(fake: &Fake) {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    add(&server, chat.telegram()).await;
    let repo = watched(&server, fake).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let target = Target::Pull(pull.number.to_string());
    failed(&server, ended("test", 12, "FAILURE", SHA, pytest_log())).await;
    failed(&server, ended("build", 12, "FAILURE", SHA, cargo_log())).await;
    let red = live_comments(fake, &repo, &target, 1).await.remove(0).body;
    assert!(red.contains("2 jobs failed"), "{red}");
    chat.shows(2).await;

    // Nothing of these heals anything.
    let fine = || "all is well\n".to_owned();
    let mut elsewhere = ended("test", 13, "SUCCESS", MENDED, fine());
    elsewhere["branch"] = json!("main");
    let mut another = ended("lint", 13, "SUCCESS", MENDED, fine());
    another["job_id"] = Value::Null;
    let mut stranger = ended("test", 13, "SUCCESS", MENDED, fine());
    stranger["provider"] = json!("drone");
    for body in [
        elsewhere,
        another,
        stranger,
        ended("test", 13, "ABORTED", MENDED, fine()),
        ended("test", 11, "SUCCESS", MENDED, fine()),
    ] {
        ignored(&server, body).await;
    }
    assert_eq!(fake.comments(&repo, &target)[0].body, red);

    // One of two jobs, then the other.
    ignored(&server, ended("test", 13, "SUCCESS", MENDED, fine())).await;
    let one = eventually("one job is left", async || {
        let body = fake.comments(&repo, &target)[0].body.clone();
        body.contains("1 job failed").then_some(body)
    })
    .await;
    assert!(one.contains("mismatched types") && !one.contains("400 == 480"), "{one}");
    ignored(&server, ended("build", 13, "SUCCESS", MENDED, fine())).await;
    let green = eventually("the comment turns green", async || {
        let body = fake.comments(&repo, &target)[0].body.clone();
        body.contains("All jobs pass again").then_some(body)
    })
    .await;
    assert!(green.contains("13") && green.to_lowercase().contains("fixed"), "{green}");
    server.idle().await;
    assert_eq!(fake.all_comments().len(), 1);
    let mended = (json!("resolved"), json!(MENDED));
    assert_eq!(clusters(&server).await, [mended.clone(), mended], "learned by both");
    let shown = chat.shows(5).await;
    assert_eq!(shown.len(), 5, "one message, two edits: {shown:#?}");
    let news: Vec<_> = shown[2..].iter().filter(|(verb, _)| verb == "sendMessage").collect();
    assert_eq!(news.len(), 1, "{shown:#?}");
    assert!(news[0].1["text"].as_str().unwrap().contains("fixed by 4be1f2"), "{news:?}");

    // The same again says nothing; a new failure does, in the same comment.
    ignored(&server, ended("build", 13, "SUCCESS", MENDED, fine())).await;
    assert_eq!((chat.shown().len(), &fake.comments(&repo, &target)[0].body), (5, &green));
    failed(&server, ended("build", 14, "FAILURE", SHA, cargo_log())).await;
    eventually("it is red again", async || {
        fake.comments(&repo, &target)[0].body.contains("1 job failed").then_some(())
    })
    .await;
    assert_eq!(fake.all_comments().len(), 1);
    assert!(clusters(&server).await.iter().any(|(state, _)| state == "active"));
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

#[tokio::test]
async fn github_pull_request_turns_green() {
    turns_green(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn gitlab_merge_request_turns_green() {
    turns_green(&*FakeGitLab::start().await).await;
}

/// The same commit, at the commit itself: run again it passes, so nobody fixed anything.
#[tokio::test]
async fn the_same_commit_passes() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = watched(&server, &fake).await;
    let report = failed(&server, ended("test", 12, "FAILURE", SHA, pytest_log())).await;
    let target = Target::Commit(SHA.to_owned());
    live_comments(&fake, &repo, &target, 1).await;
    ignored(&server, ended("test", 13, "SUCCESS", SHA, "fine\n".to_owned())).await;
    eventually("the comment turns green", async || {
        fake.comments(&repo, &target)[0].body.contains("All jobs pass again").then_some(())
    })
    .await;
    server.idle().await;
    let analysis = server.get(&format!("/v1/analyses/{}", report["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(analysis["introduced_by"]["verdict"], "flaky", "{analysis:#}");
    assert!(analysis["introduced_by"]["reason"].as_str().unwrap().contains("run 13"), "{analysis:#}");
    assert_eq!(clusters(&server).await, [(json!("active"), Value::Null)]);
    let statuses = fake.statuses();
    let last = format!("{:?}", statuses.last().unwrap()).to_lowercase();
    assert!(statuses.len() == 2 && last.contains("success"), "{statuses:?}");
    server.stop().await;
}

/// No forge is connected: the cluster and the channels learn it all the same.
#[tokio::test]
async fn without_a_forge() {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    add(&server, chat.telegram()).await;
    failed(&server, ended("test", 12, "FAILURE", SHA, pytest_log())).await;
    chat.shows(1).await;
    ignored(&server, ended("test", 13, "SUCCESS", MENDED, "fine\n".to_owned())).await;
    let shown = chat.shows(3).await;
    assert_eq!(shown.len(), 3, "one message, one edit: {shown:#?}");
    assert!(chat.texts().iter().any(|text| text.contains("fixed by 4be1f2")), "{:?}", chat.texts());
    assert_eq!(clusters(&server).await, [(json!("resolved"), json!(MENDED))]);
    server.stop().await;
}

/// Jenkins sends the log of a build before Bitbucket tells that the build failed.
async fn log_before_delivery(has_source: bool) {
    let (fake, chat) = (FakeBitbucketDc::start().await, Chat::start().await);
    let source = LogSource {
        kind: LogSourceKind::Jenkins,
        base_url: fake.ci_url(CiServer::Jenkins).parse().unwrap(),
        username: Some(FakeBitbucketDc::CI_USER.to_owned()),
        token: FakeBitbucketDc::CI_TOKEN.to_owned().into(),
    };
    let sources = if has_source { vec![source] } else { Vec::new() };
    let server = TestServer::start_with(|config| config.log_sources = sources).await;
    add(&server, chat.telegram()).await;
    let repo = watched(&server, &fake).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    let mut body = ended("test", 12, "FAILURE", SHA, pytest_log());
    body["project"] = json!(repo.full_name);
    // As the job knows it; Bitbucket is given a page of it.
    let build = format!("{}/job/ci/job/feature%252Fx/{}/", fake.ci_url(CiServer::Jenkins), run.jobs[0]);
    body["pipeline_url"] = json!(build);
    failed(&server, body).await;
    chat.shows(1).await;
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let all = server.analyses(&format!("repository={}", repo.full_name), 2).await;
    let job = all.iter().find(|analysis| analysis["source"] == "webhook").unwrap();
    assert!(job["job_url"].as_str().unwrap().starts_with(&build), "{job:#}");
    assert_eq!(job["state"], if has_source { "done" } else { "no_log" });
    eventually("the announcement is over", async || {
        let url = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
        let open = "SELECT id FROM task WHERE kind IN ('announce', 'feedback', 'notify') AND state IN ('ready', 'running')";
        rca_store::testing::texts(&url, open).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(chat.shown().len(), 1, "said once: {:?}", chat.texts());
    assert_eq!(fake.all_comments().len(), 1, "{:#?}", fake.all_comments());
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_dc_tells_of_a_build_whose_log_was_sent_in() {
    log_before_delivery(true).await;
}

#[tokio::test]
async fn bitbucket_dc_tells_of_a_build_that_it_has_no_log_of() {
    log_before_delivery(false).await;
}
