//! A forge in memory: as little as the use cases need, countable, and failing on command.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicBool},
};

use async_trait::async_trait;
use bytes::Bytes;
use forge_core::{
    AppAddresses, AppKey, AppManifest, AppSetup, BoxStream, Capabilities, Ci, CreatedApp, Credential,
    CredentialKind, CredentialProvider, CsrfState, Delivery, Error, ErrorKind, Feedback, ForgeClient,
    ForgeKind, Hooks, Instance, LogOptions, LogStream, OAuthApp, OAuthFlow, Pkce, Provider, Repos, Result,
    Secrets, StaticCredential, TokenSet, Verified, VerifyError, WebhookReceiver,
    model::{
        Account, Comment, CommitStatus, Conclusion, Event, EventKind, Hook, HookDelivery, HookSpec, Identity,
        Issue, Job, PostAction, Posted, PullRequest, Repo, RepoRef, Run, RunRef, Status, Target,
    },
    webhook::check_hmac_sha256,
};
use futures_util::stream;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use rca_flow::{
    Caller, Flow, FlowConfig, Worker,
    types::{MonitorOutcome, MonitorRequest, RepositoryFilter, TokenRequest},
};
use rca_store::{KeyRing, Store};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) target: String,
    pub(crate) body: String,
    pub(crate) edits: usize,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) repos: Vec<Repo>,
    /// Ids that the next listing lacks.
    pub(crate) missed_once: Vec<String>,
    pub(crate) hooks: Vec<(String, Hook, String)>,
    pub(crate) runs: HashMap<String, Run>,
    pub(crate) jobs: HashMap<String, Vec<Job>>,
    pub(crate) logs: HashMap<String, String>,
    pub(crate) pulls: HashMap<String, Vec<PullRequest>>,
    pub(crate) comments: Vec<Said>,
    pub(crate) statuses: Vec<(String, CommitStatus)>,
    /// Answers to give instead, by operation.
    pub(crate) failures: BTreeMap<&'static str, VecDeque<ErrorKind>>,
    /// Post, and then fail as if the answer was lost.
    pub(crate) lost_answers: usize,
    /// Post, and never answer.
    pub(crate) hangs_after_post: bool,
    pub(crate) calls: BTreeMap<&'static str, usize>,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) refreshes: usize,
    pub(crate) challenge: Option<String>,
    pub(crate) token_life: Option<SignedDuration>,
    pub(crate) revoked: bool,
    pub(crate) missing_scopes: Vec<String>,
    /// Commits cannot be commented and have no status; issues are there.
    pub(crate) has_issues_only: bool,
    /// Hooks of namespaces can be had.
    pub(crate) has_namespace_hooks: bool,
    /// Past deliveries are told, and whether they can be sent again.
    pub(crate) tells_deliveries: Option<bool>,
    pub(crate) past: Vec<HookDelivery>,
    /// What was asked for again, by the id of the delivery.
    pub(crate) redelivered: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Stub {
    pub(crate) state: Arc<Mutex<State>>,
    kind: ForgeKind,
}

impl Stub {
    pub(crate) fn new(kind: ForgeKind) -> Self {
        let state = State { token: "good-token".to_owned(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), kind }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn call(&self, operation: &'static str) -> Result<()> {
        let mut state = self.lock();
        *state.calls.entry(operation).or_default() += 1;
        match state.failures.get_mut(operation).and_then(VecDeque::pop_front) {
            Some(kind) => {
                let status = match kind {
                    ErrorKind::Unauthorized => 401,
                    ErrorKind::Forbidden => 403,
                    ErrorKind::Invalid => 422,
                    _ => 500,
                };
                Err(Error::new(kind, "told to fail").with_status(status).with_operation(operation))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.lock().calls.get(operation).copied().unwrap_or(0)
    }

    pub(crate) fn fail(&self, operation: &'static str, kind: ErrorKind, times: usize) {
        self.lock().failures.entry(operation).or_default().extend(std::iter::repeat_n(kind, times));
    }

    fn put_comment(&self, target: &Target, comment: &Comment, known_id: Option<&str>) -> Result<Posted> {
        let mut state = self.lock();
        let known = known_id.and_then(|id| id.parse::<usize>().ok()).or_else(|| {
            state
                .comments
                .iter()
                .position(|said| said.target == target.key() && said.body.contains(&comment.marker))
        });
        let (id, action) = match known {
            Some(id) => {
                state.comments[id].body = comment.body.clone();
                state.comments[id].edits += 1;
                (id, PostAction::Updated)
            }
            None => {
                state.comments.push(Said { target: target.key(), body: comment.body.clone(), edits: 0 });
                (state.comments.len() - 1, PostAction::Created)
            }
        };
        if state.lost_answers > 0 {
            state.lost_answers -= 1;
            return Err(Error::new(ErrorKind::Timeout, "the answer was lost"));
        }
        let mut posted = Posted::new(id.to_string(), action);
        posted.web_url = Some(format!("https://stub.example/comments/{id}"));
        Ok(posted)
    }

    /// A finished run with one failed job per name, in a pull request when `pull` is given.
    pub(crate) fn add_failed_run(&self, id: &str, sha: &str, jobs: &[(&str, &str)], pull: Option<&str>) {
        let mut state = self.lock();
        let mut run = Run::new(id);
        run.status = Status::Completed;
        run.conclusion = Some(Conclusion::Failure);
        run.git_ref = Some("feature".to_owned());
        run.sha = Some(sha.to_owned());
        run.number = Some(id.to_owned());
        run.web_url = Some(format!("https://stub.example/shop/runs/{id}"));
        state.runs.insert(id.to_owned(), run);
        let jobs = jobs
            .iter()
            .map(|(name, log)| {
                let job_id = format!("{id}-{name}");
                state.logs.insert(job_id.clone(), (*log).to_owned());
                let mut job = Job::new(job_id, id, *name);
                job.status = Status::Completed;
                job.conclusion = Some(Conclusion::Failure);
                job.web_url = Some(format!("https://stub.example/shop/jobs/{id}-{name}"));
                job
            })
            .collect();
        state.jobs.insert(id.to_owned(), jobs);
        if let Some(number) = pull {
            let pull = PullRequest::new(number, RepoRef::new("1", "group/shop"));
            state.pulls.insert(id.to_owned(), vec![pull]);
        }
    }

    pub(crate) fn add_passed_run(&self, id: &str, sha: &str, pull: Option<&str>) {
        self.add_failed_run(id, sha, &[], pull);
        self.lock().runs.get_mut(id).unwrap().conclusion = Some(Conclusion::Success);
    }
}

#[async_trait]
impl ForgeClient for Client {
    fn kind(&self) -> ForgeKind {
        self.stub.kind
    }
    fn base_url(&self) -> &Url {
        &self.base_url
    }
    fn capabilities(&self) -> Capabilities {
        self.stub.capabilities()
    }
    async fn whoami(&self) -> Result<Identity> {
        self.authorized("whoami").await?;
        let mut identity = Identity::new(Account::new("7", "robot"));
        identity.missing_scopes = self.stub.lock().missing_scopes.clone();
        identity.scopes = Some(vec!["api".to_owned()]);
        Ok(identity)
    }
    fn repos(&self) -> &dyn Repos {
        self
    }
    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(self)
    }
    fn namespace_hooks(&self) -> Option<&dyn Hooks> {
        self.stub.lock().has_namespace_hooks.then_some(self)
    }
    fn ci(&self) -> Option<&dyn Ci> {
        Some(self)
    }
    fn feedback(&self) -> Option<&dyn Feedback> {
        Some(self)
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    stub: Stub,
    base_url: Url,
    credentials: Arc<dyn CredentialProvider>,
}

impl Client {
    /// As a real client: one forced refresh after a 401.
    async fn authorized(&self, operation: &'static str) -> Result<()> {
        self.stub.call(operation)?;
        let credential = self.credentials.credential().await?;
        if credential.secret().expose_secret() == self.stub.lock().token {
            return Ok(());
        }
        let credential = self.credentials.refresh(&credential).await?;
        if credential.secret().expose_secret() == self.stub.lock().token {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unauthorized, "the token is not known").with_status(401))
    }
}

#[async_trait]
impl Repos for Client {
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>> {
        let mut state = self.stub.lock();
        let missed = std::mem::take(&mut state.missed_once);
        let repos: Vec<_> =
            state.repos.iter().filter(|repo| !missed.contains(&repo.id)).cloned().map(Ok).collect();
        Box::pin(stream::iter(repos))
    }
    async fn get_repo(&self, id_or_name: &str) -> Result<Repo> {
        let state = self.stub.lock();
        let found = state.repos.iter().find(|repo| repo.id == id_or_name || repo.full_name == id_or_name);
        found.cloned().ok_or_else(|| Error::new(ErrorKind::NotFound, "no such repository"))
    }
}

#[async_trait]
impl Hooks for Client {
    fn list_hooks(&self, repo: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let state = self.stub.lock();
        let hooks: Vec<_> = state
            .hooks
            .iter()
            .filter(|(id, ..)| *id == repo.id)
            .map(|(_, hook, _)| Ok(hook.clone()))
            .collect();
        Box::pin(stream::iter(hooks))
    }
    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec) -> Result<Hook> {
        self.authorized("create_hook").await?;
        let mut state = self.stub.lock();
        let number = state.calls.get("create_hook").copied().unwrap_or(0);
        let hook = Hook::new(format!("h{number}"), spec.url.as_str());
        state.hooks.push((repo.id.clone(), hook.clone(), spec.secret.expose_secret().to_owned()));
        Ok(hook)
    }
    async fn update_hook(&self, _repo: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook> {
        self.authorized("update_hook").await?;
        let mut state = self.stub.lock();
        let found = state.hooks.iter_mut().find(|(_, hook, _)| hook.id == hook_id);
        let (_, hook, secret) = found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such hook"))?;
        *secret = spec.secret.expose_secret().to_owned();
        Ok(hook.clone())
    }
    async fn delete_hook(&self, _repo: &RepoRef, hook_id: &str) -> Result<()> {
        self.authorized("delete_hook").await?;
        self.stub.lock().hooks.retain(|(_, hook, _)| hook.id != hook_id);
        Ok(())
    }
    async fn test_hook(&self, _repo: &RepoRef, _hook_id: &str) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "no test deliveries"))
    }
    async fn list_deliveries(&self, _: &RepoRef, _: &str, since: Timestamp) -> Result<Vec<HookDelivery>> {
        self.authorized("list_deliveries").await?;
        let mut past = self.stub.lock().past.clone();
        past.retain(|delivery| delivery.sent_at >= since);
        Ok(past)
    }
    async fn redeliver(&self, _: &RepoRef, _: &str, delivery_id: &str) -> Result<()> {
        self.authorized("redeliver").await?;
        self.stub.lock().redelivered.push(delivery_id.to_owned());
        Ok(())
    }
    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool {
        hook.url == spec.url.as_str()
    }
}

#[async_trait]
impl Ci for Client {
    async fn get_run(&self, _repo: &RepoRef, run: &RunRef) -> Result<Run> {
        self.authorized("get_run").await?;
        let found = self.stub.lock().runs.get(&run.id).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such run"))
    }
    fn list_failed_runs(&self, _repo: &RepoRef, _since: Timestamp) -> BoxStream<'static, Result<Run>> {
        if let Err(error) = self.stub.call("list_failed_runs") {
            return Box::pin(stream::iter([Err(error)]));
        }
        let state = self.stub.lock();
        let runs: Vec<_> = state.runs.values().filter(|run| run.is_failed()).cloned().map(Ok).collect();
        Box::pin(stream::iter(runs))
    }
    fn list_jobs(&self, _repo: &RepoRef, run: &RunRef) -> BoxStream<'static, Result<Job>> {
        let jobs = self.stub.lock().jobs.get(&run.id).cloned().unwrap_or_default();
        Box::pin(stream::iter(jobs.into_iter().map(Ok)))
    }
    async fn get_job(&self, _repo: &RepoRef, job_id: &str) -> Result<Job> {
        let state = self.stub.lock();
        let found = state.jobs.values().flatten().find(|job| job.id == job_id);
        found.cloned().ok_or_else(|| Error::new(ErrorKind::NotFound, "no such job"))
    }
    async fn job_log(&self, _repo: &RepoRef, job: &Job, options: LogOptions) -> Result<LogStream> {
        self.authorized("job_log").await?;
        let log = self.stub.lock().logs.get(&job.id).cloned();
        let mut log = log.ok_or_else(|| Error::new(ErrorKind::Gone, "expired"))?.into_bytes();
        let limit = usize::try_from(options.max_bytes).unwrap();
        let is_cut = log.len() > limit;
        log.truncate(limit);
        let chunks: Vec<_> = log.chunks(7).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Ok(LogStream { bytes: Box::pin(stream::iter(chunks)), truncated: Arc::new(AtomicBool::new(is_cut)) })
    }
    async fn find_pull_requests(&self, _repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
        Ok(self.stub.lock().pulls.get(&run.id).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl Feedback for Client {
    async fn upsert_comment(
        &self,
        _repo: &RepoRef,
        target: &Target,
        comment: &Comment,
        known_id: Option<&str>,
    ) -> Result<Posted> {
        let operation = if matches!(target, Target::Pull(_)) { "pull_comment" } else { "commit_comment" };
        self.authorized(operation).await?;
        assert!(comment.body.contains(&comment.marker));
        let hangs = self.stub.lock().hangs_after_post;
        let posted = self.stub.put_comment(target, comment, known_id);
        if hangs {
            std::future::pending::<()>().await;
        }
        posted
    }
    async fn upsert_issue(&self, _: &RepoRef, _: &Issue, _: Option<&str>) -> Result<Posted> {
        Err(Error::new(ErrorKind::Unsupported, "no issues"))
    }
    async fn close_issue(&self, _: &RepoRef, _: &str, _: Option<&str>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "no issues"))
    }
    async fn set_status(&self, _: &RepoRef, sha: &str, status: &CommitStatus) -> Result<Posted> {
        self.authorized("set_status").await?;
        self.stub.lock().statuses.push((sha.to_owned(), status.clone()));
        Ok(Posted::new("status", PostAction::Created))
    }
}

impl Provider for Stub {
    fn kind(&self) -> ForgeKind {
        self.kind
    }
    fn capabilities(&self) -> Capabilities {
        let state = self.lock();
        let mut common = Capabilities::NONE
            .with_apps()
            .with_oauth(true, true)
            .with_signed_deliveries(false)
            .with_hooks(false)
            .with_ci(true, true);
        if state.has_namespace_hooks {
            common = common.with_namespace_hooks();
        }
        if let Some(redelivery) = state.tells_deliveries {
            common = common.with_hook_deliveries(redelivery);
        }
        if state.has_issues_only {
            return common.with_comments(true, false, true, 20_000).with_issues();
        }
        common.with_comments(true, true, true, 20_000).with_status()
    }
    fn webhooks(&self) -> &dyn WebhookReceiver {
        self
    }
    fn oauth(&self, instance: &Instance, app: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>> {
        Ok(Some(Box::new(Grant {
            stub: self.clone(),
            base_url: instance.base_url().clone(),
            client_id: app.client_id.clone(),
        })))
    }
    fn connect(
        &self,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Arc<dyn ForgeClient>> {
        let base_url = instance.base_url().clone();
        Ok(Arc::new(Client { stub: self.clone(), base_url, credentials }))
    }
    fn app_setup(&self, _: &Instance) -> Result<Option<Box<dyn AppSetup>>> {
        Ok((self.kind == ForgeKind::GITHUB).then(|| Box::new(Setup) as Box<dyn AppSetup>))
    }
    fn installation(&self, _: &Instance, key: &AppKey) -> Result<Arc<dyn CredentialProvider>> {
        if key.private_key.expose_secret() != PRIVATE_KEY {
            return Err(Error::new(ErrorKind::InvalidInput, "the private key is none"));
        }
        let token = SecretString::from("good-token".to_owned());
        Ok(Arc::new(StaticCredential::new(Credential::new(CredentialKind::AccessToken, token))))
    }
}

pub(crate) const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY----- of the app";

#[derive(Debug)]
struct Setup;

#[async_trait]
impl AppSetup for Setup {
    fn manifest(
        &self,
        name: &str,
        addresses: &AppAddresses,
        organization: Option<&str>,
        state: &CsrfState,
    ) -> Result<AppManifest> {
        let manifest = serde_json::json!({
            "name": name,
            "hook": addresses.webhook.as_str(),
            "created": addresses.created.as_str(),
            "installed": addresses.installed.as_str(),
            "organization": organization,
        });
        let url = format!("https://stub.example/apps/new?state={}", state.as_secret().expose_secret());
        Ok(AppManifest::new(manifest, url.parse().unwrap()))
    }
    async fn convert(&self, code: &SecretString) -> Result<CreatedApp> {
        if code.expose_secret() != "good-code" {
            return Err(Error::new(ErrorKind::InvalidGrant, "the code is wrong"));
        }
        let install = "https://stub.example/apps/rca/installations/new".parse().unwrap();
        let secrets = [PRIVATE_KEY, "secret-of-the-app"].map(|text| SecretString::from(text.to_owned()));
        let [key, hook] = secrets;
        Ok(CreatedApp::new("77", "rca", key, hook, install))
    }
}

impl WebhookReceiver for Stub {
    fn delivery_id(&self, headers: &HeaderMap) -> Option<String> {
        headers.get("x-delivery")?.to_str().ok().map(str::to_owned)
    }
    fn verify<'a>(&self, delivery: &Delivery<'a>, secrets: &Secrets) -> Result<Verified<'a>, VerifyError> {
        *self.lock().calls.entry("verify").or_default() += 1;
        check_hmac_sha256(delivery, "x-signature", secrets)
    }
    fn is_unsigned_ping(&self, _delivery: &Delivery<'_>) -> bool {
        false
    }
    fn parse(&self, verified: &Verified<'_>) -> Result<Event> {
        self.inspect(verified.delivery())
    }
    fn inspect(&self, delivery: &Delivery<'_>) -> Result<Event> {
        serde_json::from_slice(delivery.body)
            .map_err(|_| Error::new(ErrorKind::UnexpectedResponse, "the body is no event"))
    }
}

#[derive(Debug)]
struct Grant {
    stub: Stub,
    base_url: Url,
    client_id: String,
}

impl Grant {
    fn give(&self, state: &mut State) -> TokenSet {
        state.token = format!("access-{}", state.refreshes);
        state.refresh_token = format!("refresh-{}", state.refreshes);
        TokenSet {
            access_token: SecretString::from(state.token.clone()),
            refresh_token: Some(SecretString::from(state.refresh_token.clone())),
            expires_at: state.token_life.map(|life| Timestamp::now() + life),
            scopes: vec!["api".to_owned()],
        }
    }
}

#[async_trait]
impl OAuthFlow for Grant {
    fn authorize_url(&self, redirect: &Url, state: &CsrfState, pkce: Option<&Pkce>) -> Url {
        self.stub.lock().challenge = pkce.map(|pkce| pkce.challenge().to_owned());
        let mut url = self.base_url.join("/oauth/authorize").unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("state", state.as_secret().expose_secret());
        url
    }
    async fn exchange_code(&self, code: &SecretString, _: &Url, pkce: Option<&Pkce>) -> Result<TokenSet> {
        self.stub.call("exchange_code")?;
        let mut state = self.stub.lock();
        let challenge = pkce.map(|pkce| Pkce::from_verifier(pkce.verifier().clone()).challenge().to_owned());
        if code.expose_secret() != "good-code" || challenge != state.challenge {
            return Err(Error::new(ErrorKind::InvalidGrant, "the code is wrong"));
        }
        Ok(self.give(&mut state))
    }
    async fn refresh(&self, refresh_token: &SecretString, _: &Url) -> Result<TokenSet> {
        self.stub.call("refresh")?;
        tokio::task::yield_now().await;
        let mut state = self.stub.lock();
        if refresh_token.expose_secret() != state.refresh_token {
            state.token = "revoked for reuse".to_owned();
            return Err(Error::new(ErrorKind::InvalidGrant, "the refresh token was used before"));
        }
        state.refreshes += 1;
        state.token_life = Some(SignedDuration::from_hours(2));
        Ok(self.give(&mut state))
    }
    async fn revoke(&self, _: &TokenSet) -> Result<bool> {
        self.stub.lock().revoked = true;
        Ok(true)
    }
}

/// Everything together, in a directory of its own.
pub(crate) struct World {
    pub(crate) stub: Stub,
    pub(crate) other: Stub,
    pub(crate) flow: Flow,
    pub(crate) worker: Worker,
    pub(crate) caller: Caller,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) integration: String,
}

pub(crate) const PYTEST: &str = include_str!("pytest.log");

impl World {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/rca.db", directory.path().display());
        let store = Store::open(&url, KeyRing::generate()).await.unwrap();
        let stub = Stub::new(ForgeKind::GITHUB);
        let other = Stub::new(ForgeKind::GITLAB);
        stub.lock().repos = vec![Repo::new("1", "group/shop", "https://stub.example/group/shop")];
        let mut providers = rca_flow::Providers::new();
        providers.insert(ForgeKind::GITHUB, Arc::new(stub.clone()));
        providers.insert(ForgeKind::GITLAB, Arc::new(other.clone()));
        let mut config = FlowConfig::new("https://rca.example/base".parse().unwrap());
        config.poll_interval_ms = 1000;
        let flow = Flow::new(config, store, providers, BTreeMap::new());
        let worker = Worker::new(flow.clone(), 4);
        let caller = Caller::new(flow.store().default_workspace(), "tester");
        Self { stub, other, flow, worker, caller, directory, integration: String::new() }
    }

    /// With an integration by token and one monitored repository, its back-fill off.
    pub(crate) async fn connected() -> Self {
        Self::connected_by("webhook").await
    }

    pub(crate) async fn connected_by(mode: &str) -> Self {
        let mut world = Self::new().await;
        let request: TokenRequest = serde_json::from_value(serde_json::json!({
            "base_url": "https://stub.example", "token": "good-token", "mode": mode,
            "backfill": { "enabled": false },
        }))
        .unwrap();
        let view = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, request).await.unwrap();
        world.integration = view.id;
        world.drain().await;
        let id = world.repository().await;
        let request = MonitorRequest { add: vec![id], ..MonitorRequest::default() };
        let outcome = world.flow.monitor(&world.caller, &world.integration, request).await.unwrap();
        let MonitorOutcome::Done(items) = outcome else { panic!("one repository is done at once") };
        assert!(items[0].hook_registered, "{items:?}");
        world
    }

    pub(crate) async fn repository(&self) -> String {
        let filter = RepositoryFilter::default();
        let list = self.flow.list_repositories(&self.caller, &self.integration, &filter).await.unwrap();
        list.items[0].id.clone()
    }

    pub(crate) async fn drain(&self) -> usize {
        self.worker.run_until_idle().await.unwrap()
    }

    pub(crate) fn hook(&self) -> (String, String) {
        let state = self.stub.lock();
        let (_, hook, secret) = &state.hooks[0];
        (hook.url.rsplit('/').next().unwrap().to_owned(), secret.clone())
    }

    /// Sends an event as the forge would.
    pub(crate) async fn deliver(&self, id: &str, event: &Event) -> &'static str {
        let (hook, secret) = self.hook();
        let body = serde_json::to_vec(event).unwrap();
        let headers = signed(&body, &secret, Some(id));
        let answer = self.flow.receive(ForgeKind::GITHUB, &hook, &headers, None, body.into()).await;
        answer.unwrap().status
    }
}

pub(crate) fn signed(body: &[u8], secret: &str, id: Option<&str>) -> HeaderMap {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let mut headers = HeaderMap::new();
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    headers.insert("x-signature", signature.parse().unwrap());
    if let Some(id) = id {
        headers.insert("x-delivery", id.parse().unwrap());
    }
    headers
}

pub(crate) fn finished(run: &str, is_failed: bool) -> Event {
    let mut event = Event::new(ForgeKind::GITHUB, EventKind::Run);
    event.repo_id = Some("1".to_owned());
    event.repo = Some("group/shop".to_owned());
    event.run_id = Some(run.to_owned());
    event.status = Some(Status::Completed);
    event.conclusion = Some(if is_failed { Conclusion::Failure } else { Conclusion::Success });
    event.terminal = true;
    event.failed = is_failed;
    event.triggers_rca = is_failed;
    event
}

/// Every file of the database, as bytes.
pub(crate) fn disk(world: &World) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(world.directory.path()).unwrap() {
        all.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    all
}

pub(crate) fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

pub(crate) fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
