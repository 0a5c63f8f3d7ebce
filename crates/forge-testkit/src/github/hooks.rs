//! Repository webhooks, and how their deliveries are signed.

use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    Answer,
    access::{Caller, Needs},
    invalid, json as shape, page, refuse, unknown,
};
use crate::{
    deliver::{Message, SignedRequest, hmac, put},
    dialect::Outcome,
    wire::{Incoming, Reply, with_query},
    world::{Hook, Repo, Sent, World},
};

/// On github.com 20 hooks for each event, on an Enterprise Server 250.
const MAX_HOOKS: usize = 250;

pub(super) fn route(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    let method = request.method.as_str();
    let is_write = method != "GET";
    let scopes: &[&str] = if is_write {
        &["repo", "admin:repo_hook", "write:repo_hook"]
    } else {
        &["repo", "admin:repo_hook", "write:repo_hook", "read:repo_hook"]
    };
    caller.require(repo, Needs { scopes, permission: "repository_hooks", is_write })?;
    if repo.access_of(caller.user_id) < 40 {
        return Err(refuse(404, "Not Found"));
    }
    let Some((id, rest)) = segments.split_first() else {
        return match method {
            "GET" => {
                let hooks: Vec<&Hook> = world.hooks_of(repo.id).collect();
                Ok(page(world, request, &hooks, None, |hook| shape::hook(world, hook)).into())
            }
            "POST" => create(world, request, repo),
            _ => Ok(unknown()),
        };
    };
    let id = id.parse::<u64>().unwrap_or(0);
    let hook = world.hooks.get(&id).filter(|hook| hook.repo_id == repo.id).cloned();
    let hook = hook.ok_or_else(|| refuse(404, "Not Found"))?;
    match (method, rest) {
        ("GET", []) => Ok(Reply::json(200, &shape::hook(world, &hook)).into()),
        ("PATCH", []) => update(world, &request.json(), hook),
        ("DELETE", []) => {
            world.hooks.remove(&id);
            Ok(Reply::empty(204).into())
        }
        ("PATCH", ["config"]) => {
            let mut hook = hook;
            // Partial: what is not given stays, the secret too.
            let secret = hook.secret.clone();
            let body = request.json();
            configure(&body, &mut hook)?;
            if body.get("secret").is_none() {
                hook.secret = secret;
            }
            let reply = Reply::json(200, &shape::hook_config(&hook));
            world.hooks.insert(id, hook);
            Ok(reply.into())
        }
        ("POST", ["pings"]) => {
            let request = ping(world, &hook);
            Ok(Outcome::ReplyThenDeliver(Reply::empty(204), Box::new(request)))
        }
        ("POST", ["tests"]) => {
            if !hook.events.iter().any(|event| event == "push") {
                return Ok(Reply::empty(204).into());
            }
            let message = super::payload::push(world, repo);
            let delivery_id = uuid::Uuid::new_v4().to_string();
            let request = sign(world, &hook, &message, &delivery_id);
            Ok(Outcome::ReplyThenDeliver(Reply::empty(204), Box::new(request)))
        }
        ("GET", ["deliveries"]) => {
            let only_failed = request.query("status") == Some("failure");
            let sent: Vec<&Sent> = world
                .sent
                .iter()
                .rev()
                .filter(|sent| sent.request.hook_id == id)
                .filter(|sent| !only_failed || !sent.outcome.is_success())
                .collect();
            Ok(by_cursor(world, request, &sent).into())
        }
        (_, ["deliveries", delivery, rest @ ..]) => {
            let delivery = delivery.parse::<u64>().unwrap_or(0);
            let sent = world.sent.iter().find(|sent| sent.id == delivery && sent.request.hook_id == id);
            let sent = sent.ok_or_else(|| refuse(404, "Not Found"))?;
            match (method, rest) {
                ("GET", []) => Ok(Reply::json(200, &shape::delivery(sent)).into()),
                ("POST", ["attempts"]) => {
                    let again = sign(world, &hook, &sent.request.message, &sent.request.delivery_id);
                    Ok(Outcome::ReplyThenDeliver(Reply::json(202, &json!({})), Box::new(again)))
                }
                _ => Ok(unknown()),
            }
        }
        _ => Ok(unknown()),
    }
}

/// Deliveries are not paged by number: the next page is where the cursor of the last one says.
fn by_cursor(world: &World, request: &Incoming, sent: &[&Sent]) -> Reply {
    let before = request.query("cursor").and_then(|text| text.strip_prefix("v1_")?.parse::<u64>().ok());
    let rest: Vec<&&Sent> = sent.iter().filter(|sent| before.is_none_or(|id| sent.id < id)).collect();
    let shown = rest.get(..rest.len().min(request.paging(30).1)).unwrap_or_default();
    let body = Value::Array(shown.iter().map(|sent| shape::delivery(sent)).collect());
    let reply = Reply::json(200, &body);
    match shown.last() {
        Some(last) if shown.len() < rest.len() => {
            let url = format!("{}{}", world.base_url, request.path);
            let cursor = format!("v1_{}", last.id);
            let next = with_query(&url, request.raw_query.as_deref(), "cursor", &cursor);
            reply.with_header("link", &format!("<{next}>; rel=\"next\""))
        }
        _ => reply,
    }
}

fn create(world: &mut World, request: &Incoming, repo: &Repo) -> Answer {
    let body = request.json();
    if body.get("name").is_some_and(|name| name != "web") {
        return Err(invalid("Validation Failed", "name", "name must be web"));
    }
    let (id, created_at) = (world.next_id(), world.now());
    let mut hook = Hook {
        id,
        repo_id: repo.id,
        url: String::new(),
        events: events(&body, "events").unwrap_or_else(|| vec!["push".to_owned()]),
        is_active: body.get("active").and_then(Value::as_bool).unwrap_or(true),
        verifies_tls: true,
        // Not JSON unless it is asked for.
        content_type: "form".to_owned(),
        secret: None,
        signing_token: None,
        created_at,
        failures: 0,
        disabled_until: None,
        is_disabled: false,
        last_status: None,
    };
    configure(body.get("config").unwrap_or(&Value::Null), &mut hook)?;
    if hook.url.is_empty() {
        return Err(invalid("Validation Failed", "url", "url cannot be blank"));
    }
    if !world.allows_local_hooks && (hook.url.contains("//127.") || hook.url.contains("//localhost")) {
        return Err(invalid("Validation Failed", "url", "url is not supported because it isn't reachable"));
    }
    let collides = world.hooks_of(repo.id).any(|other| {
        other.url == hook.url
            && other.content_type == hook.content_type
            && other.events.iter().any(|event| hook.events.contains(event))
    });
    if collides {
        return Err(invalid("Validation Failed", "hook", "Hook already exists on this repository"));
    }
    if world.hooks_of(repo.id).count() >= MAX_HOOKS {
        return Err(invalid("Validation Failed", "base", "The push event cannot have more than 250 hooks"));
    }
    let reply = Reply::json(201, &shape::hook(world, &hook));
    world.hooks.insert(id, hook.clone());
    Ok(Outcome::ReplyThenDeliver(reply, Box::new(ping(world, &hook))))
}

fn update(world: &mut World, body: &Value, mut hook: Hook) -> Answer {
    if let Some(config) = body.get("config") {
        // A config replaces the whole one: without a secret in it the hook has none any more.
        hook.secret = None;
        hook.content_type = "form".to_owned();
        configure(config, &mut hook)?;
    }
    if let Some(events) = events(body, "events") {
        hook.events = events;
    }
    hook.events.extend(events(body, "add_events").unwrap_or_default());
    let removed = events(body, "remove_events").unwrap_or_default();
    hook.events.retain(|event| !removed.contains(event));
    hook.events.sort();
    hook.events.dedup();
    if let Some(is_active) = body.get("active").and_then(Value::as_bool) {
        hook.is_active = is_active;
    }
    let reply = Reply::json(200, &shape::hook(world, &hook));
    world.hooks.insert(hook.id, hook);
    Ok(reply.into())
}

fn configure(config: &Value, hook: &mut Hook) -> Result<(), Box<Reply>> {
    let text = |name: &str| config.get(name).and_then(Value::as_str);
    if let Some(url) = text("url") {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(invalid("Validation Failed", "url", "url must be http or https"));
        }
        url.clone_into(&mut hook.url);
    }
    if let Some(content_type) = text("content_type") {
        content_type.clone_into(&mut hook.content_type);
    }
    if let Some(secret) = text("secret") {
        hook.secret = (!secret.is_empty()).then(|| secret.to_owned());
    }
    match config.get("insecure_ssl") {
        Some(Value::String(text)) => hook.verifies_tls = text != "1",
        Some(Value::Number(number)) => hook.verifies_tls = number.as_u64() != Some(1),
        _ => {}
    }
    Ok(())
}

fn events(body: &Value, name: &str) -> Option<Vec<String>> {
    let list = body.get(name)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn ping(world: &World, hook: &Hook) -> SignedRequest {
    let message = super::payload::ping(world, hook);
    sign(world, hook, &message, &uuid::Uuid::new_v4().to_string())
}

/// GitHub docs, "Validating webhook deliveries": HMAC-SHA256 of the body as it is sent.
pub(super) fn sign(world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
    let mut headers = HeaderMap::new();
    let mut message = message.clone();
    if hook.content_type == "json" {
        put(&mut headers, "content-type", "application/json");
    } else {
        put(&mut headers, "content-type", "application/x-www-form-urlencoded");
        if !message.body.starts_with(b"payload=") {
            let text = String::from_utf8_lossy(&message.body).into_owned();
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            message.body = form.append_pair("payload", &text).finish().into();
        }
    }
    put(&mut headers, "accept", "*/*");
    put(&mut headers, "user-agent", "GitHub-Hookshot/0f0e0d0");
    put(&mut headers, "x-github-event", &message.event);
    put(&mut headers, "x-github-delivery", delivery_id);
    put(&mut headers, "x-github-hook-id", &hook.id.to_string());
    put(&mut headers, "x-github-hook-installation-target-type", "repository");
    put(&mut headers, "x-github-hook-installation-target-id", &hook.repo_id.to_string());
    put(&mut headers, "x-github-enterprise-version", &world.version);
    if let Some(secret) = &hook.secret {
        let digest = hmac(secret.as_bytes(), &[&message.body]);
        put(&mut headers, "x-hub-signature-256", &format!("sha256={}", hex::encode(digest)));
    }
    SignedRequest {
        hook_id: hook.id,
        delivery_id: delivery_id.to_owned(),
        message,
        url: hook.url.clone(),
        headers,
    }
}
