//! GitFlic's words for where a pipeline or job stands (docs.gitflic.ru, api/cicd).

use forge_core::model::{Conclusion, RefType, Status};

/// `MANUAL` counts as ended: nothing comes of it until a person presses the button.
pub(crate) fn status_of(word: &str) -> Status {
    match word {
        "CREATED" | "PENDING" | "WAITING_FOR_RESOURCE" | "SCHEDULED" | "PREPARING" => Status::Queued,
        "RUNNING" => Status::Running,
        "SUCCESS" | "WARNING" | "FAILED" | "CANCELED" | "CANCELLED" | "SKIPPED" | "MANUAL" => {
            Status::Completed
        }
        _ => Status::Unknown,
    }
}

/// A pipeline with a warning succeeded; a job with a warning failed and was allowed to, see [`super::job`].
pub(crate) fn conclusion_of(word: &str) -> Option<Conclusion> {
    Some(match word {
        "SUCCESS" | "WARNING" => Conclusion::Success,
        "FAILED" => Conclusion::Failure,
        "CANCELED" | "CANCELLED" => Conclusion::Cancelled,
        "SKIPPED" => Conclusion::Skipped,
        "MANUAL" => Conclusion::Manual,
        _ => return None,
    })
}

/// Name and kind of a reference: payloads write `refs/heads/main`, the API `main`.
pub(crate) fn branch_or_tag(text: Option<String>) -> (Option<String>, Option<RefType>) {
    let Some(text) = text else { return (None, None) };
    if let Some(tag) = text.strip_prefix("refs/tags/") {
        return (Some(tag.to_owned()), Some(RefType::Tag));
    }
    let name = text.strip_prefix("refs/heads/").unwrap_or(&text).to_owned();
    (Some(name), Some(RefType::Branch))
}
