//! Hooks of repositories and projects, and how their deliveries are signed.

use http::HeaderMap;
use serde_json::{Value, json};
use url::Url;

use super::{Answer, json as shape, page, refuse, unknown};
use crate::{
    deliver::{Message, SignedRequest, hmac, put},
    dialect::Outcome,
    wire::{Incoming, Reply},
    world::{Hook, World},
};

const PING: &str = "diagnostics:ping";

/// `owner` is the number of a repository or project that the caller may administer.
pub(super) fn route(world: &mut World, request: &Incoming, owner: u64, segments: &[&str]) -> Answer {
    let with_statistics = request.query("statistics") == Some("true");
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let hooks: Vec<&Hook> = world.hooks_of(owner).collect();
            Ok(page(request, &hooks, |hook| shape::hook(world, hook, with_statistics)).into())
        }
        ("POST", []) => {
            let (id, created_at) = (world.next_id(), world.now());
            let mut hook = Hook {
                id,
                repo_id: owner,
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
            apply(world, &request.json(), &mut hook)?;
            let reply = Reply::json(201, &shape::hook(world, &hook, false));
            world.hooks.insert(id, hook);
            Ok(reply.into())
        }
        ("POST", ["test"]) => {
            let url = request.query("url").unwrap_or_default().to_owned();
            let id = request.query("webhookId").and_then(|id| id.parse().ok()).unwrap_or(0);
            let mut headers = HeaderMap::new();
            put(&mut headers, "content-type", "application/json");
            put(&mut headers, "x-event-key", PING);
            put(&mut headers, "x-request-id", &uuid::Uuid::new_v4().to_string());
            let message = Message::new(PING, "", "{\"test\":true}");
            let delivery_id = uuid::Uuid::new_v4().to_string();
            let ping = SignedRequest { hook_id: id, delivery_id, message, url, headers };
            Ok(Outcome::Deliver(Box::new(ping), |outcome| {
                let response = match outcome.status {
                    Some(status) => json!({ "statusCode": status, "body": "", "headers": {} }),
                    None => json!({ "message": outcome.error }),
                };
                Reply::json(200, &json!({ "request": { "method": "POST", "url": "" }, "response": response }))
            }))
        }
        (method, [id, rest @ ..]) => {
            let id = id.parse::<u64>().unwrap_or(0);
            let hook = world.hooks.get(&id).filter(|hook| hook.repo_id == owner).cloned();
            let missing = || refuse(404, "The webhook does not exist.", "webhook.NoSuchWebhookException");
            let mut hook = hook.ok_or_else(missing)?;
            match (method, rest) {
                ("GET", []) => Ok(Reply::json(200, &shape::hook(world, &hook, with_statistics)).into()),
                ("GET", ["statistics" | "latest"]) => {
                    Ok(Reply::json(200, &shape::statistics(world, &hook)).into())
                }
                ("PUT", []) => {
                    apply(world, &request.json(), &mut hook)?;
                    let reply = Reply::json(200, &shape::hook(world, &hook, false));
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
        _ => Ok(unknown()),
    }
}

/// A change replaces the whole hook: without a secret in the body there is none afterwards.
fn apply(world: &World, body: &Value, hook: &mut Hook) -> Result<(), Box<Reply>> {
    let invalid = |message: &str| refuse(400, message, "validation.ArgumentValidationException");
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let url =
        text("url").filter(|url| Url::parse(url).is_ok()).ok_or_else(|| invalid("The URL is not valid"))?;
    if text("name").is_none_or(str::is_empty) {
        return Err(invalid("The name must not be blank"));
    }
    let events: Vec<String> = body
        .get("events")
        .and_then(Value::as_array)
        .map(|events| events.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let known = shape::events(world);
    if events.is_empty() || events.iter().any(|event| !known.contains(event)) {
        return Err(invalid("One of the webhook's events is unknown"));
    }
    hook.url = url.to_owned();
    hook.events = events;
    hook.is_active = body.get("active").and_then(Value::as_bool).unwrap_or(true);
    hook.verifies_tls = body.get("sslVerificationRequired").and_then(Value::as_bool).unwrap_or(true);
    hook.secret = body.pointer("/configuration/secret").and_then(Value::as_str).map(str::to_owned);
    Ok(())
}

pub(super) fn sign(world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
    let mut headers = HeaderMap::new();
    put(&mut headers, "content-type", "application/json; charset=utf-8");
    put(&mut headers, "user-agent", &format!("Atlassian HttpClient 4.0.0 / Bitbucket-{}", world.version));
    put(&mut headers, "x-event-key", &message.event);
    put(&mut headers, "x-request-id", delivery_id);
    if let Some(secret) = &hook.secret {
        let digest = hex::encode(hmac(secret.as_bytes(), &[&message.body]));
        put(&mut headers, "x-hub-signature", &format!("sha256={digest}"));
    }
    SignedRequest {
        hook_id: hook.id,
        delivery_id: delivery_id.to_owned(),
        message: message.clone(),
        url: hook.url.clone(),
        headers,
    }
}
