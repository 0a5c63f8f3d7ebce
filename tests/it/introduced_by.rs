//! Is it mine? From the diff, the target branch, the last green job and the history of the same commit.

use std::time::Duration;

use forge_core::{
    ForgeKind,
    model::{FileChange, Target},
};
use forge_testkit::{
    ChangeSpec, Fake, FakeBitbucketCloud, FakeGitFlic, FakeGitHub, FakeGitLab, Fault, JobSpec, PullHandle,
    PullSpec, RepoHandle, RunHandle, RunSpec,
};
use serde_json::Value;

use crate::{
    support::{TestServer, cargo_log, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const BASE: &str = "4be1f20000000000000000000000000000000001";
const HEAD: &str = "4be1f20000000000000000000000000000000002";
/// Writes line 21, where the assertion of the sample log stands.
const PATCH: &str = "@@ -20,2 +20,3 @@\n     cart = Cart()\n+    assert cart.total(tax=0.2) == 480\n \n";

async fn watched(server: &TestServer, fake: &Fake) -> (RepoHandle, PullHandle) {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(HEAD));
    (repo, pull)
}

fn change(fake: &Fake, repo: &RepoHandle, path: &str) {
    let change = ChangeSpec::new(repo, BASE, HEAD)
        .with_file(path, FileChange::Modified, Some(PATCH))
        .with_commit(HEAD, "Refunds");
    fake.add_change(&change);
}

fn failing() -> RunSpec {
    RunSpec::new(vec![JobSpec::failed("test", pytest_log())])
}

fn green() -> RunSpec {
    RunSpec::new(vec![JobSpec::green("test")])
}

async fn delivered(fake: &Fake, run: &RunHandle) {
    for outcome in fake.deliver(run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

async fn told(server: &TestServer, run: &RunHandle) -> (String, String) {
    let analysis = eventually("the run is analysed", async || {
        let all = server.get("/v1/analyses").await.expect(200);
        all["items"]
            .as_array()?
            .iter()
            .find(|item| {
                item["run_id"] == run.forge_id.as_str()
                    && item["job_id"] == run.job_ids[0].as_str()
                    && item["finished_at"] != Value::Null
            })
            .cloned()
    })
    .await;
    assert_eq!(analysis["state"], "done", "{analysis:#}");
    let part = |name: &str| analysis["introduced_by"][name].as_str().unwrap().to_owned();
    (part("verdict"), part("reason"))
}

async fn this_change(fake: &Fake) {
    let server = TestServer::start_for(fake).await;
    let (repo, pull) = watched(&server, fake).await;
    fake.add_run(&repo, &green().with_sha(BASE).with_age(Duration::from_hours(2)));
    change(fake, &repo, "tests/test_cart.py");
    let run = fake.add_run(&repo, &failing().for_pull(&pull));
    delivered(fake, &run).await;
    let (verdict, reason) = told(&server, &run).await;
    assert_eq!(verdict, "this_change", "{reason}");
    assert!(reason.contains("tests/test_cart.py"), "{reason}");
    assert!(reason.contains("main was green at"), "{reason}");
    let comments = live_comments(fake, &repo, &Target::Pull(pull.number.to_string()), 1).await;
    assert!(comments[0].body.contains("**Introduced by:** this change"), "{}", comments[0].body);
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

async fn base_branch_then_fixed(fake: &Fake) {
    let server = TestServer::start_for(fake).await;
    let (repo, pull) = watched(&server, fake).await;
    change(fake, &repo, "README.md");
    let on_main = fake.add_run(&repo, &failing().with_sha(BASE));
    delivered(fake, &on_main).await;
    told(&server, &on_main).await;
    let run = fake.add_run(&repo, &failing().for_pull(&pull));
    delivered(fake, &run).await;
    let (verdict, reason) = told(&server, &run).await;
    assert_eq!(verdict, "base_branch", "{reason}");
    assert!(reason.starts_with("main failed the same way at "), "{reason}");
    let comments = live_comments(fake, &repo, &Target::Pull(pull.number.to_string()), 1).await;
    assert!(comments[0].body.contains("Seen 2 times since "), "{}", comments[0].body);

    // Another failure of the same job is not the base's.
    let other =
        fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", cargo_log())]).for_pull(&pull));
    delivered(fake, &other).await;
    let (verdict, reason) = told(&server, &other).await;
    assert_ne!(verdict, "base_branch", "{reason}");
    server.stop().await;
}

async fn flaky(fake: &Fake) {
    let server = TestServer::start_for(fake).await;
    let (repo, pull) = watched(&server, fake).await;
    change(fake, &repo, "tests/test_cart.py");
    // GitLab lists pipelines of merge requests under references of their own: there, those of the branch are compared.
    let of_commit = |spec: RunSpec| match fake.kind() {
        ForgeKind::GITLAB => spec.with_branch("feature/refund").with_sha(HEAD),
        _ => spec.for_pull(&pull),
    };
    let passed = fake.add_run(&repo, &of_commit(green()).with_age(Duration::from_hours(1)));
    let run = fake.add_run(&repo, &of_commit(failing()));
    delivered(fake, &run).await;
    let (verdict, reason) = told(&server, &run).await;
    assert_eq!(verdict, "flaky", "{reason}");
    assert!(reason.starts_with("the same job passed on the same commit in run "), "{reason} {passed:?}");
    server.stop().await;
}

/// The verdict changes when the same commit passes later, without a change.
async fn flaky_afterwards(fake: &Fake) {
    let server = TestServer::start_for(fake).await;
    let (repo, pull) = watched(&server, fake).await;
    change(fake, &repo, "tests/test_cart.py");
    let run = fake.add_run(&repo, &failing().for_pull(&pull));
    delivered(fake, &run).await;
    assert_eq!(told(&server, &run).await.0, "this_change");
    live_comments(fake, &repo, &Target::Pull(pull.number.to_string()), 1).await;
    eventually("it is known where it was said", async || {
        let all = server.get("/v1/analyses").await.expect(200);
        all["items"][0]["feedback"].as_array()?.iter().any(|entry| entry["state"] == "posted").then_some(())
    })
    .await;
    let again = fake.add_run(&repo, &green().for_pull(&pull));
    delivered(fake, &again).await;
    eventually("it is told flaky", async || (told(&server, &run).await.0 == "flaky").then_some(())).await;
    let (_, reason) = told(&server, &run).await;
    assert!(reason.starts_with("the same commit passed in run "), "{reason}");
    server.stop().await;
}

/// A forge that answers nothing about the change leaves the verdict open and the analysis done.
async fn facts_are_not_needed(fake: &Fake, patterns: &[&str]) {
    let server = TestServer::start_for(fake).await;
    let (repo, pull) = watched(&server, fake).await;
    for pattern in patterns {
        fake.fail_times("GET", pattern, Fault::Status(403), 1000);
    }
    let run = fake.add_run(&repo, &failing().for_pull(&pull));
    delivered(fake, &run).await;
    let (verdict, reason) = told(&server, &run).await;
    assert_eq!(verdict, "unknown", "{reason}");
    assert!(reason.contains("what changed could not be read"), "{reason}");
    live_comments(fake, &repo, &Target::Pull(pull.number.to_string()), 1).await;
    server.stop().await;
}

macro_rules! on_each {
    ($($forge:ident: $fake:ty),*) => { $(
        mod $forge {
            use super::*;

            #[tokio::test]
            async fn this_change() {
                super::this_change(&*<$fake>::start().await).await;
            }

            #[tokio::test]
            async fn base_branch() {
                super::base_branch_then_fixed(&*<$fake>::start().await).await;
            }

            #[tokio::test]
            async fn flaky() {
                super::flaky(&*<$fake>::start().await).await;
            }

            #[tokio::test]
            async fn flaky_afterwards() {
                super::flaky_afterwards(&*<$fake>::start().await).await;
            }
        }
    )* };
}

/// Bitbucket Data Center keeps one status per key of a commit: what passed before is not known after it failed.
mod bitbucket_dc {
    use forge_testkit::FakeBitbucketDc;

    #[tokio::test]
    async fn this_change() {
        super::this_change(&*FakeBitbucketDc::start().await).await;
    }

    #[tokio::test]
    async fn base_branch() {
        super::base_branch_then_fixed(&*FakeBitbucketDc::start().await).await;
    }

    #[tokio::test]
    async fn flaky_afterwards() {
        super::flaky_afterwards(&*FakeBitbucketDc::start().await).await;
    }
}

#[tokio::test]
async fn bitbucket_cloud_refuses_the_diff() {
    let patterns = ["/2.0/repositories/*/*/pullrequests/*/diffstat", "/2.0/repositories/*/*/diffstat/**"];
    facts_are_not_needed(&*FakeBitbucketCloud::start().await, &patterns).await;
}

on_each!(gitlab: FakeGitLab, github: FakeGitHub, bitbucket_cloud: FakeBitbucketCloud, gitflic: FakeGitFlic);

#[tokio::test]
async fn gitlab_refuses_the_diff() {
    let patterns = ["/api/v4/projects/*/merge_requests/*/diffs"];
    facts_are_not_needed(&*FakeGitLab::start().await, &patterns).await;
}

#[tokio::test]
async fn github_refuses_the_diff() {
    facts_are_not_needed(&*FakeGitHub::start().await, &["/api/v3/repos/*/*/pulls/*/files"]).await;
}

#[tokio::test]
async fn of_a_log_alone_only_infrastructure_is_told() {
    let server = TestServer::start().await;
    let network = "Cloning\nfatal: unable to access 'https://git.example/a.git/': Could not resolve host: git.example\n";
    for (log, verdict) in [(network.to_owned(), "infrastructure"), (pytest_log(), "unknown")] {
        let request = server.request(reqwest::Method::POST, "/v1/ingest/raw?project=shop&wait=30");
        let analysis = server.send(request.bearer_auth(crate::support::OWNER).body(log)).await.expect(200);
        assert_eq!(analysis["introduced_by"]["verdict"], verdict, "{analysis:#}");
    }
    server.stop().await;
}
