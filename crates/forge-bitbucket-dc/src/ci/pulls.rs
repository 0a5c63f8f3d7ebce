//! Which pull requests a commit is about.

use forge_core::{
    Result,
    model::{PullRequest, RepoRef, Run},
};
use futures_util::TryStreamExt as _;

use crate::{
    client::{DcClient, repo_path, segment, shown},
    error, wire,
};

/// The open ones that stand at the commit. First those into this repository; where there are none, those that lead from
/// this repository elsewhere: builds belong to the fork, its pull request to the repository that it goes to.
pub(super) async fn find(client: &DcClient, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
    let Some(sha) = &run.sha else { return Ok(Vec::new()) };
    let path = repo_path(repo)?;
    let incoming = format!("{path}/commits/{}/pull-requests", segment(sha)?);
    let found = list(client, repo, incoming, &[("limit", "100")], sha).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let branch = run.git_ref.as_ref().map(|name| format!("refs/heads/{name}"));
    let mut query = vec![("direction", "OUTGOING"), ("state", "OPEN"), ("limit", "100")];
    if let Some(branch) = &branch {
        query.push(("at", branch));
    }
    list(client, repo, format!("{path}/pull-requests"), &query, sha).await
}

async fn list(
    client: &DcClient,
    repo: &RepoRef,
    path: String,
    query: &[(&str, &str)],
    sha: &str,
) -> Result<Vec<PullRequest>> {
    let operation = format!("find the pull request of a commit of {}", shown(repo));
    let mut all = client.list::<wire::PullRequest>(Ok(path), query, operation);
    let mut found = Vec::new();
    loop {
        match all.try_next().await {
            Ok(Some(pull)) => {
                let pull = pull.into_model(repo, &client.base_url);
                // A commit further down belongs to what the pull request was before.
                if pull.is_open && pull.head_sha.as_deref() == Some(sha) {
                    found.push(pull);
                }
            }
            Ok(None) => return Ok(found),
            // The commit is in a fork only, or was pushed away.
            Err(error) if error::is_absent(&error) => return Ok(found),
            Err(error) => return Err(error),
        }
    }
}
