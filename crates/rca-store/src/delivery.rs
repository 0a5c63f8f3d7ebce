//! The inbox: deliveries of webhooks, stored with their task before they are acknowledged.

use crate::error::{Error, ErrorKind, Result};
use crate::lead;
use crate::page::{Page, PageRequest};
use crate::seal::{KeyRing, Place};
use crate::sql::{Row, Sql};
use crate::store::{Store, new_id};
use crate::task::{NewTask, enqueue_many, enqueue_one};
use bytes::Bytes;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A verified delivery to store.
#[derive(Clone)]
pub struct NewDelivery {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration whose hook it came by.
    pub integration: String,
    /// The hook that it came by.
    pub hook: String,
    /// The forge that sent it.
    pub forge: String,
    /// What makes it the same delivery when it comes again; unique per hook.
    pub delivery_key: String,
    /// The forge's name of the event.
    pub event: String,
    /// The forge's name of the action, where it has one.
    pub action: Option<String>,
    /// The repository it speaks of.
    pub repository: Option<String>,
    /// The headers that parsing needs. Sealed.
    pub headers: Vec<(String, String)>,
    /// The body as it was received. Sealed.
    pub body: Bytes,
    /// When it was received, unix milliseconds.
    pub received_at: i64,
}

/// What became of a delivery that was handed to the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored, and its task with it.
    New {
        /// The id of the delivery.
        id: String,
    },
    /// It was stored before; nothing new happens.
    Duplicate {
        /// The id of the first one.
        id: String,
    },
}

/// Where a delivery is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// Its task has not ended.
    Pending,
    /// Worked on.
    Done,
    /// Authentic, and nothing to do.
    Ignored,
    /// Given up; it can be replayed.
    Dead,
}

/// A stored delivery without its sealed content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration whose hook it came by.
    pub integration: String,
    /// The hook that it came by.
    pub hook: String,
    /// The forge that sent it.
    pub forge: String,
    /// What makes it the same delivery when it comes again.
    pub delivery_key: String,
    /// The forge's name of the event.
    pub event: String,
    /// The forge's name of the action.
    pub action: Option<String>,
    /// The repository it speaks of.
    pub repository: Option<String>,
    /// Where it is on its way.
    pub status: DeliveryStatus,
    /// Why it was ignored or is dead.
    pub reason: Option<String>,
    /// The analyses that it led to.
    pub analyses: Vec<String>,
    /// The task that works on it.
    pub task: Option<String>,
    /// How often it came again.
    pub duplicates: i64,
    /// When it was received.
    pub received_at: i64,
    /// When it reached its end.
    pub finished_at: Option<i64>,
}

/// What a delivery brought, opened.
#[derive(Clone)]
pub struct DeliveryContent {
    /// The headers that were kept.
    pub headers: Vec<(String, String)>,
    /// The body as it was received.
    pub body: Bytes,
}

/// Which deliveries a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only of this integration.
    pub integration: Option<String>,
    /// Only of this repository.
    pub repository: Option<String>,
    /// Only with this status.
    pub status: Option<DeliveryStatus>,
    /// Only of this hook.
    pub hook: Option<String>,
    /// Only with this `delivery_key`.
    pub key: Option<String>,
    /// Received at or after.
    pub since: Option<i64>,
    /// Received before.
    pub until: Option<i64>,
}

/// The conservation of deliveries: everything received is somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryCounts {
    /// Deliveries acknowledged.
    pub received: i64,
    /// Stored and not at their end.
    pub pending: i64,
    /// Worked on.
    pub done: i64,
    /// Nothing to do.
    pub ignored: i64,
    /// Given up.
    pub dead: i64,
    /// Came again.
    pub duplicate: i64,
}

impl DeliveryCounts {
    /// Whether received = done + dead + pending + ignored + duplicate, and nothing pending is without a live task.
    pub fn is_balanced(&self) -> bool {
        self.received == self.done + self.dead + self.pending + self.ignored + self.duplicate
    }
}

impl DeliveryStatus {
    /// The word used in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Ignored => "ignored",
            Self::Dead => "dead",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Done, Self::Ignored, Self::Dead]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

impl fmt::Debug for NewDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDelivery")
            .field("hook", &self.hook)
            .field("delivery_key", &self.delivery_key)
            .field("event", &self.event)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeliveryContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryContent").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Store {
    /// Stores a verified delivery and its task in one transaction, and returns after COMMIT: from then on neither a
    /// killed process nor a power cut loses it. The same `delivery_key` of the same hook is stored once.
    ///
    /// The task's payload, when it is an object, is given the field `delivery` with the delivery's id; an empty
    /// `dedup_key` becomes `delivery:ID`.
    ///
    /// # Errors
    /// `Unavailable` within five seconds when the database stalls: answer 503, nothing is half stored.
    pub async fn accept_delivery(&self, delivery: NewDelivery, task: NewTask) -> Result<Accepted> {
        self.accept(delivery, Ok(task)).await
    }

    /// Stores an authentic delivery that asks for nothing, with the reason: it is visible in lists and deduplicated.
    ///
    /// # Errors
    /// As [`Store::accept_delivery`].
    pub async fn accept_ignored_delivery(&self, delivery: NewDelivery, reason: &str) -> Result<Accepted> {
        self.accept(delivery, Err(reason.to_owned())).await
    }

    async fn accept(
        &self,
        delivery: NewDelivery,
        then: std::result::Result<NewTask, String>,
    ) -> Result<Accepted> {
        let incoming = Incoming::new(delivery, then, &self.inner.keys.current())?;
        let answer = match self.inner.inbox.read().ok().as_deref() {
            Some(Some(inbox)) => inbox.accept(incoming),
            _ => return Err(Error::unavailable("the store is closed")),
        };
        answer.await
    }

    /// Sets where a delivery is on its way. `analyses` are added to those it already has.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such delivery.
    pub async fn set_delivery_status(
        &self,
        workspace: &str,
        id: &str,
        status: DeliveryStatus,
        reason: Option<&str>,
        analyses: &[String],
    ) -> Result<()> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        let (reason, analyses) = (reason.map(str::to_owned), analyses.to_vec());
        self.transact(move |connection, now| {
            Box::pin(
                async move { set_status(connection, now, &workspace, &id, status, reason, &analyses).await },
            )
        })
        .await
    }

    /// One delivery.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_delivery(&self, workspace: &str, id: &str) -> Result<Option<Delivery>> {
        let mut connection = self.read().await?;
        Sql::new(format!("SELECT {COLUMNS} FROM delivery WHERE workspace = $1 AND id = $2"))
            .bind(workspace)
            .bind(id)
            .optional(&mut connection)
            .await?
            .map(|row| Delivery::from_row(&row))
            .transpose()
    }

    /// The headers and the body of a delivery.
    ///
    /// # Errors
    /// `NotFound`, or `Unsealable` when it was altered or its key is missing.
    pub async fn get_delivery_content(&self, workspace: &str, id: &str) -> Result<DeliveryContent> {
        let mut connection = self.read().await?;
        let row = Sql::new("SELECT sealed FROM delivery WHERE workspace = $1 AND id = $2")
            .bind(workspace)
            .bind(id)
            .optional(&mut connection)
            .await?
            .ok_or_else(|| Error::not_found("delivery"))?;
        let plain = self.inner.keys.current().open(content_place(workspace, id), &row.blob("sealed")?)?;
        let broken = || Error::new(ErrorKind::Database, "a stored delivery has no valid content");
        let (length, rest) = plain.split_first_chunk::<4>().ok_or_else(broken)?;
        let (headers, body) =
            rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(broken)?;
        Ok(DeliveryContent { headers: serde_json::from_slice(headers)?, body: Bytes::copy_from_slice(body) })
    }

    /// Deliveries of a workspace, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_deliveries(
        &self,
        workspace: &str,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>> {
        let mut connection = self.read().await?;
        let indexed = [
            ("repository", "delivery_repository", filter.repository.as_deref()),
            ("status", "delivery_status", filter.status.map(DeliveryStatus::as_str)),
            ("integration", "delivery_integration", filter.integration.as_deref()),
        ];
        let source = match filter.hook {
            // What a hook was sent is found by the rule that makes it unique.
            Some(_) => "delivery".to_owned(),
            None => {
                let walk = ("delivery", "delivery_listed");
                lead::source(&mut connection, self.engine(), walk, workspace, &indexed).await?
            }
        };
        // The ids first, which indexes hold: the sealed content makes rows long.
        let mut sql = Sql::new(format!(
            "SELECT {COLUMNS} FROM delivery WHERE id IN (SELECT id FROM {source} WHERE workspace = $1"
        ))
        .bind(workspace)
        .when(" AND hook = ", filter.hook.as_ref())
        .when(" AND delivery_key = ", filter.key.as_ref())
        .when(" AND received_at >= ", filter.since)
        .when(" AND received_at < ", filter.until)
        .when(" AND id < ", page.cursor.as_ref());
        for (column, _, value) in indexed {
            sql = sql.when(&format!(" AND {column} = "), value);
        }
        let rows = sql
            .push(" ORDER BY id DESC LIMIT ")
            .arg(page.fetch())
            .push(") ORDER BY id DESC")
            .all(&mut connection)
            .await?;
        let items = rows.iter().map(Delivery::from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |delivery| delivery.id.clone()))
    }

    /// Runs a delivery again with a new task, and records who asked for it. Returns the task's id.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such delivery, `Invalid` when it was stored without a task.
    pub async fn replay_delivery(&self, workspace: &str, id: &str, actor: &str) -> Result<String> {
        let (workspace, id, actor) = (workspace.to_owned(), id.to_owned(), actor.to_owned());
        let task = self
            .transact(move |connection, now| {
                Box::pin(async move {
                    let row = Sql::new("SELECT integration, task_spec FROM delivery WHERE workspace = $1 AND id = $2")
                        .bind(&workspace)
                        .bind(&id)
                        .optional(connection)
                        .await?
                        .ok_or_else(|| Error::not_found("delivery"))?;
                    let spec = row.json_opt("task_spec")?.ok_or_else(|| {
                        Error::new(ErrorKind::Invalid, "the delivery was ignored at intake and has no task to run")
                    })?;
                    let task = enqueue_one(connection, now, task_of_spec(&workspace, &spec)).await?;
                    Sql::new(
                        "UPDATE delivery SET status = 'pending', reason = NULL, finished_at = NULL, task = $1 WHERE id = $2",
                    )
                    .bind(&task)
                    .bind(&id)
                    .execute(connection)
                    .await?;
                    crate::audit::append(connection, now, &crate::audit::NewAudit {
                        workspace,
                        actor,
                        action: "delivery.replay".to_owned(),
                        target: id,
                        detail: json!({ "task": task }),
                    })
                    .await?;
                    Ok(task)
                })
            })
            .await?;
        self.wake();
        Ok(task)
    }

    /// Counts the deliveries of a workspace by where they are, from one snapshot of the database.
    ///
    /// `pending` counts only those whose task is alive; a pending delivery without one would be lost silently, and
    /// shows as an unbalanced count.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_deliveries(&self, workspace: &str) -> Result<DeliveryCounts> {
        self.count_deliveries_of(Some(workspace)).await
    }

    /// The same over all workspaces.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_all_deliveries(&self) -> Result<DeliveryCounts> {
        self.count_deliveries_of(None).await
    }

    async fn count_deliveries_of(&self, workspace: Option<&str>) -> Result<DeliveryCounts> {
        let mut connection = self.read().await?;
        let mut query = Sql::new(
            "SELECT d.status AS status, CASE WHEN t.id IS NULL THEN 0 ELSE 1 END AS live, count(*) AS number, \
             CAST(sum(d.duplicates) AS BIGINT) AS again FROM delivery d \
             LEFT JOIN task t ON t.id = d.task AND t.state IN ('ready', 'running')",
        );
        if let Some(workspace) = workspace {
            query = query.push(" WHERE d.workspace = ").arg(workspace);
        }
        let rows = query.push(" GROUP BY 1, 2").all(&mut connection).await?;
        let mut counts = DeliveryCounts::default();
        for row in rows {
            let (number, again) = (row.int("number")?, row.int("again")?);
            counts.received += number + again;
            counts.duplicate += again;
            match row.text("status")?.as_str() {
                "pending" if row.int("live")? == 1 => counts.pending += number,
                "done" => counts.done += number,
                "ignored" => counts.ignored += number,
                "dead" => counts.dead += number,
                _ => {}
            }
        }
        Ok(counts)
    }
}

const COLUMNS: &str = "id, workspace, integration, hook, forge, delivery_key, event, action, repository, status, \
    reason, analyses, task, duplicates, received_at, finished_at";

impl Delivery {
    fn from_row(row: &Row) -> Result<Self> {
        let status = row.text("status")?;
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            integration: row.text("integration")?,
            hook: row.text("hook")?,
            forge: row.text("forge")?,
            delivery_key: row.text("delivery_key")?,
            event: row.text("event")?,
            action: row.text_opt("action")?,
            repository: row.text_opt("repository")?,
            status: DeliveryStatus::from_word(&status)
                .ok_or_else(|| Error::new(ErrorKind::Database, "a delivery has an unknown status"))?,
            reason: row.text_opt("reason")?,
            analyses: row.strings("analyses")?,
            task: row.text_opt("task")?,
            duplicates: row.int("duplicates")?,
            received_at: row.int("received_at")?,
            finished_at: row.int_opt("finished_at")?,
        })
    }
}

/// A delivery ready to be written: sealed, with its id and its task.
#[derive(Debug)]
pub(crate) struct Incoming {
    id: String,
    delivery: NewDelivery,
    key_id: i64,
    sealed: Vec<u8>,
    then: std::result::Result<(String, NewTask), String>,
}

impl Incoming {
    fn new(
        mut delivery: NewDelivery,
        then: std::result::Result<NewTask, String>,
        keys: &KeyRing,
    ) -> Result<Self> {
        let id = new_id();
        let headers = serde_json::to_vec(&delivery.headers)?;
        let length = u32::try_from(headers.len())
            .map_err(|_| Error::new(ErrorKind::Invalid, "the headers of the delivery are too long"))?;
        let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(4 + headers.len() + delivery.body.len()));
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(&headers);
        plain.extend_from_slice(&delivery.body);
        let sealed = keys.seal(content_place(&delivery.workspace, &id), &plain)?;
        delivery.body = Bytes::new();
        let then = then.map(|mut task| {
            if let Value::Object(payload) = &mut task.payload {
                payload.insert("delivery".to_owned(), Value::String(id.clone()));
            }
            if task.dedup_key.is_empty() {
                task.dedup_key = format!("delivery:{id}");
            }
            (new_id(), task)
        });
        Ok(Self { key_id: i64::from(keys.primary_id()), id, delivery, sealed, then })
    }

    fn key(&self) -> (String, String, String) {
        let delivery = &self.delivery;
        (delivery.workspace.clone(), delivery.hook.clone(), delivery.delivery_key.clone())
    }
}

pub(crate) fn content_place<'a>(workspace: &'a str, id: &'a str) -> Place<'a> {
    Place { workspace, table: "delivery", row: id, column: "sealed" }
}

/// Writes a batch: one insert for the deliveries, one for their tasks. Answers in the order of `incoming`.
pub(crate) async fn accept_many(
    connection: &mut AnyConnection,
    now: i64,
    incoming: &[Arc<Incoming>],
) -> Result<Vec<Accepted>> {
    // Ordered by key, so that two replicas which are sent the same deliveries do not deadlock.
    let mut first: BTreeMap<(String, String, String), &Arc<Incoming>> = BTreeMap::new();
    let mut copies: BTreeMap<(String, String, String), i64> = BTreeMap::new();
    for item in incoming {
        *copies.entry(item.key()).or_insert(-1) += 1;
        first.entry(item.key()).or_insert(item);
    }
    let new = insert(connection, first.values().copied()).await?;
    let mut ids: BTreeMap<(String, String, String), String> = BTreeMap::new();
    let mut tasks = Vec::new();
    for (key, item) in &first {
        let again = copies.get(key).copied().unwrap_or(0);
        if new.contains(&item.id) {
            ids.insert(key.clone(), item.id.clone());
            if again > 0 {
                count_duplicates(connection, key, again).await?;
            }
            if let Ok(task) = &item.then {
                tasks.push(task.clone());
            }
        } else {
            ids.insert(key.clone(), count_duplicates(connection, key, again + 1).await?);
        }
    }
    let live = enqueue_many(connection, now, tasks).await?;
    for item in first.values().filter(|item| new.contains(&item.id)) {
        let Ok((candidate, task)) = &item.then else {
            continue;
        };
        // Another delivery may share the task: then this one waits for that task.
        if let Some(id) = live.get(&(task.workspace.clone(), task.dedup_key.clone()))
            && id != candidate
        {
            Sql::new("UPDATE delivery SET task = $1 WHERE id = $2")
                .bind(id)
                .bind(&item.id)
                .execute(connection)
                .await?;
        }
    }
    incoming
        .iter()
        .map(|item| {
            let id = ids
                .get(&item.key())
                .cloned()
                .ok_or_else(|| Error::new(ErrorKind::Database, "a delivery was not answered"))?;
            Ok(if id == item.id { Accepted::New { id } } else { Accepted::Duplicate { id } })
        })
        .collect()
}

/// Inserts what is not there yet; answers the ids that are new.
async fn insert<'a>(
    connection: &mut AnyConnection,
    items: impl Iterator<Item = &'a Arc<Incoming>> + Send,
) -> Result<BTreeSet<String>> {
    let mut sql = Sql::new(
        "INSERT INTO delivery (id, workspace, integration, hook, forge, delivery_key, event, action, repository, key_id, \
         sealed, status, reason, task, task_spec, received_at, finished_at) VALUES ",
    );
    let mut separator = "(";
    for item in items {
        let delivery = &item.delivery;
        let (status, reason, task, spec, finished) = match &item.then {
            Ok((task, spec)) => {
                (DeliveryStatus::Pending, None, Some(task.clone()), Some(spec_of_task(spec)), None)
            }
            Err(reason) => {
                (DeliveryStatus::Ignored, Some(reason.clone()), None, None, Some(delivery.received_at))
            }
        };
        sql = sql
            .push(separator)
            .arg(&item.id)
            .push(", ")
            .arg(&delivery.workspace)
            .push(", ")
            .arg(&delivery.integration)
            .push(", ")
            .arg(&delivery.hook)
            .push(", ")
            .arg(&delivery.forge)
            .push(", ")
            .arg(&delivery.delivery_key)
            .push(", ")
            .arg(&delivery.event)
            .push(", ")
            .arg(&delivery.action)
            .push(", ")
            .arg(&delivery.repository)
            .push(", ")
            .arg(item.key_id)
            .push(", ")
            .arg(item.sealed.clone())
            .push(", ")
            .arg(status.as_str())
            .push(", ")
            .arg(reason)
            .push(", ")
            .arg(task)
            .push(", ")
            .arg(&spec)
            .push(", ")
            .arg(delivery.received_at)
            .push(", ")
            .arg(finished)
            .push(")");
        separator = ", (";
    }
    sql.push(" ON CONFLICT (workspace, hook, delivery_key) DO NOTHING RETURNING id")
        .all(connection)
        .await?
        .iter()
        .map(|row| row.text("id"))
        .collect()
}

async fn count_duplicates(
    connection: &mut AnyConnection,
    key: &(String, String, String),
    number: i64,
) -> Result<String> {
    Sql::new(
        "UPDATE delivery SET duplicates = duplicates + $1 WHERE workspace = $2 AND hook = $3 AND delivery_key = $4 \
         RETURNING id",
    )
    .bind(number)
    .bind(&key.0)
    .bind(&key.1)
    .bind(&key.2)
    .one(connection)
    .await?
    .text("id")
}

pub(crate) async fn set_status(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    id: &str,
    status: DeliveryStatus,
    reason: Option<String>,
    analyses: &[String],
) -> Result<()> {
    let row = Sql::new("SELECT analyses FROM delivery WHERE workspace = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .optional(connection)
        .await?
        .ok_or_else(|| Error::not_found("delivery"))?;
    let mut all = row.strings("analyses")?;
    for analysis in analyses {
        if !all.contains(analysis) {
            all.push(analysis.clone());
        }
    }
    let finished = (status != DeliveryStatus::Pending).then_some(now);
    Sql::new("UPDATE delivery SET status = $1, reason = $2, analyses = $3, finished_at = $4 WHERE id = $5")
        .bind(status.as_str())
        .bind(reason)
        .bind(&json!(all))
        .bind(finished)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// What a replay needs to make the task anew, also when the first one is gone.
fn spec_of_task(task: &NewTask) -> Value {
    json!({
        "integration": task.integration, "kind": task.kind, "dedup_key": task.dedup_key, "payload": task.payload,
        "priority": task.priority, "max_attempts": task.max_attempts,
    })
}

fn task_of_spec(workspace: &str, spec: &Value) -> NewTask {
    let text = |name: &str| spec.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| spec.get(name).and_then(Value::as_i64);
    NewTask {
        workspace: workspace.to_owned(),
        integration: text("integration"),
        kind: text("kind").unwrap_or_default(),
        dedup_key: text("dedup_key").unwrap_or_default(),
        payload: spec.get("payload").cloned().unwrap_or(Value::Null),
        run_at_delay_ms: 0,
        priority: number("priority").unwrap_or(0),
        max_attempts: number("max_attempts").unwrap_or(crate::task::DEFAULT_MAX_ATTEMPTS),
    }
}
