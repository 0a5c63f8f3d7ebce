//! Changes that a task makes together with its settlement, all or nothing.

use crate::analysis::{Analysis, Feedback};
use crate::audit::NewAudit;
use crate::channel::Channel;
use crate::cluster::ClusterHit;
use crate::comment::Comment;
use crate::delivery::DeliveryStatus;
use crate::error::Result;
use crate::hook::HookChange;
use crate::incident::NewIncident;
use crate::notification::Notification;
use crate::seal::KeyRing;
use crate::secrets::{SealedSecret, SecretOwner};
use crate::stats::FinishedRun;
use crate::store::{Store, new_id};
use crate::task::NewTask;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::AnyConnection;

/// One change. Those of a list are made in order, in one transaction.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Write {
    /// Enqueues a task, as [`Store::enqueue`] does.
    Enqueue(NewTask),
    /// Stores an analysis as it is now; that of the same job keeps its id.
    UpsertAnalysis(Box<Analysis>),
    /// Sets where a delivery is on its way; `analyses` are added.
    SetDeliveryStatus {
        /// The workspace.
        workspace: String,
        /// The delivery.
        id: String,
        /// The new status.
        status: DeliveryStatus,
        /// Why.
        reason: Option<String>,
        /// The analyses that it led to.
        analyses: Vec<String>,
    },
    /// Stores a comment that was posted or edited.
    UpsertComment(Comment),
    /// Stores what was posted for an analysis, or why not.
    RecordFeedback {
        /// The workspace.
        workspace: String,
        /// The record.
        feedback: Feedback,
    },
    /// Counts a failure in its cluster; the analysis must be stored before.
    UpsertCluster(ClusterHit),
    /// Sets the state of a cluster, and what fixed it.
    SetClusterState {
        /// The workspace.
        workspace: String,
        /// The cluster.
        id: String,
        /// `active`, `acknowledged` or `resolved`.
        state: String,
        /// The commit that fixed it; `None` keeps the last one.
        last_fix: Option<String>,
    },
    /// Notes how a run ended; the same attempt again changes the note.
    RecordRun(FinishedRun),
    /// Changes a hook.
    SetHookState {
        /// The workspace.
        workspace: String,
        /// The hook.
        id: String,
        /// What changes.
        change: HookChange,
    },
    /// Stores the health of an integration.
    SetIntegrationHealth {
        /// The workspace.
        workspace: String,
        /// The integration.
        id: String,
        /// The health object.
        health: Value,
    },
    /// Makes the tasks of an integration wait: the forge rejects its credential.
    ParkIntegration {
        /// The workspace.
        workspace: String,
        /// The integration.
        id: String,
        /// Why.
        reason: String,
    },
    /// Lets the tasks of an integration go on.
    UnparkIntegration {
        /// The workspace.
        workspace: String,
        /// The integration.
        id: String,
    },
    /// Opens an incident unless one of its kind is open.
    OpenIncident(NewIncident),
    /// Closes the open incident of a kind, if there is one.
    ResolveIncident {
        /// The workspace.
        workspace: String,
        /// What was wrong.
        code: String,
        /// The integration.
        integration: Option<String>,
        /// The repository.
        repository: Option<String>,
    },
    /// Sets a mark, such as how far a poll has come.
    SetMark {
        /// The workspace.
        workspace: String,
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
    },
    /// Seals and stores a secret.
    PutSecret {
        /// The workspace.
        workspace: String,
        /// What it belongs to.
        owner: SecretOwner,
        /// Its name.
        name: String,
        /// The secret.
        secret: SecretString,
    },
    /// Appends to the audit.
    Audit(NewAudit),
    /// Stores a channel as it is now.
    PutChannel(Channel),
    /// Notes how a channel behaves: refusals in a row, and why nothing more is sent to it. None and no refusals lets a
    /// channel that was stopped so go on.
    SetChannelHealth {
        /// The workspace.
        workspace: String,
        /// The channel.
        id: String,
        /// Refusals in a row.
        refusals: i64,
        /// Why nothing more is sent.
        disabled_reason: Option<String>,
    },
    /// Removes a channel with its log and its secrets.
    DeleteChannel {
        /// The workspace.
        workspace: String,
        /// The channel.
        id: String,
    },
    /// Writes a notification down; the same key of the same channel changes the text of the one that is there.
    PutNotification(Box<Notification>),
    /// Notes how sending a notification went.
    SetNotification {
        /// The workspace.
        workspace: String,
        /// The notification.
        id: String,
        /// The new state.
        state: String,
        /// Why it was not sent.
        error: Option<String>,
        /// How the channel names it; `None` keeps what is known.
        sent: Option<Value>,
    },
}

impl Store {
    /// Makes changes without a task, in one transaction.
    ///
    /// # Errors
    /// What the first failing change failed with; then none is made.
    pub async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let keys = self.inner.keys.current();
        self.transact(move |connection, now| {
            Box::pin(async move { apply_all(connection, now, &keys, writes).await })
        })
        .await?;
        self.wake();
        Ok(())
    }
}

/// Makes the changes in order; neighbouring enqueues become one statement.
pub(crate) async fn apply_all(
    connection: &mut AnyConnection,
    now: i64,
    keys: &KeyRing,
    writes: Vec<Write>,
) -> Result<()> {
    let mut tasks = Vec::new();
    for write in writes {
        match write {
            Write::Enqueue(task) if tasks.len() < ENQUEUE_BATCH => tasks.push((new_id(), task)),
            write => {
                crate::task::enqueue_many(connection, now, std::mem::take(&mut tasks)).await?;
                apply(connection, now, keys, write).await?;
            }
        }
    }
    crate::task::enqueue_many(connection, now, tasks).await?;
    Ok(())
}

/// Rows of one enqueue; 13 values each, far below both engines' limits.
const ENQUEUE_BATCH: usize = 250;

async fn apply(connection: &mut AnyConnection, now: i64, keys: &KeyRing, write: Write) -> Result<()> {
    match write {
        Write::Enqueue(task) => crate::task::enqueue_one(connection, now, task).await.map(|_| ()),
        Write::UpsertAnalysis(analysis) => {
            crate::analysis::upsert(connection, now, &analysis).await?;
            crate::pages::note_tests(connection, now, &analysis).await
        }
        Write::SetDeliveryStatus { workspace, id, status, reason, analyses } => {
            crate::delivery::set_status(connection, now, &workspace, &id, status, reason, &analyses).await
        }
        Write::UpsertComment(comment) => crate::comment::upsert(connection, now, comment).await,
        Write::RecordFeedback { workspace, feedback } => {
            crate::analysis::record_feedback(connection, now, &workspace, feedback).await
        }
        Write::UpsertCluster(hit) => crate::cluster::hit(connection, now, hit).await,
        Write::SetClusterState { workspace, id, state, last_fix } => {
            crate::cluster::set_state(connection, now, &workspace, &id, &state, last_fix).await
        }
        Write::RecordRun(run) => crate::stats::record_run(connection, now, run).await,
        Write::SetHookState { workspace, id, change } => {
            crate::hook::update(connection, &workspace, &id, change).await
        }
        Write::SetIntegrationHealth { workspace, id, health } => {
            crate::integration::set_health(connection, &workspace, &id, &health).await
        }
        Write::ParkIntegration { workspace, id, reason } => {
            crate::integration::set_parked(connection, &workspace, &id, Some(reason)).await
        }
        Write::UnparkIntegration { workspace, id } => {
            crate::integration::set_parked(connection, &workspace, &id, None).await
        }
        Write::OpenIncident(incident) => crate::incident::open(connection, now, incident).await.map(|_| ()),
        Write::ResolveIncident { workspace, code, integration, repository } => {
            crate::incident::resolve(connection, now, &workspace, &code, integration, repository).await
        }
        Write::SetMark { workspace, name, value } => {
            crate::workspace::set_mark(connection, now, &workspace, &name, &value).await
        }
        Write::PutSecret { workspace, owner, name, secret } => {
            SealedSecret::new(keys, &workspace, &owner, &name, &secret)?.put(connection, now, None).await
        }
        Write::Audit(audit) => crate::audit::append(connection, now, &audit).await,
        Write::PutChannel(channel) => crate::channel::put(connection, now, channel).await,
        Write::SetChannelHealth { workspace, id, refusals, disabled_reason } => {
            crate::channel::set_health(connection, &workspace, &id, refusals, disabled_reason).await
        }
        Write::DeleteChannel { workspace, id } => crate::channel::delete(connection, &workspace, &id).await,
        Write::PutNotification(notification) => {
            crate::notification::put(connection, now, *notification).await
        }
        Write::SetNotification { workspace, id, state, error, sent } => {
            crate::notification::set(connection, now, &workspace, &id, &state, error, sent).await
        }
    }
}
