//! All repositories that a token can see, one page at a time:
//! `GITLAB_TOKEN=... cargo run -p examples --example gitlab_list_repos -- https://gitlab.com`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use forge_core::{ForgeClient, Instance, Provider as _, StaticCredential};
use forge_gitlab::GitLab;
use forge_http::HttpClient;
use futures_util::TryStreamExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let base_url = std::env::args().nth(1).unwrap_or_else(|| "https://gitlab.com".to_owned());
    let token = StaticCredential::token(std::env::var("GITLAB_TOKEN")?.into());
    let gitlab = GitLab::new(HttpClient::builder().build()?);
    let client = gitlab.connect(&Instance::new(&base_url)?, Arc::new(token))?;
    print_all(client.as_ref()).await?;
    Ok(())
}

/// How many there are.
async fn print_all(client: &dyn ForgeClient) -> forge_core::Result<usize> {
    let identity = client.whoami().await?;
    println!("signed in as {}, missing scopes: {:?}", identity.account.login, identity.missing_scopes);
    let mut repos = client.repos().list_repos();
    let mut count = 0;
    while let Some(repo) = repos.try_next().await? {
        println!("{:>10}  {}", repo.id, repo.full_name);
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use forge_testkit::{FakeGitLab, conformance::http_client};

    use super::*;

    #[tokio::test]
    async fn all_pages_are_listed() -> anyhow::Result<()> {
        let fake = FakeGitLab::start().await;
        fake.add_repos(120);
        let token = StaticCredential::token(fake.token());
        let client = GitLab::new(http_client()).connect(&fake.instance(), Arc::new(token))?;
        assert_eq!(print_all(client.as_ref()).await?, 120);
        Ok(())
    }
}
