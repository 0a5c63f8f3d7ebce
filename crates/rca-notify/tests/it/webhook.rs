use forge_core::{Delivery, ErrorKind, Secrets, webhook::check_standard_webhook};
use jiff::Timestamp;
use rca_notify::{ChannelConfig, Place, new_signing_secret};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::{message, only_request, outlets};

#[tokio::test]
async fn the_signature_is_one_that_receivers_check() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let url = format!("{}/hooks/rca?key=canary", server.uri());
    let config = ChannelConfig::parse("webhook", &json!({ "url": url })).unwrap();
    let secret = new_signing_secret(&[9; 32]);
    let webhook = outlets().open(&config, Some(&secret)).unwrap();
    webhook.send(&message(), Place::New).await.unwrap();
    let (request, body) = only_request(&server).await;
    assert_eq!((request.url.path(), request.url.query()), ("/hooks/rca", Some("key=canary")));
    assert_eq!((&body["type"], &body["data"]["analysis_id"]), (&json!("analysis.failed"), &json!("7")));
    assert_eq!(request.headers.get("webhook-id").unwrap(), "analysis-7");
    let delivery = Delivery {
        headers: &request.headers,
        query: None,
        body: &request.body,
        received_at: Timestamp::now(),
    };
    let secrets = Secrets::none().with_signing(secret);
    check_standard_webhook(&delivery, &secrets, forge_core::webhook::DEFAULT_TOLERANCE).unwrap();
    let wrong = Secrets::none().with_signing(new_signing_secret(&[8; 32]));
    assert!(check_standard_webhook(&delivery, &wrong, forge_core::webhook::DEFAULT_TOLERANCE).is_err());
}

#[tokio::test]
async fn a_receiver_that_is_gone_says_so() {
    for (status, kind) in [(410, ErrorKind::Gone), (404, ErrorKind::NotFound), (500, ErrorKind::Forge)] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let config =
            ChannelConfig::parse("webhook", &json!({ "url": format!("{}/?canary", server.uri()) })).unwrap();
        let webhook = outlets().open(&config, Some(&new_signing_secret(&[9; 32]))).unwrap();
        let error = webhook.send(&message(), Place::New).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
