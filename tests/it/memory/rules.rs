//! Rules of the workspace and of a repository's default branch, in analyses.

use std::sync::Arc;

use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, Fault, JobSpec, PullSpec,
    RepoHandle, RunSpec,
};
use serde_json::{Value, json};
use server::Role;

use crate::support::{OWNER, TestServer, eventually};

const FILE: &str = ".forge-rca.toml";
const HEAD: &str = "4be1f20000000000000000000000000000000002";
const LOG: &str = "$ simulate model\nsim: no licence left for solver\nERROR: simulation ended\nThe command \"simulate\" exited with 1.\n";

fn rule(cause: &str) -> String {
    format!(
        "[[rule]]\nid = \"acme.licence\"\npattern = 'no licence left'\ncategory = \"service_unavailable\"\n\
         cause = \"{cause}\"\nfix = \"wait for another job\"\nowner = \"tools team\"\nseverity = \"high\"\n"
    )
}

async fn watched(server: &TestServer, fake: &Fake) -> RepoHandle {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    repo
}

/// The report of a new failed run.
async fn analysed(server: &TestServer, fake: &Fake, repo: &RepoHandle, spec: RunSpec) -> Value {
    let run = fake.add_run(repo, &spec);
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    eventually("the run is analysed", async || {
        let all = server.get("/v1/analyses").await.expect(200);
        let item = all["items"].as_array()?.iter().find(|item| {
            item["run_id"] == run.forge_id.as_str()
                && item["job_id"] == run.job_ids[0].as_str()
                && item["finished_at"] != Value::Null
        })?;
        assert_eq!(item["state"], "done", "{item:#}");
        Some(
            server.get(&format!("/v1/analyses/{}", item["id"].as_str()?)).await.expect(200)["report"].clone(),
        )
    })
    .await
}

fn failed() -> RunSpec {
    RunSpec::new(vec![JobSpec::failed("simulate", LOG)])
}

/// The file of the default branch is followed, that of the change is not, and the workspace's rules come first.
async fn followed(fake: &Fake) {
    let server = TestServer::start_for(fake).await;
    let repo = watched(&server, fake).await;
    fake.add_file(&repo, "main", FILE, &rule("all licences are in use"));
    // Who fails may not write the rule that hides it.
    fake.add_file(&repo, HEAD, FILE, "[[rule]]\nid = \"hide\"\npattern = 'licence'\nignore = true\n");
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(HEAD));
    let report = analysed(&server, fake, &repo, failed().for_pull(&pull)).await;
    assert_eq!(report["root_cause"], "all licences are in use", "{report:#}");
    assert_eq!(
        (&report["severity"], &report["evidence"][0]["rule"]),
        (&json!("high"), &json!("acme.licence"))
    );
    assert!(report["notes"].to_string().contains("tools team"), "{report:#}");
    let before = fake.requests().len();
    let rules = json!({ "rules": rule("the licence server is ours") });
    server.put("/v1/settings", rules).await.expect(200);
    let report = analysed(&server, fake, &repo, failed().for_pull(&pull)).await;
    assert_eq!(report["root_cause"], "the licence server is ours", "{report:#}");
    let reads = |request: &&forge_testkit::Recorded| format!("{request:?}").contains("forge-rca.toml");
    assert_eq!(fake.requests().iter().skip(before).filter(reads).count(), 0, "the file is known for minutes");
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

#[tokio::test]
async fn gitlab() {
    followed(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn github() {
    followed(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn bitbucket_cloud() {
    followed(&*FakeBitbucketCloud::start().await).await;
}

#[tokio::test]
async fn gitflic() {
    followed(&*FakeGitFlic::start().await).await;
}

#[tokio::test]
async fn bitbucket_dc() {
    followed(&*FakeBitbucketDc::start().await).await;
}

/// A file that cannot be used is a note and one incident, which ends when it is corrected.
#[tokio::test]
async fn a_faulty_file_costs_a_note_and_no_analysis() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = watched(&server, &fake).await;
    fake.add_file(&repo, "main", FILE, &format!("{}colour = 'red'\n", rule("x")));
    for number in 1..=2 {
        let spec = failed().with_sha(&format!("4be1f2000000000000000000000000000000000{number}"));
        let report = analysed(&server, &fake, &repo, spec).await;
        let notes = report["notes"].to_string();
        assert!(
            notes.contains(".forge-rca.toml on main is not followed: line 9 of the rules file"),
            "{notes}"
        );
        assert!(notes.contains("forge-rca rules test"), "{notes}");
        assert_ne!(report["root_cause"], "x");
    }
    let open = server.get("/v1/incidents").await.expect(200);
    let of_rules = |incidents: &Value| -> Vec<Value> {
        let items = incidents["items"].as_array().unwrap();
        items.iter().filter(|incident| incident["code"] == "rules_invalid").cloned().collect()
    };
    let found = of_rules(&open);
    assert_eq!(found.len(), 1, "{open:#}");
    assert!(found[0]["message"].as_str().unwrap().contains("acme/shop"), "{open:#}");
    assert!(found[0]["remedy"].as_str().unwrap().contains("main"), "{open:#}");
    assert_eq!(found[0]["resolved_at"], Value::Null);

    // A process that has not read it yet sees that it is corrected.
    let folder = Arc::clone(&server.folder);
    server.stop().await;
    fake.add_file(&repo, "main", FILE, &rule("all licences are in use"));
    let server = TestServer::start_in(folder, Role::All, |_| {}).await;
    let hook = fake.hooks(&repo).remove(0);
    assert!(!hook.url.is_empty());
    let run = fake.add_run(&repo, &failed().with_sha("4be1f20000000000000000000000000000000003"));
    let integration = server.get("/v1/integrations").await.expect(200)["items"][0]["id"].clone();
    // The port is another one: the run is asked for by hand.
    let asked = json!({ "integration_id": integration, "repository": "acme/shop", "run_id": run.forge_id });
    let answer = server.post("/v1/analyses", asked).await.expect(202);
    let id = answer["analyses"][0]["id"].as_str().unwrap().to_owned();
    let analysis = eventually("it is analysed", async || {
        let analysis = server.get(&format!("/v1/analyses/{id}")).await.expect(200);
        (analysis["finished_at"] != Value::Null).then_some(analysis)
    })
    .await;
    assert_eq!(analysis["report"]["root_cause"], "all licences are in use", "{analysis:#}");
    let found = of_rules(&server.get("/v1/incidents").await.expect(200));
    assert!(found.iter().all(|incident| incident["resolved_at"] != Value::Null), "{found:#?}");
    server.stop().await;
}

/// A forge that does not give the file, or a file without end, leaves the analysis as it is.
#[tokio::test]
async fn what_cannot_be_read_is_said_and_not_waited_for() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = watched(&server, &fake).await;
    let contents = "/api/v3/repos/*/*/contents/*";
    fake.fail_times("GET", contents, Fault::Status(404), 1);
    let report = analysed(&server, &fake, &repo, failed().with_sha(HEAD)).await;
    assert_eq!(report["notes"], json!([]), "there is none: {report:#}");
    server.stop().await;

    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/tools");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    fake.add_file(&repo, "main", FILE, &"# x\n".repeat(20_000));
    let report = analysed(&server, &fake, &repo, failed().with_sha(HEAD)).await;
    let notes = report["notes"].to_string();
    assert!(notes.contains("it is larger than 64 KiB"), "{notes}");
    server.stop().await;
}

/// A log that is sent in follows the workspace's rules.
#[tokio::test]
async fn of_an_ingested_log() {
    let server = TestServer::start().await;
    server.put("/v1/settings", json!({ "rules": rule("the licence server is ours") })).await.expect(200);
    let request = server.request(reqwest::Method::POST, "/v1/ingest/raw?project=shop&wait=30");
    let analysis = server.send(request.bearer_auth(OWNER).body(LOG)).await.expect(200);
    assert_eq!(analysis["report"]["root_cause"], "the licence server is ours", "{analysis:#}");
    server.stop().await;
}
