//! What Bitbucket sends, as it sends it, and how that becomes the shared model.
//!
//! Nearly every field is optional: versions differ, and a null must not cost the answer.

mod build;
mod facts;
mod time;

pub(crate) use build::{BuildCounts, BuildStatus, conclusion, is_our_key, job_id, status, stripped_ref};
pub(crate) use facts::{ChangedPath, Commit, DiffAnswer};
use forge_core::model::{self, RepoRef};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
pub(crate) use time::time;
use url::Url;

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) values: Vec<T>,
    #[serde(rename = "isLastPage")]
    pub(crate) is_last_page: Option<bool>,
    #[serde(rename = "nextPageStart")]
    pub(crate) next_page_start: Option<u64>,
}

impl<T> Page<T> {
    /// Whether there is another page.
    pub(crate) fn goes_on(&self) -> bool {
        self.next_page_start.is_some() && self.is_last_page != Some(true)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Properties {
    pub(crate) version: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WebhookCapabilities {
    #[serde(rename = "application-webhooks", default)]
    pub(crate) events: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: Option<u64>,
    pub(crate) name: Option<String>,
    #[serde(rename = "displayName")]
    pub(crate) display_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Branch {
    pub(crate) id: Option<String>,
    #[serde(rename = "displayId")]
    pub(crate) display_id: Option<String>,
    #[serde(rename = "latestCommit")]
    pub(crate) latest_commit: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Repository {
    id: u64,
    slug: String,
    project: Project,
    public: Option<bool>,
    archived: Option<bool>,
    #[serde(rename = "defaultBranch")]
    default_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Project {
    key: String,
}

impl Repository {
    fn full_name(&self) -> String {
        format!("{}/{}", self.project.key, self.slug)
    }

    pub(crate) fn as_ref(&self) -> RepoRef {
        RepoRef::new(self.id.to_string(), self.full_name())
    }

    pub(crate) fn into_model(self, base_url: &Url) -> model::Repo {
        let web_url = repository_url(base_url, &self.project.key, &self.slug);
        let mut repo = model::Repo::new(self.id.to_string(), self.full_name(), web_url);
        repo.default_branch =
            self.default_branch.filter(|name| !name.is_empty()).map(|name| stripped_ref(&name).0);
        repo.is_archived = self.archived.unwrap_or(false);
        repo.is_public = self.public.unwrap_or(false);
        // Issues live in Jira.
        repo.has_issues = Some(false);
        repo
    }
}

/// The links that the server prints begin with its own idea of its address; ours is the one that was given.
pub(crate) fn repository_url(base_url: &Url, project: &str, slug: &str) -> String {
    let base = base_url.as_str().trim_end_matches('/');
    format!("{base}/projects/{project}/repos/{slug}")
}

#[derive(Debug, Deserialize)]
pub(crate) struct HookAnswer {
    /// A number; the published description of the API forgets it.
    id: Value,
    url: Option<String>,
    active: Option<bool>,
    events: Option<Vec<String>>,
    /// Whether there is a secret; the secret itself is not kept.
    #[serde(rename = "configuration", default, deserialize_with = "has_secret")]
    has_secret: Option<bool>,
    #[serde(rename = "sslVerificationRequired")]
    ssl_verification_required: Option<bool>,
    statistics: Option<Value>,
}

impl HookAnswer {
    pub(crate) fn into_model(self) -> model::Hook {
        let id = match &self.id {
            Value::String(id) => id.clone(),
            other => other.to_string(),
        };
        let mut hook = model::Hook::new(id, self.url.unwrap_or_default());
        hook.is_active = self.active.unwrap_or(true);
        hook.events = self.events.unwrap_or_default();
        hook.events.sort();
        hook.verifies_tls = self.ssl_verification_required;
        // The secret is shown to administrators. Where no configuration is shown at all, nothing can be said of it.
        hook.is_signed = self.has_secret.unwrap_or(true);
        hook.health.last_failure = self.statistics.as_ref().and_then(last_failure);
        hook
    }
}

fn has_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let secret = |fields: &serde_json::Map<String, Value>| {
        fields.get("secret").and_then(Value::as_str).is_some_and(|secret| !secret.is_empty())
    };
    let configuration = Option::<Value>::deserialize(deserializer)?;
    Ok(configuration.as_ref().and_then(Value::as_object).map(secret))
}

/// What the newest delivery says when it was no success.
fn last_failure(statistics: &Value) -> Option<String> {
    let at = |name: &str| {
        let invocation = statistics.get(name).filter(|value| value.is_object())?;
        let finish = time(invocation.get("finish").or_else(|| invocation.get("start")));
        Some((finish, invocation))
    };
    let newest =
        [at("lastFailure"), at("lastError")].into_iter().flatten().max_by_key(|(finish, _)| *finish)?;
    if at("lastSuccess").is_some_and(|(success, _)| success > newest.0) {
        return None;
    }
    let result = newest.1.get("result");
    let text = |name: &str| result?.get(name)?.as_str().filter(|text| !text.is_empty());
    let outcome = text("outcome").unwrap_or("FAILURE");
    let words: String = match text("description") {
        Some(description) => format!("{outcome}: {description}"),
        None => outcome.to_owned(),
    };
    Some(words.chars().filter(|character| !character.is_control()).take(200).collect())
}

#[derive(Debug, Deserialize)]
pub(crate) struct HookTest {
    pub(crate) response: Option<Value>,
}

impl HookTest {
    /// What our side answered, where the server tells.
    pub(crate) fn status(&self) -> Option<u64> {
        let response = self.response.as_ref()?;
        response.get("statusCode").or_else(|| response.get("status"))?.as_u64()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct PullRequest {
    id: u64,
    title: Option<String>,
    state: Option<String>,
    #[serde(rename = "fromRef")]
    from: Option<Side>,
    #[serde(rename = "toRef")]
    to: Option<Side>,
}

#[derive(Debug, Deserialize)]
struct Side {
    id: Option<String>,
    #[serde(rename = "latestCommit")]
    latest_commit: Option<String>,
    repository: Option<Repository>,
}

impl PullRequest {
    /// Its number counts in the repository that it goes to; `repo` stands in where that is not said.
    pub(crate) fn into_model(self, repo: &RepoRef, base_url: &Url) -> model::PullRequest {
        let target = self.to.as_ref().and_then(|to| to.repository.as_ref());
        let target = target.map_or_else(|| repo.clone(), Repository::as_ref);
        let web_url = target.full_name.split_once('/').map(|(project, slug)| {
            format!("{}/pull-requests/{}", repository_url(base_url, project, slug), self.id)
        });
        let branch = |side: Option<&Side>| Some(stripped_ref(side?.id.as_deref()?).0);
        let source = self.from.as_ref().and_then(|from| from.repository.as_ref()).map(Repository::as_ref);
        let is_from_fork = source.is_some_and(|source| source.id != target.id);
        let mut pull_request = model::PullRequest::new(self.id.to_string(), target);
        pull_request.is_from_fork = is_from_fork;
        pull_request.title = self.title.unwrap_or_default();
        pull_request.web_url = web_url.unwrap_or_default();
        pull_request.is_open = self.state.as_deref() == Some("OPEN");
        pull_request.source_branch = branch(self.from.as_ref());
        pull_request.target_branch = branch(self.to.as_ref());
        pull_request.head_sha = self.from.and_then(|from| from.latest_commit);
        pull_request
    }
}

/// One thing that happened to a pull request.
#[derive(Debug, Deserialize)]
pub(crate) struct Activity {
    pub(crate) comment: Option<PostedComment>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PostedComment {
    pub(crate) id: u64,
    /// Counts edits: an edit has to name the version that it is made from.
    pub(crate) version: Option<u64>,
    pub(crate) text: Option<String>,
    pub(crate) author: Option<User>,
}
