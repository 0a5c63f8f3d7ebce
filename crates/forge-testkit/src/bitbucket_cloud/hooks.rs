//! Repository webhooks, and how their deliveries are signed.

use http::HeaderMap;
use serde_json::Value;

use super::{Answer, State, access::Caller, json as shape, page, refuse, unknown};
use crate::{
    deliver::{Message, SignedRequest, hmac, put},
    wire::{Incoming, Reply},
    world::{Hook, Repo, World},
};

const EVENTS: [&str; 14] = [
    "repo:push",
    "repo:fork",
    "repo:updated",
    "repo:created",
    "repo:deleted",
    "repo:imported",
    "repo:transfer",
    "repo:commit_comment_created",
    "repo:commit_status_created",
    "repo:commit_status_updated",
    "pullrequest:created",
    "pullrequest:updated",
    "pullrequest:fulfilled",
    "pullrequest:rejected",
];

pub(super) fn route(
    world: &mut World,
    state: &State,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    let method = request.method.as_str();
    let scope = match method {
        "GET" => "read:webhook:bitbucket",
        "DELETE" => "delete:webhook:bitbucket",
        _ => "write:webhook:bitbucket",
    };
    caller.require("webhook", scope)?;
    if repo.access_of(caller.user_id) < 40 {
        return Err(refuse(403, "Access denied. You must have admin access."));
    }
    let Some((id, rest)) = segments.split_first() else {
        return match method {
            "GET" => {
                let hooks: Vec<&Hook> = world.hooks_of(repo.id).collect();
                page(world, request, &hooks, 100, |hook| shape::hook(hook, state.shows_tls_field))
            }
            "POST" => create(world, state, request, repo),
            _ => Ok(unknown()),
        };
    };
    let id = shape::number(shape::HOOK, id).unwrap_or(0);
    let hook = world.hooks.get(&id).filter(|hook| hook.repo_id == repo.id).cloned();
    let mut hook = hook.ok_or_else(|| refuse(404, "Webhook not found"))?;
    match (method, rest) {
        ("GET", []) => Ok(Reply::json(200, &shape::hook(&hook, state.shows_tls_field)).into()),
        ("PUT", []) => {
            configure(world, &request.json(), &mut hook)?;
            let reply = Reply::json(200, &shape::hook(&hook, state.shows_tls_field));
            world.hooks.insert(id, hook);
            Ok(reply.into())
        }
        ("DELETE", []) => {
            world.hooks.remove(&id);
            Ok(Reply::empty(204).into())
        }
        _ => Ok(unknown()),
    }
}

fn create(world: &mut World, state: &State, request: &Incoming, repo: &Repo) -> Answer {
    let (id, created_at) = (world.next_id(), world.now());
    let mut hook = Hook {
        id,
        repo_id: repo.id,
        url: String::new(),
        events: Vec::new(),
        is_active: true,
        verifies_tls: true,
        content_type: "json".to_owned(),
        secret: None,
        signing_token: None,
        created_at,
        failures: 0,
        disabled_until: None,
        is_disabled: false,
        last_status: None,
    };
    configure(world, &request.json(), &mut hook)?;
    if hook.url.is_empty() || hook.events.is_empty() {
        return Err(refuse(400, "url and events are required"));
    }
    let reply = Reply::json(201, &shape::hook(&hook, state.shows_tls_field));
    let location = format!("{}{}/{}", world.base_url, request.path, shape::uuid(shape::HOOK, id));
    world.hooks.insert(id, hook);
    Ok(reply.with_header("location", &location).into())
}

/// An omitted secret stays, null or an empty one removes it.
fn configure(world: &World, body: &Value, hook: &mut Hook) -> Result<(), Box<Reply>> {
    if let Some(url) = body.get("url").and_then(Value::as_str) {
        let is_local = url.contains("//127.") || url.contains("//localhost");
        if !url.starts_with("http") || (is_local && !world.allows_local_hooks) {
            return Err(refuse(400, "url: Enter a valid, publicly reachable URL."));
        }
        url.clone_into(&mut hook.url);
    }
    if let Some(events) = body.get("events").and_then(Value::as_array) {
        let events: Vec<String> = events.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if let Some(unknown) = events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
            return Err(refuse(400, &format!("events: {unknown} is not a valid event")));
        }
        hook.events = events;
    }
    if let Some(is_active) = body.get("active").and_then(Value::as_bool) {
        hook.is_active = is_active;
    }
    if let Some(skips) = body.get("skip_cert_verification").and_then(Value::as_bool) {
        hook.verifies_tls = !skips;
    }
    if let Some(secret) = body.get("secret") {
        let secret = secret.as_str().unwrap_or_default();
        if secret.len() > 128 {
            return Err(refuse(400, "secret: Ensure this value has at most 128 characters."));
        }
        hook.secret = (!secret.is_empty()).then(|| secret.to_owned());
    }
    Ok(())
}

/// `X-Hub-Signature` is there only when the hook has a secret; its algorithm is SHA-256 in spite of the name.
pub(super) fn sign(hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
    let mut headers = HeaderMap::new();
    put(&mut headers, "content-type", "application/json");
    put(&mut headers, "user-agent", "Bitbucket-Webhooks/2.0");
    put(&mut headers, "x-event-key", &message.event);
    put(&mut headers, "x-hook-uuid", shape::uuid(shape::HOOK, hook.id).trim_matches(['{', '}']));
    put(&mut headers, "x-request-uuid", delivery_id);
    put(&mut headers, "x-attempt-number", "1");
    if let Some(secret) = &hook.secret {
        let digest = hmac(secret.as_bytes(), &[&message.body]);
        put(&mut headers, "x-hub-signature", &format!("sha256={}", hex::encode(digest)));
    }
    SignedRequest {
        hook_id: hook.id,
        delivery_id: delivery_id.to_owned(),
        message: message.clone(),
        url: hook.url.clone(),
        headers,
    }
}
