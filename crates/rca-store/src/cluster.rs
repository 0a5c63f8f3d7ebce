//! Clusters: failures with one fingerprint, counted once per analysis.

use crate::error::{Error, Result};
use crate::page::{Page, PageRequest};
use crate::sql::{Row, Sql};
use crate::store::{Store, new_id};
use sqlx::AnyConnection;

/// A failure to count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterHit {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// What makes failures the same.
    pub fingerprint: String,
    /// The category of the report.
    pub category: Option<String>,
    /// The root cause in words.
    pub root_cause: Option<String>,
    /// The full name of the repository.
    pub repository: String,
    /// The stored analysis. It is given the cluster's id, and counted once however often this is written.
    pub analysis: String,
}

/// A stored cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// What makes failures the same.
    pub fingerprint: String,
    /// `active`, `acknowledged` or `resolved`.
    pub state: String,
    /// The category of the last report.
    pub category: Option<String>,
    /// The root cause in words.
    pub root_cause: Option<String>,
    /// Analyses counted.
    pub count: i64,
    /// When it was first seen.
    pub first_seen_at: i64,
    /// When it was last seen.
    pub last_seen_at: i64,
    /// When it was resolved; none unless it is.
    pub resolved_at: Option<i64>,
    /// The commit that last made it green.
    pub last_fix: Option<String>,
    /// The last analysis.
    pub last_analysis: Option<String>,
    /// In how many repositories it was seen.
    pub repository_count: i64,
    /// Their names, the last seen first; of [`Store::recent_clusters`] and [`Store::find_clusters`] only the first.
    pub repositories: Vec<String>,
}

/// Which clusters a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterFilter {
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this category.
    pub category: Option<String>,
    /// Only seen in this repository.
    pub repository: Option<String>,
    /// Only first seen at or after; only in [`Store::recent_clusters`], as the two below.
    pub new_since: Option<i64>,
    /// Only first seen before, and seen again at or after.
    pub back_since: Option<i64>,
    /// Only resolved now, and at or after.
    pub resolved_since: Option<i64>,
}

impl Store {
    /// One cluster by its id.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_cluster(&self, workspace: &str, id: &str) -> Result<Option<Cluster>> {
        self.one_cluster("id", workspace, id).await
    }

    /// One cluster by its fingerprint.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_cluster(&self, workspace: &str, fingerprint: &str) -> Result<Option<Cluster>> {
        self.one_cluster("fingerprint", workspace, fingerprint).await
    }

    /// Clusters of a workspace, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_clusters(
        &self,
        workspace: &str,
        filter: &ClusterFilter,
        page: &PageRequest,
    ) -> Result<Page<Cluster>> {
        let mut sql = Sql::new("SELECT * FROM cluster WHERE workspace = $1")
            .bind(workspace)
            .when(" AND state = ", filter.state.clone())
            .when(" AND category = ", filter.category.clone())
            .when(" AND id < ", page.cursor.clone());
        if let Some(repository) = &filter.repository {
            sql = sql
                .push(" AND id IN (SELECT cluster FROM cluster_repository WHERE repository = ")
                .arg(repository)
                .push(")");
        }
        let mut connection = self.read().await?;
        let rows = sql.push(" ORDER BY id DESC LIMIT ").arg(page.fetch()).all(&mut connection).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            items.push(Cluster::from_row(row)?);
        }
        let ids: Vec<String> = items.iter().map(|cluster| cluster.id.clone()).collect();
        let rows = Sql::new("SELECT cluster, repository FROM cluster_repository WHERE cluster IN ")
            .list(&ids)
            .push(" ORDER BY last_seen_at DESC, repository")
            .all(&mut connection)
            .await?;
        for row in rows {
            let id = row.text("cluster")?;
            if let Some(cluster) = items.iter_mut().find(|cluster| cluster.id == id) {
                cluster.repositories.push(row.text("repository")?);
            }
        }
        Ok(Page::cut(items, page, |cluster| cluster.id.clone()))
    }

    /// Sets the state of a cluster and records who did it.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such cluster.
    pub async fn set_cluster_state(&self, workspace: &str, id: &str, state: &str, actor: &str) -> Result<()> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        let (state, actor) = (state.to_owned(), actor.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                set_state(connection, now, &workspace, &id, &state, None).await?;
                crate::audit::append(
                    connection,
                    now,
                    &crate::audit::NewAudit {
                        workspace,
                        actor,
                        action: format!("cluster.{state}"),
                        target: id,
                        detail: serde_json::json!({}),
                    },
                )
                .await
            })
        })
        .await
    }

    async fn one_cluster(&self, column: &str, workspace: &str, value: &str) -> Result<Option<Cluster>> {
        let mut connection = self.read().await?;
        let row = Sql::new(format!("SELECT * FROM cluster WHERE workspace = $1 AND {column} = $2"))
            .bind(workspace)
            .bind(value)
            .optional(&mut connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut cluster = Cluster::from_row(&row)?;
        cluster.repositories = Sql::new(
            "SELECT repository FROM cluster_repository WHERE cluster = $1 ORDER BY last_seen_at DESC, repository",
        )
        .bind(&cluster.id)
        .all(&mut connection)
        .await?
        .iter()
        .map(|row| row.text("repository"))
        .collect::<Result<_>>()?;
        Ok(Some(cluster))
    }
}

impl Cluster {
    pub(crate) fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            fingerprint: row.text("fingerprint")?,
            state: row.text("state")?,
            category: row.text_opt("category")?,
            root_cause: row.text_opt("root_cause")?,
            count: row.int("count")?,
            first_seen_at: row.int("first_seen_at")?,
            last_seen_at: row.int("last_seen_at")?,
            resolved_at: row.int_opt("resolved_at")?,
            last_fix: row.text_opt("last_fix")?,
            last_analysis: row.text_opt("last_analysis")?,
            repository_count: row.int("repository_count")?,
            repositories: Vec::new(),
        })
    }

    /// A row that also has `last_repository`.
    pub(crate) fn recent(row: &Row) -> Result<Self> {
        let last = row.text_opt("last_repository")?;
        Ok(Self { repositories: last.into_iter().collect(), ..Self::from_row(row)? })
    }
}

/// Counts a failure; a resolved cluster that recurs is active again.
pub(crate) async fn hit(connection: &mut AnyConnection, now: i64, hit: ClusterHit) -> Result<()> {
    let id = Sql::new(
        "INSERT INTO cluster (id, workspace, fingerprint, state, category, root_cause, count, first_seen_at, last_seen_at) \
         VALUES ($1, $2, $3, 'active', $4, $5, 0, $6, $6) ON CONFLICT (workspace, fingerprint) DO UPDATE SET \
         count = cluster.count RETURNING id",
    )
    .bind(new_id())
    .bind(&hit.workspace)
    .bind(&hit.fingerprint)
    .bind(&hit.category)
    .bind(&hit.root_cause)
    .bind(now)
    .one(connection)
    .await?
    .text("id")?;
    // The analysis is the witness: it is counted when it changes hands, and only then.
    let counted = Sql::new(
        "UPDATE analysis SET cluster_id = $1 WHERE workspace = $2 AND id = $3 AND (cluster_id IS NULL OR cluster_id <> $1)",
    )
    .bind(&id)
    .bind(&hit.workspace)
    .bind(&hit.analysis)
    .execute(connection)
    .await?;
    if counted == 0 {
        return Ok(());
    }
    let times = Sql::new(
        "INSERT INTO cluster_repository (cluster, repository, count, last_seen_at) VALUES ($1, $2, 1, $3) \
         ON CONFLICT (cluster, repository) DO UPDATE SET count = cluster_repository.count + 1, \
         last_seen_at = excluded.last_seen_at RETURNING count",
    )
    .bind(&id)
    .bind(&hit.repository)
    .bind(now)
    .one(connection)
    .await?
    .int("count")?;
    Sql::new(
        "UPDATE cluster SET count = count + 1, last_seen_at = $1, last_analysis = $2, \
         category = coalesce($3, category), root_cause = coalesce($4, root_cause), \
         state = CASE WHEN state = 'resolved' THEN 'active' ELSE state END, resolved_at = NULL, \
         repository_count = repository_count + $5 WHERE id = $6",
    )
    .bind(now)
    .bind(&hit.analysis)
    .bind(&hit.category)
    .bind(&hit.root_cause)
    .bind(times == 1)
    .bind(&id)
    .execute(connection)
    .await?;
    Sql::new(
        "INSERT INTO failing_repository (workspace, repository, count, last_seen_at) VALUES ($1, $2, 1, $3) \
         ON CONFLICT (workspace, repository) DO UPDATE SET count = failing_repository.count + 1, \
         last_seen_at = excluded.last_seen_at",
    )
    .bind(&hit.workspace)
    .bind(&hit.repository)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn set_state(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    id: &str,
    state: &str,
    last_fix: Option<String>,
) -> Result<()> {
    let changed = Sql::new(
        "UPDATE cluster SET state = $1, last_fix = coalesce($2, last_fix), resolved_at = $3 \
         WHERE workspace = $4 AND id = $5",
    )
    .bind(state)
    .bind(last_fix)
    .bind((state == "resolved").then_some(now))
    .bind(workspace)
    .bind(id)
    .execute(connection)
    .await?;
    if changed == 0 {
        return Err(Error::not_found("cluster"));
    }
    Ok(())
}
