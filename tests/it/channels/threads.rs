//! A branch that turns red, stays red and turns green, as threads show it.

use forge_testkit::{FakeGitLab, JobSpec, RunSpec};
use serde_json::{Value, json};

use super::{
    sink::{add, log},
    wire::{Seen, Wire},
};
use crate::support::{TestServer, pytest_log};

/// What the channel saw of it.
async fn red_red_green(kind: &str) -> Vec<Seen> {
    let (server, fake, wire) = (TestServer::start().await, FakeGitLab::start().await, Wire::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let channel = add(&server, wire.channel(kind)).await;
    let push = async |job: JobSpec, sha: &str| {
        let run = fake.add_run(&repo, &RunSpec::new(vec![job]).with_branch("main").with_sha(&sha.repeat(40)));
        fake.deliver(&run).await;
    };
    push(JobSpec::failed("test", pytest_log()), "a").await;
    log(&server, &channel, &["sent"]).await;
    push(JobSpec::failed("test", pytest_log()), "b").await;
    log(&server, &channel, &["sent", "sent"]).await;
    push(JobSpec::green("test"), "c").await;
    wire.sees(5).await;
    server.idle().await;
    let seen = wire.seen();
    assert_eq!(seen.len(), 5, "three messages, two edits: {seen:#?}");
    server.stop().await;
    seen
}

#[track_caller]
fn texts(messages: &[&Seen], text: impl Fn(&Value) -> &Value) {
    for (seen, part) in messages.iter().zip(["main is red", "main is still red", "main is green again"]) {
        let text = text(&seen.body).as_str().unwrap();
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn slack_bot() {
    let seen = red_red_green("slack").await;
    assert!(seen.iter().all(|seen| seen.headers["authorization"] == "Bearer xoxb-bot"));
    let of =
        |method: &str| -> Vec<&Seen> { seen.iter().filter(|seen| seen.path.ends_with(method)).collect() };
    let messages = of("chat.postMessage");
    texts(&messages, |body| &body["text"]);
    let threads: Vec<&Value> = messages.iter().map(|seen| &seen.body["thread_ts"]).collect();
    assert_eq!(threads, [&Value::Null, &json!("1.0"), &json!("1.0")]);
    let mut edited: Vec<&str> =
        of("chat.update").iter().map(|seen| seen.body["ts"].as_str().unwrap()).collect();
    edited.sort_unstable();
    assert_eq!(edited, ["1.0", "2.0"]);
    assert!(of("chat.update").iter().all(|seen| seen.body.to_string().contains("This is over")));
}

#[tokio::test]
async fn matrix_room() {
    let seen = red_red_green("matrix").await;
    let room = "/_matrix/client/v3/rooms/%21r%3Aexample.com/send/m.room.message/";
    assert!(seen.iter().all(|seen| seen.path.starts_with(room)), "{seen:#?}");
    let mut transactions: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    transactions.sort_unstable();
    transactions.dedup();
    assert_eq!(transactions.len(), 5, "each its own");
    let relation = |seen: &Seen, name: &str| seen.body["m.relates_to"][name].as_str().map(str::to_owned);
    let (edits, messages): (Vec<&Seen>, Vec<&Seen>) =
        seen.iter().partition(|seen| relation(seen, "rel_type").as_deref() == Some("m.replace"));
    texts(&messages, |body| &body["body"]);
    let threads: Vec<Option<String>> = messages.iter().map(|seen| relation(seen, "event_id")).collect();
    assert_eq!(threads, [None, Some("$1".to_owned()), Some("$1".to_owned())]);
    let mut edited: Vec<Option<String>> = edits.iter().map(|seen| relation(seen, "event_id")).collect();
    edited.sort();
    assert_eq!(edited, [Some("$1".to_owned()), Some("$2".to_owned())]);
    assert!(
        edits
            .iter()
            .all(|seen| seen.body["m.new_content"]["body"].as_str().unwrap().contains("This is over"))
    );
}
