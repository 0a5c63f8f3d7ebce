//! Which pull requests a run is about.

use forge_core::{
    ErrorKind, Result,
    model::{PullRequest, RefType, RepoRef, Run},
};
use futures_util::TryStreamExt as _;
use url::form_urlencoded;

use crate::{
    client::{BitbucketCloudClient, More, repo_path, segment, shown},
    wire,
};

/// The open ones, most likely first, by the first of these ways that finds any: the one that the pipeline ran for,
/// those of the branch, those of the branch in the repository that this one was forked from. A run without a branch is
/// looked up by its commit, where the workspace has the app for that.
pub(crate) async fn find(
    client: &BitbucketCloudClient,
    repo: &RepoRef,
    run: &Run,
) -> Result<Vec<PullRequest>> {
    let mut found = Vec::new();
    // The pipeline names it, so it is there: whoever may not read it learns at the comment whether they may write.
    let mut unseen = Vec::new();
    for number in &run.pull_requests {
        let path = format!("{}/pullrequests/{}", repo_path(repo)?, segment(number)?);
        let operation = format!("read pull request {number} of {}", shown(repo));
        match client.get::<wire::PullRequestAnswer>(path, operation).await {
            Ok(answer) => found.push(answer.into_model(repo, run.sha.as_deref())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
                unseen.push(PullRequest::new(number.clone(), repo.clone()));
            }
            Err(error) => return Err(error),
        }
    }
    found.retain(|pull_request| pull_request.is_open);
    if !found.is_empty() {
        return Ok(sorted(found, run));
    }
    match by_place(client, repo, run).await {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Ok(unseen),
        Err(error) if error.kind() == ErrorKind::NotFound && !unseen.is_empty() => Ok(unseen),
        Err(error) => Err(error),
    }
}

/// By the branch of the run, or its commit.
async fn by_place(client: &BitbucketCloudClient, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
    if run.ref_type == Some(RefType::Tag) {
        return Ok(Vec::new());
    }
    let Some(branch) = run.git_ref.as_deref() else {
        return by_commit(client, repo, run).await;
    };
    let found = by_branch(client, repo, repo, branch, run).await?;
    if !found.is_empty() {
        return Ok(sorted(found, run));
    }
    let operation = format!("read repository {}", shown(repo));
    let answer: wire::Repository = client.get(repo_path(repo)?, operation).await?;
    match answer.into_parent() {
        Some(parent) => Ok(sorted(by_branch(client, &parent, repo, branch, run).await?, run)),
        None => Ok(Vec::new()),
    }
}

/// Pull requests into `into` from `branch` of `from`; a branch of the same name in another fork is another branch.
async fn by_branch(
    client: &BitbucketCloudClient,
    into: &RepoRef,
    from: &RepoRef,
    branch: &str,
    run: &Run,
) -> Result<Vec<PullRequest>> {
    let quoted = branch.replace('\\', "\\\\").replace('"', "\\\"");
    let query = format!("source.branch.name=\"{quoted}\" AND state=\"OPEN\"");
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let path = repo_path(into).map(|path| format!("{path}/pullrequests?q={query}&pagelen=50"));
    let operation = format!("find the pull request of a run of {}", shown(from));
    let answers =
        client.list(path, operation, |values: Vec<wire::PullRequestAnswer>| (values, More::AsLinked));
    let result: Result<Vec<wire::PullRequestAnswer>> = answers.try_collect().await;
    let answers = match result {
        // The parent of a fork need not be visible.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) && into != from => {
            return Ok(Vec::new());
        }
        answers => answers?,
    };
    Ok(answers
        .into_iter()
        .filter(|answer| answer.source_repo_id().is_none_or(|id| id == from.id))
        .map(|answer| answer.into_model(into, run.sha.as_deref()))
        .filter(|pull_request| pull_request.is_open)
        .collect())
}

/// Needs the app "Pull Request Commit Links" and its index: 404 without, 202 while it is made.
async fn by_commit(client: &BitbucketCloudClient, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
    let Some(sha) = &run.sha else { return Ok(Vec::new()) };
    let path = format!("{}/commit/{}/pullrequests?pagelen=50", repo_path(repo)?, segment(sha)?);
    let operation = format!("find the pull request of a run of {}", shown(repo));
    let answer: Result<wire::MaybePage<wire::PullRequestAnswer>> = client.get(path, operation).await;
    match answer {
        Ok(page) => {
            let found = page.values.into_iter().map(|answer| answer.into_model(repo, Some(sha)));
            Ok(sorted(found.filter(|pull_request| pull_request.is_open).collect(), run))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedResponse) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn sorted(mut found: Vec<PullRequest>, run: &Run) -> Vec<PullRequest> {
    found.sort_by_key(|pull_request| run.sha.is_none() || pull_request.head_sha != run.sha);
    found
}
