//! What is decided without asking anybody: what is said where, and when a failed task is tried again.

use std::time::Duration;

use forge_core::{ErrorKind, ForgeKind, Retry};
use serde_json::Value;

use crate::types::{FeedbackChange, FeedbackPolicy};

/// How long a task waits for a forge that is down before it is given up.
const OUTAGE: Duration = Duration::from_hours(72);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// What becomes of a task whose call to a forge failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The credential is dead: the integration waits for a new one, its tasks with it.
    Park,
    /// The forge cannot now: look again later, without counting it as a failure of the task.
    Wait(Duration),
    /// It cannot succeed.
    GiveUp,
}

/// Decides from what the forge answered and how old the task is.
///
/// Pauses grow with the age of the task, so that a forge that was down for a day is not asked every second, and each
/// is random up to its limit, so that a thousand waiting tasks do not come back in the same second.
#[must_use]
pub fn verdict(error: &forge_core::Error, age: Duration, random: f64) -> Verdict {
    if error.kind().is_credential() {
        return Verdict::Park;
    }
    let limit = (age / 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
    let jitter = limit.mul_f64(random.clamp(0.0, 1.0)).max(Duration::from_millis(200));
    match error.retry() {
        Retry::Never => Verdict::GiveUp,
        _ if age > OUTAGE => Verdict::GiveUp,
        Retry::After(pause) => Verdict::Wait(pause.max(Duration::from_millis(200)) + jitter / 4),
        _ => Verdict::Wait(jitter),
    }
}

/// Whether a refusal means that this way of saying it is closed, so that the next one is tried.
#[must_use]
pub fn falls_through(error: &forge_core::Error) -> bool {
    // GitHub tells of its limits with 403 too.
    if error.kind().is_transient() {
        return false;
    }
    matches!(error.status(), Some(401 | 403 | 404 | 410 | 422))
        || matches!(
            error.kind(),
            ErrorKind::Forbidden
                | ErrorKind::NotFound
                | ErrorKind::Gone
                | ErrorKind::Invalid
                | ErrorKind::Unsupported
                | ErrorKind::Conflict
        )
}

/// What is said where nobody has decided otherwise.
///
/// An external status becomes a job of GitLab's pipeline (GitLab docs, ci/pipelines: external jobs), so it is off
/// there.
#[must_use]
pub fn default_feedback(forge: ForgeKind) -> FeedbackPolicy {
    FeedbackPolicy {
        pr_comment: true,
        commit_comment: true,
        issue: false,
        status: forge != ForgeKind::GITLAB,
    }
}

/// The policy that holds: the integration's own wish before the workspace's before the default. What the workspace has
/// switched off stays off: an integration cannot switch it on.
#[must_use]
pub fn feedback(defaults: FeedbackPolicy, workspace: &Value, integration: &Value) -> FeedbackPolicy {
    let read = |wish: &Value| serde_json::from_value::<FeedbackChange>(wish.clone()).unwrap_or_default();
    let (workspace, integration) = (read(workspace), read(integration));
    let holds = |default: bool, workspace: Option<bool>, own: Option<bool>| {
        workspace != Some(false) && own.or(workspace).unwrap_or(default)
    };
    FeedbackPolicy {
        pr_comment: holds(defaults.pr_comment, workspace.pr_comment, integration.pr_comment),
        commit_comment: holds(defaults.commit_comment, workspace.commit_comment, integration.commit_comment),
        issue: holds(defaults.issue, workspace.issue, integration.issue),
        status: holds(defaults.status, workspace.status, integration.status),
    }
}
