//! Build statuses: the old list that is global to a commit, and the rich ones of a repository.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answer, PostedBuild, access::Caller, ci_servers, json as shape, page, refuse, unknown, version};
use crate::{
    spec::State,
    wire::{Incoming, Reply},
    world::{FakeStatus, Job, Repo, World},
};

/// A build status, whichever way it came about.
pub(super) struct Build {
    repo_id: u64,
    pub(super) key: String,
    pub(super) name: Option<String>,
    pub(super) state: String,
    pub(super) url: String,
    pub(super) description: Option<String>,
    git_ref: Option<String>,
    number: Option<String>,
    at: Timestamp,
}

fn key(job: &Job) -> String {
    format!("ci:{}", job.name)
}

/// How an adapter names a job: commit, the first 12 hex digits of the SHA-256 of the build's address, key. Bitbucket
/// has no such ids; this is what `forge-bitbucket-dc` documents.
pub(super) fn adapter_job_id(world: &World, job: &Job) -> String {
    let sha = world.runs.get(&job.run_id).map(|run| run.sha.clone()).unwrap_or_default();
    let digest = hex::encode(Sha256::digest(ci_servers::build_url(world, job.id).as_bytes()));
    format!("{sha}:{}:{}", digest.get(..12).unwrap_or_default(), key(job))
}

fn word(state: State) -> Option<&'static str> {
    match state {
        State::Queued | State::Running => Some("INPROGRESS"),
        State::Success => Some("SUCCESSFUL"),
        State::Failed | State::TimedOut => Some("FAILED"),
        State::Cancelled => Some("CANCELLED"),
        // Nobody posts a status for what never ran.
        State::Skipped => None,
    }
}

/// A status per key and repository: a build that runs again replaces what it said before.
pub(super) fn of_commit(world: &World, sha: &str) -> Vec<Build> {
    let mut builds: Vec<Build> = Vec::new();
    for job in world.jobs.values() {
        let Some(run) = world.runs.get(&job.run_id).filter(|run| run.sha == sha) else { continue };
        let Some(state) = word(job.state) else { continue };
        let kind = if run.is_tag { "tags" } else { "heads" };
        let build = Build {
            repo_id: job.repo_id,
            key: key(job),
            name: Some(job.name.clone()),
            state: state.to_owned(),
            url: ci_servers::build_url(world, job.id),
            description: None,
            git_ref: Some(format!("refs/{kind}/{}", run.branch)),
            number: Some(job.id.to_string()),
            at: job.finished_at.unwrap_or(job.created_at),
        };
        builds.retain(|known| (known.repo_id, &known.key) != (build.repo_id, &build.key));
        builds.push(build);
    }
    for posted in world.bitbucket_dc.posted.iter().filter(|posted| posted.sha == sha) {
        builds.retain(|known| (known.repo_id, &known.key) != (posted.repo_id, &posted.key));
        builds.push(Build {
            repo_id: posted.repo_id,
            key: posted.key.clone(),
            name: posted.name.clone(),
            state: posted.state.clone(),
            url: posted.url.clone(),
            description: posted.description.clone(),
            git_ref: posted.git_ref.clone(),
            number: None,
            at: posted.at,
        });
    }
    builds.sort_by_key(|build| std::cmp::Reverse(build.at));
    builds
}

pub(super) fn put(world: &mut World, build: PostedBuild) {
    let all = &mut world.bitbucket_dc.posted;
    all.retain(|known| (known.repo_id, &known.sha, &known.key) != (build.repo_id, &build.sha, &build.key));
    all.push(build);
}

/// `/rest/build-status/1.0/commits/...`: says nothing of the repository, and any user may write.
pub(super) fn commit_global(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    segments: &[&str],
) -> Answer {
    match (request.method.as_str(), segments) {
        ("POST", ["stats"]) => {
            let body = request.json();
            let all =
                body.as_array().ok_or_else(|| refuse(400, "An array is needed", "ArgumentException"))?;
            let counts: serde_json::Map<String, Value> = all
                .iter()
                .filter_map(Value::as_str)
                .map(|sha| (sha.to_owned(), counts(world, sha)))
                .collect();
            Ok(Reply::json(200, &Value::Object(counts)).into())
        }
        ("GET", ["stats", sha]) => Ok(Reply::json(200, &counts(world, sha)).into()),
        ("GET", [sha]) => {
            let builds = of_commit(world, sha);
            Ok(page(request, &builds, |build| {
                json!({
                    "state": build.state, "key": build.key, "name": build.name, "url": build.url,
                    "description": build.description, "dateAdded": shape::time(build.at),
                })
            })
            .into())
        }
        ("POST", [sha]) => post(world, request, caller, 0, sha),
        _ => Ok(unknown()),
    }
}

fn counts(world: &World, sha: &str) -> Value {
    let builds = of_commit(world, sha);
    let count = |state: &str| builds.iter().filter(|build| build.state == state).count();
    json!({
        "successful": count("SUCCESSFUL"), "inProgress": count("INPROGRESS"), "failed": count("FAILED"),
        "cancelled": count("CANCELLED"), "unknown": count("UNKNOWN"),
    })
}

/// `/rest/api/1.0/projects/.../commits/{sha}/builds`: one status by key, never a list.
pub(super) fn per_repository(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    sha: &str,
) -> Answer {
    match request.method.as_str() {
        "POST" if version(world) >= (7, 4) => post(world, request, caller, repo.id, sha),
        "GET" if version(world) >= (7, 14) => {
            let key = request.query("key").filter(|key| !key.is_empty());
            let key =
                key.ok_or_else(|| refuse(400, "A key is needed", "validation.ArgumentValidationException"))?;
            let builds = of_commit(world, sha);
            let build = builds.iter().find(|build| build.repo_id == repo.id && build.key == key);
            let missing =
                || refuse(404, "No build status with this key", "build.status.NoSuchBuildStatusException");
            let build = build.ok_or_else(missing)?;
            let body = json!({
                "key": build.key, "state": build.state, "url": build.url, "name": build.name,
                "description": build.description, "ref": build.git_ref, "buildNumber": build.number,
                "parent": "ci", "duration": 61_000,
                "testResults": { "failed": 1, "skipped": 0, "successful": 12 },
                "createdDate": shape::time(build.at), "updatedDate": shape::time(build.at),
            });
            Ok(Reply::json(200, &body).into())
        }
        _ => Ok(unknown()),
    }
}

fn post(world: &mut World, request: &Incoming, caller: &Caller, repo_id: u64, sha: &str) -> Answer {
    caller.require_write()?;
    let body = request.json();
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let invalid = |message: &str| refuse(400, message, "validation.ArgumentValidationException");
    let key = text("key").filter(|key| key.chars().count() <= 255).ok_or_else(|| invalid("key"))?;
    let url = text("url").filter(|url| url.len() <= 450).ok_or_else(|| invalid("url"))?;
    let states = ["SUCCESSFUL", "FAILED", "INPROGRESS", "CANCELLED", "UNKNOWN"];
    let state = text("state").filter(|state| states.contains(state)).ok_or_else(|| invalid("state"))?;
    if text("description").is_some_and(|text| text.chars().count() > 255) {
        return Err(invalid("The description is too long"));
    }
    let (id, at) = (world.next_id(), world.now());
    world.statuses.push(FakeStatus {
        id,
        repo_id,
        sha: sha.to_owned(),
        context: key.to_owned(),
        state: state.to_owned(),
        description: text("description").map(str::to_owned),
        target_url: Some(url.to_owned()),
        author: caller.login.clone(),
    });
    let build = PostedBuild {
        repo_id,
        sha: sha.to_owned(),
        key: key.to_owned(),
        name: text("name").map(str::to_owned),
        state: state.to_owned(),
        url: url.to_owned(),
        description: text("description").map(str::to_owned),
        git_ref: text("ref").map(str::to_owned),
        at,
    };
    put(world, build);
    Ok(Reply::empty(204).into())
}
