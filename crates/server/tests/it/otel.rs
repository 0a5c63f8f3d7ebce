//! Traces, as a collector gets them.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, routing::post};
use reqwest::Method;
use serde_json::json;

use crate::kill::{OWNER, Setting, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
}

/// The fields of a protobuf message that are bytes or messages, with their numbers.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn number(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = number(&mut message);
        let length = match key & 7 {
            0 => {
                number(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(number(&mut message)).unwrap(),
            5 => 4,
            other => panic!("no such wire type: {other}"),
        };
        let (value, rest) = message.split_at(length);
        if key & 7 == 2 {
            found.push((key >> 3, value));
        }
        message = rest;
    }
    found
}

fn all(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter(move |(found, _)| *found == number).map(|(_, value)| value)
}

fn spans(request: &[u8]) -> Vec<Span> {
    let scopes = all(request, 1).flat_map(|resource| all(resource, 2).collect::<Vec<_>>());
    let spans = scopes.flat_map(|scope| all(scope, 2).collect::<Vec<_>>());
    spans
        .map(|span| {
            let hex = |number| all(span, number).next().map(hex::encode).unwrap_or_default();
            let name = all(span, 5).next().unwrap_or_default();
            Span {
                trace: hex(1),
                id: hex(2),
                parent: hex(4),
                name: String::from_utf8(name.to_vec()).unwrap(),
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_request_to_its_tasks() {
    let sink: Arc<Mutex<Vec<Span>>> = Arc::default();
    let collect = async |State(sink): State<Arc<Mutex<Vec<Span>>>>, body: Bytes| {
        sink.lock().unwrap().extend(spans(&body));
    };
    let router = Router::new().route("/v1/traces", post(collect)).with_state(Arc::clone(&sink));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut setting = Setting::new(None);
    setting.environment = vec![("FORGE_RCA_OTLP_ENDPOINT", format!("http://{address}"))];
    // Log lines and spans are two things.
    setting.log_level = Some("error".to_owned());
    let mut server = setting.start();
    setting.ready().await;
    let log = json!({"provider": "generic", "project": "shop", "status": "failed", "log": "error: no\n"});
    let request = setting.http.post(setting.url("/v1/ingest/log?wait=30")).bearer_auth(OWNER).json(&log);
    let answer = request.header("traceparent", format!("00-{TRACE}-{CALLER}-00")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    // A caller without a trace, or with what is none, begins one.
    let plain = setting.http.request(Method::GET, setting.url("/v1/analyses")).bearer_auth(OWNER);
    assert_eq!(plain.header("traceparent", "nonsense").send().await.unwrap().status(), 200);

    let (request, task, other) = eventually(setting.folder.path(), "the spans have come", async || {
        let all = sink.lock().unwrap().clone();
        let named = |name: &str| all.iter().find(|span| span.name == name).cloned();
        Some((named("POST /v1/ingest/log")?, named("analyse_log")?, named("GET /v1/analyses")?))
    })
    .await;
    assert_eq!((request.trace.as_str(), request.parent.as_str()), (TRACE, CALLER));
    assert_eq!((task.trace.as_str(), &task.parent), (TRACE, &request.id));
    assert!(other.trace != TRACE && other.parent.is_empty(), "{other:?}");
    let all = sink.lock().unwrap().clone();
    assert!(!all.iter().any(|span| span.name.contains("readyz")), "{all:?}");
    server.kill().unwrap();
    server.wait().unwrap();
}
