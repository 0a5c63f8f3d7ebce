//! SQLite's one writer: many small operations, one COMMIT.
//!
//! A pool of writing connections starves under load (the busy handler gives no order), and one flush per operation
//! wastes the disk. So one task owns the writing connection, takes what has queued up, runs each operation inside a
//! savepoint, commits once, and only then answers. Nothing waits on purpose: batches form while a commit is running.

use crate::error::{Error, Result};
use crate::sql::Sql;
use sqlx::AnyConnection;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Most operations in one COMMIT.
const BATCH: usize = 256;
/// Operations that may wait; more callers wait for room, bounded by the write timeout.
const QUEUE: usize = 1024;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An operation inside a transaction. It is given the connection and the database's time of the transaction.
pub(crate) trait Operation<T>:
    for<'t> FnOnce(&'t mut AnyConnection, i64) -> BoxFuture<'t, Result<T>> + Send + 'static
{
}
impl<T, F> Operation<T> for F where
    F: for<'t> FnOnce(&'t mut AnyConnection, i64) -> BoxFuture<'t, Result<T>> + Send + 'static
{
}

/// The way to the writer task. It ends when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    checkpoint: Arc<AtomicBool>,
}

trait Job: Send {
    /// The caller gave up; the operation must not run any more.
    fn is_abandoned(&self) -> bool;
    fn run<'t>(&'t mut self, connection: &'t mut AnyConnection, now: i64) -> BoxFuture<'t, bool>;
    fn finish(self: Box<Self>, commit: std::result::Result<(), &Error>);
}

struct Typed<T, F> {
    operation: Option<F>,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl Writer {
    /// Starts the writer task; the handle resolves when the connection is closed.
    pub(crate) fn start(connection: AnyConnection) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let checkpoint = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(serve(connection, jobs, Arc::clone(&checkpoint)));
        (Self { queue, checkpoint }, task)
    }

    /// The next batch is answered after the write-ahead log was emptied, if no reader holds it.
    pub(crate) fn request_checkpoint(&self) {
        self.checkpoint.store(true, Ordering::SeqCst);
    }

    pub(crate) async fn run<T: Send + 'static>(&self, operation: impl Operation<T>) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = Typed { operation: Some(operation), outcome: None, answer };
        self.queue.send(Box::new(job)).await.map_err(|_| Error::unavailable("the store is closed"))?;
        answered.await.map_err(|_| Error::unavailable("the store closed before the write was done"))?
    }
}

impl<T, F> Job for Typed<T, F>
where
    T: Send + 'static,
    F: Operation<T>,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run<'t>(&'t mut self, connection: &'t mut AnyConnection, now: i64) -> BoxFuture<'t, bool> {
        Box::pin(async move {
            let Some(operation) = self.operation.take() else {
                return false;
            };
            let outcome = operation(connection, now).await;
            let done = outcome.is_ok();
            self.outcome = Some(outcome);
            done
        })
    }

    fn finish(self: Box<Self>, commit: std::result::Result<(), &Error>) {
        let outcome = match (self.outcome, commit) {
            // An operation's own failure is told as it is; it was rolled back either way.
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.copy()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::unavailable("the write was abandoned")),
        };
        // A caller that stopped waiting needs no answer.
        let _ = self.answer.send(outcome);
    }
}

async fn serve(
    mut connection: AnyConnection,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    checkpoint: Arc<AtomicBool>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let result = commit_batch(&mut connection, &mut batch).await;
        if let Err(error) = &result {
            tracing::warn!(%error, writes = batch.len(), "a batch of writes failed");
            // Fails harmlessly when the engine has rolled back by itself.
            let _ = statement(&mut connection, "ROLLBACK").await;
        }
        if checkpoint.swap(false, Ordering::SeqCst) {
            // A reader that is busy now must not hold up all writes for it.
            let text =
                "PRAGMA busy_timeout = 200; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 4000";
            if let Err(error) = statement(&mut connection, text).await {
                tracing::warn!(%error, "the write-ahead log was not emptied");
            }
        }
        let result = result.as_ref().copied();
        for job in batch.drain(..) {
            job.finish(result);
        }
    }
    let _ = statement(&mut connection, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let _ = sqlx::Connection::close(connection).await;
}

async fn commit_batch(connection: &mut AnyConnection, batch: &mut [Box<dyn Job>]) -> Result<()> {
    statement(connection, "BEGIN IMMEDIATE").await?;
    let now = clock_sqlite(connection).await?;
    for job in batch {
        if job.is_abandoned() {
            continue;
        }
        statement(connection, "SAVEPOINT operation").await?;
        if !job.run(connection, now).await {
            statement(connection, "ROLLBACK TO operation").await?;
        }
        statement(connection, "RELEASE operation").await?;
    }
    statement(connection, "COMMIT").await
}

async fn clock_sqlite(connection: &mut AnyConnection) -> Result<i64> {
    Sql::new(crate::store::SQLITE_NOW).one(connection).await?.int("now")
}

async fn statement(connection: &mut AnyConnection, text: &'static str) -> Result<()> {
    sqlx::raw_sql(text).execute(connection).await?;
    Ok(())
}
