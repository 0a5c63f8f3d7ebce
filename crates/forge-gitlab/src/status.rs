//! GitLab's words for where a pipeline or job stands.

use forge_core::model::{Conclusion, Status};

/// Status and conclusion of a status word. Words of newer versions are `Unknown`, never an error.
///
/// `manual` counts as ended: nothing comes of it until a person presses the button.
pub(crate) fn from_word(word: &str, failure_reason: Option<&str>) -> (Status, Option<Conclusion>) {
    match word {
        "created"
        | "waiting_for_resource"
        | "preparing"
        | "waiting_for_callback"
        | "pending"
        | "scheduled" => (Status::Queued, None),
        "running" | "canceling" => (Status::Running, None),
        "success" => (Status::Completed, Some(Conclusion::Success)),
        "failed" => (Status::Completed, Some(failure(failure_reason))),
        "canceled" => (Status::Completed, Some(Conclusion::Cancelled)),
        "skipped" => (Status::Completed, Some(Conclusion::Skipped)),
        "manual" => (Status::Completed, Some(Conclusion::Manual)),
        _ => (Status::Unknown, None),
    }
}

fn failure(reason: Option<&str>) -> Conclusion {
    match reason {
        Some("job_execution_timeout") => Conclusion::TimedOut,
        Some("config_error") => Conclusion::StartupFailure,
        _ => Conclusion::Failure,
    }
}

/// Pipelines that GitLab shows but that no job of a repository's own CI is behind.
pub(crate) fn has_no_logs(source: &str) -> bool {
    // `external`: made of commit statuses that others (and we) report. `duo_workflow`: the session of an agent.
    matches!(source, "external" | "duo_workflow")
}
