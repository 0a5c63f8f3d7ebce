//! The dashboard with 100,000 analyses in SQLite: the milliseconds of each page and of each list by its filters, over
//! loopback HTTP, beside the target, by the clock and of the processor; the plan of each statement that they run; and how fast analyses are stored.
//!
//! `cargo bench -p tests --bench pages`. `ANALYSES` changes the measure. It fails when a plan reads a big table whole, or
//! sorts rows of one without a bound.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a bench prints, stops where it cannot go on, and uses the token that it made"
)]

mod fill;
mod plans;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use forge_testkit::{
    FakeGitLab,
    logs::{self, Framing},
};
use rca_store::{KeyRing, testing::texts};
use reqwest::{Client, RequestBuilder, header, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use server::{Application, Config, Role};
use tokio::{sync::oneshot, task::JoinHandle};

use fill::{CLUSTERS, REPOSITORIES, database};
use plans::Statements;

const OWNER: &str = "frca_owner_token_of_this_bench_0001";
/// Server time that a page may take.
const TARGET_MS: f64 = 20.0;
const ROUNDS: usize = 40;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let count: usize =
            std::env::var("ANALYSES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
        let statements = Statements::listen();
        let folder = tempfile::tempdir().expect("a folder");
        let fake = FakeGitLab::start().await;
        fake.add_repos(REPOSITORIES);
        let server = Server::start(folder.path()).await;
        let integration = server.connect(&fake).await;
        let seed = server.ingest().await;
        server.stop().await;

        let began = Instant::now();
        fill::fill(folder.path(), &seed, &integration, count).await;
        let bytes = std::fs::metadata(folder.path().join("forge-rca.db")).map_or(0, |file| file.len());
        println!(
            "{count} analyses, {CLUSTERS} clusters, {REPOSITORIES} repositories, {} MB of SQLite, filled in {:.1} s.\n",
            bytes / 1_000_000,
            began.elapsed().as_secs_f64()
        );
        // Anew: nothing is known from before.
        let server = Server::start(folder.path()).await;
        statements.take();
        let mut measured = Measured { server: &server, statements, run: BTreeMap::new() };
        measured.measure(folder.path(), &integration).await;
        let run = measured.run;
        server.stop().await;

        let url = database(folder.path());
        let faults = plans::check(&url, &run).await;
        let keys = KeyRing::from_file(&folder.path().join("master.key")).expect("the key of the server");
        writes::measure(&url, keys, &seed).await;
        for fault in &faults {
            eprintln!("{fault}");
        }
        if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
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

struct Measured<'a> {
    server: &'a Server,
    statements: Statements,
    /// Statements, each with the pages that ran it.
    run: BTreeMap<String, BTreeSet<String>>,
}

impl Measured<'_> {
    async fn measure(&mut self, folder: &Path, integration: &str) {
        let url = database(folder);
        let first = async |query: &str| texts(&url, query).await.into_iter().next().expect("a row");
        let analysis =
            first("SELECT id FROM analysis WHERE repository LIKE 'bulk/%' ORDER BY id DESC LIMIT 1").await;
        let cluster = first("SELECT id FROM cluster ORDER BY count DESC LIMIT 1").await;
        let small = first("SELECT id FROM cluster WHERE count > 0 ORDER BY count LIMIT 1").await;
        let sha =
            first("SELECT commit_sha FROM analysis WHERE repository LIKE 'bulk/%' ORDER BY id DESC LIMIT 1")
                .await;
        // Where most is older than what is shown.
        let deep =
            first("SELECT id FROM analysis WHERE repository LIKE 'bulk/%' ORDER BY id LIMIT 1 OFFSET 5000")
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
            "/failures?category=network&severity=high",
            "/failures?status=running",
            "/clusters",
            "/clusters?state=resolved&repository=bulk/repo-00042",
            "/search?q=repo-00042",
            "/search?q=test_refund",
            "/search?q=cause+77",
            "/search?q=found+nowhere",
            "/deliveries",
            "/deliveries?repository=bulk/repo-00042&status=ignored",
            "/deliveries?status=dead",
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
            format!("/search?q={}", sha.get(..8).unwrap_or_default()),
            format!("/failures?cluster={cluster}"),
            format!("/failures?cursor={deep}"),
            format!("/failures?branch=main&severity=high&cursor={deep}"),
            format!("/clusters/{cluster}"),
            format!("/analyses/{analysis}"),
            format!("/analyses/{analysis}/log"),
            format!("/integrations/{integration}"),
            repository.clone(),
            format!("{repository}?search=repo-01"),
        ])
        .collect();
        let cookie = self.server.sign_in().await;
        println!("| page | kB | ms of the processor | ms, the first time | p50 of {ROUNDS} | p95 | max | |");
        println!("|---|---|---|---|---|---|---|---|");
        for page in pages {
            let (size, cold) = self.server.page(&cookie, &page).await;
            let mut times = Vec::with_capacity(ROUNDS);
            let began = processor();
            for _ in 0..ROUNDS {
                times.push(self.server.page(&cookie, &page).await.1);
            }
            let busy = processor().saturating_sub(began).as_secs_f64() * 1_000.0 / ROUNDS as f64;
            self.note(&page);
            let size = size as f64 / 1_000.0;
            println!("| `{page}` | {size:.1} | {busy:.1} | {cold:.1} |{} |", Spread::of(times));
        }
        // One value that most have, one that few have.
        let failures: [(&str, [&str; 2]); 8] = [
            ("repository", ["bulk/repo-00001", "bulk/repo-00042"]),
            ("branch", ["main", "feature/7"]),
            ("category", ["network", "timeout"]),
            ("severity", ["high", "low"]),
            ("status", ["done", "failed"]),
            ("forge", ["gitlab", "github"]),
            ("since", ["30d", "1d"]),
            ("cluster", [&cluster, &small]),
        ];
        let deliveries: [(&str, [&str; 2]); 3] = [
            ("repository", ["bulk/repo-00001", "bulk/repo-00042"]),
            ("status", ["ignored", "dead"]),
            ("integration", [integration, "none"]),
        ];
        let clusters: [(&str, [&str; 2]); 3] = [
            ("repository", ["bulk/repo-00001", "bulk/repo-00042"]),
            ("state", ["active", "acknowledged"]),
            ("category", ["test_failure", "timeout"]),
        ];
        println!(
            "\n| list, by all sets of up to three filters | lists | ms of the processor | p50 | p95 | max | | slowest |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        let old = format!("&cursor={deep}");
        for (page, filters, more) in [
            ("/failures", &failures[..], ""),
            ("/failures", &failures[..], &old),
            ("/deliveries", &deliveries[..], ""),
            ("/deliveries", &deliveries[..], &old),
            ("/clusters", &clusters[..], ""),
        ] {
            self.lists(&cookie, page, filters, more).await;
        }
    }

    /// One list by each set of filters, each once.
    async fn lists(&mut self, cookie: &str, page: &str, filters: &[(&str, [&str; 2])], more: &str) {
        let mut slowest = (0.0, String::new());
        let mut times = Vec::new();
        let began = processor();
        for query in queries(filters) {
            let address = format!("{page}?{query}{more}");
            let took = self.server.page(cookie, &address).await.1;
            self.note(&address);
            times.push(took);
            if took > slowest.0 {
                slowest = (took, address);
            }
        }
        let kind = if more.is_empty() { "" } else { ", far back" };
        let lists = times.len();
        let busy = processor().saturating_sub(began).as_secs_f64() * 1_000.0 / lists as f64;
        println!("| `{page}`{kind} | {lists} | {busy:.1} |{} | `{}` |", Spread::of(times), slowest.1);
    }

    fn note(&mut self, page: &str) {
        for statement in self.statements.take() {
            self.run.entry(statement).or_default().insert(page.to_owned());
        }
    }
}

/// What the threads of this process, server and client together, have worked: unlike the clock it says little of what
/// else the machine does. Nothing where the system does not tell.
fn processor() -> Duration {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let worked = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(worked.sum())
}

/// All sets of one to three filters, with each of their values.
fn queries(filters: &[(&str, [&str; 2])]) -> Vec<String> {
    let mut all: Vec<(usize, usize, String)> = vec![(0, 0, String::new())];
    let mut next = 0;
    while let Some((from, length, query)) = all.get(next).cloned() {
        next += 1;
        if length == 3 {
            continue;
        }
        for (place, (name, values)) in filters.iter().enumerate().skip(from) {
            for value in values {
                let glue = if query.is_empty() { "" } else { "&" };
                all.push((place + 1, length + 1, format!("{query}{glue}{name}={value}")));
            }
        }
    }
    all.into_iter().skip(1).map(|(_, _, query)| query).collect()
}

/// Half of the times were faster, nineteen in twenty, all.
struct Spread([f64; 3]);

impl Spread {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let rank = |share: usize| times.get((times.len() * share).div_ceil(100).max(1) - 1).copied();
        Self([50, 95, 100].map(|share| rank(share).unwrap_or_default()))
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most, all] = self.0;
        let verdict = if most <= TARGET_MS { "ok" } else { "too slow" };
        write!(f, " {half:.1} | {most:.1} | {all:.1} | {verdict}")
    }
}
