//! The fake GitLab.

mod access;
mod ci;
mod facts;
mod feedback;
mod hooks;
mod json;
mod oauth;
mod payload;
mod projects;

use std::{fmt, io, ops::Deref, time::Duration};

use forge_core::ForgeKind;
use serde_json::json;

use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest},
    dialect::{Dialect, Outcome},
    fake::{Fake, FakeOptions},
    spec::TokenKind,
    wire::{Incoming, Reply},
    world::{Hook, RateLimit, Run, World, shift},
};

/// A fake GitLab on loopback. The API is below `{base}/api/v4`, OAuth below `{base}/oauth`.
///
/// Everything that can be arranged and asked is on [`Fake`], to which this dereferences.
pub struct FakeGitLab(Fake);

impl FakeGitLab {
    /// Starts one at the root of its host, in a version that has signing tokens.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start() -> Self {
        Self::start_with(&FakeOptions::new()).await
    }

    /// Starts one, e.g. under `/gitlab` or in an older version: signing tokens exist from 19.0,
    /// `Idempotency-Key` from 17.4.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[expect(clippy::expect_used, reason = "a test without a loopback port cannot go on")]
    pub async fn start_with(options: &FakeOptions) -> Self {
        Self::try_start(options).await.expect("a loopback port for the fake GitLab")
    }

    /// Starts one, or says why not.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub async fn try_start(options: &FakeOptions) -> io::Result<Self> {
        let fake = Fake::start(Box::new(GitLab), options, "19.2.0-ee").await?;
        fake.world().grants.lifetime = Some(Duration::from_secs(7200));
        Ok(Self(fake))
    }
}

impl Deref for FakeGitLab {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.0
    }
}

impl AsRef<Fake> for FakeGitLab {
    fn as_ref(&self) -> &Fake {
        &self.0
    }
}

impl fmt::Debug for FakeGitLab {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FakeGitLab({})", self.0.base_url())
    }
}

/// A refusal, boxed because most answers are not one.
pub(super) type Answer = Result<Outcome, Box<Reply>>;

#[derive(Debug)]
struct GitLab;

impl Dialect for GitLab {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITLAB
    }

    fn ci_config_path(&self) -> Option<&'static str> {
        Some(".gitlab-ci.yml")
    }

    fn token_prefixes(&self) -> [&'static str; 3] {
        ["", "", "glpat-"]
    }

    fn full_scopes(&self) -> &'static [&'static str] {
        &["api", "read_user"]
    }

    fn read_only(&self) -> (TokenKind, &'static [&'static str]) {
        (TokenKind::Personal, &["read_api"])
    }

    fn identity_scopes(&self) -> &'static [&'static str] {
        &["read_user"]
    }

    fn default_events(&self) -> &'static [&'static str] {
        &["pipeline_events", "job_events"]
    }

    fn counts_run_attempts(&self) -> bool {
        false
    }

    fn delivery_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn triggers(&self) -> [&'static str; 2] {
        ["merge_request_event", "parent_pipeline"]
    }

    fn route(&self, world: &mut World, request: &Incoming) -> Outcome {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let answer = match segments.as_slice() {
            ["oauth", rest @ ..] => oauth::route(world, request, rest),
            ["api", "v4", rest @ ..] => api(world, request, rest),
            _ => Ok(unknown()),
        };
        answer.unwrap_or_else(|refusal| Outcome::Reply(*refusal))
    }

    fn is_api(&self, path: &str) -> bool {
        path.starts_with("/api/")
    }

    fn error(&self, status: u16) -> Reply {
        let text = match status {
            401 => "401 Unauthorized",
            403 => "403 Forbidden",
            404 => "404 Not Found",
            409 => "409 Conflict",
            410 => "410 Gone",
            422 => "422 Unprocessable Entity",
            _ => "500 Internal Server Error",
        };
        Reply::json(status, &json!({ "message": text }))
    }

    fn rate_limited(&self, limit: Option<&RateLimit>, retry_after: Option<u64>) -> Reply {
        let reply = match limit {
            // Blocked by the web server's own limiter: plain text and all headers.
            Some(limit) => self
                .with_rate_headers(Reply::bytes(429, "text/plain", "Retry later\n".into()), limit)
                .with_header("ratelimit-name", "throttle_authenticated_api"),
            // Blocked by the application: JSON, and often no header at all.
            None => Reply::json(
                429,
                &json!({ "message": { "error": "This endpoint has been requested too many times. Try again later." } }),
            ),
        };
        match retry_after {
            Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
            None => reply,
        }
    }

    fn with_rate_headers(&self, reply: Reply, limit: &RateLimit) -> Reply {
        reply
            .with_header("ratelimit-limit", &limit.limit.to_string())
            .with_header("ratelimit-observed", &limit.limit.saturating_sub(limit.remaining).to_string())
            .with_header("ratelimit-remaining", &limit.remaining.to_string())
            .with_header("ratelimit-reset", &limit.resets_at.as_second().to_string())
    }

    fn messages(&self, world: &World, run: &Run) -> Vec<Message> {
        payload::messages(world, run)
    }

    fn sign(&self, world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
        hooks::sign(world, hook, message, delivery_id)
    }

    /// GitLab, app/models/concerns/web_hooks/auto_disabling.rb: from the fourth failure in a row a pause of a minute
    /// that doubles up to a day; after the fortieth the hook is off for good.
    fn settle(&self, world: &mut World, hook_id: u64, outcome: &DeliveryOutcome) {
        let (now, is_on) = (world.now(), world.auto_disables_hooks);
        let Some(hook) = world.hooks.get_mut(&hook_id) else { return };
        hook.last_status = outcome.status;
        if outcome.status.is_some_and(|status| (200..400).contains(&status)) {
            hook.failures = 0;
            hook.disabled_until = None;
            hook.is_disabled = false;
            return;
        }
        hook.failures += 1;
        if is_on && hook.failures > 40 {
            hook.is_disabled = true;
        } else if is_on && hook.failures > 3 {
            let doublings = (hook.failures - 4).min(11);
            hook.disabled_until = Some(shift(now, (60_i64 << doublings).min(86_400)));
        }
    }
}

fn api(world: &mut World, request: &Incoming, segments: &[&str]) -> Answer {
    let caller = access::authenticate(world, request)?;
    let method = request.method.as_str();
    match (method, segments) {
        ("GET", ["version" | "metadata"]) => {
            let version = &world.version;
            let is_enterprise = version.ends_with("-ee");
            let body = json!({ "version": version, "revision": "0f0e0d0c0b0", "enterprise": is_enterprise });
            Ok(Reply::json(200, &body).into())
        }
        ("GET", ["user"]) => {
            caller.require_any(&["api", "read_api", "read_user"])?;
            Ok(Reply::json(200, &json::user(world, caller.user_id)).into())
        }
        (_, ["personal_access_tokens", "self"]) => access::own_token(world, request, &caller),
        (_, ["projects", ..]) => {
            caller.require_for(method)?;
            projects::route(world, request, &caller, segments)
        }
        (_, ["groups", id, "hooks", rest @ ..]) => {
            caller.require_for(method)?;
            hooks::of_group(world, request, id, rest)
        }
        _ => Ok(unknown()),
    }
}

/// What GitLab's API says to a path that it does not have.
pub(super) fn unknown() -> Outcome {
    Outcome::Unknown(Reply::json(404, &json!({ "error": "404 Not Found" })))
}

pub(super) fn refuse(status: u16, message: &str) -> Box<Reply> {
    Box::new(Reply::json(status, &json!({ "message": message })))
}
