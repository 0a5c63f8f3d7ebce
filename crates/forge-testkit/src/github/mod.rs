//! The fake GitHub.

mod access;
mod actions;
mod apps;
mod changes;
mod checks;
mod feedback;
mod hooks;
mod json;
mod oauth;
mod payload;
mod repos;

use std::{fmt, io, ops::Deref, time::Duration};

use forge_core::{AppManifest, ForgeKind};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest},
    dialect::{Dialect, Outcome},
    fake::{Fake, FakeOptions},
    send::send,
    spec::TokenKind,
    wire::{Incoming, Reply, with_query},
    world::{Hook, RateLimit, Run, World, header_text},
};

pub use apps::FakeApp;
pub(crate) use apps::State;
pub use checks::FakeCheckRun;

/// A fake GitHub on loopback, shaped as an Enterprise Server: the API is below `{base}/api/v3`, OAuth below
/// `{base}/login/oauth`.
///
/// Everything that can be arranged and asked is on [`Fake`], to which this dereferences.
pub struct FakeGitHub(Fake);

impl FakeGitHub {
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
        Self::try_start(options).await.expect("a loopback port for the fake GitHub")
    }

    /// Starts one, or says why not.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub async fn try_start(options: &FakeOptions) -> io::Result<Self> {
        let fake = Fake::start(Box::new(GitHub), options, "3.19.1").await?;
        fake.set_log_redirect(true);
        Ok(Self(fake))
    }
}

/// # Apps
///
/// Every app has the same private key, a test key. Its installations see the repositories of one owner.
impl FakeGitHub {
    /// Makes an app with the permissions that this product asks for.
    #[must_use]
    pub fn add_app(&self, slug: &str) -> FakeApp {
        self.0.world().add_app(slug)
    }

    /// An app by its name in addresses, e.g. one that was made from a manifest.
    #[must_use]
    pub fn find_app(&self, slug: &str) -> Option<FakeApp> {
        self.0.world().find_app(slug)
    }

    /// Installs an app on an owner's repositories; gives the installation's id.
    #[must_use]
    pub fn install_app(&self, app_id: &str, owner: &str) -> String {
        self.0.world().install_app(app_id, owner)
    }

    /// Suspends an installation, or lifts that.
    pub fn suspend_installation(&self, installation_id: &str, is_suspended: bool) {
        self.0.world().suspend_installation(installation_id, is_suspended);
    }

    /// Removes an installation; its tokens die with it.
    pub fn delete_installation(&self, installation_id: &str) {
        self.0.world().delete_installation(installation_id);
    }

    /// What the owner has granted, e.g. `[("actions", "read")]`, for the tokens minted from now on.
    pub fn set_installation_permissions(&self, installation_id: &str, permissions: &[(&str, &str)]) {
        self.0.world().set_installation_permissions(installation_id, permissions);
    }

    /// Life of the installation tokens minted from now on; an hour at first.
    pub fn set_installation_token_lifetime(&self, lifetime: Duration) {
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        self.0.world().set_installation_token_seconds(seconds);
    }

    /// How many installation tokens were minted.
    #[must_use]
    pub fn minted_tokens(&self) -> usize {
        self.0.world().minted_tokens()
    }

    /// The check runs of all repositories, oldest first.
    #[must_use]
    pub fn check_runs(&self) -> Vec<FakeCheckRun> {
        self.0.world().github.check_runs.clone()
    }

    /// Plays the browser: posts the manifest, says yes, and gives the address that it was sent back to.
    ///
    /// # Errors
    /// When the fake shows an error page instead of sending the browser back; the text is the page's.
    pub async fn submit_manifest(&self, manifest: &AppManifest) -> io::Result<url::Url> {
        let manifest_text = manifest.manifest.to_string();
        let body: String = url::form_urlencoded::byte_serialize(manifest_text.as_bytes()).collect();
        let body = format!("manifest={body}");
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
        let limit = Duration::from_secs(5);
        let (status, headers, page) =
            send(Method::POST, &manifest.create_url, &headers, body.into(), limit).await?;
        if !status.is_redirection() {
            return Err(io::Error::other(format!("{status}: {}", String::from_utf8_lossy(&page))));
        }
        url::Url::parse(&header_text(&headers, "location")).map_err(io::Error::other)
    }
}

impl Deref for FakeGitHub {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.0
    }
}

impl AsRef<Fake> for FakeGitHub {
    fn as_ref(&self) -> &Fake {
        &self.0
    }
}

impl fmt::Debug for FakeGitHub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FakeGitHub({})", self.0.base_url())
    }
}

/// A refusal, boxed because most answers are not one.
type Answer = Result<Outcome, Box<Reply>>;

const API: &str = "/api/v3";

#[derive(Debug)]
struct GitHub;

impl Dialect for GitHub {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITHUB
    }

    fn ci_config_path(&self) -> Option<&'static str> {
        Some(".github/workflows/ci.yml")
    }

    fn token_prefixes(&self) -> [&'static str; 3] {
        ["gho_", "ghr_", "ghp_"]
    }

    fn full_scopes(&self) -> &'static [&'static str] {
        &["repo", "read:user"]
    }

    fn read_only(&self) -> (TokenKind, &'static [&'static str]) {
        let scopes = &[
            "actions:read",
            "contents:read",
            "issues:read",
            "pull_requests:read",
            "statuses:read",
            "repository_hooks:read",
        ];
        (TokenKind::FineGrained, scopes)
    }

    fn identity_scopes(&self) -> &'static [&'static str] {
        &["read:user"]
    }

    fn default_events(&self) -> &'static [&'static str] {
        &["workflow_run", "workflow_job"]
    }

    fn greets_hooks(&self) -> bool {
        true
    }

    fn counts_run_attempts(&self) -> bool {
        true
    }

    fn delivery_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn triggers(&self) -> [&'static str; 2] {
        ["pull_request", "workflow_dispatch"]
    }

    fn route(&self, world: &mut World, request: &Incoming) -> Outcome {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["settings", "apps", "new"] | ["organizations", _, "settings", "apps", "new"]
                if request.method == Method::POST =>
            {
                apps::create_page(world, request)
            }
            ["login", "oauth", rest @ ..] => oauth::pages(world, request, rest),
            ["api", "v3", rest @ ..] => {
                api(world, request, rest).unwrap_or_else(|refusal| Outcome::Reply(*refusal))
            }
            _ => unknown(),
        }
    }

    fn is_api(&self, path: &str) -> bool {
        path.starts_with("/api/")
    }

    fn error(&self, status: u16) -> Reply {
        let text = match status {
            401 => "Bad credentials",
            403 => "Resource not accessible by personal access token",
            404 => "Not Found",
            409 => "Conflict",
            410 => "Gone",
            422 => "Validation Failed",
            503 => "Service unavailable",
            _ => "Server Error",
        };
        message(status, text)
    }

    /// The primary limit is a 403 with nothing remaining; the secondary one a 429 that may have plenty left.
    fn rate_limited(&self, limit: Option<&RateLimit>, retry_after: Option<u64>) -> Reply {
        match limit {
            Some(limit) => {
                self.with_rate_headers(message(403, "API rate limit exceeded for user ID 1."), limit)
            }
            None => {
                let text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
                let reply = message(429, text).with_header("x-ratelimit-remaining", "4900");
                match retry_after {
                    Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
                    None => reply,
                }
            }
        }
    }

    fn with_rate_headers(&self, reply: Reply, limit: &RateLimit) -> Reply {
        reply
            .with_header("x-ratelimit-limit", &limit.limit.to_string())
            .with_header("x-ratelimit-remaining", &limit.remaining.to_string())
            .with_header("x-ratelimit-used", &limit.limit.saturating_sub(limit.remaining).to_string())
            .with_header("x-ratelimit-reset", &limit.resets_at.as_second().to_string())
            .with_header("x-ratelimit-resource", "core")
    }

    fn messages(&self, world: &World, run: &Run) -> Vec<Message> {
        payload::messages(world, run)
    }

    fn sign(&self, world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest {
        hooks::sign(world, hook, message, delivery_id)
    }

    /// GitHub remembers the outcome, and neither retries nor switches the hook off.
    fn settle(&self, world: &mut World, hook_id: u64, outcome: &DeliveryOutcome) {
        if let Some(hook) = world.hooks.get_mut(&hook_id) {
            hook.last_status = Some(outcome.status.unwrap_or(502));
            hook.failures = if outcome.is_success() { 0 } else { hook.failures + 1 };
        }
    }
}

fn api(world: &mut World, request: &Incoming, segments: &[&str]) -> Answer {
    if request.header("user-agent").is_none_or(str::is_empty) {
        return Err(Box::new(message(403, "Request forbidden by administrative rules.")));
    }
    if request.header("x-github-api-version").is_some_and(|version| version != "2022-11-28") {
        return Err(Box::new(message(400, "Bad Request: unsupported API version")));
    }
    if let ["applications", client_id, rest @ ..] = segments {
        return oauth::applications(world, request, client_id, rest);
    }
    if apps::is_for_apps(segments) {
        return apps::route(world, request, segments);
    }
    let caller = access::authenticate(world, request)?;
    let outcome = match (request.method.as_str(), segments) {
        (_, ["user", ..]) if caller.installation.is_some() => {
            Err(refuse(403, "Resource not accessible by integration"))
        }
        ("GET", ["installation", "repositories"]) => apps::as_installation(world, request, &caller),
        ("GET", ["user"]) => Ok(Reply::json(200, &json::user(world, caller.user_id)).into()),
        ("GET", ["meta"]) => {
            let body = json!({ "installed_version": world.version, "hooks": ["127.0.0.0/8"] });
            Ok(Reply::json(200, &body).into())
        }
        ("GET", ["rate_limit"]) => Ok(Reply::json(200, &rate(world)).into()),
        ("GET", ["user", "repos"]) => Ok(repos::list(world, request, &caller, None).into()),
        ("GET", ["orgs" | "users", owner, "repos"]) => {
            Ok(repos::list(world, request, &caller, Some(owner)).into())
        }
        (_, ["repos" | "repositories", ..]) => repos::route(world, request, &caller, segments),
        _ => Ok(unknown()),
    };
    Ok(caller.with_headers(outcome.unwrap_or_else(|refusal| Outcome::Reply(*refusal))))
}

fn rate(world: &World) -> Value {
    let limit = world.rate_limit;
    json!({ "resources": { "core": {
        "limit": limit.map_or(5000, |limit| limit.limit),
        "remaining": limit.map_or(5000, |limit| limit.remaining),
        "reset": limit.map_or_else(|| world.now().as_second() + 3600, |limit| limit.resets_at.as_second()),
    } } })
}

/// What GitHub says to a path that it does not have, and to one that the caller may not see.
fn unknown() -> Outcome {
    Outcome::Unknown(message(404, "Not Found"))
}

fn message(status: u16, text: &str) -> Reply {
    let body = json!({
        "message": text,
        "documentation_url": "https://docs.example/rest",
        "status": status.to_string(),
    });
    Reply::json(status, &body)
}

fn refuse(status: u16, text: &str) -> Box<Reply> {
    Box::new(message(status, text))
}

/// A 422 that names the field.
fn invalid(text: &str, field: &str, problem: &str) -> Box<Reply> {
    Box::new(Reply::json(
        422,
        &json!({
            "message": text,
            "errors": [{ "resource": "Object", "field": field, "code": "custom", "message": problem }],
            "documentation_url": "https://docs.example/rest",
            "status": "422",
        }),
    ))
}

/// Page-numbered listing with a `Link` header; `wrap` names the list inside an object with its total count.
fn page<T>(
    world: &World,
    request: &Incoming,
    items: &[T],
    wrap: Option<&str>,
    show: impl Fn(&T) -> Value,
) -> Reply {
    let (number, size) = request.paging(30);
    let pages = items.len().div_ceil(size).max(1);
    let start = (number - 1).saturating_mul(size).min(items.len());
    let shown = items.get(start..items.len().min(start + size)).unwrap_or_default();
    let list = Value::Array(shown.iter().map(show).collect());
    let body = match wrap {
        Some(name) => {
            let mut object = serde_json::Map::new();
            object.insert("total_count".to_owned(), json!(items.len()));
            object.insert(name.to_owned(), list);
            Value::Object(object)
        }
        None => list,
    };
    let reply = Reply::json(200, &body);
    let url = match &world.foreign_next_link {
        Some(origin) => format!("{origin}{}", request.path),
        None => format!("{}{}", world.base_url, request.path),
    };
    let link_to = |page: usize| with_query(&url, request.raw_query.as_deref(), "page", &page.to_string());
    let mut links = Vec::new();
    if number > 1 {
        links.push(format!("<{}>; rel=\"prev\"", link_to(number - 1)));
        links.push(format!("<{}>; rel=\"first\"", link_to(1)));
    }
    if number < pages {
        links.push(format!("<{}>; rel=\"next\"", link_to(number + 1)));
        links.push(format!("<{}>; rel=\"last\"", link_to(pages)));
    }
    if links.is_empty() { reply } else { reply.with_header("link", &links.join(", ")) }
}
