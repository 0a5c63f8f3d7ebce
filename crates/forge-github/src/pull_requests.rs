//! Which pull requests a run is about.

use forge_core::{
    ErrorKind, Result,
    model::{PullRequest, RepoRef, Run},
};
use url::form_urlencoded;

use crate::{
    client::{GitHubClient, repo_path, segment, shown},
    wire::{PullRequestAnswer, merge_queue_pull_request},
};

/// The open ones, most likely first, by the first of these ways that finds any: the run's own list, the branch of the
/// merge queue, those that hold the commit, those of the fork's branch.
///
/// The run's own list is empty for forks and for pull requests opened after the run began (GitHub docs, rest/checks).
pub(crate) async fn find(client: &GitHubClient, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
    let queued = run.git_ref.as_deref().and_then(merge_queue_pull_request);
    let mut named = Vec::new();
    // The run names it, so it is there: whoever may not read it learns at the comment whether they may write.
    let mut unseen = Vec::new();
    for number in run.pull_requests.iter().chain(&queued) {
        let path = format!("{}/pulls/{}", repo_path(repo)?, segment(number)?);
        let operation = format!("read pull request {number} of {}", shown(repo));
        match client.get::<PullRequestAnswer>(path, operation).await {
            Ok(answer) => named.extend(answer.into_model(repo).filter(|found| found.is_open)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
                unseen.push(PullRequest::new(number.clone(), repo.clone()));
            }
            Err(error) => return Err(error),
        }
    }
    if !named.is_empty() {
        return Ok(sorted(named, run));
    }
    if let Some(sha) = &run.sha {
        let path = format!("{}/commits/{}/pulls", repo_path(repo)?, segment(sha)?);
        let found = match list(client, repo, path).await {
            Err(error) if error.kind() == ErrorKind::Forbidden && !unseen.is_empty() => return Ok(unseen),
            found => found?,
        };
        if !found.is_empty() {
            return Ok(sorted(found, run));
        }
    }
    let is_from_fork = run.head_repo_id.as_ref().is_some_and(|id| *id != repo.id)
        || run.trigger.as_deref().is_some_and(|trigger| trigger.starts_with("pull_request"));
    if let (true, Some(owner), Some(branch)) = (is_from_fork, &run.head_owner, &run.git_ref) {
        let head: String = form_urlencoded::byte_serialize(format!("{owner}:{branch}").as_bytes()).collect();
        let path = format!("{}/pulls?state=open&head={head}", repo_path(repo)?);
        let found = list(client, repo, path).await?;
        if !found.is_empty() {
            return Ok(sorted(found, run));
        }
    }
    Ok(unseen)
}

async fn list(client: &GitHubClient, repo: &RepoRef, path: String) -> Result<Vec<PullRequest>> {
    let operation = format!("find the pull request of a run of {}", shown(repo));
    match client.get::<Vec<PullRequestAnswer>>(path, operation).await {
        Ok(answers) => {
            let ours = answers.into_iter().filter_map(|answer| answer.into_model(repo));
            Ok(ours.filter(|found| found.is_open).collect())
        }
        // 422 `No commit found for SHA`: pushed away, or known to the fork only.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn sorted(mut found: Vec<PullRequest>, run: &Run) -> Vec<PullRequest> {
    found.sort_by_key(|pull_request| {
        let stands_at_commit = run.sha.is_some() && pull_request.head_sha == run.sha;
        let comes_from_branch = run.git_ref.is_some() && pull_request.source_branch == run.git_ref;
        (!stands_at_commit, !comes_from_branch)
    });
    found
}
