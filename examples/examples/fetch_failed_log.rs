//! The logs of all failed jobs of a run, and what broke in each:
//! `GITHUB_TOKEN=... cargo run -p examples --example fetch_failed_log -- owner/name 123456`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use forge_core::{
    ForgeClient, ForgeClientExt as _, Instance, LogOptions, Provider as _, StaticCredential, model::RunRef,
};
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
    for (job, report) in explain(client.as_ref(), &name, &run).await? {
        println!("{job}\n{report}");
    }
    Ok(())
}

/// The failed jobs of the run with their reports in Markdown.
async fn explain(
    client: &dyn ForgeClient,
    name: &str,
    run: &str,
) -> forge_core::Result<Vec<(String, String)>> {
    let repo = client.repos().get_repo(name).await?.as_ref();
    let ci = client.require_ci()?;
    let mut jobs = ci.list_jobs(&repo, &RunRef::new(run));
    let mut explained = Vec::new();
    while let Some(job) = jobs.try_next().await? {
        if !job.is_failed() {
            continue;
        }
        let mut log = ci.job_log(&repo, &job, LogOptions::default()).await?;
        let mut analyzer = rca_engine::Analyzer::new();
        while let Some(chunk) = log.bytes.try_next().await? {
            analyzer.push(&chunk);
        }
        explained.push((job.name, analyzer.finish().to_markdown()));
    }
    Ok(explained)
}

#[cfg(test)]
mod tests {
    use forge_testkit::{FakeGitHub, JobSpec, RunSpec, conformance::http_client, logs};

    use super::*;

    #[tokio::test]
    async fn only_failed_jobs_are_explained() -> anyhow::Result<()> {
        let fake = FakeGitHub::start().await;
        let repo = fake.add_repo("acme/shop");
        let log = logs::pytest(logs::Framing::GitHubActions);
        let jobs = vec![JobSpec::green("lint"), JobSpec::failed("unit", log.bytes)];
        let run = fake.add_run(&repo, &RunSpec::new(jobs));
        let token = StaticCredential::token(fake.token());
        let client = GitHub::new(http_client()).connect(&fake.instance(), Arc::new(token))?;
        let explained = explain(client.as_ref(), "acme/shop", &run.forge_id).await?;
        let [(job, report)] = explained.as_slice() else { panic!("{explained:?}") };
        assert!(job == "unit" && report.contains("AssertionError"), "{report}");
        Ok(())
    }
}
