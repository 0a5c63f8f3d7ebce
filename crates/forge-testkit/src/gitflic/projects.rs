//! Projects, and what is below one.

use super::{Answer, access::Caller, changes, cicd, feedback, hooks, json, page, refuse, unknown};
use crate::{
    wire::{Incoming, Reply},
    world::{Repo, World},
};

pub(super) fn route(world: &mut World, request: &Incoming, caller: &Caller, segments: &[&str]) -> Answer {
    caller.require("PROJECT_READ")?;
    let method = request.method.as_str();
    match (method, segments) {
        ("GET", ["project"]) => Ok(list(world, request, |repo| !repo.is_private)),
        ("GET", ["project", "my"]) => Ok(list(world, request, |repo| repo.access_of(caller.user_id) >= 40)),
        // A public project of one's own is in both lists.
        ("GET", ["project", "shared"]) => Ok(list(world, request, |repo| {
            let level = repo.access_of(caller.user_id);
            (1..40).contains(&level) || (level >= 40 && !repo.is_private)
        })),
        // Project UUIDs are no addresses.
        ("GET", ["project", _]) => Err(refuse(404, "error.project.not.found")),
        (_, ["project", owner, alias, rest @ ..]) => {
            let name = format!("{owner}/{alias}").to_lowercase();
            let repo = world.repos.values().find(|repo| repo.full_name.to_lowercase() == name).cloned();
            let repo = repo.filter(|repo| caller.can_see(repo));
            let repo = repo.ok_or_else(|| refuse(404, "error.project.not.found"))?;
            below(world, request, caller, &repo, rest)
        }
        _ => Ok(unknown()),
    }
}

fn below(world: &mut World, request: &Incoming, caller: &Caller, repo: &Repo, segments: &[&str]) -> Answer {
    match (request.method.as_str(), segments) {
        ("GET", []) => Ok(Reply::json(200, &json::project(world, repo)).into()),
        (_, []) => Err(refuse(405, "error.method.not.allowed")),
        (_, ["setting", "webhook", rest @ ..]) => {
            caller.require_admin(repo)?;
            hooks::route(world, request, repo, rest)
        }
        (_, ["cicd", rest @ ..]) => cicd::route(world, request, repo, rest),
        (_, ["merge-request", rest @ ..]) => feedback::merge_requests(world, request, caller, repo, rest),
        (_, ["issue", rest @ ..]) => feedback::issues(world, request, caller, repo, rest),
        ("GET", ["commit" | "branch" | "blob", ..]) => changes::route(world, request, repo, segments),
        _ => Ok(unknown()),
    }
}

fn list(world: &World, request: &Incoming, is_in: impl Fn(&Repo) -> bool) -> crate::dialect::Outcome {
    let repos: Vec<&Repo> = world.repos.values().filter(|repo| is_in(repo)).collect();
    page(world, request, "projectList", &repos, |repo| json::project(world, repo)).into()
}
