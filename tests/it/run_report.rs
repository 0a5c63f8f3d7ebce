//! One view of a run over all its jobs, and analysing a job again.

use forge_core::{ForgeKind, model::Target};
use forge_testkit::{Fake, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RunHandle, RunSpec};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    support::{OWNER, TestServer, cargo_log, pytest_log},
    webhook_to_comment::live_comments,
};

const SHA: &str = "4be1f20000000000000000000000000000000001";

/// Three jobs, two of them with one cause; analysed and told.
async fn red(server: &TestServer, fake: &Fake) -> (String, RunHandle, Target) {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let jobs = vec![
        JobSpec::failed("test 3.12", pytest_log()),
        JobSpec::failed("build", cargo_log()),
        JobSpec::failed("test 3.13", pytest_log()),
    ];
    let run = fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    server.analyses("repository=acme/shop", 3).await;
    let target = Target::Pull(pull.number.to_string());
    live_comments(fake, &repo, &target, 1).await;
    server.idle().await;
    (integration, run, target)
}

async fn reader(server: &TestServer, scope: &str) -> String {
    let body = json!({ "name": "helper", "scopes": [scope] });
    server.post("/v1/tokens", body).await.expect(201)["token"].as_str().unwrap().to_owned()
}

async fn one_view_of_a_run(fake: &Fake) {
    let server = TestServer::start().await;
    let (integration, run, _) = red(&server, fake).await;
    let path = format!("/v1/integrations/{integration}/runs/{}", run.forge_id);
    let url = format!("{path}?repository=acme/shop");
    let report = server.get(&url).await.expect(200);
    assert_eq!((&report["failed_jobs"], &report["pending"]), (&json!(3), &json!(0)), "{report:#}");
    assert_eq!((&report["commit_sha"], &report["attempt"]), (&json!(SHA), &json!(1)));
    let causes = report["causes"].as_array().unwrap();
    let counts: Vec<_> = causes.iter().map(|cause| cause["count"].as_u64().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), 3, "{report:#}");
    assert_eq!(causes.len(), 2, "jobs of one cause are together: {report:#}");
    let tests = causes.iter().find(|cause| cause["count"] == 2).unwrap();
    let mut names: Vec<_> =
        tests["jobs"].as_array().unwrap().iter().map(|job| job["job_name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["test 3.12", "test 3.13"]);
    assert!(tests["introduced_by"]["verdict"].is_string(), "{tests:#}");
    for cause in causes {
        assert!(!cause["root_cause"].as_str().unwrap().is_empty());
        assert!(cause["cluster_id"].is_string());
    }
    let request = server.request(Method::GET, &url).bearer_auth(OWNER).header("accept", "text/markdown");
    let text = server.send(request).await;
    assert_eq!(text.status.as_u16(), 200);
    assert!(text.text.contains("3 jobs failed, 2 causes"), "{}", text.text);
    assert!(text.text.contains("\u{d7}2") && text.text.contains("build"), "{}", text.text);

    let again = fake.rerun(&run, &[JobSpec::failed("test 3.12", pytest_log())]);
    for outcome in fake.deliver(&again).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    server.analyses("repository=acme/shop", 4).await;
    let report = server.get(&url).await.expect(200);
    assert_eq!(report["attempt"], 2, "{report:#}");
    assert_eq!(report["failed_jobs"], 3, "a job counts with its last attempt: {report:#}");
    let earlier = report["earlier_attempts"].as_array().unwrap();
    assert_eq!((earlier.len(), &earlier[0]["job_name"]), (1, &json!("test 3.12")), "{report:#}");

    server.get(&path).await.expect_error(422, "invalid_parameter");
    server.get(&format!("{url}&colour=red")).await.expect_error(422, "invalid_parameter");
    server.get(&format!("{path}?repository=acme/none")).await.expect_error(404, "not_found");
    let none = format!("/v1/integrations/{integration}/runs/999999?repository=acme/shop");
    server.get(&none).await.expect_error(404, "not_found");
    server.get("/v1/integrations/none/runs/1?repository=acme/shop").await.expect_error(404, "not_found");
    let token = reader(&server, "ingest").await;
    let request = server.request(Method::GET, &url).bearer_auth(token);
    server.send(request).await.expect_error(403, "scope_missing");
    server.stop().await;
}

#[tokio::test]
async fn gitlab_run() {
    one_view_of_a_run(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github_run() {
    one_view_of_a_run(&*FakeGitHub::start().await).await;
}

async fn again_and_what_is_different(fake: &Fake) {
    let server = TestServer::start().await;
    let (_, run, target) = red(&server, fake).await;
    let all = server.get("/v1/analyses").await.expect(200);
    let items = all["items"].as_array().unwrap();
    let first = items.iter().find(|item| item["job_name"] == "test 3.12").unwrap();
    let path = format!("/v1/analyses/{}", first["id"].as_str().unwrap());
    let rerun = format!("{path}/rerun");
    let comments = fake.all_comments();

    let same = server.post(&rerun, json!({})).await.expect(200);
    assert_eq!((&same["is_same"], &same["changes"]), (&json!(true), &json!([])), "{same:#}");
    assert_eq!(same["analysis"]["cluster_id"], first["cluster_id"]);
    let cluster = format!("/v1/clusters/{}", first["cluster_id"].as_str().unwrap());
    assert_eq!(
        server.get(&cluster).await.expect(200)["count"],
        2,
        "what is analysed again is not counted again"
    );

    fake.set_log(run.jobs[0], cargo_log());
    let other = server.post(&rerun, json!({})).await.expect(200);
    assert_eq!(other["is_same"], false);
    let changes = other["changes"].as_array().unwrap();
    let cause = changes.iter().find(|change| change["field"] == "root_cause").unwrap();
    assert_eq!(cause["before"], first["report"]["root_cause"]);
    assert!(cause["after"].as_str().unwrap().contains("mismatched types"), "{cause}");
    assert!(!other["evidence_added"].as_array().unwrap().is_empty(), "{other:#}");
    assert!(!other["evidence_removed"].as_array().unwrap().is_empty(), "{other:#}");
    let stored = server.get(&path).await.expect(200);
    assert_eq!(
        stored["report"]["root_cause"], cause["after"],
        "the new report takes the place of the old one"
    );
    server.idle().await;
    let now = fake.all_comments();
    assert_eq!(now.len(), comments.len(), "nothing is posted");
    assert_eq!(now[0].body, comments[0].body, "nothing is edited at {}", target.key());

    // GitLab does not tell an expired log from one that is not written yet.
    if fake.kind() == ForgeKind::GITLAB {
        fake.erase_log(run.jobs[0]);
    } else {
        fake.expire_log(run.jobs[0]);
    }
    server.post(&rerun, json!({})).await.expect_error(409, "log_gone");
    assert_eq!(server.get(&path).await.expect(200)["report"], stored["report"], "the report stays");

    server.post("/v1/analyses/none/rerun", json!({})).await.expect_error(404, "not_found");
    let token = reader(&server, "read").await;
    let request = server.request(Method::POST, &rerun).bearer_auth(token);
    server.send(request).await.expect_error(403, "scope_missing");
    let audit = server.get("/v1/audit").await.expect(200);
    let reruns = audit["items"].as_array().unwrap();
    assert_eq!(reruns.iter().filter(|entry| entry["action"] == "analysis.rerun").count(), 2, "{audit:#}");
    server.stop().await;
}

#[tokio::test]
async fn gitlab_rerun() {
    again_and_what_is_different(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github_rerun() {
    again_and_what_is_different(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn a_log_that_was_sent_in_is_not_kept() {
    let server = TestServer::start().await;
    let request = server.request(Method::POST, "/v1/ingest/raw?project=shop&wait=30").bearer_auth(OWNER);
    let first: Value = server.send(request.body(pytest_log())).await.expect(200);
    let path = format!("/v1/analyses/{}/rerun", first["id"].as_str().unwrap());
    server.post(&path, json!({})).await.expect_error(409, "log_gone");
    server.stop().await;
}
