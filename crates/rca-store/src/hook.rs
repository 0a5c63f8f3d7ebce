//! Hooks that we registered, and the secrets that prove their deliveries.

use crate::error::{Error, Result};
use crate::secrets::{SealedSecret, SecretOwner, open};
use crate::sql::{Row, Sql};
use crate::store::{Engine, Store, clock};
use secrecy::SecretString;
use serde_json::Value;
use sqlx::AnyConnection;

/// A hook to store, before the forge is asked for it: its first delivery can come before the forge's answer.
#[derive(Debug, Clone)]
pub struct NewHook {
    /// The unguessable id in the address of the hook, chosen by the caller.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration that it belongs to.
    pub integration: String,
    /// The repository, unless the hook is for many.
    pub repository: Option<String>,
    /// The forge.
    pub forge: String,
    /// `none`, `pending_manual`, `registered`, ...
    pub state: String,
    /// What proves deliveries.
    pub secret: SecretString,
    /// The hash of the secret, where a hook is found by it.
    pub token_hash: Option<String>,
    /// Whatever else the adapter wants to keep.
    pub data: Value,
}

/// A stored hook without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// The unguessable id in its address.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration that it belongs to.
    pub integration: String,
    /// The repository, unless the hook is for many.
    pub repository: Option<String>,
    /// The forge.
    pub forge: String,
    /// The forge's id of it, once registered.
    pub forge_hook_id: Option<String>,
    /// `none`, `pending_manual`, `registered`, `active`, `unhealthy`, `disabled` or `lost`.
    pub state: String,
    /// When a delivery last came.
    pub last_delivery_at: Option<i64>,
    /// What is wrong with it.
    pub last_error: Option<String>,
    /// Deliveries without any proof that came to it.
    pub unsigned_seen: i64,
    /// Whatever else the adapter keeps.
    pub data: Value,
    /// When it was made.
    pub created_at: i64,
}

/// A hook and the secrets that are valid now: the current one first, then the previous one until its end.
#[derive(Debug, Clone)]
pub struct HookWithSecrets {
    /// The hook.
    pub hook: Hook,
    /// Never empty.
    pub secrets: Vec<SecretString>,
}

/// What to change of a hook; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HookChange {
    /// The new state.
    pub state: Option<String>,
    /// The forge's id of it.
    pub forge_hook_id: Option<String>,
    /// When a delivery last came.
    pub last_delivery_at: Option<i64>,
    /// What is wrong with it; `Some(None)` clears it.
    pub last_error: Option<Option<String>>,
    /// Whatever else the adapter keeps.
    pub data: Option<Value>,
}

const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";

impl Store {
    /// Stores a hook and its secret. A repository has one live hook: when it has one already, that is the answer.
    ///
    /// # Errors
    /// `Conflict` when the id is taken or the integration does not exist.
    pub async fn insert_hook(&self, hook: NewHook) -> Result<Hook> {
        let owner = SecretOwner::hook(&hook.id);
        let secret =
            SealedSecret::new(&self.inner.keys.current(), &hook.workspace, &owner, CURRENT, &hook.secret)?;
        let locking = match self.inner.engine {
            Engine::Sqlite => "",
            Engine::Postgres => " FOR UPDATE",
        };
        self.transact(move |connection, now| {
            Box::pin(async move {
                if let Some(repository) = &hook.repository {
                    // Two that come at once take turns at the repository's row.
                    Sql::new(format!("SELECT id FROM repository WHERE id = $1{locking}"))
                        .bind(repository)
                        .optional(connection)
                        .await?;
                    let live = Sql::new(
                        "SELECT * FROM hook WHERE workspace = $1 AND repository = $2 AND removed_at IS NULL \
                         ORDER BY created_at DESC LIMIT 1",
                    )
                    .bind(&hook.workspace)
                    .bind(repository)
                    .optional(connection)
                    .await?;
                    if let Some(row) = live {
                        return Hook::from_row(&row);
                    }
                }
                let row = Sql::new(
                    "INSERT INTO hook (id, workspace, integration, repository, forge, state, token_hash, data, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *",
                )
                .bind(hook.id)
                .bind(hook.workspace)
                .bind(hook.integration)
                .bind(hook.repository)
                .bind(hook.forge)
                .bind(hook.state)
                .bind(hook.token_hash)
                .bind(&hook.data)
                .bind(now)
                .one(connection)
                .await?;
                secret.put(connection, now, None).await?;
                Hook::from_row(&row)
            })
        })
        .await
    }

    /// The hook with this id in whatever workspace, with its valid secrets. Removed hooks are not found, and neither
    /// are hooks of removed integrations or without a secret: without proof there is no endpoint.
    ///
    /// # Errors
    /// `Unsealable` when a secret cannot be opened.
    pub async fn get_hook(&self, id: &str) -> Result<Option<HookWithSecrets>> {
        self.live_hook(Sql::new(format!("SELECT h.* FROM {LIVE} AND h.id = $1")).bind(id), false).await
    }

    /// The GitLab way: the hook whose current (or not yet ended previous) token has this hash.
    ///
    /// # Errors
    /// `Unsealable` when a secret cannot be opened.
    pub async fn find_hook_by_token_hash(
        &self,
        forge: &str,
        token_hash: &str,
    ) -> Result<Option<HookWithSecrets>> {
        let sql = Sql::new(format!(
            "SELECT h.* FROM {LIVE} AND h.forge = $1 AND (h.token_hash = $2 OR h.previous_token_hash = $2 \
             AND h.previous_expires_at > "
        ))
        .bind(forge)
        .bind(token_hash);
        self.live_hook(sql, true).await
    }

    /// The live hooks of an integration, without secrets.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_hooks(&self, workspace: &str, integration: &str) -> Result<Vec<Hook>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT * FROM hook WHERE workspace = $1 AND integration = $2 AND removed_at IS NULL ORDER BY created_at, id",
        )
        .bind(workspace)
        .bind(integration)
        .all(&mut connection)
        .await?
        .iter()
        .map(Hook::from_row)
        .collect()
    }

    /// The live hook of a repository, without secrets.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_hook_of_repository(&self, workspace: &str, repository: &str) -> Result<Option<Hook>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT * FROM hook WHERE workspace = $1 AND repository = $2 AND removed_at IS NULL \
             ORDER BY created_at DESC LIMIT 1",
        )
        .bind(workspace)
        .bind(repository)
        .optional(&mut connection)
        .await?
        .map(|row| Hook::from_row(&row))
        .transpose()
    }

    /// The live hooks of an integration that serve more than one repository, without secrets.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_wide_hooks(&self, workspace: &str, integration: &str) -> Result<Vec<Hook>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT * FROM hook WHERE workspace = $1 AND integration = $2 AND repository IS NULL \
             AND removed_at IS NULL ORDER BY created_at, id",
        )
        .bind(workspace)
        .bind(integration)
        .all(&mut connection)
        .await?
        .iter()
        .map(Hook::from_row)
        .collect()
    }

    /// Hooks that may still stand at a forge although their integration is removed: it kept them, or the forge did not let
    /// us remove them. Those of one repository by the forge's id of it, or those that served many.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn left_hooks(
        &self,
        workspace: &str,
        forge: &str,
        base_url: &str,
        repository_forge_id: Option<&str>,
    ) -> Result<Vec<Hook>> {
        let mut connection = self.read().await?;
        let sql = Sql::new("SELECT h.* FROM integration i ");
        let sql = match repository_forge_id {
            Some(id) => sql
                .push("JOIN repository r ON r.integration = i.id AND r.forge_id = ")
                .arg(id)
                .push(" JOIN hook h ON h.integration = i.id AND h.repository = r.id"),
            None => sql.push("JOIN hook h ON h.integration = i.id AND h.repository IS NULL"),
        };
        sql.push(" WHERE i.removed_at IS NOT NULL AND h.forge_hook_id IS NOT NULL AND h.state <> 'none' AND i.workspace = ")
            .arg(workspace)
            .push(" AND i.forge = ")
            .arg(forge)
            .push(" AND i.base_url = ")
            .arg(base_url)
            .push(" ORDER BY h.created_at DESC, h.id")
            .all(&mut connection)
            .await?
            .iter()
            .map(Hook::from_row)
            .collect()
    }

    /// Gives a hook to another integration of its workspace, e.g. when the one that brought an app's hook ends and
    /// others of that app go on.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such live hook or no such integration.
    pub async fn move_hook(&self, workspace: &str, id: &str, integration: &str) -> Result<()> {
        let (workspace, id, integration) = (workspace.to_owned(), id.to_owned(), integration.to_owned());
        self.transact(move |connection, _| {
            Box::pin(async move {
                let changed = Sql::new(
                    "UPDATE hook SET integration = $1 WHERE workspace = $2 AND id = $3 AND removed_at IS NULL \
                     AND EXISTS (SELECT 1 FROM integration WHERE id = $1 AND workspace = $2 AND removed_at IS NULL)",
                )
                .bind(integration)
                .bind(workspace)
                .bind(id)
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Err(Error::not_found("hook"));
                }
                Ok(())
            })
        })
        .await
    }

    /// Changes some fields of a hook.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such hook.
    pub async fn update_hook(&self, workspace: &str, id: &str, change: HookChange) -> Result<()> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        self.transact(move |connection, _| {
            Box::pin(async move { update(connection, &workspace, &id, change).await })
        })
        .await
    }

    /// Counts a delivery that came without any proof: it had no other effect.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn count_unsigned(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.transact(move |connection, _| {
            Box::pin(async move {
                Sql::new("UPDATE hook SET unsigned_seen = unsigned_seen + 1 WHERE id = $1")
                    .bind(id)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Sets a new secret; the old one stays valid for `overlap_ms`. Returns when it ends.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such live hook.
    pub async fn rotate_hook_secret(
        &self,
        workspace: &str,
        id: &str,
        secret: &SecretString,
        token_hash: Option<&str>,
        overlap_ms: i64,
    ) -> Result<i64> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        let owner = SecretOwner::hook(&id);
        let new = SealedSecret::new(&self.inner.keys.current(), &workspace, &owner, CURRENT, secret)?;
        let keys = self.inner.keys.current();
        let token_hash = token_hash.map(str::to_owned);
        self.transact(move |connection, now| {
            Box::pin(async move {
                let ends = now + overlap_ms;
                let changed = Sql::new(
                    "UPDATE hook SET previous_token_hash = token_hash, previous_expires_at = $1, token_hash = $2 \
                     WHERE workspace = $3 AND id = $4 AND removed_at IS NULL",
                )
                .bind(ends)
                .bind(token_hash)
                .bind(&workspace)
                .bind(&id)
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Err(Error::not_found("hook"));
                }
                let row = Sql::new(
                    "SELECT sealed FROM secret WHERE workspace = $1 AND owner_table = 'hook' AND owner_id = $2 \
                     AND name = 'current'",
                )
                .bind(&workspace)
                .bind(&id)
                .optional(connection)
                .await?;
                if let Some(row) = row {
                    // Sealed anew, because its place is part of the seal.
                    let old = open(&keys, &row, &workspace, &owner, CURRENT)?;
                    SealedSecret::new(&keys, &workspace, &owner, PREVIOUS, &old)?
                        .put(connection, now, Some(ends))
                        .await?;
                }
                new.put(connection, now, None).await?;
                Ok(ends)
            })
        })
        .await
    }

    /// Removes a hook and wipes its secrets. Its deliveries stay.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such live hook.
    pub async fn remove_hook(&self, workspace: &str, id: &str) -> Result<()> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let changed = Sql::new(
                    "UPDATE hook SET removed_at = $1, state = 'none', token_hash = NULL, previous_token_hash = NULL \
                     WHERE workspace = $2 AND id = $3 AND removed_at IS NULL",
                )
                .bind(now)
                .bind(&workspace)
                .bind(&id)
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Err(Error::not_found("hook"));
                }
                crate::secrets::delete(connection, &workspace, &SecretOwner::hook(&id)).await?;
                Ok(())
            })
        })
        .await?;
        self.wipe_log().await
    }

    async fn live_hook(&self, mut sql: Sql, needs_now: bool) -> Result<Option<HookWithSecrets>> {
        let mut connection = self.read().await?;
        let now = clock(&mut connection, self.inner.engine).await?;
        if needs_now {
            sql = sql.arg(now).push(")");
        }
        let Some(row) = sql.optional(&mut connection).await? else {
            return Ok(None);
        };
        let hook = Hook::from_row(&row)?;
        let owner = SecretOwner::hook(&hook.id);
        let rows = Sql::new(
            "SELECT name, sealed FROM secret WHERE workspace = $1 AND owner_table = 'hook' AND owner_id = $2 \
             AND (expires_at IS NULL OR expires_at > $3) ORDER BY name",
        )
        .bind(&hook.workspace)
        .bind(&hook.id)
        .bind(now)
        .all(&mut connection)
        .await?;
        let mut secrets = Vec::with_capacity(rows.len());
        for row in &rows {
            let name = row.text("name")?;
            secrets.push(open(&self.inner.keys.current(), row, &hook.workspace, &owner, &name)?);
        }
        Ok((!secrets.is_empty()).then_some(HookWithSecrets { hook, secrets }))
    }
}

const LIVE: &str = "hook h JOIN integration i ON i.id = h.integration \
    WHERE h.removed_at IS NULL AND i.removed_at IS NULL";

impl Hook {
    pub(crate) fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            integration: row.text("integration")?,
            repository: row.text_opt("repository")?,
            forge: row.text("forge")?,
            forge_hook_id: row.text_opt("forge_hook_id")?,
            state: row.text("state")?,
            last_delivery_at: row.int_opt("last_delivery_at")?,
            last_error: row.text_opt("last_error")?,
            unsigned_seen: row.int("unsigned_seen")?,
            data: row.json("data")?,
            created_at: row.int("created_at")?,
        })
    }
}

pub(crate) async fn update(
    connection: &mut AnyConnection,
    workspace: &str,
    id: &str,
    change: HookChange,
) -> Result<()> {
    let changed = Sql::new("UPDATE hook SET id = id")
        .when(", state = ", change.state)
        .when(", forge_hook_id = ", change.forge_hook_id)
        .when(", last_delivery_at = ", change.last_delivery_at)
        .when(", last_error = ", change.last_error)
        .when(", data = ", change.data.as_ref())
        .push(" WHERE workspace = ")
        .arg(workspace)
        .push(" AND id = ")
        .arg(id)
        .execute(connection)
        .await?;
    if changed == 0 {
        return Err(Error::not_found("hook"));
    }
    Ok(())
}
