//! What changed: files, hunks, commits.

use forge_core::model::FileChange;
use serde_json::{Value, json};

use super::{Answer, json as shape, page, refuse};
use crate::{
    spec::{ChangeSpec, FileSpec},
    wire::{Incoming, Reply},
    world::{Repo, World},
};

/// `None`: the path is none of these.
pub(super) fn route(world: &World, request: &Incoming, repo: &Repo, segments: &[&str]) -> Option<Answer> {
    if request.method != http::Method::GET {
        return None;
    }
    if let ["raw", path @ ..] = segments {
        let at = request.query("at").unwrap_or_default();
        let text = world.file(repo.id, at.strip_prefix("refs/heads/").unwrap_or(at), &path.join("/"));
        let missing = || refuse(404, "The path does not exist", "content.NoSuchPathException");
        let reply = |text: &String| Reply::bytes(200, "text/plain;charset=UTF-8", text.clone().into()).into();
        return Some(text.map(reply).ok_or_else(missing));
    }
    let (change, kind) = match segments {
        ["commits", sha, kind @ ("changes" | "diff")] => (world.change(repo.id, None, sha), kind),
        ["pull-requests", number, kind @ ("changes" | "diff")] => {
            let pull = number.parse().ok().and_then(|number| world.pull(repo.id, number));
            (pull.and_then(|pull| world.change(repo.id, None, &pull.sha)), kind)
        }
        // What `from` has and `to` has not.
        ["compare", kind @ ("changes" | "diff")] => {
            let head = request.query("from").unwrap_or_default();
            (world.change(repo.id, request.query("to"), head), kind)
        }
        _ => return None,
    };
    Some(change.ok_or_else(no_commit).map(|change| match *kind {
        "changes" => {
            let files: Vec<&FileSpec> = change.files.iter().collect();
            page(request, &files, |file| listed(file)).into()
        }
        _ => Reply::json(200, &diff(change)).into(),
    }))
}

pub(super) fn no_commit() -> Box<Reply> {
    refuse(404, "Commit does not exist", "commit.NoSuchCommitException")
}

/// The commits from `since` to `until`, newest first.
pub(super) fn commits(world: &World, request: &Incoming, repo: &Repo, until: &str) -> Answer {
    let change = world.change(repo.id, request.query("since"), until).ok_or_else(no_commit)?;
    let commits: Vec<&(String, String)> = change.commits.iter().rev().collect();
    let at = repo.created_at;
    Ok(page(request, &commits, |(sha, message)| {
        let mut value = commit(sha, at);
        if let Some(object) = value.as_object_mut() {
            object.insert("message".to_owned(), json!(message));
        }
        value
    })
    .into())
}

pub(super) fn commit(sha: &str, at: jiff::Timestamp) -> Value {
    json!({
        "id": sha,
        "displayId": sha.get(..11),
        "author": { "name": "robin", "emailAddress": "robin@example.com" },
        "authorTimestamp": shape::time(at),
        "committer": { "name": "robin", "emailAddress": "robin@example.com" },
        "committerTimestamp": shape::time(at),
        "message": "Change something",
        "parents": [],
    })
}

fn path(text: &str) -> Value {
    let name = text.rsplit('/').next().unwrap_or(text);
    json!({ "components": text.split('/').collect::<Vec<_>>(), "name": name, "toString": text })
}

fn listed(file: &FileSpec) -> Value {
    let kind = match file.change {
        FileChange::Added => "ADD",
        FileChange::Modified => "MODIFY",
        FileChange::Removed => "DELETE",
        FileChange::Renamed => "MOVE",
    };
    let mut value = json!({
        "contentId": "5e6f7a8b9c0d1e2f30415263748596a7b8c9d0e1",
        "path": path(&file.path),
        "executable": false,
        "percentUnchanged": -1,
        "type": kind,
        "nodeType": "FILE",
    });
    if let (Some(old), Some(object)) = (&file.old_path, value.as_object_mut()) {
        object.insert("srcPath".to_owned(), path(old));
    }
    value
}

fn diff(change: &ChangeSpec) -> Value {
    let diffs: Vec<Value> = change
        .files
        .iter()
        .map(|file| {
            let old = file.old_path.as_deref().unwrap_or(&file.path);
            let source = (file.change != FileChange::Added).then(|| path(old));
            let destination = (file.change != FileChange::Removed).then(|| path(&file.path));
            let mut value = json!({ "source": source, "destination": destination, "truncated": false });
            let (name, content) = match &file.patch {
                Some(patch) => ("hunks", json!(hunks(patch))),
                None => ("binary", json!(true)),
            };
            if let Some(object) = value.as_object_mut() {
                object.insert(name.to_owned(), content);
            }
            value
        })
        .collect();
    json!({
        "fromHash": change.base, "toHash": change.head, "contextLines": 0, "whitespace": "SHOW",
        "diffs": diffs, "truncated": false,
    })
}

/// Lines of one kind.
type Segment = (&'static str, Vec<Value>);

/// The hunks of a unified diff as the server prints them: segments of lines of one kind, each line with its places.
fn hunks(patch: &str) -> Vec<Value> {
    let mut hunks: Vec<(Vec<u64>, Vec<Segment>)> = Vec::new();
    let (mut source, mut destination) = (0, 0);
    for line in patch.lines() {
        if let Some(header) = line.strip_prefix("@@ -") {
            let spans: Vec<u64> = header
                .split([',', ' ', '+'])
                .filter(|part| !part.is_empty())
                .take(4)
                .filter_map(|part| part.parse().ok())
                .collect();
            source = spans.first().copied().unwrap_or(0);
            destination = spans.get(2).copied().unwrap_or(0);
            hunks.push((spans, Vec::new()));
            continue;
        }
        let Some((_, segments)) = hunks.last_mut() else { continue };
        let (kind, text) = match line.split_at_checked(1) {
            Some(("+", text)) => ("ADDED", text),
            Some(("-", text)) => ("REMOVED", text),
            Some((_, text)) => ("CONTEXT", text),
            None => ("CONTEXT", ""),
        };
        let shown = json!({ "source": source, "destination": destination, "line": text, "truncated": false });
        source += u64::from(kind != "ADDED");
        destination += u64::from(kind != "REMOVED");
        match segments.last_mut() {
            Some((last, lines)) if *last == kind => lines.push(shown),
            _ => segments.push((kind, vec![shown])),
        }
    }
    hunks
        .iter()
        .map(|(spans, segments)| {
            let span = |at: usize| spans.get(at).copied().unwrap_or(0);
            let segments: Vec<Value> = segments
                .iter()
                .map(|(kind, lines)| json!({ "type": kind, "lines": lines, "truncated": false }))
                .collect();
            json!({
                "sourceLine": span(0), "sourceSpan": span(1), "destinationLine": span(2),
                "destinationSpan": span(3), "segments": segments, "truncated": false,
            })
        })
        .collect()
}
