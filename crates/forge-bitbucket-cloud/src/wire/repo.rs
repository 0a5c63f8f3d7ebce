use forge_core::model::{self, Account, RepoRef};
use serde::Deserialize;

use super::{Links, html_link, non_empty};

#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) uuid: Option<String>,
    username: Option<String>,
    nickname: Option<String>,
    display_name: Option<String>,
    account_id: Option<String>,
}

impl User {
    /// People who moved to an Atlassian account have no `username` any more.
    pub(crate) fn into_account(self) -> Account {
        let display_name = non_empty(self.display_name);
        let login = non_empty(self.nickname).or(non_empty(self.username)).or_else(|| display_name.clone());
        let id = non_empty(self.uuid).or(non_empty(self.account_id)).unwrap_or_default();
        let mut account = Account::new(id, login.unwrap_or_default());
        account.display_name = display_name;
        account
    }
}

/// The workspace stands one level down.
#[derive(Debug, Deserialize)]
pub(crate) struct WorkspaceAccess {
    workspace: Option<Workspace>,
}

#[derive(Debug, Deserialize)]
struct Workspace {
    slug: Option<String>,
    uuid: Option<String>,
}

impl WorkspaceAccess {
    pub(crate) fn into_slug(self) -> Option<String> {
        let workspace = self.workspace?;
        non_empty(workspace.slug).or(non_empty(workspace.uuid))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Repository {
    uuid: String,
    full_name: String,
    is_private: Option<bool>,
    mainbranch: Option<Branch>,
    links: Option<Links>,
    parent: Option<Parent>,
}

#[derive(Debug, Deserialize)]
struct Branch {
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Parent {
    uuid: Option<String>,
    full_name: Option<String>,
}

impl Repository {
    pub(crate) fn into_model(self) -> model::Repo {
        let web_url = html_link(self.links).unwrap_or_default();
        let mut repo = model::Repo::new(self.uuid, self.full_name, web_url);
        repo.default_branch = self.mainbranch.and_then(|branch| non_empty(branch.name));
        repo.is_public = self.is_private == Some(false);
        // Native issues were removed in August 2026; old answers still claim them.
        repo.has_issues = Some(false);
        repo
    }

    /// The repository that this one was forked from.
    pub(crate) fn into_parent(self) -> Option<RepoRef> {
        let parent = self.parent?;
        Some(RepoRef::new(non_empty(parent.uuid)?, parent.full_name.unwrap_or_default()))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct HookAnswer {
    uuid: String,
    url: Option<String>,
    active: Option<bool>,
    events: Option<Vec<String>>,
    secret_set: Option<bool>,
    skip_cert_verification: Option<bool>,
}

impl HookAnswer {
    pub(crate) fn into_model(self) -> model::Hook {
        let mut hook = model::Hook::new(self.uuid, self.url.unwrap_or_default());
        hook.is_active = self.active.unwrap_or(true);
        hook.events = self.events.unwrap_or_default();
        hook.events.sort();
        hook.verifies_tls = self.skip_cert_verification.map(|skips| !skips);
        // A secret that is not spoken of was set by us all the same.
        hook.is_signed = self.secret_set.unwrap_or(true);
        hook
    }
}
