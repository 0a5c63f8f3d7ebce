use forge_core::{
    Result,
    model::{Conclusion, Event, EventKind, RefType, Status},
};
use percent_encoding::percent_decode_str;
use url::Url;

use super::{Payload, event, refused};

/// The context under which this product sets its own statuses, which come back as deliveries.
const OWN_KEY: &str = "forge-rca";

/// The facts of the payload of event `name`.
pub(super) fn read(name: &str, payload: Payload<'_>) -> Result<Event> {
    let mut event = if name.starts_with("repo:commit_status") {
        commit_status(payload, object(payload, "commit_status")?)
    } else if name == "repo:push" {
        push(object(payload, "push")?)
    } else if name.starts_with("pullrequest") {
        pull_request(object(payload, "pullrequest")?)
    } else {
        other(name)
    };
    event.action = name.split_once(':').map(|(_, action)| action.to_owned());
    let repository = repository(payload);
    event.repo = repository.owned("full_name");
    event.repo_id = repository.owned("uuid");
    Ok(event)
}

fn object<'a>(payload: Payload<'a>, key: &str) -> Result<Payload<'a>> {
    let inner = payload.at(key);
    if inner.is_object() { Ok(inner) } else { Err(refused(format!("the payload has no object '{key}'"))) }
}

/// The status repeats the repository that the payload names at the top.
fn repository(payload: Payload<'_>) -> Payload<'_> {
    let top = payload.at("repository");
    if top.has("uuid") { top } else { payload.at("commit_status").at("repository") }
}

/// Pipelines and every other CI say how they stand by the same event; the address tells which it is.
fn commit_status(payload: Payload<'_>, status: Payload<'_>) -> Event {
    let run_id = pipeline_number(repository(payload), status);
    let is_pipeline = run_id.is_some();
    let mut event = event(if is_pipeline { EventKind::Run } else { EventKind::Status });
    event.run_id = run_id;
    if !is_pipeline {
        event.job_name = status.owned("name").or_else(|| status.owned("key"));
    }
    event.git_ref = status.owned("refname");
    event.sha = status.at("commit").owned("hash").or_else(|| {
        let href = status.at("links").at("commit").text("href")?;
        let sha = href.rsplit('/').next().unwrap_or_default();
        (sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| sha.to_owned())
    });
    let state = status.text("state").unwrap_or_default();
    (event.status, event.conclusion) = match state {
        "INPROGRESS" => (Some(Status::Running), None),
        "SUCCESSFUL" => (Some(Status::Completed), Some(Conclusion::Success)),
        "FAILED" => (Some(Status::Completed), Some(Conclusion::Failure)),
        "STOPPED" => (Some(Status::Completed), Some(Conclusion::Cancelled)),
        "" => (None, None),
        _ => (Some(Status::Unknown), None),
    };
    event.terminal = event.status == Some(Status::Completed);
    event.failed = event.conclusion == Some(Conclusion::Failure);
    let has_repo = repository(payload).has("uuid");
    event.triggers_rca = is_pipeline && event.failed && has_repo;
    event.reason = Some(
        match state {
            _ if event.triggers_rca => "the pipeline failed",
            "FAILED" if is_pipeline => "the pipeline failed, but the payload does not name its repository",
            _ if status.text("key") == Some(OWN_KEY) => "this is our own status",
            "FAILED" => "another CI failed, of which Bitbucket has no log: send the log to the ingest API",
            "INPROGRESS" => "it has not ended",
            "SUCCESSFUL" => "it succeeded",
            "STOPPED" => "it was stopped, which is no failure",
            "" => "the payload does not say how it stands",
            _ => "it stands in a way that is not known here",
        }
        .to_owned(),
    );
    event
}

/// The build number of a Pipelines run. The key of the status is an opaque number and says nothing.
///
/// The address is chosen by whoever wrote the status: it is read, never asked, and counts only when it lies in this
/// very repository, at bitbucket.org or on the host that the payload's own repository has (a proxy, a test instance).
/// The number may stand behind the `#`: `.../addon/pipelines/home#!/results/4`.
fn pipeline_number(repository: Payload<'_>, status: Payload<'_>) -> Option<String> {
    let url = Url::parse(status.text("url")?).ok()?;
    let is_bitbucket_org =
        url.scheme() == "https" && url.host_str() == Some("bitbucket.org") && url.port().is_none();
    let home = repository.at("links").at("html").text("href").and_then(|href| Url::parse(href).ok());
    if !is_bitbucket_org && home.is_none_or(|home| home.origin() != url.origin()) {
        return None;
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut segments = url.path_segments()?.map(decode);
    let (workspace, name) = (segments.next()?, segments.next()?);
    let is_same_name = repository.text("full_name")?.eq_ignore_ascii_case(&format!("{workspace}/{name}"));
    let is_same_uuid = repository.text("uuid") == Some(name.as_str());
    let is_pipelines = segments.any(|segment| segment == "pipelines");
    if !(is_same_name || is_same_uuid) || !is_pipelines {
        return None;
    }
    number_after(url.path(), "/results/").or_else(|| number_after(url.fragment()?, "/results/")).or_else(
        || status.text("name")?.starts_with("Pipeline #").then(|| number_after(status.text("name")?, "#"))?,
    )
}

fn number_after(text: &str, marker: &str) -> Option<String> {
    let (_, rest) = text.split_once(marker)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    // A number that does not fit is none of Bitbucket's.
    digits.parse::<u64>().ok().map(|number| number.to_string())
}

/// A push may change several references; the first is told, and none at all when there were too many to list.
fn push(push: Payload<'_>) -> Event {
    let mut event = event(EventKind::Push);
    if let Some(change) = push.items("changes").next() {
        let (new, old) = (change.at("new"), change.at("old"));
        let named = if new.is_object() { new } else { old };
        event.git_ref = named.owned("name");
        event.ref_type = match named.text("type") {
            Some("branch" | "named_branch") => Some(RefType::Branch),
            Some("tag" | "annotated_tag") => Some(RefType::Tag),
            _ => None,
        };
        event.sha = new.at("target").owned("hash");
    }
    event.reason = Some("pushes are not acted on".to_owned());
    event
}

fn pull_request(pull_request: Payload<'_>) -> Event {
    let mut event = event(EventKind::PullRequest);
    event.pr = pull_request.number("id");
    let source = pull_request.at("source");
    event.git_ref = source.at("branch").owned("name");
    event.ref_type = event.git_ref.as_ref().map(|_| RefType::Branch);
    event.sha = source.at("commit").owned("hash");
    event.reason = Some("pull requests are not acted on".to_owned());
    event
}

fn other(name: &str) -> Event {
    let mut event = event(EventKind::Other);
    let shown: String = name.chars().filter(|character| !character.is_control()).take(60).collect();
    event.reason = Some(format!("'{shown}' is not acted on"));
    event
}
