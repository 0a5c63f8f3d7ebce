//! The same log is analysed once; each job has its analysis and its comment all the same.

use forge_core::model::Target;
use forge_testkit::{Fake, FakeGitHub, FakeGitLab, JobSpec, RunSpec};
use serde_json::{Value, json};

use crate::{
    support::{OWNER, TestServer, pytest_log},
    webhook_to_comment::live_comments,
};

/// Saves work, never a post.
async fn reused(fake: &Fake) {
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let mut all: Vec<Value> = Vec::new();
    for number in 1..=3 {
        let sha = format!("4be1f2000000000000000000000000000000000{number}");
        if number == 3 {
            // Other rules can give another report.
            let rules = "[[rule]]\nid = \"a\"\npattern = 'nowhere to be found'\ncategory = \"timeout\"\n";
            server.put("/v1/settings", json!({ "rules": rules })).await.expect(200);
        }
        let run =
            fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_sha(&sha));
        for outcome in fake.deliver(&run).await {
            assert!(outcome.is_success(), "{outcome:?}");
        }
        server.idle().await;
        let comments = live_comments(fake, &repo, &Target::Commit(sha), 1).await;
        assert_eq!(comments.len(), 1, "each failed job has its comment");
        let list = server.analyses("repository=acme/shop", number).await;
        let id = list[0]["id"].as_str().unwrap();
        all.push(server.get(&format!("/v1/analyses/{id}")).await.expect(200));
    }
    assert_eq!(all[0]["reused_from"], Value::Null);
    assert_eq!(all[1]["reused_from"], all[0]["id"], "{:#}", all[1]);
    assert_eq!(all[1]["report"], all[0]["report"]);
    assert_ne!(all[1]["id"], all[0]["id"]);
    assert_eq!(all[1]["feedback"][0]["state"], "posted");
    assert_eq!(all[2]["reused_from"], Value::Null, "it follows other rules");
    let clusters = server.get("/v1/clusters").await.expect(200);
    assert_eq!(clusters["items"][0]["count"], 3, "each is counted: {clusters:#}");
    // Who asks for a new report gets one.
    let id = all[1]["id"].as_str().unwrap();
    let again = server.post(&format!("/v1/analyses/{id}/rerun"), json!({})).await.expect(200);
    assert_eq!(again["analysis"]["reused_from"], Value::Null, "{again:#}");
    server.stop().await;
}

#[tokio::test]
async fn gitlab() {
    reused(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github() {
    reused(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn of_ingested_logs() {
    let server = TestServer::start().await;
    let mut ids = Vec::new();
    for pipeline in 1..=2 {
        let path = format!("/v1/ingest/raw?project=shop&pipeline_id={pipeline}&wait=30");
        let request = server.request(reqwest::Method::POST, &path).bearer_auth(OWNER).body(pytest_log());
        let analysis = server.send(request).await.expect(200);
        ids.push((analysis["id"].clone(), analysis["reused_from"].clone()));
    }
    assert_eq!(ids[0].1, Value::Null);
    assert_eq!(ids[1].1, ids[0].0);
    let mut reports = Vec::new();
    for (id, _) in &ids {
        let path = format!("/v1/analyses/{}", id.as_str().unwrap());
        reports.push(server.get(&path).await.expect(200)["report"].clone());
    }
    assert_eq!(reports[0], reports[1]);
    server.stop().await;
}
