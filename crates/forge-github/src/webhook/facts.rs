use forge_core::{
    Result,
    model::{Conclusion, Event, EventKind, RefType, Status},
};

use super::{Payload, event, refused};
use crate::wire;

/// The facts of the payload of event `name`.
pub(super) fn read(name: &str, payload: Payload<'_>) -> Result<Event> {
    let mut event = match name {
        "workflow_run" => run(payload, object(payload, "workflow_run")?),
        "workflow_job" => job(payload, object(payload, "workflow_job")?),
        "check_run" => check_run(payload, object(payload, "check_run")?),
        "check_suite" => check_suite(payload, object(payload, "check_suite")?),
        "status" => status(payload)?,
        "push" => push(payload)?,
        "pull_request" => pull_request(object(payload, "pull_request")?),
        "ping" => ping(payload),
        _ => other(name, payload),
    };
    event.action = payload.text("action").or(event.action);
    let repository = payload.at("repository");
    event.repo = repository.text("full_name");
    event.repo_id = repository.id("id");
    Ok(event)
}

fn object<'a>(payload: Payload<'a>, key: &str) -> Result<Payload<'a>> {
    let inner = payload.at(key);
    if inner.is_object() { Ok(inner) } else { Err(refused(format!("the payload has no object '{key}'"))) }
}

fn run(payload: Payload<'_>, run: Payload<'_>) -> Event {
    let mut event = event(EventKind::Run);
    event.run_id = run.id("id");
    event.attempt = run.count("run_attempt");
    event.sha = run.text("head_sha");
    event.trigger = run.text("event");
    (event.git_ref, event.ref_type) =
        wire::run_ref(run.text("head_branch"), event.trigger.as_deref(), run.text("path").as_deref());
    event.pr = pull_request_number(payload, run)
        .or_else(|| event.git_ref.as_deref().and_then(wire::merge_queue_pull_request));
    set_outcome(&mut event, run);
    let is_completed = payload.text("action").is_none_or(|action| action == "completed");
    event.triggers_rca = is_completed && event.failed && event.run_id.is_some();
    event.reason = Some(
        match event.conclusion {
            _ if event.triggers_rca => match event.conclusion {
                Some(Conclusion::TimedOut) => "the run timed out",
                Some(Conclusion::StartupFailure) => "the run could not start: its workflow file was refused",
                _ => "the run failed",
            },
            _ if event.failed && event.run_id.is_none() => "the run failed, but the payload does not name it",
            _ if event.failed => "the run failed before, and is not completed by this event",
            // Such payloads exist although the action says completed: only the forge knows the outcome.
            None if event.status == Some(Status::Completed) => "the payload does not say how the run ended",
            None => "the run has not ended",
            Some(Conclusion::Success) => "the run succeeded",
            Some(Conclusion::Cancelled) => "the run was cancelled, which is no failure",
            Some(Conclusion::Skipped) => "the run was skipped",
            Some(Conclusion::ActionRequired) => "the run waits for an approval, which is no failure",
            Some(Conclusion::Unknown) => "the run ended in a way that is not known here",
            Some(_) => "the run did not fail",
        }
        .to_owned(),
    );
    event
}

fn job(payload: Payload<'_>, job: Payload<'_>) -> Event {
    let mut event = event(EventKind::Job);
    event.job_id = job.id("id");
    event.job_name = job.text("name");
    event.run_id = job.id("run_id");
    event.attempt = job.count("run_attempt");
    event.sha = job.text("head_sha");
    (event.git_ref, event.ref_type) = wire::run_ref(job.text("head_branch"), None, None);
    event.pr = pull_request_number(payload, job)
        .or_else(|| event.git_ref.as_deref().and_then(wire::merge_queue_pull_request));
    set_outcome(&mut event, job);
    event.reason = Some(
        if event.failed {
            // A job with continue-on-error fails while its run succeeds: only the run's outcome decides.
            "the job failed; the workflow_run event of its run is acted on"
        } else {
            "a job that has not failed is not acted on"
        }
        .to_owned(),
    );
    event
}

fn check_run(payload: Payload<'_>, check: Payload<'_>) -> Event {
    let suite = check.at("check_suite");
    let mut event = event(EventKind::Check);
    event.job_name = check.text("name");
    event.sha = check.text("head_sha").or_else(|| suite.text("head_sha"));
    (event.git_ref, event.ref_type) = wire::run_ref(suite.text("head_branch"), None, None);
    event.pr = pull_request_number(payload, check).or_else(|| pull_request_number(payload, suite));
    set_outcome(&mut event, check);
    let is_actions = check.at("app").text("slug").as_deref() == Some("github-actions");
    if is_actions {
        // The address of a check that Actions made ends in /actions/runs/<run>/job/<job>.
        let address = check.text("details_url").or_else(|| check.text("html_url")).unwrap_or_default();
        (event.run_id, event.job_id) = wire::ids_of_actions_url(&address);
    }
    event.reason = Some(
        if is_actions {
            "a check of GitHub Actions: the workflow_run event of its run is acted on"
        } else if event.failed {
            "a check of another system failed: GitHub has no log of it"
        } else {
            "a check that has not failed is not acted on"
        }
        .to_owned(),
    );
    event
}

fn check_suite(payload: Payload<'_>, suite: Payload<'_>) -> Event {
    let mut event = event(EventKind::Check);
    event.sha = suite.text("head_sha");
    (event.git_ref, event.ref_type) = wire::run_ref(suite.text("head_branch"), None, None);
    event.pr = pull_request_number(payload, suite);
    set_outcome(&mut event, suite);
    event.reason = Some("a check suite only sums up its checks and runs".to_owned());
    event
}

fn status(payload: Payload<'_>) -> Result<Event> {
    if !payload.has("state") && !payload.has("sha") {
        return Err(refused("the payload has neither 'state' nor 'sha'"));
    }
    let mut event = event(EventKind::Status);
    event.sha = payload.text("sha");
    event.job_name = payload.text("context");
    event.action = payload.text("state");
    (event.status, event.conclusion) = match event.action.as_deref() {
        Some("pending") => (Some(Status::Queued), None),
        Some("success") => (Some(Status::Completed), Some(Conclusion::Success)),
        Some("failure" | "error") => (Some(Status::Completed), Some(Conclusion::Failure)),
        Some(_) => (Some(Status::Unknown), None),
        None => (None, None),
    };
    settle(&mut event);
    // The branches are those that contain the commit; only one that stands at it, and alone, is meant.
    let heads: Vec<_> = payload
        .items("branches")
        .filter(|branch| branch.at("commit").text("sha") == event.sha)
        .filter_map(|branch| branch.text("name"))
        .collect();
    if let [branch] = heads.as_slice() {
        event.git_ref = Some(branch.clone());
        event.ref_type = Some(RefType::Branch);
    }
    event.reason = Some(
        if event.failed {
            "a status of another system failed: GitHub has no log of it"
        } else {
            "a status that has not failed is not acted on"
        }
        .to_owned(),
    );
    Ok(event)
}

fn push(payload: Payload<'_>) -> Result<Event> {
    let git_ref = payload.text("ref").ok_or_else(|| refused("the payload has no 'ref'"))?;
    let mut event = event(EventKind::Push);
    if let Some(tag) = git_ref.strip_prefix("refs/tags/") {
        event.git_ref = Some(tag.to_owned());
        event.ref_type = Some(RefType::Tag);
    } else if let Some(branch) = git_ref.strip_prefix("refs/heads/") {
        event.git_ref = Some(branch.to_owned());
        event.ref_type = Some(RefType::Branch);
    } else {
        event.git_ref = Some(git_ref);
    }
    event.sha = payload.text("after").filter(|sha| sha.bytes().any(|byte| byte != b'0'));
    event.reason = Some(
        if payload.is_true("deleted") || event.sha.is_none() {
            "a branch or tag was deleted"
        } else {
            "a push is not a run"
        }
        .to_owned(),
    );
    Ok(event)
}

fn pull_request(pull_request: Payload<'_>) -> Event {
    let mut event = event(EventKind::PullRequest);
    event.pr = pull_request.id("number");
    let head = pull_request.at("head");
    event.sha = head.text("sha");
    (event.git_ref, event.ref_type) = wire::run_ref(head.text("ref"), None, None);
    event.reason = Some("a change of a pull request is not a run".to_owned());
    event
}

fn ping(_payload: Payload<'_>) -> Event {
    let mut event = event(EventKind::Ping);
    event.reason = Some("GitHub tests the hook".to_owned());
    event
}

fn other(name: &str, payload: Payload<'_>) -> Event {
    let mut event = event(EventKind::Other);
    let issue = payload.at("issue");
    event.pr = payload
        .at("pull_request")
        .id("number")
        .or_else(|| issue.has("pull_request").then(|| issue.id("number")).flatten());
    if let Some(ref_type) = payload.ref_type("ref_type") {
        // `create` and `delete` name the branch or tag without a prefix.
        event.git_ref = payload.text("ref");
        event.ref_type = event.git_ref.is_some().then_some(ref_type);
    }
    event.reason = Some(
        match name {
            "repository" => "the repository itself changed",
            "installation" | "installation_repositories" | "installation_target" => {
                "the app's installation changed"
            }
            _ => "events of this kind are not acted on",
        }
        .to_owned(),
    );
    event
}

fn set_outcome(event: &mut Event, from: Payload<'_>) {
    event.status = from.status();
    event.conclusion = from.conclusion();
    settle(event);
}

fn settle(event: &mut Event) {
    event.terminal = event.status == Some(Status::Completed);
    event.failed = event.terminal && event.conclusion.is_some_and(Conclusion::is_failure);
}

/// The first pull request that belongs to this very repository: a shared commit is named with those of forks too.
fn pull_request_number(payload: Payload<'_>, of: Payload<'_>) -> Option<String> {
    let repository = payload.at("repository").id("id");
    of.items("pull_requests")
        .filter(|pull_request| {
            let base = pull_request.at("base").at("repo").id("id");
            base.is_none() || repository.is_none() || base == repository
        })
        .find_map(|pull_request| pull_request.id("number"))
}
