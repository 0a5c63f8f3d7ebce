//! Our own units of work: a small durable queue with leases.
//!
//! A task is `ready`, `running`, `done` or `dead`. Claiming counts an attempt and gives a lease; whoever holds the
//! lease settles the task together with everything that it wrote, in one transaction. A lease that ran out makes the
//! task claimable again, and the late holder is refused ([`crate::ErrorKind::Fenced`]). A task that kills its process
//! is therefore dead after `max_attempts` starts and not restarted for ever.

use crate::error::{Error, Result};
use crate::page::{Page, PageRequest};
use crate::sql::{Row, Sql};
use crate::store::{Store, clock};
use crate::write::Write;
use serde_json::Value;
use std::time::Duration;

mod enqueue;
mod run;

pub(crate) use enqueue::{enqueue_many, enqueue_one};
use run::CLAIMABLE_INTEGRATION;

/// Attempts that a task has by default.
pub const DEFAULT_MAX_ATTEMPTS: i64 = 8;

/// A task to enqueue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration whose forge it calls; it waits while that is parked or disabled.
    pub integration: Option<String>,
    /// What is to be done.
    pub kind: String,
    /// Unique among live tasks of the workspace: enqueuing the same key again makes no second task.
    pub dedup_key: String,
    /// What the worker needs to know. No secrets: it is stored as it is.
    pub payload: Value,
    /// Do not run before this many milliseconds have passed.
    pub run_at_delay_ms: i64,
    /// Higher runs first.
    pub priority: i64,
    /// Starts after which the task is dead.
    pub max_attempts: i64,
}

/// A task that this worker holds until `lease_until`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedTask {
    /// Its id.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration whose forge it calls.
    pub integration: Option<String>,
    /// What is to be done.
    pub kind: String,
    /// The key that it was enqueued with.
    pub dedup_key: String,
    /// What the worker needs to know.
    pub payload: Value,
    /// The number of this start, from 1.
    pub attempts: i64,
    /// Starts after which the task is dead.
    pub max_attempts: i64,
    /// Proof of holding the lease.
    pub lease_token: String,
    /// When the lease ends, by the database's clock.
    pub lease_until: i64,
    /// When it was enqueued.
    pub created_at: i64,
}

/// How a claimed task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work.
    Done,
    /// It failed and shall be tried again; dead when the attempts are used up.
    Retry {
        /// When to try again.
        delay_ms: i64,
        /// What failed, without secrets.
        error: String,
    },
    /// It cannot succeed.
    Dead {
        /// What failed, without secrets.
        error: String,
    },
    /// It has to wait for something and has not failed: the attempt is given back.
    Wait {
        /// When to look again.
        delay_ms: i64,
    },
}

/// A stored task, for people who look at the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration whose forge it calls.
    pub integration: Option<String>,
    /// What is to be done.
    pub kind: String,
    /// The key that it was enqueued with.
    pub dedup_key: String,
    /// What the worker needs to know.
    pub payload: Value,
    /// `ready`, `running`, `done` or `dead`.
    pub state: String,
    /// Starts so far.
    pub attempts: i64,
    /// Starts after which the task is dead.
    pub max_attempts: i64,
    /// It was enqueued again while running and will run once more.
    pub again: bool,
    /// When it is due.
    pub run_at: i64,
    /// The last failure.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// How many tasks are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskCounts {
    /// Waiting or due.
    pub ready: i64,
    /// Waiting until somebody acts: their integration is switched off, or its credential was refused.
    pub parked: i64,
    /// Held by a worker.
    pub running: i64,
    /// Finished.
    pub done: i64,
    /// Given up.
    pub dead: i64,
}

impl NewTask {
    /// A task of `kind`, due now, with the usual number of attempts. Where traces are made, the payload is given the
    /// `traceparent` of what is being done.
    pub fn new(
        workspace: impl Into<String>,
        kind: impl Into<String>,
        dedup_key: impl Into<String>,
        payload: Value,
    ) -> Self {
        Self {
            workspace: workspace.into(),
            integration: None,
            kind: kind.into(),
            dedup_key: dedup_key.into(),
            payload: crate::trace_context::noted(payload),
            run_at_delay_ms: 0,
            priority: 0,
            max_attempts: DEFAULT_MAX_ATTEMPTS,
        }
    }

    /// Binds the task to an integration.
    pub fn with_integration(mut self, integration: impl Into<String>) -> Self {
        self.integration = Some(integration.into());
        self
    }

    /// Delays the first run.
    pub fn with_delay_ms(mut self, delay_ms: i64) -> Self {
        self.run_at_delay_ms = delay_ms;
        self
    }

    /// Sets the priority; higher runs first.
    pub fn with_priority(mut self, priority: i64) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the number of starts after which the task is dead.
    pub fn with_max_attempts(mut self, max_attempts: i64) -> Self {
        self.max_attempts = max_attempts;
        self
    }
}

impl Store {
    /// Enqueues a task and returns the id of the live task with its key.
    ///
    /// While one with the same key is ready, the two become one (newest payload, earliest due time unless it is backing
    /// off, highest priority). While one is running, it will run once more after it has ended.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn enqueue(&self, task: NewTask) -> Result<String> {
        let id = self
            .transact(move |connection, now| {
                Box::pin(async move { enqueue_one(connection, now, task).await })
            })
            .await?;
        self.wake();
        Ok(id)
    }

    /// Takes up to `count` due tasks of these kinds for `lease_ms`. Due are ready ones and those whose lease ran out.
    ///
    /// Integrations take turns, so that a long queue of one does not hold up another. Tasks that used up their
    /// attempts without being settled become dead here, and so do the deliveries that wait for them.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer in time.
    pub async fn claim(&self, kinds: &[&str], count: u32, lease_ms: i64) -> Result<Vec<ClaimedTask>> {
        let kinds: Vec<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
        let engine = self.inner.engine;
        self.transact(move |connection, now| {
            Box::pin(async move {
                run::bury_poison(connection, now).await?;
                run::claim(connection, now, engine, &kinds, count, lease_ms).await
            })
        })
        .await
    }

    /// Extends a lease; `false` means that it is lost and the work must be dropped.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer in time.
    pub async fn heartbeat(&self, task: &ClaimedTask, lease_ms: i64) -> Result<bool> {
        let (id, token) = (task.id.clone(), task.lease_token.clone());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let changed = Sql::new(
                    "UPDATE task SET lease_until = $1 WHERE id = $2 AND lease_token = $3 AND state = 'running'",
                )
                .bind(now + lease_ms)
                .bind(id)
                .bind(token)
                .execute(connection)
                .await?;
                Ok(changed == 1)
            })
        })
        .await
    }

    /// Ends a claimed task and makes its writes, all or nothing.
    ///
    /// A delivery that still waits for the task becomes `done` or `dead` with it, unless a write said otherwise.
    ///
    /// # Errors
    /// `Fenced` when the lease went to somebody else: nothing was written. Otherwise what a write failed with; then
    /// nothing was written either and the task is still held.
    pub async fn settle(&self, task: &ClaimedTask, outcome: Outcome, writes: Vec<Write>) -> Result<()> {
        let (id, token, keys) = (task.id.clone(), task.lease_token.clone(), self.inner.keys.current());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let ended = run::end(connection, now, &id, &token, &outcome).await?;
                crate::write::apply_all(connection, now, &keys, writes).await?;
                match ended {
                    Some(ended) => run::follow(connection, now, ended).await,
                    None => Ok(()),
                }
            })
        })
        .await?;
        self.wake();
        Ok(())
    }

    /// When the next task is due, by the database's clock; in the past when one is due already.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn next_due(&self) -> Result<Option<i64>> {
        let mut connection = self.read().await?;
        run::next_due(&mut connection).await
    }

    /// Waits until a task may be due, at most `timeout`. An enqueue in this process ends the wait at once; one of
    /// another replica is seen when the wait is over, so keep the timeout short (250 ms to 1 s) with several.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; the caller should wait a little before it tries again.
    pub async fn wait_for_work(&self, timeout: Duration) -> Result<()> {
        let notified = self.inner.wake.notified();
        tokio::pin!(notified);
        // Registered before looking, so that an enqueue between the two is not missed.
        notified.as_mut().enable();
        let (due, now) = {
            let mut connection = self.read().await?;
            (run::next_due(&mut connection).await?, clock(&mut connection, self.inner.engine).await?)
        };
        let wait = due.map_or(timeout, |due| {
            // Something due that the caller does not take (another kind, no free slot) must not make it spin.
            let wait = u64::try_from(due.saturating_sub(now)).unwrap_or(0).max(20);
            timeout.min(Duration::from_millis(wait))
        });
        // Woken or timed out: the caller claims either way.
        let _ = tokio::time::timeout(wait, notified).await;
        Ok(())
    }

    /// One task.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_task(&self, workspace: &str, id: &str) -> Result<Option<Task>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM task WHERE workspace = $1 AND id = $2")
            .bind(workspace)
            .bind(id)
            .optional(&mut connection)
            .await?
            .map(|row| Task::from_row(&row))
            .transpose()
    }

    /// Dead tasks of a workspace, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_dead_tasks(&self, workspace: &str, page: &PageRequest) -> Result<Page<Task>> {
        let mut connection = self.read().await?;
        let rows = Sql::new("SELECT * FROM task WHERE state = 'dead' AND workspace = $1")
            .bind(workspace)
            .when(" AND id < ", page.cursor.clone())
            .push(" ORDER BY id DESC LIMIT ")
            .arg(page.fetch())
            .all(&mut connection)
            .await?;
        let items = rows.iter().map(Task::from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |task| task.id.clone()))
    }

    /// Enqueues a dead task again with fresh attempts, and records who did it. Returns the live task's id.
    ///
    /// # Errors
    /// `NotFound` when there is no such dead task.
    pub async fn replay_dead_task(&self, workspace: &str, id: &str, actor: &str) -> Result<String> {
        let (workspace, id, actor) = (workspace.to_owned(), id.to_owned(), actor.to_owned());
        let live = self
            .transact(move |connection, now| {
                Box::pin(async move {
                    // The old row goes: its dead letter is answered by the new task.
                    let row = Sql::new(
                        "DELETE FROM task WHERE workspace = $1 AND id = $2 AND state = 'dead' RETURNING *",
                    )
                    .bind(&workspace)
                    .bind(&id)
                    .optional(connection)
                    .await?
                    .ok_or_else(|| Error::not_found("dead task"))?;
                    let live = enqueue_one(connection, now, enqueue::task_again(&row, None)?).await?;
                    Sql::new(
                        "UPDATE delivery SET status = 'pending', reason = NULL, finished_at = NULL, task = $1 \
                         WHERE task = $2 AND status = 'dead'",
                    )
                    .bind(&live)
                    .bind(&id)
                    .execute(connection)
                    .await?;
                    crate::audit::append(connection, now, &crate::audit::NewAudit {
                        workspace,
                        actor,
                        action: "task.replay".to_owned(),
                        target: id,
                        detail: serde_json::json!({ "task": live }),
                    })
                    .await?;
                    Ok(live)
                })
            })
            .await?;
        self.wake();
        Ok(live)
    }

    /// How many tasks a workspace has in each state.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_tasks(&self, workspace: &str) -> Result<TaskCounts> {
        self.count_tasks_of(Some(workspace)).await
    }

    /// The same over all workspaces.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_all_tasks(&self) -> Result<TaskCounts> {
        self.count_tasks_of(None).await
    }

    async fn count_tasks_of(&self, workspace: Option<&str>) -> Result<TaskCounts> {
        let mut connection = self.read().await?;
        let mut query = Sql::new(format!(
            "SELECT CASE WHEN state = 'ready' AND NOT {CLAIMABLE_INTEGRATION} THEN 'parked' ELSE state END AS state, \
             count(*) AS number FROM task"
        ));
        if let Some(workspace) = workspace {
            query = query.push(" WHERE workspace = ").arg(workspace);
        }
        let rows = query.push(" GROUP BY 1").all(&mut connection).await?;
        let mut counts = TaskCounts::default();
        for row in rows {
            let number = row.int("number")?;
            match row.text("state")?.as_str() {
                "ready" => counts.ready = number,
                "parked" => counts.parked = number,
                "running" => counts.running = number,
                "done" => counts.done = number,
                _ => counts.dead += number,
            }
        }
        Ok(counts)
    }

    /// How long the longest waiting task has been due, in milliseconds, over all workspaces; 0 when nothing is due. What
    /// waits until somebody acts is not due.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn queue_age_ms(&self) -> Result<i64> {
        let now = self.now().await?;
        let mut connection = self.read().await?;
        let oldest =
            Sql::new(format!(
                "SELECT min(run_at) AS oldest FROM task WHERE state = 'ready' AND run_at <= $1 AND {CLAIMABLE_INTEGRATION}"
            ))
            .bind(now)
            .one(&mut connection)
            .await?
            .int_opt("oldest")?;
        Ok(oldest.map_or(0, |oldest| now - oldest))
    }

    /// How many tasks of a kind wait for their turn, parked ones left out: with [`Store::count_tasks`] it tells work that
    /// is due from what comes again and again.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_ready(&self, workspace: &str, kind: &str) -> Result<i64> {
        let mut connection = self.read().await?;
        Sql::new(format!(
            "SELECT count(*) AS number FROM task WHERE workspace = $1 AND kind = $2 AND state = 'ready' \
             AND {CLAIMABLE_INTEGRATION}"
        ))
        .bind(workspace)
        .bind(kind)
        .one(&mut connection)
        .await?
        .int("number")
    }

    /// The same over all workspaces.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_all_ready(&self, kind: &str) -> Result<i64> {
        let mut connection = self.read().await?;
        Sql::new(format!(
            "SELECT count(*) AS number FROM task WHERE kind = $1 AND state = 'ready' AND {CLAIMABLE_INTEGRATION}"
        ))
        .bind(kind)
        .one(&mut connection)
        .await?
        .int("number")
    }
}

impl Task {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            integration: row.text_opt("integration")?,
            kind: row.text("kind")?,
            dedup_key: row.text("dedup_key")?,
            payload: row.json("payload")?,
            state: row.text("state")?,
            attempts: row.int("attempts")?,
            max_attempts: row.int("max_attempts")?,
            again: row.text_opt("again")?.is_some(),
            run_at: row.int("run_at")?,
            last_error: row.text_opt("last_error")?,
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
        })
    }
}
