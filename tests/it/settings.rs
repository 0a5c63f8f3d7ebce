//! Settings over HTTP, and log sources that hold without a restart.

use forge_testkit::{CiServer, FakeBitbucketDc, JobSpec, RunSpec};
use serde_json::json;

use crate::support::{TestServer, pytest_log};

const SHA: &str = "4be1f20000000000000000000000000000000001";

fn sources(fake: &FakeBitbucketDc, token: &str) -> serde_json::Value {
    json!({ "log_sources": [{
        "kind": "jenkins",
        "base_url": fake.ci_url(CiServer::Jenkins),
        "username": FakeBitbucketDc::CI_USER,
        "token": token,
    }] })
}

#[tokio::test]
async fn a_log_source_holds_without_a_restart_in_every_replica() {
    let fake = FakeBitbucketDc::start().await;
    let server = TestServer::start().await;
    let replica = TestServer::start_in(server.folder.clone(), server::Role::Web, |_| {}).await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let deliver = async |sha: &str| {
        let spec =
            RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_branch("main").with_sha(sha);
        let run = fake.add_run(&repo, &spec);
        for outcome in fake.deliver(&run).await {
            assert!(outcome.is_success(), "{outcome:?}");
        }
    };
    deliver(SHA).await;
    assert_eq!(server.analyses("repository=acme/shop", 1).await[0]["state"], "no_log");

    let set = replica.put("/v1/settings", sources(&fake, FakeBitbucketDc::CI_TOKEN)).await.expect(200);
    let shown = &set["log_sources"][0];
    assert_eq!(shown["fingerprint"].as_str().map(str::len), Some(12), "{set}");
    assert!(!set.to_string().contains(FakeBitbucketDc::CI_TOKEN), "{set}");
    assert_eq!(server.get("/v1/settings").await.expect(200), set);

    deliver("4be1f20000000000000000000000000000000002").await;
    let analyses = server.analyses("repository=acme/shop", 2).await;
    let done = analyses.iter().filter(|analysis| analysis["state"] == "done").count();
    assert_eq!(done, 1, "{analyses:#?}");
    replica.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn wrong_settings_are_refused_and_change_nothing() {
    let fake = FakeBitbucketDc::start().await;
    let server = TestServer::start_with(|config| config.allowed_networks.clear()).await;
    // The fake is on loopback, which the operator does not allow here.
    server.put("/v1/settings", sources(&fake, "t")).await.expect_error(422, "address_not_allowed");
    for body in [
        json!({ "no_such_setting": 1 }),
        json!({ "feedback": { "no_such_switch": true } }),
        json!({ "log_sources": [{ "kind": "cron", "base_url": "https://ci.example", "token": "t" }] }),
        json!({ "log_sources": [{ "kind": "jenkins", "base_url": "https://ci.example" }] }),
    ] {
        server.put("/v1/settings", body).await.expect_error(422, "invalid_field");
    }
    let set = server.put("/v1/settings", json!({ "feedback": { "issue": true } })).await.expect(200);
    assert_eq!(set["feedback"], json!({ "issue": true }));
    assert_eq!(set["log_sources"], json!([]));
    let set = server.put("/v1/settings", json!({ "feedback": { "status": false } })).await.expect(200);
    assert_eq!(set["feedback"], json!({ "issue": true, "status": false }));
    server.stop().await;
}
