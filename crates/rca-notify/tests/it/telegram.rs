use std::time::Duration;

use forge_core::{ErrorKind, Retry};
use rca_notify::{ExcerptLine, Place};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use crate::{message, only_request, open};

async fn server(reply: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path("/bot12:canary/sendMessage")).respond_with(reply.clone()).mount(&server).await;
    Mock::given(path("/bot12:canary/editMessageText")).respond_with(reply).mount(&server).await;
    server
}

fn config(server: &MockServer) -> Value {
    json!({ "bot_token": "12:canary", "chat_id": -1001, "api_base_url": server.uri() })
}

fn sent(id: i64) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "ok": true, "result": { "message_id": id } }))
}

fn refused(status: u16, description: &str, parameters: Value) -> ResponseTemplate {
    let body =
        json!({ "ok": false, "error_code": status, "description": description, "parameters": parameters });
    ResponseTemplate::new(status).set_body_json(body)
}

/// The part of `text` that an entity covers, counted as Telegram does.
fn covered(text: &str, entity: &Value) -> String {
    let units: Vec<u16> = text.encode_utf16().collect();
    let (offset, length) =
        (entity["offset"].as_u64().unwrap() as usize, entity["length"].as_u64().unwrap() as usize);
    String::from_utf16(&units[offset..offset + length]).unwrap()
}

#[tokio::test]
async fn every_text_is_inert_and_entities_fit() {
    let server = server(sent(5)).await;
    let telegram = open("telegram", &config(&server));
    assert_eq!(telegram.send(&message(), Place::New).await.unwrap().id, "5");
    let (_, body) = only_request(&server).await;
    let text = body["text"].as_str().unwrap();
    let entities = body["entities"].as_array().unwrap();
    assert!(body.get("parse_mode").is_none());
    assert_eq!(body["link_preview_options"]["is_disabled"], true);
    let of = |kind: &str| {
        let found: Vec<String> =
            entities.iter().filter(|it| it["type"] == kind).map(|it| covered(text, it)).collect();
        found
    };
    assert_eq!(of("text_link"), ["open the report"]);
    assert!(of("pre")[0].contains(">10 | error: <!channel> @everyone"), "code shows it as it is");
    assert!(of("code")[0].starts_with("<!channel>"));
    // Outside of code nothing is left that Telegram makes clickable by itself.
    let mut plain = text.to_owned();
    for code in of("pre").into_iter().chain(of("code")) {
        plain = plain.replacen(&code, "", 1);
    }
    for live in ["@everyone", "https://evil", "evil.example", "/stop"] {
        assert!(!plain.contains(live), "{live} in {plain}");
    }
    assert!(!text.contains('\u{202e}'));
}

#[tokio::test]
async fn long_messages_stay_within_the_limit() {
    let server = server(sent(5)).await;
    let mut long = message();
    long.text = vec!["\u{1f600}".repeat(2000); 20];
    long.excerpt =
        (1..500).map(|number| ExcerptLine { number, text: "x".repeat(280), is_focus: false }).collect();
    open("telegram", &config(&server)).send(&long, Place::New).await.unwrap();
    let (_, body) = only_request(&server).await;
    let text = body["text"].as_str().unwrap();
    assert!(text.encode_utf16().count() <= 4096);
    for entity in body["entities"].as_array().unwrap() {
        assert!(!covered(text, entity).is_empty());
    }
}

#[tokio::test]
async fn replies_edits_and_unchanged_texts() {
    let server = server(sent(5)).await;
    let telegram = open("telegram", &config(&server));
    let first = telegram.send(&message(), Place::New).await.unwrap();
    telegram.send(&message(), Place::Reply(&first)).await.unwrap();
    telegram.send(&message(), Place::Edit(&first)).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let bodies: Vec<Value> = requests.iter().map(|it| serde_json::from_slice(&it.body).unwrap()).collect();
    assert_eq!(bodies[1]["reply_parameters"]["message_id"], 5);
    assert_eq!(
        (requests[2].url.path(), &bodies[2]["message_id"]),
        ("/bot12:canary/editMessageText", &json!(5))
    );
    let same = self::server(refused(400, "Bad Request: message is not modified", json!({}))).await;
    let again = open("telegram", &config(&same)).send(&message(), Place::Edit(&first)).await.unwrap();
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_moved_chat_is_followed() {
    let server = MockServer::start().await;
    let moved =
        refused(400, "Bad Request: group chat was upgraded", json!({ "migrate_to_chat_id": -100_777 }));
    Mock::given(path("/bot12:canary/sendMessage")).respond_with(moved).up_to_n_times(1).mount(&server).await;
    Mock::given(path("/bot12:canary/sendMessage")).respond_with(sent(6)).mount(&server).await;
    let sent = open("telegram", &config(&server)).send(&message(), Place::New).await.unwrap();
    assert_eq!((sent.id.as_str(), sent.place.as_deref()), ("6", Some("-100777")));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (status, description, kind) in [
        (401, "Unauthorized", ErrorKind::Unauthorized),
        (404, "Not Found", ErrorKind::Unauthorized),
        (403, "Forbidden: bot was blocked by the user", ErrorKind::Forbidden),
        (400, "Bad Request: chat not found", ErrorKind::NotFound),
        (400, "Bad Request: message to edit not found", ErrorKind::Conflict),
        (400, "Bad Request: can't parse entities", ErrorKind::Invalid),
        (502, "Bad Gateway", ErrorKind::Forge),
    ] {
        let server = server(refused(status, description, json!({}))).await;
        let error = open("telegram", &config(&server)).send(&message(), Place::New).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{description}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let server = server(refused(429, "Too Many Requests", json!({ "retry_after": 17 }))).await;
    let error = open("telegram", &config(&server)).send(&message(), Place::New).await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(17)));
}

#[test]
fn a_token_cannot_leave_its_place_in_the_path() {
    let config = json!({ "bot_token": "1/../../x", "chat_id": 1 });
    let config = rca_notify::ChannelConfig::parse("telegram", &config).unwrap();
    assert_eq!(crate::outlets().open(&config, None).unwrap_err().kind(), ErrorKind::InvalidInput);
}
