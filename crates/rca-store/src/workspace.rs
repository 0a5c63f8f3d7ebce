//! Settings of a workspace, and small marks (cursors of polls and syncs) that survive a restart.

use crate::error::{Error, Result};
use crate::secrets::{SealedSecret, SecretOwner};
use crate::sql::Sql;
use crate::store::{Store, new_id};
use secrecy::SecretString;
use serde_json::Value;
use sqlx::AnyConnection;

impl Store {
    /// Makes a workspace and returns its id.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn create_workspace(&self, name: &str) -> Result<String> {
        let (id, name) = (new_id(), name.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                Sql::new("INSERT INTO workspace (id, name, created_at) VALUES ($1, $2, $3)")
                    .bind(&id)
                    .bind(name)
                    .bind(now)
                    .execute(connection)
                    .await?;
                Ok(id)
            })
        })
        .await
    }

    /// What a workspace is called; nothing where there is none.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn workspace_name(&self, workspace: &str) -> Result<Option<String>> {
        let mut connection = self.read().await?;
        let row = Sql::new("SELECT name FROM workspace WHERE id = $1").bind(workspace);
        row.optional(&mut connection).await?.map(|row| row.text("name")).transpose()
    }

    /// The settings document of a workspace; an empty object when none was stored.
    ///
    /// # Errors
    /// `NotFound` when there is no such workspace.
    pub async fn get_settings(&self, workspace: &str) -> Result<Value> {
        let mut connection = self.read().await?;
        Sql::new("SELECT settings FROM workspace WHERE id = $1")
            .bind(workspace)
            .optional(&mut connection)
            .await?
            .ok_or_else(|| Error::not_found("workspace"))?
            .json("settings")
    }

    /// Replaces the settings document. Secrets do not belong in it: see [`crate::SecretOwner::settings`].
    ///
    /// # Errors
    /// `NotFound` when there is no such workspace.
    pub async fn put_settings(&self, workspace: &str, settings: &Value) -> Result<()> {
        let (workspace, settings) = (workspace.to_owned(), settings.clone());
        self.transact(move |connection, _| {
            Box::pin(async move {
                let changed = Sql::new("UPDATE workspace SET settings = $1 WHERE id = $2")
                    .bind(&settings)
                    .bind(workspace)
                    .execute(connection)
                    .await?;
                if changed == 0 {
                    return Err(Error::not_found("workspace"));
                }
                Ok(())
            })
        })
        .await
    }

    /// Replaces the settings document if it still is `known`, and its secrets with it, in one transaction: those of
    /// `secrets` are set, those of `dropped` are wiped. Returns false, and has changed nothing, when somebody else
    /// has changed the document.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn change_settings(
        &self,
        workspace: &str,
        known: &Value,
        settings: &Value,
        secrets: &[(String, SecretString)],
        dropped: &[String],
    ) -> Result<bool> {
        let owner = SecretOwner::settings(workspace);
        let sealed = secrets
            .iter()
            .map(|(name, secret)| {
                SealedSecret::new(&self.inner.keys.current(), workspace, &owner, name, secret)
            })
            .collect::<Result<Vec<_>>>()?;
        let (workspace, known, settings) = (workspace.to_owned(), known.clone(), settings.clone());
        let dropped = dropped.to_vec();
        let has_dropped = !dropped.is_empty();
        let is_changed = self
            .transact(move |connection, now| {
                Box::pin(async move {
                    let changed =
                        Sql::new("UPDATE workspace SET settings = $1 WHERE id = $2 AND settings = $3")
                            .bind(&settings)
                            .bind(&workspace)
                            .bind(&known)
                            .execute(connection)
                            .await?;
                    if changed == 0 {
                        return Ok(false);
                    }
                    for name in dropped {
                        crate::secrets::delete_one(connection, &workspace, &owner, &name).await?;
                    }
                    for secret in sealed {
                        secret.put(connection, now, None).await?;
                    }
                    Ok(true)
                })
            })
            .await?;
        if is_changed && has_dropped {
            self.wipe_log().await?;
        }
        Ok(is_changed)
    }

    /// The workspaces whose settings have a field of this name, with their settings.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_settings_with(&self, field: &str) -> Result<Vec<(String, Value)>> {
        let mut connection = self.read().await?;
        let rows = Sql::new("SELECT id, settings FROM workspace WHERE settings LIKE $1 ORDER BY id")
            .bind(format!("%\"{field}\"%"))
            .all(&mut connection)
            .await?;
        let mut found = Vec::new();
        for row in rows {
            let settings: Value = row.json("settings")?;
            if settings.get(field).is_some() {
                found.push((row.text("id")?, settings));
            }
        }
        Ok(found)
    }

    /// A mark: a small document under a name, such as how far a poll has come.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_mark(&self, workspace: &str, name: &str) -> Result<Option<Value>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT value FROM mark WHERE workspace = $1 AND name = $2")
            .bind(workspace)
            .bind(name)
            .optional(&mut connection)
            .await?
            .map(|row| row.json("value"))
            .transpose()
    }

    /// The marks whose names begin with `prefix`, by name.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_marks(&self, workspace: &str, prefix: &str) -> Result<Vec<(String, Value)>> {
        let mut connection = self.read().await?;
        let rows = Sql::new(
            "SELECT name, value FROM mark WHERE workspace = $1 AND substr(name, 1, length($2)) = $2 ORDER BY name",
        )
        .bind(workspace)
        .bind(prefix)
        .all(&mut connection)
        .await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.json("value")?))).collect()
    }
}

pub(crate) async fn set_mark(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    name: &str,
    value: &Value,
) -> Result<()> {
    Sql::new(
        "INSERT INTO mark (workspace, name, value, updated_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (workspace, name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )
    .bind(workspace)
    .bind(name)
    .bind(value)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
