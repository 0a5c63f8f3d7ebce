//! Claiming, settling and burying: each a statement or two on one connection.

use sqlx::AnyConnection;

use super::{
    ClaimedTask, Outcome,
    enqueue::{enqueue_one, task_again},
};
use crate::{
    error::{Error, ErrorKind, Result},
    sql::{Row, Sql},
    store::Engine,
};

/// Tasks whose integration cannot be used now wait; they are not claimed and lose no attempt. Those of a removed one are
/// claimed, so that somebody ends them.
pub(super) const CLAIMABLE_INTEGRATION: &str = "(integration IS NULL OR integration NOT IN (SELECT id FROM integration \
    WHERE (parked_reason IS NOT NULL OR enabled = 0) AND removed_at IS NULL))";

/// When a task that was started and never settled may be started again. The first lost starts cost nothing: a deployment, a
/// killed container. Further ones wait longer and longer, so that what kills its process does so seldom, and what only
/// was there when others did keeps starts for quieter times.
const LOST_UNTIL: &str =
    "(lease_until + CASE WHEN attempts > 2 THEN (attempts - 2) * (attempts - 2) * 1000 ELSE 0 END)";

pub(super) async fn next_due(connection: &mut AnyConnection) -> Result<Option<i64>> {
    // Walks the due times in order and stops at the first task that may run.
    let ready = Sql::new(format!(
        "SELECT run_at AS due FROM task WHERE state = 'ready' AND {CLAIMABLE_INTEGRATION} ORDER BY run_at LIMIT 1"
    ))
    .optional(connection)
    .await?;
    let lease = Sql::new(format!(
        "SELECT {LOST_UNTIL} AS due FROM task WHERE state = 'running' AND {CLAIMABLE_INTEGRATION} ORDER BY {LOST_UNTIL} LIMIT 1"
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

pub(super) async fn claim(
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
    .push(") OR (state = 'running' AND ")
    .push(LOST_UNTIL)
    .push(" < ")
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
pub(super) async fn bury_poison(connection: &mut AnyConnection, now: i64) -> Result<()> {
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
pub(super) struct Ended {
    row: Row,
    dead: Option<String>,
}

/// How soon a task that waits runs again when it was enqueued while it ran.
const AGAIN_MS: i64 = 5_000;

/// Moves a held task to its next state; `Some` when that is an end.
pub(super) async fn end(
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
        .push(", run_at = ");
    sql = match outcome {
        // What was asked for meanwhile may be what it waits for. Not at once: it may be asked for all the time.
        Outcome::Wait { .. } => sql
            .push("CASE WHEN again IS NULL THEN ")
            .arg(now + delay)
            .push(" ELSE ")
            .arg(now + delay.min(AGAIN_MS))
            .push(" END"),
        _ => sql.arg(now + delay),
    };
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

pub(super) fn fenced() -> Error {
    Error::new(ErrorKind::Fenced, "the lease of the task is lost; its result was dropped")
}

/// What the end of a task brings with it: the second run that was asked for meanwhile, and the state of the
/// deliveries that waited for it.
pub(super) async fn follow(connection: &mut AnyConnection, now: i64, ended: Ended) -> Result<()> {
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
