//! Everything a fake remembers.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use forge_core::model::{Annotation, ReportedTest, Target};
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;

use crate::{
    deliver::{DeliveryOutcome, SignedRequest},
    fault::Armed,
    grants::Grants,
    record::Recorded,
    spec::{ChangeSpec, Log, State, TokenKind},
};

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) id: u64,
    pub(crate) kind: TokenKind,
    pub(crate) user_id: u64,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) is_revoked: bool,
    /// The OAuth application, for tokens that came from one.
    pub(crate) client_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Repo {
    pub(crate) id: u64,
    pub(crate) full_name: String,
    pub(crate) former_names: Vec<String>,
    pub(crate) is_archived: bool,
    pub(crate) is_private: bool,
    pub(crate) is_empty: bool,
    pub(crate) has_ci: bool,
    pub(crate) has_issues: bool,
    pub(crate) has_commit_comments: bool,
    pub(crate) forked_from: Option<u64>,
    pub(crate) last_number: u64,
    pub(crate) last_pull_number: u64,
    pub(crate) last_run_number: u64,
    pub(crate) created_at: Timestamp,
    /// Access levels that differ from maintainer, by user: 0 hides the repository.
    pub(crate) access: HashMap<u64, u8>,
}

impl Repo {
    pub(crate) fn access_of(&self, user_id: u64) -> u8 {
        self.access.get(&user_id).copied().unwrap_or(40)
    }

    pub(crate) fn name(&self) -> &str {
        self.full_name.rsplit('/').next().unwrap_or_default()
    }

    pub(crate) fn owner(&self) -> &str {
        self.full_name.rsplit_once('/').map_or("", |(owner, _)| owner)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) repo_id: u64,
    pub(crate) title: String,
    pub(crate) source_branch: String,
    pub(crate) target_branch: String,
    pub(crate) source_repo_id: u64,
    pub(crate) sha: String,
    pub(crate) is_open: bool,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) repo_id: u64,
    pub(crate) number: u64,
    pub(crate) attempt: u32,
    pub(crate) name: String,
    pub(crate) branch: String,
    pub(crate) is_tag: bool,
    pub(crate) sha: String,
    pub(crate) trigger: String,
    /// Number and target repository of the pull request it runs for.
    pub(crate) pull: Option<(u64, u64)>,
    /// Run, repository and job that started it.
    pub(crate) parent: Option<(u64, u64, u64)>,
    pub(crate) config_error: Option<String>,
    pub(crate) state: State,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) run_id: u64,
    pub(crate) repo_id: u64,
    /// The attempt of the run (GitHub) or the job's own (GitLab).
    pub(crate) attempt: u32,
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) state: State,
    pub(crate) allow_failure: bool,
    pub(crate) failure_reason: Option<String>,
    pub(crate) is_retried: bool,
    pub(crate) log: Log,
    pub(crate) log_delay: u32,
    pub(crate) is_log_expired: bool,
    pub(crate) erased_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    /// The run that this job started: it is a bridge and has no log.
    pub(crate) bridge_to: Option<u64>,
    pub(crate) failing_tests: Vec<ReportedTest>,
    pub(crate) annotations: Vec<Annotation>,
}

impl Job {
    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        let has_started = !matches!(self.state, State::Queued | State::Skipped);
        has_started.then(|| shift(self.created_at, 2))
    }

    pub(crate) fn log_length(&self) -> u64 {
        match &self.log {
            Log::Bytes(bytes) => bytes.len() as u64,
            Log::Generated(length) => *length,
            Log::None => 0,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) id: u64,
    pub(crate) repo_id: u64,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) is_active: bool,
    pub(crate) verifies_tls: bool,
    pub(crate) content_type: String,
    pub(crate) secret: Option<String>,
    pub(crate) signing_token: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) failures: u32,
    pub(crate) disabled_until: Option<Timestamp>,
    pub(crate) is_disabled: bool,
    pub(crate) last_status: Option<u16>,
}

/// A comment as it stands at a fake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeComment {
    /// The forge's id.
    pub id: u64,
    /// The repository's id.
    pub repo_id: u64,
    /// What it is a comment on; comments on issues are under [`Target::Pull`] with the issue's number on GitHub.
    pub target: Target,
    /// Who wrote it.
    pub author: String,
    /// The text now.
    pub body: String,
    /// Earlier texts, oldest first.
    pub history: Vec<String>,
    /// Whether it was deleted.
    pub is_deleted: bool,
    pub(crate) author_id: u64,
    pub(crate) discussion: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// An issue as it stands at a fake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeIssue {
    /// The forge's id.
    pub id: u64,
    /// The number within the repository.
    pub number: u64,
    /// The repository's id.
    pub repo_id: u64,
    /// Who opened it.
    pub author: String,
    /// The title now.
    pub title: String,
    /// The text now.
    pub body: String,
    /// Earlier texts, oldest first.
    pub history: Vec<String>,
    /// Label names.
    pub labels: Vec<String>,
    /// Whether it is open.
    pub is_open: bool,
    pub(crate) author_id: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// A commit status as it was set at a fake; each call adds one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeStatus {
    /// The forge's id.
    pub id: u64,
    /// The repository's id.
    pub repo_id: u64,
    /// The commit.
    pub sha: String,
    /// What it is about.
    pub context: String,
    /// The forge's word.
    pub state: String,
    /// One line.
    pub description: Option<String>,
    /// Where it leads.
    pub target_url: Option<String>,
    /// Who set it.
    pub author: String,
}

/// A hook as it stands at a fake, with what the forge never shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeHook {
    /// The fake's number for it.
    pub id: u64,
    /// The forge's id as adapters see it.
    pub forge_id: String,
    /// The repository's id.
    pub repo_id: u64,
    /// Where it sends to.
    pub url: String,
    /// The events, in the forge's words, sorted.
    pub events: Vec<String>,
    /// Switched on.
    pub is_active: bool,
    /// Whether it checks TLS certificates.
    pub verifies_tls: bool,
    /// `json` or `form`.
    pub content_type: String,
    /// The secret.
    pub secret: Option<String>,
    /// The signing token.
    pub signing_token: Option<String>,
    /// Whether the forge itself has switched it off, for a while or for good.
    pub is_disabled: bool,
    /// Deliveries that failed in a row.
    pub failures: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimit {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) window: Duration,
    pub(crate) resets_at: Timestamp,
}

/// A log download link on the blob store.
#[derive(Debug, Clone)]
pub(crate) struct BlobLink {
    pub(crate) key: String,
    pub(crate) signature: String,
    pub(crate) job_id: u64,
    pub(crate) expires_at: Timestamp,
}

/// A delivery as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) id: u64,
    pub(crate) request: SignedRequest,
    pub(crate) outcome: DeliveryOutcome,
    pub(crate) at: Timestamp,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) base_url: String,
    pub(crate) blob_url: String,
    pub(crate) version: String,
    pub(crate) offset: SignedDuration,
    pub(crate) latency: Duration,
    pub(crate) auto_disables_hooks: bool,
    pub(crate) allows_local_hooks: bool,
    pub(crate) redirects_logs: bool,
    pub(crate) is_blob_missing: bool,
    pub(crate) foreign_next_link: Option<String>,
    pub(crate) foreign_log_origin: Option<String>,
    last_id: u64,
    last_large_id: u64,
    pub(crate) users: Vec<User>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) grants: Grants,
    pub(crate) repos: BTreeMap<u64, Repo>,
    pub(crate) repos_by_name: HashMap<String, u64>,
    pub(crate) pulls: Vec<Pull>,
    pub(crate) runs: BTreeMap<u64, Run>,
    pub(crate) jobs: BTreeMap<u64, Job>,
    /// Hooks by id; their `repo_id` is that of a repository or of a namespace.
    pub(crate) hooks: BTreeMap<u64, Hook>,
    /// Groups and projects that hooks may belong to, by path.
    pub(crate) namespaces: BTreeMap<String, u64>,
    pub(crate) changes: Vec<ChangeSpec>,
    /// Texts of files by repository, commit and path.
    pub(crate) files: BTreeMap<(u64, String, String), String>,
    pub(crate) comments: Vec<FakeComment>,
    pub(crate) issues: Vec<FakeIssue>,
    pub(crate) statuses: Vec<FakeStatus>,
    pub(crate) blobs: Vec<BlobLink>,
    pub(crate) sent: VecDeque<Sent>,
    pub(crate) requests: Vec<Recorded>,
    pub(crate) unknown: Vec<Recorded>,
    pub(crate) faults: Vec<Armed>,
    pub(crate) quick_actions: Vec<String>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) bitbucket_dc: crate::bitbucket_dc::State,
    pub(crate) github: crate::github::State,
}

impl World {
    pub(crate) fn new(base_url: String, blob_url: String, version: String) -> Self {
        Self {
            base_url,
            blob_url,
            version,
            offset: SignedDuration::ZERO,
            latency: Duration::ZERO,
            auto_disables_hooks: false,
            allows_local_hooks: true,
            redirects_logs: false,
            is_blob_missing: false,
            foreign_next_link: None,
            foreign_log_origin: None,
            last_id: 100,
            // Run and job ids of the big forges do not fit into 32 bits.
            last_large_id: 19_000_000_000,
            users: Vec::new(),
            tokens: HashMap::new(),
            grants: Grants::default(),
            repos: BTreeMap::new(),
            repos_by_name: HashMap::new(),
            pulls: Vec::new(),
            runs: BTreeMap::new(),
            jobs: BTreeMap::new(),
            hooks: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            changes: Vec::new(),
            files: BTreeMap::new(),
            comments: Vec::new(),
            issues: Vec::new(),
            statuses: Vec::new(),
            blobs: Vec::new(),
            sent: VecDeque::new(),
            requests: Vec::new(),
            unknown: Vec::new(),
            faults: Vec::new(),
            quick_actions: Vec::new(),
            rate_limit: None,
            bitbucket_dc: crate::bitbucket_dc::State::default(),
            github: crate::github::State::default(),
        }
    }

    /// The fake's own clock.
    pub(crate) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.offset).unwrap_or(now)
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn next_large_id(&mut self) -> u64 {
        self.last_large_id += 1;
        self.last_large_id
    }

    pub(crate) fn add_user(&mut self, login: &str) -> u64 {
        if let Some(user) = self.users.iter().find(|user| user.login == login) {
            return user.id;
        }
        let id = self.next_id();
        self.users.push(User { id, login: login.to_owned() });
        id
    }

    pub(crate) fn user(&self, id: u64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(crate) fn login(&self, id: u64) -> String {
        self.user(id).map_or_else(|| "ghost".to_owned(), |user| user.login.clone())
    }

    pub(crate) fn repo(&self, id: u64) -> Option<&Repo> {
        self.repos.get(&id)
    }

    pub(crate) fn repo_name(&self, id: u64) -> String {
        self.repo(id).map(|repo| repo.full_name.clone()).unwrap_or_default()
    }

    pub(crate) fn pull(&self, repo_id: u64, number: u64) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.repo_id == repo_id && pull.number == number)
    }

    pub(crate) fn jobs_of(&self, run_id: u64) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.values().filter(move |job| job.run_id == run_id)
    }

    /// The hooks of this repository or namespace itself.
    pub(crate) fn hooks_of(&self, repo_id: u64) -> impl Iterator<Item = &Hook> {
        self.hooks.values().filter(move |hook| hook.repo_id == repo_id)
    }

    /// All hooks that a repository's deliveries go to: its own, and those of the namespaces above it.
    pub(crate) fn hooks_above(&self, repo_id: u64) -> impl Iterator<Item = &Hook> {
        let name = self.repo_name(repo_id);
        self.hooks.values().filter(move |hook| {
            hook.repo_id == repo_id
                || self.namespaces.iter().any(|(path, &id)| {
                    hook.repo_id == id
                        && name.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
                })
        })
    }

    /// The namespace of this path, where repositories or hooks make it one.
    pub(crate) fn find_namespace(&mut self, path: &str) -> Option<u64> {
        let is_above = |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        let is_known =
            self.namespaces.contains_key(path) || self.repos.values().any(|repo| is_above(&repo.full_name));
        is_known.then(|| self.namespace_id(path))
    }

    /// The id of a namespace such as `group/sub`, which is made where it is new.
    pub(crate) fn namespace_id(&mut self, path: &str) -> u64 {
        if let Some(&id) = self.namespaces.get(path) {
            return id;
        }
        let id = self.next_id();
        self.namespaces.insert(path.to_owned(), id);
        id
    }

    /// The text of a file on a branch or at a commit: branches are told from their files.
    pub(crate) fn file(&self, repo_id: u64, git_ref: &str, path: &str) -> Option<&String> {
        let at = |git_ref: &str| self.files.get(&(repo_id, git_ref.to_owned(), path.to_owned()));
        at(git_ref).or_else(|| {
            let (branch, _) = self.branches(repo_id).into_iter().find(|(_, head)| head == git_ref)?;
            at(&branch)
        })
    }

    /// The branches that files were put on, each with its commit.
    pub(crate) fn branches(&self, repo_id: u64) -> Vec<(String, String)> {
        let mut names: Vec<&String> =
            self.files.keys().filter(|key| key.0 == repo_id).map(|key| &key.1).collect();
        names.dedup();
        let head = |name: &String| {
            let mut head = hex::encode(name);
            head.truncate(40);
            (name.clone(), format!("{head:0<40}"))
        };
        names.into_iter().filter(|name| !forge_core::text::is_commit_id(name)).map(head).collect()
    }

    /// What leads to `head`, from `base` where that is given.
    pub(crate) fn change(&self, repo_id: u64, base: Option<&str>, head: &str) -> Option<&ChangeSpec> {
        self.changes.iter().find(|change| {
            change.repo_id == repo_id && change.head == head && base.is_none_or(|base| change.base == base)
        })
    }

    /// Makes a download link that works for one minute.
    pub(crate) fn blob_link(&mut self, job_id: u64) -> String {
        let (key, signature) = (random_hex(16), random_hex(24));
        let expires_at = shift(self.now(), 60);
        let url = format!("{}/logs/{key}/job.txt?se=60&sig={signature}", self.blob_url);
        self.blobs.push(BlobLink { key, signature, job_id, expires_at });
        url
    }
}

/// `at` moved by `seconds`.
pub(crate) fn shift(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}

pub(crate) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0_u8; bytes];
    rand::rng().fill(random.as_mut_slice());
    hex::encode(random)
}

pub(crate) fn header_text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
