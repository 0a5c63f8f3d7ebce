//! Browsers that are signed in. Only the hash of a session's id is stored, so a copy of the database signs nobody in.

use crate::error::Result;
use crate::sql::{Row, Sql};
use crate::store::Store;

/// A browser that is not seen for so long is signed out.
pub const SESSION_IDLE_MS: i64 = 14 * 24 * 3_600_000;
/// After so long everybody signs in again.
pub const SESSION_LIFE_MS: i64 = 90 * 24 * 3_600_000;

/// Who signed in: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedIn {
    /// With this API token; the session ends with it.
    Token(String),
    /// This member, by a link; the session ends when the member is removed.
    Member(String),
}

/// A session that is valid, with what its holder may do now: roles and revocations count from the next request on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The workspace that it opens.
    pub workspace: String,
    /// Who signed in.
    pub holder: SignedIn,
    /// The token's name or the member's address.
    pub name: String,
    /// The role; none for a token without one.
    pub role: Option<String>,
    /// The token's scopes; of a member whatever the role allows.
    pub scopes: Option<Vec<String>>,
}

impl Store {
    /// Opens a session under the hash of its id.
    ///
    /// # Errors
    /// `Conflict` when there is no such token or member.
    pub async fn open_session(&self, id_hash: &str, workspace: &str, holder: &SignedIn) -> Result<()> {
        let (id_hash, workspace) = (id_hash.to_owned(), workspace.to_owned());
        let (token, member) = match holder {
            SignedIn::Token(id) => (Some(id.clone()), None),
            SignedIn::Member(id) => (None, Some(id.clone())),
        };
        self.transact(move |connection, now| {
            Box::pin(async move {
                Sql::new("DELETE FROM session WHERE ends_at <= $1").bind(now).execute(connection).await?;
                Sql::new(
                    "INSERT INTO session (id_hash, workspace, api_token, member, created_at, seen_at, ends_at) \
                     VALUES ($1, $2, $3, $4, $5, $5, $6)",
                )
                .bind(id_hash)
                .bind(workspace)
                .bind(token)
                .bind(member)
                .bind(now)
                .bind(now + SESSION_LIFE_MS)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The session with this hash, while it, its token and its member are valid by the database's clock.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_session(&self, id_hash: &str) -> Result<Option<Session>> {
        let now = self.now().await?;
        let mut connection = self.read().await?;
        let row = Sql::new(
            "SELECT session.workspace, session.api_token, session.member, session.seen_at, \
                    COALESCE(member.email, api_token.name) AS name, \
                    COALESCE(member.role, api_token.role) AS role, api_token.scopes AS scopes \
             FROM session LEFT JOIN api_token ON api_token.id = session.api_token \
                          LEFT JOIN member ON member.id = session.member \
             WHERE session.id_hash = $1 AND session.ends_at > $2 AND session.seen_at > $3 \
               AND (member.id IS NOT NULL OR (api_token.id IS NOT NULL AND api_token.revoked_at IS NULL \
                    AND (api_token.expires_at IS NULL OR api_token.expires_at > $2)))",
        )
        .bind(id_hash)
        .bind(now)
        .bind(now - SESSION_IDLE_MS)
        .optional(&mut connection)
        .await?;
        drop(connection);
        let Some(row) = row else { return Ok(None) };
        // Once an hour is often enough to measure days.
        if row.int("seen_at")? < now - 3_600_000 {
            self.touch_session(id_hash).await?;
        }
        Session::from_row(&row).map(Some)
    }

    async fn touch_session(&self, id_hash: &str) -> Result<()> {
        let id_hash = id_hash.to_owned();
        self.transact(move |connection, now| {
            Box::pin(async move {
                let touch = Sql::new("UPDATE session SET seen_at = $1 WHERE id_hash = $2");
                touch.bind(now).bind(id_hash).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Ends a session at once; nothing happens where there is none.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn close_session(&self, id_hash: &str) -> Result<()> {
        let id_hash = id_hash.to_owned();
        self.transact(move |connection, _| {
            Box::pin(async move {
                Sql::new("DELETE FROM session WHERE id_hash = $1").bind(id_hash).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }
}

impl Session {
    fn from_row(row: &Row) -> Result<Self> {
        let holder = match row.text_opt("member")? {
            Some(member) => SignedIn::Member(member),
            None => SignedIn::Token(row.text("api_token")?),
        };
        let scopes = match holder {
            SignedIn::Member(_) => None,
            SignedIn::Token(_) => Some(row.strings("scopes")?),
        };
        Ok(Self {
            workspace: row.text("workspace")?,
            holder,
            name: row.text("name")?,
            role: row.text_opt("role")?,
            scopes,
        })
    }
}
