//! Discovery of 10,000 repositories at each forge: requests and seconds, one page after the other and as we do it.
//!
//! `cargo bench -p tests --bench discovery`. `REPOSITORIES` and `LATENCY_MS` change the measure.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops where it cannot go on"
)]

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use forge_core::{Credential, CredentialKind, ForgeKind, StaticCredential};
use forge_http::HttpClient;
use forge_testkit::{Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab};
use futures_util::TryStreamExt;

/// The largest page that each of the fakes gives, as its forge does.
const PAGE: usize = 100;
/// Bitbucket Cloud's repositories are listed by workspaces: one large one and some small ones.
const WORKSPACES: usize = 20;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (count, latency) = (setting("REPOSITORIES", 10_000), setting("LATENCY_MS", 20));
        println!("| forge | requests | the fewest | s, one after the other | s, ours |");
        println!("|---|---|---|---|---|");
        for kind in server::providers::KINDS {
            measure(kind, count, Duration::from_millis(latency as u64)).await;
        }
    });
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn measure(kind: ForgeKind, count: usize, latency: Duration) {
    let started = start(kind).await;
    let fake = (*started).as_ref();
    let fewest = fill(fake, count);
    fake.set_latency(latency);
    let mut figures = Vec::new();
    for concurrency in [1, 8] {
        fake.forget_requests();
        let began = Instant::now();
        discover(fake, concurrency, count).await;
        figures.push((fake.count("*", "**"), began.elapsed().as_secs_f64()));
        let asked = figures.last().expect("just pushed").0;
        assert_eq!(asked, fewest, "{kind}: the fewest requests that pages of {PAGE} allow");
    }
    let [(_, one), (asked, ours)] = figures[..] else { return };
    println!("| {kind} | {asked} | {fewest} | {one:.2} | {ours:.2} |");
}

/// Adds the repositories; gives the fewest requests that list them.
fn fill(fake: &Fake, count: usize) -> usize {
    let extra = fake.requests_before_repos() + fake.requests_after_repos();
    if fake.kind() != ForgeKind::BITBUCKET_CLOUD {
        fake.add_repos(count);
        return count.div_ceil(PAGE) + extra;
    }
    let small = count / 100;
    for workspace in 1..WORKSPACES {
        for number in 0..small {
            fake.add_repo(&format!("team-{workspace:02}/repo-{number}"));
        }
    }
    let rest = count - small * (WORKSPACES - 1);
    fake.add_repos(rest);
    rest.div_ceil(PAGE) + small.div_ceil(PAGE) * (WORKSPACES - 1) + extra
}

async fn discover(fake: &Fake, concurrency: usize, count: usize) {
    let http = HttpClient::builder()
        .with_http_allowed(true)
        .with_allowed_networks(["127.0.0.0/8".parse().expect("a network")])
        .with_max_concurrency_per_host(concurrency)
        .build()
        .expect("an HTTP client");
    let providers = server::providers::all(&http, &[]).expect("the adapters");
    let provider = providers.iter().find(|provider| provider.kind() == fake.kind()).expect("an adapter");
    let credentials = match fake.kind() {
        ForgeKind::BITBUCKET_CLOUD => StaticCredential::new(
            Credential::new(CredentialKind::ApiToken, fake.token()).with_user("rca-bot@example.com"),
        ),
        _ => StaticCredential::token(fake.token()),
    };
    let client = provider.connect(&fake.instance(), Arc::new(credentials)).expect("a client");
    let repos: Vec<_> = client.repos().list_repos().try_collect().await.expect("all pages");
    let ids: HashSet<&str> = repos.iter().map(|repo| repo.id.as_str()).collect();
    assert_eq!((repos.len(), ids.len()), (count, count), "each one, and once");
}

async fn start(kind: ForgeKind) -> Box<dyn AsRef<Fake> + Send + Sync> {
    match kind.as_str() {
        "gitlab" => Box::new(FakeGitLab::start().await),
        "github" => Box::new(FakeGitHub::start().await),
        "bitbucket-cloud" => Box::new(FakeBitbucketCloud::start().await),
        "bitbucket-dc" => Box::new(FakeBitbucketDc::start().await),
        _ => Box::new(FakeGitFlic::start().await),
    }
}
