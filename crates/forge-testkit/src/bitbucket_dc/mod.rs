//! The fake Bitbucket Data Center, with CI servers beside it.

mod access;
mod builds;
mod changes;
mod ci_servers;
mod feedback;
mod hooks;
mod json;
mod oauth;
mod payload;
mod repos;

use std::{fmt, io, ops::Deref, time::Duration};

use forge_core::ForgeKind;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest},
    dialect::{Dialect, Outcome},
    fake::{Fake, FakeOptions},
    spec::{RepoHandle, TokenKind},
    wire::{Incoming, Reply},
    world::{Hook, Job, RateLimit, Run, World, shift},
};

/// Which CI server the fake's build statuses come from, and so what their addresses look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CiServer {
    /// `{base}/jenkins/job/ci/{build}/display/redirect`.
    #[default]
    Jenkins,
    /// `{base}/bamboo/browse/RCA-CI-JOB1-{build}`.
    Bamboo,
    /// `{base}/teamcity/viewLog.html?buildId={build}`.
    TeamCity,
}

/// A fake Bitbucket Data Center on loopback. The API is below `{base}/rest`; beside it stand a Jenkins, a Bamboo and a
/// TeamCity that hold the logs, because Bitbucket has none.
///
/// A run is a commit, a job a build status of it. Everything that can be arranged and asked is on [`Fake`], to which
/// this dereferences.
pub struct FakeBitbucketDc(Fake);

impl FakeBitbucketDc {
    /// The user of the CI servers.
    pub const CI_USER: &'static str = "rca-reader";
    /// The token of that user: HTTP Basic at Jenkins, Bearer at Bamboo and TeamCity.
    pub const CI_TOKEN: &'static str = "ci-token-0123456789abcdef";

    /// Starts one at the root of its host, in a version that has everything.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start() -> Self {
        Self::start_with(&FakeOptions::new()).await
    }

    /// Starts one under a path or in an older version: single build statuses are read from 7.14, OAuth from 7.20.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[expect(clippy::expect_used, reason = "a test without a loopback port cannot go on")]
    pub async fn start_with(options: &FakeOptions) -> Self {
        Self::try_start(options).await.expect("a loopback port for the fake Bitbucket")
    }

    /// Starts one, or says why not.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub async fn try_start(options: &FakeOptions) -> io::Result<Self> {
        let fake = Fake::start(Box::new(BitbucketDc), options, "9.4.3").await?;
        fake.world().grants.lifetime = Some(Duration::from_secs(3600));
        Ok(Self(fake))
    }

    /// The address of one of the CI servers.
    #[must_use]
    pub fn ci_url(&self, server: CiServer) -> String {
        format!("{}{}", self.world().base_url, ci_servers::root(server))
    }

    /// Where build statuses come from, from now on.
    pub fn set_ci_server(&self, server: CiServer) {
        self.world().bitbucket_dc.ci_server = server;
    }

    /// Lists this event among the server's webhook events and sends it for build statuses, as an app may add one.
    /// Bitbucket itself has none.
    pub fn set_build_event(&self, event: Option<&str>) {
        self.world().bitbucket_dc.build_event = event.map(str::to_owned);
    }

    /// Sets a build status as a CI server does, for any commit.
    pub fn add_build_status(&self, repo: &RepoHandle, sha: &str, key: &str, state: &str, url: &str) {
        let mut world = self.world();
        let at = world.now();
        builds::put(
            &mut world,
            PostedBuild {
                repo_id: repo.id,
                sha: sha.to_owned(),
                key: key.to_owned(),
                name: None,
                state: state.to_owned(),
                url: url.to_owned(),
                description: None,
                git_ref: None,
                at,
            },
        );
    }

    /// The Code Insights reports, oldest first: commit, key and body.
    #[must_use]
    pub fn insights_reports(&self) -> Vec<(String, String, Value)> {
        self.world().bitbucket_dc.reports.clone()
    }

    /// Listing the comments of a commit needs a `path` too, as it does for pull requests.
    pub fn set_commit_comments_need_path(&self, is_on: bool) {
        self.world().bitbucket_dc.commit_comments_need_path = is_on;
    }
}

impl Deref for FakeBitbucketDc {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.0
    }
}

impl AsRef<Fake> for FakeBitbucketDc {
    fn as_ref(&self) -> &Fake {
        &self.0
    }
}

impl fmt::Debug for FakeBitbucketDc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FakeBitbucketDc({})", self.0.base_url())
    }
}

/// What only this fake remembers.
#[derive(Debug, Default)]
pub(crate) struct State {
    ci_server: CiServer,
    build_event: Option<String>,
    commit_comments_need_path: bool,
    posted: Vec<PostedBuild>,
    reports: Vec<(String, String, Value)>,
}

/// A build status that came by API.
#[derive(Debug, Clone)]
struct PostedBuild {
    repo_id: u64,
    sha: String,
    key: String,
    name: Option<String>,
    state: String,
    url: String,
    description: Option<String>,
    git_ref: Option<String>,
    at: Timestamp,
}

/// A refusal, boxed because most answers are not one.
type Answer = Result<Outcome, Box<Reply>>;

#[derive(Debug)]
struct BitbucketDc;

impl Dialect for BitbucketDc {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_DC
    }

    /// A build status names its build, which has the log.
    fn names_logs(&self) -> bool {
        true
    }

    fn run_id(&self, run: &Run) -> String {
        run.sha.clone()
    }

    fn job_id(&self, world: &World, job: &Job) -> String {
        builds::adapter_job_id(world, job)
    }

    fn sends_job_events(&self) -> bool {
        false
    }

    fn tells_runs(&self) -> bool {
        false
    }

    fn links_pages(&self) -> bool {
        false
    }

    fn token_prefixes(&self) -> [&'static str; 3] {
        ["", "", "BBDC-"]
    }

    fn full_scopes(&self) -> &'static [&'static str] {
        &["PROJECT_ADMIN", "REPO_ADMIN"]
    }

    fn read_only(&self) -> (TokenKind, &'static [&'static str]) {
        (TokenKind::Personal, &["PROJECT_READ", "REPO_READ"])
    }

    fn identity_scopes(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_events(&self) -> &'static [&'static str] {
        &["repo:refs_changed", "pr:opened", "pr:from_ref_updated"]
    }

    fn counts_run_attempts(&self) -> bool {
        false
    }

    fn delivery_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn triggers(&self) -> [&'static str; 2] {
        ["pull_request", "upstream"]
    }

    fn route(&self, world: &mut World, request: &Incoming) -> Outcome {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let answer = match segments.as_slice() {
            ["rest", "oauth2", "latest", rest @ ..] => {
                // Before 7.20 there is no such thing, for anybody.
                if version(world) >= (7, 20) { oauth::route(world, request, rest) } else { Ok(unknown()) }
            }
            ["rest", rest @ ..] => rest_api(world, request, rest),
            ["jenkins" | "bamboo" | "teamcity", ..] => Ok(ci_servers::route(world, request, &segments)),
            _ => Ok(unknown()),
        };
        answer.unwrap_or_else(|refusal| Outcome::Reply(*refusal))
    }

    fn is_api(&self, path: &str) -> bool {
        path.starts_with("/rest/")
    }

    fn error(&self, status: u16) -> Reply {
        match status {
            401 => bad_credentials(),
            404 => error(404, "The requested resource does not exist", "NoSuchRepositoryException"),
            409 => error(409, "A conflict occurred", "DuplicateEntityException"),
            _ => error(status, "An internal error has occurred", "InternalServerErrorException"),
        }
    }

    fn rate_limited(&self, _limit: Option<&RateLimit>, retry_after: Option<u64>) -> Reply {
        let reply = error(429, "You have been rate limited.", "RateLimitedException");
        match retry_after {
            Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
            None => reply,
        }
    }

    /// Data Center tells nothing beforehand.
    fn with_rate_headers(&self, reply: Reply, _limit: &RateLimit) -> Reply {
        reply
    }

    fn messages(&self, world: &World, run: &Run) -> Vec<Message> {
        payload::messages(world, run)
    }

    fn sign(&self, world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
        hooks::sign(world, hook, message, delivery_id)
    }

    /// The circuit breaker: after five failures in a row a pause of ten seconds that doubles up to ten hours.
    fn settle(&self, world: &mut World, hook_id: u64, outcome: &DeliveryOutcome) {
        let (now, is_on) = (world.now(), world.auto_disables_hooks);
        let Some(hook) = world.hooks.get_mut(&hook_id) else { return };
        hook.last_status = outcome.status;
        if outcome.is_success() {
            hook.failures = 0;
            hook.disabled_until = None;
            return;
        }
        hook.failures += 1;
        if is_on && hook.failures >= 5 {
            let doublings = (hook.failures - 5).min(12);
            hook.disabled_until = Some(shift(now, (10_i64 << doublings).min(36_000)));
        }
    }
}

fn rest_api(world: &mut World, request: &Incoming, segments: &[&str]) -> Answer {
    let method = request.method.as_str();
    // These two tell everybody.
    match (method, segments) {
        ("GET", ["api", "1.0" | "latest", "application-properties"]) => {
            return Ok(Reply::json(
                200,
                &json!({
                    "version": world.version, "buildNumber": "9004003", "buildDate": "1730000000000",
                    "displayName": "Bitbucket",
                }),
            )
            .into());
        }
        ("GET", ["capabilities"]) => return Ok(Reply::json(200, &json::capabilities(world)).into()),
        _ => {}
    }
    let caller = access::authenticate(world, request)?;
    if method != "GET" && request.header("x-atlassian-token") != Some("no-check") {
        return Err(Box::new(caller.named(error(403, "XSRF check failed", "XsrfException"))));
    }
    let answer = match (method, segments) {
        ("GET", ["webhooks", "latest", "capabilities"]) => {
            Ok(Reply::json(200, &json::webhook_capabilities(world)).into())
        }
        ("GET", ["build", "capabilities"]) => {
            let builds: &[&str] = if version(world) >= (7, 4) { &["richBuildStatus"] } else { &[] };
            Ok(Reply::json(200, &json!({ "buildStatus": builds })).into())
        }
        (_, ["build-status", "1.0", "commits", rest @ ..]) => {
            builds::commit_global(world, request, &caller, rest)
        }
        (_, ["insights", "latest", "projects", project, "repos", slug, rest @ ..]) => {
            repos::find(world, &caller, project, slug)
                .and_then(|repo| feedback::insights(world, request, &caller, &repo, rest))
        }
        (_, ["api", "1.0" | "latest", rest @ ..]) => repos::route(world, request, &caller, rest),
        _ => Ok(unknown()),
    };
    let outcome = match answer {
        Ok(outcome) => outcome,
        Err(refusal) => Outcome::Reply(*refusal),
    };
    Ok(match outcome {
        Outcome::Reply(reply) => Outcome::Reply(caller.named(reply)),
        Outcome::Unknown(reply) => Outcome::Unknown(caller.named(reply)),
        other => other,
    })
}

/// Major and minor.
fn version(world: &World) -> (u32, u32) {
    let mut numbers = world.version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn unknown() -> Outcome {
    let body = "<?xml version=\"1.0\"?><status><status-code>404</status-code></status>";
    Outcome::Unknown(Reply::bytes(404, "application/xml", body.into()))
}

fn error(status: u16, message: &str, exception: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "errors": [{
        "context": null,
        "message": message,
        "exceptionName": format!("com.atlassian.bitbucket.{exception}"),
    }] }),
    )
}

fn refuse(status: u16, message: &str, exception: &str) -> Box<Reply> {
    Box::new(error(status, message, exception))
}

fn bad_credentials() -> Reply {
    error(
        401,
        "Authentication failed. Please check your credentials and try again.",
        "auth.IncorrectPasswordAuthenticationException",
    )
}

/// `start` and `limit` paging. The next start is no place in the list, so that whoever adds the limit goes astray;
/// more than 100 at a time are never given, whatever was asked for.
fn page<T>(request: &Incoming, items: &[T], show: impl Fn(&T) -> Value) -> Reply {
    const SHIFT: usize = 7;
    let number = |name: &str| request.query(name).and_then(|text| text.parse::<usize>().ok());
    let start = number("start").unwrap_or(0);
    let limit = number("limit").unwrap_or(25).clamp(1, 100);
    let first = start.saturating_sub(SHIFT).min(items.len());
    let end = items.len().min(first + limit);
    let shown: Vec<Value> = items.get(first..end).unwrap_or_default().iter().map(show).collect();
    let is_last = end >= items.len();
    let next = if is_last { Value::Null } else { json!(end + SHIFT) };
    Reply::json(
        200,
        &json!({
            "size": shown.len(), "limit": limit, "isLastPage": is_last, "values": shown, "start": start,
            "nextPageStart": next,
        }),
    )
}
