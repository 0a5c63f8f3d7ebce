//! One message a day, at its hour, once.

use std::sync::Arc;

use forge_testkit::{FakeGitLab, JobSpec, RepoHandle, RunSpec, State};
use serde_json::{Value, json};
use server::Role;

use super::sink::{Chat, add};
use crate::support::{TestServer, cargo_log, eventually, pytest_log};

/// An hour of the day that does not begin while the test runs.
fn another_hour() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now / 3600 % 24).unwrap() + 12
}

/// To all that is stored it is the same whether a day passes or everything becomes a day older.
async fn a_day_passes(server: &TestServer) {
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    let day = 24 * 3_600_000;
    for statement in [
        format!("UPDATE notification SET created_at = created_at - {day}"),
        // The key of a digest is its day.
        "UPDATE notification SET message_key = 'before:' || id WHERE event = 'digest'".to_owned(),
        format!(
            "UPDATE cluster SET first_seen_at = first_seen_at - {day}, last_seen_at = last_seen_at - {day}"
        ),
        format!(
            "UPDATE mark SET value = json_set(value, '$.at', json_extract(value, '$.at') - {day}, \
             '$.due', json_extract(value, '$.due') - {day}) WHERE name LIKE 'digest:%'"
        ),
        format!(
            "UPDATE task SET run_at = run_at - {day}, created_at = created_at - {day} WHERE kind = 'digest' AND state = 'ready'"
        ),
    ] {
        rca_store::testing::execute(&database, &statement).await;
    }
}

async fn fail(
    server: &TestServer,
    fake: &FakeGitLab,
    repo: &RepoHandle,
    branch: &str,
    sha: &str,
    log: String,
) {
    let run = RunSpec::new(vec![JobSpec::failed("test", log)]).with_branch(branch).with_sha(&sha.repeat(40));
    fake.deliver(&fake.add_run(repo, &run)).await;
    server.idle().await;
}

async fn states(server: &TestServer, channel: &str) -> Vec<(String, String)> {
    let list = server.get(&format!("/v1/channels/{channel}/deliveries")).await.expect(200);
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(|item| (text(item, "event"), text(item, "state"))).collect()
}

async fn watched(server: &TestServer, fake: &FakeGitLab) -> RepoHandle {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    repo
}

#[tokio::test]
async fn a_day_is_one_message() {
    let (server, fake, chat) = (TestServer::start().await, FakeGitLab::start().await, Chat::start().await);
    let hour = another_hour() % 24;
    server.put("/v1/settings", json!({ "digest": { "hour": hour } })).await.expect(200);
    let repo = watched(&server, &fake).await;
    let mut request = chat.telegram();
    request["digest"] = json!(true);
    let made = server.post("/v1/channels", request).await.expect(201);
    assert_eq!(made["digest"], true, "{made}");
    let channel = made["id"].as_str().unwrap().to_owned();
    let at_once = Chat::start().await;
    add(&server, at_once.telegram()).await;

    fail(&server, &fake, &repo, "main", "a", pytest_log()).await;
    fail(&server, &fake, &repo, "feature/refund", "b", cargo_log()).await;
    assert_eq!(at_once.shown().len(), 2, "others hear at once");
    let held = ("analysis.failed".to_owned(), "held".to_owned());
    assert_eq!(states(&server, &channel).await, [held.clone(), held.clone()]);

    // Two servers, and the hour comes: one of them makes it, and it is made once.
    let other = TestServer::start_in(Arc::clone(&server.folder), Role::Worker, |_| {}).await;
    a_day_passes(&server).await;
    chat.shows(1).await;
    server.idle().await;
    let first = chat.texts().remove(0);
    assert_eq!(chat.shown().len(), 1, "{:?}", chat.texts());
    for part in ["2 red, 2 new, 0 seen again, 0 fixed", "mismatched types", "acme/"] {
        assert!(first.contains(part), "'{part}' in {first}");
    }
    assert!(first.matches("new: ").count() == 2 && first.contains("main is red"), "{first}");
    assert!(!first.contains("still red"), "each is named once: {first}");
    let entities = chat.shown()[0].1["entities"].to_string();
    assert!(entities.contains("text_link"), "it leads to the runs: {entities}");
    let skipped = ("analysis.failed".to_owned(), "skipped".to_owned());
    assert_eq!(
        states(&server, &channel).await,
        [("digest".to_owned(), "sent".to_owned()), skipped.clone(), skipped]
    );
    other.stop().await;

    // The next day: one is fixed, the other fails again elsewhere.
    let green = RunSpec::new(vec![JobSpec::green("test")]).with_branch("main").with_sha(&"c".repeat(40));
    fake.deliver(&fake.add_run(&repo, &green.with_state(State::Success))).await;
    eventually("it is known to be green", async || {
        let known = states(&server, &channel).await;
        known.contains(&("run.fixed".to_owned(), "held".to_owned())).then_some(())
    })
    .await;
    fail(&server, &fake, &repo, "feature/other", "d", cargo_log()).await;
    assert_eq!(chat.shown().len(), 1);
    a_day_passes(&server).await;
    let second = chat.shows(2).await[1].1["text"].as_str().unwrap().to_owned();
    for part in ["2 red, 0 new, 1 seen again, 1 fixed", "main is green again", "still red: "] {
        assert!(second.contains(part), "'{part}' in {second}");
    }
    // A day on which nothing happens has no digest, though something is still red.
    server.idle().await;
    a_day_passes(&server).await;
    server.idle().await;
    let metrics =
        server.http.get(format!("{}/metrics", server.admin)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("forge_rca_tasks{state=\"ready\"} 0"));
    assert_eq!(chat.shown().len(), 2);

    // Switched off: what was held is told at once, and then each thing.
    fail(&server, &fake, &repo, "feature/third", "e", pytest_log()).await;
    assert_eq!(chat.shown().len(), 2);
    server.patch(&format!("/v1/channels/{channel}"), json!({ "digest": false })).await.expect(200);
    let third = chat.shows(3).await[2].1["text"].as_str().unwrap().to_owned();
    assert!(third.contains("1 seen again"), "{third}");
    fail(&server, &fake, &repo, "feature/fourth", "f", pytest_log()).await;
    let fourth = chat.shows(4).await[3].1["text"].as_str().unwrap().to_owned();
    assert!(!fourth.contains("seen again,"), "{fourth}");
    server.stop().await;
}

/// The process dies after it has made the digest and before it has sent it, and again later.
#[tokio::test]
async fn a_digest_survives_its_server() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let chat = Chat::start().await;
    let channel;
    {
        let fake = FakeGitLab::start().await;
        let server = TestServer::start_in(Arc::clone(&folder), Role::All, |_| {}).await;
        let hour = another_hour() % 24;
        server.put("/v1/settings", json!({ "digest": { "hour": hour } })).await.expect(200);
        let repo = watched(&server, &fake).await;
        let mut request = chat.telegram();
        request["digest"] = json!(true);
        channel = add(&server, request).await;
        fail(&server, &fake, &repo, "main", "a", pytest_log()).await;
        chat.set_outage(Some(wiremock::ResponseTemplate::new(503)));
        a_day_passes(&server).await;
        eventually("the digest was tried", async || {
            (states(&server, &channel).await.first()?.0 == "digest" && !chat.requests().await.is_empty())
                .then_some(())
        })
        .await;
        // Dropped, not stopped: nothing is put in order.
    }
    chat.set_outage(None);
    let server = TestServer::start_in(folder, Role::All, |_| {}).await;
    chat.shows(1).await;
    server.idle().await;
    assert_eq!(chat.shown().len(), 1, "{:?}", chat.texts());
    assert_eq!(states(&server, &channel).await[0], ("digest".to_owned(), "sent".to_owned()));
    let other = server
        .post("/v1/channels", json!({ "kind": "telegram", "name": "x", "config": {}, "digest": 7 }))
        .await;
    other.expect_error(422, "invalid_field");
    server.stop().await;
}
