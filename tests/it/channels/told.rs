use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RunSpec};
use serde_json::json;

use super::sink::{Chat, add, ingest, log, smtp};
use crate::{
    many_jobs::own_cause,
    support::{TestServer, cargo_log, pytest_log},
};

#[tokio::test]
async fn a_run_of_many_causes_is_no_flood() {
    let (server, fake, chat) = (TestServer::start().await, FakeGitLab::start().await, Chat::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let channel = add(&server, chat.telegram()).await;
    let job = |number: usize| JobSpec::failed(&format!("leg {number}"), own_cause(number));
    let run = fake.add_run(&repo, &RunSpec::new((0..26).map(job).collect()).with_sha(&"a".repeat(40)));
    fake.deliver(&run).await;
    server.analyses("repository=acme/shop", 26).await;
    server.idle().await;
    let texts = chat.texts();

    assert_eq!(texts.len(), 11, "ten, and one for the others: {texts:#?}");
    let rest = texts.iter().find(|text| text.contains("16 more causes")).unwrap();
    assert!(rest.contains("and 11 more") && rest.contains("the run"), "{rest}");
    log(&server, &channel, &["sent"; 11]).await;
    fake.deliver(&run).await;
    server.idle().await;
    assert_eq!(chat.shown().len(), 11, "nothing is said twice");
    server.stop().await;
}

const HOSTILE: &str = "%3C!channel%3E%20@everyone%20*x*%20https://evil.example%20/stop";

#[tokio::test]
async fn a_run_is_told_by_cause_and_its_end_closes_the_thread() {
    let (server, fake, chat) = (TestServer::start().await, FakeGitLab::start().await, Chat::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let channel = add(&server, chat.telegram()).await;
    let (bad, good) = ("b".repeat(40), "c".repeat(40));
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(&bad));
    let jobs = vec![
        JobSpec::failed("test 3.12", pytest_log()),
        JobSpec::failed("test 3.13", pytest_log()).with_log_delay(1),
        JobSpec::failed("build", cargo_log()),
    ];
    let run = fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull));
    fake.deliver(&run).await;
    server.analyses("repository=acme/shop", 3).await;
    log(&server, &channel, &["sent", "sent"]).await;
    let texts = chat.texts();
    assert_eq!(texts.len(), 2, "one per cause: {texts:#?}");
    assert!(texts.iter().any(|text| text.contains("(x2)") && text.contains("test 3.13")), "{texts:#?}");
    // The forge tells it again: nothing is said twice.
    fake.deliver(&run).await;
    server.idle().await;
    assert_eq!(chat.shown().len(), 2);

    let spec = RunSpec::new(vec![JobSpec::green("test 3.12")]).for_pull(&pull).with_sha(&good);
    fake.deliver(&fake.add_run(&repo, &spec)).await;
    let shown = chat.shows(5).await;
    server.idle().await;
    assert_eq!(chat.shown().len(), 5, "one reply, two edits: {shown:#?}");
    let replies: Vec<_> = shown[2..].iter().filter(|(verb, _)| verb == "sendMessage").collect();
    assert_eq!(replies.len(), 1);
    assert!(replies[0].1["reply_parameters"]["message_id"].is_i64(), "in a thread: {replies:?}");
    let text = replies[0].1["text"].as_str().unwrap();
    assert!(text.contains("fixed by cccccccccccc"), "{text}");
    let mut edited: Vec<_> = shown.iter().filter(|(verb, _)| verb == "editMessageText").collect();
    edited.sort_by_key(|(_, body)| body["message_id"].as_i64());
    assert_eq!((&edited[0].1["message_id"], &edited[1].1["message_id"]), (&json!(1), &json!(2)));
    assert!(edited.iter().all(|(_, body)| body["text"].as_str().unwrap().contains("This is over")));
    server.stop().await;
}

#[tokio::test]
async fn the_default_branch_is_red_still_red_and_green_again() {
    let (server, fake, chat) = (TestServer::start().await, FakeGitLab::start().await, Chat::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let channel = add(&server, chat.telegram()).await;
    let push = async |job: JobSpec, sha: &str| {
        let run = fake.add_run(&repo, &RunSpec::new(vec![job]).with_branch("main").with_sha(sha));
        fake.deliver(&run).await;
    };
    push(JobSpec::failed("test", pytest_log()), &"a".repeat(40)).await;
    log(&server, &channel, &["sent"]).await;
    push(JobSpec::failed("test", pytest_log()), &"b".repeat(40)).await;
    log(&server, &channel, &["sent", "sent"]).await;
    push(JobSpec::green("test"), &"c".repeat(40)).await;
    let shown = chat.shows(5).await;
    server.idle().await;
    let news: Vec<_> = chat.shown().into_iter().filter(|(verb, _)| verb == "sendMessage").collect();
    assert_eq!(news.len(), 3, "{shown:#?}");
    for ((_, body), text) in news.iter().zip(["main is red", "main is still red", "main is green again"]) {
        assert!(body["text"].as_str().unwrap().contains(text), "{text}: {body}");
    }
    assert_eq!(news[1].1["reply_parameters"]["message_id"], 1, "the same cluster, the same thread");
    assert_eq!(news[2].1["reply_parameters"]["message_id"], 1);
    server.stop().await;
}

#[tokio::test]
async fn filters_decide() {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    let with = |name: &str, filters: serde_json::Value| {
        let mut channel = chat.telegram();
        channel["name"] = name.into();
        channel["filters"] = filters;
        channel
    };
    let shop = add(&server, with("shop", json!({ "repositories": ["acme/SHOP", "x*"] }))).await;
    let main = add(&server, with("main", json!({ "branches": ["main", "release/*"] }))).await;
    let new = add(&server, with("new", json!({ "first_occurrence_only": true }))).await;
    let off = add(&server, with("off", json!({}))).await;
    server.patch(&format!("/v1/channels/{off}"), json!({ "enabled": false })).await.expect(200);
    ingest(&server, "project=acme/shop&job_id=1&pipeline_id=1&branch=main", pytest_log()).await;
    log(&server, &new, &["sent"]).await;
    ingest(&server, "project=acme/till&job_id=2&pipeline_id=2&branch=release/1", pytest_log()).await;
    log(&server, &main, &["sent", "sent"]).await;
    ingest(&server, "project=acme/till&job_id=3&pipeline_id=3&branch=topic", pytest_log()).await;
    ingest(&server, "project=acme/till&job_id=4&pipeline_id=4", cargo_log()).await;
    log(&server, &new, &["sent", "sent"]).await;
    server.idle().await;
    log(&server, &shop, &["sent"]).await;
    log(&server, &main, &["sent", "sent"]).await;
    log(&server, &off, &[]).await;
    server.stop().await;
}

#[tokio::test]
async fn foreign_names_are_text_in_every_channel() {
    let (smtp, mails) = smtp().await;
    let server = TestServer::start_with(|config| {
        config.smtp_url = Some(smtp.into());
        config.smtp_from = Some("rca@example.com".to_owned());
    })
    .await;
    let chat = Chat::start().await;
    let telegram = add(&server, chat.telegram()).await;
    let slack = json!({ "kind": "slack", "name": "s", "config": { "webhook_url": format!("{}/incoming", chat.url()) } });
    let slack = add(&server, slack).await;
    let email =
        add(&server, json!({ "kind": "email", "name": "m", "config": { "to": ["a@example.com"] } })).await;
    let hook = json!({ "kind": "webhook", "name": "w", "config": { "url": format!("{}/own", chat.url()) } });
    let hook = add(&server, hook).await;
    let query = format!("project={HOSTILE}&job_id=1&job_name={HOSTILE}&branch={HOSTILE}");
    ingest(&server, &query, pytest_log()).await;
    for channel in [&telegram, &slack, &email, &hook] {
        log(&server, channel, &["sent"]).await;
    }
    for (verb, body) in chat.shown() {
        match verb.as_str() {
            "sendMessage" => assert!(body.get("parse_mode").is_none(), "{body}"),
            "incoming" => {
                // Only the fallback is parsed; in the blocks a text is a text.
                let fallback = body["text"].as_str().unwrap();
                assert!(!fallback.contains("<!channel>") && fallback.contains("&lt;!channel&gt;"), "{body}");
                let blocks = body["blocks"].to_string();
                for live in ["broadcast", "\"link\"", "mrkdwn"] {
                    assert!(!blocks.contains(live), "{live}: {blocks}");
                }
            }
            "own" => {
                assert_eq!(body["type"], "analysis.failed");
                assert_eq!(
                    body["data"]["jobs"][0]["name"],
                    "<!channel> @everyone *x* https://evil.example /stop"
                );
                assert!(body["data"]["evidence"]["focus_line"].as_u64().unwrap() > 0, "{body}");
            }
            other => panic!("{other}"),
        }
    }
    let requests = chat.requests().await;
    let signed = requests.iter().find(|request| request.url.path() == "/own").unwrap();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert!(signed.headers.contains_key(name), "{name}");
    }
    let mails = mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("Auto-Submitted: auto-generated"));
    let page = mails[0].split("text/html").nth(1).unwrap();
    assert!(page.contains("channel"), "{page}");
    assert!(!page.contains("<!channel>"), "{page}");
    server.stop().await;
}
