//! The worker: takes tasks, does them, and settles each together with all that it wrote.

use std::time::Duration;

use forge_core::ErrorKind;
use rca_store::{ClaimedTask, ErrorKind as StoreErrorKind, Outcome, Write};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument as _, Span};

use crate::{
    error::Result,
    flow::Flow,
    jobs::{self, CHECK, JobError, KINDS, POLL, PRUNE, Settlement},
    policy::{Verdict, verdict},
};

/// The target of spans that belong into traces, so that whoever records them can tell them from others.
pub const SPANS: &str = "forge_rca::spans";
/// How long a task is ours without a sign of life.
const LEASE: Duration = Duration::from_secs(60);
/// How long running tasks may go on after the stop.
const GRACE: Duration = Duration::from_secs(20);
/// When something is tried again that should be over in a moment.
const SOON: Duration = Duration::from_secs(1);
/// The longest pause of a task that the forge refuses although it takes the credential.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// How long the queue is not looked at while nothing wakes us.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Does the work that was put down. Any number of them, in one process or in several, share one queue.
#[derive(Debug, Clone)]
pub struct Worker {
    flow: Flow,
    concurrency: usize,
    lease: Duration,
}

impl Worker {
    /// A worker that does up to `concurrency` tasks at a time.
    #[must_use]
    pub fn new(flow: Flow, concurrency: usize) -> Self {
        Self { flow, concurrency: concurrency.max(1), lease: LEASE }
    }

    /// How long a task stays with a worker that gives no sign of life [60 s], e.g. because its process was killed. Signs
    /// of life come three times as often.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(100));
        self
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// Works until `shutdown`, then lets what runs come to its end for a while. What does not end in time is given back
    /// to the queue.
    pub async fn run(&self, shutdown: CancellationToken) {
        let hurry = CancellationToken::new();
        let mut running = JoinSet::new();
        // There is one of it, however many workers begin.
        if let Err(error) = self.flow.store().enqueue(jobs::prune::task(&self.flow)).await {
            tracing::warn!(%error, "what is older than the retention is not removed until the next start");
        }
        if let Err(error) = self.look_after_all().await {
            tracing::warn!(%error, "integrations without a task that looks after them get none until the next start");
        }
        while !shutdown.is_cancelled() {
            while running.try_join_next().is_some() {}
            let free = self.concurrency - running.len().min(self.concurrency);
            match self.claim(free).await {
                Ok(tasks) if tasks.is_empty() => {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        waited = self.flow.store().wait_for_work(LOOK_EVERY), if free > 0 => {
                            if waited.is_err() {
                                tokio::time::sleep(LOOK_EVERY).await;
                            }
                        }
                        _ = running.join_next(), if !running.is_empty() => {}
                    }
                }
                Ok(tasks) => {
                    for task in tasks {
                        let (worker, hurry) = (self.clone(), hurry.clone());
                        running.spawn(async move { worker.work(task, hurry).await });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "no task can be taken now");
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(LOOK_EVERY) => {}
                    }
                }
            }
        }
        let all = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            hurry.cancel();
            while running.join_next().await.is_some() {}
        }
    }

    /// Each integration has its tasks that come again, also one that an earlier version made, or that lost them.
    async fn look_after_all(&self) -> Result<()> {
        let delay_ms = self.flow.config().poll_interval_ms;
        let mut writes = Vec::new();
        for integration in self.flow.store().list_all_integrations().await? {
            writes.push(Write::Enqueue(jobs::poll_task(&integration).with_delay_ms(delay_ms)));
            writes.push(Write::Enqueue(jobs::check::task(&self.flow, &integration)));
        }
        Ok(self.flow.store().write(writes).await?)
    }

    /// Does everything that is due, and what that makes due, one after the other; not what is put off. Returns how many
    /// tasks were done.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn run_until_idle(&self) -> Result<usize> {
        let mut count = 0;
        loop {
            let tasks = self.claim(1).await?;
            if tasks.is_empty() {
                return Ok(count);
            }
            for task in tasks {
                count += 1;
                self.work(task, CancellationToken::new()).await;
            }
        }
    }

    async fn claim(&self, free: usize) -> Result<Vec<ClaimedTask>> {
        if free == 0 {
            return Ok(Vec::new());
        }
        let count = u32::try_from(free).unwrap_or(u32::MAX);
        Ok(self.flow.store().claim(&KINDS, count, self.lease_ms()).await?)
    }

    /// Does one task to its settlement, or drops it when the lease is lost.
    async fn work(&self, task: ClaimedTask, hurry: CancellationToken) {
        let age = self.age(&task).await;
        let (flow, copy) = (self.flow.clone(), task.clone());
        // A task of its own, so that a panic ends the job and not the worker; it ends with the worker all the same.
        let span = span(&task);
        let work = async move { jobs::run(&flow, &copy, age).await };
        let mut job = AbortOnDropHandle::new(tokio::spawn(work.instrument(span)));
        let mut heartbeat = tokio::time::interval(self.lease / 3);
        heartbeat.tick().await;
        let result = loop {
            tokio::select! {
                result = &mut job => break result,
                () = hurry.cancelled() => {
                    job.abort();
                    self.settle(&task, Settlement { outcome: Outcome::Wait { delay_ms: 0 }, writes: Vec::new() }).await;
                    return;
                }
                _ = heartbeat.tick() => {
                    // A store that does not answer is no loss of the lease: the settlement will tell.
                    if let Ok(false) = self.flow.store().heartbeat(&task, self.lease_ms()).await {
                        job.abort();
                        tracing::warn!(task = %task.id, kind = %task.kind, "the lease was lost; the work is dropped");
                        return;
                    }
                }
            }
        };
        let settlement = match result {
            Ok(Ok(settlement)) => settlement,
            Ok(Err(error)) => self.failed(&task, error, age).await,
            Err(panic) => {
                tracing::error!(task = %task.id, kind = %task.kind, %panic, "a task panicked");
                self.retry(&task, "the task panicked".to_owned()).await
            }
        };
        self.settle(&task, settlement).await;
    }

    async fn settle(&self, task: &ClaimedTask, settlement: Settlement) {
        let Err(error) = self.flow.store().settle(task, settlement.outcome, settlement.writes).await else {
            return;
        };
        match error.kind() {
            StoreErrorKind::Fenced => {
                tracing::warn!(task = %task.id, "somebody else has the task; the result is dropped");
            }
            // Its lease runs out and it is done again; that is why every job can be.
            _ => tracing::error!(task = %task.id, kind = %task.kind, %error, "a task could not be settled"),
        }
    }

    async fn failed(&self, task: &ClaimedTask, error: JobError, age: Duration) -> Settlement {
        // A call that fails while its integration ends fails of that.
        if let Some(end) = self.abandoned(task).await {
            return end;
        }
        let error = match error {
            JobError::Forge(error) => error,
            JobError::Store(message) => return self.retry(task, message).await,
            JobError::Dead(message) => return self.dead(task, message).await,
        };
        match verdict(&error, age, rand::random()) {
            Verdict::Park => self.park(task, &error, age).await,
            // It is the same task for ever: its age says nothing.
            _ if task.kind == POLL => self.next_turn(),
            Verdict::Wait(pause) => wait(pause),
            Verdict::GiveUp => self.dead(task, error.to_string()).await,
        }
    }

    /// Lets everything of the integration wait for a new credential, if it is the one of now that the forge refuses. The
    /// call may have been made with the one before; and some forges refuse single requests that the credential may not make.
    async fn park(&self, task: &ClaimedTask, error: &forge_core::Error, age: Duration) -> Settlement {
        let id = task.integration.as_deref().unwrap_or_default();
        let Ok(integration) = self.flow.integration(&task.workspace, id).await else {
            return wait(SOON);
        };
        let is_dead = integration.parked_reason.is_some() || error.kind() == ErrorKind::InvalidGrant;
        if !is_dead && !self.flow.is_refused(&integration).await.unwrap_or(false) {
            return wait((age / 2).clamp(SOON, LONGEST_PAUSE));
        }
        Settlement { writes: Flow::park_writes(&integration, error.message()), ..wait(SOON) }
    }

    /// The end of a task whose integration was disconnected: nothing can be done for it any more.
    async fn abandoned(&self, task: &ClaimedTask) -> Option<Settlement> {
        let id = task.integration.as_deref()?;
        let integration = self.flow.store().get_integration(&task.workspace, id).await.ok()?;
        if integration.is_some_and(|integration| integration.removed_at.is_none()) {
            return None;
        }
        let writes = jobs::abandon(&self.flow, task, "the integration was disconnected").await;
        Some(Settlement { outcome: Outcome::Done, writes })
    }

    fn next_turn(&self) -> Settlement {
        wait(Duration::from_millis(u64::try_from(self.flow.config().poll_interval_ms).unwrap_or(60_000)))
    }

    async fn retry(&self, task: &ClaimedTask, error: String) -> Settlement {
        if task.attempts >= task.max_attempts {
            return self.dead(task, error).await;
        }
        let limit = 500_i64 << task.attempts.clamp(0, 8);
        let delay_ms = (f64::from(i32::try_from(limit).unwrap_or(i32::MAX)) * rand::random::<f64>()) as i64;
        Settlement { outcome: Outcome::Retry { delay_ms, error }, writes: Vec::new() }
    }

    async fn dead(&self, task: &ClaimedTask, error: String) -> Settlement {
        if jobs::is_recurring(&task.kind) {
            // Given up, it would never come again, and nobody would miss it.
            tracing::error!(task = %task.id, kind = %task.kind, %error, "a task failed; it comes again");
            return self.next_turn();
        }
        tracing::error!(task = %task.id, kind = %task.kind, %error, "a task was given up");
        let writes: Vec<Write> = jobs::give_up(&self.flow, task, &error).await;
        Settlement { outcome: Outcome::Dead { error }, writes }
    }

    async fn age(&self, task: &ClaimedTask) -> Duration {
        let now = self.flow.store().now().await.unwrap_or(task.created_at);
        Duration::from_millis(u64::try_from(now - task.created_at).unwrap_or(0))
    }
}

/// What a trace shows of a task. One that comes again and again begins a trace each time.
fn span(task: &ClaimedTask) -> Span {
    let Some(context) = rca_store::trace_context() else { return Span::none() };
    let span = tracing::info_span!(
        target: SPANS, "task", otel.name = %task.kind, otel.kind = "consumer", task = %task.id, attempt = task.attempts
    );
    let parent = rca_store::trace_parent(&task.payload);
    if let Some(parent) = parent.filter(|_| !matches!(task.kind.as_str(), POLL | CHECK | PRUNE)) {
        context.follow(&span, parent);
    }
    span
}

fn wait(pause: Duration) -> Settlement {
    let delay_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    Settlement { outcome: Outcome::Wait { delay_ms }, writes: Vec::new() }
}
