//! Bitbucket Data Center's shapes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::version;
use crate::world::{FakeComment, Hook, Pull, Repo, World};

/// Times are milliseconds.
pub(super) fn time(at: Timestamp) -> Value {
    json!(at.as_millisecond())
}

/// Deliveries print an offset without a colon, which is not RFC 3339.
pub(super) fn hook_time(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(10))).strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}

pub(super) fn user(world: &World, user_id: u64) -> Value {
    let login = world.login(user_id);
    json!({
        "name": login,
        "emailAddress": format!("{login}@example.com"),
        "id": user_id,
        "displayName": login,
        "active": true,
        "slug": login.to_lowercase(),
        "type": "NORMAL",
        "links": { "self": [{ "href": format!("{}/users/{login}", world.base_url) }] },
    })
}

pub(super) fn project(world: &World, key: &str) -> Value {
    let id: u64 = key.bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_003);
    json!({
        "key": key,
        "id": id,
        "name": key,
        "public": false,
        "type": if key.starts_with('~') { "PERSONAL" } else { "NORMAL" },
        "links": { "self": [{ "href": format!("{}/projects/{key}", world.base_url) }] },
    })
}

pub(super) fn web(world: &World, repo: &Repo) -> String {
    format!("{}/projects/{}/repos/{}", world.base_url, repo.owner(), repo.name())
}

pub(super) fn repository(world: &World, repo: &Repo) -> Value {
    let mut value = json!({
        "slug": repo.name(),
        "id": repo.id,
        "name": repo.name(),
        "hierarchyId": "0123456789abcdef0123",
        "scmId": "git",
        "state": "AVAILABLE",
        "statusMessage": "Available",
        "forkable": true,
        "project": project(world, repo.owner()),
        "public": !repo.is_private,
        "links": {
            "clone": [{ "href": format!("{}/scm/{}.git", world.base_url, repo.full_name), "name": "http" }],
            "self": [{ "href": format!("{}/browse", web(world, repo)) }],
        },
    });
    let Some(object) = value.as_object_mut() else { return value };
    if version(world) >= (8, 0) {
        object.insert("archived".to_owned(), json!(repo.is_archived));
        if !repo.is_empty {
            object.insert("defaultBranch".to_owned(), json!("main"));
        }
    }
    if let Some(origin) = repo.forked_from.and_then(|id| world.repo(id)) {
        let origin = json!({ "id": origin.id, "slug": origin.name(), "project": { "key": origin.owner() } });
        object.insert("origin".to_owned(), origin);
    }
    value
}

pub(super) fn side(world: &World, branch: &str, sha: &str, repo_id: u64) -> Value {
    json!({
        "id": format!("refs/heads/{branch}"),
        "displayId": branch,
        "latestCommit": sha,
        "type": "BRANCH",
        "repository": world.repo(repo_id).map(|repo| repository(world, repo)),
    })
}

pub(super) fn pull(world: &World, pull: &Pull) -> Value {
    let href = format!(
        "{}/pull-requests/{}",
        world.repo(pull.repo_id).map(|repo| web(world, repo)).unwrap_or_default(),
        pull.number
    );
    json!({
        "id": pull.number,
        "version": 1,
        "title": pull.title,
        "description": null,
        "state": if pull.is_open { "OPEN" } else { "DECLINED" },
        "open": pull.is_open,
        "closed": !pull.is_open,
        "createdDate": time(pull.created_at),
        "updatedDate": time(pull.created_at),
        "fromRef": side(world, &pull.source_branch, &pull.sha, pull.source_repo_id),
        "toRef": side(world, &pull.target_branch, "77aa6b5c4d3e2f1001928374655647382910aabb", pull.repo_id),
        "locked": false,
        "author": { "user": user(world, 101), "role": "AUTHOR", "approved": false, "status": "UNAPPROVED" },
        "reviewers": [],
        "participants": [],
        "links": { "self": [{ "href": href }] },
    })
}

pub(super) fn comment(world: &World, comment: &FakeComment) -> Value {
    json!({
        "properties": { "repositoryId": comment.repo_id },
        "id": comment.id,
        "version": comment.history.len(),
        "text": comment.body,
        "author": user(world, comment.author_id),
        "createdDate": time(comment.created_at),
        "updatedDate": time(comment.updated_at),
        "comments": [],
        "tasks": [],
        "severity": "NORMAL",
        "state": "OPEN",
        "permittedOperations": { "editable": true, "deletable": true },
    })
}

/// The secret comes back to whoever may administer the repository.
pub(super) fn hook(world: &World, hook: &Hook, with_statistics: bool) -> Value {
    let mut value = json!({
        "id": hook.id,
        "name": "hook",
        "createdDate": time(hook.created_at),
        "updatedDate": time(hook.created_at),
        "events": hook.events,
        "configuration": {},
        "url": hook.url,
        "active": hook.is_active,
        "scopeType": if world.repo(hook.repo_id).is_some() { "repository" } else { "project" },
        "sslVerificationRequired": hook.verifies_tls,
    });
    if let (Some(secret), Some(configuration)) = (&hook.secret, value.get_mut("configuration")) {
        *configuration = json!({ "secret": secret, "createdBy": "bitbucket" });
    }
    if let (true, Some(object)) = (with_statistics, value.as_object_mut()) {
        object.insert("statistics".to_owned(), statistics(world, hook));
    }
    value
}

pub(super) fn statistics(world: &World, hook: &Hook) -> Value {
    let of_hook = || world.sent.iter().rev().filter(|sent| sent.request.hook_id == hook.id);
    let show = |sent: &crate::world::Sent| {
        let outcome = match sent.outcome.status {
            Some(200..=299) => "SUCCESS",
            Some(_) => "FAILURE",
            None => "ERROR",
        };
        let description = match sent.outcome.status {
            Some(status) => status.to_string(),
            None => sent.outcome.error.clone().unwrap_or_default(),
        };
        json!({
            "id": sent.id,
            "event": sent.request.message.event,
            "duration": 12,
            "start": time(sent.at),
            "finish": time(sent.at),
            "request": { "url": sent.request.url, "method": "POST" },
            "result": { "outcome": outcome, "description": description },
        })
    };
    json!({
        "lastSuccess": of_hook().find(|sent| sent.outcome.is_success()).map(show),
        "lastFailure": of_hook().find(|sent| !sent.outcome.is_success() && sent.outcome.status.is_some()).map(show),
        "lastError": of_hook().find(|sent| sent.outcome.status.is_none()).map(show),
        "counts": {
            "successes": of_hook().filter(|sent| sent.outcome.is_success()).count(),
            "failures": of_hook().filter(|sent| !sent.outcome.is_success()).count(),
            "errors": 0,
        },
    })
}

/// The application is still called by its first name.
pub(super) fn capabilities(world: &World) -> Value {
    let base = world.foreign_next_link.as_deref().unwrap_or(&world.base_url);
    json!({
        "application": "stash",
        "buildDate": "1730000000000",
        "capabilities": {
            "webhooks": format!("{base}/rest/webhooks/latest/capabilities"),
            "build": format!("{base}/rest/build/capabilities"),
            "code-insights": format!("{base}/rest/insights/latest/capabilities"),
            "deployment": format!("{base}/rest/deployment/capabilities"),
        },
    })
}

pub(super) fn events(world: &World) -> Vec<String> {
    let mut events = vec![
        "repo:refs_changed",
        "repo:modified",
        "repo:forked",
        "repo:comment:added",
        "repo:comment:edited",
        "repo:comment:deleted",
        "pr:opened",
        "pr:modified",
        "pr:merged",
        "pr:declined",
        "pr:deleted",
        "pr:comment:added",
        "pr:comment:edited",
        "pr:comment:deleted",
        "pr:reviewer:updated",
        "pr:reviewer:approved",
        "pr:reviewer:unapproved",
    ];
    if version(world) >= (7, 0) {
        events.extend(["pr:from_ref_updated", "pr:to_ref_updated", "mirror:repo_synchronized"]);
    }
    events.push(if version(world) >= (8, 0) {
        "pr:reviewer:changes_requested"
    } else {
        "pr:reviewer:needs_work"
    });
    let mut events: Vec<String> = events.into_iter().map(str::to_owned).collect();
    events.extend(world.bitbucket_dc.build_event.clone());
    events
}

pub(super) fn webhook_capabilities(world: &World) -> Value {
    json!({ "application-webhooks": events(world) })
}
