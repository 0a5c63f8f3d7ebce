//! What was, or is to be, sent to a channel: the outbox and the delivery log in one.

use crate::error::{Error, Result};
use crate::page::{Page, PageRequest};
use crate::sql::{Row, Sql};
use crate::store::Store;
use serde_json::Value;
use sqlx::AnyConnection;

/// A stored notification.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notification {
    /// Its id, from [`crate::new_id`].
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The channel.
    pub channel: String,
    /// Names what it tells; a channel is told it once.
    pub key: String,
    /// What it is: `analysis.failed`, `run.fixed`, `incident.opened`, ...
    pub event: String,
    /// One line for the log.
    pub subject: String,
    /// The repository that it is about, as analyses name it; empty where it is about none.
    pub repository_key: String,
    /// `pr:42` or `branch:main`; empty where it is about none.
    pub place: String,
    /// The top run that it is about; empty where it is about none.
    pub run_id: String,
    /// The cluster that it is about.
    pub cluster: Option<String>,
    /// The notification that it answers.
    pub thread: Option<String>,
    /// It tells of a failure that has not been repaired yet.
    pub is_open: bool,
    /// `pending`, `sending`, `sent`, `failed`, `skipped`, `unknown`, or `held`: for the digest of the day.
    pub state: String,
    /// How often it was tried; set by the store.
    pub attempts: i64,
    /// How often its text changed; set by the store.
    pub revision: i64,
    /// Why it was not sent.
    pub error: Option<String>,
    /// What it says.
    pub message: Value,
    /// How the channel names it, once it was sent.
    pub sent: Option<Value>,
    /// When it was written; set by the store.
    pub created_at: i64,
    /// When it last changed; set by the store.
    pub updated_at: i64,
}

impl Store {
    /// One notification.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_notification(&self, workspace: &str, id: &str) -> Result<Option<Notification>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM notification WHERE workspace = $1 AND id = $2")
            .bind(workspace)
            .bind(id)
            .optional(&mut connection)
            .await?
            .map(|row| Notification::from_row(&row))
            .transpose()
    }

    /// The notification of a channel that tells `key`.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_notification(&self, channel: &str, key: &str) -> Result<Option<Notification>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM notification WHERE channel = $1 AND message_key = $2")
            .bind(channel)
            .bind(key)
            .optional(&mut connection)
            .await?
            .map(|row| Notification::from_row(&row))
            .transpose()
    }

    /// What a channel was told, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_notifications(
        &self,
        workspace: &str,
        channel: &str,
        page: &PageRequest,
    ) -> Result<Page<Notification>> {
        let mut connection = self.read().await?;
        let rows = Sql::new("SELECT * FROM notification WHERE workspace = $1 AND channel = $2")
            .bind(workspace)
            .bind(channel)
            .when(" AND id < ", page.cursor.clone())
            .push(" ORDER BY id DESC LIMIT ")
            .arg(page.fetch())
            .all(&mut connection)
            .await?;
        let items = rows.iter().map(Notification::from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |notification| notification.id.clone()))
    }

    /// The failures that a channel was told of and that are not repaired yet, the oldest first; at most 500.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn open_notifications(&self, workspace: &str, channel: &str) -> Result<Vec<Notification>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT * FROM notification WHERE workspace = $1 AND channel = $2 AND is_open = 1 ORDER BY id LIMIT 500",
        )
        .bind(workspace)
        .bind(channel)
        .all(&mut connection)
        .await?
        .iter()
        .map(Notification::from_row)
        .collect()
    }

    /// What waits for the digest of a channel, the oldest first; at most 500.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn held_notifications(&self, workspace: &str, channel: &str) -> Result<Vec<Notification>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT * FROM notification WHERE workspace = $1 AND channel = $2 AND state = 'held' ORDER BY id LIMIT 500",
        )
        .bind(workspace)
        .bind(channel)
        .all(&mut connection)
        .await?
        .iter()
        .map(Notification::from_row)
        .collect()
    }

    /// Notes that a notification is being sent now: whoever finds it so later knows that the channel may have it.
    /// `false`: it is not pending any more.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn begin_sending(&self, workspace: &str, id: &str) -> Result<bool> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        let changed = self
            .transact(move |connection, now| {
                Box::pin(async move {
                    Sql::new(
                        "UPDATE notification SET state = 'sending', attempts = attempts + 1, updated_at = $1 \
                         WHERE workspace = $2 AND id = $3 AND state = 'pending'",
                    )
                    .bind(now)
                    .bind(workspace)
                    .bind(id)
                    .execute(connection)
                    .await
                })
            })
            .await?;
        Ok(changed > 0)
    }
}

impl Notification {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            channel: row.text("channel")?,
            key: row.text("message_key")?,
            event: row.text("event")?,
            subject: row.text("subject")?,
            repository_key: row.text("repository_key")?,
            place: row.text("place")?,
            run_id: row.text("run_id")?,
            cluster: row.text_opt("cluster_id")?,
            thread: row.text_opt("thread")?,
            is_open: row.flag("is_open")?,
            state: row.text("state")?,
            attempts: row.int("attempts")?,
            revision: row.int("revision")?,
            error: row.text_opt("error")?,
            message: row.json("message")?,
            sent: row.json_opt("sent")?,
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
        })
    }
}

/// Writes a notification down. One that tells the same has its text changed, and is to be sent again when it was sent.
pub(crate) async fn put(connection: &mut AnyConnection, now: i64, it: Notification) -> Result<()> {
    // What arrives after its channel was removed is told to nobody.
    Sql::new(
        "INSERT INTO notification (id, workspace, channel, message_key, event, subject, repository_key, place, run_id, \
         cluster_id, thread, is_open, state, error, message, created_at, updated_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CAST($12 AS BIGINT), $13, $14, $15, CAST($16 AS BIGINT), \
         CAST($16 AS BIGINT) WHERE EXISTS (SELECT 1 FROM channel WHERE id = $3 AND workspace = $2) \
         ON CONFLICT (channel, message_key) DO UPDATE SET \
         subject = excluded.subject, message = excluded.message, is_open = excluded.is_open, \
         revision = notification.revision + CASE WHEN notification.message = excluded.message THEN 0 ELSE 1 END, \
         state = CASE WHEN notification.state = 'sent' AND notification.message <> excluded.message \
         THEN 'pending' ELSE notification.state END, updated_at = excluded.updated_at",
    )
    .bind(it.id)
    .bind(it.workspace)
    .bind(it.channel)
    .bind(it.key)
    .bind(it.event)
    .bind(it.subject)
    .bind(it.repository_key)
    .bind(it.place)
    .bind(it.run_id)
    .bind(it.cluster)
    .bind(it.thread)
    .bind(it.is_open)
    .bind(it.state)
    .bind(it.error)
    .bind(&it.message)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// How sending went; `sent` stays where there is none.
pub(crate) async fn set(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    id: &str,
    state: &str,
    error: Option<String>,
    sent: Option<Value>,
) -> Result<()> {
    let changed = Sql::new(
        "UPDATE notification SET state = $1, error = $2, sent = coalesce($3, sent), updated_at = $4 \
         WHERE workspace = $5 AND id = $6",
    )
    .bind(state)
    .bind(error)
    .bind(&sent)
    .bind(now)
    .bind(workspace)
    .bind(id)
    .execute(connection)
    .await?;
    if changed == 0 { Err(Error::not_found("notification")) } else { Ok(()) }
}
