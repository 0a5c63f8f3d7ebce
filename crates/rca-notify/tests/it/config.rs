use forge_core::ErrorKind;
use rca_notify::{ChannelConfig, ChannelKind};
use serde_json::json;

use crate::outlets;

#[test]
fn all_kinds_are_taken() {
    let cases = [
        ("slack", json!({ "webhook_url": "https://hooks.slack.example/services/T/B/x" })),
        ("slack", json!({ "bot_token": "xoxb-1", "channel": "C1" })),
        ("telegram", json!({ "bot_token": "1:a", "chat_id": -100_123 })),
        ("telegram", json!({ "bot_token": "1:a", "chat_id": "@builds" })),
        (
            "matrix",
            json!({ "homeserver_url": "https://m.example", "access_token": "s", "room_id": "!r:m.example" }),
        ),
        ("email", json!({ "to": ["dev@example.com"] })),
        ("webhook", json!({ "url": "https://receiver.example/x" })),
    ];
    for (kind, config) in cases {
        assert_eq!(ChannelConfig::parse(kind, &config).unwrap().kind().as_str(), kind);
    }
    assert_eq!(ChannelKind::ALL.len(), 5);
}

#[test]
fn faults_name_the_field_and_not_the_value() {
    let secret = "xoxb-very-secret";
    let cases = [
        ("slack", json!({ "bot_token": secret }), "channel"),
        ("slack", json!({ "bot_token": secret, "channel": "C1", "extra": 1 }), "extra"),
        (
            "slack",
            json!({ "webhook_url": "https://x.example", "bot_token": secret, "channel": "C1" }),
            "either",
        ),
        ("telegram", json!({ "bot_token": secret }), "chat_id"),
        (
            "matrix",
            json!({ "homeserver_url": "https://m", "access_token": secret, "room_id": "#alias:m" }),
            "room_id",
        ),
        ("matrix", json!({ "homeserver_url": secret, "access_token": secret, "room_id": "!r:m" }), "config"),
        ("email", json!({ "to": [] }), "to"),
        ("email", json!({ "to": ["nobody"] }), "to"),
        ("email", json!({ "to": secret }), "config"),
        ("pigeon", json!({}), "kind"),
    ];
    for (kind, config, word) in cases {
        let error = ChannelConfig::parse(kind, &config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = format!("{error} {error:?}");
        assert!(text.contains(word), "{kind}: {text}");
        assert!(!text.contains(secret), "{kind}: {text}");
    }
}

#[test]
fn secrets_are_shown_as_fingerprints() {
    let shown = ChannelConfig::shown(&json!({ "bot_token": "xoxb-1", "channel": "C1" }));
    assert_eq!(shown["channel"], "C1");
    assert_eq!(shown["bot_token"]["fingerprint"].as_str().unwrap().len(), 8);
    assert!(!shown.to_string().contains("xoxb"));
    let config = ChannelConfig::parse("slack", &json!({ "bot_token": "xoxb-1", "channel": "C1" })).unwrap();
    assert!(!format!("{config:?}").contains("xoxb"));
}

#[test]
fn addresses_of_closed_networks_are_refused() {
    let http = forge_http::HttpClient::builder().build().unwrap();
    for (kind, config) in [
        ("webhook", json!({ "url": "https://169.254.169.254/latest" })),
        ("webhook", json!({ "url": "http://receiver.example/" })),
        ("slack", json!({ "webhook_url": "https://127.0.0.1/x" })),
        ("matrix", json!({ "homeserver_url": "https://10.0.0.1", "access_token": "s", "room_id": "!r:m" })),
        ("telegram", json!({ "bot_token": "1:a", "chat_id": 1, "api_base_url": "https://[::1]" })),
    ] {
        let config = ChannelConfig::parse(kind, &config).unwrap();
        let secret = rca_notify::new_signing_secret(&[7; 32]);
        let refused = rca_notify::Outlets::new(http.clone()).open(&config, Some(&secret));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::AddressRefused, "{kind}");
    }
}

#[test]
fn mail_needs_a_server_and_a_webhook_a_secret() {
    for (kind, config) in
        [("email", json!({ "to": ["a@b.example"] })), ("webhook", json!({ "url": "http://127.0.0.1" }))]
    {
        let config = ChannelConfig::parse(kind, &config).unwrap();
        assert_eq!(outlets().open(&config, None).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
