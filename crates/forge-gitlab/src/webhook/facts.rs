//! From a payload to the facts of an [`Event`], for every event of docs user/project/integrations/webhook_events.md.

use forge_core::{
    ForgeKind,
    model::{Conclusion, Event, EventKind, RefType, Status},
};
use serde_json::Value;
use url::Url;

use super::payload::{at, count, flag, id, sha, text};
use crate::{reference::Reference, status};

/// The facts of a body; `None` when nothing says what it is about.
pub(super) fn event(body: &Value, header: Option<&str>) -> Option<Event> {
    // System hooks name the event in `event_name`; project hooks that carry both agree on it.
    let kind = text(body, &["object_kind"]).or_else(|| text(body, &["event_name"]));
    let Some(kind) = kind else {
        let header = header.filter(|header| !header.is_empty())?;
        let mut event = named(body, EventKind::Other);
        event.reason = Some(format!(
            "the body of this {} is not in GitLab's form (custom webhook template?)",
            safe(header)
        ));
        return Some(event);
    };
    Some(match kind {
        "pipeline" => pipeline(body),
        "build" => job(body),
        "push" | "tag_push" => push(body, kind),
        "merge_request" => merge_request(body),
        "note" => note(body),
        "deployment" => deployment(body),
        _ => other(body, kind),
    })
}

fn pipeline(body: &Value) -> Event {
    let mut event = named(body, EventKind::Run);
    let field = |name| text(body, &["object_attributes", name]);
    event.run_id = id(body, &["object_attributes", "id"]);
    event.parent_run_id = parent(body);
    event.sha = sha(body, &["object_attributes", "sha"]);
    event.pr = id(body, &["merge_request", "iid"]);
    set_reference(&mut event, field("ref"), flag(body, &["object_attributes", "tag"]));
    if at(body, &["merge_request"]).is_some() {
        // For merge request pipelines `ref` is the source branch; some versions send the hidden reference instead.
        if let Some(branch) = text(body, &["merge_request", "source_branch"]) {
            event.git_ref = Some(branch.to_owned());
        }
        event.ref_type = event.git_ref.as_ref().map(|_| RefType::Branch);
    }
    event.trigger = field("source").map(str::to_owned);
    set_status(&mut event, field("status"), field("failure_reason"));

    let source = event.trigger.clone().unwrap_or_default();
    let reason = match event.conclusion {
        Some(conclusion) if conclusion.is_failure() && status::has_no_logs(&source) => {
            format!("the pipeline failed, but pipelines of source {source} have no jobs of this CI")
        }
        Some(conclusion) if conclusion.is_failure() && event.run_id.is_none() => {
            "the pipeline failed, but the payload does not name it".to_owned()
        }
        Some(conclusion) if conclusion.is_failure() => {
            event.triggers_rca = true;
            match id(body, &["source_pipeline", "pipeline_id"]) {
                Some(parent) => format!("the pipeline failed; it was started by pipeline {parent}"),
                None => "the pipeline failed".to_owned(),
            }
        }
        Some(Conclusion::Success)
            if field("detailed_status").is_some_and(|text| text.contains("warning")) =>
        {
            "the pipeline passed; only jobs that are allowed to fail have failed".to_owned()
        }
        _ => standing("pipeline", &event, field("status")),
    };
    event.reason = Some(reason);
    event
}

/// The pipeline of the same project that started this one. One that another project started is a run of its own: its
/// commit and its merge requests are its own too.
fn parent(body: &Value) -> Option<String> {
    let home = id(body, &["project", "id"]).or_else(|| id(body, &["project_id"]));
    let elsewhere = id(body, &["source_pipeline", "project", "id"]);
    let is_here = elsewhere.is_none() || home.is_none() || elsewhere == home;
    id(body, &["source_pipeline", "pipeline_id"]).filter(|_| is_here)
}

fn job(body: &Value) -> Event {
    let mut event = named(body, EventKind::Job);
    // `commit.id` is no commit here but the pipeline's id again, so it is not looked at.
    event.run_id = id(body, &["pipeline_id"]);
    event.parent_run_id = parent(body);
    event.job_id = id(body, &["build_id"]);
    event.job_name = text(body, &["build_name"]).map(str::to_owned);
    event.sha = sha(body, &["sha"]);
    event.attempt =
        count(body, &["retries_count"]).and_then(|retries| u32::try_from(retries).ok()?.checked_add(1));
    event.trigger = text(body, &["pipeline", "source"]).map(str::to_owned);
    set_reference(&mut event, text(body, &["ref"]), flag(body, &["tag"]));
    let word = text(body, &["build_status"]);
    // `build_failure_reason` is `unknown_failure` also for jobs that did not fail; it counts only with `failed`.
    set_status(&mut event, word, text(body, &["build_failure_reason"]));
    event.reason = Some(if event.failed && flag(body, &["build_allow_failure"]) == Some(true) {
        "the job failed, but is allowed to".to_owned()
    } else if event.failed {
        "the job failed; the event of its pipeline follows and is acted on".to_owned()
    } else {
        standing("job", &event, word)
    });
    event
}

fn push(body: &Value, kind: &str) -> Event {
    let mut event = named(body, EventKind::Push);
    set_reference(&mut event, text(body, &["ref"]), Some(kind == "tag_push"));
    // Of an annotated tag `after` is the tag object; the commit is in `checkout_sha`.
    event.sha = sha(body, &["checkout_sha"]).or_else(|| sha(body, &["after"]));
    let what = if event.ref_type == Some(RefType::Tag) { "tag" } else { "branch" };
    let is_deleted = text(body, &["after"]).is_some() && event.sha.is_none();
    event.reason = Some(if is_deleted {
        format!("a {what} was deleted")
    } else {
        format!("a {what} was pushed; only failed pipelines are acted on")
    });
    event
}

fn merge_request(body: &Value) -> Event {
    let mut event = named(body, EventKind::PullRequest);
    event.action = text(body, &["object_attributes", "action"]).map(str::to_owned);
    event.pr = id(body, &["object_attributes", "iid"]);
    event.git_ref = text(body, &["object_attributes", "source_branch"]).map(str::to_owned);
    event.ref_type = event.git_ref.as_ref().map(|_| RefType::Branch);
    event.sha = sha(body, &["object_attributes", "last_commit", "id"]);
    event.reason = Some("a merge request changed; only failed pipelines are acted on".to_owned());
    event
}

fn note(body: &Value) -> Event {
    let mut event = named(body, EventKind::Other);
    // Old versions send no action with a note: it was created then.
    event.action = text(body, &["object_attributes", "action"]).map(str::to_owned);
    event.pr = id(body, &["merge_request", "iid"]);
    event.git_ref = text(body, &["merge_request", "source_branch"]).map(str::to_owned);
    event.ref_type = event.git_ref.as_ref().map(|_| RefType::Branch);
    event.sha = sha(body, &["commit", "id"]).or_else(|| sha(body, &["merge_request", "last_commit", "id"]));
    event.reason = Some("a comment; comments are never acted on".to_owned());
    event
}

fn deployment(body: &Value) -> Event {
    let mut event = named(body, EventKind::Other);
    event.action = text(body, &["status"]).map(str::to_owned);
    event.job_id = id(body, &["deployable_id"]);
    // The payload has a short sha only, but its link to the commit holds the whole one.
    event.sha = text(body, &["commit_url"])
        .and_then(|url| url.rsplit('/').next())
        .filter(|sha| sha.len() >= 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(str::to_owned);
    set_reference(&mut event, text(body, &["ref"]), None);
    event.reason = Some("a deployment; the pipeline that it belongs to has events of its own".to_owned());
    event
}

fn other(body: &Value, kind: &str) -> Event {
    let mut event = named(body, EventKind::Other);
    event.action = text(body, &["object_attributes", "action"])
        .or_else(|| text(body, &["action"]))
        .or_else(|| text(body, &["event_name"]))
        .map(str::to_owned);
    event.pr = id(body, &["merge_request", "iid"]);
    event.sha = sha(body, &["commit", "id"]);
    // A release names its tag.
    event.git_ref = text(body, &["tag"]).map(str::to_owned);
    event.ref_type = event.git_ref.as_ref().map(|_| RefType::Tag);
    event.reason = Some(format!("{} events are not acted on", safe(kind)));
    event
}

/// An event of `kind` with the project that the payload names.
fn named(body: &Value, kind: EventKind) -> Event {
    let mut event = Event::new(ForgeKind::GITLAB, kind);
    event.repo_id = id(body, &["project", "id"])
        .or_else(|| id(body, &["project_id"]))
        .or_else(|| id(body, &["object_attributes", "project_id"]))
        .or_else(|| id(body, &["object_attributes", "target_project_id"]));
    event.repo = text(body, &["project", "path_with_namespace"])
        .or_else(|| text(body, &["path_with_namespace"]))
        .or_else(|| text(body, &["object_attributes", "target", "path_with_namespace"]))
        .map(str::to_owned)
        .or_else(|| repository_path(body));
    event
}

/// Payloads of old versions have `repository` but no `project`. Its addresses hold the path; the SSH one is looked at
/// first because an instance under a sub-path shows that sub-path only in HTTP addresses.
fn repository_path(body: &Value) -> Option<String> {
    let ssh = ["git_ssh_url", "url"].into_iter().find_map(|name| {
        let address = text(body, &["repository", name])?;
        if let Ok(url) = Url::parse(address) {
            return (url.scheme() == "ssh").then(|| url.path().to_owned());
        }
        address.split_once(':').map(|(_, path)| path.to_owned())
    });
    let path = ssh.or_else(|| {
        let address =
            text(body, &["repository", "homepage"]).or_else(|| text(body, &["project", "web_url"]))?;
        Url::parse(address).ok().map(|url| url.path().to_owned())
    })?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (path.contains('/')).then(|| path.to_owned())
}

fn set_reference(event: &mut Event, name: Option<&str>, is_tag: Option<bool>) {
    let Some(name) = name else { return };
    match Reference::parse(name) {
        Reference::Plain(name) => {
            event.git_ref = Some(name);
            event.ref_type = is_tag.map(|is_tag| if is_tag { RefType::Tag } else { RefType::Branch });
        }
        Reference::Named(name, ref_type) => {
            event.git_ref = Some(name);
            event.ref_type = Some(ref_type);
        }
        Reference::MergeRequest { iid, .. } => {
            // The branch is not in it; the number is.
            event.git_ref = Some(name.to_owned());
            event.pr.get_or_insert(iid);
        }
    }
}

fn set_status(event: &mut Event, word: Option<&str>, failure_reason: Option<&str>) {
    let Some(word) = word else { return };
    let (status, conclusion) = status::from_word(word, failure_reason);
    event.action = Some(word.to_owned());
    event.status = Some(status);
    event.conclusion = conclusion;
    event.terminal = status == Status::Completed;
    event.failed = conclusion.is_some_and(Conclusion::is_failure);
}

fn standing(what: &str, event: &Event, word: Option<&str>) -> String {
    match (event.status, word) {
        (None, _) | (_, None) => format!("the payload does not say where the {what} stands"),
        (Some(Status::Unknown), Some(word)) => format!("the {what} is in the unknown state '{}'", safe(word)),
        (_, Some("success")) => format!("the {what} passed"),
        (_, Some("canceled")) => format!("the {what} was cancelled, which is no failure"),
        (_, Some("skipped")) => format!("the {what} was skipped"),
        (_, Some("manual")) => format!("the {what} waits for a person"),
        (_, Some(word)) => format!("the {what} has not ended yet ({word})"),
    }
}

/// A foreign word for a sentence: short, and of harmless characters only.
fn safe(word: &str) -> String {
    word.chars()
        .filter(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | ' '))
        .take(40)
        .collect()
}
