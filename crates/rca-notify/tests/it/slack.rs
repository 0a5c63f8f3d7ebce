use forge_core::ErrorKind;
use rca_notify::{Place, Sent};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use crate::{HOSTILE, message, only_request, open};

async fn server(reply: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(reply).mount(&server).await;
    server
}

fn bot(server: &MockServer) -> Value {
    json!({ "bot_token": "xoxb-canary", "channel": "C1", "api_base_url": format!("{}/api", server.uri()) })
}

fn posted() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "ok": true, "ts": "1.2", "channel": "C0" }))
}

#[tokio::test]
async fn every_text_is_inert() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/api/chat.postMessage"))
        .and(header("authorization", "Bearer xoxb-canary"))
        .respond_with(posted())
        .mount(&server)
        .await;
    let sent = open("slack", &bot(&server)).send(&message(), Place::New).await.unwrap();
    assert_eq!((sent.id.as_str(), sent.place.as_deref()), ("1.2", Some("C0")));
    let (_, body) = only_request(&server).await;
    // The notification's line is the only text that Slack parses.
    let text = body["text"].as_str().unwrap();
    assert!(!text.contains('<') && !text.contains('>') && text.contains("&lt;!channel&gt;"), "{text}");
    let parts = body["blocks"][0]["elements"].as_array().unwrap();
    assert_eq!(body["blocks"].as_array().unwrap().len(), 1);
    let mut links = 0;
    for element in parts.iter().flat_map(|part| part["elements"].as_array().unwrap()) {
        match element["type"].as_str().unwrap() {
            "text" => assert!(!element["text"].as_str().unwrap().contains('\u{202e}')),
            "link" => {
                links += 1;
                assert_eq!(element["url"], "https://rca.example/analyses/7?a=1&b=2");
            }
            other => panic!("{other} is neither text nor link"),
        }
    }
    assert_eq!(links, 1, "only the link that we built");
    assert_eq!((&body["unfurl_links"], &body["unfurl_media"]), (&json!(false), &json!(false)));
    let excerpt = parts.iter().find(|part| part["type"] == "rich_text_preformatted").unwrap();
    let lines = excerpt["elements"][0]["text"].as_str().unwrap();
    assert!(lines.starts_with("  9 | before\n>10 | error: <!channel>"), "{lines}");
}

#[tokio::test]
async fn replies_and_edits_go_where_the_first_one_stands() {
    let server = server(posted()).await;
    let slack = open("slack", &bot(&server));
    assert!(slack.can_edit() && !slack.is_repeatable());
    let earlier = Sent { place: Some("C0".to_owned()), ..slack.send(&message(), Place::New).await.unwrap() };
    slack.send(&message(), Place::Reply(&earlier)).await.unwrap();
    slack.send(&message(), Place::Edit(&earlier)).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let bodies: Vec<Value> = requests.iter().map(|it| serde_json::from_slice(&it.body).unwrap()).collect();
    assert_eq!((&bodies[1]["thread_ts"], &bodies[1]["channel"]), (&json!("1.2"), &json!("C0")));
    assert_eq!(requests[2].url.path(), "/api/chat.update");
    assert_eq!((&bodies[2]["ts"], &bodies[2]["channel"]), (&json!("1.2"), &json!("C0")));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let cases = [
        ("invalid_auth", ErrorKind::Unauthorized),
        ("missing_scope", ErrorKind::Forbidden),
        ("not_in_channel", ErrorKind::Forbidden),
        ("channel_not_found", ErrorKind::NotFound),
        ("is_archived", ErrorKind::Gone),
        ("ratelimited", ErrorKind::RateLimited),
        ("internal_error", ErrorKind::Forge),
        ("message_not_found", ErrorKind::Conflict),
        ("something_new", ErrorKind::Invalid),
    ];
    for (code, kind) in cases {
        let server =
            server(ResponseTemplate::new(200).set_body_json(json!({ "ok": false, "error": code }))).await;
        let error = open("slack", &bot(&server)).send(&message(), Place::New).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.to_string().contains(code) && error.operation() == Some("post to Slack"), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    let server = server(ResponseTemplate::new(429).insert_header("retry-after", "30")).await;
    let error = open("slack", &bot(&server)).send(&message(), Place::New).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry(), forge_core::Retry::After(std::time::Duration::from_secs(30)));
    let html = self::server(ResponseTemplate::new(200).set_body_string("<html>login</html>")).await;
    let error = open("slack", &bot(&html)).send(&message(), Place::New).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
}

#[tokio::test]
async fn plain_text_goes_where_blocks_are_refused() {
    let server = MockServer::start().await;
    let refused = ResponseTemplate::new(200).set_body_json(json!({ "ok": false, "error": "invalid_blocks" }));
    Mock::given(method("POST")).respond_with(refused).up_to_n_times(1).mount(&server).await;
    Mock::given(method("POST")).respond_with(posted()).mount(&server).await;
    open("slack", &bot(&server)).send(&message(), Place::New).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
    assert!(body.get("blocks").is_none() && body["text"].as_str().unwrap().contains("shop"));
}

#[tokio::test]
async fn incoming_webhook_is_a_secret_address() {
    let server = MockServer::start().await;
    Mock::given(path("/services/T1/B1/canary"))
        .respond_with(ResponseTemplate::new(200).set_body_string("ok"))
        .mount(&server)
        .await;
    let config = json!({ "webhook_url": format!("{}/services/T1/B1/canary", server.uri()) });
    let slack = open("slack", &config);
    assert!(!slack.can_edit() && !format!("{slack:?}").contains("canary"));
    slack.send(&message(), Place::New).await.unwrap();
    let (request, body) = only_request(&server).await;
    assert!(request.headers.get("authorization").is_none() && body["blocks"].is_array());
    for (status, word, kind) in [
        (404, "no_service", ErrorKind::NotFound),
        (410, "channel_is_archived", ErrorKind::Gone),
        (403, "action_prohibited", ErrorKind::Forbidden),
        (500, "rollup_error", ErrorKind::Forge),
    ] {
        let server = self::server(ResponseTemplate::new(status).set_body_string(word)).await;
        let config = json!({ "webhook_url": format!("{}/services/T1/B1/canary", server.uri()) });
        let error = open("slack", &config).send(&message(), Place::New).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    assert!(HOSTILE.contains("<!channel>"));
}
