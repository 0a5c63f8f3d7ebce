//! Disconnecting: what could not be removed is named, nothing of ours stays usable, and connecting again works.

use std::time::Duration;

use forge_core::ForgeKind;
use forge_testkit::{Fake, FakeGitHub, FakeGitLab, FakeOptions, Fault, RepoHandle};
use serde_json::json;

use super::{fails, red, texts};
use crate::support::TestServer;

async fn monitored(server: &TestServer, fake: &Fake, repos: &[RepoHandle]) -> String {
    let id = server.connect(fake).await;
    for repo in repos {
        server.monitor(&id, repo).await;
    }
    server.idle().await;
    id
}

#[tokio::test]
async fn what_could_not_be_removed_is_named_with_its_reason() {
    let (fake, server) = (FakeGitLab::start().await, TestServer::start().await);
    let repos: Vec<RepoHandle> =
        ["acme/gone", "acme/locked", "acme/shop", "acme/broken"].map(|name| fake.add_repo(name)).into();
    let id = monitored(&server, &fake, &repos).await;
    let [gone, locked, shop, broken] = &repos[..] else { unreachable!() };
    fails(&fake, shop, 1).await;
    server.analyses("repository=acme/shop", 1).await;
    server.idle().await;
    let run = fake.add_run(shop, &red(2));
    let late = fake.signed_request(&run, fake.hooks(shop)[0].id).unwrap();
    let hook_of = |repo: &RepoHandle| format!("/api/v4/projects/{}/hooks/*", repo.forge_id);
    fake.fail_times("DELETE", &hook_of(gone), Fault::Status(404), 1);
    fake.fail_times("DELETE", &hook_of(locked), Fault::Status(403), 10);
    fake.fail_times("DELETE", &hook_of(broken), Fault::Status(500), 10);
    let url_of = |repo: &RepoHandle| fake.hooks(repo)[0].url.clone();

    let report = server.delete(&format!("/v1/integrations/{id}")).await.expect(200);
    assert_eq!((&report["revoked"], &report["removed_hooks"]), (&json!(false), &json!(2)), "{report:#}");
    let mut left: Vec<_> = report["leftover_hooks"].as_array().unwrap().clone();
    left.sort_by_key(|hook| hook["repository"].to_string());
    let named: Vec<_> =
        left.iter().map(|hook| (hook["repository"].as_str().unwrap(), hook["url"].clone())).collect();
    assert_eq!(named, [("acme/broken", json!(url_of(broken))), ("acme/locked", json!(url_of(locked)))]);
    assert!(left[0]["reason"].as_str().unwrap().contains("500"), "{left:#?}");
    assert!(left[1]["reason"].as_str().unwrap().contains("403"), "{left:#?}");

    let secrets = "SELECT owner_table FROM secret WHERE owner_table IN ('integration', 'hook')";
    assert!(texts(&server, secrets).await.is_empty(), "every secret is wiped");
    assert_eq!(late.send(Duration::from_secs(10)).await.status, Some(401), "as any unknown hook");
    let analyses = server.analyses("repository=acme/shop", 1).await;
    assert_eq!((analyses.len(), &analyses[0]["state"]), (1, &json!("done")), "what was found stays readable");
    let one = server.get(&format!("/v1/analyses/{}", analyses[0]["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(one["report"]["status"], "cause_found");
    server.get(&format!("/v1/integrations/{id}")).await.expect_error(404, "not_found");
    server.idle().await;
    server.stop().await;
}

/// Hooks that were kept, or could not be removed, are taken over: a second one would be refused for ever.
async fn comes_back(fake: &Fake, keeps: bool, deletes: &str) {
    let server = TestServer::start().await;
    let repos = [fake.add_repo("acme/shop"), fake.add_repo("acme/till")];
    let id = monitored(&server, fake, &repos).await;
    let before: Vec<_> = repos.iter().map(|repo| fake.hooks(repo)).collect();
    assert!(before.iter().all(|hooks| hooks.len() == 1));
    if !keeps {
        fake.fail_times("DELETE", deletes, Fault::Status(403), 2);
    }
    let path = format!("/v1/integrations/{id}?keep_webhooks={keeps}");
    let report = server.delete(&path).await.expect(200);
    let left = if keeps { 0 } else { 2 };
    assert_eq!(report["leftover_hooks"].as_array().unwrap().len(), left, "{report:#}");
    assert_eq!(report["removed_hooks"], 0);
    let is_as_before = || repos.iter().map(|repo| fake.hooks(repo)).collect::<Vec<_>>() == before;
    assert!(is_as_before(), "they still stand at the forge");
    let run = fake.add_run(&repos[0], &red(1));
    assert!(fake.deliver(&run).await.iter().all(|outcome| outcome.status == Some(401)));

    let again = monitored(&server, fake, &repos).await;
    assert_ne!(again, id);
    for repo in &repos {
        assert_eq!(fake.hooks(repo).len(), 1, "taken over, not doubled: {:#?}", fake.hooks(repo));
    }
    assert!(!is_as_before(), "they lead to the new integration");
    fails(fake, &repos[0], 2).await;
    fails(fake, &repos[1], 3).await;
    assert_eq!(server.analyses("", 2).await.len(), 2);
    server.idle().await;
    // GitFlic has no place for a failure without a pull request.
    let told = if fake.kind() == ForgeKind::GITFLIC { 0 } else { 2 };
    assert_eq!(fake.all_comments().len(), told);
    server.stop().await;
}

#[tokio::test]
async fn gitlab_hooks_that_were_kept_are_taken_over() {
    let free = FakeOptions::new().with_version("19.2.0");
    comes_back(&*FakeGitLab::start_with(&free).await, true, "").await;
}

#[tokio::test]
async fn gitlab_hooks_that_were_left_are_taken_over() {
    comes_back(&*FakeGitLab::start().await, false, "/api/v4/projects/*/hooks/*").await;
}

#[tokio::test]
async fn github_hooks_that_were_kept_are_taken_over() {
    comes_back(&*FakeGitHub::start().await, true, "").await;
}

#[tokio::test]
async fn github_hooks_that_were_left_are_taken_over() {
    comes_back(&*FakeGitHub::start().await, false, "/api/v3/repos/*/*/hooks/*").await;
}

#[tokio::test]
async fn bitbucket_cloud_hooks_that_were_kept_are_taken_over() {
    comes_back(&*forge_testkit::FakeBitbucketCloud::start().await, true, "").await;
}

#[tokio::test]
async fn gitflic_hooks_that_were_kept_are_taken_over() {
    comes_back(&*forge_testkit::FakeGitFlic::start().await, true, "").await;
}
