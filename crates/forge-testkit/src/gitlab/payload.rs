//! What GitLab sends (GitLab docs, user/project/integrations/webhook_events.md).

use serde_json::{Value, json};

use super::json as shape;
use crate::{
    deliver::Message,
    world::{Job, Repo, Run, World},
};

const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// The pipeline event first, then one job event for each job that is not a bridge.
pub(super) fn messages(world: &World, run: &Run) -> Vec<Message> {
    let mut messages =
        vec![Message::new("Pipeline Hook", "pipeline_events", pipeline(world, run).to_string())];
    for job in world.jobs_of(run.id).filter(|job| job.bridge_to.is_none() && !job.is_retried) {
        messages.push(Message::new("Job Hook", "job_events", build(world, run, job).to_string()));
    }
    messages
}

fn pipeline(world: &World, run: &Run) -> Value {
    let jobs: Vec<&Job> =
        world.jobs_of(run.id).filter(|job| !job.is_retried && job.bridge_to.is_none()).collect();
    let mut stages: Vec<&str> = Vec::new();
    for job in &jobs {
        if !stages.contains(&job.stage.as_str()) {
            stages.push(&job.stage);
        }
    }
    let builds: Vec<Value> = jobs
        .iter()
        .rev()
        .map(|job| {
            json!({
                "id": job.id,
                "stage": job.stage,
                "name": job.name,
                "status": shape::status(job.state),
                "created_at": shape::hook_time(job.created_at),
                "started_at": job.started_at().map(shape::hook_time),
                "finished_at": job.finished_at.map(shape::hook_time),
                "duration": job.finished_at.map(|_| 56.2),
                "queued_duration": 0.9,
                "failure_reason": if job.state.is_failure() { json!(job.failure_reason) } else { Value::Null },
                "when": "on_success",
                "manual": false,
                "allow_failure": job.allow_failure,
                "user": person(world),
                "runner": runner(job),
                "artifacts_file": { "filename": null, "size": null },
                "environment": null,
            })
        })
        .collect();
    let detailed = match shape::status(run.state) {
        "success" => "passed",
        other => other,
    };
    let mut value = json!({
        "object_kind": "pipeline",
        "object_attributes": {
            "id": run.id,
            "iid": run.number,
            "name": run.name,
            "ref": run.branch,
            "tag": run.is_tag,
            "sha": run.sha,
            "before_sha": NO_COMMIT,
            "source": run.trigger,
            "status": shape::status(run.state),
            "detailed_status": detailed,
            "stages": stages,
            "created_at": shape::hook_time(run.created_at),
            "finished_at": run.finished_at.map(shape::hook_time),
            "duration": run.finished_at.map(|_| 60),
            "queued_duration": 1,
            "protected_ref": run.branch == "main",
            "variables": [],
            "url": shape::pipeline_url(world, run),
        },
        "merge_request": merge_request(world, run),
        "user": person(world),
        "project": project(world, run.repo_id),
        "commit": commit(world, run),
        "builds": builds,
    });
    if let (Some(object), Some(source)) = (value.as_object_mut(), source_pipeline(world, run)) {
        object.insert("source_pipeline".to_owned(), source);
    }
    value
}

/// The job event. Its `commit.id` is the pipeline's id, and it names a failure reason even where nothing failed.
fn build(world: &World, run: &Run, job: &Job) -> Value {
    let retries = world.jobs_of(run.id).filter(|other| other.name == job.name && other.id < job.id).count();
    let mut value = json!({
        "object_kind": "build",
        "ref": run.branch,
        "tag": run.is_tag,
        "before_sha": NO_COMMIT,
        "sha": run.sha,
        "retries_count": retries,
        "build_id": job.id,
        "build_name": job.name,
        "build_stage": job.stage,
        "build_status": shape::status(job.state),
        "build_created_at": shape::hook_time(job.created_at),
        "build_started_at": job.started_at().map(shape::hook_time),
        "build_finished_at": job.finished_at.map(shape::hook_time),
        "build_duration": job.finished_at.map(|_| 56.2),
        "build_queued_duration": 0.9,
        "build_allow_failure": job.allow_failure,
        "build_failure_reason": job.failure_reason.as_deref().unwrap_or("unknown_failure"),
        "pipeline_id": run.id,
        "runner": runner(job),
        "project_id": run.repo_id,
        "project_name": world.repo_name(run.repo_id).replace('/', " / "),
        "user": person(world),
        "commit": {
            "id": run.id,
            "name": run.name,
            "sha": run.sha,
            "message": "Change something\n",
            "author_name": "Robin Example",
            "author_email": "robin@example.com",
            "status": shape::status(run.state),
            "duration": run.finished_at.map(|_| 60),
            "started_at": shape::hook_time(run.created_at),
            "finished_at": run.finished_at.map(shape::hook_time),
        },
        "repository": { "name": "project", "url": "git@example.com:group/project.git", "visibility_level": 0 },
        "project": project(world, run.repo_id),
        "environment": null,
    });
    if let (Some(object), Some(source)) = (value.as_object_mut(), source_pipeline(world, run)) {
        object.insert("source_pipeline".to_owned(), source);
    }
    value
}

pub(super) fn push(world: &World, repo: &Repo) -> Message {
    let body = json!({
        "object_kind": "push",
        "event_name": "push",
        "before": NO_COMMIT,
        "after": "1f0c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0",
        "ref": "refs/heads/main",
        "checkout_sha": "1f0c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0",
        "project_id": repo.id,
        "project": project(world, repo.id),
        "commits": [],
        "total_commits_count": 1,
    });
    Message::new("Push Hook", "push_events", body.to_string())
}

fn person(world: &World) -> Value {
    let user = world.users.first();
    json!({
        "id": user.map_or(1, |user| user.id),
        "name": "Robin Example",
        "username": user.map_or("robin", |user| user.login.as_str()),
        "avatar_url": null,
        "email": "[REDACTED]",
    })
}

fn runner(job: &Job) -> Value {
    match job.started_at() {
        Some(_) => json!({
            "id": 7, "description": "shared-runner-7", "runner_type": "instance_type",
            "active": true, "is_shared": true, "tags": [],
        }),
        None => Value::Null,
    }
}

fn project(world: &World, repo_id: u64) -> Value {
    let Some(repo) = world.repo(repo_id) else { return Value::Null };
    json!({
        "id": repo.id,
        "name": repo.name(),
        "description": "",
        "web_url": shape::web(world, repo),
        "avatar_url": null,
        "git_ssh_url": format!("git@example.com:{}.git", repo.full_name),
        "git_http_url": format!("{}.git", shape::web(world, repo)),
        "namespace": repo.owner(),
        "visibility_level": 0,
        "path_with_namespace": repo.full_name,
        "default_branch": "main",
        "ci_config_path": "",
    })
}

fn commit(world: &World, run: &Run) -> Value {
    json!({
        "id": run.sha,
        "message": "Change something\n",
        "title": "Change something",
        "timestamp": run.created_at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
        "url": format!("{}/{}/-/commit/{}", world.base_url, world.repo_name(run.repo_id), run.sha),
        "author": { "name": "Robin Example", "email": "robin@example.com" },
    })
}

fn merge_request(world: &World, run: &Run) -> Value {
    let Some(pull) = run.pull.and_then(|(number, repo_id)| world.pull(repo_id, number)) else {
        return Value::Null;
    };
    json!({
        "id": pull.id,
        "iid": pull.number,
        "title": pull.title,
        "source_branch": pull.source_branch,
        "source_project_id": pull.source_repo_id,
        "target_branch": pull.target_branch,
        "target_project_id": pull.repo_id,
        "state": if pull.is_open { "opened" } else { "closed" },
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "url": format!("{}/{}/-/merge_requests/{}", world.base_url, world.repo_name(pull.repo_id), pull.number),
    })
}

fn source_pipeline(world: &World, run: &Run) -> Option<Value> {
    let (parent_id, repo_id, job_id) = run.parent?;
    let repo = world.repo(repo_id)?;
    Some(json!({
        "project": { "id": repo.id, "web_url": shape::web(world, repo), "path_with_namespace": repo.full_name },
        "pipeline_id": parent_id,
        "job_id": job_id,
    }))
}
