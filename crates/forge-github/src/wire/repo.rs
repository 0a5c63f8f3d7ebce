use forge_core::model::{self, RepoRef};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::non_empty;

#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) name: Option<String>,
}

/// `GET /installation/repositories` wraps the array that `GET /user/repos` sends bare.
#[derive(Debug, Deserialize)]
pub(crate) struct RepositoryPage {
    pub(crate) repositories: Vec<Repository>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Repository {
    id: u64,
    full_name: String,
    html_url: Option<String>,
    default_branch: Option<String>,
    archived: Option<bool>,
    private: Option<bool>,
    visibility: Option<String>,
    has_issues: Option<bool>,
    permissions: Option<Permissions>,
}

#[derive(Debug, Deserialize)]
struct Permissions {
    admin: Option<bool>,
}

impl Repository {
    pub(crate) fn into_model(self) -> model::Repo {
        let mut repo =
            model::Repo::new(self.id.to_string(), self.full_name, self.html_url.unwrap_or_default());
        repo.default_branch = non_empty(self.default_branch);
        repo.is_archived = self.archived.unwrap_or(false);
        // `internal` repositories have `private: true`, but old servers know no `visibility`.
        repo.is_public = match self.visibility.as_deref() {
            Some(visibility) => visibility == "public",
            None => self.private == Some(false),
        };
        repo.has_issues = self.has_issues;
        repo.can_manage_hooks = self.permissions.and_then(|permissions| permissions.admin);
        repo
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct HookAnswer {
    id: u64,
    active: Option<bool>,
    events: Option<Vec<String>>,
    config: Option<HookConfig>,
    last_response: Option<LastResponse>,
}

#[derive(Debug, Deserialize)]
struct HookConfig {
    url: Option<String>,
    content_type: Option<String>,
    /// A string or a number, by version.
    insecure_ssl: Option<Value>,
    /// Asterisks when there is one.
    secret: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LastResponse {
    code: Option<i64>,
    message: Option<String>,
}

impl HookAnswer {
    pub(crate) fn into_model(self) -> model::Hook {
        let config = self.config;
        let url = config.as_ref().and_then(|config| config.url.clone()).unwrap_or_default();
        let mut hook = model::Hook::new(self.id.to_string(), url);
        hook.is_active = self.active.unwrap_or(true);
        hook.events = self.events.unwrap_or_default();
        hook.events.sort();
        hook.verifies_tls = config.as_ref().and_then(|config| match config.insecure_ssl.as_ref()? {
            Value::String(text) => Some(text == "0"),
            Value::Number(number) => Some(number.as_i64() == Some(0)),
            _ => None,
        });
        // Only a hook with a secret signs, and only JSON is what we ask for: both make it one that is not ours yet.
        hook.is_signed = config.as_ref().is_some_and(|config| {
            config.secret.as_ref().is_some_and(|secret| !secret.is_empty())
                && config.content_type.as_deref() == Some("json")
        });
        if let Some(last) = self.last_response
            && let Some(code) = last.code
            && !(200..300).contains(&code)
        {
            let message = last.message.unwrap_or_default();
            let message: String =
                message.chars().filter(|character| !character.is_control()).take(180).collect();
            hook.health.last_failure = Some(if message.is_empty() {
                format!("HTTP {code}")
            } else {
                format!("HTTP {code}: {message}")
            });
        }
        hook
    }
}

/// GitHub docs, rest/repos/webhooks, "List deliveries for a repository webhook".
#[derive(Debug, Deserialize)]
pub(crate) struct DeliveryAnswer {
    id: u64,
    guid: Option<String>,
    pub(crate) delivered_at: Timestamp,
    status_code: Option<i64>,
    event: Option<String>,
}

impl DeliveryAnswer {
    pub(crate) fn into_model(self) -> model::HookDelivery {
        let event = self.event.unwrap_or_default();
        let mut delivery = model::HookDelivery::new(self.id.to_string(), event, self.delivered_at);
        delivery.event_id = non_empty(self.guid);
        // 0 when there was no answer.
        delivery.status =
            self.status_code.and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 100);
        delivery
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct PullRequestAnswer {
    number: u64,
    title: Option<String>,
    html_url: Option<String>,
    state: Option<String>,
    head: Option<Side>,
    base: Option<Side>,
}

#[derive(Debug, Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    name: Option<String>,
    sha: Option<String>,
    repo: Option<SideRepository>,
}

#[derive(Debug, Deserialize)]
struct SideRepository {
    id: Option<u64>,
}

impl PullRequestAnswer {
    /// `None` when its number counts in another repository than `repo`.
    pub(crate) fn into_model(self, repo: &RepoRef) -> Option<model::PullRequest> {
        let base_id = self.base.as_ref().and_then(|base| base.repo.as_ref()?.id);
        if base_id.is_some_and(|id| !repo.id.is_empty() && id.to_string() != repo.id) {
            return None;
        }
        let mut pull_request = model::PullRequest::new(self.number.to_string(), repo.clone());
        pull_request.title = self.title.unwrap_or_default();
        pull_request.web_url = self.html_url.unwrap_or_default();
        pull_request.is_open = self.state.as_deref() == Some("open");
        if let Some(head) = self.head {
            // A fork that was deleted is no repository any more.
            pull_request.is_from_fork = head.repo.and_then(|head| head.id) != base_id;
            pull_request.source_branch = non_empty(head.name);
            pull_request.head_sha = non_empty(head.sha);
        }
        pull_request.target_branch = self.base.and_then(|base| non_empty(base.name));
        Some(pull_request)
    }
}
