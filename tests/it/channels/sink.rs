//! Chats and a mail server on loopback that do as they are told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

use crate::support::{OWNER, TestServer, eventually};

/// What a chat shows: the last part of the path, and the body.
pub(crate) type Shown = Vec<(String, Value)>;

/// A chat that speaks as Telegram, Slack (bot and incoming webhook) and a signed webhook at once.
pub(crate) struct Chat {
    server: MockServer,
    shown: Arc<Mutex<Shown>>,
    refusals: Arc<Mutex<VecDeque<ResponseTemplate>>>,
    outage: Arc<Mutex<Option<ResponseTemplate>>>,
}

impl Chat {
    pub(crate) async fn start() -> Self {
        let server = MockServer::start().await;
        let (shown, refusals) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(VecDeque::new())));
        let outage = Arc::new(Mutex::new(None));
        let (said, next, down) = (Arc::clone(&shown), Arc::clone(&refusals), Arc::clone(&outage));
        let answer = move |request: &Request| -> ResponseTemplate {
            let down: &Mutex<Option<ResponseTemplate>> = &down;
            let next: &Mutex<VecDeque<ResponseTemplate>> = &next;
            if let Some(answer) = next.lock().unwrap().pop_front() {
                return answer;
            }
            if let Some(answer) = down.lock().unwrap().clone() {
                return answer;
            }
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let path = request.url.path().rsplit('/').next().unwrap_or_default().to_owned();
            let mut said = said.lock().unwrap();
            said.push((path.clone(), body));
            match path.as_str() {
                "sendMessage" | "editMessageText" => ResponseTemplate::new(200)
                    .set_body_json(json!({ "ok": true, "result": { "message_id": said.len() } })),
                "incoming" => ResponseTemplate::new(200).set_body_string("ok"),
                _ => ResponseTemplate::new(200)
                    .set_body_json(json!({ "ok": true, "ts": format!("{}.0", said.len()), "channel": "C1" })),
            }
        };
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        Self { server, shown, refusals, outage }
    }

    pub(crate) fn url(&self) -> String {
        self.server.uri()
    }

    pub(crate) fn telegram(&self) -> Value {
        json!({ "kind": "telegram", "name": "team chat", "config": {
            "bot_token": "12:canary-of-the-bot", "chat_id": -1001, "api_base_url": self.url() } })
    }

    /// The next requests are answered so, and show nothing.
    pub(crate) fn refuse(&self, answers: Vec<ResponseTemplate>) {
        self.refusals.lock().unwrap().extend(answers);
    }

    /// All requests are answered so until there is `None`.
    pub(crate) fn set_outage(&self, answer: Option<ResponseTemplate>) {
        *self.outage.lock().unwrap() = answer;
    }

    pub(crate) fn shown(&self) -> Shown {
        self.shown.lock().unwrap().clone()
    }

    /// The text of what is shown.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |body: &Value| body["text"].as_str().unwrap_or_default().to_owned();
        self.shown().iter().map(|(_, body)| text(body)).collect()
    }

    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap_or_default()
    }

    pub(crate) async fn shows(&self, count: usize) -> Shown {
        eventually(&format!("the chat shows {count} messages"), async || {
            let shown = self.shown();
            (shown.len() >= count).then_some(shown)
        })
        .await
    }
}

/// A mail server that takes everything; gives its address and what it took.
pub(crate) async fn smtp() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mails = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_mail(stream, Arc::clone(&taken)));
        }
    });
    (url, mails)
}

async fn serve_mail(stream: tokio::net::TcpStream, taken: Arc<Mutex<Vec<String>>>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut answer = "220 test ESMTP\r\n";
    let mut mail: Option<String> = None;
    loop {
        if !answer.is_empty() && writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        let Ok(Some(line)) = lines.next_line().await else { return };
        answer = match (&mut mail, line.as_str()) {
            (Some(text), ".") => {
                taken.lock().unwrap().push(std::mem::take(text));
                mail = None;
                "250 taken\r\n"
            }
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
                ""
            }
            (None, "DATA") => {
                mail = Some(String::new());
                "354 go on\r\n"
            }
            (None, "QUIT") => "221 bye\r\n",
            (None, _) => "250 ok\r\n",
        };
    }
}

pub(crate) async fn add(server: &TestServer, channel: Value) -> String {
    let made = server.post("/v1/channels", channel).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

/// Sends a log and waits for its report.
pub(crate) async fn ingest(server: &TestServer, query: &str, log: String) -> Value {
    let path = format!("/v1/ingest/raw?wait=30&{query}");
    server.send(server.request(reqwest::Method::POST, &path).bearer_auth(OWNER).body(log)).await.expect(200)
}

/// The delivery log, once its newest entries are in these states.
pub(crate) async fn log(server: &TestServer, channel: &str, states: &[&str]) -> Vec<Value> {
    eventually(&format!("the log says {states:?}"), async || {
        let list = server.get(&format!("/v1/channels/{channel}/deliveries")).await.expect(200);
        let items = list["items"].as_array()?.clone();
        let have: Vec<&str> = items.iter().filter_map(|item| item["state"].as_str()).collect();
        (have == states).then_some(items)
    })
    .await
}
