use forge_core::{
    ForgeKind,
    model::{Conclusion, Event, EventKind, RefType, Status},
};
use serde_json::Value;

use crate::wire::{Fields, branch_or_tag, conclusion_of, is_number, status_of};

/// The facts of a payload, whose event is named in `action` only (docs.gitflic.ru, common/webhook).
pub(super) fn read(body: &Value) -> Event {
    let payload = Fields::new(body);
    let action = payload.word("action").unwrap_or_default();
    let mut event = match action.as_str() {
        "PIPELINE_NEW" | "PIPELINE_SUCCESS" | "PIPELINE_WARNING" | "PIPELINE_FAIL" => {
            pipeline(&action, payload.at("pipeline"))
        }
        "TEST_WEBHOOK" => told(EventKind::Ping, "GitFlic tests the hook"),
        "MERGE" => merge_request(payload),
        _ if action.starts_with("MERGE_REQUEST_") => merge_request(payload),
        _ if action.starts_with("DISCUSSION_") => {
            let mut event = told(EventKind::Other, "a comment is not a pipeline");
            event.pr = merge_request_number(payload);
            event
        }
        _ if action == "PUSH" || action.starts_with("BRANCH_") || action.starts_with("TAG_") => {
            push(&action, payload)
        }
        "" => told(EventKind::Other, "the payload names no action"),
        _ => told(EventKind::Other, "events of this kind are not acted on"),
    };
    event.action = payload.text("action");
    let project = payload.at("project");
    event.repo_id = payload.id("project_id").or_else(|| project.id("project_id"));
    event.repo = project
        .text("owner_alias")
        .zip(project.text("alias"))
        .map(|(owner, alias)| format!("{owner}/{alias}"));
    event
}

fn told(kind: EventKind, reason: &str) -> Event {
    let mut event = Event::new(ForgeKind::GITFLIC, kind);
    event.reason = Some(reason.to_owned());
    event
}

/// GitFlic's documents do not list the fields of a pipeline, so that each may be missing.
fn pipeline(action: &str, pipeline: Fields<'_>) -> Event {
    let mut event = Event::new(ForgeKind::GITFLIC, EventKind::Run);
    // The UUID does when there is no number: the list of pipelines has both.
    event.run_id = ["local_id", "localId", "number"]
        .iter()
        .find_map(|key| pipeline.number(key))
        .or_else(|| number_in_address(&pipeline.text("url")?))
        .or_else(|| pipeline.id("id"));
    let commit = pipeline.at("commit");
    event.sha = pipeline
        .first_text(&["commit_id", "commitId", "sha"])
        .or_else(|| commit.first_text(&["id", "hash"]))
        .or_else(|| pipeline.text("commit"));
    (event.git_ref, event.ref_type) = branch_or_tag(pipeline.text("ref"));
    if event.git_ref.is_some() && pipeline.flag("tag") == Some(true) {
        event.ref_type = Some(RefType::Tag);
    }
    event.trigger = pipeline.word("source");
    event.pr = pipeline.number("merge_request_local_id");
    let said = pipeline.word("status");
    let (said, how) =
        (said.as_deref().map(status_of), said.as_deref().and_then(conclusion_of).filter(|_| said.is_some()));
    let (status, conclusion) = match action {
        "PIPELINE_NEW" => (said.unwrap_or(Status::Queued), how),
        "PIPELINE_FAIL" => {
            // A pipeline that somebody stopped may be told of as a failure.
            let how = how.filter(|how| matches!(how, Conclusion::Cancelled | Conclusion::Skipped));
            (Status::Completed, Some(how.unwrap_or(Conclusion::Failure)))
        }
        _ => (Status::Completed, Some(Conclusion::Success)),
    };
    event.status = Some(status);
    event.conclusion = conclusion.filter(|_| status == Status::Completed);
    event.terminal = status == Status::Completed;
    event.failed = event.terminal && event.conclusion.is_some_and(Conclusion::is_failure);
    event.triggers_rca = action == "PIPELINE_FAIL" && event.failed && event.run_id.is_some();
    event.reason = Some(
        match event.conclusion {
            _ if event.triggers_rca => "the pipeline failed",
            _ if event.failed && event.run_id.is_none() => {
                "the pipeline failed, but the payload does not name it: polling finds it"
            }
            _ if event.failed => "the pipeline failed; the PIPELINE_FAIL event is acted on",
            Some(Conclusion::Cancelled) => "the pipeline was cancelled, which is no failure",
            Some(Conclusion::Success) if action == "PIPELINE_WARNING" => {
                "the pipeline succeeded; what failed was allowed to"
            }
            Some(Conclusion::Success) => "the pipeline succeeded",
            Some(_) => "the pipeline did not fail",
            None => "the pipeline has not ended",
        }
        .to_owned(),
    );
    event
}

fn merge_request(payload: Fields<'_>) -> Event {
    let mut event = told(EventKind::PullRequest, "a change of a merge request is not a pipeline");
    event.pr = merge_request_number(payload);
    let request = payload.at("merge_request");
    let source = request.names("source_branch").into_iter().next();
    (event.git_ref, event.ref_type) = branch_or_tag(source);
    event
}

fn merge_request_number(payload: Fields<'_>) -> Option<String> {
    let request = payload.at("merge_request");
    ["local_id", "localId"].iter().find_map(|key| request.number(key))
}

fn push(action: &str, payload: Fields<'_>) -> Event {
    let is_deleted = action.ends_with("_DELETE");
    let reason = if is_deleted { "a branch or tag was deleted" } else { "a push is not a pipeline" };
    let mut event = told(EventKind::Push, reason);
    let push = payload.at("push");
    let git_ref = push.text("ref").or_else(|| payload.text("ref"));
    let named = |key: &str| payload.names(key).into_iter().next();
    (event.git_ref, event.ref_type) =
        branch_or_tag(git_ref.or_else(|| named("branch")).or_else(|| named("tag")));
    if event.git_ref.is_some() && action.starts_with("TAG_") {
        event.ref_type = Some(RefType::Tag);
    }
    let sha = push.first_text(&["after", "commit_id"]);
    event.sha = sha.filter(|sha| !is_deleted && sha.bytes().any(|byte| byte != b'0'));
    event
}

/// `.../ci-cd/pipeline/12` ends in the number.
fn number_in_address(address: &str) -> Option<String> {
    let (_, rest) = address.rsplit_once("/pipeline/")?;
    let number = rest.split(['/', '?', '#']).next()?;
    is_number(number).then(|| number.to_owned())
}
