//! Workspaces and repositories, and everything below one.

use std::collections::BTreeSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{
    Answer, State, access::Caller, changes, feedback, hooks, json as shape, page, pipelines, refuse, terms,
    unknown,
};
use crate::{
    wire::{Incoming, Reply},
    world::{Repo, World},
};

const HIDDEN: &str = "You may not have access to this repository or it no longer exists in this workspace.";

/// The listing's objects hold the workspace one level down.
pub(super) fn workspaces(world: &World, request: &Incoming, caller: &Caller) -> Answer {
    if caller.is_bot() {
        return Err(refuse(403, "This API is only accessible with user credentials."));
    }
    caller.require("account", "read:workspace:bitbucket")?;
    let visible = world.repos.values().filter(|repo| caller.can_see(repo));
    let slugs: Vec<&str> = visible.map(Repo::owner).collect::<BTreeSet<_>>().into_iter().collect();
    page(
        world,
        request,
        &slugs,
        100,
        |slug| json!({ "type": "workspace_access", "administrator": true, "workspace": shape::workspace(slug) }),
    )
}

pub(super) fn list(world: &World, request: &Incoming, caller: &Caller, workspace: &str) -> Answer {
    caller.require("repository", "read:repository:bitbucket")?;
    let wanted = request.query("q").map(terms).transpose()?.unwrap_or_default();
    let mut repos: Vec<&Repo> = world
        .repos
        .values()
        .filter(|repo| repo.owner() == workspace || shape::workspace_uuid(repo.owner()) == workspace)
        .filter(|repo| caller.can_see(repo))
        .filter(|repo| request.query("role") != Some("admin") || repo.access_of(caller.user_id) >= 40)
        .filter(|repo| {
            wanted.iter().all(|(field, value)| match field.as_str() {
                "uuid" => *value == shape::uuid(shape::REPO, repo.id),
                "full_name" => *value == repo.full_name,
                _ => false,
            })
        })
        .collect();
    if request.query("sort") == Some("-updated_on") {
        repos.reverse();
    }
    page(world, request, &repos, 100, |repo| shape::repo(world, repo))
}

pub(super) fn route(
    world: &mut World,
    state: &mut State,
    request: &Incoming,
    caller: &Caller,
    segments: &[&str],
) -> Answer {
    let ["repositories", workspace, name, rest @ ..] = segments else { return Ok(unknown()) };
    let repo = find(world, state, workspace, name).filter(|repo| caller.can_see(repo)).cloned();
    let repo = repo.ok_or_else(|| refuse(404, HIDDEN))?;
    let is_by_name = !name.starts_with('{');
    if is_by_name && !repo.name().eq_ignore_ascii_case(name) {
        return Err(Box::new(moved(world, request, &repo)));
    }
    if let Some(answer) = changes::route(world, request, caller, &repo, rest) {
        return answer;
    }
    match rest {
        [] if request.method == http::Method::GET => {
            caller.require("repository", "read:repository:bitbucket")?;
            Ok(Reply::json(200, &shape::repo(world, &repo)).into())
        }
        ["hooks", rest @ ..] => hooks::route(world, state, request, caller, &repo, rest),
        ["pipelines", rest @ ..] => pipelines::route(world, state, request, caller, &repo, rest),
        _ => feedback::route(world, state, request, caller, &repo, rest),
    }
}

fn find<'a>(world: &'a World, state: &State, workspace: &str, name: &str) -> Option<&'a Repo> {
    if let Some(id) = shape::number(shape::REPO, name) {
        let repo = world.repo(id)?;
        let is_there = workspace == repo.owner()
            || workspace == shape::workspace_uuid(repo.owner())
            || (workspace == "{}" && state.knows_bare_uuids);
        return is_there.then_some(repo);
    }
    let slug = if workspace.starts_with('{') {
        world.repos.values().map(Repo::owner).find(|owner| shape::workspace_uuid(owner) == workspace)?
    } else {
        workspace
    };
    let id = world.repos_by_name.get(&format!("{slug}/{name}").to_lowercase())?;
    world.repo(*id)
}

/// An old name leads to the new one.
fn moved(world: &World, request: &Incoming, repo: &Repo) -> Reply {
    // The path as it was sent is /2.0/repositories/{workspace}/{name}/{rest}.
    let rest = request.path.splitn(6, '/').nth(5).map(|rest| format!("/{rest}")).unwrap_or_default();
    let query = request.raw_query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let place = format!("{}/{}", encode(repo.owner()), encode(repo.name()));
    Reply::redirect(301, &format!("{}/2.0/repositories/{place}{rest}{query}", world.base_url))
}
