//! Pull requests, comments, build statuses, Code Insights reports.

use forge_core::model::Target;
use serde_json::{Value, json};

use super::{Answer, FakeReport, State, access::Caller, json as shape, page, refuse, terms, unknown};
use crate::{
    wire::{Incoming, Reply},
    world::{FakeComment, FakeStatus, Pull, Repo, World},
};

const MAX_BODY: usize = 32_768;

pub(super) fn route(
    world: &mut World,
    state: &mut State,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    let is_write = request.method != http::Method::GET;
    let (oauth, api) = match (segments, is_write) {
        (["pullrequests", ..], false) => ("pullrequest", "read:pullrequest:bitbucket"),
        (["pullrequests", ..], true) => ("pullrequest:write", "write:pullrequest:bitbucket"),
        (_, false) => ("repository", "read:repository:bitbucket"),
        // The read scope does for OAuth; API tokens are held to the write scope.
        (_, true) => ("repository", "write:repository:bitbucket"),
    };
    caller.require(oauth, api)?;
    if let ["commit", sha, ..] = segments
        && !(sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(refuse(404, "Commit not found"));
    }
    match (request.method.as_str(), segments) {
        ("GET", ["pullrequests"]) => pulls(world, request, repo),
        ("GET", ["pullrequests", number]) => {
            let pull = number.parse().ok().and_then(|number| world.pull(repo.id, number));
            let pull = pull.ok_or_else(|| refuse(404, "Pull request not found"))?;
            Ok(Reply::json(200, &shape::pull(world, pull)).into())
        }
        (_, ["pullrequests", number, "comments", rest @ ..]) => {
            let known = number.parse().ok().and_then(|number| world.pull(repo.id, number)).is_some();
            if !known {
                return Err(refuse(404, "Pull request not found"));
            }
            comments(world, state, request, caller, repo, &Target::Pull((*number).to_owned()), rest)
        }
        (_, ["commit", sha, "comments", rest @ ..]) => {
            comments(world, state, request, caller, repo, &Target::Commit((*sha).to_owned()), rest)
        }
        ("GET", ["commit", sha, "pullrequests"]) => {
            if !state.links_commits {
                return Err(refuse(404, "The Pull Request Commit Links app is not installed"));
            }
            let pulls: Vec<&Pull> =
                world.pulls.iter().filter(|pull| pull.repo_id == repo.id && pull.sha == *sha).collect();
            page(world, request, &pulls, 100, |pull| shape::pull(world, pull))
        }
        ("GET", ["commit", sha, "statuses"]) => {
            let statuses: Vec<&FakeStatus> =
                world.statuses.iter().filter(|it| it.repo_id == repo.id && it.sha == *sha).collect();
            page(world, request, &statuses, 100, |status| shape::build_status(status))
        }
        ("POST", ["commit", sha, "statuses", "build"]) => set_status(world, request, caller, repo, sha),
        ("PUT", ["commit", sha, "reports", id]) => {
            let body = request.json();
            let text = |name: &str| body.get(name).and_then(Value::as_str);
            let is_known =
                |value: Option<&str>, words: &[&str]| value.is_none_or(|word| words.contains(&word));
            if text("title").is_none_or(str::is_empty)
                || text("details").is_none_or(str::is_empty)
                || !is_known(text("result"), &["PASSED", "FAILED", "PENDING"])
                || !is_known(text("report_type"), &["SECURITY", "COVERAGE", "TEST", "BUG"])
                || text("details").is_some_and(|details| details.chars().count() > 2000)
            {
                return Err(refuse(400, "Invalid report"));
            }
            let report = FakeReport {
                repo_id: repo.id,
                sha: (*sha).to_owned(),
                id: (*id).to_owned(),
                body: body.to_string(),
            };
            state
                .reports
                .retain(|it| (it.repo_id, &it.sha, &it.id) != (report.repo_id, &report.sha, &report.id));
            state.reports.push(report);
            Ok(Reply::json(200, &body).into())
        }
        // Native issues were removed in August 2026.
        (_, ["issues", ..]) => Err(refuse(410, "Issue tracker has been removed")),
        _ => Ok(unknown()),
    }
}

fn pulls(world: &World, request: &Incoming, repo: &Repo) -> Answer {
    let wanted = request.query("q").map(terms).transpose()?.unwrap_or_default();
    let names_state = wanted.iter().any(|(field, _)| field == "state") || request.query("state").is_some();
    let state_of = |pull: &Pull| if pull.is_open { "OPEN" } else { "DECLINED" };
    let pulls: Vec<&Pull> = world
        .pulls
        .iter()
        .rev()
        .filter(|pull| pull.repo_id == repo.id && (names_state || pull.is_open))
        .filter(|pull| request.query("state").is_none_or(|state| state == state_of(pull)))
        .filter(|pull| {
            wanted.iter().all(|(field, value)| match field.as_str() {
                "source.branch.name" => *value == pull.source_branch,
                "source.repository.uuid" => *value == shape::uuid(shape::REPO, pull.source_repo_id),
                "state" => value == state_of(pull),
                _ => false,
            })
        })
        .collect();
    // A page of pull requests holds fifty, whatever is asked for.
    page(world, request, &pulls, 50, |pull| shape::pull(world, pull))
}

/// Deleted comments stay in the list, without their text.
fn comments(
    world: &mut World,
    state: &State,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    target: &Target,
    rest: &[&str],
) -> Answer {
    let method = request.method.as_str();
    let Some((id, [])) = rest.split_first() else {
        return match (method, rest) {
            ("GET", []) => {
                let found: Vec<&FakeComment> = world
                    .comments
                    .iter()
                    .filter(|comment| comment.repo_id == repo.id && comment.target == *target)
                    .collect();
                page(world, request, &found, 100, |comment| shape::comment(world, comment))
            }
            ("POST", []) => {
                let body = text(state, request)?;
                let id = world.add_comment(repo.id, target.clone(), caller.user_id, body, None);
                let comment = find(world, repo, target, id)?;
                Ok(Reply::json(201, &shape::comment(world, comment)).into())
            }
            _ => Ok(unknown()),
        };
    };
    let id = id.parse::<u64>().unwrap_or(0);
    let comment = find(world, repo, target, id)?;
    let (is_own, is_deleted) = (comment.author_id == caller.user_id, comment.is_deleted);
    match method {
        "GET" => {}
        _ if is_deleted => return Err(refuse(404, "Comment not found")),
        _ if !is_own => return Err(refuse(403, "You can only change your own comments")),
        "PUT" => {
            let body = text(state, request)?;
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
    Ok(Reply::json(200, &shape::comment(world, find(world, repo, target, id)?)).into())
}

fn find<'a>(world: &'a World, repo: &Repo, target: &Target, id: u64) -> Result<&'a FakeComment, Box<Reply>> {
    let found = world
        .comments
        .iter()
        .find(|comment| comment.id == id && comment.repo_id == repo.id && comment.target == *target);
    found.ok_or_else(|| refuse(404, "Comment not found"))
}

fn text(state: &State, request: &Incoming) -> Result<String, Box<Reply>> {
    let body = request.json();
    let raw = body.get("content").and_then(|content| content.get("raw")).and_then(Value::as_str);
    let raw = raw.filter(|raw| !raw.trim().is_empty()).ok_or_else(|| refuse(400, "content.raw: required"))?;
    if raw.chars().count() > MAX_BODY {
        return Err(refuse(400, "content.raw: Ensure this value has at most 32768 characters."));
    }
    let mut kept = raw.to_owned();
    while state.strips_html_comments
        && let Some(start) = kept.find("<!--")
        && let Some(length) = kept.get(start..).and_then(|rest| rest.find("-->"))
    {
        kept.replace_range(start..start + length + 3, "");
    }
    Ok(kept)
}

fn set_status(world: &mut World, request: &Incoming, caller: &Caller, repo: &Repo, sha: &str) -> Answer {
    let body = request.json();
    let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let invalid = |name: &str| {
        Box::new(Reply::json(
            400,
            &json!({ "type": "error", "error": { "message": "Bad request", "fields": { name: ["Invalid value."] } } }),
        ))
    };
    let state = field("state").unwrap_or_default();
    if !matches!(state.as_str(), "SUCCESSFUL" | "FAILED" | "INPROGRESS" | "STOPPED") {
        return Err(invalid("state"));
    }
    let key = field("key").filter(|key| !key.is_empty() && key.chars().count() <= 40);
    let key = key.ok_or_else(|| invalid("key"))?;
    let url = field("url").filter(|url| url.starts_with("http")).ok_or_else(|| invalid("url"))?;
    let description = field("description");
    if description.as_ref().is_some_and(|text| text.chars().count() > 255) {
        return Err(invalid("description"));
    }
    let status = FakeStatus {
        id: world.next_large_id(),
        repo_id: repo.id,
        sha: sha.to_owned(),
        context: key,
        state,
        description,
        target_url: Some(url),
        author: world.login(caller.user_id),
    };
    let reply = Reply::json(201, &shape::build_status(&status));
    world.statuses.push(status);
    Ok(reply.into())
}
