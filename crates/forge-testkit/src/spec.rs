//! What a test asks a fake to hold: tokens, applications, repositories, pull requests, runs, jobs, hooks.

use std::time::Duration;

use bytes::Bytes;
use forge_core::model::{Annotation, FileChange, RepoRef, ReportedTest, RunRef};
use jiff::Timestamp;
use secrecy::SecretString;

/// Names a repository of a fake.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RepoHandle {
    /// The fake's number for it.
    pub id: u64,
    /// The forge's id as adapters see it: the number, or what the forge prints instead of one.
    pub forge_id: String,
    /// The path at the time the handle was made.
    pub full_name: String,
}

impl RepoHandle {
    /// The reference that adapters take.
    #[must_use]
    pub fn repo_ref(&self) -> RepoRef {
        RepoRef::new(self.forge_id.clone(), self.full_name.clone())
    }
}

/// Names one attempt of a run of a fake.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RunHandle {
    /// The fake's number for the run.
    pub id: u64,
    /// The forge's id of the run as adapters see it.
    pub forge_id: String,
    /// The attempt, from 1; stays 1 where the forge repeats jobs inside one run.
    pub attempt: u32,
    /// The repository's id.
    pub repo_id: u64,
    /// The ids of the attempt's jobs, in the order of the [`RunSpec`]; those of child runs follow.
    pub jobs: Vec<u64>,
    /// The same as adapters see them.
    pub job_ids: Vec<String>,
    /// The ids of the runs that it started, in the order of the [`RunSpec`].
    pub children: Vec<u64>,
    /// The commit.
    pub sha: String,
}

impl RunHandle {
    /// The reference that adapters take.
    #[must_use]
    pub fn run_ref(&self) -> RunRef {
        RunRef::new(self.forge_id.clone()).with_attempt(Some(self.attempt))
    }
}

/// What kind of token to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKind {
    /// A personal access token (GitHub: classic).
    Personal,
    /// A project, group or fine-grained token: it has a narrower owner and shows no classic scopes on GitHub.
    FineGrained,
    /// An OAuth access token without a grant behind it.
    OAuth,
}

/// A token to make.
#[derive(Debug, Clone)]
pub struct TokenSpec {
    pub(crate) kind: TokenKind,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) login: Option<String>,
}

impl TokenSpec {
    /// A token of `kind` with `scopes`, of the fake's first user, that does not expire.
    #[must_use]
    pub fn new(kind: TokenKind, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Self { kind, scopes, expires_at: None, login: None }
    }

    /// When it stops working.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// The user that it belongs to; the user is added when new.
    #[must_use]
    pub fn with_login(mut self, login: &str) -> Self {
        self.login = Some(login.to_owned());
        self
    }
}

/// An OAuth application that was registered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegisteredApp {
    /// The public id.
    pub client_id: String,
    /// The secret.
    pub client_secret: SecretString,
}

impl RegisteredApp {
    /// The application as adapters take it, with their default scopes.
    #[must_use]
    pub fn oauth_app(&self) -> forge_core::OAuthApp {
        forge_core::OAuthApp {
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            scopes: Vec::new(),
        }
    }
}

/// How a run or job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Waiting to begin.
    Queued,
    /// Under way.
    Running,
    /// All well.
    Success,
    /// Failed.
    Failed,
    /// Stopped by a person.
    Cancelled,
    /// Stopped by a time limit. GitLab shows a failure with the reason `job_execution_timeout`.
    TimedOut,
    /// Never ran.
    Skipped,
}

impl State {
    /// Whether nothing more will come.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// Whether it counts as a failure.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// A job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Log {
    /// Exactly these bytes.
    Bytes(Bytes),
    /// This many bytes, made while they are sent: green lines, and a failure at the end.
    Generated(u64),
    /// The job never wrote one.
    None,
}

impl From<Vec<u8>> for Log {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Bytes::from(bytes))
    }
}

impl From<&str> for Log {
    fn from(text: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Log {
    fn from(text: String) -> Self {
        Self::Bytes(Bytes::from(text))
    }
}

/// A job to run.
#[derive(Debug, Clone)]
pub struct JobSpec {
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) state: State,
    pub(crate) log: Log,
    pub(crate) log_delay: u32,
    pub(crate) allow_failure: bool,
    pub(crate) failure_reason: Option<String>,
    pub(crate) failing_tests: Vec<ReportedTest>,
    pub(crate) annotations: Vec<Annotation>,
}

impl JobSpec {
    /// A job called `name` that ends as `state`.
    #[must_use]
    pub fn new(name: &str, state: State, log: impl Into<Log>) -> Self {
        Self {
            name: name.to_owned(),
            stage: "test".to_owned(),
            state,
            log: log.into(),
            log_delay: 0,
            allow_failure: false,
            failure_reason: None,
            failing_tests: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// The failing tests of its test report.
    #[must_use]
    pub fn with_failing_tests(mut self, tests: &[ReportedTest]) -> Self {
        self.failing_tests = tests.to_vec();
        self
    }

    /// The remarks it leaves at lines of files.
    #[must_use]
    pub fn with_annotations(mut self, annotations: &[Annotation]) -> Self {
        self.annotations = annotations.to_vec();
        self
    }

    /// A job that fails with `log`.
    #[must_use]
    pub fn failed(name: &str, log: impl Into<Log>) -> Self {
        Self::new(name, State::Failed, log)
    }

    /// A job that succeeds.
    #[must_use]
    pub fn green(name: &str) -> Self {
        Self::new(name, State::Success, "all good\n")
    }

    /// The stage, where the forge has stages; `test` otherwise.
    #[must_use]
    pub fn with_stage(mut self, stage: &str) -> Self {
        self.stage = stage.to_owned();
        self
    }

    /// The first `requests` requests for the log find it not ready.
    #[must_use]
    pub fn with_log_delay(mut self, requests: u32) -> Self {
        self.log_delay = requests;
        self
    }

    /// Its failure does not fail the run.
    #[must_use]
    pub fn with_allow_failure(mut self) -> Self {
        self.allow_failure = true;
        self
    }

    /// The forge's word for why it failed (GitLab); `script_failure` otherwise.
    #[must_use]
    pub fn with_failure_reason(mut self, reason: &str) -> Self {
        self.failure_reason = Some(reason.to_owned());
        self
    }
}

/// A pull or merge request to open.
#[derive(Debug, Clone)]
pub struct PullSpec {
    pub(crate) title: String,
    pub(crate) source_branch: String,
    pub(crate) target_branch: String,
    pub(crate) sha: Option<String>,
    pub(crate) fork: Option<RepoHandle>,
}

impl PullSpec {
    /// A request to merge `source_branch` into `main`.
    #[must_use]
    pub fn new(title: &str, source_branch: &str) -> Self {
        Self {
            title: title.to_owned(),
            source_branch: source_branch.to_owned(),
            target_branch: "main".to_owned(),
            sha: None,
            fork: None,
        }
    }

    /// The branch it goes to.
    #[must_use]
    pub fn with_target_branch(mut self, branch: &str) -> Self {
        self.target_branch = branch.to_owned();
        self
    }

    /// The commit it stands at; a random one otherwise.
    #[must_use]
    pub fn with_sha(mut self, sha: &str) -> Self {
        self.sha = Some(sha.to_owned());
        self
    }

    /// The source branch is in `fork`.
    #[must_use]
    pub fn from_fork(mut self, fork: &RepoHandle) -> Self {
        self.fork = Some(fork.clone());
        self
    }
}

/// A pull or merge request that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PullHandle {
    /// The number within the target repository.
    pub number: u64,
    /// The target repository's id.
    pub repo_id: u64,
    /// The commit it stands at.
    pub sha: String,
    /// The branch it comes from.
    pub source_branch: String,
    /// The repository's id that the source branch is in.
    pub source_repo_id: u64,
}

/// A run to make.
#[derive(Debug, Clone)]
pub struct RunSpec {
    pub(crate) name: String,
    pub(crate) jobs: Vec<JobSpec>,
    pub(crate) branch: String,
    pub(crate) is_tag: bool,
    pub(crate) sha: Option<String>,
    pub(crate) pull: Option<PullHandle>,
    pub(crate) trigger: Option<String>,
    pub(crate) children: Vec<(Option<RepoHandle>, Self)>,
    pub(crate) config_error: Option<String>,
    pub(crate) state: Option<State>,
    pub(crate) age: Duration,
}

impl RunSpec {
    /// A run of these jobs on branch `main`, started by a push. How it ends follows from the jobs.
    #[must_use]
    pub fn new(jobs: Vec<JobSpec>) -> Self {
        Self {
            name: "ci".to_owned(),
            jobs,
            branch: "main".to_owned(),
            is_tag: false,
            sha: None,
            pull: None,
            trigger: None,
            children: Vec::new(),
            config_error: None,
            state: None,
            age: Duration::ZERO,
        }
    }

    /// A run whose configuration was refused: it has failed and has no jobs.
    #[must_use]
    pub fn config_error(message: &str) -> Self {
        let mut spec = Self::new(Vec::new());
        spec.config_error = Some(message.to_owned());
        spec
    }

    /// The workflow or pipeline name; `ci` otherwise.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// The branch.
    #[must_use]
    pub fn with_branch(mut self, branch: &str) -> Self {
        self.branch = branch.to_owned();
        self
    }

    /// It runs for a tag.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.branch = tag.to_owned();
        self.is_tag = true;
        self
    }

    /// The commit; a random one otherwise.
    #[must_use]
    pub fn with_sha(mut self, sha: &str) -> Self {
        self.sha = Some(sha.to_owned());
        self
    }

    /// It runs for this pull request: branch and commit are taken from it.
    #[must_use]
    pub fn for_pull(mut self, pull: &PullHandle) -> Self {
        self.branch.clone_from(&pull.source_branch);
        self.sha = Some(pull.sha.clone());
        self.pull = Some(pull.clone());
        self
    }

    /// What started it, in the forge's words.
    #[must_use]
    pub fn with_trigger(mut self, trigger: &str) -> Self {
        self.trigger = Some(trigger.to_owned());
        self
    }

    /// It starts another run in the same repository (GitLab: child pipeline); a failure there fails this run.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.children.push((None, child));
        self
    }

    /// It starts another run in another repository (GitLab: multi-project pipeline).
    #[must_use]
    pub fn with_child_in(mut self, repo: &RepoHandle, child: Self) -> Self {
        self.children.push((Some(repo.clone()), child));
        self
    }

    /// How it stands, whatever its jobs say.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// It ended this long ago.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }
}

/// A hook put in place without the API.
#[derive(Debug, Clone)]
pub struct HookSetup {
    pub(crate) url: String,
    pub(crate) secret: Option<SecretString>,
    pub(crate) signing_token: Option<SecretString>,
    pub(crate) events: Vec<String>,
    pub(crate) is_active: bool,
}

impl HookSetup {
    /// An active hook at `url` that is subscribed to the forge's run and job events.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), secret: None, signing_token: None, events: Vec::new(), is_active: true }
    }

    /// The secret: HMAC key or repeated token, as the forge has it.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.secret = Some(SecretString::from(secret.to_owned()));
        self
    }

    /// The signing token (`whsec_...`), for forges that have them.
    #[must_use]
    pub fn with_signing_token(mut self, token: &str) -> Self {
        self.signing_token = Some(SecretString::from(token.to_owned()));
        self
    }

    /// Other events, in the forge's words.
    #[must_use]
    pub fn with_events(mut self, events: &[&str]) -> Self {
        self.events = events.iter().map(|&event| event.to_owned()).collect();
        self
    }

    /// Switched off.
    #[must_use]
    pub fn inactive(mut self) -> Self {
        self.is_active = false;
        self
    }
}

/// What leads from one commit to another.
#[derive(Debug, Clone)]
pub struct ChangeSpec {
    pub(crate) repo_id: u64,
    pub(crate) base: String,
    pub(crate) head: String,
    pub(crate) files: Vec<FileSpec>,
    pub(crate) commits: Vec<(String, String)>,
}

/// One file of a [`ChangeSpec`].
#[derive(Debug, Clone)]
pub(crate) struct FileSpec {
    pub(crate) path: String,
    pub(crate) old_path: Option<String>,
    pub(crate) change: FileChange,
    /// The hunks of a unified diff; `None` for a binary file.
    pub(crate) patch: Option<String>,
}

impl ChangeSpec {
    /// A change of `repo` from commit `base` to commit `head`. A pull request whose commit is `head` has this change too.
    #[must_use]
    pub fn new(repo: &RepoHandle, base: &str, head: &str) -> Self {
        Self {
            repo_id: repo.id,
            base: base.to_owned(),
            head: head.to_owned(),
            files: Vec::new(),
            commits: Vec::new(),
        }
    }

    /// It touches this file. `patch` holds the hunks of a unified diff; `None` is a binary file.
    #[must_use]
    pub fn with_file(mut self, path: &str, change: FileChange, patch: Option<&str>) -> Self {
        let patch = patch.map(str::to_owned);
        self.files.push(FileSpec { path: path.to_owned(), old_path: None, change, patch });
        self
    }

    /// It renames a file.
    #[must_use]
    pub fn with_renamed(mut self, old_path: &str, path: &str, patch: &str) -> Self {
        self.files.push(FileSpec {
            path: path.to_owned(),
            old_path: Some(old_path.to_owned()),
            change: FileChange::Renamed,
            patch: Some(patch.to_owned()),
        });
        self
    }

    /// It holds this commit, the next newer one; the last one added should be `head`.
    #[must_use]
    pub fn with_commit(mut self, sha: &str, message: &str) -> Self {
        self.commits.push((sha.to_owned(), message.to_owned()));
        self
    }
}
