//! Incidents: what an operator has to look at, each open once per (code, integration, repository).

use crate::error::Result;
use crate::page::{Page, PageRequest};
use crate::sql::{Row, Sql};
use crate::store::{Store, new_id};
use crate::task::NewTask;
use serde_json::json;
use sqlx::AnyConnection;

/// The kind of the tasks that tell channels of an incident: each opening and each end enqueues one together with its
/// row, with payload `{incident, event}`; event is `opened` or `resolved`.
pub const ANNOUNCE_INCIDENT: &str = "announce_incident";

/// An incident to open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewIncident {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// What is wrong, in snake_case.
    pub code: String,
    /// `low`, `medium` or `high`.
    pub severity: String,
    /// What is wrong, in words.
    pub message: String,
    /// What helps.
    pub remedy: String,
    /// The integration that it is about.
    pub integration: Option<String>,
    /// The repository that it is about.
    pub repository: Option<String>,
}

/// A stored incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// What is wrong, in snake_case.
    pub code: String,
    /// `low`, `medium` or `high`.
    pub severity: String,
    /// What is wrong, in words.
    pub message: String,
    /// What helps.
    pub remedy: String,
    /// The integration that it is about.
    pub integration: Option<String>,
    /// The repository that it is about.
    pub repository: Option<String>,
    /// When it began.
    pub opened_at: i64,
    /// When it ended.
    pub resolved_at: Option<i64>,
}

impl Store {
    /// Opens an incident unless one of its kind is open; returns it and whether it is new.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn open_incident(&self, incident: NewIncident) -> Result<(Incident, bool)> {
        self.transact(move |connection, now| Box::pin(async move { open(connection, now, incident).await }))
            .await
    }

    /// One incident.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_incident(&self, workspace: &str, id: &str) -> Result<Option<Incident>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM incident WHERE workspace = $1 AND id = $2")
            .bind(workspace)
            .bind(id)
            .optional(&mut connection)
            .await?
            .map(|row| Incident::from_row(&row))
            .transpose()
    }

    /// Incidents of a workspace, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_incidents(
        &self,
        workspace: &str,
        only_open: bool,
        page: &PageRequest,
    ) -> Result<Page<Incident>> {
        let mut sql = Sql::new("SELECT * FROM incident WHERE workspace = $1").bind(workspace);
        if only_open {
            sql = sql.push(" AND resolved_at IS NULL");
        }
        let mut connection = self.read().await?;
        let rows = sql
            .when(" AND id < ", page.cursor.clone())
            .push(" ORDER BY id DESC LIMIT ")
            .arg(page.fetch())
            .all(&mut connection)
            .await?;
        let items = rows.iter().map(Incident::from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |incident| incident.id.clone()))
    }

    /// How many incidents of a workspace are open.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_open_incidents(&self, workspace: &str) -> Result<i64> {
        let mut connection = self.read().await?;
        Sql::new("SELECT count(*) AS open FROM incident WHERE workspace = $1 AND resolved_at IS NULL")
            .bind(workspace)
            .one(&mut connection)
            .await?
            .int("open")
    }
}

impl Incident {
    fn from_row(row: &Row) -> Result<Self> {
        let present = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self {
            id: row.text("id")?,
            code: row.text("code")?,
            severity: row.text("severity")?,
            message: row.text("message")?,
            remedy: row.text("remedy")?,
            integration: present(row.text("integration_key")?),
            repository: present(row.text("repository_key")?),
            opened_at: row.int("opened_at")?,
            resolved_at: row.int_opt("resolved_at")?,
        })
    }
}

pub(crate) async fn open(
    connection: &mut AnyConnection,
    now: i64,
    incident: NewIncident,
) -> Result<(Incident, bool)> {
    let (id, workspace) = (new_id(), incident.workspace.clone());
    let row = Sql::new(
        "INSERT INTO incident (id, workspace, code, severity, message, remedy, integration_key, repository_key, opened_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (workspace, code, integration_key, repository_key) WHERE resolved_at IS NULL \
         DO UPDATE SET message = excluded.message, remedy = excluded.remedy RETURNING *",
    )
    .bind(&id)
    .bind(incident.workspace)
    .bind(incident.code)
    .bind(incident.severity)
    .bind(incident.message)
    .bind(incident.remedy)
    .bind(incident.integration.unwrap_or_default())
    .bind(incident.repository.unwrap_or_default())
    .bind(now)
    .one(connection)
    .await?;
    let incident = Incident::from_row(&row)?;
    let new = incident.id == id;
    if new {
        announce(connection, now, &workspace, &id, "opened").await?;
    }
    Ok((incident, new))
}

/// Closes the open incident of this kind, if there is one.
pub(crate) async fn resolve(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    code: &str,
    integration: Option<String>,
    repository: Option<String>,
) -> Result<()> {
    let ended = Sql::new(
        "UPDATE incident SET resolved_at = $1 WHERE workspace = $2 AND code = $3 AND integration_key = $4 \
         AND repository_key = $5 AND resolved_at IS NULL RETURNING id",
    )
    .bind(now)
    .bind(workspace)
    .bind(code)
    .bind(integration.unwrap_or_default())
    .bind(repository.unwrap_or_default())
    .optional(connection)
    .await?;
    match ended {
        Some(row) => announce(connection, now, workspace, &row.text("id")?, "resolved").await,
        None => Ok(()),
    }
}

/// Closes all open incidents about an integration, or about a repository: it is gone.
pub(crate) async fn resolve_all_of(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    integration: Option<&str>,
    repositories: &[String],
) -> Result<()> {
    let mut sql =
        Sql::new("UPDATE incident SET resolved_at = $1 WHERE workspace = $2 AND resolved_at IS NULL")
            .bind(now)
            .bind(workspace);
    sql = match integration {
        Some(integration) => sql.push(" AND integration_key = ").arg(integration),
        None if repositories.is_empty() => return Ok(()),
        None => sql.push(" AND repository_key IN ").list(repositories),
    };
    for row in sql.push(" RETURNING id").all(connection).await? {
        announce(connection, now, workspace, &row.text("id")?, "resolved").await?;
    }
    Ok(())
}

async fn announce(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    id: &str,
    event: &str,
) -> Result<()> {
    let payload = json!({ "incident": id, "event": event });
    let task = NewTask::new(workspace, ANNOUNCE_INCIDENT, format!("incident:{id}:{event}"), payload);
    crate::task::enqueue_one(connection, now, task).await.map(|_| ())
}
