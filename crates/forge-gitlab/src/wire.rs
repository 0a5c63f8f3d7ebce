//! What the REST API sends and takes, as far as we look at it, and its conversion into the common model.
//!
//! Only ids are required. Everything else may be missing, `null` or new: versions differ.

mod ci;
mod facts;
mod feedback;

use forge_core::model::{self, Account, Repo};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use ci::{Bridge, Commit, Downstream, Job, MergeRequest, Pipeline};
pub(crate) use facts::{Comparison, FileDiff, HookEvent, ListedCommit, TestCase, TestReport};
pub(crate) use feedback::{
    CommitStatus, Discussion, Issue, IssueBody, IssueState, Note, NoteBody, StatusBody,
};

/// The role from which on hooks can be managed: Maintainer.
const MAINTAINER: u64 = 40;

/// A time in any form GitLab uses; one that cannot be read is one that is not there.
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// `GET /projects/:id`, where only the id matters.
#[derive(Debug, Deserialize)]
pub(crate) struct ProjectId {
    pub(crate) id: u64,
}

/// `GET /projects/:id`, where only the place of the CI configuration matters.
#[derive(Debug, Deserialize)]
pub(crate) struct ProjectCi {
    pub(crate) ci_config_path: Option<String>,
}

/// `GET /projects/:id/merge_requests/:iid`, where only the number of files matters.
#[derive(Debug, Deserialize)]
pub(crate) struct ChangesCount {
    /// A number as text, with a plus sign where there are more than GitLab looks at.
    pub(crate) changes_count: Option<String>,
}

/// `GET /projects`, `GET /projects/:id`.
#[derive(Debug, Deserialize)]
pub(crate) struct Project {
    id: u64,
    #[serde(default)]
    path_with_namespace: String,
    default_branch: Option<String>,
    #[serde(default)]
    web_url: String,
    visibility: Option<String>,
    archived: Option<bool>,
    marked_for_deletion_on: Option<String>,
    marked_for_deletion_at: Option<String>,
    builds_access_level: Option<String>,
    jobs_enabled: Option<bool>,
    issues_access_level: Option<String>,
    issues_enabled: Option<bool>,
    permissions: Option<Permissions>,
    pub(crate) forked_from_project: Option<Parent>,
}

/// The project that a fork was made from.
#[derive(Debug, Deserialize)]
pub(crate) struct Parent {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) path_with_namespace: String,
}

#[derive(Debug, Deserialize)]
struct Permissions {
    project_access: Option<Access>,
    group_access: Option<Access>,
}

#[derive(Debug, Deserialize)]
struct Access {
    access_level: Option<u64>,
}

impl Project {
    pub(crate) fn into_repo(self) -> Repo {
        let is_on = |level: Option<&str>, flag: Option<bool>| level.map(|level| level != "disabled").or(flag);
        let mut repo = Repo::new(self.id.to_string(), self.path_with_namespace, self.web_url);
        repo.default_branch = self.default_branch.filter(|branch| !branch.is_empty());
        // A project that waits for its deletion is read-only too.
        repo.is_archived = self.archived == Some(true)
            || self.marked_for_deletion_on.is_some()
            || self.marked_for_deletion_at.is_some();
        repo.is_public = self.visibility.as_deref() == Some("public");
        repo.has_ci = is_on(self.builds_access_level.as_deref(), self.jobs_enabled);
        repo.has_issues = is_on(self.issues_access_level.as_deref(), self.issues_enabled);
        // Both empty means that the role comes from elsewhere, e.g. a share of a parent group.
        repo.can_manage_hooks = self.permissions.and_then(|permissions| {
            let level = |access: Option<Access>| access?.access_level;
            level(permissions.project_access)
                .max(level(permissions.group_access))
                .map(|level| level >= MAINTAINER)
        });
        repo
    }
}

/// `GET /user`.
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    #[serde(default)]
    username: String,
    name: Option<String>,
}

impl User {
    /// What kind of token acts as this user. Group and project access tokens have bots of their own, which are called
    /// `project_<id>_bot_<hash>` (docs user/project/settings/project_access_tokens.md, "Bot users for projects").
    pub(crate) fn token_kind(&self) -> &'static str {
        let is_bot_of = |owner: &str| {
            let rest = self.username.strip_prefix(owner).unwrap_or_default();
            rest.split_once("_bot")
                .is_some_and(|(id, _)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if is_bot_of("project_") {
            "project access token"
        } else if is_bot_of("group_") {
            "group access token"
        } else {
            "personal access token"
        }
    }

    pub(crate) fn into_account(self) -> Account {
        let mut account = Account::new(self.id.to_string(), self.username);
        account.display_name = self.name.filter(|name| !name.is_empty());
        account
    }
}

/// `GET /version`.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: String,
}

/// `GET /personal_access_tokens/self` and `GET /oauth/token/info`, which agree on what we need.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenInfo {
    /// `scopes` of access tokens.
    scopes: Option<Vec<String>>,
    /// `scope` of OAuth tokens.
    scope: Option<Vec<String>>,
    /// A date; the token ends with it, at 00:00 UTC.
    expires_at: Option<String>,
    /// Seconds from now.
    expires_in: Option<i64>,
}

impl TokenInfo {
    /// The scopes; `None` for fine-grained tokens, which have permissions instead.
    pub(crate) fn into_scopes(self) -> Option<Vec<String>> {
        self.scopes.or(self.scope).filter(|scopes| !scopes.is_empty())
    }

    pub(crate) fn missing_scopes(&self) -> Vec<String> {
        let scopes = self.scopes.as_ref().or(self.scope.as_ref()).filter(|scopes| !scopes.is_empty());
        // `api` covers all that this product does; with `read_api` everything can be read and nothing registered or
        // posted.
        let is_missing = scopes.is_some_and(|scopes| !scopes.iter().any(|scope| scope == "api"));
        is_missing.then(|| "api".to_owned()).into_iter().collect()
    }

    pub(crate) fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        if let Some(seconds) = self.expires_in {
            return now.checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
        }
        let text = self.expires_at.as_deref()?;
        if let Ok(moment) = text.parse() {
            return Some(moment);
        }
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }
}

/// A project hook as GitLab shows it: never with its secrets.
#[derive(Debug, Deserialize)]
pub(crate) struct Hook {
    id: u64,
    #[serde(default)]
    url: String,
    enable_ssl_verification: Option<bool>,
    alert_status: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    disabled_until: Option<Timestamp>,
    /// Since 19.0; absent before.
    pub(crate) signing_token_present: Option<bool>,
    /// All others; those that end in `_events` and are on are what it is subscribed to.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Hook {
    pub(crate) fn into_hook(self) -> model::Hook {
        let mut hook = model::Hook::new(self.id.to_string(), self.url);
        hook.verifies_tls = self.enable_ssl_verification;
        hook.is_signed = self.signing_token_present == Some(true);
        hook.events = self
            .rest
            .into_iter()
            .filter(|(name, value)| name.ends_with("_events") && *value == serde_json::Value::Bool(true))
            .map(|(name, _)| name)
            .collect();
        hook.events.sort();
        // docs user/project/integrations/webhooks.md, "Auto-disabled webhooks": a pause ends by itself, `disabled` does
        // not.
        let status = self.alert_status.as_deref().unwrap_or("executable");
        hook.is_active = status != "disabled";
        hook.health.is_disabled = status != "executable";
        hook.health.disabled_until = self.disabled_until;
        hook.health.last_failure = match status {
            "executable" => None,
            "temporarily_disabled" => Some("paused by GitLab after repeated failures".to_owned()),
            _ => Some("switched off by GitLab after too many failures".to_owned()),
        };
        hook
    }
}

/// A project hook as we want it.
#[derive(Serialize)]
pub(crate) struct HookBody<'a> {
    pub(crate) url: &'a str,
    pub(crate) token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_token: Option<&'a str>,
    pub(crate) pipeline_events: bool,
    pub(crate) job_events: bool,
    pub(crate) push_events: bool,
    pub(crate) enable_ssl_verification: bool,
}
