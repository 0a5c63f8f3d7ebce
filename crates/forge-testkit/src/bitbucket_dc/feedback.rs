//! Comments on pull requests and commits, Code Insights.

use forge_core::model::Target;
use serde_json::{Value, json};

use super::{Answer, access::Caller, json as shape, page, refuse, unknown};
use crate::{
    wire::{Incoming, Reply},
    world::{FakeComment, Repo, World},
};

const MAX_TEXT: usize = 32_768;

pub(super) fn route(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    match (request.method.as_str(), segments) {
        (method, ["pull-requests", number, rest @ ..]) => {
            let pull = number.parse().ok().and_then(|number| world.pull(repo.id, number)).cloned();
            let pull = pull.ok_or_else(|| {
                refuse(404, "Pull request does not exist", "pull.NoSuchPullRequestException")
            })?;
            let target = Target::Pull(pull.number.to_string());
            match (method, rest) {
                ("GET", []) => Ok(Reply::json(200, &shape::pull(world, &pull)).into()),
                ("GET", ["activities"]) => Ok(activities(world, request, repo, &target).into()),
                (_, ["comments", rest @ ..]) => comments(world, request, caller, repo, target, rest),
                _ => Ok(unknown()),
            }
        }
        (_, ["commits", sha, "comments", rest @ ..]) => {
            if sha.len() != 40 {
                return Err(refuse(404, "Commit does not exist", "commit.NoSuchCommitException"));
            }
            comments(world, request, caller, repo, Target::Commit((*sha).to_owned()), rest)
        }
        _ => Ok(unknown()),
    }
}

/// Newest first, comments among everything else that happened.
fn activities(world: &World, request: &Incoming, repo: &Repo, target: &Target) -> Reply {
    let mut all: Vec<Option<&FakeComment>> = Vec::new();
    for (index, comment) in world.comments_on(repo.id, target).into_iter().enumerate() {
        if index % 10 == 0 {
            all.push(None);
        }
        all.push(Some(comment));
    }
    all.reverse();
    page(request, &all, |item| match item {
        Some(comment) => json!({
            "id": comment.id + 100_000,
            "createdDate": shape::time(comment.created_at),
            "user": shape::user(world, comment.author_id),
            "action": "COMMENTED",
            "commentAction": "ADDED",
            "comment": shape::comment(world, comment),
        }),
        None => json!({ "id": 99, "action": "APPROVED", "user": shape::user(world, 101) }),
    })
}

fn comments(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    target: Target,
    segments: &[&str],
) -> Answer {
    let body = request.json();
    let needs_path = matches!(target, Target::Pull(_)) || world.bitbucket_dc.commit_comments_need_path;
    let text = || -> Result<String, Box<Reply>> {
        let text = body.get("text").and_then(Value::as_str).filter(|text| !text.is_empty());
        let text = text.filter(|text| text.chars().count() <= MAX_TEXT);
        text.map(str::to_owned).ok_or_else(|| refuse(400, "text", "validation.ArgumentValidationException"))
    };
    match (request.method.as_str(), segments) {
        ("GET", []) if needs_path && request.query("path").is_none() => {
            let message = "A path to a file must be supplied when retrieving comments.";
            Err(refuse(400, message, "validation.ArgumentValidationException"))
        }
        ("GET", []) => {
            let all = world.comments_on(repo.id, &target);
            Ok(page(request, &all, |comment| shape::comment(world, comment)).into())
        }
        ("POST", []) => {
            caller.require_write()?;
            let id = world.add_comment(repo.id, target, caller.user_id, text()?, None);
            let comment = world.comments.iter().find(|comment| comment.id == id);
            Ok(Reply::json(201, &comment.map_or(Value::Null, |comment| shape::comment(world, comment)))
                .into())
        }
        (method, [id]) => {
            let id = id.parse::<u64>().unwrap_or(0);
            let all = world.comments_on(repo.id, &target);
            let known = all.iter().find(|comment| comment.id == id).map(|comment| (*comment).clone());
            let missing = || refuse(404, "Comment does not exist", "comment.NoSuchCommentException");
            let known = known.ok_or_else(missing)?;
            if method == "GET" {
                return Ok(Reply::json(200, &shape::comment(world, &known)).into());
            }
            caller.require_write()?;
            if known.author_id != caller.user_id {
                return Err(refuse(
                    401,
                    "You are not permitted to edit this comment",
                    "AuthorisationException",
                ));
            }
            let version = match method {
                "DELETE" => request.query("version").and_then(|text| text.parse::<u64>().ok()),
                _ => body.get("version").and_then(Value::as_u64),
            };
            if version != Some(known.history.len() as u64) {
                let message = "You are attempting to modify a comment based on out-of-date information.";
                return Err(refuse(409, message, "comment.CommentOutOfDateException"));
            }
            match method {
                "PUT" => {
                    world.edit_comment(repo.id, id, &text()?);
                    let all = world.comments_on(repo.id, &target);
                    let now = all.iter().find(|comment| comment.id == id);
                    let body = now.map_or(Value::Null, |comment| shape::comment(world, comment));
                    Ok(Reply::json(200, &body).into())
                }
                "DELETE" => {
                    if let Some(comment) = world.comment_mut(repo.id, id) {
                        comment.is_deleted = true;
                    }
                    Ok(Reply::empty(204).into())
                }
                _ => Ok(unknown()),
            }
        }
        _ => Ok(unknown()),
    }
}

pub(super) fn insights(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    _repo: &Repo,
    segments: &[&str],
) -> Answer {
    let ("PUT", ["commits", sha, "reports", key]) = (request.method.as_str(), segments) else {
        return Ok(unknown());
    };
    caller.require_write()?;
    let body = request.json();
    let length = |name: &str| body.get(name).and_then(Value::as_str).map_or(0, |text| text.chars().count());
    let is_result = matches!(body.get("result").and_then(Value::as_str), None | Some("PASS" | "FAIL"));
    if length("title") == 0 || length("title") > 450 || length("details") > 2000 || !is_result {
        return Err(refuse(400, "The report is not valid", "validation.ArgumentValidationException"));
    }
    let reports = &mut world.bitbucket_dc.reports;
    reports.retain(|(known_sha, known_key, _)| (known_sha.as_str(), known_key.as_str()) != (*sha, *key));
    reports.push(((*sha).to_owned(), (*key).to_owned(), body.clone()));
    Ok(Reply::json(200, &body).into())
}
