//! What cannot be said now is said later: over a cap of ours, over a limit of the forge, or while the forge is down.

use std::time::Duration;

use forge_core::{ErrorKind, Retry};
use rca_store::Write;
use serde_json::Value;

use super::{Context, JobError};
use crate::{
    connect::timestamp,
    flow::Flow,
    introduced_by::minute,
    policy::{Verdict, verdict},
};

const LIMITED: &str = "limited:";

/// A text that is not said yet.
pub(super) struct Later {
    /// How long to wait.
    pub(super) pause: Duration,
    /// For people.
    pub(super) reason: String,
}

/// How an attempt to say something ended.
pub(super) enum Said {
    /// It stands there, or every way is closed for good.
    Done,
    /// It waits.
    Later(Later),
    /// It was tried long enough.
    GivenUp(String),
}

impl Said {
    /// Both of them: what waits comes before what was given up, so that it is said.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Later(one), Self::Later(other)) => {
                Self::Later(if one.pause <= other.pause { one } else { other })
            }
            (later @ Self::Later(_), _) | (_, later @ Self::Later(_)) => later,
            (given_up @ Self::GivenUp(_), _) | (_, given_up @ Self::GivenUp(_)) => given_up,
            (Self::Done, Self::Done) => Self::Done,
        }
    }
}

/// Remembers until when the forge wants no requests of an integration, for other processes and the next start: within
/// one process the HTTP client keeps it.
fn limit_mark(integration: &str) -> String {
    format!("{LIMITED}{integration}")
}

/// How long the forge wants to hear nothing from this integration.
pub(super) async fn limited(flow: &Flow, context: &Context) -> Result<Option<Duration>, JobError> {
    let mark = limit_mark(&context.integration.id);
    let until = flow.store().get_mark(&context.integration.workspace, &mark).await?;
    let Some(until) = until.as_ref().and_then(Value::as_i64) else { return Ok(None) };
    let left = until - flow.store().now().await?;
    Ok(u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis))
}

/// Whether what is written says that the forge wants to hear nothing for a while.
pub(super) fn limits(writes: &[Write]) -> bool {
    writes.iter().any(|write| matches!(write, Write::SetMark { name, .. } if name.starts_with(LIMITED)))
}

/// What becomes of a text after a failure that closes no way.
pub(super) async fn after(
    flow: &Flow,
    context: &Context,
    error: forge_core::Error,
    age: Duration,
    writes: &mut Vec<Write>,
) -> Result<Said, JobError> {
    let pause = match verdict(&error, age, rand::random()) {
        Verdict::Park => return Err(error.into()),
        Verdict::GiveUp => return Ok(Said::GivenUp(error.to_string())),
        Verdict::Wait(pause) => pause,
    };
    let now = flow.store().now().await?;
    let until = now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
    if let (ErrorKind::RateLimited, Retry::After(_)) = (error.kind(), error.retry()) {
        writes.push(Write::SetMark {
            workspace: context.integration.workspace.clone(),
            name: limit_mark(&context.integration.id),
            value: Value::from(until),
        });
    }
    let reason = format!("{error}; it is tried again at {}", minute(timestamp(until)));
    Ok(Said::Later(Later { pause, reason }))
}
