//! Check runs and their annotations (GitHub REST docs, "Checks").

use forge_core::model::AnnotationLevel;
use serde_json::{Value, json};

use super::{
    Answer,
    access::{Caller, Needs},
    invalid, json as shape, page, refuse, unknown,
};
use crate::{
    wire::{Incoming, Reply},
    world::{Job, Repo, World},
};

/// A check run as it stands at a fake GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeCheckRun {
    /// The forge's id.
    pub id: u64,
    /// The repository's id.
    pub repo_id: u64,
    /// The commit.
    pub sha: String,
    /// Its name.
    pub name: String,
    /// The id that the app gave it.
    pub external_id: Option<String>,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended.
    pub conclusion: Option<String>,
    /// Where it leads.
    pub details_url: Option<String>,
    /// The heading.
    pub title: Option<String>,
    /// The text.
    pub summary: Option<String>,
    /// The app whose it is, as `{slug}[bot]`.
    pub author: String,
    author_id: u64,
}

pub(super) fn route(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    let method = request.method.as_str();
    let is_write = method != "GET";
    if is_write && caller.installation.is_none() {
        return Err(refuse(403, "You must authenticate via a GitHub App."));
    }
    caller.require(repo, Needs { scopes: &["repo"], permission: "checks", is_write })?;
    match (method, segments) {
        ("POST", ["check-runs"]) => create(world, &request.json(), caller, repo),
        ("GET", ["check-runs", id]) => {
            let run = find(world, repo, id)?;
            Ok(Reply::json(200, &show(world, repo, run)).into())
        }
        ("PATCH", ["check-runs", id]) => {
            let mut run = find(world, repo, id)?.clone();
            if run.author_id != caller.user_id {
                return Err(refuse(
                    403,
                    "Invalid app_id - check run can only be modified by the GitHub App that created it.",
                ));
            }
            apply(&request.json(), &mut run)?;
            let reply = Reply::json(200, &show(world, repo, &run));
            if let Some(stored) = world.github.check_runs.iter_mut().find(|it| it.id == run.id) {
                *stored = run;
            }
            Ok(reply.into())
        }
        ("GET", ["commits", sha, "check-runs"]) => {
            let runs: Vec<&FakeCheckRun> = world
                .github
                .check_runs
                .iter()
                .rev()
                .filter(|run| run.repo_id == repo.id && run.sha == *sha)
                .filter(|run| request.query("check_name").is_none_or(|name| name == run.name))
                .collect();
            Ok(page(world, request, &runs, Some("check_runs"), |run| show(world, repo, run)).into())
        }
        ("GET", ["check-runs", id, "annotations"]) => {
            let job = id.parse().ok().and_then(|id: u64| world.jobs.get(&id));
            let job = job.filter(|job| job.repo_id == repo.id).ok_or_else(|| refuse(404, "Not Found"))?;
            let remarks = annotations(world, repo, job);
            Ok(page(world, request, &remarks, None, Value::clone).into())
        }
        _ => Ok(unknown()),
    }
}

fn find<'a>(world: &'a World, repo: &Repo, id: &str) -> Result<&'a FakeCheckRun, Box<Reply>> {
    let found = world.github.check_runs.iter().find(|run| run.repo_id == repo.id && run.id.to_string() == id);
    found.ok_or_else(|| refuse(404, "Not Found"))
}

fn create(world: &mut World, body: &Value, caller: &Caller, repo: &Repo) -> Answer {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, sha) = (text("name"), text("head_sha"));
    if name.is_empty() || sha.len() != 40 {
        return Err(invalid("Invalid request.", "head_sha", "name and head_sha are needed"));
    }
    let mut run = FakeCheckRun {
        id: world.next_large_id(),
        repo_id: repo.id,
        sha,
        name,
        external_id: None,
        status: "queued".to_owned(),
        conclusion: None,
        details_url: None,
        title: None,
        summary: None,
        author: world.login(caller.user_id),
        author_id: caller.user_id,
    };
    apply(body, &mut run)?;
    let reply = Reply::json(201, &show(world, repo, &run));
    world.github.check_runs.push(run);
    Ok(reply.into())
}

/// A conclusion completes it; one that is completed needs a conclusion; one that is begun again loses it.
fn apply(body: &Value, run: &mut FakeCheckRun) -> Result<(), Box<Reply>> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let put = |field: &mut Option<String>, pointer: &str| {
        if let Some(value) = text(pointer) {
            *field = Some(value);
        }
    };
    put(&mut run.external_id, "/external_id");
    put(&mut run.details_url, "/details_url");
    put(&mut run.title, "/output/title");
    put(&mut run.summary, "/output/summary");
    if run.title.as_ref().is_some_and(|title| title.chars().count() > 255) {
        return Err(invalid("Invalid request.", "title", "title is too long (maximum is 255 characters)"));
    }
    if let Some(status) = text("/status") {
        if !matches!(status.as_str(), "queued" | "in_progress" | "completed") {
            return Err(invalid("Invalid request.", "status", "is not a member of the list"));
        }
        run.status = status;
        run.conclusion = None;
    }
    if let Some(conclusion) = text("/conclusion") {
        let known = ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];
        if !known.contains(&conclusion.as_str()) {
            return Err(invalid("Invalid request.", "conclusion", "is not a member of the list"));
        }
        run.status = "completed".to_owned();
        run.conclusion = Some(conclusion);
    }
    if run.status == "completed" && run.conclusion.is_none() {
        return Err(invalid("Invalid request.", "conclusion", "is needed when the status is completed"));
    }
    Ok(())
}

fn show(world: &World, repo: &Repo, run: &FakeCheckRun) -> Value {
    let web = format!("{}/{}", world.base_url, repo.full_name);
    json!({
        "id": run.id,
        "node_id": format!("CR_{}", run.id),
        "head_sha": run.sha,
        "name": run.name,
        "external_id": run.external_id,
        "status": run.status,
        "conclusion": run.conclusion,
        "details_url": run.details_url,
        "html_url": format!("{web}/runs/{}", run.id),
        "url": format!("{}{}/repos/{}/check-runs/{}", world.base_url, super::API, repo.full_name, run.id),
        "started_at": shape::time(world.now()),
        "completed_at": run.conclusion.as_ref().map(|_| shape::time(world.now())),
        "output": {
            "title": run.title, "summary": run.summary, "text": null, "annotations_count": 0,
            "annotations_url": "",
        },
        "check_suite": { "id": run.id + 1 },
        "app": world.app_of_bot(run.author_id),
        "pull_requests": [],
    })
}

/// What the job remarked, then what Actions adds to every failed step; remarks without a file stand at `.github`.
fn annotations(world: &World, repo: &Repo, job: &Job) -> Vec<Value> {
    let show = |path: &str, line: u64, level: &str, title: Option<&str>, message: &str| {
        json!({
            "path": path,
            "blob_href": format!("{}/{}/blob/main/{path}", world.base_url, repo.full_name),
            "start_line": line, "start_column": null, "end_line": line, "end_column": null,
            "annotation_level": level, "title": title.unwrap_or_default(), "message": message,
            "raw_details": "",
        })
    };
    let mut remarks: Vec<Value> = job
        .annotations
        .iter()
        .map(|it| {
            let level = match it.level {
                AnnotationLevel::Failure => "failure",
                AnnotationLevel::Warning => "warning",
                AnnotationLevel::Notice => "notice",
            };
            let path = it.path.as_deref().unwrap_or(".github");
            show(path, it.line.unwrap_or(1), level, it.title.as_deref(), &it.message)
        })
        .collect();
    if job.state == crate::spec::State::Failed {
        remarks.push(show(".github", 1, "failure", None, "Process completed with exit code 1."));
    }
    remarks
}
