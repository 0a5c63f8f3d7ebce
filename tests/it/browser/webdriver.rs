//! As much of the WebDriver protocol (W3C, with chromedriver's additions) as the tests need.
//!
//! A known client would make every test of the workspace see its JSON in another order than the program writes it:
//! docs/decisions/0017.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

/// The key under which the protocol hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What the driver answers instead of a value.
pub(crate) type Outcome<T> = Result<T, String>;

/// One browser.
#[derive(Debug, Clone)]
pub(crate) struct WebDriver {
    http: reqwest::Client,
    /// The address of its session.
    session: String,
}

/// An element of its page.
#[derive(Debug)]
pub(crate) struct WebElement {
    page: WebDriver,
    id: String,
}

/// A line of one of the browser's logs.
#[derive(Debug)]
pub(crate) struct LogEntry {
    pub(crate) level: String,
    pub(crate) message: String,
}

impl WebDriver {
    /// A new browser with these capabilities, by the driver at `address`.
    pub(crate) async fn connect(address: &str, capabilities: Value) -> Outcome<Self> {
        // On loopback, whatever proxy the surroundings have.
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(120))
            .build()
            .map_err(|error| error.to_string())?;
        let all = format!("http://{address}/session");
        let made =
            call(&http, Method::POST, &all, json!({"capabilities": {"alwaysMatch": capabilities}})).await?;
        let id = made["sessionId"].as_str().ok_or("the driver gave no session")?;
        Ok(Self { session: format!("{all}/{id}"), http })
    }

    async fn post(&self, path: &str, body: Value) -> Outcome<Value> {
        call(&self.http, Method::POST, &format!("{}/{path}", self.session), body).await
    }

    async fn get(&self, path: &str) -> Outcome<Value> {
        call(&self.http, Method::GET, &format!("{}/{path}", self.session), Value::Null).await
    }

    pub(crate) async fn quit(&self) -> Outcome<Value> {
        call(&self.http, Method::DELETE, &self.session, Value::Null).await
    }

    pub(crate) async fn goto(&self, url: impl Into<String>) -> Outcome<Value> {
        self.post("url", json!({"url": url.into()})).await
    }

    pub(crate) async fn back(&self) -> Outcome<Value> {
        self.post("back", json!({})).await
    }

    pub(crate) async fn current_url(&self) -> Outcome<String> {
        Ok(self.get("url").await?.as_str().unwrap_or_default().to_owned())
    }

    /// The first element that the selector finds now.
    pub(crate) async fn find(&self, css: &str) -> Outcome<WebElement> {
        let found = self.post("element", json!({"using": "css selector", "value": css})).await?;
        self.element(&found)
    }

    pub(crate) async fn find_all(&self, css: &str) -> Outcome<Vec<WebElement>> {
        let found = self.post("elements", json!({"using": "css selector", "value": css})).await?;
        found.as_array().into_iter().flatten().map(|found| self.element(found)).collect()
    }

    fn element(&self, found: &Value) -> Outcome<WebElement> {
        let id = found[ELEMENT].as_str().ok_or_else(|| format!("no element: {found}"))?;
        Ok(WebElement { page: self.clone(), id: id.to_owned() })
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) -> Outcome<Value> {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
            })
            .collect();
        self.post("actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}))
            .await
    }

    /// The value of a script's `return`.
    pub(crate) async fn execute(&self, script: &str) -> Outcome<Value> {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    /// What a script gives to its last argument.
    pub(crate) async fn execute_async(&self, script: &str) -> Outcome<Value> {
        self.post("execute/async", json!({"script": script, "args": []})).await
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn devtools(&self, method: &str, parameters: Value) -> Outcome<Value> {
        self.post("goog/cdp/execute", json!({"cmd": method, "params": parameters})).await
    }

    /// What was written to a log since the last time: `browser`, `performance`.
    pub(crate) async fn log(&self, kind: &str) -> Outcome<Vec<LogEntry>> {
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let log = self.post("se/log", json!({"type": kind})).await?;
        let entries = log.as_array().into_iter().flatten();
        Ok(entries
            .map(|entry| LogEntry { level: text(entry, "level"), message: text(entry, "message") })
            .collect())
    }
}

impl WebElement {
    async fn post(&self, path: &str, body: Value) -> Outcome<Value> {
        self.page.post(&format!("element/{}/{path}", self.id), body).await
    }

    async fn get(&self, path: &str) -> Outcome<Value> {
        self.page.get(&format!("element/{}/{path}", self.id)).await
    }

    /// The text that a person sees.
    pub(crate) async fn text(&self) -> Outcome<String> {
        Ok(self.get("text").await?.as_str().unwrap_or_default().to_owned())
    }

    pub(crate) async fn attr(&self, name: &str) -> Outcome<Option<String>> {
        Ok(self.get(&format!("attribute/{name}")).await?.as_str().map(str::to_owned))
    }

    pub(crate) async fn click(&self) -> Outcome<Value> {
        self.post("click", json!({})).await
    }

    pub(crate) async fn clear(&self) -> Outcome<Value> {
        self.post("clear", json!({})).await
    }

    pub(crate) async fn send_keys(&self, text: &str) -> Outcome<Value> {
        self.post("value", json!({"text": text})).await
    }

    /// Moves the page so that the element is in its middle: a bar at an edge may cover what the driver would click.
    pub(crate) async fn scroll_into_view(&self) -> Outcome<Value> {
        let script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})";
        let arguments = json!([{ ELEMENT: self.id }]);
        self.page.post("execute/sync", json!({"script": script, "args": arguments})).await
    }
}

async fn call(http: &reqwest::Client, method: Method, url: &str, body: Value) -> Outcome<Value> {
    let mut request = http.request(method, url);
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let is_success = answer.status().is_success();
    let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
    let value = answer["value"].take();
    if is_success { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
}
