//! What changed: statistics and text of a diff, commits, files.

use forge_core::model::FileChange;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Answer, access::Caller, json as shape, page, refuse};
use crate::{
    spec::{ChangeSpec, FileSpec},
    wire::{Incoming, Reply},
    world::{Repo, World},
};

/// `None`: the path is none of these.
pub(super) fn route(
    world: &World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Option<Answer> {
    if request.method != http::Method::GET {
        return None;
    }
    Some(match segments {
        ["diffstat", spec] => allowed(caller).and_then(|()| {
            let files = &find(world, repo, request, spec)?.files;
            let files: Vec<&FileSpec> = files.iter().collect();
            page(world, request, &files, 100, |file| statistics(file))
        }),
        ["diff", spec] => allowed(caller).and_then(|()| {
            let text: String = find(world, repo, request, spec)?.files.iter().map(text).collect();
            Ok(Reply::bytes(200, "text/plain", text.into()).into())
        }),
        ["pullrequests", number, kind @ ("diff" | "diffstat")] => of_pull(world, caller, repo, number, kind),
        ["commits"] => allowed(caller).and_then(|()| commits(world, request, repo)),
        ["refs", "branches", name @ ..] if !name.is_empty() => allowed(caller).and_then(|()| {
            let (name, head) = world
                .branches(repo.id)
                .into_iter()
                .find(|(known, _)| *known == name.join("/"))
                .ok_or_else(|| refuse(404, "Branch not found"))?;
            let body =
                json!({ "type": "branch", "name": name, "target": { "type": "commit", "hash": head } });
            Ok(Reply::json(200, &body).into())
        }),
        ["src", sha, path @ ..] if !path.is_empty() => allowed(caller).and_then(|()| {
            let text = world
                .file(repo.id, sha, &path.join("/"))
                .ok_or_else(|| refuse(404, "No such file or directory"))?;
            Ok(Reply::bytes(200, "text/plain", text.clone().into()).into())
        }),
        _ => return None,
    })
}

fn allowed(caller: &Caller) -> Result<(), Box<Reply>> {
    caller.require("repository", "read:repository:bitbucket")
}

/// What belongs to a pull request is a redirect to the same of its two commits, which keeps none of the parameters.
fn of_pull(world: &World, caller: &Caller, repo: &Repo, number: &str, kind: &str) -> Answer {
    caller.require("pullrequest", "read:pullrequest:bitbucket")?;
    let number = number.parse().unwrap_or(0);
    let pull = world.pull(repo.id, number).ok_or_else(|| refuse(404, "Pull request not found"))?;
    // Nothing was ever pushed that could be compared.
    let change = world.change(repo.id, None, &pull.sha).ok_or_else(|| refuse(404, "Commit not found"))?;
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let place = format!("{}/{}", encode(repo.owner()), encode(&shape::uuid(shape::REPO, repo.id)));
    let spec = format!("{}..{}", change.head, change.base);
    let query = format!("from_pullrequest_id={number}&topic=true");
    let url = format!("{}/2.0/repositories/{place}/{kind}/{spec}?{query}", world.base_url);
    Ok(Reply::redirect(302, &url).into())
}

/// One commit against its first parent, or two with the newer one first, against their merge base by `topic`.
fn find<'a>(
    world: &'a World,
    repo: &Repo,
    request: &Incoming,
    spec: &str,
) -> Result<&'a ChangeSpec, Box<Reply>> {
    let change = match spec.split_once("..") {
        None => world.change(repo.id, None, spec),
        Some((head, base)) if request.query("topic") == Some("true") => {
            world.change(repo.id, Some(base), head)
        }
        Some(_) => None,
    };
    change.ok_or_else(|| no_commit(spec))
}

fn no_commit(spec: &str) -> Box<Reply> {
    let shas: Vec<&str> = spec.split("..").collect();
    Box::new(Reply::json(
        404,
        &json!({ "type": "error", "error": { "message": "Commit not found", "data": { "shas": shas } } }),
    ))
}

fn statistics(file: &FileSpec) -> Value {
    let side = |path: &str| json!({ "type": "commit_file", "path": path, "escaped_path": path });
    let old = side(file.old_path.as_deref().unwrap_or(&file.path));
    let new = side(&file.path);
    let (status, old, new) = match file.change {
        FileChange::Added => ("added", Value::Null, new),
        FileChange::Modified => ("modified", old, new),
        FileChange::Removed => ("removed", old, Value::Null),
        FileChange::Renamed => ("renamed", old, new),
    };
    let count =
        |sign: char| file.patch.iter().flat_map(|it| it.lines()).filter(|it| it.starts_with(sign)).count();
    json!({
        "type": "diffstat", "status": status, "old": old, "new": new,
        "lines_added": count('+'), "lines_removed": count('-'),
    })
}

/// As git prints it.
fn text(file: &FileSpec) -> String {
    let old = file.old_path.as_deref().unwrap_or(&file.path);
    let new = file.path.as_str();
    let mut text = format!("diff --git a/{old} b/{new}\n");
    match file.change {
        FileChange::Added => text.push_str("new file mode 100644\n"),
        FileChange::Removed => text.push_str("deleted file mode 100644\n"),
        FileChange::Renamed => {
            text.push_str(&format!("similarity index 90%\nrename from {old}\nrename to {new}\n"));
        }
        FileChange::Modified => {}
    }
    text.push_str("index 1b2c3d4..5e6f7a8 100644\n");
    // A name with a space is followed by a tab.
    let shown =
        |sign: &str, name: &str| format!("{sign}/{name}{}", if name.contains(' ') { "\t" } else { "" });
    let (old, new) = match file.change {
        FileChange::Added => ("/dev/null".to_owned(), shown("b", new)),
        FileChange::Removed => (shown("a", old), "/dev/null".to_owned()),
        _ => (shown("a", old), shown("b", new)),
    };
    match &file.patch {
        Some(patch) => text.push_str(&format!("--- {old}\n+++ {new}\n{}\n", patch.trim_end_matches('\n'))),
        None => text.push_str(&format!("Binary files {old} and {new} differ\n")),
    }
    text
}

/// The commits of the change from `exclude` to `include`, newest first.
fn commits(world: &World, request: &Incoming, repo: &Repo) -> Answer {
    let (head, base) = (request.query("include").unwrap_or_default(), request.query("exclude"));
    let change = world.change(repo.id, base, head).ok_or_else(|| no_commit(head))?;
    let commits: Vec<&(String, String)> = change.commits.iter().rev().collect();
    page(world, request, &commits, 100, |(sha, message)| {
        json!({
            "type": "commit",
            "hash": sha,
            "date": "2026-10-02T07:55:03+00:00",
            "author": { "type": "author", "raw": "Robin Doe <robin@example.com>" },
            "message": message,
            "links": { "html": { "href": format!("{}/{}/commits/{sha}", world.base_url, repo.full_name) } },
        })
    })
}
