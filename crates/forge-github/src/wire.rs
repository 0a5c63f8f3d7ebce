//! What GitHub sends, as it sends it, and how that becomes the shared model.
//!
//! Every field but ids is optional: versions differ, and a null must not cost the answer.

mod ci;
mod facts;
mod feedback;
mod repo;

pub(crate) use ci::{Job, JobPage, Run, RunPage};
pub(crate) use facts::{AnnotationAnswer, CommitAnswer, Comparison, FileAnswer, OneCommit};
pub(crate) use feedback::{Author, CheckRunAnswer, CheckRunPage, IssueAnswer, PostedComment, StatusAnswer};
use forge_core::model::{Conclusion, RefType, Status};
use jiff::Timestamp;
pub(crate) use repo::{DeliveryAnswer, HookAnswer, PullRequestAnswer, Repository, RepositoryPage, User};

pub(crate) fn status(word: &str) -> Status {
    match word {
        "queued" | "requested" | "waiting" | "pending" => Status::Queued,
        "in_progress" => Status::Running,
        "completed" => Status::Completed,
        _ => Status::Unknown,
    }
}

pub(crate) fn conclusion(word: &str) -> Conclusion {
    match word {
        "success" => Conclusion::Success,
        "failure" => Conclusion::Failure,
        "cancelled" => Conclusion::Cancelled,
        "timed_out" => Conclusion::TimedOut,
        "skipped" => Conclusion::Skipped,
        "neutral" => Conclusion::Neutral,
        "action_required" => Conclusion::ActionRequired,
        "startup_failure" => Conclusion::StartupFailure,
        "stale" => Conclusion::Stale,
        _ => Conclusion::Unknown,
    }
}

/// Branch or tag of a run. GitHub calls both `head_branch`: a tag is known by its event, or where the path of the
/// workflow carries the reference.
pub(crate) fn run_ref(
    head_branch: Option<String>,
    event: Option<&str>,
    path: Option<&str>,
) -> (Option<String>, Option<RefType>) {
    let Some(name) = head_branch.filter(|name| !name.is_empty()) else { return (None, None) };
    if let Some(tag) = name.strip_prefix("refs/tags/") {
        return (Some(tag.to_owned()), Some(RefType::Tag));
    }
    if let Some(branch) = name.strip_prefix("refs/heads/") {
        return (Some(branch.to_owned()), Some(RefType::Branch));
    }
    let is_tag = event == Some("release")
        || path
            .and_then(|path| path.split_once("@refs/tags/"))
            .is_some_and(|(_, tag)| tag == name && event == Some("push"));
    (Some(name), Some(if is_tag { RefType::Tag } else { RefType::Branch }))
}

/// The pull request of a merge queue's branch, `gh-readonly-queue/<base>/pr-<number>-<sha>`.
pub(crate) fn merge_queue_pull_request(branch: &str) -> Option<String> {
    let (_, last) = branch.strip_prefix("gh-readonly-queue/")?.rsplit_once('/')?;
    let (number, _) = last.strip_prefix("pr-")?.split_once('-')?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.to_owned())
}

/// Run and job of an address that ends in `/actions/runs/<run>/job/<job>`.
pub(crate) fn ids_of_actions_url(address: &str) -> (Option<String>, Option<String>) {
    let after = |text: &str, marker: &str| {
        let (_, rest) = text.split_once(marker)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then_some(digits)
    };
    (after(address, "/actions/runs/"), after(address, "/job/"))
}

/// A time as GitHub prints it; `None` when it prints something else.
pub(crate) fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

pub(crate) fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
