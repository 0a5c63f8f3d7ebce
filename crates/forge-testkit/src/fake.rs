//! What every fake forge has in common: how to arrange its state, provoke its faults, and see what was asked of it.

#![expect(
    clippy::disallowed_methods,
    reason = "the secret is used here, where it goes into a request, a cipher or a hash"
)]

mod changes;
mod observe;

use std::{io, sync::Arc, time::Duration};

use forge_core::{ForgeKind, Instance};
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest},
    dialect::Dialect,
    grants::App,
    record::Listener,
    runs,
    send::send,
    server::{Server, Shared, bind, serve},
    spec::{
        HookSetup, JobSpec, Log, PullHandle, PullSpec, RegisteredApp, RepoHandle, RunHandle, RunSpec, State,
        TokenKind, TokenSpec,
    },
    world::{Hook, Pull, Repo, Token, World, random_hex},
};

/// How to start a fake.
#[derive(Debug, Clone)]
pub struct FakeOptions {
    pub(crate) root: String,
    pub(crate) version: Option<String>,
}

impl FakeOptions {
    /// At the root of its host, in its newest version.
    #[must_use]
    pub fn new() -> Self {
        Self { root: String::new(), version: None }
    }

    /// Under a path such as `/gitlab`.
    #[must_use]
    pub fn with_root(mut self, root: &str) -> Self {
        let root = root.trim_matches('/');
        self.root = if root.is_empty() { String::new() } else { format!("/{root}") };
        self
    }

    /// The version it says it has, e.g. `18.4.0` or `19.2.0-ee`.
    #[must_use]
    pub fn with_version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }
}

impl Default for FakeOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A fake forge on loopback, whichever one. Dropping it stops it and closes all its connections.
///
/// All methods take `&self`: a test may hold it in an `Arc` and change it while requests run.
#[derive(Debug)]
pub struct Fake {
    shared: Arc<Shared>,
    base_url: Url,
    _forge: Server,
    _blob_store: Server,
}

impl Fake {
    pub(crate) async fn start(
        dialect: Box<dyn Dialect>,
        options: &FakeOptions,
        newest: &str,
    ) -> io::Result<Self> {
        let (forge, blob_store) = (bind().await?, bind().await?);
        let base = format!("http://{}{}", forge.local_addr()?, options.root);
        let blob = format!("http://{}", blob_store.local_addr()?);
        let version = options.version.clone().unwrap_or_else(|| newest.to_owned());
        let base_url = Url::parse(&base).map_err(io::Error::other)?;
        let mut world = World::new(base, blob, version);
        let first = world.add_user("rca-bot");
        world.grants.approver = Some(first);
        let shared = Arc::new(Shared::new(dialect, options.root.clone(), world));
        let _forge = serve(forge, &shared, Listener::Forge);
        let _blob_store = serve(blob_store, &shared, Listener::BlobStore);
        Ok(Self { shared, base_url, _forge, _blob_store })
    }

    pub(crate) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.shared.world()
    }

    pub(crate) fn dialect(&self) -> &dyn Dialect {
        self.shared.dialect.as_ref()
    }
}

/// # Where it is
impl Fake {
    /// Which forge it plays.
    #[must_use]
    pub fn kind(&self) -> ForgeKind {
        self.dialect().kind()
    }

    /// A repository's id as the forge prints it.
    #[must_use]
    pub fn repo_id(&self, repo: u64) -> String {
        self.dialect().repo_id(repo)
    }

    /// A hook's id as the forge prints it.
    #[must_use]
    pub fn hook_id(&self, hook: u64) -> String {
        self.dialect().hook_id(hook)
    }

    /// Whether repositories of this forge can be archived.
    #[must_use]
    pub fn archives(&self) -> bool {
        self.dialect().archives()
    }

    /// Whether this forge sends deliveries about single jobs.
    #[must_use]
    pub fn sends_job_events(&self) -> bool {
        self.dialect().sends_job_events()
    }

    /// Whether this forge's deliveries tell how runs end; where not, a push is the sign to look.
    #[must_use]
    pub fn tells_runs(&self) -> bool {
        self.dialect().tells_runs()
    }

    /// Whether this forge's listings name their next page by an address, which could lead elsewhere.
    #[must_use]
    pub fn links_pages(&self) -> bool {
        self.dialect().links_pages()
    }

    /// Whether this forge's answers name the addresses of logs or artifacts, which could lead elsewhere.
    #[must_use]
    pub fn names_logs(&self) -> bool {
        self.dialect().names_logs()
    }

    /// How many requests a listing of repositories takes before its first page.
    #[must_use]
    pub fn requests_before_repos(&self) -> usize {
        self.dialect().requests_before_repos()
    }

    /// How many requests a listing of repositories takes after its last page, for another list.
    #[must_use]
    pub fn requests_after_repos(&self) -> usize {
        self.dialect().requests_after_repos()
    }

    /// Whether the old name of a repository leads to it.
    #[must_use]
    pub fn redirects_renamed(&self) -> bool {
        self.dialect().redirects_renamed()
    }

    /// Whether a hook that has to be changed gets another id, because hooks can only be made and removed.
    #[must_use]
    pub fn replaces_hooks(&self) -> bool {
        self.dialect().replaces_hooks()
    }

    /// Whether a new hook of this forge gets a delivery at once, to say that it is there.
    #[must_use]
    pub fn greets_hooks(&self) -> bool {
        self.dialect().greets_hooks()
    }

    /// Whether the token endpoint says which scopes were granted.
    #[must_use]
    pub fn tells_scopes(&self) -> bool {
        self.dialect().tells_scopes()
    }

    /// Whether issues can be labelled by the names of labels.
    #[must_use]
    pub fn labels_issues(&self) -> bool {
        self.dialect().labels_issues()
    }

    /// The web address, as a person gives it.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// The instance as adapters take it.
    ///
    /// # Panics
    /// Never: the base URL is a valid instance address.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a loopback address with a path is always an instance")]
    pub fn instance(&self) -> Instance {
        Instance::new(self.base_url.as_str()).expect("a loopback address is an instance")
    }

    /// The address of the storage that logs are redirected to: another origin.
    #[must_use]
    pub fn blob_store_url(&self) -> String {
        self.world().blob_url.clone()
    }

    /// The fake's own clock, see [`Fake::advance_clock`].
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.world().now()
    }

    /// Moves the fake's clock forward: tokens, codes and links expire, rate limits reset.
    pub fn advance_clock(&self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        let mut world = self.world();
        world.offset = world.offset.saturating_add(by);
    }
}

/// # Users, tokens, OAuth
impl Fake {
    /// Adds a user, or finds the one of that name; gives the id. There is one from the start: `rca-bot`.
    pub fn add_user(&self, login: &str) -> u64 {
        self.world().add_user(login)
    }

    /// A token of `rca-bot` that may do everything this product needs.
    #[must_use]
    pub fn token(&self) -> SecretString {
        self.add_token(&TokenSpec::new(TokenKind::Personal, self.dialect().full_scopes()))
    }

    /// A token that may read everything and write nothing.
    #[must_use]
    pub fn read_only_token(&self) -> SecretString {
        let (kind, scopes) = self.dialect().read_only();
        self.add_token(&TokenSpec::new(kind, scopes))
    }

    /// A token that may say who it is and no more.
    #[must_use]
    pub fn identity_token(&self) -> SecretString {
        self.add_token(&TokenSpec::new(TokenKind::Personal, self.dialect().identity_scopes()))
    }

    /// Makes a token.
    #[must_use]
    pub fn add_token(&self, spec: &TokenSpec) -> SecretString {
        let [oauth, _, personal] = self.dialect().token_prefixes();
        let prefix = if spec.kind == TokenKind::OAuth { oauth } else { personal };
        let text = format!("{prefix}{}", random_hex(20));
        let mut world = self.world();
        let user_id = world.add_user(spec.login.as_deref().unwrap_or("rca-bot"));
        let (id, created_at) = (world.next_id(), world.now());
        let token = Token {
            id,
            kind: spec.kind,
            user_id,
            scopes: spec.scopes.clone(),
            created_at,
            expires_at: spec.expires_at,
            is_revoked: false,
            client_id: None,
        };
        world.tokens.insert(text.clone(), token);
        SecretString::from(text)
    }

    /// Revokes a token at once.
    pub fn revoke_token(&self, token: &SecretString) {
        if let Some(token) = self.world().tokens.get_mut(token.expose_secret()) {
            token.is_revoked = true;
        }
    }

    /// Whether a token works now.
    #[must_use]
    pub fn is_token_valid(&self, token: &SecretString) -> bool {
        let world = self.world();
        let now = world.now();
        world
            .tokens
            .get(token.expose_secret())
            .is_some_and(|token| !token.is_revoked && token.expires_at.is_none_or(|at| at > now))
    }

    /// Registers an OAuth application.
    #[must_use]
    pub fn add_oauth_app(&self, redirects: &[&str], scopes: &[&str], requires_pkce: bool) -> RegisteredApp {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let app = App {
            client_id: random_hex(16),
            client_secret: format!("app-secret-{}", random_hex(16)),
            redirects: owned(redirects),
            scopes: owned(scopes),
            requires_pkce,
        };
        let registered = RegisteredApp {
            client_id: app.client_id.clone(),
            client_secret: SecretString::from(app.client_secret.clone()),
        };
        self.world().grants.apps.push(app);
        registered
    }

    /// Who answers yes at the authorize page; `None` answers no. At first `rca-bot` says yes.
    pub fn set_approver(&self, login: Option<&str>) {
        let mut world = self.world();
        world.grants.approver = login.map(|login| world.add_user(login));
    }

    /// Plays the browser: opens `url` (an authorize page) and gives the address that it was redirected to.
    ///
    /// # Errors
    /// When the fake shows an error page instead of redirecting; the text is the page's.
    pub async fn browse(&self, url: &Url) -> io::Result<Url> {
        let (status, headers, body) =
            send(Method::GET, url, &HeaderMap::new(), bytes::Bytes::new(), Duration::from_secs(5)).await?;
        let location = crate::world::header_text(&headers, "location");
        if !status.is_redirection() {
            let page = String::from_utf8_lossy(&body).into_owned();
            return Err(io::Error::other(format!("{status}: {page}")));
        }
        Url::parse(&location).map_err(io::Error::other)
    }

    /// Life of the access tokens given from now on; `None`: they do not expire and there are no refresh tokens.
    pub fn set_access_token_lifetime(&self, lifetime: Option<Duration>) {
        self.world().grants.lifetime = lifetime;
    }

    /// How often a refresh token was turned into a new pair.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.world().grants.refreshes
    }

    /// How often the token endpoint answered `invalid_grant`, or the forge's word for it.
    #[must_use]
    pub fn invalid_grants(&self) -> usize {
        self.world().grants.invalid_grants
    }

    /// How many grants are alive.
    #[must_use]
    pub fn live_grants(&self) -> usize {
        self.world().grants.grants.iter().filter(|grant| !grant.is_revoked).count()
    }

    /// The user withdraws all consent.
    pub fn revoke_grants(&self) {
        let mut world = self.world();
        for index in 0..world.grants.grants.len() {
            world.revoke_grant(index);
        }
    }
}

/// # Repositories and pull requests
impl Fake {
    /// Adds a repository such as `group/sub/project`. Every user is a maintainer of it.
    pub fn add_repo(&self, full_name: &str) -> RepoHandle {
        let mut world = self.world();
        let id = world.next_id();
        let created_at = world.now();
        let repo = Repo {
            id,
            full_name: full_name.to_owned(),
            former_names: Vec::new(),
            is_archived: false,
            is_private: true,
            is_empty: false,
            has_ci: true,
            has_issues: true,
            has_commit_comments: true,
            forked_from: None,
            last_number: 0,
            last_pull_number: 0,
            last_run_number: 0,
            created_at,
            access: std::collections::HashMap::new(),
        };
        world.repos_by_name.insert(full_name.to_lowercase(), id);
        world.repos.insert(id, repo);
        RepoHandle { id, forge_id: self.dialect().repo_id(id), full_name: full_name.to_owned() }
    }

    /// Adds `count` repositories `bulk/repo-00001`, ...
    pub fn add_repos(&self, count: usize) -> Vec<RepoHandle> {
        (1..=count).map(|number| self.add_repo(&format!("bulk/repo-{number:05}"))).collect()
    }

    /// Adds a fork of `of`.
    pub fn add_fork(&self, full_name: &str, of: &RepoHandle) -> RepoHandle {
        let fork = self.add_repo(full_name);
        self.edit_repo(&fork, |repo| repo.forked_from = Some(of.id));
        fork
    }

    /// Makes a repository read-only.
    pub fn archive(&self, repo: &RepoHandle) {
        self.edit_repo(repo, |repo| repo.is_archived = true);
    }

    /// Renames or moves a repository; the old name redirects. Gives the handle with the new name.
    pub fn rename(&self, repo: &RepoHandle, full_name: &str) -> RepoHandle {
        self.world().repos_by_name.insert(full_name.to_lowercase(), repo.id);
        self.edit_repo(repo, |repo| {
            let old = std::mem::replace(&mut repo.full_name, full_name.to_owned());
            repo.former_names.push(old);
        });
        RepoHandle { id: repo.id, forge_id: repo.forge_id.clone(), full_name: full_name.to_owned() }
    }

    /// Deletes a repository with its hooks.
    pub fn delete_repo(&self, repo: &RepoHandle) {
        let mut world = self.world();
        world.repos.remove(&repo.id);
        world.repos_by_name.retain(|_, id| *id != repo.id);
        world.hooks.retain(|_, hook| hook.repo_id != repo.id);
    }

    /// A user's access level, in GitLab's numbers: 10 guest, 20 reporter, 30 developer, 40 maintainer; 0 sees nothing.
    pub fn set_access(&self, repo: &RepoHandle, login: &str, level: u8) {
        let user_id = self.add_user(login);
        self.edit_repo(repo, |repo| {
            repo.access.insert(user_id, level);
        });
    }

    /// Anybody may see it.
    pub fn make_public(&self, repo: &RepoHandle) {
        self.edit_repo(repo, |repo| repo.is_private = false);
    }

    /// Switches CI on or off.
    pub fn set_ci(&self, repo: &RepoHandle, is_on: bool) {
        self.edit_repo(repo, |repo| repo.has_ci = is_on);
    }

    /// Switches issues on or off.
    pub fn set_issues(&self, repo: &RepoHandle, is_on: bool) {
        self.edit_repo(repo, |repo| repo.has_issues = is_on);
    }

    /// Switches comments on commits on or off (GitHub organisations can).
    pub fn set_commit_comments(&self, repo: &RepoHandle, is_on: bool) {
        self.edit_repo(repo, |repo| repo.has_commit_comments = is_on);
    }

    /// Makes it a repository without any commit.
    pub fn make_empty(&self, repo: &RepoHandle) {
        self.edit_repo(repo, |repo| repo.is_empty = true);
    }

    fn edit_repo(&self, repo: &RepoHandle, edit: impl FnOnce(&mut Repo)) {
        if let Some(repo) = self.world().repos.get_mut(&repo.id) {
            edit(repo);
        }
    }

    /// Opens a pull or merge request into `repo`.
    pub fn open_pull(&self, repo: &RepoHandle, spec: &PullSpec) -> PullHandle {
        let mut world = self.world();
        let (id, created_at) = (world.next_id(), world.now());
        let shares_numbers = self.kind() == ForgeKind::GITHUB;
        let number = world.repos.get_mut(&repo.id).map_or(1, |repo| {
            let counter = if shares_numbers { &mut repo.last_number } else { &mut repo.last_pull_number };
            *counter += 1;
            *counter
        });
        let sha = spec.sha.clone().unwrap_or_else(|| random_hex(20));
        let source_repo_id = spec.fork.as_ref().map_or(repo.id, |fork| fork.id);
        world.pulls.push(Pull {
            id,
            number,
            repo_id: repo.id,
            title: spec.title.clone(),
            source_branch: spec.source_branch.clone(),
            target_branch: spec.target_branch.clone(),
            source_repo_id,
            sha: sha.clone(),
            is_open: true,
            created_at,
        });
        PullHandle {
            number,
            repo_id: repo.id,
            sha,
            source_branch: spec.source_branch.clone(),
            source_repo_id,
        }
    }

    /// Closes a pull request.
    pub fn close_pull(&self, pull: &PullHandle) {
        let mut world = self.world();
        let found = world.pulls.iter_mut().find(|it| it.repo_id == pull.repo_id && it.number == pull.number);
        if let Some(found) = found {
            found.is_open = false;
        }
    }
}

/// # Runs, jobs, logs
impl Fake {
    /// Runs a pipeline or workflow as `spec` says. Nothing is delivered yet, see [`Fake::deliver`].
    pub fn add_run(&self, repo: &RepoHandle, spec: &RunSpec) -> RunHandle {
        runs::add(&mut self.world(), self.dialect(), repo.id, spec, None)
    }

    /// Runs again: a new attempt of the run (GitHub), or each job again inside the same run (GitLab).
    pub fn rerun(&self, run: &RunHandle, jobs: &[JobSpec]) -> RunHandle {
        runs::rerun(&mut self.world(), self.dialect(), run, jobs)
    }

    /// Sets how a run stands, with all its jobs where it is not a failure.
    pub fn set_run_state(&self, run: &RunHandle, state: State) {
        runs::set_state(&mut self.world(), run.id, state);
    }

    /// Replaces a job's log.
    pub fn set_log(&self, job_id: u64, log: impl Into<Log>) {
        if let Some(job) = self.world().jobs.get_mut(&job_id) {
            job.log = log.into();
        }
    }

    /// The next `requests` requests for the log find it not ready.
    pub fn delay_log(&self, job_id: u64, requests: u32) {
        if let Some(job) = self.world().jobs.get_mut(&job_id) {
            job.log_delay = requests;
        }
    }

    /// The log has passed its retention time.
    pub fn expire_log(&self, job_id: u64) {
        if let Some(job) = self.world().jobs.get_mut(&job_id) {
            job.is_log_expired = true;
        }
    }

    /// A person erases the job's log.
    pub fn erase_log(&self, job_id: u64) {
        let mut world = self.world();
        let now = world.now();
        if let Some(job) = world.jobs.get_mut(&job_id) {
            job.erased_at = Some(now);
            job.log = Log::None;
        }
    }

    /// Whether log requests are answered with a redirect to the blob store. GitHub does from the start, GitLab not.
    pub fn set_log_redirect(&self, is_on: bool) {
        self.world().redirects_logs = is_on;
    }

    /// The blob store does not have the logs (yet): it answers 404 `BlobNotFound`.
    pub fn set_blobs_missing(&self, is_missing: bool) {
        self.world().is_blob_missing = is_missing;
    }
}

/// # Hooks and deliveries
impl Fake {
    /// Puts a hook in place without the API; gives its id.
    pub fn add_hook(&self, repo: &RepoHandle, setup: &HookSetup) -> u64 {
        let events = if setup.events.is_empty() {
            self.dialect().default_events().iter().map(|&event| event.to_owned()).collect()
        } else {
            setup.events.clone()
        };
        let plain =
            |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let mut world = self.world();
        let (id, created_at) = (world.next_id(), world.now());
        let hook = Hook {
            id,
            repo_id: repo.id,
            url: setup.url.clone(),
            events,
            is_active: setup.is_active,
            verifies_tls: true,
            content_type: "json".to_owned(),
            secret: plain(&setup.secret),
            signing_token: plain(&setup.signing_token),
            created_at,
            failures: 0,
            disabled_until: None,
            is_disabled: false,
            last_status: None,
        };
        world.hooks.insert(id, hook);
        id
    }

    /// The payloads that the forge sends for a run and its jobs, with those of child runs, as they are now.
    #[must_use]
    pub fn messages(&self, run: &RunHandle) -> Vec<Message> {
        let world = self.world();
        let mut messages = Vec::new();
        for id in run.children.iter().chain([&run.id]) {
            if let Some(run) = world.runs.get(id) {
                messages.extend(self.dialect().messages(&world, run));
            }
        }
        messages
    }

    /// The run's own payload (not its jobs', not its children's).
    #[must_use]
    pub fn payload(&self, run: &RunHandle) -> Option<Message> {
        let world = self.world();
        let run = world.runs.get(&run.id)?;
        self.dialect().messages(&world, run).into_iter().next()
    }

    /// A message signed for a hook with a new delivery id, not sent: for load generators and damaged deliveries.
    #[must_use]
    pub fn sign(&self, hook_id: u64, message: &Message) -> Option<SignedRequest> {
        let world = self.world();
        let hook = world.hooks.get(&hook_id)?;
        let delivery_id = uuid::Uuid::new_v4().to_string();
        Some(self.dialect().sign(&world, hook, message, &delivery_id))
    }

    /// The run's own payload, signed for a hook.
    #[must_use]
    pub fn signed_request(&self, run: &RunHandle, hook_id: u64) -> Option<SignedRequest> {
        self.sign(hook_id, &self.payload(run)?)
    }

    /// Sends everything about a run to every hook of its repository that is active and subscribed, one after another.
    pub async fn deliver(&self, run: &RunHandle) -> Vec<DeliveryOutcome> {
        let requests = {
            let world = self.world();
            let mut requests = Vec::new();
            for id in run.children.iter().chain([&run.id]) {
                let Some(run) = world.runs.get(id) else { continue };
                for message in self.dialect().messages(&world, run) {
                    requests.extend(self.addressed(&world, run.repo_id, &message));
                }
            }
            requests
        };
        self.send_all(requests).await
    }

    /// Sends one message to every hook of a repository that is active and subscribed.
    pub async fn deliver_message(&self, repo: &RepoHandle, message: &Message) -> Vec<DeliveryOutcome> {
        let requests = self.addressed(&self.world(), repo.id, message);
        self.send_all(requests).await
    }

    fn addressed(&self, world: &World, repo_id: u64, message: &Message) -> Vec<SignedRequest> {
        let now = world.now();
        // One event has one id, whatever hooks it goes to.
        let delivery_id = uuid::Uuid::new_v4().to_string();
        world
            .hooks_above(repo_id)
            .filter(|hook| hook.is_active && !hook.is_disabled)
            .filter(|hook| hook.disabled_until.is_none_or(|until| until <= now))
            .filter(|hook| {
                message.subscription.is_empty()
                    || hook.events.iter().any(|event| *event == message.subscription || event == "*")
            })
            .map(|hook| self.dialect().sign(world, hook, message, &delivery_id))
            .collect()
    }

    async fn send_all(&self, requests: Vec<SignedRequest>) -> Vec<DeliveryOutcome> {
        let mut outcomes = Vec::new();
        for request in requests {
            outcomes.push(self.shared.deliver(request).await);
        }
        outcomes
    }

    /// Sends an earlier delivery again, with the same id and body, signed anew. `None` when there is no such one.
    pub async fn redeliver(&self, delivery_id: &str) -> Option<DeliveryOutcome> {
        let request = {
            let world = self.world();
            let sent = world.sent.iter().rev().find(|sent| sent.request.delivery_id == delivery_id)?;
            let hook = world.hooks.get(&sent.request.hook_id)?;
            self.dialect().sign(&world, hook, &sent.request.message, delivery_id)
        };
        Some(self.shared.deliver(request).await)
    }

    /// Every delivery that was sent, oldest first; the last 10,000.
    #[must_use]
    pub fn deliveries(&self) -> Vec<DeliveryOutcome> {
        self.world().sent.iter().map(|sent| sent.outcome.clone()).collect()
    }

    /// GitLab: switch hooks off after four failures in a row. Off at first, as on a self-managed instance.
    pub fn set_hook_auto_disable(&self, is_on: bool) {
        self.world().auto_disables_hooks = is_on;
    }

    /// Whether hooks may point into local networks; at first they may.
    pub fn set_local_hooks_allowed(&self, is_allowed: bool) {
        self.world().allows_local_hooks = is_allowed;
    }
}
