//! Channels that people are told through. Their configurations are sealed with the other secrets.

use crate::error::{Error, Result};
use crate::page::{Page, PageRequest};
use crate::secrets::SecretOwner;
use crate::sql::{Row, Sql};
use crate::store::Store;
use serde_json::Value;
use sqlx::AnyConnection;

/// A stored channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// `slack`, `telegram`, `matrix`, `email` or `webhook`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// The configuration as it may be shown.
    pub config: Value,
    /// Which messages it wants.
    pub filters: Value,
    /// Whether it is told of incidents.
    pub incidents: bool,
    /// Whether it is told once a day, instead of each thing.
    pub digest: bool,
    /// Whether anything is sent to it.
    pub enabled: bool,
    /// Why we stopped sending to it, where that was not a person's wish.
    pub disabled_reason: Option<String>,
    /// How often in a row it refused for good; set by the store.
    pub refusals: i64,
    /// When it was made; set by the store.
    pub created_at: i64,
}

impl SecretOwner {
    /// A channel: its configuration, its signing secret.
    pub fn channel(id: impl Into<String>) -> Self {
        Self::new("channel", id)
    }
}

impl Store {
    /// One channel.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_channel(&self, workspace: &str, id: &str) -> Result<Option<Channel>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM channel WHERE workspace = $1 AND id = $2")
            .bind(workspace)
            .bind(id)
            .optional(&mut connection)
            .await?
            .map(|row| Channel::from_row(&row))
            .transpose()
    }

    /// The channel of an id, whatever its workspace: for what proves itself by the channel's own secret.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_channel(&self, id: &str) -> Result<Option<Channel>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM channel WHERE id = $1")
            .bind(id)
            .optional(&mut connection)
            .await?
            .map(|row| Channel::from_row(&row))
            .transpose()
    }

    /// Channels of a workspace, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_channels(&self, workspace: &str, page: &PageRequest) -> Result<Page<Channel>> {
        let mut connection = self.read().await?;
        let rows = Sql::new("SELECT * FROM channel WHERE workspace = $1")
            .bind(workspace)
            .when(" AND id < ", page.cursor.clone())
            .push(" ORDER BY id DESC LIMIT ")
            .arg(page.fetch())
            .all(&mut connection)
            .await?;
        let items = rows.iter().map(Channel::from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |channel| channel.id.clone()))
    }
}

impl Channel {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            kind: row.text("kind")?,
            name: row.text("name")?,
            config: row.json("config")?,
            filters: row.json("filters")?,
            incidents: row.flag("incidents")?,
            digest: row.flag("digest")?,
            enabled: row.flag("enabled")?,
            disabled_reason: row.text_opt("disabled_reason")?,
            refusals: row.int("refusals")?,
            created_at: row.int("created_at")?,
        })
    }
}

/// Stores a channel as it is now; its refusals stay.
pub(crate) async fn put(connection: &mut AnyConnection, now: i64, channel: Channel) -> Result<()> {
    let stored = Sql::new(
        "INSERT INTO channel (id, workspace, kind, name, config, filters, incidents, enabled, disabled_reason, created_at, \
         digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
         config = excluded.config, filters = excluded.filters, incidents = excluded.incidents, \
         enabled = excluded.enabled, disabled_reason = excluded.disabled_reason, digest = excluded.digest \
         WHERE channel.workspace = excluded.workspace",
    )
    .bind(channel.id)
    .bind(channel.workspace)
    .bind(channel.kind)
    .bind(channel.name)
    .bind(&channel.config)
    .bind(&channel.filters)
    .bind(channel.incidents)
    .bind(channel.enabled)
    .bind(channel.disabled_reason)
    .bind(now)
    .bind(channel.digest)
    .execute(connection)
    .await?;
    if stored == 0 { Err(Error::not_found("channel")) } else { Ok(()) }
}

/// Notes how the channel behaves. A reason stops it; without refusals a channel that we stopped goes on.
pub(crate) async fn set_health(
    connection: &mut AnyConnection,
    workspace: &str,
    id: &str,
    refusals: i64,
    disabled_reason: Option<String>,
) -> Result<()> {
    Sql::new(
        "UPDATE channel SET refusals = $1, enabled = CASE WHEN $2 IS NOT NULL THEN 0 \
         WHEN $1 = 0 AND disabled_reason IS NOT NULL THEN 1 ELSE enabled END, \
         disabled_reason = CASE WHEN $1 = 0 THEN $2 ELSE coalesce($2, disabled_reason) END \
         WHERE workspace = $3 AND id = $4",
    )
    .bind(refusals)
    .bind(disabled_reason)
    .bind(workspace)
    .bind(id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes a channel with its log and its secrets.
pub(crate) async fn delete(connection: &mut AnyConnection, workspace: &str, id: &str) -> Result<()> {
    Sql::new("DELETE FROM notification WHERE workspace = $1 AND channel = $2")
        .bind(workspace)
        .bind(id)
        .execute(connection)
        .await?;
    crate::secrets::delete(connection, workspace, &SecretOwner::channel(id)).await?;
    let deleted = Sql::new("DELETE FROM channel WHERE workspace = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .execute(connection)
        .await?;
    if deleted == 0 { Err(Error::not_found("channel")) } else { Ok(()) }
}
