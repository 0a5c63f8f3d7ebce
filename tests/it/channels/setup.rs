use reqwest::Method;
use serde_json::{Value, json};

use super::sink::{Chat, add, smtp};
use crate::support::{OWNER, TestServer};

fn all_kinds(chat: &Chat) -> Vec<Value> {
    let url = chat.url();
    vec![
        chat.telegram(),
        json!({ "kind": "slack", "name": "hook", "config": { "webhook_url": format!("{url}/canary-path/incoming") } }),
        json!({ "kind": "slack", "name": "bot", "config": {
            "bot_token": "xoxb-canary", "channel": "C1", "api_base_url": url } }),
        json!({ "kind": "matrix", "name": "room", "config": {
            "homeserver_url": url, "access_token": "canary-of-matrix", "room_id": "!r:example.com" } }),
        json!({ "kind": "email", "name": "mail", "config": { "to": ["team@example.com"] } }),
        json!({ "kind": "webhook", "name": "own", "config": { "url": format!("{url}/canary-query/incoming?k=v") } }),
    ]
}

#[tokio::test]
async fn channels_come_change_and_go_and_show_no_secret() {
    let (smtp, _) = smtp().await;
    let server = TestServer::start_with(|config| {
        config.smtp_url = Some(smtp.into());
        config.smtp_from = Some("rca@example.com".to_owned());
    })
    .await;
    let chat = Chat::start().await;
    let mut ids = Vec::new();
    for request in all_kinds(&chat) {
        let made = server.post("/v1/channels", request.clone()).await.expect(201);
        let is_webhook = request["kind"] == "webhook";
        let signing = made["signing_secret"].as_str().unwrap_or_default();
        assert_eq!(signing.starts_with("whsec_"), is_webhook, "{made}");
        assert_eq!((&made["enabled"], &made["disabled_reason"]), (&json!(true), &Value::Null));
        assert_eq!(made["incidents"], true, "a channel for all repositories hears of incidents: {made}");
        let id = made["id"].as_str().unwrap().to_owned();
        let shown = server.get(&format!("/v1/channels/{id}")).await.expect(200);
        assert!(!shown.to_string().contains("canary"), "{shown}");
        assert_eq!(shown["signing_secret"], Value::Null);
        assert_eq!((&shown["kind"], &shown["name"]), (&request["kind"], &request["name"]));
        ids.push(id);
    }
    let part = server.get("/v1/channels?limit=2").await.expect(200);
    assert_eq!(part["items"].as_array().unwrap().len(), 2);
    let cursor = part["next_cursor"].as_str().unwrap();
    let rest = server.get(&format!("/v1/channels?cursor={cursor}")).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 4);
    assert!(!rest.to_string().contains("canary"), "{rest}");

    let path = format!("/v1/channels/{}", ids[0]);
    let filters = json!({ "repositories": ["acme/*"], "branches": [], "min_severity": "high",
        "first_occurrence_only": true });
    let change = json!({ "name": "new", "filters": filters, "incidents": false, "enabled": false });
    let changed = server.patch(&path, change).await.expect(200);
    assert_eq!((&changed["name"], &changed["enabled"]), (&json!("new"), &json!(false)));
    assert_eq!((&changed["filters"], &changed["incidents"]), (&filters, &json!(false)));
    assert_eq!(server.get(&path).await.expect(200), changed);
    server.delete(&path).await.expect(204);
    server.get(&path).await.expect_error(404, "not_found");
    server.delete(&path).await.expect_error(404, "not_found");
    let audit = server.get("/v1/audit").await.expect(200).to_string();
    for action in ["channel.add", "channel.update", "channel.remove"] {
        assert!(audit.contains(action), "{action}");
    }
    assert!(!audit.contains("canary"));
    assert!(chat.shown().is_empty(), "nothing was to be said");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_work_is_refused() {
    let (server, chat) = (TestServer::start().await, Chat::start().await);
    let channel = |kind: &str, config: Value| json!({ "kind": kind, "name": "x", "config": config });
    let with = |field: &str, value: Value| {
        let mut request = chat.telegram();
        request[field] = value;
        request
    };
    let bad = [
        channel("pigeon", json!({})),
        channel("slack", json!({})),
        channel("slack", json!({ "webhook_url": "https://hooks.example.com/x", "bot_token": "b" })),
        channel("telegram", json!({ "bot_token": "../..", "chat_id": 1 })),
        channel("telegram", json!({ "bot_token": "12:a", "chat_id": 1, "colour": "red" })),
        channel("matrix", json!({ "homeserver_url": chat.url(), "access_token": "t", "room_id": "#name:x" })),
        channel("email", json!({ "to": [] })),
        channel("email", json!({ "to": ["nobody"] })),
        // There is no mail server here.
        channel("email", json!({ "to": ["a@example.com"] })),
        channel("webhook", json!({ "url": "no address" })),
        channel("webhook", json!("https://example.com")),
        channel("webhook", json!({ "url": format!("{}/{}", chat.url(), "x".repeat(20_000)) })),
        with("name", json!("")),
        with("name", json!("x".repeat(101))),
        with("filters", json!({ "min_severity": "terrible" })),
        with("filters", json!({ "repositories": [""] })),
        with("filters", json!({ "branches": vec!["x"; 101] })),
    ];
    for request in bad {
        let text = server.post("/v1/channels", request.clone()).await.expect_error(422, "invalid_field");
        assert!(!text.contains("12:a"), "no secret in {text}");
    }
    for request in [
        with("colour", json!(1)),
        with("filters", json!({ "colour": 1 })),
        with("name", json!(7)),
        json!({ "kind": "slack" }),
    ] {
        let answer = server.post("/v1/channels", request.clone()).await;
        assert_eq!(answer.status.as_u16(), 422, "{request}: {}", answer.text);
    }
    let inside = channel("webhook", json!({ "url": "https://10.0.0.1/hook" }));
    server.post("/v1/channels", inside).await.expect_error(422, "address_not_allowed");

    let id = add(&server, chat.telegram()).await;
    let path = format!("/v1/channels/{id}");
    server.patch(&path, json!({ "config": { "chat_id": 1 } })).await.expect_error(422, "invalid_field");
    assert_eq!(server.patch(&path, json!({ "kind": "slack" })).await.status.as_u16(), 422);
    for (method, path) in [
        (Method::GET, "/v1/channels/none"),
        (Method::PATCH, "/v1/channels/none"),
        (Method::DELETE, "/v1/channels/none"),
        (Method::POST, "/v1/channels/none/test"),
        (Method::GET, "/v1/channels/none/deliveries"),
    ] {
        let request = server.request(method, path).bearer_auth(OWNER).json(&json!({}));
        server.send(request).await.expect_error(404, "not_found");
    }
    server.get("/v1/channels?limit=0").await.expect_error(422, "invalid_field");
    server.get(&format!("{path}/deliveries?limit=501")).await.expect_error(422, "invalid_field");
    server.get("/v1/channels?colour=red").await.expect_error(422, "invalid_parameter");

    let token = server.post("/v1/tokens", json!({ "name": "r", "scopes": ["read"] })).await.expect(201);
    let reader = token["token"].as_str().unwrap();
    for (method, path, body) in [
        (Method::POST, "/v1/channels".to_owned(), chat.telegram()),
        (Method::PATCH, path.clone(), json!({ "name": "y" })),
        (Method::DELETE, path.clone(), json!({})),
        (Method::POST, format!("{path}/test"), json!({})),
    ] {
        let request = server.request(method, &path).bearer_auth(reader).json(&body);
        assert_eq!(server.send(request).await.status.as_u16(), 403, "{path}");
    }
    server.send(server.request(Method::GET, &path).bearer_auth(reader)).await.expect(200);
    server.send(server.request(Method::GET, &path)).await.expect(401);
    server.stop().await;
}
