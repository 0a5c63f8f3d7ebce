//! The fake Bitbucket Cloud.

mod access;
mod changes;
mod feedback;
mod hooks;
mod json;
mod oauth;
mod payload;
mod pipelines;
mod repos;

use std::{
    fmt, io,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use forge_core::ForgeKind;
use serde_json::{Value, json};

use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest},
    dialect::{Dialect, Outcome},
    fake::{Fake, FakeOptions},
    spec::TokenKind,
    wire::{Incoming, Reply, with_query},
    world::{Hook, Job, RateLimit, Run, World},
};

/// A fake Bitbucket Cloud on loopback: the API is below `{base}/2.0`, OAuth below `{base}/site/oauth2`.
///
/// Everything that can be arranged and asked is on [`Fake`], to which this dereferences. Kinds of token: `Personal` is
/// an Atlassian API token and goes as HTTP Basic with the mail address `{login}@example.com`; `FineGrained` is an
/// access token of a repository, project or workspace, a Bearer that has no user and cannot list workspaces.
pub struct FakeBitbucketCloud {
    fake: Fake,
    state: Arc<Mutex<State>>,
}

/// A Code Insights report as it stands at the fake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeReport {
    /// The repository's number.
    pub repo_id: u64,
    /// The commit.
    pub sha: String,
    /// The id that its writer chose.
    pub id: String,
    /// All that was sent, as JSON text.
    pub body: String,
}

/// What only this fake remembers, and which of the readings of unclear documents it follows.
#[derive(Debug)]
pub(crate) struct State {
    resolves_build_numbers: bool,
    knows_bare_uuids: bool,
    strips_html_comments: bool,
    shows_tls_field: bool,
    tells_scopes: bool,
    says_scopes: bool,
    links_commits: bool,
    reports: Vec<FakeReport>,
}

impl FakeBitbucketCloud {
    /// Starts one at the root of its host.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start() -> Self {
        Self::start_with(&FakeOptions::new()).await
    }

    /// Starts one under a path.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[expect(clippy::expect_used, reason = "a test without a loopback port cannot go on")]
    pub async fn start_with(options: &FakeOptions) -> Self {
        Self::try_start(options).await.expect("a loopback port for the fake Bitbucket Cloud")
    }

    /// Starts one, or says why not.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub async fn try_start(options: &FakeOptions) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            resolves_build_numbers: false,
            knows_bare_uuids: true,
            strips_html_comments: false,
            shows_tls_field: false,
            tells_scopes: true,
            says_scopes: false,
            links_commits: false,
            reports: Vec::new(),
        }));
        let dialect = Box::new(BitbucketCloud { state: Arc::clone(&state) });
        let fake = Fake::start(dialect, options, "cloud").await?;
        {
            let mut world = fake.world();
            world.redirects_logs = true;
            // Access tokens live two hours; there is no grant without a refresh token.
            world.grants.lifetime = Some(Duration::from_secs(7200));
        }
        Ok(Self { fake, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `/pipelines/{build_number}` works; the API description knows UUIDs only, and so does this at first.
    pub fn set_build_numbers_resolved(&self, is_on: bool) {
        self.state().resolves_build_numbers = is_on;
    }

    /// Whether `/repositories/{}/{uuid}` works; at first it does.
    pub fn set_bare_uuids_known(&self, is_on: bool) {
        self.state().knows_bare_uuids = is_on;
    }

    /// Whether HTML comments are cut out of what is posted; at first they stay.
    pub fn set_html_comments_stripped(&self, is_on: bool) {
        self.state().strips_html_comments = is_on;
    }

    /// Whether hooks show `skip_cert_verification`; at first not.
    pub fn set_tls_field_shown(&self, is_on: bool) {
        self.state().shows_tls_field = is_on;
    }

    /// Whether answers carry `X-OAuth-Scopes`; at first they do.
    pub fn set_scopes_told(&self, is_on: bool) {
        self.state().tells_scopes = is_on;
    }

    /// Whether token answers have the old field `scopes` instead of `scope`.
    pub fn set_old_scope_field(&self, is_on: bool) {
        self.state().says_scopes = is_on;
    }

    /// Whether the app that links commits to pull requests is installed; at first not, so that asking is a 404.
    pub fn set_commits_linked(&self, is_on: bool) {
        self.state().links_commits = is_on;
    }

    /// The Code Insights reports, oldest first.
    #[must_use]
    pub fn reports(&self) -> Vec<FakeReport> {
        self.state().reports.clone()
    }
}

impl Deref for FakeBitbucketCloud {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.fake
    }
}

impl AsRef<Fake> for FakeBitbucketCloud {
    fn as_ref(&self) -> &Fake {
        &self.fake
    }
}

impl fmt::Debug for FakeBitbucketCloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FakeBitbucketCloud({})", self.fake.base_url())
    }
}

/// A refusal, boxed because most answers are not one.
type Answer = Result<Outcome, Box<Reply>>;

#[derive(Debug)]
struct BitbucketCloud {
    state: Arc<Mutex<State>>,
}

impl Dialect for BitbucketCloud {
    fn kind(&self) -> ForgeKind {
        ForgeKind::BITBUCKET_CLOUD
    }

    fn repo_id(&self, id: u64) -> String {
        json::uuid(json::REPO, id)
    }

    fn run_id(&self, run: &Run) -> String {
        run.number.to_string()
    }

    fn job_id(&self, world: &World, job: &Job) -> String {
        let number = world.runs.get(&job.run_id).map_or(0, |run| run.number);
        format!("{number}:{}:{}", json::step_uuid(world, job), job.attempt)
    }

    fn hook_id(&self, id: u64) -> String {
        json::uuid(json::HOOK, id)
    }

    fn archives(&self) -> bool {
        false
    }

    fn sends_job_events(&self) -> bool {
        false
    }

    /// The workspaces.
    fn requests_before_repos(&self) -> usize {
        1
    }

    fn ci_config_path(&self) -> Option<&'static str> {
        Some("bitbucket-pipelines.yml")
    }

    fn token_prefixes(&self) -> [&'static str; 3] {
        ["", "", "ATATT3"]
    }

    fn full_scopes(&self) -> &'static [&'static str] {
        &[
            "read:user:bitbucket",
            "read:workspace:bitbucket",
            "read:project:bitbucket",
            "read:repository:bitbucket",
            "write:repository:bitbucket",
            "read:pullrequest:bitbucket",
            "write:pullrequest:bitbucket",
            "read:pipeline:bitbucket",
            "read:webhook:bitbucket",
            "write:webhook:bitbucket",
            "delete:webhook:bitbucket",
        ]
    }

    fn read_only(&self) -> (TokenKind, &'static [&'static str]) {
        let scopes = &[
            "read:user:bitbucket",
            "read:workspace:bitbucket",
            "read:project:bitbucket",
            "read:repository:bitbucket",
            "read:pullrequest:bitbucket",
            "read:pipeline:bitbucket",
            "read:webhook:bitbucket",
        ];
        (TokenKind::Personal, scopes)
    }

    fn identity_scopes(&self) -> &'static [&'static str] {
        &["read:user:bitbucket"]
    }

    fn default_events(&self) -> &'static [&'static str] {
        &["repo:commit_status_created", "repo:commit_status_updated"]
    }

    fn counts_run_attempts(&self) -> bool {
        false
    }

    fn delivery_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn triggers(&self) -> [&'static str; 2] {
        ["PUSH", "PARENT_STEP"]
    }

    fn route(&self, world: &mut World, request: &Incoming) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["site", "oauth2", rest @ ..] => oauth::route(world, &state, request, rest),
            ["2.0", rest @ ..] => {
                api(world, &mut state, request, rest).unwrap_or_else(|refusal| Outcome::Reply(*refusal))
            }
            _ => unknown(),
        }
    }

    fn is_api(&self, path: &str) -> bool {
        path.starts_with("/2.0/")
    }

    fn error(&self, status: u16) -> Reply {
        let text = match status {
            401 => "Token is invalid, expired, or not supported for this endpoint.",
            403 => "Access denied. You must have admin access.",
            404 => "There is no API hosted at this URL.",
            410 => "Functionality has been deprecated",
            503 => "Service unavailable",
            _ => "Something went wrong",
        };
        *refuse(status, text)
    }

    fn rate_limited(&self, _limit: Option<&RateLimit>, retry_after: Option<u64>) -> Reply {
        let reply = *refuse(429, "Rate limit for this resource has been exceeded");
        match retry_after {
            Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
            None => reply,
        }
    }

    /// Only access tokens see these, and never how much is left.
    fn with_rate_headers(&self, reply: Reply, limit: &RateLimit) -> Reply {
        reply
            .with_header("x-ratelimit-limit", &limit.limit.to_string())
            .with_header("x-ratelimit-resource", "api-repositories")
            .with_header(
                "x-ratelimit-nearlimit",
                if limit.remaining * 5 < limit.limit { "true" } else { "false" },
            )
    }

    fn messages(&self, world: &World, run: &Run) -> Vec<Message> {
        payload::messages(world, run)
    }

    fn sign(&self, _world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
        hooks::sign(hook, message, delivery_id)
    }

    /// A delivery that failed twice more is lost; the hook stays on.
    fn settle(&self, world: &mut World, hook_id: u64, outcome: &DeliveryOutcome) {
        if let Some(hook) = world.hooks.get_mut(&hook_id) {
            hook.last_status = outcome.status;
            hook.failures = if outcome.is_success() { 0 } else { hook.failures + 1 };
        }
    }
}

fn api(world: &mut World, state: &mut State, request: &Incoming, segments: &[&str]) -> Answer {
    let caller = access::authenticate(world, request)?;
    let outcome = match (request.method.as_str(), segments) {
        // Removed endpoints answer before any scope is looked at.
        ("GET", ["repositories" | "workspaces"] | ["user", "permissions", ..]) => {
            let announcement = "https://developer.atlassian.com/cloud/bitbucket/changelog/#CHANGE-2770";
            let body = json!({ "type": "error", "error": {
                "message": "CHANGE-2770 - Functionality has been deprecated",
                "data": { "announcement_url": announcement },
            } });
            Ok(Reply::json(410, &body).into())
        }
        ("GET", ["user"]) => access::user(world, &caller),
        ("GET", ["user", "workspaces"]) => repos::workspaces(world, request, &caller),
        ("GET", ["repositories", workspace]) => repos::list(world, request, &caller, workspace),
        (_, ["repositories", ..]) => repos::route(world, state, request, &caller, segments),
        _ => Ok(unknown()),
    };
    let outcome = outcome.unwrap_or_else(|refusal| Outcome::Reply(*refusal));
    Ok(if state.tells_scopes { caller.with_scopes(outcome) } else { outcome })
}

/// What Bitbucket says to a path that it does not have.
fn unknown() -> Outcome {
    Outcome::Unknown(*refuse(
        404,
        "There is no API hosted at this URL.\n\nFor information about our API's, please refer to the documentation",
    ))
}

fn refuse(status: u16, message: &str) -> Box<Reply> {
    Box::new(Reply::json(status, &json!({ "type": "error", "error": { "message": message } })))
}

/// A page with its `next` address. A page size above the most is refused, one above the list's own most is not kept.
fn page<T>(
    world: &World,
    request: &Incoming,
    items: &[T],
    most: usize,
    show: impl Fn(&T) -> Value,
) -> Answer {
    let number = |name: &str| request.query(name).and_then(|text| text.parse::<usize>().ok());
    let wanted = number("pagelen").unwrap_or(10);
    if wanted == 0 || wanted > 100 {
        return Err(refuse(400, "Invalid pagelen"));
    }
    let size = wanted.min(most);
    let page = number("page").unwrap_or(1).max(1);
    let start = (page - 1).saturating_mul(size).min(items.len());
    let end = items.len().min(start + size);
    let shown = items.get(start..end).unwrap_or_default();
    let mut body = json!({
        "values": shown.iter().map(show).collect::<Vec<_>>(),
        "pagelen": size,
        "page": page,
        "size": items.len(),
    });
    if end < items.len()
        && let Some(object) = body.as_object_mut()
    {
        let base = world.foreign_next_link.as_ref().unwrap_or(&world.base_url);
        let url = format!("{base}{}", request.path);
        let next = with_query(&url, request.raw_query.as_deref(), "page", &(page + 1).to_string());
        object.insert("next".to_owned(), json!(next));
    }
    Ok(Reply::json(200, &body).into())
}

/// The terms of a `q`: `field="value"` joined by `AND`, with backslashes before quotes.
fn terms(text: &str) -> Result<Vec<(String, String)>, Box<Reply>> {
    let bad = || refuse(400, "Invalid query");
    let mut terms = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (field, after) = rest.split_once('=').ok_or_else(bad)?;
        let after = after.trim_start().strip_prefix('"').ok_or_else(bad)?;
        let (mut value, mut end, mut is_escaped) = (String::new(), None, false);
        for (index, character) in after.char_indices() {
            match character {
                _ if is_escaped => {
                    value.push(character);
                    is_escaped = false;
                }
                '\\' => is_escaped = true,
                '"' => {
                    end = Some(index + 1);
                    break;
                }
                _ => value.push(character),
            }
        }
        terms.push((field.trim().to_owned(), value));
        rest = after.get(end.ok_or_else(bad)?..).unwrap_or_default().trim();
        if !rest.is_empty() {
            rest = rest.strip_prefix("AND").ok_or_else(bad)?.trim_start();
        }
    }
    Ok(terms)
}
