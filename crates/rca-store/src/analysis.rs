//! Analyses: what was found for one job of one attempt of a run, and what was said about it.

use crate::error::{Error, ErrorKind, Result};
use crate::lead;
use crate::page::{Page, PageRequest};
use crate::sql::{Row, Sql};
use crate::store::Store;
use serde_json::Value;
use sqlx::AnyConnection;
use std::collections::BTreeMap;

/// An analysis. Unique per (workspace, integration, repository, run, attempt, job), and per idempotency key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Analysis {
    /// Its id, from [`crate::new_id`].
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration; none for ingested logs.
    pub integration: Option<String>,
    /// The forge, or the provider that an ingested log named.
    pub forge: String,
    /// What identifies the repository for uniqueness: our repository id, or the project of an ingested log.
    pub repository_key: String,
    /// The full name of the repository or project.
    pub repository: String,
    /// The run that the job ran in.
    pub run_id: String,
    /// The top run, where runs have children.
    pub root_run_id: Option<String>,
    /// The retry number of the run or job.
    pub attempt: i64,
    /// The job.
    pub job_id: String,
    /// Its name.
    pub job_name: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The commit.
    pub commit_sha: Option<String>,
    /// The pull request.
    pub pr: Option<String>,
    /// Where the run is seen.
    pub pipeline_url: Option<String>,
    /// Where the job is seen.
    pub job_url: Option<String>,
    /// `webhook`, `poll`, `backfill`, `ingest` or `manual`.
    pub source: String,
    /// `queued`, `running`, `done`, `failed` or `no_log`.
    pub state: String,
    /// The category of the report, for filters.
    pub category: Option<String>,
    /// The severity of the report, for filters.
    pub severity: Option<String>,
    /// The fingerprint of the report.
    pub fingerprint: Option<String>,
    /// The cluster that it was counted in.
    pub cluster_id: Option<String>,
    /// The key that an ingesting client gave, or a hash of the content.
    pub idempotency_key: Option<String>,
    /// Whose failure it is, with the reason.
    pub introduced_by: Option<Value>,
    /// The analysis whose report was taken over.
    pub reused_from: Option<String>,
    /// What the report follows from, as a hash: the log, the engine, the rules, what passing logs look like.
    pub input_key: Option<String>,
    /// Why there is no report.
    pub error: Option<String>,
    /// The report.
    pub report: Option<Value>,
    /// Whatever else belongs to it (verdicts, earlier reports, owners).
    pub data: Value,
    /// When it was made; set by the store.
    pub created_at: i64,
    /// When it ended.
    pub finished_at: Option<i64>,
}

/// What was posted at the forge, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The analysis that it speaks of.
    pub analysis: String,
    /// Where it went, such as `pr_comment`.
    pub target: String,
    /// `posted`, `updated`, `skipped` or `failed`.
    pub state: String,
    /// Where it can be seen.
    pub url: Option<String>,
    /// Why it was skipped or failed.
    pub reason: Option<String>,
    /// When; set by the store.
    pub updated_at: i64,
}

/// Which analyses a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnalysisFilter {
    /// Made at or after.
    pub since: Option<i64>,
    /// Made before.
    pub until: Option<i64>,
    /// Only of this severity.
    pub severity: Option<String>,
    /// Only of this category.
    pub category: Option<String>,
    /// Only of this forge or provider.
    pub forge: Option<String>,
    /// Only of this integration.
    pub integration: Option<String>,
    /// Only of this repository: its full name or its key.
    pub repository: Option<String>,
    /// Only of this branch.
    pub branch: Option<String>,
    /// Only of this cluster.
    pub cluster: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this run, or of the children of this top run.
    pub run_id: Option<String>,
    /// Only of this pull request.
    pub pr: Option<String>,
    /// Only of this commit.
    pub commit_sha: Option<String>,
    /// Only of jobs with this name.
    pub job_name: Option<String>,
    /// Only of these repositories, by their full names; all where there are none.
    pub repositories: Vec<String>,
    /// Only what statistics count: without the back-filled.
    pub is_counted: bool,
}

impl Store {
    /// Stores an analysis unless there is one of the same job or idempotency key; returns the stored one and whether
    /// it is new. Of any number of callers exactly one gets `true`.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn create_analysis_if_new(&self, analysis: Analysis) -> Result<(Analysis, bool)> {
        self.transact(move |connection, now| {
            Box::pin(async move { create_if_new(connection, now, analysis).await })
        })
        .await
    }

    /// One analysis with its report.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_analysis(&self, workspace: &str, id: &str) -> Result<Option<Analysis>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM analysis WHERE workspace = $1 AND id = $2")
            .bind(workspace)
            .bind(id)
            .optional(&mut connection)
            .await?
            .map(|row| Analysis::from_row(&row))
            .transpose()
    }

    /// Analyses of a workspace with their reports, the newest first. With `run_id`, `pr` or `commit_sha` in the filter
    /// these are the lists of a run, a pull request or a commit.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_analyses(
        &self,
        workspace: &str,
        filter: &AnalysisFilter,
        page: &PageRequest,
    ) -> Result<Page<Analysis>> {
        let mut connection = self.read().await?;
        let by_key = match &filter.repository {
            // One of two columns, decided beforehand: an OR over them would be a walk through all analyses.
            Some(repository) => {
                Sql::new("SELECT id FROM analysis WHERE workspace = $1 AND repository_key = $2 LIMIT 1")
                    .bind(workspace)
                    .bind(repository)
                    .optional(&mut connection)
                    .await?
                    .is_some()
            }
            None => false,
        };
        let repository = if by_key {
            ("repository_key", "analysis_repository_key", filter.repository.as_deref())
        } else {
            ("repository", "analysis_repository", filter.repository.as_deref())
        };
        let indexed = [
            ("cluster_id", "analysis_cause", filter.cluster.as_deref()),
            ("commit_sha", "analysis_commit", filter.commit_sha.as_deref()),
            repository,
            ("branch", "analysis_branch", filter.branch.as_deref()),
            ("state", "analysis_state", filter.state.as_deref()),
            ("category", "analysis_category", filter.category.as_deref()),
            ("severity", "analysis_severity", filter.severity.as_deref()),
            ("forge", "analysis_forge", filter.forge.as_deref()),
        ];
        let source = match filter.run_id {
            // Its few ids lead.
            Some(_) => "analysis".to_owned(),
            None => {
                let walk = ("analysis", "analysis_listed");
                lead::source(&mut connection, self.engine(), walk, workspace, &indexed).await?
            }
        };
        // The ids first, which indexes hold; rows are long, and only those of the page are read.
        let mut sql = Sql::new(format!(
            "SELECT * FROM analysis WHERE id IN (SELECT id FROM {source} WHERE workspace = $1"
        ))
        .bind(workspace)
        .when(" AND id >= ", filter.since.map(lead::before))
        .when(" AND created_at >= ", filter.since)
        .when(" AND id < ", filter.until.map(lead::after))
        .when(" AND created_at < ", filter.until)
        .when(" AND integration_key = ", filter.integration.as_ref())
        .when(" AND pr = ", filter.pr.as_ref())
        .when(" AND job_name = ", filter.job_name.as_ref())
        .when(" AND id < ", page.cursor.as_ref());
        for (column, _, value) in indexed {
            sql = sql.when(&format!(" AND {column} = "), value);
        }
        if !filter.repositories.is_empty() {
            sql = sql.push(" AND repository IN ").list(&filter.repositories);
        }
        if filter.is_counted {
            sql = sql.push(" AND source <> 'backfill'");
        }
        if let Some(run) = &filter.run_id {
            // A run has few analyses, and each half has its index.
            for (glue, column) in [(" AND id IN (", "run_id"), (" UNION ", "root_run_id")] {
                sql = sql
                    .push(&format!("{glue}SELECT id FROM analysis WHERE workspace = "))
                    .arg(workspace)
                    .push(&format!(" AND {column} = "))
                    .arg(run);
            }
            sql = sql.push(")");
        }
        let rows = sql
            .push(" ORDER BY id DESC LIMIT ")
            .arg(page.fetch())
            .push(") ORDER BY id DESC")
            .all(&mut connection)
            .await?;
        let items = rows.iter().map(Analysis::from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |analysis| analysis.id.clone()))
    }

    /// The first analysis of the workspace whose report follows from the same, where there is one.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_analysis_of(&self, workspace: &str, input_key: &str) -> Result<Option<Analysis>> {
        let mut connection = self.read().await?;
        Sql::new(
            "SELECT * FROM analysis WHERE workspace = $1 AND input_key = $2 AND state = 'done' AND report IS NOT NULL \
             AND reused_from IS NULL ORDER BY id LIMIT 1",
        )
        .bind(workspace)
        .bind(input_key)
        .optional(&mut connection)
        .await?
        .map(|row| Analysis::from_row(&row))
        .transpose()
    }

    /// What was posted for these analyses, by analysis.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_feedback(
        &self,
        workspace: &str,
        analyses: &[String],
    ) -> Result<BTreeMap<String, Vec<Feedback>>> {
        let mut all: BTreeMap<String, Vec<Feedback>> = BTreeMap::new();
        let mut connection = self.read().await?;
        for chunk in analyses.chunks(500) {
            let rows = Sql::new("SELECT * FROM feedback WHERE workspace = $1 AND analysis IN ")
                .bind(workspace)
                .list(chunk)
                .push(" ORDER BY analysis, target")
                .all(&mut connection)
                .await?;
            for row in rows {
                let feedback = Feedback {
                    analysis: row.text("analysis")?,
                    target: row.text("target")?,
                    state: row.text("state")?,
                    url: row.text_opt("url")?,
                    reason: row.text_opt("reason")?,
                    updated_at: row.int("updated_at")?,
                };
                all.entry(feedback.analysis.clone()).or_default().push(feedback);
            }
        }
        Ok(all)
    }
}

impl Analysis {
    pub(crate) fn from_row(row: &Row) -> Result<Self> {
        let integration = row.text("integration_key")?;
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            integration: (!integration.is_empty()).then_some(integration),
            forge: row.text("forge")?,
            repository_key: row.text("repository_key")?,
            repository: row.text("repository")?,
            run_id: row.text("run_id")?,
            root_run_id: row.text_opt("root_run_id")?,
            attempt: row.int("attempt")?,
            job_id: row.text("job_id")?,
            job_name: row.text_opt("job_name")?,
            branch: row.text_opt("branch")?,
            commit_sha: row.text_opt("commit_sha")?,
            pr: row.text_opt("pr")?,
            pipeline_url: row.text_opt("pipeline_url")?,
            job_url: row.text_opt("job_url")?,
            source: row.text("source")?,
            state: row.text("state")?,
            category: row.text_opt("category")?,
            severity: row.text_opt("severity")?,
            fingerprint: row.text_opt("fingerprint")?,
            cluster_id: row.text_opt("cluster_id")?,
            idempotency_key: row.text_opt("idempotency_key")?,
            introduced_by: row.json_opt("introduced_by")?,
            reused_from: row.text_opt("reused_from")?,
            input_key: row.text_opt("input_key")?,
            error: row.text_opt("error")?,
            report: row.json_opt("report")?,
            data: row.json("data")?,
            created_at: row.int("created_at")?,
            finished_at: row.int_opt("finished_at")?,
        })
    }

    /// How long the job ran, as far as its log tells; kept in a column of its own so that it can be summed.
    fn duration_seconds(&self) -> Option<i64> {
        let seconds = self.report.as_ref()?.pointer("/log/duration_seconds")?;
        seconds.as_i64().or_else(|| seconds.as_f64().map(|seconds| seconds as i64))
    }

    fn insert(&self, now: i64) -> Sql {
        let mut sql = Sql::new(
            "INSERT INTO analysis (id, workspace, integration_key, forge, repository_key, repository, run_id, root_run_id, \
             attempt, job_id, job_name, branch, commit_sha, pr, pipeline_url, job_url, source, state, category, severity, \
             fingerprint, cluster_id, idempotency_key, introduced_by, reused_from, error, report, data, created_at, \
             finished_at, duration_seconds, input_key) VALUES (",
        )
        .arg(&self.id);
        for value in [
            crate::sql::Bind::from(&self.workspace),
            self.integration.clone().unwrap_or_default().into(),
            (&self.forge).into(),
            (&self.repository_key).into(),
            (&self.repository).into(),
            (&self.run_id).into(),
            (&self.root_run_id).into(),
            self.attempt.into(),
            (&self.job_id).into(),
            (&self.job_name).into(),
            (&self.branch).into(),
            (&self.commit_sha).into(),
            (&self.pr).into(),
            (&self.pipeline_url).into(),
            (&self.job_url).into(),
            (&self.source).into(),
            (&self.state).into(),
            (&self.category).into(),
            (&self.severity).into(),
            (&self.fingerprint).into(),
            (&self.cluster_id).into(),
            (&self.idempotency_key).into(),
            (&self.introduced_by).into(),
            (&self.reused_from).into(),
            (&self.error).into(),
            (&self.report).into(),
            (&self.data).into(),
            now.into(),
            self.finished_at.into(),
            self.duration_seconds().into(),
            (&self.input_key).into(),
        ] {
            sql = sql.push(", ").arg(value);
        }
        sql.push(")")
    }
}

pub(crate) async fn create_if_new(
    connection: &mut AnyConnection,
    now: i64,
    analysis: Analysis,
) -> Result<(Analysis, bool)> {
    // Without a target: either of the two unique rules may speak.
    let new = analysis.insert(now).push(" ON CONFLICT DO NOTHING RETURNING *").optional(connection).await?;
    if let Some(row) = new {
        return Ok((Analysis::from_row(&row)?, true));
    }
    let row = Sql::new(
        "SELECT * FROM analysis WHERE workspace = $1 AND (idempotency_key = $2 OR (integration_key = $3 \
         AND repository_key = $4 AND run_id = $5 AND attempt = $6 AND job_id = $7)) ORDER BY id LIMIT 1",
    )
    .bind(&analysis.workspace)
    .bind(&analysis.idempotency_key)
    .bind(analysis.integration.unwrap_or_default())
    .bind(&analysis.repository_key)
    .bind(&analysis.run_id)
    .bind(analysis.attempt)
    .bind(&analysis.job_id)
    .optional(connection)
    .await?
    .ok_or_else(|| Error::new(ErrorKind::Conflict, "an analysis with this id exists already"))?;
    Ok((Analysis::from_row(&row)?, false))
}

/// Stores an analysis as it is now; one of the same job keeps its id, its cluster unless a new one is given, and its
/// time of creation.
pub(crate) async fn upsert(connection: &mut AnyConnection, now: i64, analysis: &Analysis) -> Result<()> {
    const KEPT: &[&str] = &[
        "forge",
        "repository",
        "root_run_id",
        "job_name",
        "branch",
        "commit_sha",
        "pr",
        "pipeline_url",
        "job_url",
        "source",
        "state",
        "category",
        "severity",
        "fingerprint",
        "introduced_by",
        "reused_from",
        "error",
        "report",
        "data",
        "finished_at",
        "duration_seconds",
        "input_key",
    ];
    let mut sql = analysis.insert(now).push(
        " ON CONFLICT (workspace, integration_key, repository_key, run_id, attempt, job_id) DO UPDATE SET \
         cluster_id = coalesce(excluded.cluster_id, analysis.cluster_id)",
    );
    for column in KEPT {
        sql = sql.push(&format!(", {column} = excluded.{column}"));
    }
    sql.execute(connection).await?;
    Ok(())
}

pub(crate) async fn record_feedback(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    feedback: Feedback,
) -> Result<()> {
    Sql::new(
        "INSERT INTO feedback (workspace, analysis, target, state, url, reason, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (analysis, target) DO UPDATE SET state = excluded.state, \
         url = excluded.url, reason = excluded.reason, updated_at = excluded.updated_at",
    )
    .bind(workspace)
    .bind(feedback.analysis)
    .bind(feedback.target)
    .bind(feedback.state)
    .bind(feedback.url)
    .bind(feedback.reason)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
