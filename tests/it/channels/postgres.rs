//! Channels of two servers on PostgreSQL: each thing is told once, whoever dies.

use std::sync::Arc;

use forge_testkit::{FakeGitLab, JobSpec, RunSpec};
use rca_store::testing::{Database, execute};
use secrecy::SecretString;
use serde_json::json;
use server::Role;

use super::{
    sink::{add, log},
    wire::{Fate, Wire},
};
use crate::support::{TestServer, cargo_log, eventually, pytest_log};

#[tokio::test]
async fn two_servers_tell_each_thing_once() {
    let Some(database) = Database::postgres().await else { return };
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let start = || {
        let url = database.url().to_owned();
        TestServer::start_in(Arc::clone(&folder), Role::All, move |config| {
            config.database_url = Some(SecretString::from(url));
            config.worker_lease = 2;
        })
    };
    let (first, second) = (start().await, start().await);
    let (fake, wire, daily) = (FakeGitLab::start().await, Wire::start().await, Wire::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = first.connect(&fake).await;
    first.monitor(&integration, &repo).await;
    let telegram = add(&first, wire.channel("telegram")).await;
    let webhook = add(&second, wire.channel("webhook")).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    first.put("/v1/settings", json!({ "digest": { "hour": (now / 3600 + 12) % 24 } })).await.expect(200);
    let mut request = daily.channel("telegram");
    request["digest"] = json!(true);
    let digest = add(&first, request).await;

    let fail = async |server: &TestServer, sha: &str, log: String| {
        let jobs = vec![JobSpec::failed("test", log.clone()), JobSpec::failed("again", log)];
        fake.deliver(&fake.add_run(&repo, &RunSpec::new(jobs).with_sha(&sha.repeat(40)))).await;
        server.idle().await;
    };
    fail(&first, "a", pytest_log()).await;
    fail(&second, "b", cargo_log()).await;
    for channel in [&telegram, &webhook] {
        log(&first, channel, &["sent", "sent"]).await;
    }
    log(&second, &digest, &["held", "held"]).await;
    assert_eq!(wire.seen().len(), 4, "two channels, two causes: {:#?}", wire.seen());

    // Green: a reply and two edits in the chat; one more event for the webhook.
    fake.deliver(&fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("test")]).with_sha(&"c".repeat(40))))
        .await;
    wire.sees(8).await;
    second.idle().await;
    log(&second, &digest, &["held", "held", "held"]).await;
    let told = wire.seen().len();

    // A day passes: one digest, by whichever server.
    let day = 24 * 3_600_000;
    for statement in [
        format!("UPDATE notification SET created_at = created_at - {day}"),
        format!(
            "UPDATE task SET run_at = run_at - {day}, created_at = created_at - {day} WHERE kind = 'digest' AND state = 'ready'"
        ),
    ] {
        execute(database.url(), &statement).await;
    }
    daily.sees(1).await;
    eventually("it is settled", async || {
        let list = first.get(&format!("/v1/channels/{digest}/deliveries")).await.expect(200);
        (list["items"][0]["state"] == "sent").then_some(())
    })
    .await;
    first.idle().await;
    assert_eq!(daily.seen().len(), 1, "{:#?}", daily.seen());

    // Whoever sends when it is killed: the other one does not say it again.
    wire.expect(&[Fate::Silence, Fate::Silence]);
    let run = RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_sha(&"d".repeat(40));
    fake.deliver(&fake.add_run(&repo, &run)).await;
    wire.sees(told + 2).await;
    first.kill().await;
    second.kill().await;
    let third = start().await;
    let state = async |channel: &str| {
        let list = third.get(&format!("/v1/channels/{channel}/deliveries")).await.expect(200);
        list["items"][0]["state"].as_str().unwrap().to_owned()
    };
    eventually("both have ended", async || {
        let ends = (state(&telegram).await, state(&webhook).await);
        (ends == ("unknown".to_owned(), "sent".to_owned())).then_some(())
    })
    .await;
    third.idle().await;
    assert_eq!(
        wire.seen().len(),
        told + 3,
        "the webhook under the same id, the chat not: {:#?}",
        wire.seen()
    );
    third.stop().await;
}
