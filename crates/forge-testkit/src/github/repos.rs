//! Repositories: listing, looking up, and everything below one.

use super::{Answer, access::Caller, actions, feedback, hooks, json as shape, page, refuse, unknown};
use crate::{
    wire::{Incoming, Reply},
    world::{Repo, World},
};

pub(super) fn list(world: &World, request: &Incoming, caller: &Caller, owner: Option<&str>) -> Reply {
    let mut repos: Vec<&Repo> = world
        .repos
        .values()
        .filter(|repo| caller.can_see(repo))
        .filter(|repo| owner.is_none_or(|owner| repo.owner() == owner))
        .collect();
    match request.query("sort") {
        Some("created") => {}
        _ => repos.sort_by(|left, right| left.full_name.cmp(&right.full_name)),
    }
    page(world, request, &repos, None, |repo| shape::repo(world, repo, caller.user_id))
}

pub(super) fn route(world: &mut World, request: &Incoming, caller: &Caller, segments: &[&str]) -> Answer {
    let (repo, rest) = match segments {
        ["repositories", id, rest @ ..] => {
            let repo = id.parse().ok().and_then(|id: u64| world.repo(id)).cloned();
            (repo, rest)
        }
        ["repos", owner, name, rest @ ..] => {
            let full_name = format!("{owner}/{name}");
            let id = world.repos_by_name.get(&full_name.to_lowercase()).copied();
            let repo = id.and_then(|id| world.repo(id)).cloned();
            let visible = repo.as_ref().filter(|repo| caller.can_see(repo));
            if let Some(repo) = visible.filter(|repo| !repo.full_name.eq_ignore_ascii_case(&full_name)) {
                return Err(Box::new(moved(world, request, repo)));
            }
            (repo, rest)
        }
        _ => return Ok(unknown()),
    };
    let repo = repo.filter(|repo| caller.can_see(repo)).ok_or_else(|| refuse(404, "Not Found"))?;
    let method = request.method.as_str();
    if repo.is_archived && method != "GET" {
        return Err(refuse(403, "Repository was archived so is read-only."));
    }
    match rest {
        [] if method == "GET" => Ok(Reply::json(200, &shape::repo(world, &repo, caller.user_id)).into()),
        ["hooks", rest @ ..] => hooks::route(world, request, caller, &repo, rest),
        ["actions", rest @ ..] => actions::route(world, request, caller, &repo, rest),
        _ => feedback::route(world, request, caller, &repo, rest),
    }
}

/// An old name: 301 for reading, 307 otherwise, to the address by number.
fn moved(world: &World, request: &Incoming, repo: &Repo) -> Reply {
    // The path as it was sent is /api/v3/repos/{owner}/{name}/{rest}.
    let rest = request.path.splitn(7, '/').nth(6).map(|rest| format!("/{rest}")).unwrap_or_default();
    let query = request.raw_query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}{}/repositories/{}{rest}{query}", world.base_url, super::API, repo.id);
    let status = if request.method == http::Method::GET { 301 } else { 307 };
    let body = serde_json::json!({ "message": "Moved Permanently", "url": location });
    Reply::json(status, &body).with_header("location", &location)
}
