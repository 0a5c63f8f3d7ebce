//! Merge requests, notes, discussions, issues, statuses (GitLab docs, api/notes.md, api/discussions.md, api/issues.md,
//! api/commits.md).

use forge_core::model::Target;
use serde_json::{Value, json};

use super::{Answer, access::Caller, json as shape, projects::page, refuse, unknown};
use crate::{
    quick_actions,
    wire::{Incoming, Reply},
    world::{FakeComment, FakeIssue, FakeStatus, Pull, Repo, World, random_hex},
};

const MAX_NOTE: usize = 1_000_000;

pub(super) fn route(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    let method = request.method.as_str();
    match (method, segments) {
        ("GET", ["merge_requests"]) => {
            let fits = |name: &str, value: &str| request.query(name).is_none_or(|wanted| wanted == value);
            let pulls: Vec<&Pull> = world
                .pulls
                .iter()
                .rev()
                .filter(|pull| pull.repo_id == repo.id)
                .filter(|pull| match request.query("state") {
                    Some("opened") => pull.is_open,
                    Some("closed") => !pull.is_open,
                    _ => true,
                })
                .filter(|pull| fits("source_branch", &pull.source_branch))
                .filter(|pull| fits("source_project_id", &pull.source_repo_id.to_string()))
                .collect();
            Ok(page(world, request, &pulls, |pull| shape::merge_request(world, pull)).into())
        }
        ("GET", ["merge_requests", number]) => {
            let pull = find_pull(world, repo, number)?;
            Ok(Reply::json(200, &shape::merge_request(world, pull)).into())
        }
        ("GET", ["repository", "commits", sha, "merge_requests"]) => {
            let pulls: Vec<&Pull> =
                world.pulls.iter().filter(|pull| pull.repo_id == repo.id && pull.sha == *sha).collect();
            Ok(page(world, request, &pulls, |pull| shape::merge_request(world, pull)).into())
        }
        ("GET", ["repository", "commits", sha]) => {
            let body = json!({ "id": sha, "short_id": sha.get(..8), "title": "Change something" });
            Ok(Reply::json(200, &body).into())
        }
        (_, ["merge_requests", number, rest @ ..]) => {
            let target = Target::Pull(find_pull(world, repo, number)?.number.to_string());
            match rest {
                ["notes", rest @ ..] => notes(world, request, caller, repo, &target, rest),
                ["discussions", rest @ ..] => discussions(world, request, caller, repo, &target, rest),
                _ => Ok(unknown()),
            }
        }
        (_, ["repository", "commits", sha, rest @ ..]) => {
            let target = Target::Commit((*sha).to_owned());
            match (method, rest) {
                (_, ["discussions", rest @ ..]) => discussions(world, request, caller, repo, &target, rest),
                ("POST", ["comments"]) => {
                    let body = request.json();
                    let text = required(&body, "note")?;
                    let id = world.add_comment(repo.id, target, caller.user_id, text.to_owned(), None);
                    let note = world.comments.iter().find(|comment| comment.id == id);
                    let author = shape::user(world, caller.user_id);
                    let answer = json!({ "note": note.map(|note| &note.body), "author": author });
                    Ok(Reply::json(201, &answer).into())
                }
                ("GET", ["comments"]) => {
                    let comments = world.comments_on(repo.id, &target);
                    Ok(page(world, request, &comments, |comment| {
                        json!({ "note": comment.body, "author": shape::user(world, comment.author_id) })
                    })
                    .into())
                }
                ("GET", ["statuses"]) => {
                    let statuses: Vec<&FakeStatus> = world
                        .statuses
                        .iter()
                        .filter(|status| status.repo_id == repo.id && status.sha == *sha)
                        .collect();
                    Ok(page(world, request, &statuses, |status| shape::commit_status(world, status)).into())
                }
                _ => Ok(unknown()),
            }
        }
        ("POST", ["statuses", sha]) => set_status(world, request, caller, repo, sha),
        (_, ["issues", rest @ ..]) => issues(world, request, caller, repo, rest),
        _ => Ok(unknown()),
    }
}

fn find_pull<'a>(world: &'a World, repo: &Repo, number: &str) -> Result<&'a Pull, Box<Reply>> {
    let number = number.parse().ok();
    number.and_then(|number| world.pull(repo.id, number)).ok_or_else(|| refuse(404, "404 Not found"))
}

fn required<'a>(body: &'a Value, name: &str) -> Result<&'a str, Box<Reply>> {
    let text = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing =
        || Box::new(Reply::json(400, &json!({ "error": format!("{name} is missing, {name} is empty") })));
    let text = text.ok_or_else(missing)?;
    if text.chars().count() > MAX_NOTE {
        return Err(refuse(400, "body is too long (maximum is 1000000 characters)"));
    }
    Ok(text)
}

fn notes(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    target: &Target,
    segments: &[&str],
) -> Answer {
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let mut comments = world.comments_on(repo.id, target);
            if request.query("sort") != Some("asc") {
                comments.reverse();
            }
            Ok(page(world, request, &comments, |comment| shape::note(world, comment)).into())
        }
        ("POST", []) => create(world, request, caller, repo, target, None, false),
        (_, [id]) => edit(world, request, caller, repo, target, id),
        _ => Ok(unknown()),
    }
}

fn discussions(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    target: &Target,
    segments: &[&str],
) -> Answer {
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let comments = world.comments_on(repo.id, target);
            let mut ids: Vec<&str> = Vec::new();
            for comment in &comments {
                if !ids.contains(&comment.discussion.as_str()) {
                    ids.push(&comment.discussion);
                }
            }
            Ok(page(world, request, &ids, |id| discussion(world, &comments, id)).into())
        }
        ("POST", []) => create(world, request, caller, repo, target, Some(random_hex(20)), true),
        ("POST", [id, "notes"]) => {
            create(world, request, caller, repo, target, Some((*id).to_owned()), false)
        }
        ("GET", [id]) => {
            let comments = world.comments_on(repo.id, target);
            if !comments.iter().any(|comment| comment.discussion == *id) {
                return Err(refuse(404, "404 Discussion Not Found"));
            }
            Ok(Reply::json(200, &discussion(world, &comments, id)).into())
        }
        (_, [_, "notes", id]) => edit(world, request, caller, repo, target, id),
        _ => Ok(unknown()),
    }
}

fn discussion(world: &World, comments: &[&FakeComment], id: &str) -> Value {
    let notes: Vec<Value> = comments
        .iter()
        .filter(|comment| comment.discussion == id)
        .map(|comment| shape::note(world, comment))
        .collect();
    json!({ "id": id, "individual_note": false, "notes": notes })
}

fn create(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    target: &Target,
    discussion_id: Option<String>,
    as_discussion: bool,
) -> Answer {
    let body = request.json();
    let (text, actions) = quick_actions::execute(required(&body, "body")?);
    let ran_any = !actions.is_empty();
    world.quick_actions.extend(actions);
    if ran_any && text.trim().is_empty() {
        let answer = json!({ "commands_changes": {}, "summary": ["Commands applied"] });
        return Ok(Reply::json(202, &answer).into());
    }
    let id = world.add_comment(repo.id, target.clone(), caller.user_id, text, discussion_id);
    let Some(comment) = world.comments.iter().find(|comment| comment.id == id) else { return Ok(unknown()) };
    let answer = if as_discussion {
        discussion(world, &[comment], &comment.discussion)
    } else {
        shape::note(world, comment)
    };
    Ok(Reply::json(201, &answer).into())
}

fn edit(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    target: &Target,
    id: &str,
) -> Answer {
    let id = id.parse::<u64>().unwrap_or(0);
    let found = world.comment_mut(repo.id, id).filter(|comment| comment.target == *target);
    let comment = found.ok_or_else(|| refuse(404, "404 Not found"))?;
    let is_own = comment.author_id == caller.user_id;
    match request.method.as_str() {
        "GET" => {}
        _ if !is_own => return Err(refuse(403, "403 Forbidden")),
        "PUT" => {
            let body = request.json();
            let (text, actions) = quick_actions::execute(required(&body, "body")?);
            world.quick_actions.extend(actions);
            world.edit_comment(repo.id, id, &text);
        }
        "DELETE" => {
            comment.is_deleted = true;
            return Ok(Reply::empty(204).into());
        }
        _ => return Ok(unknown()),
    }
    let comment = world.comments.iter().find(|comment| comment.id == id);
    let comment = comment.ok_or_else(|| refuse(404, "404 Not found"))?;
    Ok(Reply::json(200, &shape::note(world, comment)).into())
}

/// Real GitLab also makes an external job of it, which can change the pipeline's own status; the fake does not.
fn set_status(world: &mut World, request: &Incoming, caller: &Caller, repo: &Repo, sha: &str) -> Answer {
    let body = request.json();
    let field = |name: &str| {
        let in_body = body.get(name).and_then(Value::as_str);
        in_body.or_else(|| request.query(name)).map(str::to_owned)
    };
    let state = field("state").unwrap_or_default();
    if !matches!(state.as_str(), "pending" | "running" | "success" | "failed" | "canceled" | "skipped") {
        return Err(Box::new(Reply::json(400, &json!({ "error": "state does not have a valid value" }))));
    }
    let description = field("description");
    if description.as_ref().is_some_and(|text| text.chars().count() > 255) {
        let message = json!({ "message": { "description": ["is too long (maximum is 255 characters)"] } });
        return Err(Box::new(Reply::json(400, &message)));
    }
    let status = FakeStatus {
        id: world.next_large_id(),
        repo_id: repo.id,
        sha: sha.to_owned(),
        context: field("name").or_else(|| field("context")).unwrap_or_else(|| "default".to_owned()),
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
        return Err(refuse(404, "404 Not Found"));
    }
    let body = request.json();
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let labels: Vec<&str> =
                request.query("labels").map(|text| text.split(',').collect()).unwrap_or_default();
            let mut issues: Vec<&FakeIssue> = world
                .issues
                .iter()
                .filter(|issue| issue.repo_id == repo.id)
                .filter(|issue| match request.query("state") {
                    Some("opened") => issue.is_open,
                    Some("closed") => !issue.is_open,
                    _ => true,
                })
                .filter(|issue| labels.iter().all(|label| issue.labels.iter().any(|it| it == label)))
                .filter(|issue| request.query("author_id").is_none_or(|id| id == issue.author_id.to_string()))
                .collect();
            if request.query("sort") != Some("asc") {
                issues.reverse();
            }
            Ok(page(world, request, &issues, |issue| shape::issue(world, issue)).into())
        }
        ("POST", []) => {
            let title = required(&body, "title")?.to_owned();
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
                body: body.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
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
        (method @ ("GET" | "PUT"), [number]) => {
            let number = number.parse::<u64>().unwrap_or(0);
            let now = world.now();
            let issue = world.issue_mut(repo.id, number).ok_or_else(|| refuse(404, "404 Not found"))?;
            if method == "PUT" {
                let text = |name: &str| body.get(name).and_then(Value::as_str);
                if let Some(title) = text("title") {
                    title.clone_into(&mut issue.title);
                }
                if let Some(description) = text("description") {
                    let old = std::mem::replace(&mut issue.body, description.to_owned());
                    issue.history.push(old);
                }
                if let Some(labels) = labels(&body) {
                    issue.labels = labels;
                }
                match text("state_event") {
                    Some("close") => issue.is_open = false,
                    Some("reopen") => issue.is_open = true,
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

/// A list, or names with commas.
fn labels(body: &Value) -> Option<Vec<String>> {
    match body.get("labels")? {
        Value::String(text) => {
            Some(text.split(',').filter(|name| !name.is_empty()).map(|name| name.trim().to_owned()).collect())
        }
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}
