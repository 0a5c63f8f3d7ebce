//! Hooks of projects and groups, and how their deliveries are signed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use serde_json::{Value, json};
use url::{Host, Url};

use super::{Answer, access::Caller, json as shape, projects::page, refuse, unknown};
use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest, hmac, put},
    dialect::Outcome,
    wire::{Incoming, Reply},
    world::{Hook, Repo, Sent, World},
};

/// The events that a project hook can be subscribed to.
pub(super) const EVENTS: &[&str] = &[
    "push_events",
    "tag_push_events",
    "issues_events",
    "confidential_issues_events",
    "note_events",
    "confidential_note_events",
    "merge_requests_events",
    "job_events",
    "pipeline_events",
    "wiki_page_events",
    "deployment_events",
    "releases_events",
    "emoji_events",
    "resource_access_token_events",
];

const MAX_HOOKS: usize = 100;
const MAX_GROUP_HOOKS: usize = 50;

fn version_at_least(version: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= wanted
}

/// GitLab 19.0, "Secure webhooks with HMAC signing tokens".
pub(super) fn has_signing_tokens(version: &str) -> bool {
    version_at_least(version, (19, 0))
}

pub(super) fn of_project(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    if repo.access_of(caller.user_id) < 40 {
        return Err(refuse(403, "403 Forbidden"));
    }
    route(world, request, repo.id, segments)
}

/// Only in the paid editions; every user owns every group.
pub(super) fn of_group(world: &mut World, request: &Incoming, id: &str, segments: &[&str]) -> Answer {
    let found = id.parse().ok().or_else(|| world.find_namespace(id));
    let found = found.filter(|id| world.namespaces.values().any(|known| known == id));
    match found {
        Some(id) if world.version.ends_with("-ee") => route(world, request, id, segments),
        Some(_) => Err(Box::new(Reply::json(404, &json!({ "error": "404 Not Found" })))),
        None => Err(refuse(404, "404 Group Not Found")),
    }
}

fn route(world: &mut World, request: &Incoming, owner: u64, segments: &[&str]) -> Answer {
    let method = request.method.as_str();
    let Some((id, rest)) = segments.split_first() else {
        return match method {
            "GET" => {
                let hooks: Vec<&Hook> = world.hooks_of(owner).collect();
                Ok(page(world, request, &hooks, |hook| shape::hook(world, hook)).into())
            }
            "POST" => create(world, request, owner),
            _ => Ok(unknown()),
        };
    };
    let id = id.parse::<u64>().unwrap_or(0);
    let hook = world.hooks.get(&id).filter(|hook| hook.repo_id == owner).cloned();
    let hook = hook.ok_or_else(|| refuse(404, "404 Not found"))?;
    match (method, rest) {
        ("GET", []) => Ok(Reply::json(200, &shape::hook(world, &hook)).into()),
        ("PUT", []) => update(world, request, hook),
        ("DELETE", []) => {
            world.hooks.remove(&id);
            Ok(Reply::empty(204).into())
        }
        ("POST", ["test", trigger]) => test(world, &hook, trigger),
        ("GET", ["events"]) if version_at_least(&world.version, (17, 3)) => {
            let sent: Vec<&Sent> =
                world.sent.iter().rev().filter(|sent| sent.request.hook_id == id).collect();
            Ok(page(world, request, &sent, |sent| event(sent)).into())
        }
        ("POST", ["events", event, "resend"]) if version_at_least(&world.version, (17, 4)) => {
            let event = event.parse::<u64>().unwrap_or(0);
            let sent = world.sent.iter().find(|sent| sent.id == event && sent.request.hook_id == id);
            let sent = sent.ok_or_else(|| refuse(404, "404 Not found"))?;
            let request = sign(world, &hook, &sent.request.message, &sent.request.delivery_id);
            Ok(Outcome::Deliver(Box::new(request), |outcome| {
                Reply::json(201, &json!({ "response_status": outcome.status }))
            }))
        }
        _ => Ok(unknown()),
    }
}

fn create(world: &mut World, request: &Incoming, owner: u64) -> Answer {
    let is_project = world.repo(owner).is_some();
    let (most, what) = if is_project { (MAX_HOOKS, "project") } else { (MAX_GROUP_HOOKS, "group") };
    if world.hooks_of(owner).count() >= most {
        return Err(refuse(422, &format!("Maximum number of {what} webhooks ({most}) exceeded")));
    }
    let (id, created_at) = (world.next_id(), world.now());
    let mut hook = Hook {
        id,
        repo_id: owner,
        url: String::new(),
        // Push events are on unless they are switched off.
        events: vec!["push_events".to_owned()],
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
    let reply = Reply::json(201, &shape::hook(world, &hook));
    world.hooks.insert(id, hook);
    Ok(reply.into())
}

fn update(world: &mut World, request: &Incoming, mut hook: Hook) -> Answer {
    let body = request.json();
    let url = body.get("url").and_then(Value::as_str);
    if url.is_none() {
        return Err(Box::new(Reply::json(400, &json!({ "error": "url is missing" }))));
    }
    if url != Some(hook.url.as_str()) && body.get("token").is_none() {
        // A secret must not follow a hook to an address that somebody else chose.
        hook.secret = None;
    }
    apply(world, &body, &mut hook)?;
    let reply = Reply::json(200, &shape::hook(world, &hook));
    world.hooks.insert(hook.id, hook);
    Ok(reply.into())
}

/// Takes over what a request says of a hook.
fn apply(world: &World, body: &Value, hook: &mut Hook) -> Result<(), Box<Reply>> {
    let Some(url) = body.get("url").and_then(Value::as_str) else {
        return Err(Box::new(Reply::json(400, &json!({ "error": "url is missing" }))));
    };
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let is_local = parsed.as_ref().is_some_and(is_local);
    if parsed.is_none() || (is_local && !world.allows_local_hooks) {
        return Err(Box::new(Reply::json(422, &json!({ "error": "Invalid url given" }))));
    }
    hook.url = url.to_owned();
    for &event in EVENTS {
        match body.get(event).and_then(Value::as_bool) {
            Some(true) if !hook.events.iter().any(|it| it == event) => hook.events.push(event.to_owned()),
            Some(false) => hook.events.retain(|it| it != event),
            _ => {}
        }
    }
    if let Some(verifies) = body.get("enable_ssl_verification").and_then(Value::as_bool) {
        hook.verifies_tls = verifies;
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if let Some(secret) = text("token") {
        hook.secret = (!secret.is_empty()).then(|| secret.replace(['\r', '\n'], ""));
    }
    // Before 19.0 the parameter is not known, and unknown parameters are ignored without a word.
    if has_signing_tokens(&world.version)
        && let Some(token) = text("signing_token")
    {
        if token.is_empty() {
            hook.signing_token = None;
        } else if signing_key(token).is_some_and(|key| key.len() == 32) {
            hook.signing_token = Some(token.to_owned());
        } else {
            let message = json!({ "message": { "signing_token": ["is invalid"] } });
            return Err(Box::new(Reply::json(422, &message)));
        }
    }
    Ok(())
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => true,
    }
}

/// Sends real data of the project; without any there is nothing to test with.
fn test(world: &World, hook: &Hook, trigger: &str) -> Answer {
    if !EVENTS.contains(&trigger) {
        return Err(Box::new(Reply::json(400, &json!({ "error": "trigger does not have a valid value" }))));
    }
    let is_meant = |repo_id: u64| world.hooks_above(repo_id).any(|above| above.id == hook.id);
    let run = world.runs.values().rev().find(|run| is_meant(run.repo_id));
    let repo = world.repos.values().find(|repo| !repo.is_empty && is_meant(repo.id));
    let messages = run.map(|run| super::payload::messages(world, run)).unwrap_or_default();
    let message = match trigger {
        "push_events" => repo.map(|repo| super::payload::push(world, repo)),
        _ => messages.into_iter().find(|message| message.subscription == trigger),
    };
    let message = message.ok_or_else(|| refuse(422, "Ensure the project has at least one pipeline."))?;
    let delivery_id = uuid::Uuid::new_v4().to_string();
    Ok(Outcome::Deliver(Box::new(sign(world, hook, &message, &delivery_id)), |outcome| {
        if outcome.is_success() {
            Reply::json(201, &json!({ "message": "201 Created" }))
        } else {
            Reply::json(422, &json!({ "message": failure_text(outcome) }))
        }
    }))
}

fn failure_text(outcome: &DeliveryOutcome) -> String {
    match outcome.status {
        Some(status) => format!("Hook executed successfully but returned HTTP {status}"),
        None => "Hook execution failed".to_owned(),
    }
}

/// As the API shows it: with all headers but the token, and without a time of its own.
fn event(sent: &Sent) -> Value {
    let status = sent.outcome.status;
    let headers: serde_json::Map<String, Value> = sent
        .request
        .headers
        .iter()
        .map(|(name, value)| {
            let shown =
                if name == "x-gitlab-token" { "[REDACTED]" } else { value.to_str().unwrap_or_default() };
            (name.as_str().to_owned(), json!(shown))
        })
        .collect();
    let answered = match status {
        Some(_) => json!({ "Date": sent.at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string() }),
        None => json!({}),
    };
    json!({
        "id": sent.id,
        "url": sent.request.url,
        "trigger": sent.request.message.subscription.replace("_events", "_hooks"),
        "request_headers": headers,
        "request_data": {},
        "response_headers": answered,
        "response_body": "",
        "response_status": status.map_or_else(|| "internal error".to_owned(), |status| status.to_string()),
        "execution_duration": 0.1,
    })
}

fn signing_key(token: &str) -> Option<Vec<u8>> {
    STANDARD.decode(token.strip_prefix("whsec_")?).ok()
}

/// GitLab, app/services/web_hook_service.rb: the secret token as it is, and from 19.0 a Standard Webhooks signature.
pub(super) fn sign(world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
    let mut headers = HeaderMap::new();
    put(&mut headers, "content-type", "application/json");
    put(&mut headers, "user-agent", &format!("GitLab/{}", world.version));
    put(&mut headers, "x-gitlab-event", &message.event);
    put(&mut headers, "x-gitlab-webhook-uuid", &uuid::Uuid::new_v4().to_string());
    put(&mut headers, "x-gitlab-event-uuid", &uuid::Uuid::new_v4().to_string());
    put(&mut headers, "x-gitlab-instance", &world.base_url);
    if version_at_least(&world.version, (17, 4)) {
        put(&mut headers, "idempotency-key", delivery_id);
    }
    if let Some(secret) = &hook.secret {
        put(&mut headers, "x-gitlab-token", secret);
    }
    if let Some(key) = hook.signing_token.as_deref().and_then(signing_key) {
        let time = world.now().as_second().to_string();
        let digest = hmac(&key, &[delivery_id.as_bytes(), b".", time.as_bytes(), b".", &message.body]);
        put(&mut headers, "webhook-id", delivery_id);
        put(&mut headers, "webhook-timestamp", &time);
        put(&mut headers, "webhook-signature", &format!("v1,{}", STANDARD.encode(digest)));
    }
    SignedRequest {
        hook_id: hook.id,
        delivery_id: delivery_id.to_owned(),
        message: message.clone(),
        url: hook.url.clone(),
        headers,
    }
}
