//! What GitHub sends (GitHub docs, "Webhook events and payloads").

use serde_json::{Value, json};

use super::json as shape;
use crate::{
    deliver::Message,
    world::{Hook, Job, Repo, Run, World},
};

/// The run's event first, then one for each job of its latest attempt.
pub(super) fn messages(world: &World, run: &Run) -> Vec<Message> {
    let mut messages =
        vec![Message::new("workflow_run", "workflow_run", workflow_run(world, run).to_string())];
    for job in world.jobs_of(run.id).filter(|job| job.attempt == run.attempt && job.bridge_to.is_none()) {
        let body = workflow_job(world, run, job).to_string();
        messages.push(Message::new("workflow_job", "workflow_job", body));
    }
    messages
}

fn action(status: &str) -> &str {
    match status {
        "queued" => "requested",
        other => other,
    }
}

fn common(world: &World, repo_id: u64, value: Value) -> Value {
    let mut value = value;
    let sender = world.users.first().map_or(1, |user| user.id);
    let repository = world.repo(repo_id).map(|repo| shape::repo(world, repo, sender));
    if let Some(object) = value.as_object_mut() {
        object.insert("repository".to_owned(), repository.unwrap_or(Value::Null));
        object.insert("sender".to_owned(), shape::user(world, sender));
    }
    value
}

fn workflow_run(world: &World, run: &Run) -> Value {
    let body = json!({
        "action": action(shape::status(run.state)),
        "workflow": {
            "id": shape::workflow_id(run),
            "name": run.name,
            "path": format!(".github/workflows/{}.yml", run.name),
            "state": "active",
        },
        "workflow_run": shape::run(world, run, run.attempt),
    });
    common(world, run.repo_id, body)
}

fn workflow_job(world: &World, run: &Run, job: &Job) -> Value {
    let body = json!({ "action": shape::status(job.state), "workflow_job": shape::job(world, job) });
    common(world, run.repo_id, body)
}

pub(super) fn ping(world: &World, hook: &Hook) -> Message {
    let body = json!({
        "zen": "Write it down before you forget it.",
        "hook_id": hook.id,
        "hook": shape::hook(world, hook),
    });
    Message::new("ping", "", common(world, hook.repo_id, body).to_string())
}

pub(super) fn push(world: &World, repo: &Repo) -> Message {
    let body = json!({
        "ref": "refs/heads/main",
        "before": "0000000000000000000000000000000000000000",
        "after": "1f0c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0",
        "created": false,
        "deleted": false,
        "forced": false,
        "commits": [],
        "head_commit": null,
        "pusher": { "name": "robin" },
    });
    Message::new("push", "push", common(world, repo.id, body).to_string())
}
