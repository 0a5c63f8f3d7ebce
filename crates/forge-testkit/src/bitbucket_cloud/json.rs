//! Bitbucket Cloud's shapes.

use forge_core::model::Target;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    spec::State,
    world::{FakeComment, FakeStatus, Hook, Job, Pull, Repo, Run, World},
};

pub(super) const USER: u32 = 0x11;
pub(super) const WORKSPACE: u32 = 0x22;
pub(super) const REPO: u32 = 0x33;
pub(super) const PIPELINE: u32 = 0x44;
pub(super) const STEP: u32 = 0x55;
pub(super) const HOOK: u32 = 0x66;
pub(super) const TEST: u32 = 0x77;

/// A UUID in braces, as Bitbucket prints them in JSON and wants them in paths.
pub(super) fn uuid(kind: u32, id: u64) -> String {
    format!("{{{kind:08x}-0000-4000-8000-{id:012x}}}")
}

/// The number of a UUID in braces; without them it is none.
pub(super) fn number(kind: u32, text: &str) -> Option<u64> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let (head, id) = inner.rsplit_once('-')?;
    (head == format!("{kind:08x}-0000-4000-8000") && id.len() == 12)
        .then(|| u64::from_str_radix(id, 16).ok())
        .flatten()
}

/// A step that is run again keeps its UUID and counts `run_number`.
pub(super) fn step_uuid(world: &World, job: &Job) -> String {
    let first = if job.attempt == 1 {
        Some(job.id)
    } else {
        world.jobs_of(job.run_id).find(|it| it.name == job.name && it.attempt == 1).map(|it| it.id)
    };
    uuid(STEP, first.unwrap_or(job.id))
}

pub(super) fn workspace_uuid(slug: &str) -> String {
    let hash = slug.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    uuid(WORKSPACE, hash & 0xffff_ffff_ffff)
}

/// RFC 3339 with microseconds and an offset.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

pub(super) fn user(world: &World, user_id: u64) -> Value {
    let login = world.login(user_id);
    // No `username`: it is gone for people who moved to an Atlassian account.
    json!({
        "type": "user",
        "uuid": uuid(USER, user_id),
        "account_id": format!("557058:{user_id}"),
        "nickname": login,
        "display_name": login,
        "links": { "html": { "href": format!("{}/{}/", world.base_url, uuid(USER, user_id)) } },
    })
}

pub(super) fn workspace(slug: &str) -> Value {
    json!({ "type": "workspace", "uuid": workspace_uuid(slug), "slug": slug, "name": slug })
}

pub(super) fn repo(world: &World, repo: &Repo) -> Value {
    let mut value = json!({
        "type": "repository",
        "uuid": uuid(REPO, repo.id),
        "full_name": repo.full_name,
        "slug": repo.name(),
        "name": repo.name(),
        "is_private": repo.is_private,
        "has_issues": false,
        "mainbranch": if repo.is_empty { Value::Null } else { json!({ "type": "branch", "name": "main" }) },
        "project": { "type": "project", "key": "PROJ", "uuid": uuid(WORKSPACE, 1), "name": "Project" },
        "workspace": workspace(repo.owner()),
        "created_on": time(repo.created_at),
        "updated_on": time(repo.created_at),
        "links": {
            "html": { "href": format!("{}/{}", world.base_url, repo.full_name) },
            "clone": [{ "name": "https", "href": format!("{}/{}.git", world.base_url, repo.full_name) }],
        },
    });
    let parent = repo.forked_from.and_then(|id| world.repo(id));
    if let (Some(object), Some(parent)) = (value.as_object_mut(), parent) {
        object.insert(
            "parent".to_owned(),
            json!({
                "type": "repository",
                "uuid": uuid(REPO, parent.id),
                "full_name": parent.full_name,
                "name": parent.name(),
            }),
        );
    }
    value
}

pub(super) fn hook(hook: &Hook, shows_tls: bool) -> Value {
    let mut value = json!({
        "type": "webhook_subscription",
        "uuid": uuid(HOOK, hook.id),
        "url": hook.url,
        "description": "hook",
        "subject_type": "repository",
        "active": hook.is_active,
        "created_at": time(hook.created_at),
        "events": hook.events,
        "secret_set": hook.secret.is_some(),
    });
    if let (true, Some(object)) = (shows_tls, value.as_object_mut()) {
        object.insert("skip_cert_verification".to_owned(), json!(!hook.verifies_tls));
    }
    value
}

/// The word of a state that `status=` filters by.
pub(super) fn status_word(run: &Run) -> &'static str {
    match run.state {
        State::Queued => "PENDING",
        State::Running => "BUILDING",
        State::Success => "PASSED",
        State::Failed if run.config_error.is_some() => "ERROR",
        State::Failed | State::TimedOut => "FAILED",
        State::Cancelled | State::Skipped => "STOPPED",
    }
}

fn pipeline_state(run: &Run) -> Value {
    let ended =
        |result: Value| json!({ "type": "pipeline_state_completed", "name": "COMPLETED", "result": result });
    match status_word(run) {
        "PENDING" => json!({ "type": "pipeline_state_pending", "name": "PENDING" }),
        "BUILDING" => json!({
            "type": "pipeline_state_in_progress",
            "name": "IN_PROGRESS",
            "stage": { "type": "pipeline_state_in_progress_running", "name": "RUNNING" },
        }),
        "PASSED" => ended(json!({ "type": "pipeline_state_completed_successful", "name": "SUCCESSFUL" })),
        "ERROR" => ended(json!({
            "type": "pipeline_state_completed_error",
            "name": "ERROR",
            "error": {
                "type": "pipeline_error",
                "key": "plan-service.parse.parse-error",
                "message": run.config_error,
            },
        })),
        "STOPPED" => ended(json!({ "type": "pipeline_state_completed_stopped", "name": "STOPPED" })),
        _ => ended(json!({ "type": "pipeline_state_completed_failed", "name": "FAILED" })),
    }
}

fn target(world: &World, run: &Run) -> Value {
    let commit = json!({ "type": "commit", "hash": run.sha });
    match run.pull.and_then(|(number, repo_id)| world.pull(repo_id, number)) {
        Some(pull) => json!({
            "type": "pipeline_pullrequest_target",
            "source": run.branch,
            "destination": pull.target_branch,
            "destination_commit": { "hash": "1f0c0ffee0c0" },
            "commit": commit,
            "selector": { "type": "pull-requests", "pattern": "**" },
            "pullrequest": { "type": "pullrequest", "id": pull.number, "title": pull.title, "draft": false },
        }),
        None => json!({
            "type": "pipeline_ref_target",
            "ref_type": if run.is_tag { "tag" } else { "branch" },
            "ref_name": run.branch,
            "selector": { "type": if run.is_tag { "tags" } else { "default" } },
            "commit": commit,
        }),
    }
}

pub(super) fn pipeline(world: &World, run: &Run) -> Value {
    let repo = world.repo(run.repo_id);
    let mut value = json!({
        "type": "pipeline",
        "uuid": uuid(PIPELINE, run.id),
        "build_number": run.number,
        "run_number": run.attempt,
        "creator": user(world, world.users.first().map_or(1, |user| user.id)),
        "repository": {
            "type": "repository",
            "uuid": uuid(REPO, run.repo_id),
            "full_name": repo.map(|repo| repo.full_name.clone()),
            "name": repo.map(Repo::name),
        },
        "target": target(world, run),
        "trigger": { "type": "pipeline_trigger_push", "name": run.trigger },
        "state": pipeline_state(run),
        "created_on": time(run.created_at),
        "build_seconds_used": 41,
    });
    if let (Some(object), Some(at)) = (value.as_object_mut(), run.finished_at) {
        object.insert("completed_on".to_owned(), json!(time(at)));
    }
    value
}

fn step_state(job: &Job) -> Value {
    let ended = |result: Value| json!({ "type": "pipeline_step_state_completed", "name": "COMPLETED", "result": result });
    match job.state {
        State::Queued => json!({ "type": "pipeline_step_state_pending", "name": "PENDING" }),
        State::Running => json!({ "type": "pipeline_step_state_in_progress", "name": "IN_PROGRESS" }),
        State::Success => ended(json!({ "name": "SUCCESSFUL" })),
        State::Failed => ended(json!({ "name": "FAILED" })),
        State::Cancelled => ended(json!({ "name": "STOPPED" })),
        State::TimedOut => ended(json!({
            "name": "ERROR",
            "error": { "key": "agent.step.time-limit-exceeded", "message": "The step exceeded its time limit." },
        })),
        State::Skipped => ended(json!({ "name": "NOT_RUN" })),
    }
}

pub(super) fn step(world: &World, job: &Job) -> Value {
    let mut value = json!({
        "type": "pipeline_step",
        "uuid": step_uuid(world, job),
        "pipeline": { "type": "pipeline", "uuid": uuid(PIPELINE, job.run_id) },
        "name": job.name,
        "run_number": job.attempt,
        "state": step_state(job),
        "image": { "name": "atlassian/default-image:4" },
        "setup_commands": [],
        "script_commands": [{ "name": "make test", "command": "make test" }],
        "max_time": 120,
    });
    if let Some(object) = value.as_object_mut() {
        if let Some(at) = job.started_at() {
            object.insert("started_on".to_owned(), json!(time(at)));
        }
        if let Some(at) = job.finished_at {
            object.insert("completed_on".to_owned(), json!(time(at)));
            object.insert("duration_in_seconds".to_owned(), json!(56));
        }
    }
    value
}

fn side(world: &World, repo_id: u64, branch: &str, sha: &str) -> Value {
    json!({
        "branch": { "name": branch },
        // Twelve characters only.
        "commit": { "type": "commit", "hash": sha.get(..12) },
        "repository": {
            "type": "repository", "uuid": uuid(REPO, repo_id), "full_name": world.repo_name(repo_id),
        },
    })
}

pub(super) fn pull(world: &World, pull: &Pull) -> Value {
    let name = world.repo_name(pull.repo_id);
    json!({
        "type": "pullrequest",
        "id": pull.number,
        "title": pull.title,
        "state": if pull.is_open { "OPEN" } else { "DECLINED" },
        "source": side(world, pull.source_repo_id, &pull.source_branch, &pull.sha),
        "destination": side(world, pull.repo_id, &pull.target_branch, "1f0c0ffee0c0ffee"),
        "created_on": time(pull.created_at),
        "links": { "html": { "href": format!("{}/{name}/pull-requests/{}", world.base_url, pull.number) } },
    })
}

pub(super) fn comment(world: &World, comment: &FakeComment) -> Value {
    let raw = if comment.is_deleted { "" } else { comment.body.as_str() };
    let place = match &comment.target {
        Target::Pull(number) => format!("pull-requests/{number}"),
        Target::Commit(sha) => format!("commits/{sha}"),
        _ => String::new(),
    };
    let name = world.repo_name(comment.repo_id);
    let href = format!("{}/{name}/{place}#comment-{}", world.base_url, comment.id);
    json!({
        "type": "pullrequest_comment",
        "id": comment.id,
        "content": { "type": "rendered", "raw": raw, "markup": "markdown", "html": "" },
        "user": user(world, comment.author_id),
        "deleted": comment.is_deleted,
        "created_on": time(comment.created_at),
        "updated_on": time(comment.updated_at),
        "links": { "html": { "href": href } },
    })
}

pub(super) fn build_status(status: &FakeStatus) -> Value {
    json!({
        "type": "build",
        "key": status.context,
        "state": status.state,
        "name": status.context,
        "url": status.target_url,
        "description": status.description,
        "refname": null,
    })
}
