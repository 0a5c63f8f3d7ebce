//! What GitFlic sends: snake case, unlike its API.

use serde_json::{Value, json};

use super::json as shape;
use crate::{
    deliver::Message,
    spec::State,
    world::{Repo, Run, World},
};

/// One message for each pipeline, none for jobs. One that was stopped by a person is told as a failure.
pub(super) fn messages(world: &World, run: &Run) -> Vec<Message> {
    let action = match shape::run_status(world, run) {
        "WARNING" => "PIPELINE_WARNING",
        _ => match run.state {
            State::Queued | State::Running => "PIPELINE_NEW",
            State::Success | State::Skipped => "PIPELINE_SUCCESS",
            State::Failed | State::TimedOut | State::Cancelled => "PIPELINE_FAIL",
        },
    };
    let Some(repo) = world.repo(run.repo_id) else { return Vec::new() };
    let kind = if run.is_tag { "tags" } else { "heads" };
    let body = json!({
        "action": action,
        "project_id": shape::project_id(repo.id),
        "project": project(world, repo),
        "pipeline": {
            "id": shape::run_uuid(run.id),
            "local_id": run.number,
            "status": shape::run_status(world, run),
            "ref": format!("refs/{kind}/{}", run.branch),
            "commit_id": run.sha,
            "source": run.trigger.to_uppercase(),
            "created_at": shape::naive(run.created_at),
            "finished_at": run.finished_at.map(shape::naive),
            "url": format!("{}/ci-cd/pipeline/{}", shape::web_url(world, repo), run.number),
        },
    });
    vec![Message::new(action, action, body.to_string())]
}

fn project(world: &World, repo: &Repo) -> Value {
    json!({
        "project_id": shape::project_id(repo.id),
        "title": repo.name(),
        "alias": repo.name(),
        "owner_alias": repo.owner(),
        "owner_type": "TEAM",
        "http_transport_url": format!("{}.git", shape::web_url(world, repo)),
        "ssh_transport_url": format!("git@127.0.0.1:{}.git", repo.full_name),
        "language": "Rust",
        "private": repo.is_private,
    })
}
