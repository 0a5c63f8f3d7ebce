use forge_core::{
    Result,
    model::{Event, EventKind, RefType, Status},
};

use super::{PING, Payload, event, refused};
use crate::{hooks::is_build_event, wire};

/// The facts of the payload of event `name`.
pub(super) fn read(name: &str, payload: Payload<'_>) -> Result<Event> {
    let mut event = match name {
        "repo:refs_changed" => push(payload)?,
        PING => ping(),
        _ if is_build_event(name) => build(payload),
        _ if name.starts_with("pr:") => pull_request(name, payload)?,
        _ => other(name),
    };
    let repository = repository(name, payload);
    event.repo = full_name(repository);
    event.repo_id = repository.id("id");
    Ok(event)
}

/// Of a pull request it is the one that it goes to: that is where the hook is.
fn repository<'a>(name: &str, payload: Payload<'a>) -> Payload<'a> {
    if name.starts_with("pr:") {
        return payload.at("pullRequest").at("toRef").at("repository");
    }
    // A repository that changed is told as it was and as it is.
    if name == "repo:modified" && payload.has("new") { payload.at("new") } else { payload.at("repository") }
}

fn full_name(repository: Payload<'_>) -> Option<String> {
    let key = repository.at("project").text("key")?;
    Some(format!("{key}/{}", repository.text("slug")?))
}

/// A push tells of no build, but which commit to look at. Several changes make one event: the first branch stands for
/// them, and the others are found by polling.
fn push(payload: Payload<'_>) -> Result<Event> {
    let changes = payload.items("changes").ok_or_else(|| refused("the payload has no list 'changes'"))?;
    let mut event = event(EventKind::Push);
    let alive: Vec<(Payload<'_>, String)> = changes
        .iter()
        .filter(|change| change.text("type").as_deref() != Some("DELETE"))
        .filter_map(|change| Some((*change, change.hash("toHash")?)))
        .collect();
    let is_branch = |change: Payload<'_>| git_ref(change).1 == Some(RefType::Branch);
    let chosen = alive.iter().find(|(change, _)| is_branch(*change)).or_else(|| alive.first());
    let Some((change, sha)) = chosen else {
        if let Some(change) = changes.first() {
            event.action = change.text("type");
            (event.git_ref, event.ref_type) = git_ref(*change);
        }
        let reason =
            if changes.is_empty() { "the push changed nothing" } else { "a branch or tag was deleted" };
        event.reason = Some(reason.to_owned());
        return Ok(event);
    };
    event.action = change.text("type");
    (event.git_ref, event.ref_type) = git_ref(*change);
    look_at(&mut event, sha.clone());
    if alive.len() > 1 {
        event.reason = Some(format!(
            "poll build statuses; the push has {} more such changes, which polling finds",
            alive.len() - 1
        ));
    }
    Ok(event)
}

fn git_ref(change: Payload<'_>) -> (Option<String>, Option<RefType>) {
    let inner = change.at("ref");
    let Some(id) = inner.text("id").or_else(|| change.text("refId")) else {
        return (inner.text("displayId"), None);
    };
    let (name, by_name) = wire::stripped_ref(&id);
    let kind = match inner.text("type").as_deref() {
        Some("BRANCH") => RefType::Branch,
        Some("TAG") => RefType::Tag,
        _ => by_name,
    };
    (Some(name), Some(kind))
}

fn pull_request(name: &str, payload: Payload<'_>) -> Result<Event> {
    let pull_request = payload.at("pullRequest");
    if !pull_request.is_object() {
        return Err(refused("the payload has no object 'pullRequest'"));
    }
    let mut event = event(EventKind::PullRequest);
    event.action = name.strip_prefix("pr:").map(str::to_owned);
    event.pr = pull_request.id("id");
    let from = pull_request.at("fromRef");
    if let Some(id) = from.text("id") {
        let (name, kind) = wire::stripped_ref(&id);
        (event.git_ref, event.ref_type) = (Some(name), Some(kind));
    }
    match (name, from.hash("latestCommit")) {
        ("pr:opened" | "pr:from_ref_updated", Some(sha)) => look_at(&mut event, sha),
        (_, sha) => {
            event.sha = sha;
            event.reason = Some("a change of a pull request that brings no commit".to_owned());
        }
    }
    Ok(event)
}

/// The server does not say what became of the commit: its build statuses have to be read, now and later.
fn look_at(event: &mut Event, sha: String) {
    event.run_id = Some(sha.clone());
    event.sha = Some(sha);
    event.triggers_rca = true;
    event.reason = Some("poll build statuses".to_owned());
}

/// A build status, from an app that adds such an event. No document describes it, so everything is looked for where it
/// may stand.
fn build(payload: Payload<'_>) -> Event {
    let mut event = event(EventKind::Status);
    let places = ["buildStatus", "build_status", "build", "commit_status", "status"];
    let build =
        places.into_iter().map(|place| payload.at(place)).find(|place| place.is_object()).unwrap_or(payload);
    let state = ["state", "status", "result"].into_iter().find_map(|name| build.text(name));
    let state = state.unwrap_or_default().to_ascii_uppercase();
    let state = match state.as_str() {
        "IN_PROGRESS" => "INPROGRESS",
        "FAILURE" => "FAILED",
        "SUCCESS" => "SUCCESSFUL",
        other => other,
    };
    let key = build.text("key").unwrap_or_default();
    event.action = (!state.is_empty()).then(|| state.to_owned());
    event.sha = commit(build).or_else(|| commit(payload));
    event.run_id.clone_from(&event.sha);
    event.job_name = build.text("name").or_else(|| build.text("key"));
    if let (Some(sha), Some(url)) = (&event.sha, build.text("url")) {
        event.job_id = (!key.is_empty()).then(|| wire::job_id(sha, &url, &key));
    }
    let name = build.text("ref").or_else(|| build.text("refName")).or_else(|| payload.at("ref").text("id"));
    if let Some(name) = name {
        let (name, kind) = wire::stripped_ref(&name);
        (event.git_ref, event.ref_type) = (Some(name), Some(kind));
    }
    if !state.is_empty() {
        event.status = Some(wire::status(state));
    }
    event.conclusion = wire::conclusion(state);
    event.terminal = event.status == Some(Status::Completed);
    event.failed = state == "FAILED";
    let is_ours = wire::is_our_key(&key);
    event.triggers_rca = event.failed && !is_ours && event.sha.is_some();
    event.reason = Some(
        match state {
            _ if is_ours => "the status is our own",
            "FAILED" if event.sha.is_none() => "the build failed, but the payload does not name its commit",
            "FAILED" => "the build failed",
            "INPROGRESS" => "the build has not ended",
            "" => "the payload does not say how the build stands",
            _ => "the build did not fail",
        }
        .to_owned(),
    );
    event
}

fn commit(payload: Payload<'_>) -> Option<String> {
    let inner = payload.at("commit");
    payload.hash("commit").or_else(|| inner.hash("id")).or_else(|| inner.hash("hash")).or_else(|| {
        ["commitId", "commitHash", "commit_id", "sha"].into_iter().find_map(|name| payload.hash(name))
    })
}

fn ping() -> Event {
    let mut event = event(EventKind::Ping);
    event.reason = Some("Bitbucket tests the hook".to_owned());
    event
}

fn other(name: &str) -> Event {
    let mut event = event(EventKind::Other);
    event.action = name.split_once(':').map(|(_, action)| action.to_owned());
    event.reason = Some(
        match name {
            "repo:modified" => "the repository itself changed",
            "project:modified" => "the project itself changed",
            _ => "events of this kind are not acted on",
        }
        .to_owned(),
    );
    event
}
