//! A hook that does not tell: what the poll finds instead is analysed and said once, the hook is repaired, and the
//! incident ends with its next delivery.

use forge_core::model::Target;
use forge_testkit::{Fake, FakeGitHub, FakeGitLab, RepoHandle};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::Duration;

use super::{fails, incidents, is_open, patch, red, repositories, sha, texts};
use crate::support::{TestServer, eventually};

async fn hook(
    server: &TestServer,
    id: &str,
    what: &str,
    is_so: impl Fn(&Value) -> bool + Send + Sync,
) -> Value {
    let all =
        repositories(server, id, what, |items| items.first().is_some_and(|item| is_so(&item["hook"]))).await;
    all[0]["hook"].clone()
}

/// A person removes the hook at the forge.
async fn remove_at_forge(fake: &Fake, repo: &RepoHandle, hooks: &str) {
    let token = fake.token();
    let hook = &fake.hooks(repo)[0].forge_id;
    let url = format!("{}/{hooks}/{hook}", fake.base_url().as_str().trim_end_matches('/'));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.delete(url).bearer_auth(token.expose_secret()).header("user-agent", "a person");
    assert!(answer.send().await.unwrap().status().is_success());
    assert!(fake.hooks(repo).is_empty());
}

struct Silent<'a> {
    fake: &'a Fake,
    server: TestServer,
    id: String,
    repo: RepoHandle,
}

impl<'a> Silent<'a> {
    async fn begin(fake: &'a Fake) -> Self {
        let server = TestServer::start_with(|config| config.poll_interval = 1).await;
        let repo = fake.add_repo("acme/shop");
        let id = server.connect(fake).await;
        patch(&server, &id, json!({ "mode": "hybrid" })).await;
        server.monitor(&id, &repo).await;
        eventually("the poll has looked", async || {
            let marks = texts(&server, "SELECT name FROM mark WHERE name LIKE 'poll:%'").await;
            (!marks.is_empty()).then_some(())
        })
        .await;
        Self { fake, server, id, repo }
    }

    /// A run fails, and its delivery is lost on its way.
    async fn is_found_by_the_poll(&self) {
        let spec = red(1).with_age(Duration::from_secs(300));
        self.fake.add_run(&self.repo, &spec);
        let hook = hook(&self.server, &self.id, "the hook is known to be silent", |hook| {
            hook["state"] == "unhealthy"
        });
        assert_eq!(hook.await["last_error"], "arrived only by poll");
        let open = incidents(&self.server, "hook_silent", "it is told", |all| all.len() == 1).await;
        assert!(is_open(&open[0]) && open[0]["repository_id"].is_string(), "{open:?}");
        assert!(open[0]["message"].as_str().unwrap().contains("acme/shop"), "{open:?}");
        assert!(!open[0]["remedy"].as_str().unwrap().is_empty());
        let analyses = self.server.analyses("repository=acme/shop", 1).await;
        assert_eq!((analyses.len(), &analyses[0]["source"]), (1, &json!("poll")));
    }

    /// Repaired, it delivers again, which ends the incident.
    async fn recovers(self) {
        hook(&self.server, &self.id, "it is registered anew", |hook| {
            hook["state"] == "registered" && hook["last_error"].is_null()
        })
        .await;
        assert_eq!(self.fake.hooks(&self.repo).len(), 1, "and has no double");
        fails(self.fake, &self.repo, 2).await;
        hook(&self.server, &self.id, "it is active", |hook| hook["state"] == "active").await;
        incidents(&self.server, "hook_silent", "it is over", |all| !is_open(&all[0])).await;
        assert_eq!(self.server.analyses("repository=acme/shop", 2).await.len(), 2);
        self.server.idle().await;
        for number in [1, 2] {
            let said = self.fake.comments(&self.repo, &Target::Commit(sha(number)));
            assert_eq!(said.len(), 1, "commit {number}: {said:#?}");
        }
        self.server.stop().await;
    }
}

#[tokio::test]
async fn a_hook_whose_secret_is_wrong_is_written_anew() {
    let fake = FakeGitLab::start().await;
    let silent = Silent::begin(&fake).await;
    silent.is_found_by_the_poll().await;
    eventually("it is written once more", async || {
        (fake.count("PUT", "/api/v4/projects/*/hooks/*") > 0).then_some(())
    })
    .await;
    silent.recovers().await;
}

#[tokio::test]
async fn a_hook_that_was_removed_is_made_again() {
    let fake = FakeGitLab::start().await;
    let silent = Silent::begin(&fake).await;
    let place = format!("api/v4/projects/{}/hooks", silent.repo.forge_id);
    remove_at_forge(&fake, &silent.repo, &place).await;
    fake.add_run(&silent.repo, &red(1).with_age(Duration::from_secs(300)));
    let analyses = silent.server.analyses("repository=acme/shop", 1).await;
    assert_eq!(analyses[0]["source"], "poll");
    silent.recovers_after_a_loss().await;
}

#[tokio::test]
async fn a_hook_that_was_removed_at_github_is_made_again() {
    let fake = FakeGitHub::start().await;
    let silent = Silent::begin(&fake).await;
    remove_at_forge(&fake, &silent.repo, "api/v3/repos/acme/shop/hooks").await;
    fake.add_run(&silent.repo, &red(1).with_age(Duration::from_secs(300)));
    let analyses = silent.server.analyses("repository=acme/shop", 1).await;
    assert_eq!(analyses[0]["source"], "poll");
    silent.recovers_after_a_loss().await;
}

/// GitLab switches hooks off whose deliveries fail; one that it has given up is made anew.
#[tokio::test]
async fn a_hook_that_the_forge_has_switched_off_is_switched_on() {
    let fake = FakeGitLab::start().await;
    fake.set_hook_auto_disable(true);
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let polled = |config: &mut server::Config| config.poll_interval = 1;
    let first = TestServer::start_in(folder.clone(), server::Role::All, polled).await;
    let address = first.base.trim_start_matches("http://").parse().unwrap();
    let repo = fake.add_repo("acme/shop");
    let id = first.connect(&fake).await;
    patch(&first, &id, json!({ "mode": "hybrid" })).await;
    first.monitor(&id, &repo).await;
    eventually("the poll has looked", async || {
        let marks = texts(&first, "SELECT name FROM mark WHERE name LIKE 'poll:%'").await;
        (!marks.is_empty()).then_some(())
    })
    .await;
    first.stop().await;
    let run = fake.add_run(&repo, &red(1));
    for _ in 0..5 {
        fake.deliver(&run).await;
    }
    assert!(fake.hooks(&repo)[0].is_disabled, "{:?}", fake.hooks(&repo));

    let server = TestServer::start_in(folder, server::Role::All, |config| {
        polled(config);
        config.listen = address;
    })
    .await;
    eventually("it is switched on", async || {
        let hooks = fake.hooks(&repo);
        (hooks.len() == 1 && !hooks[0].is_disabled).then_some(())
    })
    .await;
    assert_eq!(server.analyses("repository=acme/shop", 1).await[0]["source"], "poll");
    let silent = Silent { fake: &fake, server, id, repo };
    silent.recovers_after_a_loss().await;
}

impl Silent<'_> {
    /// As [`Silent::recovers`], where the loss may have been mended before the poll missed its delivery.
    async fn recovers_after_a_loss(self) {
        eventually("it is there again", async || (self.fake.hooks(&self.repo).len() == 1).then_some(()))
            .await;
        fails(self.fake, &self.repo, 2).await;
        hook(&self.server, &self.id, "it is active", |hook| {
            hook["state"] == "active" && hook["last_error"].is_null()
        })
        .await;
        for code in ["hook_silent", "hook_failing"] {
            incidents(&self.server, code, "it is over", |all| !all.iter().any(is_open)).await;
        }
        assert_eq!(self.server.analyses("repository=acme/shop", 2).await.len(), 2);
        self.server.idle().await;
        for number in [1, 2] {
            let said = self.fake.comments(&self.repo, &Target::Commit(sha(number)));
            assert_eq!(said.len(), 1, "commit {number}: {said:#?}");
        }
        self.server.stop().await;
    }
}
