//! Polling alone: a green run that nobody announces is learned, also where nothing is said at the forge.

use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, JobSpec, RunSpec, State,
};
use serde_json::json;

use crate::{
    channels::sink::{Chat, add},
    support::{TestServer, eventually, log_sources, pytest_log},
};

const BROKEN: &str = "4be1f20000000000000000000000000000000001";
const MENDED: &str = "4be1f20000000000000000000000000000000002";

async fn main_turns_green(fake: &Fake) {
    let chat = Chat::start().await;
    let server = TestServer::start_with(|config| {
        config.poll_interval = 1;
        config.log_sources = log_sources(fake);
    })
    .await;
    add(&server, chat.telegram()).await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    let path = format!("/v1/integrations/{integration}");
    let silent = json!({ "pr_comment": false, "commit_comment": false, "issue": false, "status": false });
    server.patch(&path, json!({ "mode": "polling", "feedback": silent })).await.expect(200);
    let id = server.discovered(&integration, &repo).await;
    server.post(&format!("{path}/repositories/monitor"), json!({ "add": [id] })).await.expect(200);
    assert!(fake.hooks(&repo).is_empty(), "nobody announces anything");
    // The first look only remembers when it was.
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    eventually("the poll has looked", async || {
        let marks = "SELECT name FROM mark WHERE name LIKE 'poll:%'";
        (!rca_store::testing::texts(&database, marks).await.is_empty()).then_some(())
    })
    .await;
    let run = |job: JobSpec, sha: &str| RunSpec::new(vec![job]).with_branch("main").with_sha(sha);
    fake.add_run(&repo, &run(JobSpec::failed("test", pytest_log()), BROKEN));
    let analysis = server.analyses(&format!("repository={}", repo.full_name), 1).await.remove(0);
    assert_eq!((&analysis["source"], &analysis["state"]), (&json!("poll"), &json!("done")), "{analysis:#}");
    let red = chat.shows(1).await;
    assert!(red[0].1["text"].as_str().unwrap().contains("main"), "{red:#?}");

    fake.add_run(&repo, &run(JobSpec::green("test"), MENDED).with_state(State::Success));
    let shown = chat.shows(3).await;
    let news: Vec<&str> = shown[1..].iter().filter_map(|(_, body)| body["text"].as_str()).collect();
    assert!(news.iter().any(|text| text.contains("main is green again, fixed by 4be1f2")), "{news:#?}");
    let clusters = server.get("/v1/clusters").await.expect(200);
    let cluster = &clusters["items"][0];
    assert_eq!(
        (&cluster["state"], &cluster["last_fix"]),
        (&json!("resolved"), &json!(MENDED)),
        "{cluster:#}"
    );

    // Nothing red is left: the forge is asked for failures, and for nothing else again and again.
    fake.forget_requests();
    eventually("some more looks", async || (fake.requests().len() >= 12).then_some(())).await;
    assert_eq!(chat.shown().len(), 3, "said once: {:?}", chat.texts());
    assert!(fake.all_comments().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn github() {
    main_turns_green(&*FakeGitHub::start().await).await;
}

#[tokio::test]
async fn gitlab() {
    main_turns_green(&*FakeGitLab::start().await).await;
}

#[tokio::test]
async fn bitbucket_cloud() {
    main_turns_green(&*FakeBitbucketCloud::start().await).await;
}

#[tokio::test]
async fn gitflic() {
    main_turns_green(&*FakeGitFlic::start().await).await;
}

#[tokio::test]
async fn bitbucket_dc() {
    main_turns_green(&*FakeBitbucketDc::start().await).await;
}
