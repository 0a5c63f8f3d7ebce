//! Putting tasks down: one live task for each key.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::AnyConnection;

use super::NewTask;
use crate::{
    error::{Error, ErrorKind, Result},
    sql::{Row, Sql},
    store::new_id,
};

/// How far apart two tasks of one integration are placed in the order of claiming. Tasks of different integrations
/// that were enqueued at the same time alternate, whatever the length of their queues.
const TURN_MS: i64 = 60_000;

pub(super) fn task_again(row: &Row, payload: Option<Value>) -> Result<NewTask> {
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
