//! What can be asked of one installation with one credential: facets, each present or not.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ::url::Url;
use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::TryStreamExt;
use jiff::Timestamp;

use crate::{
    Capabilities, Error, ErrorKind, Facts, ForgeKind, Result,
    model::{
        Comment, CommitStatus, Hook, HookDelivery, HookSpec, Identity, Issue, Job, Posted, PullRequest, Repo,
        RepoRef, Run, RunRef, Target,
    },
};

/// A boxed stream that can be sent between threads.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// A client of one installation with one credential. Cheap to share; every call may refresh the credential.
#[async_trait]
pub trait ForgeClient: fmt::Debug + Send + Sync {
    /// Which forge this is.
    fn kind(&self) -> ForgeKind;

    /// The web address of the installation.
    fn base_url(&self) -> &Url;

    /// What this adapter can do.
    fn capabilities(&self) -> Capabilities;

    /// Who the credential is, and what the forge says that it may do.
    async fn whoami(&self) -> Result<Identity>;

    /// Repositories.
    fn repos(&self) -> &dyn Repos;

    /// Hooks; `None` where they cannot be managed by API.
    fn hooks(&self) -> Option<&dyn Hooks>;

    /// Hooks that serve a whole namespace: a GitLab group, a Bitbucket Data Center project. The `repo` in their calls
    /// names the namespace by id and path. `None` where the forge has none.
    fn namespace_hooks(&self) -> Option<&dyn Hooks> {
        None
    }

    /// CI; `None` where the forge has none.
    fn ci(&self) -> Option<&dyn Ci>;

    /// Comments, issues, statuses; `None` where nothing can be posted.
    fn feedback(&self) -> Option<&dyn Feedback>;

    /// What changed, what was green before, what the forge has noted; `None` where nothing of it can be read.
    fn facts(&self) -> Option<&dyn Facts> {
        None
    }
}

/// Finding repositories.
#[async_trait]
pub trait Repos: fmt::Debug + Send + Sync {
    /// All repositories that the credential can see, page by page as the stream is read.
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>>;

    /// One repository by its forge id, or by its full name (`group/sub/project`) where `id` is not one.
    async fn get_repo(&self, id_or_name: &str) -> Result<Repo>;
}

/// Managing hooks of a repository.
#[async_trait]
pub trait Hooks: fmt::Debug + Send + Sync {
    /// All hooks of the repository, ours and others', all pages.
    fn list_hooks(&self, repo: &RepoRef) -> BoxStream<'static, Result<Hook>>;

    /// Registers a hook with the events that this product needs.
    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec) -> Result<Hook>;

    /// Brings a hook to `spec`: address, events, secret, active, TLS verification on.
    async fn update_hook(&self, repo: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook>;

    /// Removes a hook. One that is gone already is fine.
    async fn delete_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()>;

    /// Asks the forge for a test delivery.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where [`Capabilities::hook_test`] is false.
    async fn test_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()>;

    /// The latest deliveries of the hook since `since`, newest first, at most a thousand.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where [`Capabilities::hook_deliveries`] is false.
    async fn list_deliveries(
        &self,
        repo: &RepoRef,
        hook_id: &str,
        since: Timestamp,
    ) -> Result<Vec<HookDelivery>> {
        let _ = (repo, hook_id, since);
        Err(Error::new(ErrorKind::Unsupported, "the forge does not tell of past deliveries")
            .with_operation("list deliveries"))
    }

    /// Asks the forge to send a delivery again, by its [`HookDelivery::id`].
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where [`Capabilities::hook_redelivery`] is false.
    async fn redeliver(&self, repo: &RepoRef, hook_id: &str, delivery_id: &str) -> Result<()> {
        let _ = (repo, hook_id, delivery_id);
        Err(Error::new(ErrorKind::Unsupported, "the forge cannot send a delivery again")
            .with_operation("send a delivery again"))
    }

    /// Whether `hook` is as `spec` wants it, in all that the forge shows (never the secret).
    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool;
}

/// How much of a log to read.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LogOptions {
    /// The stream ends after this many bytes; [`LogStream::is_truncated`] then says so.
    pub max_bytes: u64,
}

impl LogOptions {
    /// At most `max_bytes` bytes.
    #[must_use]
    pub const fn new(max_bytes: u64) -> Self {
        Self { max_bytes }
    }
}

impl Default for LogOptions {
    /// 256 MiB.
    fn default() -> Self {
        Self::new(256 * 1024 * 1024)
    }
}

/// A job's log as it arrives.
pub struct LogStream {
    /// The raw bytes, never more than was asked for.
    pub bytes: BoxStream<'static, Result<Bytes>>,
    /// Becomes true once the stream was cut at the limit; read it after the stream has ended.
    pub truncated: Arc<AtomicBool>,
}

impl LogStream {
    /// Whether the log was longer than the limit. Known once the stream has ended.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated.load(Ordering::Acquire)
    }

    /// Reads everything into memory: for small limits and tests.
    ///
    /// # Errors
    /// The first error of the stream.
    pub async fn read_to_end(mut self) -> Result<(Vec<u8>, bool)> {
        let mut log = Vec::new();
        while let Some(chunk) = self.bytes.try_next().await? {
            log.extend_from_slice(&chunk);
        }
        let is_truncated = self.is_truncated();
        Ok((log, is_truncated))
    }
}

impl fmt::Debug for LogStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogStream").field("truncated", &self.is_truncated()).finish_non_exhaustive()
    }
}

/// Reading CI.
#[async_trait]
pub trait Ci: fmt::Debug + Send + Sync {
    /// A run as it is now; `run.attempt` picks an attempt where the forge keeps them.
    async fn get_run(&self, repo: &RepoRef, run: &RunRef) -> Result<Run>;

    /// Runs that have failed and changed since `since`, each at least once, newest or oldest first as the forge sorts.
    fn list_failed_runs(&self, repo: &RepoRef, since: Timestamp) -> BoxStream<'static, Result<Run>>;

    /// All jobs of the run's attempt, with those of its child runs: each job names the run it ran in.
    fn list_jobs(&self, repo: &RepoRef, run: &RunRef) -> BoxStream<'static, Result<Job>>;

    /// One job as it is now.
    async fn get_job(&self, repo: &RepoRef, job_id: &str) -> Result<Job>;

    /// The job's raw log.
    ///
    /// # Errors
    /// [`ErrorKind::NotReady`] while the forge is still writing it, [`ErrorKind::Gone`] when it has expired or was
    /// erased, [`ErrorKind::NotFound`] when there never was one.
    async fn job_log(&self, repo: &RepoRef, job: &Job, options: LogOptions) -> Result<LogStream>;

    /// The open pull requests that the run is about, those from forks included, most likely one first.
    async fn find_pull_requests(&self, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>>;
}

/// Saying something at the forge.
#[async_trait]
pub trait Feedback: fmt::Debug + Send + Sync {
    /// Posts `comment` at `target`, or edits the one that carries its marker.
    ///
    /// `known_id` is the comment's id where the caller remembers it; it saves the search. A comment that was deleted
    /// at the forge is posted anew. A comment that carries the marker but was written by somebody else is left alone.
    async fn upsert_comment(
        &self,
        repo: &RepoRef,
        target: &Target,
        comment: &Comment,
        known_id: Option<&str>,
    ) -> Result<Posted>;

    /// Opens `issue`, or edits the one that we opened before: that with `known_id`, which is opened again where it was
    /// closed, else the open one that carries the marker. Issues of others are left alone, whatever stands in them.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where [`Capabilities::issue`] is false.
    async fn upsert_issue(&self, repo: &RepoRef, issue: &Issue, known_id: Option<&str>) -> Result<Posted>;

    /// Closes an issue that we opened, with `body` as its last text where that is given. One that is closed already stays
    /// closed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where [`Capabilities::issue`] is false.
    async fn close_issue(&self, repo: &RepoRef, issue_id: &str, body: Option<&str>) -> Result<()>;

    /// Sets the status of a commit; the same context again replaces it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where [`Capabilities::status`] is false.
    async fn set_status(&self, repo: &RepoRef, sha: &str, status: &CommitStatus) -> Result<Posted>;
}

/// What [`ForgeClientExt::ensure_hook`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnsureHook {
    /// There was none.
    Created,
    /// There was one, and something about it was wrong or not known to be right.
    Updated,
    /// It was there, as it should be.
    Unchanged,
}

/// The result of [`ForgeClientExt::ensure_hook`].
#[derive(Debug, Clone)]
pub struct Ensured {
    /// The hook as it is now.
    pub hook: Hook,
    /// What was done for it.
    pub action: EnsureHook,
    /// How many further hooks with the same address were removed.
    pub removed_duplicates: usize,
}

/// Conveniences over any [`ForgeClient`]; never implemented by hand.
#[async_trait]
pub trait ForgeClientExt: ForgeClient {
    /// The hooks facet, or a typed error.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    fn require_hooks(&self) -> Result<&dyn Hooks> {
        self.hooks().ok_or_else(|| unsupported(self.kind(), "manage hooks"))
    }

    /// The CI facet, or a typed error.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    fn require_ci(&self) -> Result<&dyn Ci> {
        self.ci().ok_or_else(|| unsupported(self.kind(), "read CI runs"))
    }

    /// The feedback facet, or a typed error.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    fn require_feedback(&self) -> Result<&dyn Feedback> {
        self.feedback().ok_or_else(|| unsupported(self.kind(), "post feedback"))
    }

    /// The facts facet, or a typed error.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    fn require_facts(&self) -> Result<&dyn Facts> {
        self.facts().ok_or_else(|| unsupported(self.kind(), "read facts about changes"))
    }

    /// Makes sure that exactly one hook of the repository with the address of `spec` exists and is as specified; as
    /// [`ensure_hook`].
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] without a hooks facet, and whatever the calls give.
    async fn ensure_hook(
        &self,
        repo: &RepoRef,
        spec: &HookSpec,
        registered: Option<&str>,
    ) -> Result<Ensured> {
        ensure_hook(self.require_hooks()?, repo, spec, registered).await
    }
}

impl<T: ForgeClient + ?Sized> ForgeClientExt for T {}

fn unsupported(kind: ForgeKind, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{} has no API for it", kind.display_name()))
        .with_forge(kind)
        .with_operation(what)
}

/// Makes sure that exactly one hook of `repo` with the address of `spec` exists and is as specified, whether `hooks` are
/// those of repositories or of namespaces.
///
/// `registered` is the id of the hook that is known to carry this very secret: only then can it be left unchanged,
/// because no forge shows secrets. Reads all pages, removes duplicates.
///
/// # Errors
/// Whatever the calls give.
pub async fn ensure_hook(
    hooks: &dyn Hooks,
    repo: &RepoRef,
    spec: &HookSpec,
    registered: Option<&str>,
) -> Result<Ensured> {
    let mut ours = Vec::new();
    let mut all = hooks.list_hooks(repo);
    while let Some(hook) = all.try_next().await? {
        if hook.url == spec.url.as_str() {
            ours.push(hook);
        }
    }
    drop(all);
    // The registered one is kept where it is still there: it carries the right secret.
    let kept = ours.iter().position(|hook| Some(hook.id.as_str()) == registered).unwrap_or(0);
    if ours.is_empty() {
        let hook = hooks.create_hook(repo, spec).await?;
        return Ok(Ensured { hook, action: EnsureHook::Created, removed_duplicates: 0 });
    }
    let hook = ours.swap_remove(kept);
    let removed_duplicates = ours.len();
    for duplicate in ours {
        hooks.delete_hook(repo, &duplicate.id).await?;
    }
    if registered == Some(hook.id.as_str()) && hooks.is_as_specified(&hook, spec) {
        return Ok(Ensured { hook, action: EnsureHook::Unchanged, removed_duplicates });
    }
    let hook = hooks.update_hook(repo, &hook.id, spec).await?;
    Ok(Ensured { hook, action: EnsureHook::Updated, removed_duplicates })
}
