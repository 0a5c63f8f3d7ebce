//! Fakes of forges that this crate does not know: the surface for adapters written elsewhere.

use std::{fmt::Debug, io, time::Duration};

use bytes::Bytes;
use forge_core::ForgeKind;
use http::{HeaderMap, Request, Response};

use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest, put},
    dialect::{Dialect, Outcome},
    fake::{Fake, FakeOptions},
    spec::{State, TokenKind},
    wire::{Incoming, Reply, ReplyBody},
    world::{self, RateLimit, World},
};

/// How a forge of your own speaks: what differs from forge to forge, and no more.
///
/// Everything else is the fake's: users, tokens, repositories, runs, hooks, faults, and the record of what was asked. Start
/// it with [`Fake::start_own`]. It plays a forge with repositories, webhooks and runs as their subject; claims that go
/// further (CI, feedback, OAuth) have no part of the state here yet, so an adapter that makes them cannot pass the suite
/// against such a fake.
pub trait OwnForge: Debug + Send + Sync + 'static {
    /// Which forge this is, e.g. `ForgeKind::custom("anvil")`.
    fn kind(&self) -> ForgeKind;

    /// Answers a request, whose path is below the base URL. `None`: there is no such path, which is remembered in
    /// [`Fake::unknown_requests`] and answered with [`OwnForge::error`] of 404.
    fn answer(&self, state: &FakeState<'_>, request: &Request<Bytes>) -> Option<Response<Bytes>>;

    /// What an error of this status looks like.
    fn error(&self, status: u16) -> Response<Bytes>;

    /// What is sent to hooks for a run as it is now, the one about the run itself first.
    fn messages(&self, run: &FakeRun) -> Vec<Message>;

    /// The headers of a delivery: its event, its id where the forge has one, and its proof where the hook has a secret.
    fn headers(&self, message: &Message, secret: Option<&str>, delivery_id: &str) -> HeaderMap;

    /// Whether listings name their next page by an address, which could lead elsewhere.
    fn links_pages(&self) -> bool {
        false
    }

    /// Whether there are deliveries about single jobs.
    fn sends_job_events(&self) -> bool {
        false
    }
}

/// A look at the fake's state while it answers.
#[derive(Debug)]
pub struct FakeState<'a>(&'a World);

impl FakeState<'_> {
    /// Whose token this is; `None` when it is unknown, revoked or expired.
    #[must_use]
    pub fn login(&self, token: &str) -> Option<String> {
        let token = self.0.tokens.get(token)?;
        let is_good = !token.is_revoked && token.expires_at.is_none_or(|at| at > self.0.now());
        is_good.then(|| self.0.login(token.user_id))
    }

    /// All repositories that this user may see, oldest first.
    #[must_use]
    pub fn repos(&self, login: &str) -> Vec<FakeRepo> {
        let user = self.0.users.iter().find(|user| user.login == login).map(|user| user.id);
        let Some(user) = user else { return Vec::new() };
        self.0.repos.values().filter(|repo| repo.access_of(user) > 0).map(FakeRepo::of).collect()
    }

    /// One repository that this user may see, by its id, or by its name now or formerly.
    #[must_use]
    pub fn repo(&self, login: &str, id_or_name: &str) -> Option<FakeRepo> {
        let named = self.0.repos_by_name.get(&id_or_name.to_lowercase()).map(u64::to_string);
        let id = named.unwrap_or_else(|| id_or_name.to_owned());
        self.repos(login).into_iter().find(|repo| repo.id == id)
    }
}

/// A repository as it stands at a fake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeRepo {
    /// The forge's id.
    pub id: String,
    /// The full name now.
    pub full_name: String,
    /// Whether it is read-only.
    pub is_archived: bool,
}

impl FakeRepo {
    fn of(repo: &world::Repo) -> Self {
        Self { id: repo.id.to_string(), full_name: repo.full_name.clone(), is_archived: repo.is_archived }
    }
}

/// A run as it stands at a fake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeRun {
    /// The forge's id.
    pub id: String,
    /// Where it ran.
    pub repo: FakeRepo,
    /// The commit.
    pub sha: String,
    /// The branch.
    pub branch: String,
    /// How it stands.
    pub state: State,
}

impl Fake {
    /// Starts the fake of a forge of your own, at the root of its host.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub async fn start_own(forge: impl OwnForge) -> io::Result<Self> {
        Self::start(Box::new(Own(Box::new(forge))), &FakeOptions::new(), "").await
    }
}

#[derive(Debug)]
struct Own(Box<dyn OwnForge>);

impl Dialect for Own {
    fn kind(&self) -> ForgeKind {
        self.0.kind()
    }

    fn sends_job_events(&self) -> bool {
        self.0.sends_job_events()
    }

    fn links_pages(&self) -> bool {
        self.0.links_pages()
    }

    fn token_prefixes(&self) -> [&'static str; 3] {
        ["oauth-", "refresh-", "token-"]
    }

    fn full_scopes(&self) -> &'static [&'static str] {
        &["write"]
    }

    fn read_only(&self) -> (TokenKind, &'static [&'static str]) {
        (TokenKind::Personal, &["read"])
    }

    fn identity_scopes(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_events(&self) -> &'static [&'static str] {
        &[]
    }

    fn counts_run_attempts(&self) -> bool {
        false
    }

    fn delivery_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn triggers(&self) -> [&'static str; 2] {
        ["pull_request", "parent"]
    }

    fn route(&self, world: &mut World, request: &Incoming) -> Outcome {
        let answer = whole(request).and_then(|request| self.0.answer(&FakeState(world), &request));
        answer.map_or_else(|| Outcome::Unknown(self.error(404)), |answer| reply(answer).into())
    }

    fn is_api(&self, _path: &str) -> bool {
        true
    }

    fn error(&self, status: u16) -> Reply {
        reply(self.0.error(status))
    }

    fn rate_limited(&self, _limit: Option<&RateLimit>, retry_after: Option<u64>) -> Reply {
        let reply = self.error(429);
        match retry_after {
            Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
            None => reply,
        }
    }

    fn with_rate_headers(&self, reply: Reply, _limit: &RateLimit) -> Reply {
        reply
    }

    fn messages(&self, world: &World, run: &world::Run) -> Vec<Message> {
        let Some(repo) = world.repo(run.repo_id) else { return Vec::new() };
        self.0.messages(&FakeRun {
            id: self.run_id(run),
            repo: FakeRepo::of(repo),
            sha: run.sha.clone(),
            branch: run.branch.clone(),
            state: run.state,
        })
    }

    fn sign(
        &self,
        _world: &World,
        hook: &world::Hook,
        message: &Message,
        delivery_id: &str,
    ) -> SignedRequest {
        let mut headers = self.0.headers(message, hook.secret.as_deref(), delivery_id);
        put(&mut headers, "content-type", "application/json");
        SignedRequest {
            hook_id: hook.id,
            delivery_id: delivery_id.to_owned(),
            message: message.clone(),
            url: hook.url.clone(),
            headers,
        }
    }

    fn settle(&self, _world: &mut World, _hook_id: u64, _outcome: &DeliveryOutcome) {}
}

/// The request with its query, as the `http` crate has it.
fn whole(request: &Incoming) -> Option<Request<Bytes>> {
    let query = request.raw_query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let mut whole = Request::builder()
        .method(request.method.clone())
        .uri(format!("{}{query}", request.path))
        .body(request.body.clone())
        .ok()?;
    *whole.headers_mut() = request.headers.clone();
    Some(whole)
}

fn reply(answer: Response<Bytes>) -> Reply {
    let (parts, body) = answer.into_parts();
    Reply { status: parts.status, headers: parts.headers, body: ReplyBody::Bytes(body) }
}
