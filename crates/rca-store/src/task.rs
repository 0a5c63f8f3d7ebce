//! Our own units of work: a small durable queue with leases.
//!
//! A task is `ready`, `running`, `done` or `dead`. Claiming counts an attempt and gives a lease; whoever holds the
//! lease settles the task together with everything that it wrote, in one transaction. A lease that ran out makes the
//! task claimable again, and the late holder is refused ([`crate::ErrorKind::Fenced`]). A task that kills its process
//! is therefore dead after `max_attempts` starts and not restarted for ever.

use crate::error::{Error, ErrorKind, Result};
use crate::page::{Page, PageRequest};
use crate::sql::{Row, Sql};
use crate::store::{Engine, Store, clock, new_id};
use crate::write::Write;
use serde_json::Value;
use sqlx::AnyConnection;
use std::collections::BTreeMap;
use std::time::Duration;

/// Attempts that a task has by default.
pub const DEFAULT_MAX_ATTEMPTS: i64 = 8;

/// How far apart two tasks of one integration are placed in the order of claiming. Tasks of different integrations
/// that were enqueued at the same time alternate, whatever the length of their queues.
const TURN_MS: i64 = 60_000;

/// Tasks whose integration cannot be used wait; they are not claimed and lose no attempt.
const CLAIMABLE_INTEGRATION: &str = "(integration IS NULL OR integration NOT IN (SELECT id FROM integration \
    WHERE parked_reason IS NOT NULL OR enabled = 0 OR removed_at IS NOT NULL))";

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
    /// Held by a worker.
    pub running: i64,
    /// Finished.
    pub done: i64,
    /// Given up.
    pub dead: i64,
}

impl NewTask {
    /// A task of `kind`, due now, with the usual number of attempts.
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
            payload,
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
                bury_poison(connection, now).await?;
                claim(connection, now, engine, &kinds, count, lease_ms).await
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
        let (id, token, keys) = (task.id.clone(), task.lease_token.clone(), self.inner.keys.clone());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let ended = end(connection, now, &id, &token, &outcome).await?;
                crate::write::apply_all(connection, now, &keys, writes).await?;
                match ended {
                    Some(ended) => follow(connection, now, ended).await,
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
        next_due(&mut connection).await
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
            (next_due(&mut connection).await?, clock(&mut connection, self.inner.engine).await?)
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
                    let live = enqueue_one(connection, now, task_again(&row, None)?).await?;
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
        let mut connection = self.read().await?;
        let rows = Sql::new("SELECT state, count(*) AS number FROM task WHERE workspace = $1 GROUP BY state")
            .bind(workspace)
            .all(&mut connection)
            .await?;
        let mut counts = TaskCounts::default();
        for row in rows {
            let number = row.int("number")?;
            match row.text("state")?.as_str() {
                "ready" => counts.ready = number,
                "running" => counts.running = number,
                "done" => counts.done = number,
                _ => counts.dead += number,
            }
        }
        Ok(counts)
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

async fn next_due(connection: &mut AnyConnection) -> Result<Option<i64>> {
    // Walks the due times in order and stops at the first task that may run.
    let ready = Sql::new(format!(
        "SELECT run_at AS due FROM task WHERE state = 'ready' AND {CLAIMABLE_INTEGRATION} ORDER BY run_at LIMIT 1"
    ))
    .optional(connection)
    .await?;
    let lease = Sql::new(format!(
        "SELECT lease_until AS due FROM task WHERE state = 'running' AND {CLAIMABLE_INTEGRATION} ORDER BY lease_until LIMIT 1"
    ))
    .optional(connection)
    .await?;
    let mut earliest = None;
    for row in [ready, lease].into_iter().flatten() {
        let due = row.int("due")?;
        earliest = Some(earliest.map_or(due, |other: i64| other.min(due)));
    }
    Ok(earliest)
}

async fn claim(
    connection: &mut AnyConnection,
    now: i64,
    engine: Engine,
    kinds: &[String],
    count: u32,
    lease_ms: i64,
) -> Result<Vec<ClaimedTask>> {
    let token = hex::encode(rand::random::<[u8; 16]>());
    let locking = match engine {
        // One writer: nobody else can be claiming.
        Engine::Sqlite => "",
        Engine::Postgres => " FOR UPDATE SKIP LOCKED",
    };
    let rows = Sql::new(
        "WITH picked AS MATERIALIZED (SELECT id FROM task WHERE state IN ('ready', 'running') AND kind IN ",
    )
    .list(kinds)
    .push(" AND ((state = 'ready' AND run_at <= ")
    .arg(now)
    .push(") OR (state = 'running' AND lease_until < ")
    .arg(now)
    .push(" AND attempts < max_attempts)) AND ")
    .push(CLAIMABLE_INTEGRATION)
    .push(" ORDER BY priority DESC, turn, id LIMIT ")
    .arg(i64::from(count))
    .push(locking)
    .push(") UPDATE task SET state = 'running', attempts = attempts + 1, lease_token = ")
    .arg(&token)
    .push(", lease_until = ")
    .arg(now + lease_ms)
    .push(", updated_at = ")
    .arg(now)
    .push(" WHERE id IN (SELECT id FROM picked) RETURNING *")
    .all(connection)
    .await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        claimed.push((
            (-row.int("priority")?, row.int("turn")?),
            ClaimedTask {
                id: row.text("id")?,
                workspace: row.text("workspace")?,
                integration: row.text_opt("integration")?,
                kind: row.text("kind")?,
                dedup_key: row.text("dedup_key")?,
                payload: row.json("payload")?,
                attempts: row.int("attempts")?,
                max_attempts: row.int("max_attempts")?,
                lease_token: token.clone(),
                lease_until: row.int("lease_until")?,
                created_at: row.int("created_at")?,
            },
        ));
    }
    // RETURNING promises no order.
    claimed.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.id.cmp(&y.id)));
    Ok(claimed.into_iter().map(|(_, task)| task).collect())
}

/// Tasks that were started as often as allowed and never settled: each start ended with its process or its lease.
async fn bury_poison(connection: &mut AnyConnection, now: i64) -> Result<()> {
    let error = "every start ended without an answer: the worker stopped or lost its lease";
    let rows = Sql::new(
        "UPDATE task SET state = 'dead', lease_token = NULL, lease_until = NULL, last_error = $1, updated_at = $2 \
         WHERE state = 'running' AND lease_until < $2 AND attempts >= max_attempts RETURNING *",
    )
    .bind(error)
    .bind(now)
    .all(connection)
    .await?;
    for row in rows {
        tracing::warn!(task = %row.text("id")?, kind = %row.text("kind")?, "task is dead: all its starts were lost");
        let dead = Some(error.to_owned());
        follow(connection, now, Ended { row, dead }).await?;
    }
    Ok(())
}

/// A task that has just become done or dead (`dead` holds why).
struct Ended {
    row: Row,
    dead: Option<String>,
}

/// Moves a held task to its next state; `Some` when that is an end.
async fn end(
    connection: &mut AnyConnection,
    now: i64,
    id: &str,
    token: &str,
    outcome: &Outcome,
) -> Result<Option<Ended>> {
    let held = Sql::new(
        "SELECT attempts, max_attempts FROM task WHERE id = $1 AND lease_token = $2 AND state = 'running'",
    )
    .bind(id)
    .bind(token)
    .optional(connection)
    .await?
    .ok_or_else(fenced)?;
    let used_up = held.int("attempts")? >= held.int("max_attempts")?;
    let (state, delay, given_back, error) = match outcome {
        Outcome::Done => ("done", 0, 0, None),
        Outcome::Dead { error } => ("dead", 0, 0, Some(error.clone())),
        Outcome::Retry { error, .. } if used_up => ("dead", 0, 0, Some(error.clone())),
        Outcome::Retry { delay_ms, error } => ("ready", *delay_ms, 0, Some(error.clone())),
        Outcome::Wait { delay_ms } => ("ready", *delay_ms, 1, None),
    };
    let mut sql = Sql::new("UPDATE task SET state = ")
        .arg(state)
        .push(", lease_token = NULL, lease_until = NULL, updated_at = ")
        .arg(now)
        .push(", attempts = attempts - ")
        .arg(given_back)
        .push(", run_at = ")
        .arg(now + delay);
    if error.is_some() {
        sql = sql.push(", last_error = ").arg(&error);
    }
    if state == "ready" {
        // It runs after the newer enqueue anyway: one run answers both.
        sql = sql.push(", payload = coalesce(again, payload), again = NULL");
    }
    // The token is checked again: between the two statements another replica may have claimed.
    let row = sql
        .push(" WHERE id = ")
        .arg(id)
        .push(" AND state = 'running' AND lease_token = ")
        .arg(token)
        .push(" RETURNING *")
        .optional(connection)
        .await?
        .ok_or_else(fenced)?;
    let dead = error.filter(|_| state == "dead");
    Ok((state != "ready").then_some(Ended { row, dead }))
}

fn fenced() -> Error {
    Error::new(ErrorKind::Fenced, "the lease of the task is lost; its result was dropped")
}

/// What the end of a task brings with it: the second run that was asked for meanwhile, and the state of the
/// deliveries that waited for it.
async fn follow(connection: &mut AnyConnection, now: i64, ended: Ended) -> Result<()> {
    let id = ended.row.text("id")?;
    if let Some(payload) = ended.row.json_opt("again")? {
        let next = enqueue_one(connection, now, task_again(&ended.row, Some(payload))?).await?;
        Sql::new("UPDATE delivery SET task = $1 WHERE task = $2 AND status = 'pending'")
            .bind(next)
            .bind(id)
            .execute(connection)
            .await?;
        return Ok(());
    }
    let status = if ended.dead.is_some() { "dead" } else { "done" };
    Sql::new("UPDATE delivery SET status = $1, reason = $2, finished_at = $3 WHERE task = $4 AND status = 'pending'")
        .bind(status)
        .bind(ended.dead)
        .bind(now)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

fn task_again(row: &Row, payload: Option<Value>) -> Result<NewTask> {
    Ok(NewTask {
        workspace: row.text("workspace")?,
        integration: row.text_opt("integration")?,
        kind: row.text("kind")?,
        dedup_key: row.text("dedup_key")?,
        payload: match payload {
            Some(payload) => payload,
            None => row.json("payload")?,
        },
        run_at_delay_ms: 0,
        priority: row.int("priority")?,
        max_attempts: row.int("max_attempts")?,
    })
}

pub(crate) async fn enqueue_one(connection: &mut AnyConnection, now: i64, task: NewTask) -> Result<String> {
    let ids = enqueue_many(connection, now, vec![(new_id(), task)]).await?;
    ids.into_values().next().ok_or_else(|| Error::new(ErrorKind::Database, "an enqueue returned no row"))
}

/// Enqueues many tasks with one statement; answers the live task's id per (workspace, dedup key).
pub(crate) async fn enqueue_many(
    connection: &mut AnyConnection,
    now: i64,
    tasks: Vec<(String, NewTask)>,
) -> Result<BTreeMap<(String, String), String>> {
    // One statement must not touch a row twice; and an ordered one does not deadlock with another replica's.
    let mut unique: BTreeMap<(String, String), (String, NewTask)> = BTreeMap::new();
    for (id, task) in tasks {
        let key = (task.workspace.clone(), task.dedup_key.clone());
        match unique.get_mut(&key) {
            Some((_, first)) => {
                first.run_at_delay_ms = first.run_at_delay_ms.min(task.run_at_delay_ms);
                first.priority = first.priority.max(task.priority);
                first.payload = task.payload;
            }
            None => {
                unique.insert(key, (id, task));
            }
        }
    }
    if unique.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut turns: BTreeMap<String, i64> = BTreeMap::new();
    let mut sql = Sql::new(
        "INSERT INTO task (id, workspace, integration, lane, kind, dedup_key, payload, state, priority, turn, run_at, \
         max_attempts, created_at, updated_at) VALUES ",
    );
    let mut first = true;
    for ((workspace, dedup_key), (id, task)) in unique {
        let lane = task.integration.clone().unwrap_or_else(|| workspace.clone());
        let turn = match turns.get(&lane) {
            Some(last) => last + TURN_MS,
            None => {
                let last = Sql::new(
                    "SELECT max(turn) AS last FROM task WHERE lane = $1 AND state IN ('ready', 'running')",
                )
                .bind(&lane)
                .one(connection)
                .await?
                .int_opt("last")?;
                last.map_or(now, |last| now.max(last + TURN_MS))
            }
        };
        turns.insert(lane.clone(), turn);
        sql = sql
            .push(if first { "(" } else { ", (" })
            .arg(id)
            .push(", ")
            .arg(workspace)
            .push(", ")
            .arg(task.integration)
            .push(", ")
            .arg(lane)
            .push(", ")
            .arg(task.kind)
            .push(", ")
            .arg(dedup_key)
            .push(", ")
            .arg(&task.payload)
            .push(", 'ready', ")
            .arg(task.priority)
            .push(", ")
            .arg(turn)
            .push(", ")
            .arg(now + task.run_at_delay_ms)
            .push(", ")
            .arg(task.max_attempts)
            .push(", ")
            .arg(now)
            .push(", ")
            .arg(now)
            .push(")");
        first = false;
    }
    let rows = sql
        .push(
            " ON CONFLICT (workspace, dedup_key) WHERE state IN ('ready', 'running') DO UPDATE SET \
             payload = CASE WHEN task.state = 'ready' THEN excluded.payload ELSE task.payload END, \
             again = CASE WHEN task.state = 'running' THEN excluded.payload ELSE task.again END, \
             run_at = CASE WHEN task.state = 'ready' AND task.attempts = 0 AND excluded.run_at < task.run_at \
             THEN excluded.run_at ELSE task.run_at END, \
             priority = CASE WHEN excluded.priority > task.priority THEN excluded.priority ELSE task.priority END, \
             updated_at = excluded.updated_at RETURNING id, workspace, dedup_key",
        )
        .all(connection)
        .await?;
    rows.iter().map(|row| Ok(((row.text("workspace")?, row.text("dedup_key")?), row.text("id")?))).collect()
}
