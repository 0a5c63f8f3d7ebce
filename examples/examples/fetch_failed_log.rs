//! The logs of all failed jobs of a run, and what broke in each:
//! `GITHUB_TOKEN=... cargo run -p examples --example fetch_failed_log -- owner/name 123456`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use forge_core::{ForgeClientExt as _, Instance, LogOptions, Provider as _, StaticCredential, model::RunRef};
use forge_github::GitHub;
use forge_http::HttpClient;
use futures_util::TryStreamExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(run)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: fetch_failed_log OWNER/NAME RUN");
    };
    let token = StaticCredential::token(std::env::var("GITHUB_TOKEN")?.into());
    let github = GitHub::new(HttpClient::builder().build()?);
    let client = github.connect(&Instance::new("https://github.com")?, Arc::new(token))?;

    let repo = client.repos().get_repo(&name).await?.as_ref();
    let ci = client.require_ci()?;
    let mut jobs = ci.list_jobs(&repo, &RunRef::new(run));
    while let Some(job) = jobs.try_next().await? {
        if !job.is_failed() {
            continue;
        }
        let mut log = ci.job_log(&repo, &job, LogOptions::default()).await?;
        let mut analyzer = rca_engine::Analyzer::new();
        while let Some(chunk) = log.bytes.try_next().await? {
            analyzer.push(&chunk);
        }
        println!("{}\n{}", job.name, analyzer.finish().to_markdown());
    }
    Ok(())
}
