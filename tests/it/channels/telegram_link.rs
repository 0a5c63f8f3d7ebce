//! A Telegram chat is linked by opening the bot's link.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

use super::sink::{add, ingest};
use crate::support::{Answer, OWNER, TestServer, pytest_log};

const CHAT: i64 = -100_200;

/// Telegram with one bot: keeps its webhook, and shows what is said.
struct Telegram {
    server: MockServer,
    hook: Arc<Mutex<Option<Value>>>,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Telegram {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let (hook, said) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
        let (kept, shown) = (Arc::clone(&hook), Arc::clone(&said));
        let answer = move |request: &Request| -> ResponseTemplate {
            let (kept, shown): (&Mutex<Option<Value>>, &Mutex<Vec<Value>>) = (&kept, &shown);
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let mut parts = request.url.path().rsplit('/');
            let result = match parts.next().unwrap_or_default() {
                _ if !parts.any(|part| part == "bot12:canary-of-the-bot") => {
                    let refused = json!({ "ok": false, "error_code": 401, "description": "Unauthorized" });
                    return ResponseTemplate::new(401).set_body_json(refused);
                }
                "getMe" => json!({ "id": 12, "is_bot": true, "username": "rca_bot" }),
                "setWebhook" => {
                    *kept.lock().unwrap() = Some(body);
                    json!(true)
                }
                "getWebhookInfo" => {
                    let kept = kept.lock().unwrap();
                    json!({ "url": kept.as_ref().map_or(json!(""), |hook| hook["url"].clone()) })
                }
                "deleteWebhook" => {
                    *kept.lock().unwrap() = None;
                    json!(true)
                }
                _ => {
                    shown.lock().unwrap().push(body);
                    json!({ "message_id": 1 })
                }
            };
            ResponseTemplate::new(200).set_body_json(json!({ "ok": true, "result": result }))
        };
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        Self { server, hook, said }
    }

    fn channel(&self) -> Value {
        json!({ "kind": "telegram", "name": "team <b>", "config": {
            "bot_token": "12:canary-of-the-bot", "api_base_url": self.server.uri() } })
    }

    fn hook(&self) -> Option<Value> {
        self.hook.lock().unwrap().clone()
    }

    fn secret(&self) -> String {
        self.hook().unwrap()["secret_token"].as_str().unwrap().to_owned()
    }
}

async fn https_server() -> TestServer {
    TestServer::start_with(|config| config.public_url = "https://rca.example.com/base".parse().ok()).await
}

async fn update(server: &TestServer, id: &str, secret: Option<&str>, body: String) -> Answer {
    let request = server.request(Method::POST, &format!("/v1/channels/{id}/telegram")).body(body);
    let request = match secret {
        Some(secret) => request.header("x-telegram-bot-api-secret-token", secret),
        None => request,
    };
    server.send(request.header("content-type", "application/json")).await
}

fn message(chat: i64, text: &str) -> String {
    let chat = json!({ "id": chat, "type": "group", "title": "the team" });
    json!({ "update_id": 7, "message": { "message_id": 3, "date": 1_700_000_000, "chat": chat, "text": text } })
        .to_string()
}

fn code(made: &Value) -> String {
    made["link"].as_str().unwrap().strip_prefix("https://t.me/rca_bot?start=").unwrap().to_owned()
}

#[tokio::test]
async fn a_chat_is_linked_told_and_unlinked() {
    let (server, telegram) = (https_server().await, Telegram::start().await);
    let made = server.post("/v1/channels", telegram.channel()).await.expect(201);
    assert_eq!((&made["state"], &made["enabled"]), (&json!("waiting"), &json!(true)), "{made:#}");
    let id = made["id"].as_str().unwrap();
    let first = code(&made);
    assert_eq!(made["group_link"], format!("https://t.me/rca_bot?startgroup={first}"));
    assert!(made["link_expires_at"].is_string());
    let hook = telegram.hook().unwrap();
    assert_eq!(hook["url"], format!("https://rca.example.com/base/v1/channels/{id}/telegram"));
    assert_eq!(
        (hook["secret_token"].as_str().unwrap().len(), &hook["allowed_updates"]),
        (64, &json!(["message"]))
    );
    let shown = server.get(&format!("/v1/channels/{id}")).await.expect(200).to_string();
    for secret in ["canary", first.as_str(), &telegram.secret()] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // Nothing is said to nobody, and what failed meanwhile is not told later.
    ingest(&server, "project=shop&job_id=1", pytest_log()).await;
    server.idle().await;
    let log = server.get(&format!("/v1/channels/{id}/deliveries")).await.expect(200);
    assert_eq!(log["items"], json!([]));

    let secret = telegram.secret();
    let linked = update(&server, id, Some(&secret), message(CHAT, &format!("/start@rca_bot {first}")))
        .await
        .expect(200);
    assert_eq!((&linked["method"], &linked["chat_id"]), (&json!("sendMessage"), &json!(CHAT)), "{linked}");
    assert!(linked["text"].as_str().unwrap().contains("is linked"), "{linked}");
    let ready = server.get(&format!("/v1/channels/{id}")).await.expect(200);
    assert_eq!((&ready["state"], &ready["config"]["chat_id"]), (&json!("ready"), &json!(CHAT)));
    // Telegram tells it again; the code is used up, also for others.
    let again =
        update(&server, id, Some(&secret), message(CHAT, &format!("/start {first}"))).await.expect(200);
    assert_eq!(again, json!({}));
    let late = update(&server, id, Some(&secret), message(666, &format!("/start {first}"))).await.expect(200);
    assert!(late["text"].as_str().unwrap().contains("expired"), "{late}");
    server.post(&format!("/v1/channels/{id}/link"), json!({})).await.expect_error(409, "conflict");

    ingest(&server, "project=shop&job_id=2&pipeline_id=2", pytest_log()).await;
    server.idle().await;
    let said = telegram.said.lock().unwrap().clone();
    assert_eq!((said.len(), said[0]["chat_id"].as_str()), (1, Some("-100200")), "{said:?}");

    // Only the linked chat can end it.
    assert_eq!(update(&server, id, Some(&secret), message(666, "/stop")).await.expect(200), json!({}));
    let ended = update(&server, id, Some(&secret), message(CHAT, "/stop")).await.expect(200);
    assert!(ended["text"].as_str().unwrap().contains("not linked"), "{ended}");
    assert_eq!(server.get(&format!("/v1/channels/{id}")).await.expect(200)["state"], "waiting");
    ingest(&server, "project=shop&job_id=3&pipeline_id=3", pytest_log()).await;
    server.idle().await;
    assert_eq!(telegram.said.lock().unwrap().len(), 1);

    // A new link, with a new secret; then the channel is removed, and the bot is free.
    let link = server.post(&format!("/v1/channels/{id}/link"), json!({})).await.expect(200);
    update(&server, id, Some(&secret), message(CHAT, "/stop")).await.expect_error(401, "unauthorized");
    let linked =
        update(&server, id, Some(&telegram.secret()), message(CHAT, &format!("/start {}", code(&link))))
            .await;
    assert!(linked.expect(200)["text"].as_str().unwrap().contains("is linked"));
    server.delete(&format!("/v1/channels/{id}")).await.expect(204);
    assert_eq!(telegram.hook(), None);
    update(&server, id, Some(&secret), message(CHAT, "/stop")).await.expect_error(401, "unauthorized");
    let audit = server.get("/v1/audit").await.expect(200).to_string();
    for action in ["channel.linked", "channel.unlinked", "channel.link"] {
        assert!(audit.contains(action), "{action}");
    }
    assert!(!audit.contains("canary"));
    server.stop().await;
}

#[tokio::test]
async fn a_chat_is_linked_by_a_person_on_the_page() {
    use crate::web::{Web, attribute};
    let (server, telegram) = (https_server().await, Telegram::start().await);
    let owner = Web::owner(&server).await;
    let api = telegram.server.uri();
    let fields = [
        ("kind", "telegram"),
        ("name", "team"),
        ("bot_token", "12:canary-of-the-bot"),
        ("api_base_url", api.as_str()),
    ];
    let page = owner.post("/channels/new?kind=telegram", "/channels", &fields).await.expect(201);
    let link = attribute(&page, "href=\"https://t.me/rca_bot?start=");
    assert_eq!(link.len(), 32, "{link}");
    assert!(
        page.contains("https://t.me/rca_bot?startgroup=") && page.contains(&format!("/start {link}")),
        "{page}"
    );
    let list = server.get("/v1/channels").await.expect(200);
    let id = list["items"][0]["id"].as_str().unwrap();
    let path = format!("/channels/{id}");
    let waiting = owner.get(&path).await.expect(200);
    assert!(waiting.contains("waits for a chat") && waiting.contains("hx-trigger=\"every 2s\""), "{waiting}");
    assert!(!waiting.contains(&link) && !waiting.contains("canary"), "a link is shown once: {waiting}");
    assert!(owner.get("/channels").await.expect(200).contains("waits for a chat"));

    // Lost: another one is made, and the chat is linked by it; the page that was left open turns by itself.
    let page = owner.post(&path, &format!("{path}/link"), &[]).await.expect(200);
    let code = attribute(&page, "href=\"https://t.me/rca_bot?start=");
    assert_ne!(code, link);
    update(&server, id, Some(&telegram.secret()), message(CHAT, &format!("/start {code}"))).await.expect(200);
    let linked = owner.get(&path).await.expect(200);
    assert!(linked.contains("chat linked") && !linked.contains("every 2s"), "{linked}");
    assert!(linked.contains(&CHAT.to_string()), "{linked}");
    assert!(owner.post(&path, &format!("{path}/link"), &[]).await.expect(409).contains("role=\"alert\""));

    let made = server.post("/v1/tokens", json!({ "name": "m", "role": "member" })).await.expect(201);
    let member = Web::signed_in(&server, made["token"].as_str().unwrap()).await;
    member.post(&path, &format!("{path}/link"), &[]).await.expect(403);
    server.stop().await;

    // Where Telegram cannot reach us it is said what is missing, and nothing is stored.
    let local = TestServer::start().await;
    let owner = Web::owner(&local).await;
    let refused = owner.post("/channels/new?kind=telegram", "/channels", &fields).await.expect(422);
    assert!(refused.contains("FORGE_RCA_PUBLIC_URL"), "{refused}");
    local.stop().await;
}

#[tokio::test]
async fn the_page_turns_by_itself_when_a_chat_is_linked() {
    let (server, telegram) = (https_server().await, Telegram::start().await);
    let Some(browser) = crate::browser::Browser::start(&server).await else { return };
    browser.sign_in().await;
    browser.goto("/channels/new?kind=telegram").await;
    browser.fill("#name", "team").await;
    browser.fill("#bot_token", "12:canary-of-the-bot").await;
    browser.fill("#api_base_url", &telegram.server.uri()).await;
    browser.click("form[action='/channels'] button.primary").await;
    let command = browser.text("#telegram-command").await;
    assert!(browser.text("#chat").await.contains("waits for a chat"));
    browser.check("telegram-link").await;
    let list = server.get("/v1/channels").await.expect(200);
    let id = list["items"][0]["id"].as_str().unwrap();
    update(&server, id, Some(&telegram.secret()), message(CHAT, &command)).await.expect(200);
    browser
        .until(
            "the page has turned",
            "return document.querySelector('#chat').textContent.includes('chat linked')",
        )
        .await;
    assert!(browser.has("#chat:not([hx-get])").await, "nothing is asked any more");
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn codes_expire_and_belong_to_one_channel() {
    let (server, telegram, other) = (https_server().await, Telegram::start().await, Telegram::start().await);
    let (made, second) = (
        server.post("/v1/channels", telegram.channel()).await.expect(201),
        server.post("/v1/channels", other.channel()).await.expect(201),
    );
    let (id, second_id) = (made["id"].as_str().unwrap(), second["id"].as_str().unwrap());
    let start = |made: &Value| message(CHAT, &format!("/start {}", code(made)));
    let foreign = update(&server, id, Some(&telegram.secret()), start(&second)).await.expect(200);
    assert!(foreign["text"].as_str().unwrap().contains("expired"), "{foreign}");
    // The other channel's code is not spent by that.
    let own = update(&server, second_id, Some(&other.secret()), start(&second)).await.expect(200);
    assert!(own["text"].as_str().unwrap().contains("is linked"), "{own}");
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    rca_store::testing::execute(&database, "UPDATE oauth_state SET expires_at = expires_at - 86400001").await;
    let late = update(&server, id, Some(&telegram.secret()), start(&made)).await.expect(200);
    assert!(late["text"].as_str().unwrap().contains("expired"), "{late}");
    assert_eq!(server.get(&format!("/v1/channels/{id}")).await.expect(200)["state"], "waiting");
    let tried = server.post(&format!("/v1/channels/{id}/test"), json!({})).await.expect(200);
    assert_eq!(tried["state"], "failed", "{tried}");
    assert!(tried["error"].as_str().unwrap().contains("linked"), "{tried}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_proved_learns_nothing() {
    let (server, telegram) = (https_server().await, Telegram::start().await);
    let id = add(&server, telegram.channel()).await;
    let mut direct = telegram.channel();
    direct["config"]["chat_id"] = json!(1);
    let unlinked = add(&server, direct).await;
    let secret = telegram.secret();
    let body = || message(CHAT, "/stop");
    let expected = update(&server, &id, None, body()).await;
    assert_eq!(expected.status.as_u16(), 401);
    for (id, secret) in [
        (id.as_str(), Some("wrong")),
        (id.as_str(), Some("")),
        ("none", Some(secret.as_str())),
        ("none", None),
        (unlinked.as_str(), Some("nobody")),
        (unlinked.as_str(), None),
    ] {
        let answer = update(&server, id, secret, body()).await;
        assert_eq!((answer.status, &answer.text), (expected.status, &expected.text), "{id} {secret:?}");
    }
    // Proved, but nothing of ours: taken, so that it is not sent again.
    for body in [
        "",
        "{",
        "[]",
        "{\"update_id\":1}",
        &message(CHAT, "/start"),
        &message(CHAT, "hello"),
        &message(CHAT, "/start x"),
    ] {
        assert_eq!(
            update(&server, &id, Some(&secret), body.to_owned()).await.expect(200),
            json!({}),
            "{body}"
        );
    }
    let long = message(CHAT, &"x".repeat(70_000));
    update(&server, &id, Some(&secret), long).await.expect_error(413, "body_too_large");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_linked_is_refused_and_not_kept() {
    let telegram = Telegram::start().await;
    let plain = TestServer::start().await;
    let text = plain.post("/v1/channels", telegram.channel()).await.expect_error(422, "invalid_field");
    assert!(text.contains("chat_id") && text.contains("https"), "{text}");
    plain.stop().await;

    let server = https_server().await;
    let mut wrong = telegram.channel();
    wrong["config"]["bot_token"] = json!("13:unknown");
    server.post("/v1/channels", wrong).await.expect_error(422, "token_rejected");
    let mut strange = telegram.channel();
    strange["config"]["colour"] = json!("red");
    server.post("/v1/channels", strange).await.expect_error(422, "invalid_field");
    let mut nowhere = telegram.channel();
    nowhere["config"]["api_base_url"] = json!("http://127.0.0.1:1");
    server.post("/v1/channels", nowhere).await.expect_error(502, "forge_unreachable");
    assert_eq!(server.get("/v1/channels").await.expect(200)["items"], json!([]));

    let id = add(&server, telegram.channel()).await;
    let token = server.post("/v1/tokens", json!({ "name": "w", "scopes": ["write"] })).await.expect(201);
    let writer = token["token"].as_str().unwrap();
    let path = format!("/v1/channels/{id}/link");
    assert_eq!(
        server.send(server.request(Method::POST, &path).bearer_auth(writer)).await.status.as_u16(),
        403
    );
    server.send(server.request(Method::POST, &path)).await.expect(401);
    server.post("/v1/channels/none/link", json!({})).await.expect_error(404, "not_found");
    // Somebody else took the bot over: their address stays when the channel goes.
    *telegram.hook.lock().unwrap() = Some(json!({ "url": "https://elsewhere.example/hook" }));
    server
        .send(server.request(Method::DELETE, &format!("/v1/channels/{id}")).bearer_auth(OWNER))
        .await
        .expect(204);
    assert!(telegram.hook().is_some());
    server.stop().await;
}

/// One bot, many chats: what it hears comes to the channel that was linked last, and is of the channel that is meant.
#[tokio::test]
async fn one_bot_serves_several_channels() {
    const OTHER: i64 = -100_300;
    let (server, telegram) = (https_server().await, Telegram::start().await);
    let first = server.post("/v1/channels", telegram.channel()).await.expect(201);
    let second = server.post("/v1/channels", telegram.channel()).await.expect(201);
    let (a, b) = (first["id"].as_str().unwrap(), second["id"].as_str().unwrap());
    let start = |made: &Value| format!("/start {}", code(made));
    let state = async |id: &str| {
        let channel = server.get(&format!("/v1/channels/{id}")).await.expect(200);
        (channel["state"].as_str().unwrap().to_owned(), channel["config"]["chat_id"].clone())
    };
    let heard_at = |id: &str| json!(format!("https://rca.example.com/base/v1/channels/{id}/telegram"));
    assert_eq!(telegram.hook().unwrap()["url"], heard_at(b));
    for (chat, made) in [(CHAT, &first), (OTHER, &second)] {
        let linked =
            update(&server, b, Some(&telegram.secret()), message(chat, &start(made))).await.expect(200);
        assert!(linked["text"].as_str().unwrap().contains("is linked"), "{linked}");
    }
    assert_eq!(state(a).await, ("ready".to_owned(), json!(CHAT)));
    assert_eq!(state(b).await, ("ready".to_owned(), json!(OTHER)));
    ingest(&server, "project=shop&job_id=1", pytest_log()).await;
    server.idle().await;
    let mut told: Vec<String> = telegram
        .said
        .lock()
        .unwrap()
        .iter()
        .filter_map(|said| said["chat_id"].as_str().map(str::to_owned))
        .collect();
    told.sort();
    assert_eq!(told, ["-100200", "-100300"], "each chat once");

    // A code that was used is of no use to the other channel, and each chat ends its own link.
    let late = update(&server, b, Some(&telegram.secret()), message(666, &start(&first))).await.expect(200);
    assert!(late["text"].as_str().unwrap().contains("expired"), "{late}");
    update(&server, b, Some(&telegram.secret()), message(CHAT, "/stop")).await.expect(200);
    assert_eq!((state(a).await.0.as_str(), state(b).await.0.as_str()), ("waiting", "ready"));

    // The channel that was linked last goes: the bot is heard at the other one.
    let link = server.post(&format!("/v1/channels/{a}/link"), json!({})).await.expect(200);
    assert_eq!(telegram.hook().unwrap()["url"], heard_at(a));
    server.delete(&format!("/v1/channels/{a}")).await.expect(204);
    assert_eq!(telegram.hook().unwrap()["url"], heard_at(b));
    let gone = update(&server, b, Some(&telegram.secret()), message(CHAT, &start(&link))).await.expect(200);
    assert!(gone["text"].as_str().unwrap().contains("expired"), "{gone}");
    let ended = update(&server, b, Some(&telegram.secret()), message(OTHER, "/stop")).await.expect(200);
    assert!(ended["text"].as_str().unwrap().contains("not linked"), "{ended}");
    server.delete(&format!("/v1/channels/{b}")).await.expect(204);
    assert_eq!(telegram.hook(), None);
    server.stop().await;
}
