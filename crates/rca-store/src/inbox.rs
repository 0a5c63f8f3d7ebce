//! Batching of accepted deliveries: what arrives while one COMMIT runs goes into the next.

use crate::delivery::{Accepted, Incoming, accept_many};
use crate::error::{Error, Result};
use crate::store::{Inner, WRITE_TIMEOUT};
use std::sync::{Arc, Weak};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

const BATCH: usize = 256;
const QUEUE: usize = 1024;

/// The way to the task that writes deliveries.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: mpsc::Sender<Waiting>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Waiting {
    incoming: Arc<Incoming>,
    answer: oneshot::Sender<Result<Accepted>>,
}

impl Inbox {
    pub(crate) fn start(store: Weak<Inner>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self { queue, task: tokio::spawn(serve(store, waiting)) }
    }

    /// Hands a delivery over; the answer comes after COMMIT. The returned future does not borrow the inbox.
    pub(crate) fn accept(&self, incoming: Incoming) -> impl Future<Output = Result<Accepted>> + Send + use<> {
        let queue = self.queue.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            let waiting = Waiting { incoming: Arc::new(incoming), answer };
            let work = async {
                queue.send(waiting).await.map_err(|_| Error::unavailable("the store is closed"))?;
                answered.await.map_err(|_| Error::unavailable("the store is closed"))?
            };
            tokio::time::timeout(WRITE_TIMEOUT, work)
                .await
                .unwrap_or_else(|_| Err(Error::unavailable("the database did not accept a delivery in time")))
        }
    }

    /// Takes nothing new, writes what was handed over and ends.
    pub(crate) async fn close(self) {
        drop(self.queue);
        let _ = self.task.await;
    }
}

async fn serve(store: Weak<Inner>, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        // Nobody is told about a delivery whose sender has already been refused, so it is not written.
        batch.retain(|waiting: &Waiting| !waiting.answer.is_closed());
        let Some(store) = store.upgrade() else {
            return;
        };
        match write(&store, &batch).await {
            Ok(answers) => {
                store.wake.notify_waiters();
                for (waiting, answer) in batch.drain(..).zip(answers) {
                    let _ = waiting.answer.send(Ok(answer));
                }
            }
            Err(error) if error.is_transient() || batch.len() == 1 => {
                for waiting in batch.drain(..) {
                    let _ = waiting.answer.send(Err(error.copy()));
                }
            }
            // One bad row must not refuse its neighbours.
            Err(_) => {
                for waiting in batch.drain(..) {
                    let answer = write(&store, std::slice::from_ref(&waiting)).await;
                    store.wake.notify_waiters();
                    let answer = answer.and_then(|answers| {
                        answers
                            .into_iter()
                            .next()
                            .ok_or_else(|| Error::unavailable("the delivery was not answered"))
                    });
                    let _ = waiting.answer.send(answer);
                }
            }
        }
    }
}

async fn write(store: &Inner, batch: &[Waiting]) -> Result<Vec<Accepted>> {
    let incoming: Vec<Arc<Incoming>> = batch.iter().map(|waiting| Arc::clone(&waiting.incoming)).collect();
    if incoming.is_empty() {
        return Ok(Vec::new());
    }
    store
        .transact(move |connection, now| {
            Box::pin(async move { accept_many(connection, now, &incoming).await })
        })
        .await
}
