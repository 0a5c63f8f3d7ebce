//! Comments, issues and statuses, as all fakes keep them.

use forge_core::model::Target;

use crate::world::{FakeComment, FakeIssue, World, random_hex};

impl World {
    pub(crate) fn add_comment(
        &mut self,
        repo_id: u64,
        target: Target,
        author_id: u64,
        body: String,
        discussion: Option<String>,
    ) -> u64 {
        let id = self.next_id();
        let (author, now) = (self.login(author_id), self.now());
        self.comments.push(FakeComment {
            id,
            repo_id,
            target,
            author,
            body,
            history: Vec::new(),
            is_deleted: false,
            author_id,
            discussion: discussion.unwrap_or_else(|| random_hex(20)),
            created_at: now,
            updated_at: now,
        });
        id
    }

    /// Comments on a target that are still there, oldest first.
    pub(crate) fn comments_on(&self, repo_id: u64, target: &Target) -> Vec<&FakeComment> {
        self.comments
            .iter()
            .filter(|comment| comment.repo_id == repo_id && comment.target == *target && !comment.is_deleted)
            .collect()
    }

    pub(crate) fn comment_mut(&mut self, repo_id: u64, id: u64) -> Option<&mut FakeComment> {
        self.comments
            .iter_mut()
            .find(|comment| comment.repo_id == repo_id && comment.id == id && !comment.is_deleted)
    }

    pub(crate) fn issue_mut(&mut self, repo_id: u64, number: u64) -> Option<&mut FakeIssue> {
        self.issues.iter_mut().find(|issue| issue.repo_id == repo_id && issue.number == number)
    }

    pub(crate) fn edit_comment(&mut self, repo_id: u64, id: u64, body: &str) {
        let now = self.now();
        if let Some(comment) = self.comment_mut(repo_id, id) {
            let old = std::mem::replace(&mut comment.body, body.to_owned());
            comment.history.push(old);
            comment.updated_at = now;
        }
    }
}
