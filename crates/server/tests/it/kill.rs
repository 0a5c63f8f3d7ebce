//! The server is killed, again and again, while deliveries come in. What was answered 2xx must be done, once.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use forge_core::model::Target;
use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RepoHandle, RunSpec, SignedRequest, logs};
use rca_store::testing::Database;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::program::command;

const KILLS: usize = 50;
pub(crate) const OWNER: &str = "frca_owner_token_of_the_kill_test_1";

/// How a server is started, and how it is reached.
pub(crate) struct Setting {
    pub(crate) folder: Arc<tempfile::TempDir>,
    port: u16,
    admin_port: u16,
    database: Option<String>,
    pub(crate) log_level: Option<String>,
    /// More settings.
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) http: reqwest::Client,
}

impl Setting {
    pub(crate) fn new(database: Option<String>) -> Self {
        Self::within(Arc::new(tempfile::tempdir().unwrap()), database)
    }

    /// Another process on the same database, key and folder.
    pub(crate) fn beside(&self) -> Self {
        Self::within(Arc::clone(&self.folder), self.database.clone())
    }

    fn within(folder: Arc<tempfile::TempDir>, database: Option<String>) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Installs the TLS provider that every client needs.
        forge_http::HttpClient::builder().build().unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self {
            folder,
            port: free(),
            admin_port: free(),
            database,
            log_level: None,
            environment: Vec::new(),
            http,
        }
    }

    pub(crate) fn start(&self) -> Child {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("server.log"))
            .unwrap();
        let mut command = command();
        command
            .arg("serve")
            .env("FORGE_RCA_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("FORGE_RCA_ADMIN_LISTEN", format!("127.0.0.1:{}", self.admin_port))
            .env("FORGE_RCA_DATA_DIR", self.folder.path().join("data"))
            .env("FORGE_RCA_OWNER_TOKEN", OWNER)
            .env("FORGE_RCA_ALLOWED_NETWORKS", "127.0.0.0/8")
            .env("FORGE_RCA_DANGEROUS_ALLOW_HTTP", "true")
            // Short, so that the work of a killed process is taken up within the test.
            .env("FORGE_RCA_WORKER_LEASE", "3")
            .stdout(Stdio::null())
            .stderr(Stdio::from(log));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(level) = &self.log_level {
            command.env("FORGE_RCA_LOG_LEVEL", level);
        }
        if let Some(url) = &self.database {
            command.env("DATABASE_URL", url);
        }
        command.spawn().unwrap()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) async fn metrics(&self) -> Option<String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        self.http.get(url).send().await.ok()?.text().await.ok()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) async fn ready(&self) {
        eventually(self.folder.path(), "the server is ready", async || {
            let response = self.http.get(self.url("/readyz")).send().await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
    }

    pub(crate) async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<Value> {
        let mut request = self.http.request(method, self.url(path)).bearer_auth(OWNER);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        response.status().is_success().then_some(())?;
        response.json().await.ok()
    }
}

/// Asks again until there is an answer; two minutes at most.
pub(crate) async fn eventually<T>(folder: &Path, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        if began.elapsed() > Duration::from_secs(120) {
            let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            panic!(
                "not so after two minutes: {what}\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn watch(setting: &Setting, fake: &FakeGitLab, repo: &RepoHandle) {
    let body = json!({"base_url": fake.base_url().as_str(), "token": fake.token().expose_secret(), "mode": "webhook",
        "backfill": {"enabled": false}});
    let integration =
        setting.call(reqwest::Method::POST, "/v1/integrations/gitlab/token", Some(body)).await.unwrap();
    let path = format!("/v1/integrations/{}/repositories", integration["id"].as_str().unwrap());
    let id = eventually(setting.folder.path(), "the repository is discovered", async || {
        let list = setting.call(reqwest::Method::GET, &path, None).await?;
        let item = list["items"]
            .as_array()?
            .iter()
            .find(|item| item["full_name"] == repo.full_name.as_str())?
            .clone();
        Some(item["id"].as_str()?.to_owned())
    })
    .await;
    let answer = setting
        .call(reqwest::Method::POST, &format!("{path}/monitor"), Some(json!({"add": [id]})))
        .await
        .unwrap();
    assert_eq!(answer["items"][0]["hook_registered"], true, "{answer}");
}

/// One failed run on a merge request of its own, and the delivery that tells of it.
fn failed_run(fake: &FakeGitLab, repo: &RepoHandle, hook: u64, index: usize) -> (u64, SignedRequest) {
    let pull = fake.open_pull(
        repo,
        &PullSpec::new("change", &format!("branch-{index}")).with_sha(&format!("{index:040x}")),
    );
    let run = fake.add_run(
        repo,
        &RunSpec::new(vec![JobSpec::failed("test", logs::pytest(logs::Framing::GitLabRunner).bytes)])
            .for_pull(&pull),
    );
    (pull.number, fake.signed_request(&run, hook).unwrap())
}

async fn survive(database: Option<String>) {
    let setting = Setting::new(database);
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let mut server = setting.start();
    setting.ready().await;
    watch(&setting, &fake, &repo).await;
    let hook = fake.hooks(&repo).remove(0).id;

    let mut accepted = BTreeSet::new();
    let mut index = 0;
    for kill in 0..KILLS {
        // Between none and a few deliveries into the life of the process; a different instant each time.
        let life = Duration::from_millis(20 + (kill as u64 * 37) % 260);
        let deadline = Instant::now() + life;
        while Instant::now() < deadline {
            let (pull, request) = failed_run(&fake, &repo, hook, index);
            index += 1;
            if request.send(Duration::from_secs(5)).await.is_success() {
                accepted.insert(pull);
            }
        }
        server.kill().unwrap();
        server.wait().unwrap();
        server = setting.start();
        setting.ready().await;
    }
    assert!(accepted.len() > KILLS, "the load was real: {} accepted", accepted.len());

    eventually(setting.folder.path(), "every accepted delivery has its comment", async || {
        accepted
            .iter()
            .all(|pull| !fake.comments(&repo, &Target::Pull(pull.to_string())).is_empty())
            .then_some(())
    })
    .await;
    eventually(setting.folder.path(), "nothing is left to do", async || {
        let metrics = setting.metrics().await?;
        [
            "forge_rca_tasks{state=\"ready\"} 0",
            "forge_rca_tasks{state=\"running\"} 0",
            "forge_rca_deliveries{state=\"pending\"} 0",
        ]
        .iter()
        .all(|line| metrics.lines().any(|have| have == *line))
        .then_some(())
    })
    .await;
    let mut analysed = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = setting
            .call(reqwest::Method::GET, &format!("/v1/analyses?limit=500{cursor}"), None)
            .await
            .unwrap();
        for analysis in page["items"].as_array().unwrap() {
            assert_eq!(analysis["state"], "done", "{analysis:#}");
            let pull: u64 = analysis["pr"].as_str().unwrap().parse().unwrap();
            assert!(analysed.insert(pull), "two analyses of the one job of !{pull}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    for pull in &accepted {
        assert!(analysed.contains(pull), "!{pull} was accepted and has no analysis");
        let comments = fake.comments(&repo, &Target::Pull(pull.to_string()));
        assert_eq!(comments.len(), 1, "!{pull}: {comments:#?}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let log = fs::read_to_string(setting.folder.path().join("server.log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_on_sqlite() {
    survive(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_on_postgresql() {
    let Some(database) = Database::postgres().await else { return };
    survive(Some(database.url().to_owned())).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_body_with_a_bad_proof_costs_no_memory() {
    use futures_util::StreamExt as _;
    let setting = Setting::new(None);
    let mut server = setting.start();
    setting.ready().await;
    let resident = |child: &Child| {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident(&server);
    let chunk = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    for _ in 0..4 {
        let ten_gigabytes =
            futures_util::stream::repeat(chunk.clone()).take(10 * 1024).map(Ok::<_, std::io::Error>);
        let url = setting.url(&format!("/v1/webhooks/github/{}", "0".repeat(64)));
        let request =
            setting.http.post(url).header("x-hub-signature-256", format!("sha256={}", "0".repeat(64)));
        // The server may hang up before we have heard its answer.
        if let Ok(response) = request.body(reqwest::Body::wrap_stream(ten_gigabytes)).send().await {
            assert_eq!(response.status().as_u16(), 413);
        }
    }
    let growth = resident(&server).saturating_sub(before);
    assert!(growth < 64 * 1024, "{growth} KiB more than before");
    server.kill().unwrap();
    server.wait().unwrap();
}
