//! Sealed secrets: tokens, hook secrets, client secrets, chat addresses. All in one table, all sealed.

#![expect(clippy::disallowed_methods, reason = "secrets are sealed here")]

use crate::error::{Error, ErrorKind, Result};
use crate::seal::{KeyRing, Place};
use crate::sql::{Row, Sql};
use crate::store::Store;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::AnyConnection;

/// The row that a secret belongs to: a kind of object and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretOwner {
    /// The kind of object, such as `integration`.
    pub table: String,
    /// Its id.
    pub id: String,
}

impl SecretOwner {
    /// Any kind of object.
    pub fn new(table: impl Into<String>, id: impl Into<String>) -> Self {
        Self { table: table.into(), id: id.into() }
    }

    /// An integration: access and refresh tokens, client secret.
    pub fn integration(id: impl Into<String>) -> Self {
        Self::new("integration", id)
    }

    /// A hook: its current and previous secret.
    pub fn hook(id: impl Into<String>) -> Self {
        Self::new("hook", id)
    }

    /// The settings of a workspace: log sources and the like.
    pub fn settings(workspace: impl Into<String>) -> Self {
        Self::new("settings", workspace)
    }
}

impl Store {
    /// Seals and stores a secret, in place of one of the same name.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn put_secret(
        &self,
        workspace: &str,
        owner: &SecretOwner,
        name: &str,
        secret: &SecretString,
    ) -> Result<()> {
        let secret = SealedSecret::new(&self.inner.keys.current(), workspace, owner, name, secret)?;
        self.transact(move |connection, now| Box::pin(async move { secret.put(connection, now, None).await }))
            .await
    }

    /// Opens a secret.
    ///
    /// # Errors
    /// `Unsealable` when it was altered or moved, or its key is missing.
    pub async fn get_secret(
        &self,
        workspace: &str,
        owner: &SecretOwner,
        name: &str,
    ) -> Result<Option<SecretString>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT sealed FROM secret WHERE workspace = $1 AND owner_table = $2 AND owner_id = $3 AND name = $4",
        )
        .bind(workspace)
        .bind(&owner.table)
        .bind(&owner.id)
        .bind(name)
        .optional(&mut connection)
        .await?
        .map(|row| open(&self.inner.keys.current(), &row, workspace, owner, name))
        .transpose()
    }

    /// Wipes all secrets of an owner; on SQLite the bytes are overwritten in the file. Returns how many there were.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn delete_secrets(&self, workspace: &str, owner: &SecretOwner) -> Result<u64> {
        let (workspace, owner) = (workspace.to_owned(), owner.clone());
        let wiped = self
            .transact(move |connection, _| {
                Box::pin(async move { delete(connection, &workspace, &owner).await })
            })
            .await?;
        self.wipe_log().await?;
        Ok(wiped)
    }

    /// Seals everything anew that an older master key sealed: at most `limit` rows per call, and returns how many
    /// rows are left. Interrupted, it goes on where it stopped; rows that change meanwhile are left to the next call.
    ///
    /// # Errors
    /// `Unsealable` when a row cannot be opened with the given keys; the rows before it are done.
    pub async fn reseal(&self, limit: u32) -> Result<u64> {
        let keys = &self.inner.keys.current();
        let primary = i64::from(keys.primary_id());
        for source in SOURCES {
            let rows = {
                let mut connection = self.read().await?;
                Sql::new(source.select).bind(primary).bind(i64::from(limit)).all(&mut connection).await?
            };
            for row in rows {
                let (workspace, table, id, column) = (
                    row.text("workspace")?,
                    row.text("place_table")?,
                    row.text("place_row")?,
                    row.text("place_column")?,
                );
                let place = Place { workspace: &workspace, table: &table, row: &id, column: &column };
                let old = row.blob("sealed")?;
                let new = keys.seal(place, &keys.open(place, &old)?)?;
                let update = source.update;
                self.transact(move |connection, _| {
                    Box::pin(async move {
                        // Only if it is still what was opened.
                        Sql::new(update)
                            .bind(new)
                            .bind(primary)
                            .bind(workspace)
                            .bind(table)
                            .bind(id)
                            .bind(column)
                            .bind(old)
                            .execute(connection)
                            .await
                    })
                })
                .await?;
            }
        }
        let mut connection = self.read().await?;
        let left = Sql::new(
            "SELECT (SELECT count(*) FROM secret WHERE key_id <> $1) + (SELECT count(*) FROM oauth_state WHERE key_id <> $1) \
             + (SELECT count(*) FROM delivery WHERE key_id <> $1) AS rows_left",
        )
        .bind(primary)
        .one(&mut connection)
        .await?
        .int("rows_left")?;
        Ok(u64::try_from(left).unwrap_or(0))
    }
}

/// A table with sealed values: how to list those of other keys, and how to replace one.
struct Source {
    select: &'static str,
    update: &'static str,
}

const SOURCES: &[Source] = &[
    Source {
        select: "SELECT workspace, owner_table AS place_table, owner_id AS place_row, name AS place_column, sealed \
                 FROM secret WHERE key_id <> $1 LIMIT $2",
        update: "UPDATE secret SET sealed = $1, key_id = $2 WHERE workspace = $3 AND owner_table = $4 AND owner_id = $5 \
                 AND name = $6 AND sealed = $7",
    },
    Source {
        select: "SELECT workspace, 'oauth_state' AS place_table, state_hash AS place_row, 'sealed' AS place_column, sealed \
                 FROM oauth_state WHERE key_id <> $1 LIMIT $2",
        update: "UPDATE oauth_state SET sealed = $1, key_id = $2 WHERE workspace = $3 AND $4 = 'oauth_state' \
                 AND state_hash = $5 AND $6 = 'sealed' AND sealed = $7",
    },
    Source {
        select: "SELECT workspace, 'delivery' AS place_table, id AS place_row, 'sealed' AS place_column, sealed \
                 FROM delivery WHERE key_id <> $1 LIMIT $2",
        update: "UPDATE delivery SET sealed = $1, key_id = $2 WHERE workspace = $3 AND $4 = 'delivery' AND id = $5 \
                 AND $6 = 'sealed' AND sealed = $7",
    },
];

/// A secret that is ready to be written inside a transaction.
#[derive(Debug, Clone)]
pub(crate) struct SealedSecret {
    workspace: String,
    owner: SecretOwner,
    name: String,
    key_id: i64,
    sealed: Vec<u8>,
}

impl SealedSecret {
    pub(crate) fn new(
        keys: &KeyRing,
        workspace: &str,
        owner: &SecretOwner,
        name: &str,
        secret: &SecretString,
    ) -> Result<Self> {
        let place = place(workspace, owner, name);
        Ok(Self {
            sealed: keys.seal(place, secret.expose_secret().as_bytes())?,
            workspace: workspace.to_owned(),
            owner: owner.clone(),
            name: name.to_owned(),
            key_id: i64::from(keys.primary_id()),
        })
    }

    pub(crate) async fn put(
        self,
        connection: &mut AnyConnection,
        now: i64,
        expires_at: Option<i64>,
    ) -> Result<()> {
        Sql::new(
            "INSERT INTO secret (workspace, owner_table, owner_id, name, key_id, sealed, expires_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (workspace, owner_table, owner_id, name) DO UPDATE SET \
             key_id = excluded.key_id, sealed = excluded.sealed, expires_at = excluded.expires_at, \
             updated_at = excluded.updated_at",
        )
        .bind(self.workspace)
        .bind(self.owner.table)
        .bind(self.owner.id)
        .bind(self.name)
        .bind(self.key_id)
        .bind(self.sealed)
        .bind(expires_at)
        .bind(now)
        .execute(connection)
        .await?;
        Ok(())
    }
}

pub(crate) async fn delete(
    connection: &mut AnyConnection,
    workspace: &str,
    owner: &SecretOwner,
) -> Result<u64> {
    Sql::new("DELETE FROM secret WHERE workspace = $1 AND owner_table = $2 AND owner_id = $3")
        .bind(workspace)
        .bind(&owner.table)
        .bind(&owner.id)
        .execute(connection)
        .await
}

pub(crate) async fn delete_one(
    connection: &mut AnyConnection,
    workspace: &str,
    owner: &SecretOwner,
    name: &str,
) -> Result<u64> {
    Sql::new("DELETE FROM secret WHERE workspace = $1 AND owner_table = $2 AND owner_id = $3 AND name = $4")
        .bind(workspace)
        .bind(&owner.table)
        .bind(&owner.id)
        .bind(name)
        .execute(connection)
        .await
}

pub(crate) fn place<'a>(workspace: &'a str, owner: &'a SecretOwner, name: &'a str) -> Place<'a> {
    Place { workspace, table: &owner.table, row: &owner.id, column: name }
}

/// Opens the column `sealed` of a row of the table `secret`.
pub(crate) fn open(
    keys: &KeyRing,
    row: &Row,
    workspace: &str,
    owner: &SecretOwner,
    name: &str,
) -> Result<SecretString> {
    let plain = keys.open(place(workspace, owner, name), &row.blob("sealed")?)?;
    std::str::from_utf8(&plain)
        .map(SecretString::from)
        .map_err(|_| Error::new(ErrorKind::Unsealable, "a sealed secret is not text"))
}
