//! Users, projects, repositories, branches, commits, pull requests.

use serde_json::json;

use super::{
    Answer, access::Caller, builds, changes, feedback, hooks, json as shape, page, refuse, unknown, version,
};
use crate::{
    wire::{Incoming, Reply},
    world::{Pull, Repo, Run, World},
};

pub(super) fn route(world: &mut World, request: &Incoming, caller: &Caller, segments: &[&str]) -> Answer {
    let method = request.method.as_str();
    match (method, segments) {
        ("GET", ["users", slug]) => {
            let user = world.users.iter().find(|user| user.login.to_lowercase() == *slug);
            let id = user.map(|user| user.id);
            let id = id.ok_or_else(|| refuse(404, "No such user", "user.NoSuchUserException"))?;
            Ok(Reply::json(200, &shape::user(world, id)).into())
        }
        ("GET", ["repos"]) => Ok(list(world, request, caller, None).into()),
        ("GET", ["projects"]) => {
            let mut keys: Vec<&str> =
                world.repos.values().filter(|repo| caller.can_see(repo)).map(Repo::owner).collect();
            keys.sort_unstable();
            keys.dedup();
            Ok(page(request, &keys, |key| shape::project(world, key)).into())
        }
        ("GET", ["projects", project, "repos"]) => Ok(list(world, request, caller, Some(project)).into()),
        (_, ["projects", project, "webhooks", rest @ ..]) if version(world) >= (8, 8) => {
            let is_there = world.repos.values().any(|repo| caller.can_see(repo) && repo.owner() == *project);
            if !is_there {
                return Err(refuse(404, "Project does not exist.", "project.NoSuchProjectException"));
            }
            caller.require_project_admin()?;
            let id = world.namespace_id(project);
            hooks::route(world, request, id, rest)
        }
        (_, ["projects", project, "repos", slug, rest @ ..]) => {
            let repo = find(world, caller, project, slug)?;
            below(world, request, caller, &repo, rest)
        }
        _ => Ok(unknown()),
    }
}

/// An old name leads to the repository without a redirect; what may not be seen is not there.
pub(super) fn find(world: &World, caller: &Caller, project: &str, slug: &str) -> Result<Repo, Box<Reply>> {
    let name = format!("{project}/{slug}").to_lowercase();
    let repo = world.repos_by_name.get(&name).and_then(|id| world.repo(*id));
    let repo = repo.filter(|repo| caller.can_see(repo)).cloned();
    repo.ok_or_else(|| refuse(404, "Repository does not exist.", "repository.NoSuchRepositoryException"))
}

fn list(world: &World, request: &Incoming, caller: &Caller, project: Option<&str>) -> Reply {
    let wants_admin = request.query("permission") == Some("REPO_ADMIN");
    let archived = request.query("archived").unwrap_or("ACTIVE");
    let repos: Vec<&Repo> = world
        .repos
        .values()
        .filter(|repo| caller.can_see(repo) && (!wants_admin || caller.is_admin(repo)))
        .filter(|repo| project.is_none_or(|key| repo.owner().eq_ignore_ascii_case(key)))
        .filter(|repo| match archived {
            "ALL" => true,
            "ARCHIVED" => repo.is_archived,
            _ => !repo.is_archived,
        })
        .collect();
    page(request, &repos, |repo| shape::repository(world, repo))
}

fn below(world: &mut World, request: &Incoming, caller: &Caller, repo: &Repo, segments: &[&str]) -> Answer {
    let method = request.method.as_str();
    if repo.is_archived && method != "GET" {
        return Err(refuse(409, "The repository is archived.", "repository.RepositoryArchivedException"));
    }
    if let Some(answer) = changes::route(world, request, repo, segments) {
        return answer;
    }
    match (method, segments) {
        ("GET", []) => Ok(Reply::json(200, &shape::repository(world, repo)).into()),
        ("GET", ["branches", "default"]) => {
            if repo.is_empty {
                return Err(refuse(404, "There is no default branch", "repository.NoDefaultBranchException"));
            }
            let body =
                json!({ "id": "refs/heads/main", "displayId": "main", "type": "BRANCH", "isDefault": true });
            Ok(Reply::json(200, &body).into())
        }
        ("GET", ["branches"]) => {
            let branches = branches(world, repo);
            Ok(page(request, &branches, |(name, sha)| {
                json!({
                    "id": format!("refs/heads/{name}"), "displayId": name, "type": "BRANCH",
                    "latestCommit": sha, "latestChangeset": sha, "isDefault": name == "main",
                })
            })
            .into())
        }
        ("GET", ["commits"]) => {
            let until = request.query("until").unwrap_or("main");
            let branch = until.strip_prefix("refs/heads/").unwrap_or(until);
            if !branches(world, repo).iter().any(|(name, _)| name == branch) {
                return changes::commits(world, request, repo, until);
            }
            let mut runs: Vec<&Run> = world
                .runs
                .values()
                .filter(|run| run.repo_id == repo.id && !run.is_tag && run.branch == branch)
                .collect();
            runs.sort_by_key(|run| std::cmp::Reverse((run.created_at, run.id)));
            let mut seen = std::collections::HashSet::new();
            runs.retain(|run| seen.insert(run.sha.clone()));
            Ok(page(request, &runs, |run| changes::commit(&run.sha, run.created_at)).into())
        }
        ("GET", ["commits", sha]) => {
            let run = world.runs.values().find(|run| run.repo_id == repo.id && run.sha == *sha);
            let pull = world
                .pulls
                .iter()
                .find(|pull| pull.sha == *sha && (pull.repo_id == repo.id || pull.source_repo_id == repo.id));
            let is_posted = world.bitbucket_dc.posted.iter().any(|build| build.sha == *sha);
            let at = run.map(|run| run.created_at).or_else(|| pull.map(|pull| pull.created_at));
            let at = at.or_else(|| is_posted.then(|| world.now()));
            let at = at.ok_or_else(changes::no_commit)?;
            Ok(Reply::json(200, &changes::commit(sha, at)).into())
        }
        ("GET", ["commits", sha, "pull-requests"]) => {
            let pulls: Vec<&Pull> =
                world.pulls.iter().filter(|pull| pull.repo_id == repo.id && pull.sha == *sha).collect();
            Ok(page(request, &pulls, |pull| shape::pull(world, pull)).into())
        }
        ("GET", ["pull-requests"]) => {
            let is_outgoing = request.query("direction") == Some("OUTGOING");
            let at = request.query("at").map(|at| at.strip_prefix("refs/heads/").unwrap_or(at));
            let pulls: Vec<&Pull> = world
                .pulls
                .iter()
                .rev()
                .filter(|pull| if is_outgoing { pull.source_repo_id } else { pull.repo_id } == repo.id)
                .filter(|pull| match request.query("state") {
                    Some("ALL") => true,
                    Some("DECLINED") => !pull.is_open,
                    _ => pull.is_open,
                })
                .filter(|pull| {
                    let branch = if is_outgoing { &pull.source_branch } else { &pull.target_branch };
                    at.is_none_or(|at| at == branch)
                })
                .collect();
            Ok(page(request, &pulls, |pull| shape::pull(world, pull)).into())
        }
        (_, ["webhooks", rest @ ..]) => {
            caller.require_admin(repo)?;
            hooks::route(world, request, repo.id, rest)
        }
        (_, ["commits", sha, "builds"]) => builds::per_repository(world, request, caller, repo, sha),
        _ => feedback::route(world, request, caller, repo, segments),
    }
}

/// Name and newest commit, the latest changed first.
fn branches(world: &World, repo: &Repo) -> Vec<(String, String)> {
    let mut heads: Vec<(jiff::Timestamp, u64, &str, &str)> = world
        .runs
        .values()
        .filter(|run| run.repo_id == repo.id && !run.is_tag)
        .map(|run| (run.created_at, run.id, run.branch.as_str(), run.sha.as_str()))
        .collect();
    heads.extend(
        world
            .pulls
            .iter()
            .filter(|pull| pull.source_repo_id == repo.id)
            .map(|pull| (pull.created_at, pull.id, pull.source_branch.as_str(), pull.sha.as_str())),
    );
    heads.sort_by_key(|head| std::cmp::Reverse((head.0, head.1)));
    let mut seen = std::collections::HashSet::new();
    heads.retain(|head| seen.insert(head.2));
    heads.into_iter().map(|(_, _, name, sha)| (name.to_owned(), sha.to_owned())).collect()
}
