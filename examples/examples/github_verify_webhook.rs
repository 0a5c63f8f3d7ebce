//! A receiver of GitHub webhooks in axum that believes nothing before its proof is checked:
//! `HOOK_SECRET=... cargo run -p examples --example github_verify_webhook`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use forge_core::{Delivery, Secrets, WebhookReceiver as _};
use forge_github::GitHubWebhooks;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let secrets = Arc::new(Secrets::new(std::env::var("HOOK_SECRET")?.into()));
    let router = Router::new().route("/webhook", post(receive)).with_state(secrets);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/webhook", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
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
