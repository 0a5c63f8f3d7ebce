//! Merge requests with their discussions, and issues.

use forge_core::model::Target;
use serde_json::Value;

use super::{Answer, access::Caller, json, page, refuse, unknown};
use crate::{
    wire::{Incoming, Reply},
    world::{FakeIssue, Pull, Repo, World},
};

const MAX_MESSAGE: usize = 30_000;

pub(super) fn merge_requests(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    match (request.method.as_str(), segments) {
        ("GET", ["list"]) => {
            let pulls: Vec<&Pull> = world.pulls.iter().filter(|pull| pull.repo_id == repo.id).collect();
            Ok(page(world, request, "mergeRequestModelList", &pulls, |pull| json::merge_request(world, pull))
                .into())
        }
        ("GET", [number]) => {
            let pull = find_pull(world, repo, number)?;
            Ok(Reply::json(200, &json::merge_request(world, pull)).into())
        }
        ("GET", [number, "discussions"]) => {
            find_pull(world, repo, number)?;
            let target = Target::Pull((*number).to_owned());
            let mut comments = world.comments_on(repo.id, &target);
            // Newest first; nothing in the answer says so.
            comments.reverse();
            let show = |comment: &&_| json::discussion(world, comment);
            Ok(page(world, request, "discussionModelList", &comments, show).into())
        }
        ("POST", [number, "discussions", "create"]) => {
            caller.require("PROJECT_EDIT")?;
            find_pull(world, repo, number)?;
            let body = request.json();
            let text = body.get("message").and_then(Value::as_str).unwrap_or_default();
            if text.trim().is_empty() || text.chars().count() > MAX_MESSAGE {
                return Err(refuse(422, "error.discussion.message"));
            }
            let target = Target::Pull((*number).to_owned());
            let id = world.add_comment(repo.id, target, caller.user_id, text.to_owned(), None);
            let comment = world.comment_mut(repo.id, id).cloned();
            let comment = comment.ok_or_else(|| refuse(500, "error.internal"))?;
            Ok(Reply::json(200, &json::discussion(world, &comment)).into())
        }
        _ => Ok(unknown()),
    }
}

fn find_pull<'a>(world: &'a World, repo: &Repo, number: &str) -> Result<&'a Pull, Box<Reply>> {
    let pull = number.parse().ok().and_then(|number| world.pull(repo.id, number));
    pull.ok_or_else(|| refuse(404, "error.merge.request.not.found"))
}

pub(super) fn issues(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    if !repo.has_issues {
        return Err(refuse(404, "error.issue.disabled"));
    }
    let method = request.method.as_str();
    if method != "GET" {
        caller.require("PROJECT_EDIT")?;
    }
    match (method, segments) {
        ("GET", []) => {
            let issues: Vec<&FakeIssue> =
                world.issues.iter().rev().filter(|issue| issue.repo_id == repo.id).collect();
            Ok(page(world, request, "issueModelList", &issues, |issue| json::issue(world, issue)).into())
        }
        ("POST", []) => create(world, &request.json(), caller, repo),
        ("GET", [number]) => show(world, repo, number),
        ("PUT", [number]) => {
            edit(world, &request.json(), repo, number)?;
            show(world, repo, number)
        }
        _ => Ok(unknown()),
    }
}

fn show(world: &mut World, repo: &Repo, number: &str) -> Answer {
    let issue = world.issue_mut(repo.id, number.parse().unwrap_or(0)).cloned();
    let issue = issue.ok_or_else(|| refuse(404, "error.issue.not.found"))?;
    Ok(Reply::json(200, &json::issue(world, &issue)).into())
}

fn text(body: &Value, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The list of assignees has to be there, though it may be empty.
fn create(world: &mut World, body: &Value, caller: &Caller, repo: &Repo) -> Answer {
    let (Some(title), Some(description)) = (text(body, "title"), text(body, "description")) else {
        return Err(refuse(400, "error.issue.title"));
    };
    if !body.get("assignedUsers").is_some_and(Value::is_array) {
        return Err(refuse(500, "error.internal"));
    }
    let number = world.repos.get_mut(&repo.id).map_or(1, |repo| {
        repo.last_number += 1;
        repo.last_number
    });
    let now = world.now();
    let issue = FakeIssue {
        id: world.next_id(),
        number,
        repo_id: repo.id,
        author: world.login(caller.user_id),
        title,
        body: description,
        history: Vec::new(),
        labels: Vec::new(),
        is_open: true,
        author_id: caller.user_id,
        created_at: now,
        updated_at: now,
    };
    let reply = Reply::json(200, &json::issue(world, &issue));
    world.issues.push(issue);
    Ok(reply.into())
}

/// The whole issue is replaced: what is left out is refused.
fn edit(world: &mut World, body: &Value, repo: &Repo, number: &str) -> Result<(), Box<Reply>> {
    let (Some(title), Some(description)) = (text(body, "title"), text(body, "description")) else {
        return Err(refuse(400, "error.issue.title"));
    };
    let status = text(body, "status");
    let now = world.now();
    let issue = world.issue_mut(repo.id, number.parse().unwrap_or(0));
    let issue = issue.ok_or_else(|| refuse(404, "error.issue.not.found"))?;
    issue.title = title;
    if issue.body != description {
        let old = std::mem::replace(&mut issue.body, description);
        issue.history.push(old);
    }
    if let Some(status) = status {
        issue.is_open = status == "OPEN";
    }
    issue.updated_at = now;
    Ok(())
}
