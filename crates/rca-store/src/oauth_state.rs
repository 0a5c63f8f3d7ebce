//! OAuth flows that were started and not finished yet.

use crate::error::Result;
use crate::seal::Place;
use crate::sql::Sql;
use crate::store::Store;
use serde_json::Value;

/// A started flow.
#[derive(Clone, PartialEq)]
pub struct OauthState {
    /// The hash of the `state` parameter; the parameter itself is not stored.
    pub state_hash: String,
    /// The workspace that began it.
    pub workspace: String,
    /// The forge that it goes to.
    pub forge: String,
    /// The hash of the browser's cookie, when a browser began it.
    pub browser_binding: Option<String>,
    /// Verifier, client and what else the end needs. Sealed.
    pub data: Value,
    /// When it ends, unix milliseconds.
    pub expires_at: i64,
}

impl std::fmt::Debug for OauthState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OauthState")
            .field("forge", &self.forge)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Stores a started flow, and removes those that have ended.
    ///
    /// # Errors
    /// `Conflict` when the state is stored already.
    pub async fn put_oauth_state(&self, state: OauthState) -> Result<()> {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(&state.data)?);
        let keys = self.inner.keys.current();
        let sealed = keys.seal(place(&state.workspace, &state.state_hash), &plain)?;
        let key_id = i64::from(keys.primary_id());
        self.transact(move |connection, now| {
            Box::pin(async move {
                Sql::new("DELETE FROM oauth_state WHERE expires_at < $1")
                    .bind(now)
                    .execute(&mut *connection)
                    .await?;
                Sql::new(
                    "INSERT INTO oauth_state (state_hash, workspace, forge, browser_binding, key_id, sealed, expires_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(state.state_hash)
                .bind(state.workspace)
                .bind(state.forge)
                .bind(state.browser_binding)
                .bind(key_id)
                .bind(sealed)
                .bind(state.expires_at)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes a started flow out: of any number of callers exactly one gets it, and none after it has ended.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn take_oauth_state(&self, state_hash: &str) -> Result<Option<OauthState>> {
        let hash = state_hash.to_owned();
        let keys = self.inner.keys.current();
        self.transact(move |connection, now| {
            Box::pin(async move {
                let row = Sql::new("DELETE FROM oauth_state WHERE state_hash = $1 RETURNING *")
                    .bind(&hash)
                    .optional(connection)
                    .await?;
                let Some(row) = row else { return Ok(None) };
                let expires_at = row.int("expires_at")?;
                if expires_at <= now {
                    return Ok(None);
                }
                let workspace = row.text("workspace")?;
                let plain = keys.open(place(&workspace, &hash), &row.blob("sealed")?)?;
                Ok(Some(OauthState {
                    state_hash: hash,
                    forge: row.text("forge")?,
                    browser_binding: row.text_opt("browser_binding")?,
                    data: serde_json::from_slice(&plain)?,
                    expires_at,
                    workspace,
                }))
            })
        })
        .await
    }
}

fn place<'a>(workspace: &'a str, hash: &'a str) -> Place<'a> {
    Place { workspace, table: "oauth_state", row: hash, column: "sealed" }
}
