//! Root causes inside of an axum service of your own: a webhook is proved, the logs of the failed jobs are read as
//! streams, and the engine says what broke.
//! `GITLAB_TOKEN=... HOOK_SECRET=... cargo run -p examples --example embed_in_axum -- https://gitlab.com`.
//!
//! The forge gets its answer at once, the work follows. What is accepted here is lost when the process ends; the server
//! of this repository keeps it in a database.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use forge_core::{
    Delivery, ForgeClient, ForgeClientExt as _, Instance, LogOptions, Provider, Secrets, StaticCredential,
    model::{Event, RunRef},
};
use forge_gitlab::GitLab;
use forge_http::HttpClient;
use futures_util::TryStreamExt as _;
use rca_engine::{Analyzer, Report};
use tokio::sync::mpsc;

/// What the service is made of. Nothing here names the forge: another adapter is another line in `main`.
struct Service {
    provider: Arc<dyn Provider>,
    client: Arc<dyn ForgeClient>,
    secrets: Secrets,
    /// Proved events; the channel's length is the most that wait.
    events: mpsc::Sender<Event>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let base_url = std::env::args().nth(1).unwrap_or_else(|| "https://gitlab.com".to_owned());
    let provider = Arc::new(GitLab::new(HttpClient::builder().build()?));
    let token = StaticCredential::token(std::env::var("GITLAB_TOKEN")?.into());
    let client = provider.connect(&Instance::new(&base_url)?, Arc::new(token))?;
    let secrets = Secrets::new(std::env::var("HOOK_SECRET")?.into());

    let (router, mut reports) = service(provider, client, secrets);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/webhook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    while let Some((job, report)) = reports.recv().await {
        println!("{job}\n{}", report.to_markdown());
    }
    Ok(())
}

/// The routes, and the reports as they are made, each with its job's name.
fn service(
    provider: Arc<dyn Provider>,
    client: Arc<dyn ForgeClient>,
    secrets: Secrets,
) -> (Router, mpsc::Receiver<(String, Report)>) {
    let (events, mut waiting) = mpsc::channel::<Event>(1000);
    let (reports, made) = mpsc::channel(1000);
    let worker = Arc::clone(&client);
    tokio::spawn(async move {
        while let Some(event) = waiting.recv().await {
            if let Err(error) = analyse(worker.as_ref(), &event, &reports).await {
                println!("{error}; {}", error.hint().unwrap_or_default());
            }
        }
    });
    let service = Service { provider, client, secrets, events };
    (Router::new().route("/webhook", post(receive)).with_state(Arc::new(service)), made)
}

async fn receive(State(service): State<Arc<Service>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let received_at = std::time::SystemTime::now().try_into().unwrap_or_default();
    let delivery = Delivery { headers: &headers, query: None, body: &body, received_at };
    let webhooks = service.provider.webhooks();
    // The sender is told nothing about what was wrong.
    let Ok(verified) = webhooks.verify(&delivery, &service.secrets) else { return StatusCode::UNAUTHORIZED };
    match webhooks.parse(&verified) {
        Ok(event) if event.triggers_rca => match service.events.try_send(event) {
            Ok(()) => StatusCode::ACCEPTED,
            // The forge tries again later.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        },
        Ok(_) => StatusCode::NO_CONTENT,
        Err(error) => {
            println!("proved but unreadable at {}: {error}", service.client.base_url());
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }
}

/// A payload is a hint: what is said about the run is read from the forge.
async fn analyse(
    client: &dyn ForgeClient,
    event: &Event,
    reports: &mpsc::Sender<(String, Report)>,
) -> forge_core::Result<()> {
    let (Some(repo), Some(run)) = (&event.repo_id, &event.run_id) else { return Ok(()) };
    let repo = client.repos().get_repo(repo).await?.as_ref();
    let ci = client.require_ci()?;
    let mut jobs = ci.list_jobs(&repo, &RunRef::new(run.clone()));
    while let Some(job) = jobs.try_next().await? {
        if !job.is_failed() || job.is_allowed_to_fail || job.is_retried {
            continue;
        }
        // However long the log is, a piece of it is in memory at a time.
        let mut log = ci.job_log(&repo, &job, LogOptions::default()).await?;
        let mut analyzer = Analyzer::new();
        while let Some(chunk) = log.bytes.try_next().await? {
            analyzer.push(&chunk);
        }
        // Nobody listens any more: the program is ending.
        drop(reports.send((job.name, analyzer.finish())).await);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use forge_testkit::{FakeGitLab, HookSetup, JobSpec, RunSpec, conformance::http_client, logs};

    use super::*;

    #[tokio::test]
    async fn a_broken_pipeline_is_explained() -> anyhow::Result<()> {
        let fake = FakeGitLab::start().await;
        let repo = fake.add_repo("acme/shop");
        let provider = Arc::new(GitLab::new(http_client()));
        let token = StaticCredential::token(fake.token());
        let client = provider.connect(&fake.instance(), Arc::new(token))?;
        let (router, mut reports) = service(provider, client, Secrets::new("s3cret".into()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/webhook", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let log = logs::pytest(logs::Framing::GitLabRunner);
        let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", log.bytes)]));
        fake.add_hook(&repo, &HookSetup::new(&url).with_secret("s3cret"));
        let told = fake.deliver(&run).await;
        assert!(told.iter().all(|outcome| outcome.is_success()), "{told:?}");
        let (job, report) = reports.recv().await.expect("the worker lives");
        assert_eq!(job, "unit");
        assert!(!report.evidence.is_empty() && report.to_markdown().contains("AssertionError"), "{report:?}");

        // What proves nothing is refused, and nothing comes of it.
        fake.add_hook(&repo, &HookSetup::new(&url).with_secret("another"));
        let told = fake.deliver(&run).await;
        assert!(told.iter().any(|outcome| outcome.status == Some(401)), "{told:?}");
        Ok(())
    }
}
