use forge_core::model::{self, RepoRef};
use serde::Deserialize;

use super::{Links, html_link, non_empty};

#[derive(Debug, Deserialize)]
pub(crate) struct CommentAnswer {
    pub(crate) id: u64,
    content: Option<Content>,
    user: Option<Author>,
    deleted: Option<bool>,
    links: Option<Links>,
}

#[derive(Debug, Deserialize)]
struct Content {
    raw: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Author {
    uuid: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl CommentAnswer {
    pub(crate) fn text(&self) -> &str {
        self.content.as_ref().and_then(|content| content.raw.as_deref()).unwrap_or_default()
    }

    /// Deleted comments stay in the lists.
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.unwrap_or(false)
    }

    pub(crate) fn author(&self) -> Option<&str> {
        self.user.as_ref()?.uuid.as_deref()
    }

    /// Whether the credential's account wrote it. An access token cannot read who it is; what a bot wrote is nearest.
    pub(crate) fn is_by(&self, own_uuid: Option<&str>) -> bool {
        let Some(author) = &self.user else { return false };
        match own_uuid {
            Some(own) => author.uuid.as_deref() == Some(own),
            None => author.kind.as_deref() == Some("app_user"),
        }
    }

    pub(crate) fn into_web_url(self) -> Option<String> {
        html_link(self.links)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct PullRequestAnswer {
    id: u64,
    title: Option<String>,
    state: Option<String>,
    source: Option<Side>,
    destination: Option<Side>,
    links: Option<Links>,
}

#[derive(Debug, Deserialize)]
struct Side {
    branch: Option<Branch>,
    commit: Option<Commit>,
    repository: Option<SideRepository>,
}

#[derive(Debug, Deserialize)]
struct Branch {
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Commit {
    hash: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SideRepository {
    uuid: Option<String>,
}

impl PullRequestAnswer {
    /// The repository of the source branch; `None` when it was deleted.
    pub(crate) fn source_repo_id(&self) -> Option<&str> {
        self.source.as_ref()?.repository.as_ref()?.uuid.as_deref()
    }

    /// `sha` stands for its own beginning, because pull requests show twelve characters of a commit only.
    pub(crate) fn into_model(self, repo: &RepoRef, sha: Option<&str>) -> model::PullRequest {
        let is_from_fork = self.source_repo_id() != Some(repo.id.as_str());
        let mut pull_request = model::PullRequest::new(self.id.to_string(), repo.clone());
        pull_request.is_from_fork = is_from_fork;
        pull_request.title = self.title.unwrap_or_default();
        pull_request.web_url = html_link(self.links).unwrap_or_default();
        pull_request.is_open = self.state.as_deref() == Some("OPEN");
        if let Some(source) = self.source {
            pull_request.source_branch = source.branch.and_then(|branch| non_empty(branch.name));
            let head = source.commit.and_then(|commit| non_empty(commit.hash));
            pull_request.head_sha = match (head, sha) {
                (Some(head), Some(sha)) if head.len() >= 12 && sha.starts_with(&head) => Some(sha.to_owned()),
                (head, _) => head,
            };
        }
        pull_request.target_branch = self.destination.and_then(|side| non_empty(side.branch?.name));
        pull_request
    }
}
