//! Issues: one for a failure, labelled, closed when it is green, opened again and not doubled; those of people are theirs.

use forge_testkit::{
    Fake, FakeGitFlic, FakeGitHub, FakeGitLab, FakeIssue, JobSpec, RepoHandle, RunSpec, TokenKind, TokenSpec,
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{TestServer, cargo_log, eventually, pytest_log};

const SHA: &str = "4be1f20000000000000000000000000000000001";

async fn deliver(fake: &Fake, repo: &RepoHandle, job: JobSpec) {
    let run = fake.add_run(repo, &RunSpec::new(vec![job]).with_sha(SHA));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

async fn the_issue(fake: &Fake, what: &str, is_so: impl Fn(&FakeIssue) -> bool + Sync) -> FakeIssue {
    eventually(what, async || {
        let issues = fake.issues();
        assert!(issues.len() <= 1, "one issue: {issues:#?}");
        issues.into_iter().next().filter(&is_so)
    })
    .await
}

/// A server that says failures of commits as issues only.
async fn watched(fake: &Fake) -> (TestServer, RepoHandle) {
    let server = TestServer::start().await;
    let feedback = json!({ "feedback": { "issue": true, "commit_comment": false, "pr_comment": false } });
    server.put("/v1/settings", feedback).await.expect(200);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    (server, repo)
}

async fn lives(fake: &Fake) {
    let (server, repo) = watched(fake).await;
    deliver(fake, &repo, JobSpec::failed("test", pytest_log())).await;
    let opened = the_issue(fake, "the issue is opened", |issue| issue.is_open).await;
    assert!(opened.title.contains("acme/shop"), "{opened:?}");
    assert!(opened.labels == ["ci-failure"] || !fake.labels_issues(), "{opened:?}");
    server.idle().await;
    let analyses = server.analyses("repository=acme/shop", 1).await;
    let records = analyses[0]["feedback"].to_string();
    assert!(records.contains("issue:commit:") && records.contains("\"posted\""), "{records}");

    deliver(fake, &repo, JobSpec::green("test")).await;
    let closed = the_issue(fake, "green closes it", |issue| !issue.is_open).await;
    assert!(closed.body.to_lowercase().contains("fixed"), "{}", closed.body);
    server.idle().await;

    // The same commit fails again: the same issue is opened again.
    deliver(fake, &repo, JobSpec::failed("test", cargo_log())).await;
    let again = the_issue(fake, "it is opened again", |issue| issue.is_open).await;
    assert_eq!(again.number, opened.number);
    server.idle().await;
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

#[tokio::test]
async fn gitlab() {
    lives(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github() {
    lives(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn gitflic() {
    lives(&*FakeGitFlic::start().await).await;
}

/// An issue that a person opened stays as it is, even with our marker in it; and one that a person closed is not made
/// anew when it turns green.
#[tokio::test]
async fn what_people_open_and_close_is_theirs() {
    let fake = FakeGitLab::start().await;
    let (server, repo) = watched(&fake).await;
    deliver(&fake, &repo, JobSpec::failed("test", pytest_log())).await;
    let ours = the_issue(&fake, "the issue is opened", |issue| issue.is_open).await;
    server.idle().await;
    fake.add_user("ann");
    let token = fake.add_token(&TokenSpec::new(TokenKind::Personal, &["api"]).with_login("ann"));
    fake.set_access(&repo, "ann", 40);
    let path = format!(
        "{}/api/v4/projects/{}/issues",
        fake.base_url().as_str().trim_end_matches('/'),
        repo.forge_id
    );
    let send = async |method: Method, path: String, body: serde_json::Value| {
        let request =
            server.http.request(method, path).header("private-token", token.expose_secret()).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    };
    let copy = json!({ "title": "I see it, too", "description": ours.body });
    send(Method::POST, path.clone(), copy).await;
    send(Method::PUT, format!("{path}/{}", ours.number), json!({ "state_event": "close" })).await;

    deliver(&fake, &repo, JobSpec::green("test")).await;
    let issues = eventually("the text turns green", async || {
        let issues = fake.issues();
        let said = issues.iter().any(|issue| issue.body.to_lowercase().contains("fixed"));
        said.then_some(issues)
    })
    .await;
    server.idle().await;
    assert_eq!(issues.len(), 2, "{issues:#?}");
    for issue in fake.issues() {
        let is_ours = issue.number == ours.number;
        assert_eq!(issue.is_open, !is_ours, "ours stays closed, Ann's stays open: {issue:#?}");
        assert!(is_ours || issue.body == ours.body, "{issue:#?}");
    }
    server.stop().await;
}
