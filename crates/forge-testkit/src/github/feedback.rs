//! Pull requests, comments, issues, statuses (GitHub REST docs).

use forge_core::model::Target;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Answer,
    access::{Caller, Needs},
    changes, checks, invalid, json as shape, page, refuse, unknown,
};
use crate::{
    wire::{Incoming, Reply},
    world::{FakeComment, FakeIssue, FakeStatus, Pull, Repo, World},
};

const MAX_BODY: usize = 65_536;

pub(super) fn route(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    let method = request.method.as_str();
    let is_write = method != "GET";
    if matches!(segments, ["check-runs", ..] | ["commits", _, "check-runs"]) {
        return checks::route(world, request, caller, repo, segments);
    }
    let permission = match segments {
        ["issues", ..] => "issues",
        ["pulls", ..] | [_, _, "pulls"] => "pull_requests",
        ["statuses", ..] | ["commits", _, "status" | "statuses"] => "statuses",
        _ => "contents",
    };
    let scopes: &[&str] = if permission == "statuses" { &["repo", "repo:status"] } else { &["repo"] };
    caller.require(repo, Needs { scopes, permission, is_write })?;
    match (method, segments) {
        ("GET", ["pulls"]) => {
            let pulls: Vec<&Pull> = world
                .pulls
                .iter()
                .rev()
                .filter(|pull| pull.repo_id == repo.id)
                .filter(|pull| match request.query("state") {
                    Some("all") => true,
                    Some("closed") => !pull.is_open,
                    _ => pull.is_open,
                })
                .filter(|pull| request.query("head").is_none_or(|head| head == label(world, pull)))
                .filter(|pull| request.query("base").is_none_or(|base| base == pull.target_branch))
                .collect();
            Ok(page(world, request, &pulls, None, |pull| shape::pull(world, pull)).into())
        }
        ("GET", ["pulls", number]) => {
            let pull = number.parse().ok().and_then(|number| world.pull(repo.id, number));
            let pull = pull.ok_or_else(|| refuse(404, "Not Found"))?;
            Ok(Reply::json(200, &shape::pull(world, pull)).into())
        }
        ("GET", ["commits", sha, "pulls"]) => {
            let pulls: Vec<&Pull> =
                world.pulls.iter().filter(|pull| pull.repo_id == repo.id && pull.sha == *sha).collect();
            Ok(page(world, request, &pulls, None, |pull| shape::pull(world, pull)).into())
        }
        (_, ["issues", "comments", id]) => edit(world, request, caller, repo, id, false),
        (_, ["comments", id]) => edit(world, request, caller, repo, id, true),
        (_, ["issues", number, "comments"]) => {
            let parsed = number.parse::<u64>().unwrap_or(0);
            let is_pull = world.pull(repo.id, parsed).is_some();
            if !is_pull && world.issue_mut(repo.id, parsed).is_none() {
                return Err(refuse(404, "Not Found"));
            }
            comments(world, request, caller, repo, Target::Pull((*number).to_owned()))
        }
        (_, ["commits", sha, "comments"]) => {
            if is_write && !repo.has_commit_comments {
                return Err(refuse(403, "Commit comments are disabled for this organization."));
            }
            if !is_sha(sha) {
                return Err(invalid("No commit found for SHA", "sha", "is not a commit"));
            }
            comments(world, request, caller, repo, Target::Commit((*sha).to_owned()))
        }
        (_, ["issues", rest @ ..]) => issues(world, request, caller, repo, rest),
        ("POST", ["statuses", sha]) => set_status(world, request, caller, repo, sha),
        ("GET", ["commits", sha, "statuses"]) => {
            let statuses: Vec<&FakeStatus> = world
                .statuses
                .iter()
                .rev()
                .filter(|status| status.repo_id == repo.id && status.sha == *sha)
                .collect();
            Ok(page(world, request, &statuses, None, |status| shape::commit_status(world, status)).into())
        }
        ("GET", ["pulls", _, "files"] | ["commits", _] | ["compare", _] | ["contents", ..]) => {
            changes::route(world, request, repo, segments)
        }
        _ => Ok(unknown()),
    }
}

fn is_sha(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn label(world: &World, pull: &Pull) -> String {
    let owner = world.repo(pull.source_repo_id).map(|repo| repo.owner().to_owned()).unwrap_or_default();
    format!("{owner}:{}", pull.source_branch)
}

fn text(body: &Value, name: &str) -> Result<String, Box<Reply>> {
    let text = body.get(name).and_then(Value::as_str).unwrap_or_default();
    if text.trim().is_empty() {
        return Err(invalid("Validation Failed", name, "can't be blank"));
    }
    if text.chars().count() > MAX_BODY {
        let problem = "Body is too long (maximum is 65536 characters)";
        return Err(invalid("Validation Failed", name, problem));
    }
    Ok(text.to_owned())
}

/// Ascending by id; `since` filters by the time of the last change.
fn comments(world: &mut World, request: &Incoming, caller: &Caller, repo: &Repo, target: Target) -> Answer {
    match request.method.as_str() {
        "GET" => {
            let since = request.query("since").and_then(|text| text.parse::<Timestamp>().ok());
            let mut found = world.comments_on(repo.id, &target);
            found.retain(|comment| since.is_none_or(|since| comment.updated_at >= since));
            Ok(page(world, request, &found, None, |comment| shape::comment(world, comment)).into())
        }
        "POST" => {
            let body = text(&request.json(), "body")?;
            let id = world.add_comment(repo.id, target, caller.user_id, body, None);
            let comment = find_comment(world, repo, id)?;
            Ok(Reply::json(201, &shape::comment(world, comment)).into())
        }
        _ => Ok(unknown()),
    }
}

fn find_comment<'a>(world: &'a World, repo: &Repo, id: u64) -> Result<&'a FakeComment, Box<Reply>> {
    let found = world
        .comments
        .iter()
        .find(|comment| comment.id == id && comment.repo_id == repo.id && !comment.is_deleted);
    found.ok_or_else(|| refuse(404, "Not Found"))
}

fn edit(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    id: &str,
    on_commit: bool,
) -> Answer {
    let id = id.parse::<u64>().unwrap_or(0);
    let comment = find_comment(world, repo, id)?;
    if matches!(comment.target, Target::Commit(_)) != on_commit {
        return Err(refuse(404, "Not Found"));
    }
    let may_edit = comment.author_id == caller.user_id || repo.access_of(caller.user_id) >= 30;
    match request.method.as_str() {
        "GET" => {}
        _ if !may_edit => return Err(refuse(403, "Must have write access.")),
        "PATCH" => {
            let body = text(&request.json(), "body")?;
            world.edit_comment(repo.id, id, &body);
        }
        "DELETE" => {
            if let Some(comment) = world.comment_mut(repo.id, id) {
                comment.is_deleted = true;
            }
            return Ok(Reply::empty(204).into());
        }
        _ => return Ok(unknown()),
    }
    Ok(Reply::json(200, &shape::comment(world, find_comment(world, repo, id)?)).into())
}

fn set_status(world: &mut World, request: &Incoming, caller: &Caller, repo: &Repo, sha: &str) -> Answer {
    let body = request.json();
    let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let state = field("state").unwrap_or_default();
    if !matches!(state.as_str(), "error" | "failure" | "pending" | "success") {
        return Err(invalid("Validation Failed", "state", "state is not included in the list"));
    }
    let description = field("description");
    if description.as_ref().is_some_and(|text| text.chars().count() > 140) {
        let problem = "description is too long (maximum is 140 characters)";
        return Err(invalid("Validation Failed", "description", problem));
    }
    if !is_sha(sha) {
        return Err(invalid("No commit found for SHA", "sha", "is not a commit"));
    }
    let status = FakeStatus {
        id: world.next_large_id(),
        repo_id: repo.id,
        sha: sha.to_owned(),
        context: field("context").unwrap_or_else(|| "default".to_owned()),
        state,
        description,
        target_url: field("target_url"),
        author: world.login(caller.user_id),
    };
    let reply = Reply::json(201, &shape::commit_status(world, &status));
    world.statuses.push(status);
    Ok(reply.into())
}

fn issues(world: &mut World, request: &Incoming, caller: &Caller, repo: &Repo, segments: &[&str]) -> Answer {
    if !repo.has_issues {
        return Err(refuse(410, "Issues are disabled for this repo"));
    }
    let body = request.json();
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let creator = request.query("creator");
            let labels: Vec<&str> =
                request.query("labels").map(|text| text.split(',').collect()).unwrap_or_default();
            let issues: Vec<&FakeIssue> = world
                .issues
                .iter()
                .rev()
                .filter(|issue| issue.repo_id == repo.id)
                .filter(|issue| match request.query("state") {
                    Some("all") => true,
                    Some("closed") => !issue.is_open,
                    _ => issue.is_open,
                })
                .filter(|issue| creator.is_none_or(|creator| creator == issue.author))
                .filter(|issue| labels.iter().all(|label| issue.labels.iter().any(|it| it == label)))
                .collect();
            Ok(page(world, request, &issues, None, |issue| shape::issue(world, issue)).into())
        }
        ("POST", []) => {
            let title = text(&body, "title")?;
            let (id, now, author) = (world.next_id(), world.now(), world.login(caller.user_id));
            let number = world.repos.get_mut(&repo.id).map_or(1, |repo| {
                repo.last_number += 1;
                repo.last_number
            });
            let issue = FakeIssue {
                id,
                number,
                repo_id: repo.id,
                author,
                title,
                body: body.get("body").and_then(Value::as_str).unwrap_or_default().to_owned(),
                history: Vec::new(),
                labels: labels(&body).unwrap_or_default(),
                is_open: true,
                author_id: caller.user_id,
                created_at: now,
                updated_at: now,
            };
            let reply = Reply::json(201, &shape::issue(world, &issue));
            world.issues.push(issue);
            Ok(reply.into())
        }
        (method @ ("GET" | "PATCH"), [number]) => {
            let number = number.parse::<u64>().unwrap_or(0);
            let now = world.now();
            let issue = world.issue_mut(repo.id, number).ok_or_else(|| refuse(404, "Not Found"))?;
            if method == "PATCH" {
                let field = |name: &str| body.get(name).and_then(Value::as_str);
                if let Some(title) = field("title") {
                    title.clone_into(&mut issue.title);
                }
                if let Some(text) = field("body") {
                    let old = std::mem::replace(&mut issue.body, text.to_owned());
                    issue.history.push(old);
                }
                if let Some(labels) = labels(&body) {
                    issue.labels = labels;
                }
                match field("state") {
                    Some("closed") => issue.is_open = false,
                    Some("open") => issue.is_open = true,
                    _ => {}
                }
                issue.updated_at = now;
            }
            let issue = issue.clone();
            Ok(Reply::json(200, &shape::issue(world, &issue)).into())
        }
        _ => Ok(unknown()),
    }
}

fn labels(body: &Value) -> Option<Vec<String>> {
    let list = body.get("labels")?.as_array()?;
    let name = |label: &Value| label.as_str().or_else(|| label.get("name")?.as_str()).map(str::to_owned);
    Some(list.iter().filter_map(name).collect())
}
