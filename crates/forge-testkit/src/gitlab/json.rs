//! GitLab's shapes.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    spec::{Log, State},
    world::{FakeComment, FakeIssue, FakeStatus, Hook, Job, Pull, Repo, Run, World},
};

/// As REST prints it, with milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// As hooks print it, which is not ISO 8601.
pub(super) fn hook_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn user(world: &World, user_id: u64) -> Value {
    let login = world.login(user_id);
    json!({
        "id": user_id,
        "username": login,
        "name": login,
        "state": "active",
        "avatar_url": null,
        "web_url": format!("{}/{login}", world.base_url),
    })
}

pub(super) fn project(world: &World, repo: &Repo, user_id: u64) -> Value {
    let level = repo.access_of(user_id);
    let forked_from = repo.forked_from.and_then(|id| world.repo(id)).map(|origin| {
        json!({ "id": origin.id, "path_with_namespace": origin.full_name, "web_url": web(world, origin) })
    });
    let switch = |is_on: bool| if is_on { "enabled" } else { "disabled" };
    let mut value = json!({
        "id": repo.id,
        "name": repo.name(),
        "path": repo.name(),
        "path_with_namespace": repo.full_name,
        "name_with_namespace": repo.full_name.replace('/', " / "),
        "default_branch": if repo.is_empty { Value::Null } else { json!("main") },
        "web_url": web(world, repo),
        "http_url_to_repo": format!("{}.git", web(world, repo)),
        "visibility": if repo.is_private { "private" } else { "public" },
        "archived": repo.is_archived,
        "empty_repo": repo.is_empty,
        "created_at": time(repo.created_at),
        "last_activity_at": time(repo.created_at),
        "marked_for_deletion_on": null,
        "builds_access_level": switch(repo.has_ci),
        "jobs_enabled": repo.has_ci,
        "merge_requests_access_level": "enabled",
        "issues_access_level": switch(repo.has_issues),
        "issues_enabled": repo.has_issues,
        "repository_access_level": "enabled",
        "ci_config_path": "",
        "permissions": { "project_access": { "access_level": level, "notification_level": 3 }, "group_access": null },
    });
    if let (Some(object), Some(origin)) = (value.as_object_mut(), forked_from) {
        object.insert("forked_from_project".to_owned(), origin);
    }
    value
}

pub(super) fn web(world: &World, repo: &Repo) -> String {
    format!("{}/{}", world.base_url, repo.full_name)
}

fn web_of(world: &World, repo_id: u64) -> String {
    format!("{}/{}", world.base_url, world.repo_name(repo_id))
}

pub(super) fn status(state: State) -> &'static str {
    match state {
        State::Queued => "pending",
        State::Running => "running",
        State::Success => "success",
        State::Failed | State::TimedOut => "failed",
        State::Cancelled => "canceled",
        State::Skipped => "skipped",
    }
}

/// REST shows the merge request's own ref, where hooks show the source branch.
pub(super) fn rest_ref(run: &Run) -> String {
    match run.pull {
        Some((number, target)) if target == run.repo_id => format!("refs/merge-requests/{number}/head"),
        _ => run.branch.clone(),
    }
}

pub(super) fn pipeline_url(world: &World, run: &Run) -> String {
    format!("{}/-/pipelines/{}", web_of(world, run.repo_id), run.id)
}

pub(super) fn pipeline(world: &World, run: &Run) -> Value {
    json!({
        "id": run.id,
        "iid": run.number,
        "project_id": run.repo_id,
        "sha": run.sha,
        "ref": rest_ref(run),
        "status": status(run.state),
        "source": run.trigger,
        "created_at": time(run.created_at),
        "updated_at": time(run.updated_at),
        "web_url": pipeline_url(world, run),
        "name": run.name,
    })
}

pub(super) fn full_pipeline(world: &World, run: &Run) -> Value {
    let mut value = pipeline(world, run);
    let more = json!({
        "before_sha": "0000000000000000000000000000000000000000",
        "tag": run.is_tag,
        "yaml_errors": run.config_error,
        "user": user(world, world.users.first().map_or(1, |user| user.id)),
        "started_at": time(run.created_at),
        "finished_at": run.finished_at.map(time),
        "committed_at": null,
        "duration": run.finished_at.map(|_| 60),
        "queued_duration": 1.5,
        "coverage": null,
        "archived": false,
        "detailed_status": { "text": status(run.state), "label": status(run.state), "group": status(run.state) },
    });
    merge(&mut value, more);
    value
}

fn merge(value: &mut Value, more: Value) {
    if let (Some(object), Value::Object(more)) = (value.as_object_mut(), more) {
        object.extend(more);
    }
}

pub(super) fn job(world: &World, job: &Job) -> Value {
    let run = world.runs.get(&job.run_id);
    let has_trace = job.finished_at.is_some()
        && job.log != Log::None
        && job.log_delay == 0
        && !job.is_log_expired
        && job.erased_at.is_none();
    let artifacts = if has_trace {
        json!([{ "file_type": "trace", "size": job.log_length(), "filename": "job.log", "file_format": null }])
    } else {
        json!([])
    };
    let mut value = json!({
        "id": job.id,
        "name": job.name,
        "stage": job.stage,
        "status": status(job.state),
        "allow_failure": job.allow_failure,
        "created_at": time(job.created_at),
        "started_at": job.started_at().map(time),
        "finished_at": job.finished_at.map(time),
        "erased_at": job.erased_at.map(time),
        "duration": job.finished_at.map(|_| 56.2),
        "queued_duration": 0.9,
        "ref": run.map(rest_ref),
        "tag": run.is_some_and(|run| run.is_tag),
        "web_url": format!("{}/-/jobs/{}", web_of(world, job.repo_id), job.id),
        "commit": { "id": run.map(|run| run.sha.clone()), "title": "Change something" },
        "pipeline": {
            "id": job.run_id,
            "project_id": job.repo_id,
            "ref": run.map(rest_ref),
            "sha": run.map(|run| run.sha.clone()),
            "status": run.map(|run| status(run.state)),
        },
        "runner": job.started_at().map(|_| json!({ "id": 7, "description": "shared-runner-7" })),
        "artifacts": artifacts,
        "tag_list": [],
        "user": user(world, world.users.first().map_or(1, |user| user.id)),
        "source": run.map(|run| run.trigger.clone()),
        "archived": false,
    });
    if let (Some(object), true, Some(reason)) =
        (value.as_object_mut(), job.state.is_failure(), &job.failure_reason)
    {
        object.insert("failure_reason".to_owned(), json!(reason));
    }
    if let (Some(child), Some(object)) = (job.bridge_to, value.as_object_mut()) {
        object.remove("artifacts");
        object.remove("runner");
        let downstream = world.runs.get(&child).map(|run| pipeline(world, run));
        object.insert("downstream_pipeline".to_owned(), downstream.unwrap_or(Value::Null));
    }
    value
}

pub(super) fn merge_request(world: &World, pull: &Pull) -> Value {
    let state = if pull.is_open { "opened" } else { "closed" };
    json!({
        "id": pull.id,
        "iid": pull.number,
        "project_id": pull.repo_id,
        "title": pull.title,
        "state": state,
        "created_at": time(pull.created_at),
        "updated_at": time(pull.created_at),
        "source_branch": pull.source_branch,
        "target_branch": pull.target_branch,
        "source_project_id": pull.source_repo_id,
        "target_project_id": pull.repo_id,
        "sha": pull.sha,
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "discussion_locked": null,
        "changes_count": super::facts::changes_count(world.change(pull.repo_id, None, &pull.sha)),
        "web_url": format!("{}/-/merge_requests/{}", web_of(world, pull.repo_id), pull.number),
    })
}

pub(super) fn hook(world: &World, hook: &Hook) -> Value {
    let is_paused = hook.disabled_until.is_some_and(|until| until > world.now());
    let alert = match (hook.is_disabled, is_paused) {
        (true, _) => "disabled",
        (false, true) => "temporarily_disabled",
        (false, false) => "executable",
    };
    let mut value = json!({
        "id": hook.id,
        "url": hook.url,
        "name": null,
        "description": null,
        "created_at": time(hook.created_at),
        "enable_ssl_verification": hook.verifies_tls,
        "alert_status": alert,
        "disabled_until": if is_paused { hook.disabled_until.map(time) } else { None },
        "url_variables": [],
        "custom_headers": [],
        "custom_webhook_template": null,
        "push_events_branch_filter": "",
        "branch_filter_strategy": "wildcard",
        "repository_update_events": false,
    });
    if let Some(object) = value.as_object_mut() {
        let owner = if world.repo(hook.repo_id).is_some() { "project_id" } else { "group_id" };
        object.insert(owner.to_owned(), json!(hook.repo_id));
        for event in super::hooks::EVENTS {
            object.insert((*event).to_owned(), json!(hook.events.iter().any(|it| it == event)));
        }
        if super::hooks::has_signing_tokens(&world.version) {
            object.insert("token_present".to_owned(), json!(hook.secret.is_some()));
            object.insert("signing_token_present".to_owned(), json!(hook.signing_token.is_some()));
        }
    }
    value
}

pub(super) fn note(world: &World, comment: &FakeComment) -> Value {
    json!({
        "id": comment.id,
        "type": "DiscussionNote",
        "body": comment.body,
        "author": user(world, comment.author_id),
        "created_at": time(comment.created_at),
        "updated_at": time(comment.updated_at),
        "system": false,
        "internal": false,
        "resolvable": false,
        "project_id": comment.repo_id,
    })
}

pub(super) fn issue(world: &World, issue: &FakeIssue) -> Value {
    json!({
        "id": issue.id,
        "iid": issue.number,
        "project_id": issue.repo_id,
        "title": issue.title,
        "description": issue.body,
        "state": if issue.is_open { "opened" } else { "closed" },
        "labels": issue.labels,
        "author": user(world, issue.author_id),
        "created_at": time(issue.created_at),
        "updated_at": time(issue.updated_at),
        "web_url": format!("{}/-/issues/{}", web_of(world, issue.repo_id), issue.number),
    })
}

pub(super) fn commit_status(world: &World, status: &FakeStatus) -> Value {
    json!({
        "id": status.id,
        "sha": status.sha,
        "ref": "main",
        "status": status.state,
        "name": status.context,
        "target_url": status.target_url,
        "description": status.description,
        "allow_failure": false,
        "author": { "username": status.author },
        "created_at": time(world.now()),
    })
}
