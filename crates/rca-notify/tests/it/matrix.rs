use std::time::Duration;

use forge_core::{ErrorKind, Retry};
use rca_notify::Place;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::{message, only_request, open};

async fn server(reply: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("PUT")).respond_with(reply).mount(&server).await;
    server
}

fn config(server: &MockServer) -> Value {
    json!({ "homeserver_url": server.uri(), "access_token": "canary", "room_id": "!room:m.example" })
}

fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "event_id": "$first" }))
}

#[tokio::test]
async fn every_text_is_inert_and_the_key_is_the_transaction() {
    let server = server(accepted()).await;
    let matrix = open("matrix", &config(&server));
    assert!(matrix.can_edit() && matrix.is_repeatable());
    assert_eq!(matrix.send(&message(), Place::New).await.unwrap().id, "$first");
    let (request, body) = only_request(&server).await;
    assert_eq!(
        request.url.path(),
        "/_matrix/client/v3/rooms/%21room%3Am.example/send/m.room.message/analysis-7"
    );
    assert_eq!(request.headers.get("authorization").unwrap(), "Bearer canary");
    assert_eq!((&body["msgtype"], &body["m.mentions"]), (&json!("m.notice"), &json!({})));
    let html = body["formatted_body"].as_str().unwrap();
    assert_eq!(html.matches("<a ").count(), 1, "only the link that we built: {html}");
    assert!(html.contains("href=\"https://rca.example/analyses/7?a=1&amp;b=2\""));
    assert!(!html.contains("<b>") && !html.contains("<!channel>") && html.contains("&lt;b&gt;x&lt;/b&gt;"));
    assert!(!html.contains('\u{202e}') && !body["body"].as_str().unwrap().contains('\u{202e}'));
}

#[tokio::test]
async fn threads_and_replacements() {
    let server = server(accepted()).await;
    let matrix = open("matrix", &config(&server));
    let first = matrix.send(&message(), Place::New).await.unwrap();
    matrix.send(&message(), Place::Reply(&first)).await.unwrap();
    let edited = matrix.send(&message(), Place::Edit(&first)).await.unwrap();
    assert_eq!(edited, first);
    let requests = server.received_requests().await.unwrap();
    let bodies: Vec<Value> = requests.iter().map(|it| serde_json::from_slice(&it.body).unwrap()).collect();
    assert_eq!(bodies[1]["m.relates_to"]["rel_type"], "m.thread");
    assert_eq!(bodies[1]["m.relates_to"]["event_id"], "$first");
    assert_eq!(bodies[2]["m.relates_to"], json!({ "rel_type": "m.replace", "event_id": "$first" }));
    assert_eq!(bodies[2]["m.new_content"]["msgtype"], "m.notice");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (status, code, kind) in [
        (401, "M_UNKNOWN_TOKEN", ErrorKind::Unauthorized),
        (403, "M_FORBIDDEN", ErrorKind::Forbidden),
        (404, "M_NOT_FOUND", ErrorKind::NotFound),
        (413, "M_TOO_LARGE", ErrorKind::TooLarge),
        (400, "M_BAD_JSON", ErrorKind::Invalid),
    ] {
        let server = server(ResponseTemplate::new(status).set_body_json(json!({ "errcode": code }))).await;
        let error = open("matrix", &config(&server)).send(&message(), Place::New).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    let body = json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 90_000 });
    let server = server(ResponseTemplate::new(429).set_body_json(body)).await;
    let error = open("matrix", &config(&server)).send(&message(), Place::New).await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(90)));
}
