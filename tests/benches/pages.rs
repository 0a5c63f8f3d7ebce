//! The dashboard with 100,000 analyses in SQLite: milliseconds of each page, over loopback HTTP, beside the target.
//!
//! `cargo bench -p tests --bench pages`. `ANALYSES` changes the measure.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a bench prints, stops where it cannot go on, and uses the token that it made"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use forge_testkit::{
    FakeGitLab,
    logs::{self, Framing},
};
use rca_store::testing::{execute, texts};
use reqwest::{Client, RequestBuilder, header, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use server::{Application, Config, Role};
use tokio::{sync::oneshot, task::JoinHandle};

const OWNER: &str = "frca_owner_token_of_this_bench_0001";
/// Server time that a page may take.
const TARGET_MS: f64 = 20.0;
const ROUNDS: usize = 20;
/// Projects that the analyses are of, and repositories of the one integration.
const REPOSITORIES: usize = 2_000;
/// Causes that they have.
const CLUSTERS: usize = 1_000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let count: usize =
            std::env::var("ANALYSES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
        let folder = tempfile::tempdir().expect("a folder");
        let fake = FakeGitLab::start().await;
        fake.add_repos(REPOSITORIES);
        let server = Server::start(folder.path()).await;
        let integration = server.connect(&fake).await;
        let seed = server.ingest().await;
        server.stop().await;

        let began = Instant::now();
        fill(folder.path(), &seed, &integration, count).await;
        let bytes = std::fs::metadata(folder.path().join("forge-rca.db")).map_or(0, |file| file.len());
        println!(
            "{count} analyses, {CLUSTERS} clusters, {REPOSITORIES} repositories, {} MB of SQLite, filled in {:.1} s.\n",
            bytes / 1_000_000,
            began.elapsed().as_secs_f64()
        );
        // Anew: nothing is known from before.
        let server = Server::start(folder.path()).await;
        measure(&server, folder.path(), &integration).await;
        server.stop().await;
    });
}

struct Server {
    base: String,
    http: Client,
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    async fn start(folder: &Path) -> Self {
        let config = Config::for_loopback(folder, SecretString::from(OWNER));
        let application = Application::build(config, Role::All).await.expect("a server");
        let base = format!("http://{}", application.address());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(application.run(async { drop(stopped.await) }));
        let http = Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
        Self { base, http, stop, running }
    }

    async fn stop(self) {
        drop(self.stop);
        self.running.await.expect("the server ends").expect("in order");
    }

    async fn ask(&self, request: RequestBuilder) -> Value {
        let response = request.bearer_auth(OWNER).send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Connects the fake; gives the integration once its repositories are known.
    async fn connect(&self, fake: &FakeGitLab) -> String {
        let body = json!({
            "base_url": fake.base_url().as_str(),
            "token": fake.token().expose_secret(),
            "mode": "webhook",
            "backfill": {"enabled": false},
        });
        let url = format!("{}/v1/integrations/gitlab/token", self.base);
        let made = self.ask(self.http.post(url).json(&body)).await;
        let id = made["id"].as_str().expect("an id").to_owned();
        let url =
            format!("{}/v1/integrations/{id}/repositories?search=bulk/repo-{REPOSITORIES:05}", self.base);
        let began = Instant::now();
        loop {
            let list = self.ask(self.http.get(&url)).await;
            if list["items"].as_array().is_some_and(|items| !items.is_empty()) {
                return id;
            }
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "the repositories are not discovered: {list}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends in the log whose report all others copy; gives the id of its analysis.
    async fn ingest(&self) -> String {
        let url = format!("{}/v1/ingest/raw?project=seed&branch=main&job_name=test&wait=60", self.base);
        let log = logs::pytest(Framing::Plain).bytes;
        let made = self.ask(self.http.post(url).body(log)).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn sign_in(&self) -> String {
        let request = self.http.post(format!("{}/sign-in", self.base)).form(&[("token", OWNER)]);
        let response = request.send().await.expect("an answer");
        let cookie = response.headers().get(header::SET_COOKIE).expect("a session");
        cookie.to_str().expect("text").split(';').next().unwrap_or_default().to_owned()
    }

    /// The page's bytes, and the milliseconds that it took.
    async fn page(&self, cookie: &str, address: &str) -> (usize, f64) {
        let request = self.http.get(format!("{}{address}", self.base)).header(header::COOKIE, cookie);
        let began = Instant::now();
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let size = response.bytes().await.expect("a body").len();
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        assert!(status.is_success(), "{address}: {status}");
        (size, took)
    }
}

fn database(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("forge-rca.db").display())
}

/// Copies of the one analysis over thirty days: several repositories, branches, jobs, causes and categories; a delivery
/// and a finished run for each.
async fn fill(folder: &Path, seed: &str, integration: &str, count: usize) {
    let url = database(folder);
    // Of every ten failures nine have one of a tenth of the causes, as it is where people work.
    let cluster = format!(
        "printf('bench-cluster-%06d', CASE WHEN i % 10 = 0 THEN i / 10 * 7919 % {CLUSTERS} ELSE i * 7919 % ({CLUSTERS} / 10) END)"
    );
    let time = format!("unixepoch() * 1000 - ({count} - i) * (30 * 86400000 / {count})");
    let numbers = |most: usize| {
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})")
    };
    let category = "CASE i % 4 WHEN 0 THEN 'compile_error' WHEN 1 THEN 'network' ELSE a.category END";
    let statements = [
        format!(
            "{} INSERT INTO cluster (id, workspace, fingerprint, state, category, root_cause, count, first_seen_at, \
             last_seen_at) SELECT printf('bench-cluster-%06d', i - 1), a.workspace, printf('bench-%d', i), \
             CASE WHEN i % 3 = 0 THEN 'resolved' ELSE 'active' END, a.category, printf('cause %d of the bench', i), 0, \
             unixepoch() * 1000 - 30 * 86400000, unixepoch() * 1000 - i * 60000 FROM n, (SELECT * FROM analysis WHERE id = '{seed}') a",
            numbers(CLUSTERS)
        ),
        format!(
            "{} INSERT INTO analysis (id, workspace, integration_key, forge, repository_key, repository, run_id, root_run_id, \
             attempt, job_id, job_name, branch, commit_sha, source, state, category, severity, fingerprint, cluster_id, report, \
             data, created_at, finished_at, duration_seconds) \
             SELECT printf('01900000-0000-7000-8000-%012d', i), a.workspace, '{integration}', 'gitlab', \
             printf('bench-%d', i % {REPOSITORIES}), printf('bulk/repo-%05d', i % {REPOSITORIES} + 1), printf('%d', i / 3), \
             printf('%d', i / 3), 1, printf('%d', i), printf('test %d', i % 40), \
             CASE WHEN i % 2 = 0 THEN 'main' ELSE printf('feature/%d', i % 500) END, printf('%040x', i / 3), 'webhook', 'done', \
             {category}, CASE i % 3 WHEN 0 THEN 'high' ELSE a.severity END, a.fingerprint, {cluster}, a.report, a.data, \
             {time}, {time} + 3000, i % 600 FROM n, (SELECT * FROM analysis WHERE id = '{seed}') a",
            numbers(count)
        ),
        "INSERT OR IGNORE INTO cluster_repository (cluster, repository, count, last_seen_at) \
         SELECT cluster_id, repository, COUNT(*), MAX(created_at) FROM analysis WHERE cluster_id LIKE 'bench-%' \
         GROUP BY cluster_id, repository"
            .to_owned(),
        "UPDATE cluster SET count = (SELECT COALESCE(SUM(count), 0) FROM cluster_repository WHERE cluster = id), \
         last_analysis = (SELECT MAX(analysis.id) FROM analysis WHERE cluster_id = cluster.id) WHERE id LIKE 'bench-%'"
            .to_owned(),
        format!(
            "INSERT OR IGNORE INTO failed_test (workspace, repository, name, analysis, first_seen_at, seen_at) \
             SELECT workspace, repository, printf('tests/test_%d.py::test_refund', id % 997), id, created_at, created_at \
             FROM analysis WHERE id <> '{seed}'"
        ),
        format!(
            "INSERT INTO finished_run (workspace, integration, repository, run_id, attempt, failed, finished_at) \
             SELECT workspace, '{integration}', repository_key, run_id, 1, 1, MAX(created_at) FROM analysis \
             WHERE id <> '{seed}' GROUP BY repository_key, run_id"
        ),
        format!(
            "INSERT INTO delivery (id, workspace, integration, hook, forge, delivery_key, event, repository, key_id, sealed, \
             status, analyses, received_at, finished_at) SELECT id, workspace, '{integration}', 'bench', 'gitlab', id, \
             'Pipeline Hook', repository, 1, x'00', CASE WHEN rowid % 5 = 0 THEN 'ignored' ELSE 'done' END, '[]', created_at, \
             finished_at FROM analysis WHERE id <> '{seed}'"
        ),
    ];
    for statement in &statements {
        execute(&url, statement).await;
    }
}

async fn measure(server: &Server, folder: &Path, integration: &str) {
    let url = database(folder);
    let first = async |query: &str| texts(&url, query).await.into_iter().next().expect("a row");
    let analysis =
        first("SELECT id FROM analysis WHERE repository LIKE 'bulk/%' ORDER BY id DESC LIMIT 1").await;
    let cluster = first("SELECT id FROM cluster ORDER BY count DESC LIMIT 1").await;
    let sha =
        first("SELECT commit_sha FROM analysis WHERE repository LIKE 'bulk/%' ORDER BY id DESC LIMIT 1")
            .await;
    let repository = format!("/integrations/{integration}/repositories");
    let pages: Vec<String> = [
        "/",
        "/failures",
        "/failures?since=7d",
        "/failures?repository=bulk/repo-00042",
        "/failures?branch=main&severity=high&category=compile_error",
        "/failures?repository=bulk/repo-00042&branch=main&since=7d",
        "/failures?branch=none&category=network&severity=high&since=30d",
        "/failures?status=running",
        "/clusters",
        "/clusters?state=resolved&repository=bulk/repo-00042",
        "/search?q=repo-00042",
        "/search?q=test_refund",
        "/search?q=cause+77",
        "/deliveries",
        "/deliveries?repository=bulk/repo-00042&status=ignored",
        "/integrations",
        "/incidents",
        "/channels",
        "/settings",
        "/members",
        "/tokens",
        "/audit",
        "/send",
        "/connect",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([
        format!("/search?q={sha}"),
        format!("/failures?cluster={cluster}"),
        format!("/clusters/{cluster}"),
        format!("/analyses/{analysis}"),
        format!("/analyses/{analysis}/log"),
        format!("/integrations/{integration}"),
        repository.clone(),
        format!("{repository}?search=repo-01"),
    ])
    .collect();
    let cookie = server.sign_in().await;
    println!("| page | kB | ms, the first time | ms, median of {ROUNDS} | ms, target | |");
    println!("|---|---|---|---|---|---|");
    for page in pages {
        let (size, cold) = server.page(&cookie, &page).await;
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            times.push(server.page(&cookie, &page).await.1);
        }
        times.sort_by(f64::total_cmp);
        let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
        let verdict = if median <= TARGET_MS { "ok" } else { "too slow" };
        let size = size as f64 / 1_000.0;
        println!("| `{page}` | {size:.1} | {cold:.1} | {median:.1} | {TARGET_MS:.0} | {verdict} |");
    }
}
