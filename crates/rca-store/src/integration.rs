//! Integrations, and the single flight of refreshing their tokens.

use crate::error::{Error, ErrorKind, Result};
use crate::secrets::{SealedSecret, SecretOwner};
use crate::sql::{Row, Sql};
use crate::store::{Store, new_id};
use secrecy::SecretString;
use serde_json::Value;
use sqlx::AnyConnection;

/// An integration to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIntegration {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The forge, such as `gitlab`.
    pub forge: String,
    /// The web address of the instance.
    pub base_url: String,
    /// Where its API is, when that does not follow from `base_url`.
    pub api_base_url: Option<String>,
    /// Where its OAuth endpoints are, when that does not follow from `base_url`.
    pub oauth_base_url: Option<String>,
    /// `oauth`, `token`, `app` or `webhook_only`.
    pub auth: String,
    /// Who we are at the forge.
    pub account: Value,
    /// `webhook`, `polling` or `hybrid`.
    pub mode: String,
    /// Which repositories are monitored.
    pub perimeter: Value,
    /// What we post.
    pub feedback: Value,
    /// How much of the past is analysed on connect.
    pub backfill: Value,
    /// Whatever else belongs to the connection and is no secret.
    pub data: Value,
    /// The last known health.
    pub health: Value,
}

/// A stored integration.
#[derive(Debug, Clone, PartialEq)]
pub struct Integration {
    /// Its id.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The forge, such as `gitlab`.
    pub forge: String,
    /// The web address of the instance.
    pub base_url: String,
    /// Where its API is, when that does not follow from `base_url`.
    pub api_base_url: Option<String>,
    /// Where its OAuth endpoints are, when that does not follow from `base_url`.
    pub oauth_base_url: Option<String>,
    /// `oauth`, `token`, `app` or `webhook_only`.
    pub auth: String,
    /// Who we are at the forge.
    pub account: Value,
    /// `webhook`, `polling` or `hybrid`.
    pub mode: String,
    /// Which repositories are monitored.
    pub perimeter: Value,
    /// What we post.
    pub feedback: Value,
    /// How much of the past is analysed on connect.
    pub backfill: Value,
    /// Whatever else belongs to the connection and is no secret.
    pub data: Value,
    /// Switched on.
    pub enabled: bool,
    /// The last known health.
    pub health: Value,
    /// Why its tasks wait: the forge rejected the credential.
    pub parked_reason: Option<String>,
    /// Grows with every new credential; a waiter sees by it that somebody else has refreshed.
    pub credential_generation: i64,
    /// When it was connected.
    pub created_at: i64,
    /// When it was disconnected.
    pub removed_at: Option<i64>,
}

/// What to change of an integration; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IntegrationChange {
    /// A new authentication way, when a token is replaced by another kind.
    pub auth: Option<String>,
    /// Who we are at the forge.
    pub account: Option<Value>,
    /// `webhook`, `polling` or `hybrid`.
    pub mode: Option<String>,
    /// Which repositories are monitored.
    pub perimeter: Option<Value>,
    /// What we post.
    pub feedback: Option<Value>,
    /// How much of the past is analysed.
    pub backfill: Option<Value>,
    /// Whatever else belongs to the connection.
    pub data: Option<Value>,
    /// Switched on.
    pub enabled: Option<bool>,
    /// The last known health.
    pub health: Option<Value>,
}

/// The right to refresh the token of an integration, held by one caller of all replicas.
#[derive(Debug)]
pub struct RefreshLease {
    /// The integration.
    pub integration: String,
    /// Its workspace.
    pub workspace: String,
    /// The generation of the credential when the lease was given.
    pub generation: i64,
    token: String,
}

impl Store {
    /// Stores an integration with its secrets, in one transaction.
    ///
    /// # Errors
    /// `Conflict` when the workspace does not exist.
    pub async fn insert_integration(
        &self,
        integration: NewIntegration,
        secrets: &[(&str, SecretString)],
    ) -> Result<Integration> {
        let id = new_id();
        let owner = SecretOwner::integration(&id);
        let sealed = self.seal_all(&integration.workspace, &owner, secrets)?;
        self.transact(move |connection, now| {
            Box::pin(async move {
                let row = Sql::new(
                    "INSERT INTO integration (id, workspace, forge, base_url, api_base_url, oauth_base_url, auth, account, \
                     mode, perimeter, feedback, backfill, data, enabled, health, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, $15) RETURNING *",
                )
                .bind(&id)
                .bind(integration.workspace)
                .bind(integration.forge)
                .bind(integration.base_url)
                .bind(integration.api_base_url)
                .bind(integration.oauth_base_url)
                .bind(integration.auth)
                .bind(&integration.account)
                .bind(integration.mode)
                .bind(&integration.perimeter)
                .bind(&integration.feedback)
                .bind(&integration.backfill)
                .bind(&integration.data)
                .bind(&integration.health)
                .bind(now)
                .one(connection)
                .await?;
                for secret in sealed {
                    secret.put(connection, now, None).await?;
                }
                Integration::from_row(&row)
            })
        })
        .await
    }

    /// One integration, also a removed one.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_integration(&self, workspace: &str, id: &str) -> Result<Option<Integration>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM integration WHERE workspace = $1 AND id = $2")
            .bind(workspace)
            .bind(id)
            .optional(&mut connection)
            .await?
            .map(|row| Integration::from_row(&row))
            .transpose()
    }

    /// The integrations of a workspace that are not removed, in order of creation.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_integrations(&self, workspace: &str) -> Result<Vec<Integration>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM integration WHERE workspace = $1 AND removed_at IS NULL ORDER BY id")
            .bind(workspace)
            .all(&mut connection)
            .await?
            .iter()
            .map(Integration::from_row)
            .collect()
    }

    /// The integrations of all workspaces that are not removed: for schedulers.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_all_integrations(&self) -> Result<Vec<Integration>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM integration WHERE removed_at IS NULL ORDER BY id")
            .all(&mut connection)
            .await?
            .iter()
            .map(Integration::from_row)
            .collect()
    }

    /// Changes some fields and returns the whole.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such integration or it is removed.
    pub async fn update_integration(
        &self,
        workspace: &str,
        id: &str,
        change: IntegrationChange,
    ) -> Result<Integration> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        let integration = self
            .transact(move |connection, _| {
                Box::pin(async move {
                    let row = Sql::new("UPDATE integration SET id = id")
                        .when(", auth = ", change.auth)
                        .when(", account = ", change.account.as_ref())
                        .when(", mode = ", change.mode)
                        .when(", perimeter = ", change.perimeter.as_ref())
                        .when(", feedback = ", change.feedback.as_ref())
                        .when(", backfill = ", change.backfill.as_ref())
                        .when(", data = ", change.data.as_ref())
                        .when(", enabled = ", change.enabled)
                        .when(", health = ", change.health.as_ref())
                        .push(" WHERE workspace = ")
                        .arg(workspace)
                        .push(" AND id = ")
                        .arg(id)
                        .push(" AND removed_at IS NULL RETURNING *")
                        .optional(connection)
                        .await?
                        .ok_or_else(|| Error::not_found("integration"))?;
                    Integration::from_row(&row)
                })
            })
            .await?;
        // Enabling makes its tasks claimable.
        self.wake();
        Ok(integration)
    }

    /// Marks an integration as removed and wipes its secrets and those of its hooks. Analyses stay readable.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such integration or it is removed already.
    pub async fn remove_integration(&self, workspace: &str, id: &str) -> Result<()> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let changed = Sql::new(
                    "UPDATE integration SET removed_at = $1, enabled = 0, refresh_lease = NULL \
                     WHERE workspace = $2 AND id = $3 AND removed_at IS NULL",
                )
                .bind(now)
                .bind(&workspace)
                .bind(&id)
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Err(Error::not_found("integration"));
                }
                crate::secrets::delete(connection, &workspace, &SecretOwner::integration(&id)).await?;
                Sql::new(
                    "DELETE FROM secret WHERE workspace = $1 AND owner_table = 'hook' \
                     AND owner_id IN (SELECT id FROM hook WHERE integration = $2)",
                )
                .bind(&workspace)
                .bind(&id)
                .execute(connection)
                .await?;
                Sql::new(
                    "UPDATE hook SET removed_at = $1, token_hash = NULL, previous_token_hash = NULL \
                     WHERE integration = $2 AND removed_at IS NULL",
                )
                .bind(now)
                .bind(&id)
                .execute(connection)
                .await?;
                crate::incident::resolve_all_of(connection, now, &workspace, Some(&id), &[]).await?;
                Sql::new("UPDATE repository SET monitored = 0 WHERE integration = $1")
                    .bind(&id)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await?;
        self.wipe_log().await
    }

    /// Tries to become the one who refreshes the token; `None` means that somebody else does: wait and re-read the
    /// secrets. A holder that vanishes loses the right after `ttl_ms`.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn lease_refresh(
        &self,
        workspace: &str,
        integration: &str,
        ttl_ms: i64,
    ) -> Result<Option<RefreshLease>> {
        let (workspace, integration) = (workspace.to_owned(), integration.to_owned());
        let token = hex::encode(rand::random::<[u8; 16]>());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let row = Sql::new(
                    "UPDATE integration SET refresh_lease = $1, refresh_until = $2 WHERE workspace = $3 AND id = $4 \
                     AND removed_at IS NULL AND (refresh_lease IS NULL OR refresh_until < $5) \
                     RETURNING credential_generation",
                )
                .bind(&token)
                .bind(now + ttl_ms)
                .bind(&workspace)
                .bind(&integration)
                .bind(now)
                .optional(connection)
                .await?;
                row.map(|row| {
                    Ok(RefreshLease {
                        integration,
                        workspace,
                        generation: row.int("credential_generation")?,
                        token,
                    })
                })
                .transpose()
            })
        })
        .await
    }

    /// Stores the new tokens and gives the lease back, in one transaction. Use the tokens only after this returns.
    ///
    /// # Errors
    /// `Fenced` when the lease ran out and somebody else took it: nothing was written.
    pub async fn commit_refresh(&self, lease: RefreshLease, secrets: &[(&str, SecretString)]) -> Result<()> {
        let owner = SecretOwner::integration(&lease.integration);
        let sealed = self.seal_all(&lease.workspace, &owner, secrets)?;
        self.transact(move |connection, now| {
            Box::pin(async move {
                let changed = Sql::new(
                    "UPDATE integration SET refresh_lease = NULL, refresh_until = NULL, \
                     credential_generation = credential_generation + 1 WHERE workspace = $1 AND id = $2 AND refresh_lease = $3",
                )
                .bind(&lease.workspace)
                .bind(&lease.integration)
                .bind(&lease.token)
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Err(Error::new(
                        ErrorKind::Fenced,
                        "the right to refresh the token went to somebody else; the new token was not stored",
                    ));
                }
                for secret in sealed {
                    secret.put(connection, now, None).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Gives the lease back without new tokens.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time; then the lease runs out by itself.
    pub async fn release_refresh(&self, lease: RefreshLease) -> Result<()> {
        self.transact(move |connection, _| {
            Box::pin(async move {
                Sql::new(
                    "UPDATE integration SET refresh_lease = NULL, refresh_until = NULL \
                     WHERE workspace = $1 AND id = $2 AND refresh_lease = $3",
                )
                .bind(lease.workspace)
                .bind(lease.integration)
                .bind(lease.token)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Replaces the credential of an integration: stores the secrets, counts a new generation, ends a running
    /// refresh and lets waiting tasks go on.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such integration or it is removed.
    pub async fn replace_credential(
        &self,
        workspace: &str,
        id: &str,
        secrets: &[(&str, SecretString)],
    ) -> Result<()> {
        let owner = SecretOwner::integration(id);
        let sealed = self.seal_all(workspace, &owner, secrets)?;
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let changed = Sql::new(
                    "UPDATE integration SET refresh_lease = NULL, refresh_until = NULL, parked_reason = NULL, \
                     credential_generation = credential_generation + 1 WHERE workspace = $1 AND id = $2 AND removed_at IS NULL",
                )
                .bind(&workspace)
                .bind(&id)
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Err(Error::not_found("integration"));
                }
                crate::secrets::delete(connection, &workspace, &owner).await?;
                for secret in sealed {
                    secret.put(connection, now, None).await?;
                }
                Ok(())
            })
        })
        .await?;
        self.wake();
        Ok(())
    }

    fn seal_all(
        &self,
        workspace: &str,
        owner: &SecretOwner,
        secrets: &[(&str, SecretString)],
    ) -> Result<Vec<SealedSecret>> {
        secrets
            .iter()
            .map(|(name, secret)| {
                SealedSecret::new(&self.inner.keys.current(), workspace, owner, name, secret)
            })
            .collect()
    }
}

impl Integration {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            forge: row.text("forge")?,
            base_url: row.text("base_url")?,
            api_base_url: row.text_opt("api_base_url")?,
            oauth_base_url: row.text_opt("oauth_base_url")?,
            auth: row.text("auth")?,
            account: row.json("account")?,
            mode: row.text("mode")?,
            perimeter: row.json("perimeter")?,
            feedback: row.json("feedback")?,
            backfill: row.json("backfill")?,
            data: row.json("data")?,
            enabled: row.flag("enabled")?,
            health: row.json("health")?,
            parked_reason: row.text_opt("parked_reason")?,
            credential_generation: row.int("credential_generation")?,
            created_at: row.int("created_at")?,
            removed_at: row.int_opt("removed_at")?,
        })
    }
}

pub(crate) async fn set_health(
    connection: &mut AnyConnection,
    workspace: &str,
    id: &str,
    health: &Value,
) -> Result<()> {
    let changed = Sql::new("UPDATE integration SET health = $1 WHERE workspace = $2 AND id = $3")
        .bind(health)
        .bind(workspace)
        .bind(id)
        .execute(connection)
        .await?;
    if changed == 0 {
        return Err(Error::not_found("integration"));
    }
    Ok(())
}

pub(crate) async fn set_parked(
    connection: &mut AnyConnection,
    workspace: &str,
    id: &str,
    reason: Option<String>,
) -> Result<()> {
    let changed = Sql::new("UPDATE integration SET parked_reason = $1 WHERE workspace = $2 AND id = $3")
        .bind(reason)
        .bind(workspace)
        .bind(id)
        .execute(connection)
        .await?;
    if changed == 0 {
        return Err(Error::not_found("integration"));
    }
    Ok(())
}
