//! One message a day instead of each: what is red, new, seen again and fixed since the last.
//!
//! What would have been told is held in the delivery log together with the task that makes the digest of it, so that a
//! day on which nothing happened has none. The digest, the end of what it tells and the mark of its day are one write.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use rca_notify::{Link, Message, Tone};
use rca_store::{Channel, ClaimedTask, NewTask, Notification, Write, new_id};
use serde_json::{Value, json};

use super::{
    DIGEST, JobError, JobResult, Settlement,
    announce::{Told, notification},
    field,
    notify::notify_task,
};
use crate::{connect::timestamp, flow::Flow};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Entries of each part that are named, and links; further entries are counted.
const NAMED: usize = 12;

/// The hour (UTC) of the settings at which digests are sent; `None`: there are none.
pub(crate) fn digest_hour(settings: &Value) -> Option<i64> {
    settings.pointer("/digest/hour").and_then(Value::as_i64).filter(|hour| (0..24).contains(hour))
}

/// When channels of a workspace are told, where that is once a day.
pub(super) struct Days {
    hour: Option<i64>,
    now: i64,
}

impl Days {
    pub(super) async fn of(flow: &Flow, workspace: &str) -> Result<Self, JobError> {
        let hour = digest_hour(&flow.store().get_settings(workspace).await?);
        Ok(Self { hour, now: flow.store().now().await? })
    }

    /// Everything at once.
    pub(super) fn none() -> Self {
        Self { hour: None, now: 0 }
    }

    /// How long the channel waits for its digest, where it has one.
    pub(super) fn hold(&self, channel: &Channel) -> Option<i64> {
        self.hour.filter(|_| channel.digest).map(|hour| last_due(self.now, hour) + DAY_MS - self.now)
    }
}

/// The last time that it was this hour.
fn last_due(now: i64, hour: i64) -> i64 {
    let today = now - now.rem_euclid(DAY_MS) + hour * 60 * 60 * 1000;
    if today <= now { today } else { today - DAY_MS }
}

/// Makes the digest of a channel when it is time.
pub(crate) fn digest_task(channel: &Channel, delay_ms: i64) -> NewTask {
    let payload = json!({ "channel": channel.id });
    NewTask::new(channel.workspace.clone(), DIGEST, format!("digest:{}", channel.id), payload)
        .with_delay_ms(delay_ms)
}

/// The day of the last digest of a channel, and when it was.
fn mark_of(channel: &str) -> String {
    format!("digest:{channel}")
}

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let id: String = field(task, "channel")?;
    let store = flow.store();
    let Some(channel) = store.get_channel(&task.workspace, &id).await? else {
        return Ok(Settlement::done(Vec::new()));
    };
    let held = store.held_notifications(&task.workspace, &id).await?;
    let Some(oldest) = held.first() else { return Ok(Settlement::done(Vec::new())) };
    let days = Days::of(flow, &task.workspace).await?;
    let mark = store.get_mark(&task.workspace, &mark_of(&id)).await?;
    let told = |name| mark.as_ref().and_then(|mark| mark.get(name)).and_then(Value::as_i64);
    let last = told("at");
    let (key, since, due) = match days.hour.filter(|_| channel.digest) {
        Some(hour) => {
            let due = last_due(days.now, hour);
            // Its day counts and not when it was made: one that is late, because nobody ran, does not cost the next.
            let is_told_today = told("due").or(last).is_some_and(|last| day(last) >= day(due));
            if oldest.created_at > due || is_told_today {
                let left = due + DAY_MS - days.now;
                return Ok(Settlement::wait(Duration::from_millis(u64::try_from(left).unwrap_or(0))));
            }
            (format!("digest:{}", day(due)), last.unwrap_or(due - DAY_MS), due)
        }
        // There are no more digests here: what waits for one is told now.
        None => (format!("digest:{}", new_id()), last.unwrap_or(oldest.created_at), days.now),
    };
    let message = compose(flow, &channel, &held, since).await?;
    let row = notification(&channel, key, &message, &Told::default());
    let mut writes: Vec<Write> = held
        .iter()
        .map(|row| Write::SetNotification {
            workspace: task.workspace.clone(),
            id: row.id.clone(),
            state: "skipped".to_owned(),
            error: Some("it was told in a digest".to_owned()),
            sent: None,
        })
        .collect();
    writes.push(Write::Enqueue(notify_task(&row.workspace, &row.id)));
    writes.push(Write::PutNotification(Box::new(row)));
    writes.push(Write::SetMark {
        workspace: task.workspace.clone(),
        name: mark_of(&id),
        value: json!({ "at": days.now, "due": due }),
    });
    Ok(Settlement::done(writes))
}

/// The day in UTC, as `2026-11-21`.
fn day(at: i64) -> String {
    timestamp(at).to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

async fn compose(
    flow: &Flow,
    channel: &Channel,
    held: &[Notification],
    since: i64,
) -> Result<Message, JobError> {
    let store = flow.store();
    let open = store.open_notifications(&channel.workspace, &channel.id).await?;
    let red: Vec<&Notification> = open.iter().filter(|row| row.event == "analysis.failed").collect();
    let (mut new, mut again, mut fixed) = (Vec::new(), Vec::new(), Vec::new());
    for row in held {
        if row.event == "run.fixed" {
            fixed.push(row);
            continue;
        }
        let cluster = match &row.cluster {
            Some(id) => store.get_cluster(&channel.workspace, id).await?,
            None => None,
        };
        let is_known = cluster.is_some_and(|cluster| cluster.first_seen_at < since);
        if is_known { again.push(row) } else { new.push(row) }
    }
    let parts = [("red", red), ("new", new), ("seen again", again), ("fixed", fixed)];
    let counts: Vec<String> = parts.iter().map(|(name, part)| format!("{} {name}", part.len())).collect();
    let is_red = parts.first().is_some_and(|(_, part)| !part.is_empty());
    let tone = if is_red { Tone::Bad } else { Tone::Good };
    let title = format!("{} since {}", counts.join(", "), at_hour(since));
    let mut message = Message::new("digest", tone, title);
    let mut data = serde_json::Map::new();
    for (name, part) in &parts {
        // What is new is red as well, and named once.
        let is_told = |row: &Notification| *name == "red" && held.iter().any(|held| held.id == row.id);
        let (label, named): (_, Vec<_>) = match *name {
            "red" => ("still red", part.iter().filter(|row| !is_told(row)).collect()),
            name => (name, part.iter().collect()),
        };
        for row in named.iter().take(NAMED) {
            message.text.push(format!("{label}: {}", row.subject));
            let link = link(row).filter(|link| !message.links.iter().any(|known| known.url == link.url));
            message.links.extend(link.filter(|_| message.links.len() < NAMED));
        }
        if named.len() > NAMED {
            message.text.push(format!("{label}: and {} more", named.len() - NAMED));
        }
        let facts = part.iter().map(|row| row.message.get("data").cloned().unwrap_or_default());
        data.insert(name.replace(' ', "_"), facts.collect());
    }
    "digest".clone_into(&mut message.event);
    data.insert("since".to_owned(), Value::from(timestamp(since).to_string()));
    message.data = Value::Object(data);
    Ok(message)
}

fn at_hour(at: i64) -> String {
    let at: Timestamp = timestamp(at);
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The run, called by where it is.
fn link(row: &Notification) -> Option<Link> {
    let message: Message = serde_json::from_value(row.message.clone()).ok()?;
    let url = message.links.into_iter().next()?.url;
    let fact =
        |name: &str| message.facts.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
    let place = [fact("repository"), fact("branch")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(Link { label: if place.is_empty() { "the run".to_owned() } else { place }, url })
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, last_due};

    #[test]
    fn the_last_time_of_an_hour() {
        let hour = 60 * 60 * 1000;
        let midnight = 20_000 * DAY_MS;
        for (now, wanted, due) in [
            (midnight, 0, midnight),
            (midnight + 1, 0, midnight),
            (midnight - 1, 0, midnight - DAY_MS),
            (midnight + 8 * hour, 8, midnight + 8 * hour),
            (midnight + 8 * hour - 1, 8, midnight - 16 * hour),
            (midnight + 23 * hour, 8, midnight + 8 * hour),
        ] {
            assert_eq!(last_due(now, wanted), due, "{now} {wanted}");
        }
    }
}
