use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::sink::{Chat, add, ingest, log};
use crate::support::{TestServer, cargo_log, eventually, pytest_log};

fn refused(status: u16, description: &str, parameters: &Value) -> ResponseTemplate {
    let body =
        json!({ "ok": false, "error_code": status, "description": description, "parameters": parameters });
    ResponseTemplate::new(status).set_body_json(body)
}

async fn incidents(server: &TestServer) -> Vec<Value> {
    let list = server.get("/v1/incidents").await.expect(200);
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_the_chat_cannot_take_now_arrives_later_and_once() {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    let channel = add(&server, chat.telegram()).await;
    chat.refuse(vec![
        refused(429, "Too Many Requests", &json!({ "retry_after": 1 })),
        refused(429, "Too Many Requests", &json!({})),
        ResponseTemplate::new(503),
        // Markup that the chat does not understand: plain is better than silent.
        refused(400, "Bad Request: can't parse entities", &json!({})),
    ]);
    ingest(&server, "project=shop&job_id=1", pytest_log()).await;
    let told = log(&server, &channel, &["sent"]).await;
    assert!(told[0]["attempts"].as_i64().unwrap() >= 2, "{told:?}");
    assert_eq!(told[0]["error"], Value::Null);
    server.idle().await;
    let shown = chat.shown();
    assert_eq!(shown.len(), 1);
    assert!(shown[0].1.get("entities").is_none(), "{shown:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_chat_that_is_down_for_an_hour_misses_nothing() {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    let channel = add(&server, chat.telegram()).await;
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    let tried = async |at_least: i64| {
        eventually(&format!("each was tried {at_least} times"), async || {
            let list = server.get(&format!("/v1/channels/{channel}/deliveries")).await.expect(200);
            let items = list["items"].as_array()?.clone();
            let is_tried = |item: &Value| item["attempts"].as_i64() >= Some(at_least);
            (items.len() == 2 && items.iter().all(is_tried)).then_some(items)
        })
        .await
    };
    // To the queue it is the same whether the clock goes on or its tasks become older.
    let pass = async |minutes: i64| {
        let by = minutes * 60_000;
        let statement = format!(
            "UPDATE task SET created_at = created_at - {by}, run_at = run_at - {by} WHERE kind = 'notify' AND state = 'ready'"
        );
        rca_store::testing::execute(&database, &statement).await;
    };
    chat.set_outage(Some(ResponseTemplate::new(503)));
    ingest(&server, "project=shop&job_id=1&pipeline_id=1", pytest_log()).await;
    ingest(&server, "project=shop&job_id=2&pipeline_id=2", cargo_log()).await;
    tried(1).await;
    for look in 2..6 {
        pass(15).await;
        for item in tried(look).await {
            assert_eq!(item["state"], "pending", "{item}");
            assert!(item["error"].as_str().unwrap().contains("503"), "{item}");
        }
    }
    chat.set_outage(None);
    eventually("all has arrived", async || {
        pass(15).await;
        (chat.shown().len() >= 2).then_some(())
    })
    .await;
    log(&server, &channel, &["sent", "sent"]).await;
    server.idle().await;
    assert_eq!(chat.shown().len(), 2, "each once");
    assert_eq!(incidents(&server).await, Vec::<Value>::new(), "a chat that is down is nobody's fault");
    server.stop().await;
}

#[tokio::test]
async fn a_lost_answer_is_not_guessed() {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    let channel = add(&server, chat.telegram()).await;
    chat.refuse(vec![ResponseTemplate::new(200).set_body_string("<html>a proxy</html>")]);
    ingest(&server, "project=shop&job_id=1", pytest_log()).await;
    let told = log(&server, &channel, &["unknown"]).await;
    assert!(told[0]["error"].as_str().unwrap().contains("twice"), "{told:?}");
    server.idle().await;
    assert!(chat.shown().is_empty(), "it is not sent again");
    server.stop().await;
}

#[tokio::test]
async fn a_channel_that_refuses_is_switched_off_and_somebody_is_told() {
    let (server, chat, other) = (TestServer::start().await, Chat::start().await, Chat::start().await);
    let mut quiet = chat.telegram();
    quiet["incidents"] = json!(false);
    let channel = add(&server, quiet).await;
    let mut watcher = other.telegram();
    watcher["filters"] = json!({ "repositories": ["none"] });
    watcher["incidents"] = json!(true);
    add(&server, watcher).await;
    let path = format!("/v1/channels/{channel}");
    chat.set_outage(Some(refused(403, "Forbidden: bot was kicked", &json!({}))));
    for number in 1..=5 {
        ingest(&server, &format!("project=shop&job_id={number}&pipeline_id={number}"), pytest_log()).await;
        log(&server, &channel, &vec!["failed"; number]).await;
        let is_enabled = server.get(&path).await.expect(200)["enabled"].clone();
        assert_eq!(is_enabled, number < 5, "{number} refusals");
    }
    let shown = server.get(&path).await.expect(200);
    assert!(shown["disabled_reason"].as_str().unwrap().contains("may not write"), "{shown}");
    let open = incidents(&server).await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0]["code"].as_str().unwrap().starts_with("channel_disabled"));
    assert!(open[0]["remedy"].as_str().unwrap().contains(&channel), "{open:?}");
    other.shows(1).await;
    assert!(other.texts()[0].contains("team chat"), "{:?}", other.texts());
    ingest(&server, "project=shop&job_id=6&pipeline_id=6", pytest_log()).await;
    server.idle().await;
    log(&server, &channel, &["failed"; 5]).await;

    let tried = server.post(&format!("{path}/test"), json!({})).await.expect(200);
    assert_eq!(tried["state"], "failed", "{tried}");
    assert_eq!(server.get(&path).await.expect(200)["enabled"], false);
    chat.set_outage(None);
    let tried = server.post(&format!("{path}/test"), json!({})).await.expect(200);
    assert_eq!((&tried["state"], &tried["event"]), (&json!("sent"), &json!("test")));
    assert_eq!(server.get(&path).await.expect(200)["enabled"], true);
    assert!(incidents(&server).await[0]["resolved_at"].is_string());
    other.shows(2).await;
    assert_eq!(other.shown()[1].1["reply_parameters"]["message_id"], 1, "the end answers the beginning");
    ingest(&server, "project=shop&job_id=7&pipeline_id=7", pytest_log()).await;
    chat.shows(2).await;
    server.idle().await;
    assert_eq!((chat.shown().len(), other.shown().len()), (2, 2));
    server.stop().await;
}

#[tokio::test]
async fn a_rejected_token_switches_off_at_once_and_a_new_one_repairs() {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    let channel = add(&server, chat.telegram()).await;
    chat.refuse(vec![refused(401, "Unauthorized", &json!({}))]);
    ingest(&server, "project=shop&job_id=1", pytest_log()).await;
    log(&server, &channel, &["failed"]).await;
    let path = format!("/v1/channels/{channel}");
    let stopped = server.get(&path).await.expect(200);
    assert_eq!(stopped["enabled"], false, "{stopped}");
    assert!(!stopped.to_string().contains("canary"), "{stopped}");
    let config = chat.telegram()["config"].clone();
    let repaired = server.patch(&path, json!({ "config": config })).await.expect(200);
    assert_eq!((&repaired["enabled"], &repaired["disabled_reason"]), (&json!(true), &Value::Null));
    assert!(incidents(&server).await[0]["resolved_at"].is_string());
    server.idle().await;
    server.stop().await;
}
