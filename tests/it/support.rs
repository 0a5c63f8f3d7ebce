//! A server in this process, on a free port and a database of its own, and the calls that tests make.

use std::time::{Duration, Instant};

use forge_core::ForgeKind;
use forge_testkit::{
    Fake, FakeBitbucketDc, RepoHandle,
    logs::{self, Framing, SampleLog},
};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use server::{
    Application, Config, Role,
    config::{LogSource, LogSourceKind},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) const OWNER: &str = "frca_owner_token_of_these_tests_0001";

/// A running server; it stops when dropped, or orderly with [`TestServer::stop`].
pub(crate) struct TestServer {
    pub(crate) base: String,
    pub(crate) admin: String,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: std::sync::Arc<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<anyhow::Result<()>>,
}

/// An answer: status and JSON (null where the body is none).
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json
    }

    /// An error of the documented form, with this status and code.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> String {
        let json = self.expect(status);
        assert_eq!(json["code"], code, "{json}");
        let text = json["error"].as_str().unwrap_or_default().to_owned();
        assert!(!text.is_empty(), "an error says what is wrong: {json}");
        text
    }
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server that finds the logs of this forge: Bitbucket Data Center has them at a Jenkins.
    pub(crate) async fn start_for(fake: &Fake) -> Self {
        let sources = log_sources(fake);
        Self::start_with(|config| config.log_sources = sources).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(std::sync::Arc::new(tempfile::tempdir().unwrap()), Role::All, change).await
    }

    /// A server on a folder that another one may use too or has used before.
    pub(crate) async fn start_in(
        folder: std::sync::Arc<TempDir>,
        role: Role,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::for_loopback(folder.path(), SecretString::from(OWNER));
        change(&mut config);
        let application = Application::build(config, role).await.unwrap();
        let (base, admin) =
            (format!("http://{}", application.address()), format!("http://{}", application.admin_address()));
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(application.run(async {
            // A dropped sender stops the server too.
            drop(stopped.await);
        }));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base, admin, http, folder, stop: Some(stop), running }
    }

    /// Stops as on SIGTERM and waits for the end.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.running).await.unwrap().unwrap();
    }

    /// Ends at once, as by SIGKILL: nothing that was begun is brought to an end.
    pub(crate) async fn kill(self) {
        self.running.abort();
        let Self { running, .. } = self;
        assert!(running.await.is_err_and(|error| error.is_cancelled()));
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, text, json }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(OWNER)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).bearer_auth(OWNER)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).bearer_auth(OWNER).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).bearer_auth(OWNER).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).bearer_auth(OWNER).json(&body)).await
    }

    /// Connects the fake with a token of its own and gives the integration's id.
    pub(crate) async fn connect(&self, fake: &Fake) -> String {
        let token = secrecy::ExposeSecret::expose_secret(&fake.token()).to_owned();
        let path = format!("/v1/integrations/{}/token", fake.kind());
        let mut body = json!({
            "base_url": fake.base_url().as_str(),
            "token": token,
            "mode": "webhook",
            "backfill": {"enabled": false},
        });
        if fake.kind() == ForgeKind::BITBUCKET_CLOUD {
            body["email"] = "rca-bot@example.com".into();
        }
        let integration = self.post(&path, body).await.expect(201);
        integration["id"].as_str().unwrap().to_owned()
    }

    /// Waits until discovery has found the repository; gives our id of it.
    pub(crate) async fn discovered(&self, integration: &str, repo: &RepoHandle) -> String {
        let path = format!("/v1/integrations/{integration}/repositories?search={}", repo.full_name);
        eventually("the repository is discovered", async || {
            let list = self.get(&path).await.expect(200);
            let found =
                list["items"].as_array()?.iter().find(|item| item["full_name"] == repo.full_name.as_str())?;
            Some(found["id"].as_str()?.to_owned())
        })
        .await
    }

    /// Begins to watch a repository; gives our id of it.
    pub(crate) async fn monitor(&self, integration: &str, repo: &RepoHandle) -> String {
        let id = self.discovered(integration, repo).await;
        let path = format!("/v1/integrations/{integration}/repositories/monitor");
        let answer = self.post(&path, json!({"add": [id]})).await.expect(200);
        assert_eq!(answer["items"][0]["monitored"], true, "{answer}");
        assert_eq!(answer["items"][0]["hook_registered"], true, "{answer}");
        id
    }

    /// All analyses that match the query, once there are `count` and all have ended.
    pub(crate) async fn analyses(&self, query: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} analyses for '{query}' have ended"), async || {
            let list = self.get(&format!("/v1/analyses?limit=500&{query}")).await.expect(200);
            let items = list["items"].as_array()?.clone();
            let is_open = |item: &Value| matches!(item["state"].as_str(), Some("queued" | "running"));
            (items.len() >= count && !items.iter().any(is_open)).then_some(items)
        })
        .await
    }

    /// Waits until no delivery and no task is waiting any more, but for those whose integration waits for somebody.
    pub(crate) async fn idle(&self) {
        eventually("nothing is left to do", async || {
            let metrics =
                self.http.get(format!("{}/metrics", self.admin)).send().await.ok()?.text().await.ok()?;
            let is_zero = |line: &str| metrics.lines().any(|have| have == line);
            (is_zero("forge_rca_tasks{state=\"ready\"} 0")
                && is_zero("forge_rca_tasks{state=\"running\"} 0")
                && (is_zero("forge_rca_deliveries{state=\"pending\"} 0")
                    || !is_zero("forge_rca_tasks{state=\"parked\"} 0")))
            .then_some(())
        })
        .await;
    }
}

/// Where the logs of this forge lie, besides at the forge.
pub(crate) fn log_sources(fake: &Fake) -> Vec<LogSource> {
    if fake.kind() != ForgeKind::BITBUCKET_DC {
        return Vec::new();
    }
    vec![LogSource {
        kind: LogSourceKind::Jenkins,
        base_url: format!("{}/jenkins", fake.base_url().as_str().trim_end_matches('/')).parse().unwrap(),
        username: Some(FakeBitbucketDc::CI_USER.to_owned()),
        token: FakeBitbucketDc::CI_TOKEN.to_owned().into(),
    }]
}

/// Asks again until there is an answer; a minute at most.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not so after a minute: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// A failed job of pytest, as plain lines.
pub(crate) fn pytest_log() -> String {
    plain(logs::pytest(Framing::Plain))
}

/// A failed build of cargo, as plain lines.
pub(crate) fn cargo_log() -> String {
    plain(logs::cargo(Framing::Plain))
}

fn plain(log: SampleLog) -> String {
    String::from_utf8(log.bytes).unwrap()
}
