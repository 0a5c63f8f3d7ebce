//! The perimeter follows the forge, and what people wish: new repositories, vanished and renamed ones, and those that
//! are taken out.

use std::time::Duration;

use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, FakeOptions, RepoHandle,
    SignedRequest,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{database, monitored, patch, red, repositories, sync};
use crate::{
    five_forges::server_with_jenkins,
    support::{TestServer, eventually},
};

/// A delivery as the forge would send it by the hook that serves the repository now.
fn late_delivery(fake: &Fake, repo: &RepoHandle, number: usize) -> SignedRequest {
    let run = fake.add_run(repo, &red(number));
    let hook = fake.hooks(repo).into_iter().chain(fake.namespace_hooks("acme")).next().unwrap();
    fake.signed_request(&run, hook.id).unwrap()
}

/// It comes although nobody wants it: refused, or ignored where the hook goes on for others. No work follows.
async fn is_for_nothing(server: &TestServer, fake: &Fake, delivery: SignedRequest) {
    let is_wide = !fake.namespace_hooks("acme").is_empty();
    let asked = fake.requests().len();
    let status = delivery.send(Duration::from_secs(10)).await.status;
    assert_eq!(status, Some(if is_wide { 202 } else { 401 }));
    super::worker_turns(server).await;
    // A wide hook may tell of a repository that is new: the forge is asked once whether it is there.
    assert!(fake.requests().len() - asked <= usize::from(is_wide), "the forge is not asked about it");
    let list = server.get("/v1/analyses?repository=acme/shop").await.expect(200);
    assert_eq!(list["items"], json!([]), "{list}");
}

fn hooks(fake: &Fake, repo: &RepoHandle) -> usize {
    fake.hooks(repo).len() + fake.namespace_hooks("acme").len()
}

fn has_hooks(items: &[Value]) -> bool {
    items.iter().filter(|item| item["monitored"] == true).all(|item| item["hook"]["state"] != "none")
}

async fn perimeter_follows(server: TestServer, fake: &Fake) {
    let (shop, till) = (fake.add_repo("acme/shop"), fake.add_repo("acme/till"));
    let id = server.connect(fake).await;
    patch(&server, &id, json!({ "perimeter": { "mode": "all" } })).await;
    let all = repositories(&server, &id, "all are monitored and have hooks", |items| {
        monitored(items).len() == 2 && has_hooks(items)
    })
    .await;
    let of_shop = all.iter().find(|item| item["full_name"] == "acme/shop").unwrap()["id"].clone();
    assert_eq!((hooks(fake, &shop), hooks(fake, &till)), (1, 1));

    // What appears is taken up, what vanished is let go.
    let new = fake.add_repo("acme/new");
    let late = late_delivery(fake, &till, 1);
    fake.delete_repo(&till);
    sync(&server, fake, &id).await;
    repositories(&server, &id, "the new one is in, the old one out", |items| {
        items.len() == 2 && monitored(items) == ["acme/new", "acme/shop"] && has_hooks(items)
    })
    .await;
    assert_eq!(hooks(fake, &new), 1);
    is_for_nothing(&server, fake, late).await;

    // Taken out by hand, it stays out until the perimeter is set anew.
    let late = late_delivery(fake, &shop, 2);
    let path = format!("/v1/integrations/{id}/repositories/monitor");
    let out = server.post(&path, json!({ "remove": [of_shop] })).await.expect(200);
    assert_eq!(out["items"][0]["monitored"], false, "{out}");
    assert_eq!(fake.hooks(&shop).len(), 0, "its hook is gone from the forge");
    is_for_nothing(&server, fake, late).await;
    sync(&server, fake, &id).await;
    let all = repositories(&server, &id, "it is listed", |items| items.len() == 2).await;
    assert_eq!(monitored(&all), ["acme/new"], "a sync does not undo it");
    patch(&server, &id, json!({ "perimeter": { "mode": "all" } })).await;
    repositories(&server, &id, "all means all again", |items| {
        monitored(items).len() == 2 && has_hooks(items)
    })
    .await;

    // From now on chosen one by one: what is monitored stays, with one hook each; nothing comes by itself.
    patch(&server, &id, json!({ "perimeter": { "mode": "selected" } })).await;
    let later = fake.add_repo("acme/later");
    sync(&server, fake, &id).await;
    eventually("each has a hook of its own, and nothing else has", async || {
        let own: Vec<usize> = [&shop, &new, &later].into_iter().map(|repo| fake.hooks(repo).len()).collect();
        (own == [1, 1, 0] && fake.namespace_hooks("acme").is_empty()).then_some(())
    })
    .await;
    fake.rename(&shop, "acme/store");
    fake.delete_repo(&new);
    sync(&server, fake, &id).await;
    let all = repositories(&server, &id, "one less", |items| items.len() == 2).await;
    let store = all.iter().find(|item| item["full_name"] == "acme/store").unwrap();
    assert_eq!((monitored(&all), &store["id"]), (vec!["acme/store"], &of_shop), "renamed, and the same");
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

#[tokio::test]
async fn gitlab() {
    // Without hooks of groups.
    let free = FakeOptions::new().with_version("19.2.0");
    perimeter_follows(TestServer::start().await, &*FakeGitLab::start_with(&free).await).await;
}

#[tokio::test]
async fn gitlab_with_hooks_of_groups() {
    perimeter_follows(TestServer::start().await, &*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github() {
    perimeter_follows(TestServer::start().await, &*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn bitbucket_cloud() {
    perimeter_follows(TestServer::start().await, &*FakeBitbucketCloud::start().await).await;
}

#[tokio::test]
async fn bitbucket_dc() {
    let fake = FakeBitbucketDc::start().await;
    perimeter_follows(server_with_jenkins(&fake).await, &fake).await;
}

#[tokio::test]
async fn gitflic() {
    perimeter_follows(TestServer::start().await, &*FakeGitFlic::start().await).await;
}

async fn projects_are_followed(server: TestServer, fake: &Fake) {
    let (shop, tool) = (fake.add_repo("acme/shop"), fake.add_repo("other/tool"));
    let id = server.connect(fake).await;
    patch(&server, &id, json!({ "perimeter": { "mode": "projects", "projects": ["acme"] } })).await;
    repositories(&server, &id, "the project's are monitored", |items| {
        items.len() == 2 && monitored(items) == ["acme/shop"] && has_hooks(items)
    })
    .await;
    fake.add_repo("acme/new");
    fake.add_repo("other/more");
    sync(&server, fake, &id).await;
    repositories(&server, &id, "its new one too, and no other project's", |items| {
        items.len() == 4 && monitored(items) == ["acme/new", "acme/shop"] && has_hooks(items)
    })
    .await;
    // Another project: the first one's are left, with their hooks.
    patch(&server, &id, json!({ "perimeter": { "mode": "projects", "projects": ["other"] } })).await;
    repositories(&server, &id, "the other project's are monitored now", |items| {
        monitored(items) == ["other/more", "other/tool"] && has_hooks(items)
    })
    .await;
    eventually("the hooks of the first are gone", async || {
        let others = fake.hooks(&tool).len() + fake.namespace_hooks("other").len();
        (hooks(fake, &shop) == 0 && others == 1).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn projects_at_gitlab() {
    projects_are_followed(TestServer::start().await, &*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn projects_at_github() {
    projects_are_followed(TestServer::start().await, &*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn projects_at_bitbucket_dc() {
    let fake = FakeBitbucketDc::start().await;
    projects_are_followed(server_with_jenkins(&fake).await, &fake).await;
}

/// A token of one project sees its repositories only, and new ones of it by itself; one of the instance new projects.
#[tokio::test]
async fn levels_of_bitbucket_dc() {
    let fake = FakeBitbucketDc::start().await;
    let server = server_with_jenkins(&fake).await;
    fake.add_repo("acme/shop");
    fake.add_repo("other/tool");
    let connect = async |level: Value| {
        let mut body = json!({ "base_url": fake.base_url().as_str(), "token": fake.token().expose_secret(),
            "perimeter": { "mode": "all" }, "mode": "webhook", "backfill": { "enabled": false } });
        body.as_object_mut().unwrap().extend(level.as_object().unwrap().clone());
        let made = server.post("/v1/integrations/bitbucket-dc/token", body).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    };
    let project = connect(json!({ "level": "project", "project_key": "acme" })).await;
    let instance = connect(json!({ "level": "instance" })).await;
    let is = |names: &'static [&'static str]| move |items: &[Value]| monitored(items) == names;
    repositories(&server, &project, "the project's", is(&["acme/shop"])).await;
    repositories(&server, &instance, "all", is(&["acme/shop", "other/tool"])).await;
    fake.add_repo("acme/new");
    fake.add_repo("third/thing");
    // Both look again by themselves once it is time.
    eventually("both have looked before", async || {
        let marks = super::texts(&server, "SELECT name FROM mark WHERE name LIKE 'synced:%'").await;
        (marks.len() == 2).then_some(())
    })
    .await;
    for statement in [
        "UPDATE mark SET value = '1' WHERE name LIKE 'synced:%'",
        "UPDATE task SET run_at = 0 WHERE kind = 'poll' AND state = 'ready'",
    ] {
        rca_store::testing::execute(&database(&server), statement).await;
    }
    repositories(&server, &project, "a new one of the project", is(&["acme/new", "acme/shop"])).await;
    let all = is(&["acme/new", "acme/shop", "other/tool", "third/thing"]);
    repositories(&server, &instance, "a new project", all).await;
    server.stop().await;
}
