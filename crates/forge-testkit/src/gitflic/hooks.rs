//! Webhooks of a project, and how their deliveries are proved.

use http::HeaderMap;
use serde_json::Value;

use super::{Answer, json, major, page, refuse, unknown};
use crate::{
    deliver::{Message, SignedRequest, put},
    wire::{Incoming, Reply},
    world::{Hook, Repo, World},
};

pub(super) const EVENTS: [&str; 24] = [
    "COLLABORATOR_ADD",
    "COLLABORATOR_UPDATE",
    "COLLABORATOR_DELETE",
    "ISSUE_CREATE",
    "ISSUE_UPDATE",
    "NEW_ISSUE_NOTE",
    "TAG_CREATE",
    "TAG_DELETE",
    "BRANCH_CREATE",
    "BRANCH_UPDATE",
    "BRANCH_DELETE",
    "MERGE_REQUEST_CREATE",
    "MERGE_REQUEST_UPDATE",
    "MERGE_REQUEST_ACCEPT",
    "MERGE_REQUEST_CLOSE",
    "MERGE_REQUEST_CANCEL",
    "MERGE",
    "DISCUSSION_CREATE",
    "PIPELINE_NEW",
    "PIPELINE_SUCCESS",
    "PIPELINE_FAIL",
    "PIPELINE_WARNING",
    "DISCUSSION_COMMENT_CREATE",
    "PUSH",
];

/// What a hook of version 2 has to name.
const MUST_NAME: [&str; 3] = ["PIPELINE_NEW", "PIPELINE_SUCCESS", "PIPELINE_FAIL"];

pub(super) fn route(world: &mut World, request: &Incoming, repo: &Repo, segments: &[&str]) -> Answer {
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let hooks: Vec<&Hook> = world.hooks_of(repo.id).collect();
            Ok(page(world, request, "webhookList", &hooks, |hook| json::hook(hook)).into())
        }
        ("POST", []) => create(world, &request.json(), repo),
        ("GET", [id]) => Ok(Reply::json(200, &json::hook(find(world, repo, id)?)).into()),
        // A hook cannot be changed by API.
        (_, [_]) => Err(refuse(405, "error.method.not.allowed")),
        (method @ ("POST" | "DELETE"), [id, "delete"]) => {
            let wanted = if major(world) >= 4 { "POST" } else { "DELETE" };
            if method != wanted {
                return Err(refuse(405, "error.method.not.allowed"));
            }
            let id = find(world, repo, id)?.id;
            world.hooks.remove(&id);
            Ok(Reply::empty(200).into())
        }
        _ => Ok(unknown()),
    }
}

fn find<'a>(world: &'a World, repo: &Repo, id: &str) -> Result<&'a Hook, Box<Reply>> {
    let hook = world.hooks_of(repo.id).find(|hook| json::hook_id(hook.id) == id);
    hook.ok_or_else(|| refuse(404, "error.webhook.not.found"))
}

fn create(world: &mut World, body: &Value, repo: &Repo) -> Answer {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let url = text("url").filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    let url = url.ok_or_else(|| refuse(400, "error.webhook.url"))?;
    let events = body.get("events").and_then(Value::as_object);
    let events = events.ok_or_else(|| refuse(400, "error.webhook.events"))?;
    let is_new = |key: &str| key == "PIPELINE_WARNING" && major(world) < 4;
    if events.iter().any(|(key, value)| !EVENTS.contains(&key.as_str()) || is_new(key) || !value.is_boolean())
    {
        return Err(refuse(400, "error.webhook.event.unknown"));
    }
    if major(world) < 3 && MUST_NAME.iter().any(|key| !events.contains_key(*key)) {
        return Err(refuse(400, "error.webhook.event.missing"));
    }
    let events = events.iter().filter(|(_, value)| value.as_bool() == Some(true));
    let hook = Hook {
        id: world.next_id(),
        repo_id: repo.id,
        url,
        events: events.map(|(key, _)| key.clone()).collect(),
        is_active: true,
        verifies_tls: true,
        content_type: "json".to_owned(),
        secret: text("secret").filter(|secret| !secret.is_empty()),
        signing_token: None,
        created_at: world.now(),
        failures: 0,
        disabled_until: None,
        is_disabled: false,
        last_status: None,
    };
    let reply = Reply::json(200, &json::hook(&hook));
    world.hooks.insert(hook.id, hook);
    Ok(reply.into())
}

/// The secret goes along as it is. There is no event header, no delivery id and no time.
pub(super) fn sign(hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
    let mut headers = HeaderMap::new();
    put(&mut headers, "content-type", "application/json");
    if let Some(secret) = &hook.secret {
        put(&mut headers, "gitflic-webhook-secret", secret);
    }
    SignedRequest {
        hook_id: hook.id,
        delivery_id: delivery_id.to_owned(),
        message: message.clone(),
        url: hook.url.clone(),
        headers,
    }
}
