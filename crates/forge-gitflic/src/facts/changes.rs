//! Files and commits of a change.

use std::collections::BTreeMap;

use forge_core::{
    Error, ErrorKind, ForgeKind, Result,
    model::{ChangedFile, Commits, Diff, FileChange, RepoRef},
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    client::{Call, GitFlicClient, query, repo_path, segment, shown},
    page,
    wire::{self, Fields, Revision},
};

/// How many commits are walked: each costs a request of the 500 an hour.
const WALKED: usize = 20;
/// How many pages of files are read; their length is 100.
const FILE_PAGES: usize = 10;

pub(super) async fn of_commit(client: &GitFlicClient, repo: &RepoRef, sha: &str) -> Result<Diff> {
    let path = format!("{}/commit/{}/file", repo_path(repo)?, segment(sha)?);
    let operation = format!("read the files of commit {sha} of {}", shown(repo));
    let response = client.send(&Call::get(path, operation)).await?;
    let body: Value = response.json()?;
    let files = page::items(&body).and_then(files);
    let files = files.ok_or_else(|| response.unexpected("the answer is not a list of files"))?;
    let mut diff = Diff::default();
    diff.files = files;
    Ok(diff)
}

/// By comparing, which is known to work for branches; where it does not for commits, file by file of each commit.
pub(super) async fn between(client: &GitFlicClient, repo: &RepoRef, base: &str, head: &str) -> Result<Diff> {
    if !client.learned.compares_branches_only() {
        match compare(client, repo, base, head).await {
            Err(error) if matches!(error.status(), Some(400 | 404 | 405 | 422 | 500)) => {}
            outcome => return outcome,
        }
    }
    let diff = commit_by_commit(client, repo, base, head).await?;
    client.learned.note_compares_branches_only();
    Ok(diff)
}

/// What the merge request's branch has and its target has not. A fork's branch is not in this project.
pub(super) async fn of_merge_request(client: &GitFlicClient, repo: &RepoRef, number: &str) -> Result<Diff> {
    let operation = format!("read merge request {number} of {}", shown(repo));
    let path = format!("{}/merge-request/{}", repo_path(repo)?, segment(number)?);
    let response = client.send(&Call::get(path, operation.clone())).await?;
    let body: Value = response.json()?;
    let fields = Fields::new(&body);
    let (Some(source), Some(target)) =
        (wire::branch(fields, "sourceBranch"), wire::branch(fields, "targetBranch"))
    else {
        return Err(response.unexpected("the answer is not a merge request"));
    };
    let [from, to] = ["sourceProject", "targetProject"].map(|side| fields.at(side).id("id"));
    if from.is_some() && to.is_some() && from != to {
        return Err(Error::new(ErrorKind::Unsupported, "GitFlic cannot compare the branch of a fork")
            .with_forge(ForgeKind::GITFLIC)
            .with_operation(operation)
            .with_hint("compare the commit instead"));
    }
    compare(client, repo, &target, &source).await
}

async fn compare(client: &GitFlicClient, repo: &RepoRef, base: &str, head: &str) -> Result<Diff> {
    let operation = format!("compare {base} with {head} of {}", shown(repo));
    let mut diff = Diff::default();
    for index in 0..FILE_PAGES {
        let number = index.to_string();
        let what = query(&[("compare", head), ("base", base), ("page", &number), ("size", "100")]);
        let path = format!("{}/branch/compare?{what}", repo_path(repo)?);
        let response = client.send(&Call::get(path, operation.clone())).await?;
        let body: Value = response.json()?;
        let blobs = body.get("commitBlobs");
        let items = blobs.map_or_else(|| page::items(&body), |blobs| blobs.as_array().map(Vec::as_slice));
        let read = items.and_then(files);
        diff.files.extend(read.ok_or_else(|| response.unexpected("the answer is not a comparison"))?);
        if index + 1 >= page::total_pages(&body).unwrap_or(1) {
            return Ok(diff);
        }
    }
    diff.is_truncated = true;
    Ok(diff)
}

/// The changes of each commit laid over one another. Lines are left out, because later commits move them.
async fn commit_by_commit(client: &GitFlicClient, repo: &RepoRef, base: &str, head: &str) -> Result<Diff> {
    let commits = commits_between(client, repo, base, head).await?;
    let mut files: BTreeMap<String, ChangedFile> = BTreeMap::new();
    for commit in commits.items.iter().rev() {
        for file in of_commit(client, repo, &commit.sha).await?.files {
            lay_over(&mut files, file);
        }
    }
    let mut diff = Diff::default();
    let has_one = commits.items.len() == 1;
    diff.files = files.into_values().map(|file| if has_one { file } else { without_lines(file) }).collect();
    diff.is_truncated = commits.is_truncated;
    Ok(diff)
}

fn without_lines(mut file: ChangedFile) -> ChangedFile {
    file.lines = None;
    file
}

fn lay_over(files: &mut BTreeMap<String, ChangedFile>, mut file: ChangedFile) {
    let before = files.remove(file.old_path.as_ref().unwrap_or(&file.path));
    match (before.as_ref().map(|before| before.change), file.change) {
        (Some(FileChange::Added), FileChange::Removed) => return,
        (Some(FileChange::Added), _) => {
            file.change = FileChange::Added;
            file.old_path = None;
        }
        // Removed and put back: it is there before and after.
        (Some(FileChange::Removed), FileChange::Added) => file.change = FileChange::Modified,
        (Some(FileChange::Renamed), FileChange::Modified | FileChange::Renamed) => {
            file.change = FileChange::Renamed;
            file.old_path = before.and_then(|before| before.old_path);
        }
        _ => {}
    }
    files.insert(file.path.clone(), file);
}

pub(super) async fn commits_between(
    client: &GitFlicClient,
    repo: &RepoRef,
    base: &str,
    head: &str,
) -> Result<Commits> {
    let mut commits = Commits::default();
    let base = revision(client, repo, base).await?;
    let mut next = Some(head.to_owned());
    while let Some(sha) = next.take() {
        if sha == base.commit.sha {
            return Ok(commits);
        }
        if commits.items.len() >= WALKED {
            break;
        }
        let here = revision(client, repo, &sha).await?;
        if here.commit.sha == base.commit.sha {
            return Ok(commits);
        }
        // An ancestor of the base: the base is not on this line, and what comes is in it already.
        if is_not_after(here.commit.committed_at, base.commit.committed_at) {
            break;
        }
        // What was merged is on another line than the one that is walked.
        commits.is_truncated |= here.parents.len() > 1;
        next = here.parents.into_iter().next();
        commits.items.push(here.commit);
    }
    commits.is_truncated = true;
    Ok(commits)
}

/// Unknown times decide nothing.
fn is_not_after(at: Option<Timestamp>, base: Option<Timestamp>) -> bool {
    at.zip(base).is_some_and(|(at, base)| at < base)
}

async fn revision(client: &GitFlicClient, repo: &RepoRef, sha: &str) -> Result<Revision> {
    let path = format!("{}/commit/{}", repo_path(repo)?, segment(sha)?);
    let operation = format!("read commit {sha} of {}", shown(repo));
    let response = client.send(&Call::get(path, operation)).await?;
    wire::read(&response, "a commit", |fields| wire::revision(fields, repo, client.web(), client.clock))
}

fn files(items: &[Value]) -> Option<Vec<ChangedFile>> {
    items.iter().map(|item| wire::changed_file(Fields::new(item))).collect()
}
