//! Retention: what has ended long ago goes, in small batches, so that the database does not grow without end.

use crate::error::Result;
use crate::sql::Sql;
use crate::store::Store;

/// How long ended rows are kept. Keep deliveries longer than a forge redelivers (seven days covers them all): with the
/// row goes the memory that it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Done and ignored deliveries.
    pub deliveries_ms: i64,
    /// Dead deliveries and dead tasks, which wait for a human.
    pub dead_ms: i64,
    /// Done tasks, and what is recorded of operations.
    pub tasks_ms: i64,
    /// Analyses with their feedback.
    pub analyses_ms: i64,
    /// Resolved incidents, and what channels were told.
    pub incidents_ms: i64,
}

/// How many rows a [`Store::prune`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Deliveries.
    pub deliveries: u64,
    /// Tasks.
    pub tasks: u64,
    /// Analyses.
    pub analyses: u64,
    /// Incidents.
    pub incidents: u64,
    /// Heads and items of operations.
    pub operations: u64,
}

const DAY: i64 = 24 * 60 * 60 * 1_000;

impl Default for Retention {
    fn default() -> Self {
        Self {
            deliveries_ms: 30 * DAY,
            dead_ms: 90 * DAY,
            tasks_ms: 7 * DAY,
            analyses_ms: 365 * DAY,
            incidents_ms: 90 * DAY,
        }
    }
}

impl Pruned {
    /// Whether there was nothing left to remove.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Store {
    /// Removes at most `limit` ended rows of each kind that are older than `retention`, of one workspace or of all. Call
    /// it again until it finds nothing. What is pending, ready or running is never touched, nor is the audit.
    ///
    /// # Errors
    /// `Unavailable` when a write does not finish in time; what was removed before stays removed.
    pub async fn prune(&self, workspace: Option<&str>, retention: Retention, limit: u32) -> Result<Pruned> {
        let workspace = workspace.unwrap_or_default().to_owned();
        let delete = async |text: &'static str, [first, second]: [i64; 2]| {
            let workspace = workspace.clone();
            self.transact(move |connection, now| {
                Box::pin(async move {
                    Sql::new(text)
                        .bind(now - first)
                        .bind(now - second)
                        .bind(i64::from(limit))
                        .bind(workspace)
                        .execute(connection)
                        .await
                })
            })
            .await
        };
        let Retention { deliveries_ms, dead_ms, tasks_ms, analyses_ms, incidents_ms } = retention;
        delete(
            "DELETE FROM feedback WHERE analysis IN (SELECT id FROM analysis WHERE created_at < $1 AND created_at < $2 \
             AND state NOT IN ('queued', 'running') AND ($4 = '' OR workspace = $4) ORDER BY id LIMIT $3)",
            [analyses_ms; 2],
        )
        .await?;
        // How runs ended is counted for as long as their analyses are.
        delete(
            "DELETE FROM finished_run WHERE run_id IN (SELECT run_id FROM finished_run WHERE finished_at < $1 \
             AND finished_at < $2 AND ($4 = '' OR workspace = $4) ORDER BY finished_at LIMIT $3) AND finished_at < $1 \
             AND ($4 = '' OR workspace = $4)",
            [analyses_ms; 2],
        )
        .await?;
        // Only the last hour counts.
        delete(
            "DELETE FROM comment_post WHERE (workspace, repository, target, body_hash) IN (SELECT workspace, repository, \
             target, body_hash FROM comment_post WHERE posted_at < $1 AND posted_at < $2 AND ($4 = '' OR workspace = $4) \
             ORDER BY posted_at LIMIT $3)",
            [crate::rate_cap::HOUR_MS; 2],
        )
        .await?;
        // What nothing was learned for since is of a job that is gone.
        delete(
            "DELETE FROM baseline WHERE (workspace, repository, job_name, branch_class) IN (SELECT workspace, repository, \
             job_name, branch_class FROM baseline WHERE updated_at < $1 AND updated_at < $2 \
             AND ($4 = '' OR workspace = $4) ORDER BY updated_at LIMIT $3)",
            [analyses_ms; 2],
        )
        .await?;
        // The log of a channel is kept like that of incidents.
        delete(
            "DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE updated_at < $1 AND updated_at < $2 \
             AND state NOT IN ('pending', 'sending') AND ($4 = '' OR workspace = $4) ORDER BY id LIMIT $3)",
            [incidents_ms; 2],
        )
        .await?;
        Ok(Pruned {
            deliveries: delete(
                "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE ((status IN ('done', 'ignored') \
                 AND received_at < $1) OR (status = 'dead' AND received_at < $2)) AND ($4 = '' OR workspace = $4) ORDER BY id LIMIT $3)",
                [deliveries_ms, dead_ms],
            )
            .await?,
            tasks: delete(
                "DELETE FROM task WHERE id IN (SELECT id FROM task WHERE ((state = 'done' AND updated_at < $1) \
                 OR (state = 'dead' AND updated_at < $2)) AND ($4 = '' OR workspace = $4) ORDER BY id LIMIT $3)",
                [tasks_ms, dead_ms],
            )
            .await?,
            // Only those whose feedback is gone: a record may have come between the two statements.
            analyses: delete(
                "DELETE FROM analysis WHERE id IN (SELECT id FROM analysis WHERE created_at < $1 AND created_at < $2 \
                 AND state NOT IN ('queued', 'running') AND NOT EXISTS (SELECT 1 FROM feedback f WHERE f.analysis = analysis.id) \
                 AND ($4 = '' OR workspace = $4) ORDER BY id LIMIT $3)",
                [analyses_ms; 2],
            )
            .await?,
            incidents: delete(
                "DELETE FROM incident WHERE id IN (SELECT id FROM incident WHERE resolved_at < $1 AND resolved_at < $2 \
                 AND ($4 = '' OR workspace = $4) ORDER BY id LIMIT $3)",
                [incidents_ms; 2],
            )
            .await?,
            operations: delete(
                "DELETE FROM mark WHERE (workspace, name) IN (SELECT workspace, name FROM mark WHERE updated_at < $1 \
                 AND updated_at < $2 AND name LIKE 'operation:%' AND ($4 = '' OR workspace = $4) ORDER BY updated_at LIMIT $3)",
                [tasks_ms; 2],
            )
            .await?,
        })
    }
}
