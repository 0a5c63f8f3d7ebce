//! All repositories that a token can see, one page at a time:
//! `GITLAB_TOKEN=... cargo run -p examples --example gitlab_list_repos -- https://gitlab.com`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use forge_core::{Instance, Provider as _, StaticCredential};
use forge_gitlab::GitLab;
use forge_http::HttpClient;
use futures_util::TryStreamExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let base_url = std::env::args().nth(1).unwrap_or_else(|| "https://gitlab.com".to_owned());
    let token = StaticCredential::token(std::env::var("GITLAB_TOKEN")?.into());
    let gitlab = GitLab::new(HttpClient::builder().build()?);
    let client = gitlab.connect(&Instance::new(&base_url)?, Arc::new(token))?;

    let identity = client.whoami().await?;
    println!("signed in as {}, missing scopes: {:?}", identity.account.login, identity.missing_scopes);
    let mut repos = client.repos().list_repos();
    while let Some(repo) = repos.try_next().await? {
        println!("{:>10}  {}", repo.id, repo.full_name);
    }
    Ok(())
}
