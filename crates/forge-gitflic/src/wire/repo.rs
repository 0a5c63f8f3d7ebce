use forge_core::model::{Hook, PullRequest, Repo, RepoRef};
use serde_json::Value;

use super::{Fields, web_url};

/// The user that a token belongs to.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) full_name: Option<String>,
}

impl User {
    /// Whether `author`, an object or a bare name, is this user; `None` where it does not say who it is.
    pub(crate) fn is(&self, author: Fields<'_>) -> Option<bool> {
        if let Some(Value::String(name)) = author.value() {
            return Some(*name == self.username || *name == self.id);
        }
        if let Some(id) = author.id("id").or_else(|| author.id("uuid")) {
            return Some(id == self.id);
        }
        author.first_text(&["username", "alias"]).map(|name| name == self.username)
    }
}

pub(crate) fn user(fields: Fields<'_>) -> Option<User> {
    Some(User {
        id: fields.id("id")?,
        username: fields.first_text(&["username", "alias"])?,
        full_name: fields.first_text(&["fullName", "name"]),
    })
}

/// The owner is `ownerAlias` in older versions and an object in newer ones.
pub(crate) fn repository(fields: Fields<'_>, base_url: &str) -> Option<Repo> {
    let owner = fields.at("owner").text("alias").or_else(|| fields.text("ownerAlias"))?;
    let reference = RepoRef::new(fields.id("id")?, format!("{owner}/{}", fields.text("alias")?));
    let page = web_url(base_url, &reference, "").unwrap_or_default();
    let mut repo = Repo::new(reference.id, reference.full_name, page);
    repo.default_branch = fields.text("defaultBranch");
    repo.is_public = fields.flag("private") == Some(false);
    Some(repo)
}

pub(crate) fn hook(fields: Fields<'_>) -> Option<Hook> {
    let mut hook = Hook::new(fields.id("id")?, fields.text("url").unwrap_or_default());
    hook.events = match fields.at("events").value() {
        Some(Value::Object(events)) => events
            .iter()
            .filter(|(_, is_on)| is_on.as_bool() == Some(true))
            .map(|(key, _)| key.clone())
            .collect(),
        Some(Value::Array(events)) => events.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    hook.events.sort();
    hook.is_active = fields.flag("active").or_else(|| fields.flag("enabled")).unwrap_or(true);
    Some(hook)
}

/// With all names that the source branch may be known by, and the id of the project that it is in.
pub(crate) fn pull_request(
    fields: Fields<'_>,
    repo: &RepoRef,
    base_url: &str,
) -> Option<(PullRequest, Vec<String>, Option<String>)> {
    let number = fields.number("localId")?;
    let mut pull_request = PullRequest::new(number.clone(), repo.clone());
    pull_request.title = fields.text("title").unwrap_or_default();
    pull_request.web_url = web_url(base_url, repo, &format!("/merge-request/{number}")).unwrap_or_default();
    // Words are not documented, so that only those that end it are read.
    pull_request.is_open = !fields.word("status").is_some_and(|word| {
        ["MERGED", "CLOSED", "CANCELED", "CANCELLED", "ACCEPTED_AND_MERGED"].contains(&word.as_str())
    });
    let sources = fields.names("sourceBranch");
    pull_request.source_branch = sources.first().cloned();
    pull_request.target_branch = fields.names("targetBranch").into_iter().next();
    let project = fields.at("sourceProject").id("id");
    pull_request.is_from_fork =
        project.as_ref().is_some_and(|project| !repo.id.is_empty() && *project != repo.id);
    Some((pull_request, sources, project))
}
