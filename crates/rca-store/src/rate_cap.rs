//! How much was posted in the last hour, so that a cap on it holds in all replicas.

use crate::error::Result;
use crate::sql::Sql;
use crate::store::Store;
use sqlx::AnyConnection;

/// The window that caps are counted in.
pub(crate) const HOUR_MS: i64 = 60 * 60 * 1_000;

/// A text that is about to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentPost {
    /// The workspace.
    pub workspace: String,
    /// The repository.
    pub repository: String,
    /// Where it is to stand, as [`crate::Comment::target`].
    pub target: String,
    /// The hash of the text: the same text again is a repetition after doubt and counts once.
    pub body_hash: String,
}

/// How many texts may be posted in an hour. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PostLimits {
    /// At the target.
    pub target: Option<u32>,
    /// At all targets of the repository.
    pub repository: Option<u32>,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostRefused {
    /// The number that is reached.
    pub limit: u32,
    /// Whether it is that of the target; else that of the repository.
    pub is_of_target: bool,
    /// When there is room again, unix milliseconds of the database's clock.
    pub until: i64,
    /// The database's time.
    pub now: i64,
}

impl Store {
    /// Counts a text against the limits before it is posted; `Some` says that it may not be posted yet, and then it is
    /// not counted. Replicas that ask at the same time are served one after the other.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn reserve_post(&self, post: CommentPost, limits: PostLimits) -> Result<Option<PostRefused>> {
        self.transact(move |connection, now| {
            Box::pin(async move { reserve(connection, now, &post, limits).await })
        })
        .await
    }

    /// Takes back what [`Store::reserve_post`] counted: the forge refused the text.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn release_post(&self, post: CommentPost) -> Result<()> {
        self.transact(move |connection, _| {
            Box::pin(async move {
                let text = "DELETE FROM comment_post WHERE workspace = $1 AND repository = $2 AND target = $3 AND body_hash = $4";
                bound(Sql::new(text), &post).execute(connection).await.map(|_| ())
            })
        })
        .await
    }
}

fn bound(sql: Sql, post: &CommentPost) -> Sql {
    sql.bind(&post.workspace).bind(&post.repository).bind(&post.target).bind(&post.body_hash)
}

async fn reserve(
    connection: &mut AnyConnection,
    now: i64,
    post: &CommentPost,
    limits: PostLimits,
) -> Result<Option<PostRefused>> {
    // Holds the row until COMMIT, so that two replicas do not both take the last place.
    Sql::new("UPDATE repository SET seen_at = seen_at WHERE workspace = $1 AND id = $2")
        .bind(&post.workspace)
        .bind(&post.repository)
        .execute(connection)
        .await?;
    let known = "SELECT posted_at FROM comment_post WHERE workspace = $1 AND repository = $2 AND target = $3 \
         AND body_hash = $4 AND posted_at > $5";
    if bound(Sql::new(known), post).bind(now - HOUR_MS).optional(connection).await?.is_some() {
        return Ok(None);
    }
    for (limit, is_of_target) in [(limits.target, true), (limits.repository, false)] {
        let Some(limit) = limit else { continue };
        // The text whose hour has to end before there is room again.
        let mut sql = Sql::new(
            "SELECT posted_at FROM comment_post WHERE workspace = $1 AND repository = $2 AND posted_at > $3",
        )
        .bind(&post.workspace)
        .bind(&post.repository)
        .bind(now - HOUR_MS)
        .when(" AND target = ", is_of_target.then_some(&post.target));
        sql = sql.push(" ORDER BY posted_at DESC LIMIT 1 OFFSET ").arg(i64::from(limit.max(1)) - 1);
        if let Some(row) = sql.optional(connection).await? {
            let until = row.int("posted_at")? + HOUR_MS;
            return Ok(Some(PostRefused { limit, is_of_target, until, now }));
        }
    }
    let insert = "INSERT INTO comment_post (workspace, repository, target, body_hash, posted_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (workspace, repository, target, body_hash) DO UPDATE SET posted_at = excluded.posted_at";
    bound(Sql::new(insert), post).bind(now).execute(connection).await?;
    Ok(None)
}
