//! Tokens of our own API. Only a hash is stored.

use crate::error::{Error, Result};
use crate::sql::{Row, Sql};
use crate::store::{Store, new_id};
use serde_json::json;

/// A token to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// The workspace that it opens.
    pub workspace: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The role of its holder.
    pub role: Option<String>,
    /// When it ends.
    pub expires_at: Option<i64>,
    /// The hash of the token; the token itself never comes here.
    pub token_hash: String,
    /// Its first characters, to recognise it by.
    pub prefix: String,
}

/// A stored token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: String,
    /// The workspace that it opens.
    pub workspace: String,
    /// What people call it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The role of its holder.
    pub role: Option<String>,
    /// When it ends.
    pub expires_at: Option<i64>,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used.
    pub last_used_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

impl Store {
    /// Stores a token.
    ///
    /// # Errors
    /// `Conflict` when the hash is stored already.
    pub async fn create_api_token(&self, token: NewApiToken) -> Result<ApiToken> {
        self.transact(move |connection, now| {
            Box::pin(async move {
                let row = Sql::new(
                    "INSERT INTO api_token (id, workspace, name, prefix, token_hash, scopes, role, expires_at, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *",
                )
                .bind(new_id())
                .bind(token.workspace)
                .bind(token.name)
                .bind(token.prefix)
                .bind(token.token_hash)
                .bind(&json!(token.scopes))
                .bind(token.role)
                .bind(token.expires_at)
                .bind(now)
                .one(connection)
                .await?;
                ApiToken::from_row(&row)
            })
        })
        .await
    }

    /// The token with this hash, unless it is revoked or has ended by the database's clock.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_api_token(&self, token_hash: &str) -> Result<Option<ApiToken>> {
        let now = self.now().await?;
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT * FROM api_token WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(token_hash)
        .bind(now)
        .optional(&mut connection)
        .await?
        .map(|row| ApiToken::from_row(&row))
        .transpose()
    }

    /// All tokens of a workspace, also ended and revoked ones, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_api_tokens(&self, workspace: &str) -> Result<Vec<ApiToken>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM api_token WHERE workspace = $1 ORDER BY id DESC")
            .bind(workspace)
            .all(&mut connection)
            .await?
            .iter()
            .map(ApiToken::from_row)
            .collect()
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such live token.
    pub async fn revoke_api_token(&self, workspace: &str, id: &str) -> Result<()> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let changed = Sql::new(
                    "UPDATE api_token SET revoked_at = $1 WHERE workspace = $2 AND id = $3 AND revoked_at IS NULL",
                )
                .bind(now)
                .bind(workspace)
                .bind(id)
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Err(Error::not_found("api token"));
                }
                Ok(())
            })
        })
        .await
    }

    /// Notes that a token was used; at most once a minute per token reaches the disk.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn touch_api_token(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.transact(move |connection, now| {
            Box::pin(async move {
                Sql::new(
                    "UPDATE api_token SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $3)",
                )
                .bind(now)
                .bind(id)
                .bind(now - 60_000)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}

impl ApiToken {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            name: row.text("name")?,
            prefix: row.text("prefix")?,
            scopes: row.strings("scopes")?,
            role: row.text_opt("role")?,
            expires_at: row.int_opt("expires_at")?,
            created_at: row.int("created_at")?,
            last_used_at: row.int_opt("last_used_at")?,
            revoked_at: row.int_opt("revoked_at")?,
        })
    }
}
