//! What Bitbucket Data Center sends: pushes and pull requests; build statuses only where an app adds the event.

use serde_json::{Value, json};

use super::{builds, json as shape};
use crate::{
    deliver::Message,
    world::{Run, World},
};

const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// The push that the run came from; with the app, each of its build statuses.
pub(super) fn messages(world: &World, run: &Run) -> Vec<Message> {
    let actor = shape::user(world, 101);
    let repository = world.repo(run.repo_id).map(|repo| shape::repository(world, repo));
    if let Some(event) = &world.bitbucket_dc.build_event {
        return builds::of_commit(world, &run.sha)
            .iter()
            .map(|build| {
                let body = json!({
                    "eventKey": event,
                    "date": shape::hook_time(world.now()),
                    "actor": actor,
                    "repository": repository,
                    "commit": { "id": run.sha },
                    "buildStatus": {
                        "key": build.key, "name": build.name, "state": build.state, "url": build.url,
                        "ref": format!("refs/heads/{}", run.branch),
                    },
                });
                Message::new(event, event, body.to_string())
            })
            .collect();
    }
    let kind = if run.is_tag { ("tags", "TAG") } else { ("heads", "BRANCH") };
    let id = format!("refs/{}/{}", kind.0, run.branch);
    let push = json!({
        "eventKey": "repo:refs_changed",
        "date": shape::hook_time(world.now()),
        "actor": actor,
        "repository": repository,
        "changes": [{
            "ref": { "id": id, "displayId": run.branch, "type": kind.1 },
            "refId": id,
            "fromHash": NO_COMMIT,
            "toHash": run.sha,
            "type": "ADD",
        }],
    });
    let mut messages = vec![Message::new("repo:refs_changed", "repo:refs_changed", push.to_string())];
    let pull = run.pull.and_then(|(number, repo_id)| world.pull(repo_id, number));
    if let Some(pull) = pull {
        let body: Value = json!({
            "eventKey": "pr:from_ref_updated",
            "date": shape::hook_time(world.now()),
            "actor": actor,
            "pullRequest": shape::pull(world, pull),
            "previousFromHash": NO_COMMIT,
        });
        messages.push(Message::new("pr:from_ref_updated", "pr:from_ref_updated", body.to_string()));
    }
    messages
}
