//! A receiver of GitHub webhooks in axum that believes nothing before its proof is checked:
//! `HOOK_SECRET=... cargo run -p examples --example github_verify_webhook`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use forge_core::{Delivery, Secrets, WebhookReceiver as _};
use forge_github::GitHubWebhooks;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let router = router(Secrets::new(std::env::var("HOOK_SECRET")?.into()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/webhook", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

fn router(secrets: Secrets) -> Router {
    Router::new().route("/webhook", post(receive)).with_state(Arc::new(secrets))
}

async fn receive(State(secrets): State<Arc<Secrets>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let now = std::time::SystemTime::now().try_into().unwrap_or_default();
    let delivery = Delivery { headers: &headers, query: None, body: &body, received_at: now };
    // The sender is told nothing about what was wrong.
    let Ok(verified) = GitHubWebhooks.verify(&delivery, &secrets) else { return StatusCode::UNAUTHORIZED };
    match GitHubWebhooks.parse(&verified) {
        Ok(event) if event.triggers_rca => println!("failed: run {:?} of {:?}", event.run_id, event.repo),
        Ok(event) => println!("ignored: {}", event.reason.unwrap_or_default()),
        Err(error) => println!("proved but unreadable: {error}"),
    }
    StatusCode::ACCEPTED
}

#[cfg(test)]
mod tests {
    use forge_testkit::{FakeGitHub, HookSetup, JobSpec, RunSpec};

    use super::*;

    #[tokio::test]
    async fn only_what_is_signed_is_taken() -> anyhow::Result<()> {
        let fake = FakeGitHub::start().await;
        let repo = fake.add_repo("acme/shop");
        let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "boom\n")]));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/webhook", listener.local_addr()?);
        let router = router(Secrets::new("s3cret".into()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        for (secret, status) in [("s3cret", 202), ("another", 401)] {
            let hook = fake.add_hook(&repo, &HookSetup::new(&url).with_secret(secret));
            let request = fake.signed_request(&run, hook).expect("the run has a payload");
            let outcome = request.send(std::time::Duration::from_secs(5)).await;
            assert_eq!(outcome.status, Some(status), "{outcome:?}");
        }
        Ok(())
    }
}
