//! Sending one notification to one channel: once, and until it arrives.
//!
//! What may have arrived is never sent again, unless the channel itself shows the same message once. The row says
//! `sending` from before the request on, so that after a crash nobody wonders.

use std::time::Duration;

use forge_core::{Error, ErrorKind, Retry};
use rca_notify::{Message, Notifier, Place, Sent};
use rca_store::{Channel, ClaimedTask, NewIncident, NewTask, Notification, Write};
use serde_json::json;

use super::{JobError, JobResult, NOTIFY, Settlement, field};
use crate::{
    channels::repaired,
    connect::value,
    flow::Flow,
    policy::{Verdict, verdict},
};

/// So many messages in a row that a channel refuses for good switch it off.
const REFUSALS: i64 = 5;
/// How long a message waits for the one that it answers.
const BEFORE_ME: Duration = Duration::from_secs(2);

/// What is said of a message that a process left in the middle.
const LEFT: &str = "the process ended while it was being sent; sending again might say it twice";

/// Sends the notification `id`.
pub(crate) fn notify_task(workspace: &str, id: &str) -> NewTask {
    NewTask::new(workspace, NOTIFY, format!("notify:{id}"), json!({ "notification": id })).with_priority(5)
}

/// The code of the incident that tells of a channel that was switched off.
pub(crate) fn incident_code(channel: &str) -> String {
    format!("channel_disabled:{channel}")
}

pub(super) async fn run(flow: &Flow, task: &ClaimedTask, age: Duration) -> JobResult {
    let id: String = field(task, "notification")?;
    let store = flow.store();
    let Some(row) = store.get_notification(&task.workspace, &id).await? else {
        return Ok(Settlement::done(Vec::new()));
    };
    if !matches!(row.state.as_str(), "pending" | "sending") {
        return Ok(Settlement::done(Vec::new()));
    }
    let Some(channel) = store.get_channel(&task.workspace, &row.channel).await? else {
        return Ok(Settlement::done(Vec::new()));
    };
    if !channel.enabled && row.state == "sending" && row.sent.is_none() {
        // A test, which is sent to channels that are switched off, too.
        return Ok(Settlement::done(vec![ended(&row, "unknown", Some(LEFT.to_owned()), None)]));
    }
    if !channel.enabled {
        let reason = channel.disabled_reason.as_deref().unwrap_or("the channel is switched off");
        return Ok(Settlement::done(vec![ended(&row, "skipped", Some(reason.to_owned()), None)]));
    }
    let thread = match &row.thread {
        Some(thread) => store.get_notification(&task.workspace, thread).await?,
        None => None,
    };
    if thread
        .as_ref()
        .is_some_and(|thread| matches!(thread.state.as_str(), "pending" | "sending") && thread.sent.is_none())
    {
        return Ok(Settlement::wait(BEFORE_ME));
    }
    let notifier = match flow.open_channel(&channel).await {
        Ok(notifier) => notifier,
        // What cannot even be opened is for a person.
        Err(error) if error.kind.status() < 500 => {
            let error = Error::new(ErrorKind::NotFound, error.message);
            return Ok(Settlement::done(refused(&channel, &row, &error)));
        }
        Err(error) => return Err(error.into()),
    };
    if row.state == "sending" && row.sent.is_none() && !notifier.is_repeatable() {
        return Ok(Settlement::done(vec![ended(&row, "unknown", Some(LEFT.to_owned()), None)]));
    }
    let earlier =
        |row: &Notification| row.sent.clone().and_then(|sent| serde_json::from_value::<Sent>(sent).ok());
    let own = earlier(&row);
    if own.is_some() && !notifier.can_edit() {
        // It has been said; what changed since is not said again.
        return Ok(Settlement::done(vec![ended(&row, "sent", None, None)]));
    }
    let root = thread.as_ref().and_then(earlier);
    let mut message: Message = serde_json::from_value(row.message.clone())
        .map_err(|_| JobError::Dead("the stored message cannot be read".to_owned()))?;
    message.key = if row.revision == 0 { row.id.clone() } else { format!("{}.{}", row.id, row.revision) };
    let place = match (&own, &root) {
        (Some(own), _) => Place::Edit(own),
        (None, Some(root)) => Place::Reply(root),
        (None, None) => Place::New,
    };
    if row.state == "pending" && !store.begin_sending(&task.workspace, &row.id).await? {
        return Ok(Settlement::wait(BEFORE_ME));
    }
    match notifier.send(&message, place).await {
        Ok(sent) => {
            // An edited message keeps its name.
            let sent = own.is_none().then(|| value(&sent));
            let mut writes = vec![ended(&row, "sent", None, sent)];
            if channel.refusals > 0 {
                writes.extend(repaired(&channel));
            }
            Ok(Settlement::done(writes))
        }
        Err(error) => Ok(failed(&*notifier, &channel, &row, &error, age)),
    }
}

fn failed(
    notifier: &dyn Notifier,
    channel: &Channel,
    row: &Notification,
    error: &Error,
    age: Duration,
) -> Settlement {
    // The same change made twice shows once, whatever the channel.
    let is_edit = row.sent.is_some();
    if is_lost(error) && !is_edit && !notifier.is_repeatable() {
        return Settlement::done(vec![ended(row, "unknown", Some(lost(error)), None)]);
    }
    if is_refusal(error) {
        return Settlement::done(refused(channel, row, error));
    }
    let pause = match verdict(error, age, rand::random()) {
        Verdict::Wait(pause) => pause,
        Verdict::Park | Verdict::GiveUp if is_edit => {
            let text = format!("it arrived, and could not be changed since: {error}");
            return Settlement::done(vec![ended(row, "sent", Some(text), None)]);
        }
        Verdict::Park | Verdict::GiveUp => {
            return Settlement::done(vec![ended(row, "failed", Some(error.to_string()), None)]);
        }
    };
    let said = ended(row, "pending", Some(error.to_string()), None);
    Settlement { writes: vec![said], ..Settlement::wait(pause) }
}

/// Whether the channel may have the message, though no answer says so.
pub(crate) fn is_lost(error: &Error) -> bool {
    let is_silent =
        matches!(error.kind(), ErrorKind::Timeout | ErrorKind::UnexpectedResponse | ErrorKind::Unreachable);
    // A gateway that gave up waiting has passed it on.
    (is_silent && !error.is_unsent()) || error.status() == Some(504)
}

/// What is said of it then.
pub(crate) fn lost(error: &Error) -> String {
    format!("{error}; it may have arrived, and sending again might say it twice")
}

/// Whether only a person can help.
fn is_refusal(error: &Error) -> bool {
    error.retry() == Retry::Never
        && matches!(
            error.kind(),
            ErrorKind::Unauthorized
                | ErrorKind::InvalidGrant
                | ErrorKind::Forbidden
                | ErrorKind::NotFound
                | ErrorKind::Gone
                | ErrorKind::AddressRefused
                | ErrorKind::InvalidInput
        )
}

/// The channel takes nothing: after a few such answers, or one that leaves no doubt, it is switched off, and somebody
/// is told.
fn refused(channel: &Channel, row: &Notification, error: &Error) -> Vec<Write> {
    let refusals = channel.refusals + 1;
    let is_final = matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Gone) || refusals >= REFUSALS;
    let mut writes = vec![
        ended(row, "failed", Some(error.to_string()), None),
        Write::SetChannelHealth {
            workspace: channel.workspace.clone(),
            id: channel.id.clone(),
            refusals,
            disabled_reason: is_final.then(|| error.to_string()),
        },
    ];
    if is_final {
        writes.push(Write::OpenIncident(NewIncident {
            workspace: channel.workspace.clone(),
            code: incident_code(&channel.id),
            severity: "medium".to_owned(),
            message: format!("nothing is sent to the channel {} any more: {error}", channel.name),
            remedy: "repair its configuration with PATCH /v1/channels/{id}, or try it with POST \
                     /v1/channels/{id}/test; when that arrives it goes on"
                .replace("{id}", &channel.id),
            ..NewIncident::default()
        }));
    }
    writes
}

fn ended(row: &Notification, state: &str, error: Option<String>, sent: Option<serde_json::Value>) -> Write {
    Write::SetNotification {
        workspace: row.workspace.clone(),
        id: row.id.clone(),
        state: state.to_owned(),
        error,
        sent,
    }
}

/// What is written when the task is given up.
pub(super) async fn give_up(flow: &Flow, task: &ClaimedTask, reason: &str) -> Vec<Write> {
    let Ok(id) = field::<String>(task, "notification") else { return Vec::new() };
    match flow.store().get_notification(&task.workspace, &id).await {
        Ok(Some(row)) if matches!(row.state.as_str(), "pending" | "sending") => {
            vec![ended(&row, "failed", Some(reason.to_owned()), None)]
        }
        _ => Vec::new(),
    }
}
