//! Comments that we posted, so that each is edited and none is posted twice.

use crate::error::Result;
use crate::sql::{Row, Sql};
use crate::store::Store;
use sqlx::AnyConnection;

/// A living comment. Unique per (integration, repository, target).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comment {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration that posts it.
    pub integration: String,
    /// The repository.
    pub repository: String,
    /// Where it stands: `pr:42`, `commit:SHA`.
    pub target: String,
    /// The hidden text that it is found by at the forge.
    pub marker: String,
    /// The forge's id of it.
    pub forge_comment_id: Option<String>,
    /// Where it is seen.
    pub url: Option<String>,
    /// The hash of its text, to leave unchanged ones alone.
    pub body_hash: Option<String>,
    /// Such as `failing` or `fixed`.
    pub state: String,
    /// The run that it speaks of.
    pub run_id: Option<String>,
    /// When it last changed; set by the store.
    pub updated_at: i64,
}

impl Store {
    /// The comment at a target.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_comment(
        &self,
        workspace: &str,
        integration: &str,
        repository: &str,
        target: &str,
    ) -> Result<Option<Comment>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT * FROM comment WHERE workspace = $1 AND integration = $2 AND repository = $3 AND target = $4",
        )
        .bind(workspace)
        .bind(integration)
        .bind(repository)
        .bind(target)
        .optional(&mut connection)
        .await?
        .map(|row| Comment::from_row(&row))
        .transpose()
    }
}

impl Comment {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            workspace: row.text("workspace")?,
            integration: row.text("integration")?,
            repository: row.text("repository")?,
            target: row.text("target")?,
            marker: row.text("marker")?,
            forge_comment_id: row.text_opt("forge_comment_id")?,
            url: row.text_opt("url")?,
            body_hash: row.text_opt("body_hash")?,
            state: row.text("state")?,
            run_id: row.text_opt("run_id")?,
            updated_at: row.int("updated_at")?,
        })
    }
}

pub(crate) async fn upsert(connection: &mut AnyConnection, now: i64, comment: Comment) -> Result<()> {
    Sql::new(
        "INSERT INTO comment (workspace, integration, repository, target, marker, forge_comment_id, url, body_hash, state, \
         run_id, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (integration, repository, target) DO UPDATE SET marker = excluded.marker, \
         forge_comment_id = excluded.forge_comment_id, url = excluded.url, body_hash = excluded.body_hash, \
         state = excluded.state, run_id = excluded.run_id, updated_at = excluded.updated_at",
    )
    .bind(comment.workspace)
    .bind(comment.integration)
    .bind(comment.repository)
    .bind(comment.target)
    .bind(comment.marker)
    .bind(comment.forge_comment_id)
    .bind(comment.url)
    .bind(comment.body_hash)
    .bind(comment.state)
    .bind(comment.run_id)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
