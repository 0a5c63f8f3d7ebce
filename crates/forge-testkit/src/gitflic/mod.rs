//! The fake GitFlic.

mod access;
mod changes;
mod cicd;
mod feedback;
mod hooks;
mod json;
mod oauth;
mod payload;
mod projects;

use std::{fmt, io, ops::Deref, time::Duration};

use forge_core::ForgeKind;
use serde_json::{Value, json};

use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest},
    dialect::{Dialect, Outcome},
    fake::{Fake, FakeOptions},
    spec::TokenKind,
    wire::{Incoming, Reply},
    world::{Hook, Job, RateLimit, Run, World},
};

/// A fake GitFlic on loopback, shaped as a self-hosted one: the API is below `{base}/rest-api`, OAuth at
/// `{base}/oauth/authorize` and `{base}/api/token`.
///
/// Its version decides which of the undocumented readings it plays. From 4 on: `owner` objects, single pipelines,
/// hooks that are deleted by `POST`, snake case at the authorize page, commits that can be compared. Before: `ownerAlias`, pipelines in lists only,
/// hooks deleted by `DELETE`, camel case at the authorize page, other list keys. Before 3 a hook has to name every
/// event. It POSTs the OAuth code to the callback, and puts it into the browser's redirect only when nobody took it.
///
/// Everything that can be arranged and asked is on [`Fake`], to which this dereferences.
pub struct FakeGitFlic(Fake);

impl FakeGitFlic {
    /// Starts one at the root of its host.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start() -> Self {
        Self::start_with(&FakeOptions::new()).await
    }

    /// Starts one under a path or in another version.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[expect(clippy::expect_used, reason = "a test without a loopback port cannot go on")]
    pub async fn start_with(options: &FakeOptions) -> Self {
        Self::try_start(options).await.expect("a loopback port for the fake GitFlic")
    }

    /// Starts one, or says why not.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub async fn try_start(options: &FakeOptions) -> io::Result<Self> {
        Ok(Self(Fake::start(Box::new(GitFlic), options, "4.13.0").await?))
    }
}

impl Deref for FakeGitFlic {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.0
    }
}

impl AsRef<Fake> for FakeGitFlic {
    fn as_ref(&self) -> &Fake {
        &self.0
    }
}

impl fmt::Debug for FakeGitFlic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FakeGitFlic({})", self.0.base_url())
    }
}

/// A refusal, boxed because most answers are not one.
type Answer = Result<Outcome, Box<Reply>>;

const API: &str = "/rest-api";

#[derive(Debug)]
struct GitFlic;

impl Dialect for GitFlic {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITFLIC
    }

    fn repo_id(&self, id: u64) -> String {
        json::project_id(id)
    }

    /// Pipelines and jobs are addressed by numbers that count within their project.
    fn run_id(&self, run: &Run) -> String {
        run.number.to_string()
    }

    fn job_id(&self, world: &World, job: &Job) -> String {
        json::job_local_id(world, job).to_string()
    }

    fn hook_id(&self, id: u64) -> String {
        json::hook_id(id)
    }

    fn archives(&self) -> bool {
        false
    }

    fn sends_job_events(&self) -> bool {
        false
    }

    /// Own projects and shared ones are two lists.
    fn requests_after_repos(&self) -> usize {
        1
    }

    fn names_logs(&self) -> bool {
        true
    }

    fn links_pages(&self) -> bool {
        false
    }

    fn redirects_renamed(&self) -> bool {
        false
    }

    fn replaces_hooks(&self) -> bool {
        true
    }

    fn tells_scopes(&self) -> bool {
        false
    }

    fn labels_issues(&self) -> bool {
        false
    }

    fn ci_config_path(&self) -> Option<&'static str> {
        Some("gitflic-ci.yaml")
    }

    fn token_prefixes(&self) -> [&'static str; 3] {
        ["gfo-", "gfr-", "gfp-"]
    }

    fn full_scopes(&self) -> &'static [&'static str] {
        &["USER_READ", "PROJECT_READ", "PROJECT_WRITE", "PROJECT_EDIT"]
    }

    fn read_only(&self) -> (TokenKind, &'static [&'static str]) {
        (TokenKind::Personal, &["USER_READ", "PROJECT_READ"])
    }

    fn identity_scopes(&self) -> &'static [&'static str] {
        &["USER_READ"]
    }

    fn default_events(&self) -> &'static [&'static str] {
        &["PIPELINE_FAIL", "PIPELINE_SUCCESS"]
    }

    fn counts_run_attempts(&self) -> bool {
        false
    }

    fn delivery_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn triggers(&self) -> [&'static str; 2] {
        ["MERGE_REQUEST_EVENT", "PARENT_PIPELINE"]
    }

    fn route(&self, world: &mut World, request: &Incoming) -> Outcome {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["oauth", "authorize"] => oauth::authorize(world, request),
            ["api", "token", rest @ ..] => oauth::token(world, request, rest),
            ["rest-api", rest @ ..] => {
                api(world, request, rest).unwrap_or_else(|refusal| Outcome::Reply(*refusal))
            }
            _ => unknown(),
        }
    }

    fn is_api(&self, path: &str) -> bool {
        path.starts_with(API)
    }

    fn error(&self, status: u16) -> Reply {
        message(
            status,
            match status {
                403 => "error.access.denied",
                404 => "error.entity.not.found",
                405 => "error.method.not.allowed",
                409 => "error.entity.exists",
                _ => "error.internal",
            },
        )
    }

    fn rate_limited(&self, _limit: Option<&RateLimit>, retry_after: Option<u64>) -> Reply {
        let reply = message(429, "error.too.many.requests");
        match retry_after {
            Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
            None => reply,
        }
    }

    /// GitFlic documents no headers for what is left.
    fn with_rate_headers(&self, reply: Reply, _limit: &RateLimit) -> Reply {
        reply
    }

    fn messages(&self, world: &World, run: &Run) -> Vec<Message> {
        payload::messages(world, run)
    }

    fn sign(&self, _world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
        hooks::sign(hook, message, delivery_id)
    }

    fn settle(&self, world: &mut World, hook_id: u64, outcome: &DeliveryOutcome) {
        if let Some(hook) = world.hooks.get_mut(&hook_id) {
            hook.last_status = outcome.status;
            hook.failures = if outcome.is_success() { 0 } else { hook.failures + 1 };
        }
    }
}

fn api(world: &mut World, request: &Incoming, segments: &[&str]) -> Answer {
    let caller = access::authenticate(world, request)?;
    match (request.method.as_str(), segments) {
        ("GET", ["user", "me"]) => {
            caller.require("USER_READ")?;
            Ok(Reply::json(200, &json::user(world, caller.user_id)).into())
        }
        ("GET", ["user"]) => {
            let users: Vec<u64> = world.users.iter().map(|user| user.id).collect();
            Ok(page(world, request, "userList", &users, |id| json::user(world, *id)).into())
        }
        (_, ["project", ..]) => projects::route(world, request, &caller, segments),
        _ => Ok(unknown()),
    }
}

/// The first number of the version, by which the readings are chosen.
fn major(world: &World) -> u32 {
    world.version.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(4)
}

fn unknown() -> Outcome {
    Outcome::Unknown(message(404, "error.not.found"))
}

fn message(status: u16, key: &str) -> Reply {
    Reply::json(status, &json!({ "title": key, "status": status, "detail": null }))
}

fn refuse(status: u16, key: &str) -> Box<Reply> {
    Box::new(message(status, key))
}

/// A zero-based page of a list. An empty list has no `_embedded` at all, and old versions call their lists otherwise.
fn page<T>(world: &World, request: &Incoming, name: &str, items: &[T], show: impl Fn(&T) -> Value) -> Reply {
    let number = |name: &str| request.query(name).and_then(|text| text.parse::<usize>().ok());
    let (index, size) = (number("page").unwrap_or(0), number("size").unwrap_or(10).clamp(1, 100));
    let shown: Vec<Value> = items.iter().skip(index.saturating_mul(size)).take(size).map(show).collect();
    let mut body = json!({ "page": {
        "size": size,
        "totalElements": items.len(),
        "totalPages": items.len().div_ceil(size),
        "number": index,
    } });
    if !shown.is_empty() {
        let name = if major(world) >= 4 { name.to_owned() } else { format!("{name}Ce") };
        let mut embedded = serde_json::Map::new();
        embedded.insert(name, Value::Array(shown));
        if let Some(body) = body.as_object_mut() {
            body.insert("_embedded".to_owned(), Value::Object(embedded));
        }
    }
    if let (Some(origin), Some(body)) = (&world.foreign_next_link, body.as_object_mut()) {
        let next = format!("{origin}{}?page={}", request.path, index + 1);
        body.insert("_links".to_owned(), json!({ "next": { "href": next } }));
    }
    Reply::json(200, &body)
}
