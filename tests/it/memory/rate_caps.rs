//! Caps on comments: what is too much waits and is said once.

use forge_core::model::Target;
use forge_testkit::{Fake, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RepoHandle, RunSpec};
use serde_json::json;

use super::execute;
use crate::{
    support::{TestServer, cargo_log, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const SHAS: [&str; 2] =
    ["4be1f20000000000000000000000000000000001", "4be1f20000000000000000000000000000000002"];
/// An hour passes: for what was counted, and for the tasks that wait for it.
const AN_HOUR_LATER: [&str; 2] = [
    "UPDATE comment_post SET posted_at = posted_at - 3600001",
    "UPDATE task SET run_at = 0 WHERE kind = 'feedback' AND state = 'ready'",
];

async fn deliver(fake: &Fake, repo: &RepoHandle, spec: &RunSpec) {
    let run = fake.add_run(repo, spec);
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

/// What is recorded of the analysis of a commit at a target.
async fn recorded(server: &TestServer, sha: &str, target: &str) -> (String, String) {
    eventually(&format!("something is recorded at {target}"), async || {
        let all = server.get("/v1/analyses").await.expect(200);
        let analysis = all["items"].as_array()?.iter().find(|item| item["commit_sha"] == sha)?.clone();
        let records = analysis["feedback"].as_array()?.clone();
        let record = records.iter().find(|record| record["target"] == target)?;
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        Some((text("state"), text("reason")))
    })
    .await
}

/// The cap of the repository: the second commit's comment waits, is said an hour later, and is never doubled.
async fn repository_cap(fake: &Fake) {
    let server = TestServer::start().await;
    let caps = json!({ "rate_caps": { "repository_per_hour": 1 } });
    server.put("/v1/settings", caps).await.expect(200);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let spec = |sha: &str| RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_sha(sha);
    for sha in SHAS {
        deliver(fake, &repo, &spec(sha)).await;
        recorded(&server, sha, &format!("commit:{sha}")).await;
    }
    let [first, second] = SHAS.map(|sha| Target::Commit(sha.to_owned()));
    assert_eq!(fake.comments(&repo, &first).len(), 1);
    assert_eq!(fake.comments(&repo, &second).len(), 0);
    let (state, reason) = recorded(&server, SHAS[1], &second.key()).await;
    assert_eq!(state, "skipped");
    assert!(reason.starts_with("1 comment an hour are allowed for this repository"), "{reason}");
    assert!(reason.contains("it is said at "), "{reason}");
    // Told again meanwhile: it still waits.
    deliver(fake, &repo, &spec(SHAS[1])).await;
    server.analyses("repository=acme/shop", 3).await;
    assert_eq!(fake.comments(&repo, &second).len(), 0);

    for statement in AN_HOUR_LATER {
        execute(&server, statement).await;
    }
    let said = live_comments(fake, &repo, &second, 1).await;
    assert_eq!(said.len(), 1);
    server.idle().await;
    assert_eq!((fake.comments(&repo, &first).len(), fake.comments(&repo, &second).len()), (1, 1));
    // Of the two runs of the second commit the newer is told.
    assert_eq!(recorded(&server, SHAS[1], &second.key()).await.0, "posted");
    server.stop().await;
}

#[tokio::test]
async fn gitlab_repository_cap() {
    repository_cap(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github_repository_cap() {
    repository_cap(&*FakeGitHub::start().await).await;
}

/// The cap of a pull request: what changes meanwhile is said once, as it is then, and green is not forgotten.
#[tokio::test]
async fn a_capped_pull_request_is_told_its_last_state() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    server.put("/v1/settings", json!({ "rate_caps": { "pull_request_per_hour": 1 } })).await.expect(200);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHAS[0]));
    let target = Target::Pull(pull.number.to_string());
    let of = |job: JobSpec| RunSpec::new(vec![job]).for_pull(&pull);
    deliver(&fake, &repo, &of(JobSpec::failed("test", pytest_log()))).await;
    let first = live_comments(&fake, &repo, &target, 1).await;
    server.idle().await;
    // Another pull request has its own hour.
    let other = fake.open_pull(&repo, &PullSpec::new("Carts", "feature/cart").with_sha(SHAS[1]));
    deliver(&fake, &repo, &RunSpec::new(vec![JobSpec::failed("build", cargo_log())]).for_pull(&other)).await;
    live_comments(&fake, &repo, &Target::Pull(other.number.to_string()), 1).await;

    deliver(&fake, &repo, &of(JobSpec::failed("test", cargo_log()))).await;
    server.analyses("repository=acme/shop", 3).await;
    deliver(&fake, &repo, &of(JobSpec::green("test"))).await;
    eventually("the green run is taken in", async || {
        let statuses = fake.statuses();
        statuses.iter().any(|status| format!("{status:?}").to_lowercase().contains("success")).then_some(())
    })
    .await;
    assert_eq!(fake.comments(&repo, &target)[0].body, first[0].body, "the hour is not over");
    for statement in AN_HOUR_LATER {
        execute(&server, statement).await;
    }
    let turned = eventually("the comment turns green", async || {
        let comments = fake.comments(&repo, &target);
        comments[0].body.to_lowercase().contains("fixed").then_some(comments)
    })
    .await;
    assert_eq!((turned.len(), turned[0].history.len()), (1, first[0].history.len() + 1), "{turned:#?}");
    server.idle().await;
    server.stop().await;
}
