//! Discussions at merge requests, and issues.

mod discussions;
mod issues;

use async_trait::async_trait;
use forge_core::{
    Feedback, Result,
    model::{Comment, CommitStatus, Issue, Posted, RepoRef, Target},
};

use crate::{client::GitFlicClient, error::unsupported};

#[async_trait]
impl Feedback for GitFlicClient {
    /// GitFlic documents no way to edit a comment: what says something else is posted anew, what says the same as our
    /// last one is not. `known_id` is no help in that.
    async fn upsert_comment(
        &self,
        repo: &RepoRef,
        target: &Target,
        comment: &Comment,
        _known_id: Option<&str>,
    ) -> Result<Posted> {
        match target {
            Target::Pull(number) => discussions::post(self, repo, number, comment).await,
            _ => unsupported("GitFlic's API has comments at merge requests only"),
        }
    }

    async fn upsert_issue(&self, repo: &RepoRef, issue: &Issue, known_id: Option<&str>) -> Result<Posted> {
        issues::upsert(self, repo, issue, known_id).await
    }

    async fn close_issue(&self, repo: &RepoRef, issue_id: &str, body: Option<&str>) -> Result<()> {
        issues::close(self, repo, issue_id, body).await
    }

    async fn set_status(&self, _repo: &RepoRef, _sha: &str, _status: &CommitStatus) -> Result<Posted> {
        unsupported("GitFlic's API has no statuses of commits")
    }
}

/// Whether both are the same but for line ends and the space around.
fn is_same_text(left: &str, right: &str) -> bool {
    let clean = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    clean(left) == clean(right)
}
