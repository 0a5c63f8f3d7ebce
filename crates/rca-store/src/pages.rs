//! What pages show besides whole rows: lean ones, each found by an index, so that a page is quick with a hundred
//! thousand analyses.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::AnyConnection;

use crate::analysis::Analysis;
use crate::cluster::{Cluster, ClusterFilter};
use crate::error::{Error, ErrorKind, Result};
use crate::lead;
use crate::page::{Page, PageRequest};
use crate::sql::{Row, Sql};
use crate::store::{Engine, Store};

/// Characters of a test's name that are looked for.
const NAME_CHARS: usize = 300;

/// Clusters with the repository of the last failure: the names of all would be very many.
const RECENT: &str = "SELECT *, (SELECT a.repository FROM analysis a WHERE a.id = cluster.last_analysis) AS last_repository \
     FROM cluster WHERE workspace = ";

/// A failed job of a run, without its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiblingJob {
    /// Its analysis.
    pub analysis: String,
    /// The job's name, else its id.
    pub job: String,
    /// Its attempt.
    pub attempt: i64,
    /// `queued`, `running`, `done`, `failed` or `no_log`.
    pub state: String,
    /// The category of its report.
    pub category: Option<String>,
    /// Its cluster.
    pub cluster: Option<String>,
    /// The cause of that cluster in words.
    pub root_cause: Option<String>,
}

/// What a channel was told of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunNotification {
    /// The channel.
    pub channel: String,
    /// What people call it.
    pub name: String,
    /// `slack`, `telegram`, `matrix`, `email` or `webhook`.
    pub kind: String,
    /// What it tells.
    pub event: String,
    /// `pending`, `sending`, `sent`, `failed`, `skipped` or `unknown`.
    pub state: String,
    /// Why it was not sent.
    pub error: Option<String>,
    /// When that was.
    pub updated_at: i64,
}

/// A test that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTest {
    /// Its name.
    pub name: String,
    /// The full name of the repository.
    pub repository: String,
    /// The analysis of its last failure.
    pub analysis: String,
    /// When that was.
    pub seen_at: i64,
}

impl Store {
    /// The failed jobs of a top run, its child runs included, as the forge listed them; at most `limit`.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn jobs_of_run(
        &self,
        workspace: &str,
        integration: &str,
        repository_key: &str,
        root_run: &str,
        limit: u32,
    ) -> Result<Vec<SiblingJob>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT a.id, a.job_id, a.job_name, a.attempt, a.state, a.category, a.cluster_id, c.root_cause \
             FROM analysis a LEFT JOIN cluster c ON c.id = a.cluster_id WHERE a.workspace = $1 \
             AND a.root_run_id = $2 AND a.integration_key = $3 AND a.repository_key = $4 ORDER BY a.id LIMIT $5",
        )
        .bind(workspace)
        .bind(root_run)
        .bind(integration)
        .bind(repository_key)
        .bind(i64::from(limit))
        .all(&mut connection)
        .await?
        .iter()
        .map(SiblingJob::from_row)
        .collect()
    }

    /// What channels were told of a run and one cause, in that order; at most 50.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn notifications_of_run(
        &self,
        workspace: &str,
        repository_key: &str,
        root_run: &str,
        cluster: Option<&str>,
    ) -> Result<Vec<RunNotification>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT n.channel, n.event, n.state, n.error, n.updated_at, c.name, c.kind FROM notification n \
             JOIN channel c ON c.id = n.channel WHERE n.workspace = $1 AND n.run_id = $2 AND n.repository_key = $3 \
             AND (n.cluster_id IS NULL OR n.cluster_id = $4) ORDER BY n.id LIMIT 50",
        )
        .bind(workspace)
        .bind(root_run)
        .bind(repository_key)
        .bind(cluster.unwrap_or_default())
        .all(&mut connection)
        .await?
        .iter()
        .map(|row| {
            Ok(RunNotification {
                channel: row.text("channel")?,
                name: row.text("name")?,
                kind: row.text("kind")?,
                event: row.text("event")?,
                state: row.text("state")?,
                error: row.text_opt("error")?,
                updated_at: row.int("updated_at")?,
            })
        })
        .collect()
    }

    /// Clusters, the last seen first. The cursor is that of this list only.
    ///
    /// # Errors
    /// `Invalid` for a foreign cursor; `Unavailable` when the database does not answer.
    pub async fn recent_clusters(
        &self,
        workspace: &str,
        filter: &ClusterFilter,
        page: &PageRequest,
    ) -> Result<Page<Cluster>> {
        let mut sql = Sql::new(RECENT)
            .arg(workspace)
            .when(" AND state = ", filter.state.clone())
            .when(" AND category = ", filter.category.clone())
            .when(" AND first_seen_at >= ", filter.new_since)
            .when(" AND first_seen_at < ", filter.back_since)
            .when(" AND last_seen_at >= ", filter.back_since)
            .when(" AND state = 'resolved' AND resolved_at >= ", filter.resolved_since);
        if let Some(repository) = &filter.repository {
            sql = sql
                .push(" AND id IN (SELECT cluster FROM cluster_repository WHERE repository = ")
                .arg(repository)
                .push(")");
        }
        if let Some(cursor) = &page.cursor {
            let invalid = || Error::new(ErrorKind::Invalid, "cursor: it is not of this list");
            let (seen, id) = cursor.split_once('.').ok_or_else(invalid)?;
            let seen: i64 = seen.parse().map_err(|_| invalid())?;
            sql = sql
                .push(" AND (last_seen_at < ")
                .arg(seen)
                .push(" OR (last_seen_at = ")
                .arg(seen)
                .push(" AND id < ")
                .arg(id)
                .push("))");
        }
        let mut connection = self.read().await?;
        let rows = sql
            .push(" ORDER BY last_seen_at DESC, id DESC LIMIT ")
            .arg(page.fetch())
            .all(&mut connection)
            .await?;
        let items = rows.iter().map(Cluster::recent).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |cluster| format!("{}.{}", cluster.last_seen_at, cluster.id)))
    }

    /// Failures of a cluster by day (days since 1970-01-01, UTC), from `since` on. Days without any are not there.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn cluster_days(&self, workspace: &str, cluster: &str, since: i64) -> Result<Vec<(i64, i64)>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT created_at / 86400000 AS day, count(*) AS failures FROM analysis WHERE workspace = $1 \
             AND cluster_id = $2 AND id >= $3 AND created_at >= $4 GROUP BY 1 ORDER BY 1",
        )
        .bind(workspace)
        .bind(cluster)
        .bind(lead::before(since))
        .bind(since)
        .all(&mut connection)
        .await?
        .iter()
        .map(|row| Ok((row.int("day")?, row.int("failures")?)))
        .collect()
    }

    /// How many clusters are in each of these states now: active, first seen since `since`, seen again since then,
    /// resolved since then.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn cluster_counts(&self, workspace: &str, since: i64) -> Result<[i64; 4]> {
        let mut connection = self.read().await?;
        let row = Sql::new(
            "SELECT count(CASE WHEN state = 'active' THEN 1 END) AS active, \
             count(CASE WHEN first_seen_at >= $2 THEN 1 END) AS fresh, \
             count(CASE WHEN first_seen_at < $2 AND last_seen_at >= $2 THEN 1 END) AS again, \
             count(CASE WHEN state = 'resolved' AND resolved_at >= $2 THEN 1 END) AS resolved \
             FROM cluster WHERE workspace = $1",
        )
        .bind(workspace)
        .bind(since)
        .one(&mut connection)
        .await?;
        Ok([row.int("active")?, row.int("fresh")?, row.int("again")?, row.int("resolved")?])
    }

    /// Tests that failed and whose name holds `part`, the last failure first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_tests(&self, workspace: &str, part: &str, limit: u32) -> Result<Vec<FoundTest>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT name, repository, analysis, seen_at FROM failed_test WHERE workspace = ")
            .arg(workspace)
            .push(" AND name")
            .push(self.like())
            .arg(holding(part))
            .push(" ESCAPE '!' ORDER BY seen_at DESC, name DESC LIMIT ")
            .arg(i64::from(limit))
            .all(&mut connection)
            .await?
            .iter()
            .map(|row| {
                Ok(FoundTest {
                    name: row.text("name")?,
                    repository: row.text("repository")?,
                    analysis: row.text("analysis")?,
                    seen_at: row.int("seen_at")?,
                })
            })
            .collect()
    }

    /// When these tests of a repository first failed, by their names.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn first_failures(
        &self,
        workspace: &str,
        repository: &str,
        names: &[String],
    ) -> Result<BTreeMap<String, i64>> {
        let mut connection = self.read().await?;
        let stored = names.iter().map(|name| name.chars().take(NAME_CHARS).collect::<String>());
        let rows = Sql::new("SELECT name, first_seen_at FROM failed_test WHERE workspace = ")
            .arg(workspace)
            .push(" AND repository = ")
            .arg(repository)
            .push(" AND name IN ")
            .list(stored)
            .all(&mut connection)
            .await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.int("first_seen_at")?))).collect()
    }

    /// Repositories in which something failed and whose full name holds `part`, with the number of failures that
    /// have a known cause; the last failure first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_failing_repositories(
        &self,
        workspace: &str,
        part: &str,
        limit: u32,
    ) -> Result<Vec<(String, i64)>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT repository, count AS failures FROM failing_repository WHERE workspace = ")
            .arg(workspace)
            .push(" AND repository")
            .push(self.like())
            .arg(holding(part))
            .push(" ESCAPE '!' ORDER BY last_seen_at DESC, repository LIMIT ")
            .arg(i64::from(limit))
            .all(&mut connection)
            .await?
            .iter()
            .map(|row| Ok((row.text("repository")?, row.int("failures")?)))
            .collect()
    }

    /// Branches on which something failed, in the order of their names; each is one step in an index.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn failing_branches(&self, workspace: &str, limit: u32) -> Result<Vec<String>> {
        let mut connection = self.read().await?;
        Sql::new(
            "WITH RECURSIVE found(name) AS (SELECT min(branch) FROM analysis WHERE workspace = $1 UNION ALL \
             SELECT (SELECT min(branch) FROM analysis WHERE workspace = $1 AND branch > found.name) FROM found \
             WHERE found.name IS NOT NULL) SELECT name FROM found WHERE name IS NOT NULL AND name <> '' LIMIT $2",
        )
        .bind(workspace)
        .bind(i64::from(limit))
        .all(&mut connection)
        .await?
        .iter()
        .map(|row| row.text("name"))
        .collect()
    }

    /// Monitored repositories whose full name holds `part`, in the order of their names.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_monitored_names(&self, workspace: &str, part: &str, limit: u32) -> Result<Vec<String>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT DISTINCT full_name FROM repository WHERE workspace = ")
            .arg(workspace)
            .push(" AND monitored = 1 AND lower(full_name) LIKE ")
            .arg(holding(part))
            .push(" ESCAPE '!' ORDER BY full_name LIMIT ")
            .arg(i64::from(limit))
            .all(&mut connection)
            .await?
            .iter()
            .map(|row| row.text("full_name"))
            .collect()
    }

    /// Clusters whose cause holds `part`, the last seen first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_clusters(&self, workspace: &str, part: &str, limit: u32) -> Result<Vec<Cluster>> {
        let mut connection = self.read().await?;
        Sql::new(RECENT)
            .arg(workspace)
            .push(" AND root_cause")
            .push(self.like())
            .arg(holding(part))
            .push(" ESCAPE '!' ORDER BY last_seen_at DESC, id DESC LIMIT ")
            .arg(i64::from(limit))
            .all(&mut connection)
            .await?
            .iter()
            .map(Cluster::recent)
            .collect()
    }

    /// Analyses of a run by its id or number, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_by_run(&self, workspace: &str, run: &str, limit: u32) -> Result<Vec<Analysis>> {
        let ids = Sql::new("SELECT * FROM analysis WHERE id IN (SELECT id FROM analysis WHERE workspace = ")
            .arg(workspace)
            .push(" AND run_id = ")
            .arg(run)
            .push(" ORDER BY id DESC LIMIT ");
        self.find_analyses(ids, limit).await
    }

    /// Analyses of commits that begin with `prefix` (hexadecimal), the newest first. Where the prefix means several
    /// commits with more than `limit` analyses, some of them are left out.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_by_commit(&self, workspace: &str, prefix: &str, limit: u32) -> Result<Vec<Analysis>> {
        // A range, not LIKE: both engines find it in the index, and read it in its order. 'g' is what follows the last
        // hexadecimal digit.
        let ids = Sql::new("SELECT * FROM analysis WHERE id IN (SELECT id FROM analysis WHERE workspace = ")
            .arg(workspace)
            .push(" AND commit_sha >= ")
            .arg(prefix)
            .push(" AND commit_sha < ")
            .arg(format!("{prefix}g"))
            .push(" ORDER BY commit_sha DESC, id DESC LIMIT ");
        self.find_analyses(ids, limit).await
    }

    async fn find_analyses(&self, ids: Sql, limit: u32) -> Result<Vec<Analysis>> {
        let mut connection = self.read().await?;
        ids.arg(i64::from(limit))
            .push(") ORDER BY id DESC")
            .all(&mut connection)
            .await?
            .iter()
            .map(Analysis::from_row)
            .collect()
    }

    /// Compares without regard to capitals: SQLite's LIKE does so by itself.
    fn like(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => " LIKE ",
            Engine::Postgres => " ILIKE ",
        }
    }
}

impl SiblingJob {
    fn from_row(row: &Row) -> Result<Self> {
        let name = row.text_opt("job_name")?.filter(|name| !name.is_empty());
        Ok(Self {
            analysis: row.text("id")?,
            job: match name {
                Some(name) => name,
                None => row.text("job_id")?,
            },
            attempt: row.int("attempt")?,
            state: row.text("state")?,
            category: row.text_opt("category")?,
            cluster: row.text_opt("cluster_id")?,
            root_cause: row.text_opt("root_cause")?,
        })
    }
}

/// The pattern for a text that holds `part`, whatever stands in it.
pub(crate) fn holding(part: &str) -> String {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// Remembers the failed tests of a report by their names.
pub(crate) async fn note_tests(connection: &mut AnyConnection, now: i64, analysis: &Analysis) -> Result<()> {
    let tests = analysis.report.as_ref().and_then(|report| report.pointer("/failing/tests")?.as_array());
    let names: BTreeSet<String> = tests
        .into_iter()
        .flatten()
        .filter_map(|test| test.get("name")?.as_str())
        .filter(|name| !name.is_empty())
        .map(|name| name.chars().take(NAME_CHARS).collect())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(
        "INSERT INTO failed_test (workspace, repository, name, analysis, first_seen_at, seen_at) VALUES ",
    );
    for (index, name) in names.into_iter().enumerate() {
        sql = sql.push(if index == 0 { "(" } else { ", (" }).arg(&analysis.workspace);
        sql = sql.push(", ").arg(&analysis.repository).push(", ").arg(name);
        sql = sql.push(", ").arg(&analysis.id).push(", ").arg(now).push(", ").arg(now).push(")");
    }
    sql.push(
        " ON CONFLICT (workspace, repository, name) DO UPDATE SET analysis = excluded.analysis, \
         seen_at = excluded.seen_at",
    )
    .execute(connection)
    .await?;
    Ok(())
}
