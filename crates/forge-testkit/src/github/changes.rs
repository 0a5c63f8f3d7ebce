//! What changed, and files as they were (GitHub REST docs, "Commits", "Pull requests", "Repository contents").

use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::model::FileChange;
use serde_json::{Value, json};

use super::{Answer, json as shape, page, refuse, unknown};
use crate::{
    spec::{ChangeSpec, FileSpec},
    wire::{Incoming, Reply, with_query},
    world::{Repo, World},
};

/// As many files a comparison lists, and a page of a commit.
const MOST_FILES: usize = 300;
/// As many commits a comparison lists that is not read by pages.
const MOST_COMMITS: usize = 250;

pub(super) fn route(world: &World, request: &Incoming, repo: &Repo, segments: &[&str]) -> Answer {
    match segments {
        ["pulls", number, "files"] => {
            let pull = number.parse().ok().and_then(|number| world.pull(repo.id, number));
            let pull = pull.ok_or_else(|| refuse(404, "Not Found"))?;
            let change = world.change(repo.id, None, &pull.sha);
            let files = change.map(|change| change.files.as_slice()).unwrap_or_default();
            Ok(page(world, request, files, None, file).into())
        }
        ["commits", sha] => one_commit(world, request, repo, sha),
        ["compare", range] => compare(world, request, repo, range),
        ["contents", path @ ..] => contents(world, request, repo, &path.join("/")),
        _ => Ok(unknown()),
    }
}

fn file(file: &FileSpec) -> Value {
    let status = match file.change {
        FileChange::Added => "added",
        FileChange::Modified => "modified",
        FileChange::Removed => "removed",
        FileChange::Renamed => "renamed",
    };
    let count = |sign: char| {
        let patch = file.patch.as_deref().unwrap_or_default();
        patch.lines().filter(|line| line.starts_with(sign)).count()
    };
    let (additions, deletions) = (count('+'), count('-'));
    let mut value = json!({
        "sha": "bbcd538c8e72b8c175046e27cc8f907076331401",
        "filename": file.path,
        "status": status,
        "additions": additions,
        "deletions": deletions,
        "changes": additions + deletions,
        "blob_url": "https://docs.example/blob",
        "raw_url": "https://docs.example/raw",
        "contents_url": "https://docs.example/contents",
    });
    if let Some(object) = value.as_object_mut() {
        // A binary file has no patch at all.
        if let Some(patch) = &file.patch {
            object.insert("patch".to_owned(), json!(patch));
        }
        if let Some(old) = &file.old_path {
            object.insert("previous_filename".to_owned(), json!(old));
        }
    }
    value
}

fn commit(world: &World, repo: &Repo, sha: &str, message: &str) -> Value {
    let web = format!("{}/{}", world.base_url, repo.full_name);
    let api = format!("{}{}/repos/{}", world.base_url, super::API, repo.full_name);
    let person = json!({
        "name": "Robin Example", "email": "robin@example.com", "date": shape::time(repo.created_at),
    });
    json!({
        "sha": sha,
        "node_id": format!("C_{sha}"),
        "url": format!("{api}/commits/{sha}"),
        "html_url": format!("{web}/commit/{sha}"),
        "comments_url": format!("{api}/commits/{sha}/comments"),
        "commit": {
            "url": format!("{api}/git/commits/{sha}"),
            "message": message, "author": person, "committer": person, "comment_count": 0,
            "tree": { "sha": sha, "url": format!("{api}/git/trees/{sha}") },
        },
        "author": null,
        "committer": null,
        "parents": [],
    })
}

/// Files by 300, further ones on further pages of the same commit.
fn one_commit(world: &World, request: &Incoming, repo: &Repo, sha: &str) -> Answer {
    let Some(change) = world.change(repo.id, None, sha) else {
        return Err(refuse(422, &format!("No commit found for SHA: {sha}")));
    };
    let message = change.commits.last().map_or("Change something", |(_, message)| message);
    let mut body = commit(world, repo, sha, message);
    let number = request.paging(30).0;
    let start = (number - 1).saturating_mul(MOST_FILES).min(change.files.len());
    let end = change.files.len().min(start + MOST_FILES);
    let shown = change.files.get(start..end).unwrap_or_default();
    if let Some(object) = body.as_object_mut() {
        object.insert("files".to_owned(), shown.iter().map(file).collect());
    }
    let reply = Reply::json(200, &body);
    if end == change.files.len() {
        return Ok(reply.into());
    }
    let url = format!("{}{}", world.base_url, request.path);
    let next = with_query(&url, request.raw_query.as_deref(), "page", &(number + 1).to_string());
    Ok(reply.with_header("link", &format!("<{next}>; rel=\"next\"")).into())
}

/// Commits oldest first: the newest 250, or by pages from the oldest on; files on the first page only.
fn compare(world: &World, request: &Incoming, repo: &Repo, range: &str) -> Answer {
    let (base, head) = range.split_once("...").ok_or_else(|| refuse(404, "Not Found"))?;
    let change = world.change(repo.id, Some(base), head);
    let change: &ChangeSpec = change.ok_or_else(|| refuse(404, "Not Found"))?;
    let commits: Vec<Value> =
        change.commits.iter().map(|(sha, message)| commit(world, repo, sha, message)).collect();
    let is_paged = request.query("page").is_some() || request.query("per_page").is_some();
    let (number, size) = request.paging(30);
    let shown = if is_paged {
        let start = (number - 1).saturating_mul(size).min(commits.len());
        commits.get(start..commits.len().min(start + size))
    } else {
        commits.get(commits.len().saturating_sub(MOST_COMMITS)..)
    };
    let shown = shown.unwrap_or_default();
    let files = change.files.get(..change.files.len().min(MOST_FILES)).unwrap_or_default();
    let mut body = json!({
        "status": "ahead",
        "ahead_by": commits.len(),
        "behind_by": 0,
        "total_commits": commits.len(),
        "merge_base_commit": commit(world, repo, base, "Base"),
        "base_commit": commit(world, repo, base, "Base"),
        "commits": shown,
    });
    if let (true, Some(object)) = (number == 1, body.as_object_mut()) {
        object.insert("files".to_owned(), files.iter().map(file).collect());
    }
    Ok(Reply::json(200, &body).into())
}

fn contents(world: &World, request: &Incoming, repo: &Repo, path: &str) -> Answer {
    let sha = request.query("ref").unwrap_or("main");
    let text = world.file(repo.id, sha, path);
    let text = text.ok_or_else(|| refuse(404, "Not Found"))?;
    if request.header("accept").is_some_and(|accept| accept.contains("raw")) {
        let bytes = text.clone().into_bytes();
        return Ok(Reply::bytes(200, "application/vnd.github.raw+json; charset=utf-8", bytes.into()).into());
    }
    let body = json!({
        "type": "file",
        "encoding": "base64",
        "size": text.len(),
        "name": path.rsplit('/').next(),
        "path": path,
        "content": STANDARD.encode(text),
    });
    Ok(Reply::json(200, &body).into())
}
