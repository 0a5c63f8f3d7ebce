use serde::{Deserialize, Serialize};

/// Where a comment goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
#[non_exhaustive]
pub enum Target {
    /// A pull or merge request, by its number within the repository.
    Pull(String),
    /// A commit, by its full sha.
    Commit(String),
}

impl Target {
    /// A stable text for keys: `pr:42` or `commit:<sha>`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Pull(number) => format!("pr:{number}"),
            Self::Commit(sha) => format!("commit:{sha}"),
        }
    }
}

/// A comment that can be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// An HTML comment such as `<!-- forge-rca:... -->`; stands in `body`.
    pub marker: String,
    /// The whole text in the forge's Markdown, with the marker. Already safe to post.
    pub body: String,
}

/// An issue that can be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// As [`Comment::marker`]; stands in `body`.
    pub marker: String,
    /// One line.
    pub title: String,
    /// The whole text, with the marker.
    pub body: String,
    /// Label names.
    pub labels: Vec<String>,
}

/// What a post did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostAction {
    /// It is new.
    Created,
    /// An earlier one was edited.
    Updated,
    /// An earlier one said exactly this already; nothing was sent.
    Unchanged,
}

/// Something that we have said at the forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Posted {
    /// The forge's id, by which it can be edited.
    pub id: String,
    /// Where a person reads it, where the forge tells.
    pub web_url: Option<String>,
    /// What was done.
    pub action: PostAction,
}

impl Posted {
    /// A post without a known address.
    #[must_use]
    pub fn new(id: impl Into<String>, action: PostAction) -> Self {
        Self { id: id.into(), web_url: None, action }
    }
}

/// A status to show at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// What it says.
    pub state: StatusState,
    /// What it is about; the same context again replaces it. We use `forge-rca`.
    pub context: String,
    /// One line; adapters cut it to the forge's limit.
    pub description: String,
    /// Where it leads.
    pub target_url: Option<String>,
}

/// What a commit status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// Under way.
    Pending,
    /// Good.
    Success,
    /// Bad.
    Failure,
    /// Could not tell.
    Error,
}
