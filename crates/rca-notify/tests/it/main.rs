//! Each channel against a stand-in of its service.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on may panic")]

mod config;
mod mail;
mod matrix;
mod slack;
mod telegram;
mod webhook;

use std::time::Duration;

use forge_http::{HttpClient, IpNetwork};
use rca_notify::{ChannelConfig, ExcerptLine, Link, Message, Notifier, Outlets, Tone};
use serde_json::Value;
use url::Url;
use wiremock::{MockServer, Request};

/// What people put into names and logs to be obeyed.
const HOSTILE: &str =
    "<!channel> @everyone &lt;b&gt; <b>x</b> https://evil.example [a](http://b) /stop `x` \u{202e}abc";

fn outlets() -> Outlets {
    let loopback: IpNetwork = "127.0.0.0/8".parse().unwrap();
    let http = HttpClient::builder()
        .with_http_allowed(true)
        .with_allowed_networks([loopback])
        .with_total_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    Outlets::new(http)
}

fn open(kind: &str, config: &Value) -> Box<dyn Notifier> {
    let config = ChannelConfig::parse(kind, config).unwrap();
    outlets().open(&config, None).unwrap()
}

/// A message in which every part is hostile.
fn message() -> Message {
    let mut message = Message::new("analysis-7", Tone::Bad, format!("shop: {HOSTILE}"));
    message.facts = vec![("branch".to_owned(), HOSTILE.to_owned())];
    message.text = vec![HOSTILE.to_owned()];
    message.excerpt = vec![
        ExcerptLine { number: 9, text: "before".to_owned(), is_focus: false },
        ExcerptLine { number: 10, text: format!("error: {HOSTILE}"), is_focus: true },
    ];
    let url = Url::parse("https://rca.example/analyses/7?a=1&b=2").unwrap();
    message.links = vec![Link { label: "open the report".to_owned(), url }];
    message.event = "analysis.failed".to_owned();
    message.data = serde_json::json!({ "analysis_id": "7" });
    message
}

async fn only_request(server: &MockServer) -> (Request, Value) {
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1, "{requests:?}");
    let request = requests.into_iter().next().unwrap();
    let body = serde_json::from_slice(&request.body).unwrap();
    (request, body)
}
