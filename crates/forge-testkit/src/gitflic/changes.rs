//! Commits, comparisons, files.

use forge_core::model::FileChange;
use serde_json::{Value, json};

use super::{Answer, json::web_url, major, refuse, unknown};
use crate::{
    spec::{ChangeSpec, FileSpec},
    wire::{Incoming, Reply},
    world::{Repo, World, shift},
};

pub(super) fn route(world: &World, request: &Incoming, repo: &Repo, segments: &[&str]) -> Answer {
    match segments {
        ["commit", sha] => Ok(Reply::json(200, &commit(world, repo, sha)?).into()),
        ["commit", sha, "file"] => {
            commit(world, repo, sha)?;
            let files =
                world.change(repo.id, None, sha).map(|change| files(world, change)).unwrap_or_default();
            Ok(Reply::json(200, &Value::Array(files)).into())
        }
        ["branch"] => {
            let branches: Vec<Value> = world
                .branches(repo.id)
                .into_iter()
                .map(|(name, head)| json!({ "name": name, "lastCommit": { "hash": head } }))
                .collect();
            let page = json!({
                "size": 100, "totalElements": branches.len(), "totalPages": branches.len().div_ceil(100), "number": 0,
            });
            Ok(Reply::json(200, &json!({ "_embedded": { "branchList": branches }, "page": page })).into())
        }
        ["branch", "compare"] => {
            let side = |name: &str| request.query(name).unwrap_or_default().to_owned();
            compare(world, request, repo, &side("base"), &side("compare"))
        }
        ["blob", "download"] => {
            let key = |name: &str| request.query(name).unwrap_or_default().to_owned();
            let is_commit = forge_core::text::is_commit_id(&key("commitHash"));
            let file = world.file(repo.id, &key("commitHash"), &key("file")).filter(|_| is_commit);
            let file = file.ok_or_else(|| refuse(404, "error.blob.not.found"))?;
            Ok(Reply::bytes(200, "application/octet-stream", file.clone().into()).into())
        }
        _ => Ok(unknown()),
    }
}

/// Versions before 4 know branches only.
fn compare(world: &World, request: &Incoming, repo: &Repo, base: &str, head: &str) -> Answer {
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let not_found = || refuse(404, "error.branch.not.found");
    if major(world) < 4 && (is_commit(base) || is_commit(head)) {
        return Err(not_found());
    }
    let branch = world.pulls.iter().find(|pull| pull.repo_id == repo.id && pull.source_branch == head);
    let head = branch.map_or(head, |pull| &pull.sha);
    let change = world.change(repo.id, is_commit(base).then_some(base), head).ok_or_else(not_found)?;
    let files = files(world, change);
    let number = |name: &str| request.query(name).and_then(|text| text.parse::<usize>().ok());
    let (index, size) = (number("page").unwrap_or(0), number("size").unwrap_or(10).clamp(1, 100));
    let shown: Vec<&Value> = files.iter().skip(index * size).take(size).collect();
    let page =
        json!({ "size": size, "totalElements": files.len(), "totalPages": files.len().div_ceil(size) });
    Ok(Reply::json(200, &json!({ "commitBlobs": shown, "page": page })).into())
}

/// Any commit of a change, its base included.
fn commit(world: &World, repo: &Repo, sha: &str) -> Result<Value, Box<Reply>> {
    for change in world.changes.iter().filter(|change| change.repo_id == repo.id) {
        if change.base == sha {
            return Ok(show(world, repo, sha, "Where it began", &[], 0));
        }
        if let Some(index) = change.commits.iter().position(|(commit, _)| commit == sha) {
            let before = index.checked_sub(1).and_then(|before| change.commits.get(before));
            let parent = before.map_or(&change.base, |(parent, _)| parent);
            let message = change.commits.get(index).map_or("", |(_, message)| message);
            let age = i64::try_from(index).unwrap_or_default() + 1;
            return Ok(show(world, repo, sha, message, &[parent], age));
        }
    }
    Err(refuse(404, "error.commit.not.found"))
}

fn show(world: &World, repo: &Repo, sha: &str, message: &str, parents: &[&String], minutes: i64) -> Value {
    let at = shift(repo.created_at, minutes * 60).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let who = json!({ "name": "Ada", "avatar": null, "emailAddress": "ada@example.com", "when": at });
    json!({
        "hash": sha,
        "message": format!("{message}\n"),
        "shortMessage": message.lines().next(),
        "createdAt": at,
        "committerIdent": who,
        "authorIdent": who,
        "user": null,
        "parentCommitIds": parents,
        "parentCommitBranches": [],
        "url": format!("{}/commit/{sha}", web_url(world, repo)),
    })
}

fn files(world: &World, change: &ChangeSpec) -> Vec<Value> {
    change.files.iter().map(|file| show_file(file, major(world) >= 4)).collect()
}

/// Old versions give the lines' text without the headers of hunks.
fn show_file(file: &FileSpec, has_hunks: bool) -> Value {
    let (word, old, new) = match file.change {
        FileChange::Added => ("ADD", "/dev/null", file.path.as_str()),
        FileChange::Modified => ("MODIFY", file.path.as_str(), file.path.as_str()),
        FileChange::Removed => ("DELETE", file.path.as_str(), "/dev/null"),
        FileChange::Renamed => ("RENAME", file.old_path.as_deref().unwrap_or_default(), file.path.as_str()),
    };
    let lines: Vec<Value> = file
        .patch
        .iter()
        .flat_map(|patch| patch.lines())
        .filter(|line| has_hunks || !line.starts_with("@@ "))
        .map(|line| json!({ "id": null, "body": line, "highLightBody": line }))
        .collect();
    json!({
        "id": null,
        "oldPath": old,
        "newPath": new,
        "filePath": file.path,
        "fileName": file.path.rsplit('/').next(),
        "changeType": word,
        "isBinary": file.patch.is_none(),
        "isLarge": false,
        "isCollapsed": false,
        "headers": [],
        "lines": lines,
    })
}
