//! GitFlic's shapes: camel case in the API.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{API, major};
use crate::{
    spec::State,
    world::{FakeComment, FakeIssue, Hook, Job, Pull, Repo, Run, World, shift},
};

/// What GitFlic prints where its translation of a relative time is missing.
const PLACEHOLDER: &str = "2 time.minute.multi time.ago";

fn uuid(kind: u16, id: u64) -> String {
    format!("5a1f{kind:04x}-0c3e-4b7d-9e21-{id:012x}")
}

pub(super) fn project_id(id: u64) -> String {
    uuid(1, id)
}

pub(super) fn hook_id(id: u64) -> String {
    uuid(2, id)
}

pub(super) fn run_uuid(id: u64) -> String {
    uuid(3, id)
}

pub(super) fn artifact_id(job_id: u64) -> String {
    uuid(5, job_id)
}

pub(super) fn discussion_id(id: u64) -> String {
    uuid(6, id)
}

/// Without a zone, in Moscow time.
pub(super) fn naive(at: Timestamp) -> String {
    shift(at, 3 * 3600).strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

fn naive_or_null(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(naive(at)))
}

pub(super) fn user(world: &World, user_id: u64) -> Value {
    let login = world.login(user_id);
    json!({
        "id": uuid(4, user_id),
        "username": login,
        "name": login,
        "surname": "",
        "fullName": login,
        "avatar": null,
    })
}

pub(super) fn web_url(world: &World, repo: &Repo) -> String {
    format!("{}/project/{}", world.base_url, repo.full_name)
}

pub(super) fn project(world: &World, repo: &Repo) -> Value {
    let mut value = json!({
        "id": project_id(repo.id),
        "title": repo.name(),
        "description": "",
        "alias": repo.name(),
        "defaultBranch": if repo.is_empty { Value::Null } else { json!("main") },
        "language": "Rust",
        "httpTransportUrl": format!("{}.git", web_url(world, repo)),
        "sshTransportUrl": format!("git@127.0.0.1:{}.git", repo.full_name),
        "private": repo.is_private,
        "mirror": false,
        "topics": [],
    });
    let owner = if major(world) >= 4 {
        ("owner", json!({ "alias": repo.owner(), "type": "TEAM" }))
    } else {
        ("ownerAlias", json!(repo.owner()))
    };
    if let Some(value) = value.as_object_mut() {
        value.insert(owner.0.to_owned(), owner.1);
    }
    value
}

pub(super) fn status(state: State) -> &'static str {
    match state {
        State::Queued => "PENDING",
        State::Running => "RUNNING",
        State::Success => "SUCCESS",
        State::Failed | State::TimedOut => "FAILED",
        State::Cancelled => "CANCELED",
        State::Skipped => "SKIPPED",
    }
}

/// Success with a failure that was allowed is a warning.
pub(super) fn run_status(world: &World, run: &Run) -> &'static str {
    let has_warning = world.jobs_of(run.id).any(|job| job.allow_failure && job.state.is_failure());
    if run.state == State::Success && has_warning { "WARNING" } else { status(run.state) }
}

pub(super) fn pipeline(world: &World, run: &Run) -> Value {
    let has_started = run.state != State::Queued && run.config_error.is_none();
    json!({
        "id": run_uuid(run.id),
        "localId": run.number,
        "status": run_status(world, run),
        "duration": 58,
        "commitId": run.sha,
        "projectId": project_id(run.repo_id),
        "userId": uuid(4, 1),
        "ref": run.branch,
        "source": run.trigger.to_uppercase(),
        "failureReason": run.config_error,
        "createdAt": naive(run.created_at),
        "startedAt": naive_or_null(has_started.then(|| shift(run.created_at, 1))),
        "finishedAt": naive_or_null(run.finished_at),
        "beforeCommitId": null,
        "configSource": null,
        "tag": null,
    })
}

/// Jobs count within their project.
pub(super) fn job_local_id(world: &World, job: &Job) -> u64 {
    let earlier = world.jobs.values().filter(|other| other.repo_id == job.repo_id && other.id < job.id);
    340 + earlier.count() as u64
}

pub(super) fn job(world: &World, job: &Job) -> Value {
    let run = world.runs.get(&job.run_id);
    let status = if job.allow_failure && job.state.is_failure() { "WARNING" } else { status(job.state) };
    let expires = job.finished_at.map(|at| shift(at, if job.is_log_expired { 60 } else { 30 * 86_400 }));
    json!({
        "id": uuid(7, job.id),
        "localId": job_local_id(world, job),
        "name": job.name,
        "stageName": job.stage,
        "status": status,
        "startedAt": naive_or_null(job.started_at()),
        "finishedAt": naive_or_null(job.finished_at),
        "tag": false,
        "ref": run.map(|run| run.branch.clone()),
        // The documents say that this is a string.
        "pipelineLocalId": run.map(|run| run.number.to_string()),
        "artifactsExpireAt": naive_or_null(expires),
        "erasedAt": naive_or_null(job.erased_at),
    })
}

/// A user's archive comes before the log.
pub(super) fn artifacts(world: &World, repo: &Repo, job: &Job, has_trace: bool) -> Vec<Value> {
    let base = format!(
        "{}{API}/project/{}/cicd/job/{}/artifact",
        world.foreign_log_origin.as_ref().unwrap_or(&world.base_url),
        repo.full_name,
        job_local_id(world, job)
    );
    let one = |id: String, name: &str, kind: &str| {
        json!({
            "id": id,
            "fileName": name,
            "fileType": kind,
            "size": job.log_length(),
            "downloadUrl": format!("{base}/{id}/download"),
        })
    };
    let mut all = vec![one(uuid(8, job.id), "report.log.zip", "archive")];
    if has_trace {
        all.push(one(artifact_id(job.id), "trace", "TRACE"));
    }
    all
}

/// The secret can be read back.
pub(super) fn hook(hook: &Hook) -> Value {
    let mut events = serde_json::Map::new();
    for key in super::hooks::EVENTS {
        events.insert(key.to_owned(), json!(hook.events.iter().any(|event| event == key)));
    }
    json!({
        "id": hook_id(hook.id),
        "url": hook.url,
        "secret": hook.secret,
        "projectId": project_id(hook.repo_id),
        "events": events,
        "createdAt": hook.created_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "updatedAt": PLACEHOLDER,
    })
}

pub(super) fn merge_request(world: &World, pull: &Pull) -> Value {
    let side = |id: u64| {
        let name = world.repo(id);
        json!({
            "id": project_id(id),
            "alias": name.map(Repo::name),
            "ownerAlias": name.map(Repo::owner),
        })
    };
    let branch = |name: &str| json!({ "id": name, "title": name, "hash": null });
    json!({
        "id": uuid(9, pull.id),
        "localId": pull.number,
        "title": pull.title,
        "description": "",
        "sourceBranch": branch(&pull.source_branch),
        "targetBranch": branch(&pull.target_branch),
        "sourceProject": side(pull.source_repo_id),
        "targetProject": side(pull.repo_id),
        "status": { "id": if pull.is_open { "OPENED" } else { "CLOSED" }, "title": "-", "color": "success" },
        "createdAt": PLACEHOLDER,
        "updatedAt": naive(pull.created_at),
    })
}

pub(super) fn discussion(world: &World, comment: &FakeComment) -> Value {
    let id = discussion_id(comment.id);
    json!({
        "uuid": id,
        "resolved": false,
        "rootNote": {
            "uuid": id,
            "discussionUuid": id,
            "type": "MERGE_REQUEST_COMMENT",
            "message": comment.body,
            "rawMessage": comment.body,
            "author": user(world, comment.author_id),
            "createdAt": PLACEHOLDER,
            "newLine": null, "oldLine": null, "newPath": null, "oldPath": null,
        },
        "replies": [],
    })
}

pub(super) fn issue(world: &World, issue: &FakeIssue) -> Value {
    json!({
        "id": uuid(10, issue.id),
        "localId": issue.number,
        "title": issue.title,
        "description": issue.body,
        "status": { "id": if issue.is_open { "OPEN" } else { "CLOSED" }, "title": "-", "hexColor": "28A745" },
        "assignedUsers": [],
        "labels": [],
        "projectAlias": world.repo(issue.repo_id).map(Repo::name),
        "userAlias": world.repo(issue.repo_id).map(Repo::owner),
        "createdAt": PLACEHOLDER,
        "updatedAt": PLACEHOLDER,
        "updatedBy": user(world, issue.author_id),
    })
}
