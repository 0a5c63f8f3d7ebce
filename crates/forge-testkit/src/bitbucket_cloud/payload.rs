//! What Bitbucket Cloud sends: build statuses, those of its own Pipelines among them.

use serde_json::{Value, json};

use super::json as shape;
use crate::{
    deliver::Message,
    spec::State,
    world::{Run, World},
};

/// How the run stands, first; then what was sent before, as out of order as deliveries come.
pub(super) fn messages(world: &World, run: &Run) -> Vec<Message> {
    let now = match run.state {
        State::Queued | State::Running => "INPROGRESS",
        State::Success => "SUCCESSFUL",
        State::Failed | State::TimedOut => "FAILED",
        State::Cancelled | State::Skipped => "STOPPED",
    };
    let message =
        |event: &str, state: &str| Message::new(event, event, status(world, run, state).to_string());
    if run.config_error.is_some() {
        // Born failed: there never was a first status to update.
        return vec![message("repo:commit_status_created", now)];
    }
    let first = message("repo:commit_status_created", "INPROGRESS");
    if now == "INPROGRESS" { vec![first] } else { vec![message("repo:commit_status_updated", now), first] }
}

fn status(world: &World, run: &Run, state: &str) -> Value {
    let name = world.repo_name(run.repo_id);
    let repo = world.repo(run.repo_id);
    let owner = repo.map(|repo| repo.owner().to_owned()).unwrap_or_default();
    let repository = json!({
        "type": "repository",
        "uuid": shape::uuid(shape::REPO, run.repo_id),
        "full_name": name,
        "name": repo.map(|repo| repo.name().to_owned()),
        "is_private": repo.is_some_and(|repo| repo.is_private),
        "workspace": shape::workspace(&owner),
        "project": { "type": "project", "key": "PROJ", "uuid": shape::uuid(shape::WORKSPACE, 1) },
        "links": { "html": { "href": format!("https://bitbucket.org/{name}") } },
    });
    // The key has nothing to do with the number of the run, which stands behind the `#`.
    let key = (run.id % 10_000_000).to_string();
    let commit = format!("https://api.bitbucket.org/2.0/repositories/{name}/commit/{}", run.sha);
    json!({
        "repository": repository.clone(),
        "actor": { "type": "app_user", "uuid": shape::uuid(shape::USER, 9), "display_name": "Pipelines" },
        "commit_status": {
            "type": "build",
            "key": key,
            "state": state,
            "name": format!("Pipeline #{} for {}", run.number, run.branch),
            "refname": run.branch,
            "url": format!("https://bitbucket.org/{name}/addon/pipelines/home#!/results/{}", run.number),
            "description": "",
            "created_on": shape::time(run.created_at),
            "updated_on": shape::time(run.updated_at),
            "commit": {
                "type": "commit",
                "hash": run.sha,
                "date": shape::time(run.created_at),
                "author": { "type": "author", "raw": "Robin <robin@example.com>" },
                "message": "change\n",
            },
            "repository": repository,
            "links": {
                "self": { "href": format!("{commit}/statuses/build/{key}") },
                "commit": { "href": commit },
            },
        },
    })
}
