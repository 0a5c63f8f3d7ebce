//! Chats on a bare socket: they see each request, and may fall silent or hang up after it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::eventually;

/// What becomes of a request, once it was read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Nobody ever answers.
    Silence,
    /// The connection is closed.
    HangUp,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

/// Telegram, Slack, Matrix and a signed webhook at one address. Matrix shows a transaction once, as homeservers do.
pub(super) struct Wire {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    fates: Arc<Mutex<VecDeque<Fate>>>,
}

impl Wire {
    pub(super) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn on(listener: TcpListener) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, fates) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(VecDeque::new())));
        let (shown, next) = (Arc::clone(&seen), Arc::clone(&fates));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shown), Arc::clone(&next)));
            }
        });
        Self { url, seen, fates }
    }

    /// What becomes of the next requests; those after them are answered.
    pub(super) fn expect(&self, fates: &[Fate]) {
        self.fates.lock().unwrap().extend(fates);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) async fn sees(&self, count: usize) -> Vec<Seen> {
        eventually(&format!("{count} requests arrive"), async || {
            let seen = self.seen();
            (seen.len() >= count).then_some(seen)
        })
        .await
    }

    /// A channel of this kind, and under which name.
    pub(super) fn channel(&self, kind: &str) -> Value {
        let url = &self.url;
        let config = match kind {
            "telegram" => json!({ "bot_token": "12:bot", "chat_id": 1, "api_base_url": url }),
            "slack" => json!({ "bot_token": "xoxb-bot", "channel": "C1", "api_base_url": url }),
            "matrix" => {
                json!({ "homeserver_url": url, "access_token": "token", "room_id": "!r:example.com" })
            }
            _ => json!({ "url": format!("{url}/hook") }),
        };
        json!({ "kind": kind, "name": kind, "config": config })
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, fates: Arc<Mutex<VecDeque<Fate>>>) {
    let mut bytes = Vec::new();
    while let Some(request) = read(&mut stream, &mut bytes).await {
        let answer = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            // The same transaction has the same event, however often it is put.
            let first = seen.iter().position(|known| known.path == request.path).unwrap() + 1;
            let number = seen.len();
            json!({
                "ok": true, "ts": format!("{number}.0"), "channel": "C1", "event_id": format!("${first}"),
                "result": { "message_id": number },
            })
        };
        let fate = fates.lock().unwrap().pop_front();
        match fate {
            Some(Fate::Silence) => std::future::pending().await,
            Some(Fate::HangUp) => return,
            None => {
                let text = answer.to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    text.len()
                );
                if stream.write_all(format!("{head}{text}").as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Seen> {
    loop {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let path = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length: usize = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
            let end = head.len() + 4 + length;
            if bytes.len() >= end {
                let body = serde_json::from_slice(&bytes[head.len() + 4..end]).unwrap_or_default();
                bytes.drain(..end);
                return Some(Seen { path, headers, body });
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
