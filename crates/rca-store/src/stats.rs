//! Numbers over a span of time: counted by the database, never by reading rows.

use crate::error::Result;
use crate::sql::{Row, Sql};
use crate::store::Store;
use sqlx::AnyConnection;

/// How one attempt of a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedRun {
    /// The workspace.
    pub workspace: String,
    /// The integration.
    pub integration: String,
    /// The repository's id.
    pub repository: String,
    /// The run.
    pub run_id: String,
    /// Its attempt.
    pub attempt: i64,
    /// Whether it failed.
    pub failed: bool,
}

/// Which analyses are counted: created at or after `since` and before `until`, without back-filled ones, because they
/// tell of another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// From, in milliseconds.
    pub since: i64,
    /// To, in milliseconds.
    pub until: i64,
    /// Only this repository, by its full name.
    pub repository: Option<String>,
}

/// Totals of a span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Failed jobs.
    pub failures: i64,
    /// Seconds that they ran, as far as their logs tell.
    pub seconds_lost: i64,
    /// Runs that ended, as far as the forges told us; those of ingested logs are not known.
    pub runs: i64,
    /// Those of them that failed.
    pub failed_runs: i64,
    /// Milliseconds from the first sign of a failure to its report: half of all reports were faster.
    pub report_p50_ms: Option<i64>,
    /// Nine in ten were faster.
    pub report_p90_ms: Option<i64>,
    /// Clusters first seen in the span.
    pub new_clusters: i64,
    /// Clusters seen in the span that were there before.
    pub recurring_clusters: i64,
    /// Clusters that are active now.
    pub active_clusters: i64,
}

/// Failures of one category on one day (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCount {
    /// Days since 1970-01-01.
    pub day: i64,
    /// The category; `None` where there is no report.
    pub category: Option<String>,
    /// Failed jobs.
    pub failures: i64,
    /// Seconds that they ran.
    pub seconds_lost: i64,
}

/// A repository with its failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryCount {
    /// Its full name.
    pub repository: String,
    /// Failed jobs.
    pub failures: i64,
    /// Seconds that they ran.
    pub seconds_lost: i64,
}

/// A cluster with its failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseCount {
    /// The cluster.
    pub cluster: String,
    /// Its cause in words.
    pub root_cause: Option<String>,
    /// Its category.
    pub category: Option<String>,
    /// `active`, `acknowledged` or `resolved`.
    pub state: String,
    /// Failed jobs.
    pub failures: i64,
    /// Seconds that they ran.
    pub seconds_lost: i64,
}

/// What counts as a failure of the span.
fn counted(select: &str, workspace: &str, span: &Span) -> Sql {
    Sql::new(format!(
        "SELECT {select} FROM analysis a WHERE a.workspace = $1 AND a.created_at >= $2 AND a.created_at < $3 \
         AND a.source <> 'backfill'"
    ))
    .bind(workspace)
    .bind(span.since)
    .bind(span.until)
    .when(" AND a.repository = ", span.repository.clone())
}

/// Both engines sum BIGINT into something else than BIGINT; the cast makes it one again.
const LOST: &str = "CAST(coalesce(sum(a.duration_seconds), 0) AS BIGINT) AS lost";

impl Store {
    /// The totals of a span.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn totals(&self, workspace: &str, span: &Span) -> Result<Totals> {
        let mut connection = self.read().await?;
        let row =
            counted(&format!("count(*) AS failures, {LOST}"), workspace, span).one(&mut connection).await?;
        let mut totals =
            Totals { failures: row.int("failures")?, seconds_lost: row.int("lost")?, ..Totals::default() };
        let done = " AND a.state = 'done' AND a.finished_at IS NOT NULL";
        let reports = counted("count(*) AS reports", workspace, span)
            .push(done)
            .one(&mut connection)
            .await?
            .int("reports")?;
        for (share, slot) in [(50, &mut totals.report_p50_ms), (90, &mut totals.report_p90_ms)] {
            // The nearest rank: of ten values the fifth, and the ninth.
            let rank = (reports * share + 99) / 100;
            if rank > 0 {
                *slot = counted("a.finished_at - a.created_at AS waited", workspace, span)
                    .push(done)
                    .push(" ORDER BY 1 LIMIT 1 OFFSET ")
                    .arg(rank - 1)
                    .optional(&mut connection)
                    .await?
                    .map(|row| row.int("waited"))
                    .transpose()?;
            }
        }
        let mut runs = Sql::new(
            "SELECT count(*) AS runs, CAST(coalesce(sum(failed), 0) AS BIGINT) AS failed FROM finished_run \
             WHERE workspace = $1 AND finished_at >= $2 AND finished_at < $3",
        )
        .bind(workspace)
        .bind(span.since)
        .bind(span.until);
        if let Some(repository) = &span.repository {
            runs = runs
                .push(" AND repository IN (SELECT id FROM repository WHERE full_name = ")
                .arg(repository)
                .push(")");
        }
        let row = runs.one(&mut connection).await?;
        (totals.runs, totals.failed_runs) = (row.int("runs")?, row.int("failed")?);
        let row = Sql::new(
            "SELECT CAST(coalesce(sum(CASE WHEN first_seen_at >= $2 AND first_seen_at < $3 THEN 1 ELSE 0 END), 0) AS BIGINT) \
             AS fresh, CAST(coalesce(sum(CASE WHEN first_seen_at < $2 AND last_seen_at >= $2 THEN 1 ELSE 0 END), 0) AS BIGINT) \
             AS recurring, CAST(coalesce(sum(CASE WHEN state = 'active' THEN 1 ELSE 0 END), 0) AS BIGINT) AS active \
             FROM cluster WHERE workspace = $1",
        )
        .bind(workspace)
        .bind(span.since)
        .bind(span.until)
        .one(&mut connection)
        .await?;
        totals.new_clusters = row.int("fresh")?;
        totals.recurring_clusters = row.int("recurring")?;
        totals.active_clusters = row.int("active")?;
        Ok(totals)
    }

    /// Failures by day and category.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn failures_by_day(&self, workspace: &str, span: &Span) -> Result<Vec<DayCount>> {
        let mut connection = self.read().await?;
        let select = format!("a.created_at / 86400000 AS day, a.category, count(*) AS failures, {LOST}");
        counted(&select, workspace, span)
            .push(" GROUP BY 1, 2 ORDER BY 1, 2")
            .all(&mut connection)
            .await?
            .iter()
            .map(|row| {
                Ok(DayCount {
                    day: row.int("day")?,
                    category: row.text_opt("category")?,
                    failures: row.int("failures")?,
                    seconds_lost: row.int("lost")?,
                })
            })
            .collect()
    }

    /// The repositories with the most failures.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn top_repositories(
        &self,
        workspace: &str,
        span: &Span,
        limit: u32,
    ) -> Result<Vec<RepositoryCount>> {
        let mut connection = self.read().await?;
        counted(&format!("a.repository, count(*) AS failures, {LOST}"), workspace, span)
            .push(" GROUP BY a.repository ORDER BY failures DESC, a.repository LIMIT ")
            .arg(i64::from(limit.min(500)))
            .all(&mut connection)
            .await?
            .iter()
            .map(|row| {
                Ok(RepositoryCount {
                    repository: row.text("repository")?,
                    failures: row.int("failures")?,
                    seconds_lost: row.int("lost")?,
                })
            })
            .collect()
    }

    /// The clusters that cost the most time, and among equal ones the most failures.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn top_causes(&self, workspace: &str, span: &Span, limit: u32) -> Result<Vec<CauseCount>> {
        let mut connection = self.read().await?;
        let inner = counted(&format!("a.cluster_id AS cluster, count(*) AS failures, {LOST}"), workspace, span)
            .push(" AND a.cluster_id IS NOT NULL GROUP BY a.cluster_id ORDER BY lost DESC, failures DESC, a.cluster_id LIMIT ")
            .arg(i64::from(limit.min(500)));
        let rows = inner.all(&mut connection).await?;
        let mut causes = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = row.text("cluster")?;
            let cluster =
                Sql::new("SELECT root_cause, category, state FROM cluster WHERE workspace = $1 AND id = $2")
                    .bind(workspace)
                    .bind(&id)
                    .optional(&mut connection)
                    .await?;
            let Some(cluster) = cluster else { continue };
            causes.push(cause(id, row, &cluster)?);
        }
        Ok(causes)
    }
}

fn cause(id: String, row: &Row, cluster: &Row) -> Result<CauseCount> {
    Ok(CauseCount {
        cluster: id,
        root_cause: cluster.text_opt("root_cause")?,
        category: cluster.text_opt("category")?,
        state: cluster.text("state")?,
        failures: row.int("failures")?,
        seconds_lost: row.int("lost")?,
    })
}

pub(crate) async fn record_run(connection: &mut AnyConnection, now: i64, run: FinishedRun) -> Result<()> {
    Sql::new(
        "INSERT INTO finished_run (workspace, integration, repository, run_id, attempt, failed, finished_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (integration, repository, run_id, attempt) \
         DO UPDATE SET failed = excluded.failed",
    )
    .bind(run.workspace)
    .bind(run.integration)
    .bind(run.repository)
    .bind(run.run_id)
    .bind(run.attempt)
    .bind(run.failed)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
