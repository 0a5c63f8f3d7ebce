//! A server that was down while a build failed: nothing is lost, nothing is said twice. And one hook for a namespace,
//! where the forge has such hooks.

use forge_core::{ForgeKind, model::Target};
use forge_testkit::{
    CiServer, Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, FakeOptions,
    JobSpec, PullSpec, RunSpec,
};
use serde_json::json;
use server::{
    Config, Role,
    config::{LogSource, LogSourceKind},
};

use crate::{
    support::{TestServer, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const SHA: &str = "4be1f20000000000000000000000000000000001";

async fn capabilities(server: &TestServer, forge: ForgeKind) -> serde_json::Value {
    let instance = server.get("/v1/instance").await.expect(200);
    let forges = instance["forges"].as_array().unwrap();
    forges.iter().find(|known| known["id"] == forge.as_str()).unwrap()["capabilities"].clone()
}

/// Where deliveries are told of and can be had again, the hook alone has to do; elsewhere the poll helps.
async fn nothing_is_lost(fake: &Fake, log_sources: Vec<LogSource>) {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let configured = |config: &mut Config| {
        config.poll_interval = 1;
        config.log_sources.clone_from(&log_sources);
    };
    let server = TestServer::start_in(folder.clone(), Role::All, configured).await;
    let address = server.base.trim_start_matches("http://").parse().unwrap();
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    let is_told = capabilities(&server, fake.kind()).await["hook_deliveries"] == true;
    if !is_told {
        let path = format!("/v1/integrations/{integration}");
        server.patch(&path, json!({ "mode": "hybrid" })).await.expect(200);
    }
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    server.idle().await;
    if !is_told {
        // The first look only remembers when it was; the next one asks.
        fake.forget_requests();
        eventually("the forge is polled", async || (!fake.requests().is_empty()).then_some(())).await;
    }
    server.stop().await;

    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    let outcomes = fake.deliver(&run).await;
    assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| !outcome.is_success()), "{outcomes:?}");

    let server = TestServer::start_in(folder, Role::All, |config| {
        configured(config);
        config.listen = address;
    })
    .await;
    let target = Target::Pull(pull.number.to_string());
    live_comments(fake, &repo, &target, 1).await;
    server.analyses("repository=acme/shop", 1).await;
    // Whatever comes besides, from the next looks or late deliveries, finds everything done.
    fake.deliver(&run).await;
    fake.forget_requests();
    eventually("the next look", async || (!fake.requests().is_empty()).then_some(())).await;
    server.idle().await;
    assert_eq!(fake.comments(&repo, &target).len(), 1, "{:#?}", fake.comments(&repo, &target));
    assert_eq!(server.analyses("repository=acme/shop", 1).await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn gitlab() {
    nothing_is_lost(&*FakeGitLab::start().await, Vec::new()).await;
}

#[tokio::test]
async fn github() {
    nothing_is_lost(&*FakeGitHub::start().await, Vec::new()).await;
}

#[tokio::test]
async fn bitbucket_cloud() {
    nothing_is_lost(&*FakeBitbucketCloud::start().await, Vec::new()).await;
}

#[tokio::test]
async fn bitbucket_dc() {
    let fake = FakeBitbucketDc::start().await;
    let source = LogSource {
        kind: LogSourceKind::Jenkins,
        base_url: fake.ci_url(CiServer::Jenkins).parse().unwrap(),
        username: Some(FakeBitbucketDc::CI_USER.to_owned()),
        token: FakeBitbucketDc::CI_TOKEN.to_owned().into(),
    };
    nothing_is_lost(&fake, vec![source]).await;
}

#[tokio::test]
async fn gitflic() {
    nothing_is_lost(&*FakeGitFlic::start().await, Vec::new()).await;
}

/// One hook at the namespace where the forge has such hooks, else one at each repository; never both.
async fn hooks_of_a_perimeter(fake: &Fake, takes_wide: bool) {
    let server = TestServer::start().await;
    let repos = [fake.add_repo("acme/shop"), fake.add_repo("acme/till")];
    let integration = server.connect(fake).await;
    let path = format!("/v1/integrations/{integration}");
    server.patch(&path, json!({ "perimeter": { "mode": "all" } })).await.expect(200);
    let listed = eventually("all are monitored and have a hook", async || {
        let list = server.get(&format!("{path}/repositories")).await.expect(200);
        let items = list["items"].as_array()?.clone();
        let is_ready =
            |item: &serde_json::Value| item["hook"]["state"] != "none" && item["monitored"] == true;
        (items.len() == 2 && items.iter().all(is_ready)).then_some(items)
    })
    .await;
    assert!(listed.iter().all(|item| item["hook"]["state"] != "pending_manual"), "{listed:#?}");
    server.idle().await;
    let own: Vec<usize> = repos.iter().map(|repo| fake.hooks(repo).len()).collect();
    let has_wide = capabilities(&server, fake.kind()).await["namespace_hooks"] == true;
    assert!(has_wide || !takes_wide, "the adapter claims what its forge has");
    let (wide, expected) =
        (fake.namespace_hooks("acme").len(), if takes_wide { (1, vec![0, 0]) } else { (0, vec![1, 1]) });
    assert_eq!((wide, own), expected);
    let run = fake.add_run(
        &repos[0],
        &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_branch("main").with_sha(SHA),
    );
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    server.analyses("repository=acme/shop", 1).await;
    let gone = server.delete(&path).await.expect(200);
    assert_eq!(gone["leftover_hooks"], json!([]), "{gone}");
    assert!(fake.namespace_hooks("acme").is_empty() && repos.iter().all(|repo| fake.hooks(repo).is_empty()));
    server.stop().await;
}

#[tokio::test]
async fn perimeter_at_gitlab() {
    hooks_of_a_perimeter(&*FakeGitLab::start().await, true).await;
}

#[tokio::test]
async fn perimeter_at_gitlab_without_hooks_of_groups() {
    let free = FakeOptions::new().with_version("19.2.0");
    hooks_of_a_perimeter(&*FakeGitLab::start_with(&free).await, false).await;
}

#[tokio::test]
async fn perimeter_at_github() {
    hooks_of_a_perimeter(&*FakeGitHub::start().await, false).await;
}

#[tokio::test]
async fn perimeter_at_bitbucket_dc() {
    hooks_of_a_perimeter(&*FakeBitbucketDc::start().await, true).await;
}
