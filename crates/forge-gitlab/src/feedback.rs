//! Comments, issues, statuses.

mod comments;
mod issues;
mod statuses;

use async_trait::async_trait;
use forge_core::{
    Feedback, Result,
    model::{Comment, CommitStatus, Issue, Posted, RepoRef, Target},
};

use crate::client::Client;

#[async_trait]
impl Feedback for Client {
    async fn upsert_comment(
        &self,
        repo: &RepoRef,
        target: &Target,
        comment: &Comment,
        known_id: Option<&str>,
    ) -> Result<Posted> {
        self.put_comment(repo, target, comment, known_id).await
    }

    async fn upsert_issue(&self, repo: &RepoRef, issue: &Issue, known_id: Option<&str>) -> Result<Posted> {
        self.put_issue(repo, issue, known_id).await
    }

    async fn close_issue(&self, repo: &RepoRef, issue_id: &str, body: Option<&str>) -> Result<()> {
        self.end_issue(repo, issue_id, body).await
    }

    async fn set_status(&self, repo: &RepoRef, sha: &str, status: &CommitStatus) -> Result<Posted> {
        self.put_status(repo, sha, status).await
    }
}
