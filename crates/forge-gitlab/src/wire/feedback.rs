//! Notes, discussions, issues, commit statuses: docs api/notes.md, api/discussions.md, api/issues.md, api/commits.md.

use serde::{Deserialize, Serialize};

/// A comment.
#[derive(Debug, Deserialize)]
pub(crate) struct Note {
    /// Missing when GitLab took the whole text for quick actions.
    pub(crate) id: Option<u64>,
    #[serde(default)]
    pub(crate) body: String,
    pub(crate) author: Option<Author>,
    pub(crate) system: Option<bool>,
}

impl Note {
    /// Whether `user` wrote it with `marker` in it.
    pub(crate) fn is_ours(&self, user: u64, marker: &str) -> bool {
        self.author.as_ref().is_some_and(|author| author.id == user)
            && self.system != Some(true)
            && self.body.contains(marker)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Author {
    pub(crate) id: u64,
}

/// A thread of comments.
#[derive(Debug, Deserialize)]
pub(crate) struct Discussion {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) notes: Vec<Note>,
}

#[derive(Serialize)]
pub(crate) struct NoteBody<'a> {
    pub(crate) body: &'a str,
}

/// An issue.
#[derive(Debug, Deserialize)]
pub(crate) struct Issue {
    pub(crate) iid: u64,
    #[serde(default)]
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) web_url: Option<String>,
    pub(crate) author: Option<Author>,
}

impl Issue {
    pub(crate) fn is_open(&self) -> bool {
        self.state.as_deref() == Some("opened")
    }

    /// Whether `user` opened it with `marker` in it.
    pub(crate) fn is_ours(&self, user: u64, marker: &str) -> bool {
        self.author.as_ref().is_some_and(|author| author.id == user)
            && self.description.as_deref().is_some_and(|text| text.contains(marker))
    }
}

#[derive(Serialize)]
pub(crate) struct IssueBody<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) labels: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_event: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct IssueState<'a> {
    pub(crate) state_event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<&'a str>,
}

/// A commit status.
#[derive(Debug, Deserialize)]
pub(crate) struct CommitStatus {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct StatusBody<'a> {
    pub(crate) state: &'a str,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_url: Option<&'a str>,
}
