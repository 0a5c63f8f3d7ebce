use serde::{Deserialize, Serialize};

/// Names a repository in a call. Adapters use whichever of the two their forge wants; the id survives a rename.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RepoRef {
    /// The forge's stable id.
    pub id: String,
    /// The path, e.g. `group/sub/project` or `owner/name`.
    pub full_name: String,
}

impl RepoRef {
    /// A repository by id and full name.
    #[must_use]
    pub fn new(id: impl Into<String>, full_name: impl Into<String>) -> Self {
        Self { id: id.into(), full_name: full_name.into() }
    }
}

/// A repository as discovery sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Repo {
    /// The forge's stable id.
    pub id: String,
    /// The path, e.g. `group/sub/project`.
    pub full_name: String,
    /// `None` for an empty repository.
    pub default_branch: Option<String>,
    /// Where a person looks at it.
    pub web_url: String,
    /// Read-only.
    pub is_archived: bool,
    /// Visible without signing in.
    pub is_public: bool,
    /// Whether CI is switched on; `None` where the listing does not tell.
    pub has_ci: Option<bool>,
    /// Whether issues are switched on; `None` where the listing does not tell.
    pub has_issues: Option<bool>,
    /// Whether the credential may manage hooks; `None` where the listing does not tell.
    pub can_manage_hooks: Option<bool>,
}

impl Repo {
    /// A repository of which only the names are known.
    #[must_use]
    pub fn new(id: impl Into<String>, full_name: impl Into<String>, web_url: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            full_name: full_name.into(),
            default_branch: None,
            web_url: web_url.into(),
            is_archived: false,
            is_public: false,
            has_ci: None,
            has_issues: None,
            can_manage_hooks: None,
        }
    }

    /// The reference to use in calls.
    #[must_use]
    pub fn as_ref(&self) -> RepoRef {
        RepoRef::new(self.id.clone(), self.full_name.clone())
    }
}
