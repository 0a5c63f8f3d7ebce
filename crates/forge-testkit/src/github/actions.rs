//! Actions: runs, attempts, jobs, logs (GitHub REST docs, "Actions").

use jiff::Timestamp;
use serde_json::json;

use super::{
    Answer,
    access::{Caller, Needs},
    json as shape, message, page, refuse, unknown,
};
use crate::{
    spec::Log,
    wire::{Incoming, Reply},
    world::{Job, Repo, Run, World},
};

pub(super) fn route(
    world: &mut World,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    let method = request.method.as_str();
    caller.require(repo, Needs { scopes: &["repo"], permission: "actions", is_write: method != "GET" })?;
    match (method, segments) {
        ("GET", ["permissions"]) => {
            let body = json!({ "enabled": repo.has_ci, "allowed_actions": "all" });
            Ok(Reply::json(200, &body).into())
        }
        ("GET", ["runs"]) => list(world, request, repo, None),
        ("GET", ["workflows", id, "runs"]) => list(world, request, repo, Some(id)),
        ("GET", ["runs", id]) => {
            let run = find_run(world, repo, id)?;
            Ok(Reply::json(200, &shape::run(world, run, run.attempt)).into())
        }
        ("GET", ["runs", id, "attempts", attempt]) => {
            let run = find_run(world, repo, id)?;
            let attempt = find_attempt(run, attempt)?;
            Ok(Reply::json(200, &shape::run(world, run, attempt)).into())
        }
        ("GET", ["runs", id, "jobs"]) => {
            let run = find_run(world, repo, id)?;
            let wanted = (request.query("filter") != Some("all")).then_some(run.attempt);
            Ok(jobs(world, request, run, wanted).into())
        }
        ("GET", ["runs", id, "attempts", attempt, "jobs"]) => {
            let run = find_run(world, repo, id)?;
            let attempt = find_attempt(run, attempt)?;
            Ok(jobs(world, request, run, Some(attempt)).into())
        }
        ("DELETE", ["runs", id, "logs"]) => {
            let run_id = find_run(world, repo, id)?.id;
            for job in world.jobs.values_mut().filter(|job| job.run_id == run_id) {
                job.is_log_expired = true;
            }
            Ok(Reply::empty(204).into())
        }
        ("GET", ["jobs", id]) => {
            let job = find_job(world, repo, id)?;
            Ok(Reply::json(200, &shape::job(world, job)).into())
        }
        ("GET", ["jobs", id, "logs"]) => {
            let id = find_job(world, repo, id)?.id;
            log(world, id)
        }
        _ => Ok(unknown()),
    }
}

fn find_run<'a>(world: &'a World, repo: &Repo, id: &str) -> Result<&'a Run, Box<Reply>> {
    let run = id.parse().ok().and_then(|id: u64| world.runs.get(&id));
    run.filter(|run| run.repo_id == repo.id).ok_or_else(|| refuse(404, "Not Found"))
}

fn find_attempt(run: &Run, text: &str) -> Result<u32, Box<Reply>> {
    let attempt = text.parse::<u32>().ok().filter(|attempt| (1..=run.attempt).contains(attempt));
    attempt.ok_or_else(|| refuse(404, "Not Found"))
}

fn find_job<'a>(world: &'a World, repo: &Repo, id: &str) -> Result<&'a Job, Box<Reply>> {
    let job = id.parse().ok().and_then(|id: u64| world.jobs.get(&id));
    job.filter(|job| job.repo_id == repo.id).ok_or_else(|| refuse(404, "Not Found"))
}

/// Newest first by creation, which a re-run does not move; `status` takes statuses and conclusions.
fn list(world: &World, request: &Incoming, repo: &Repo, workflow: Option<&str>) -> Answer {
    let created = match request.query("created") {
        Some(text) => Some(created_after(text).ok_or_else(|| refuse(422, "Validation Failed"))?),
        None => None,
    };
    let fits = |name: &str, value: &str| request.query(name).is_none_or(|wanted| wanted == value);
    let runs: Vec<&Run> = world
        .runs
        .values()
        .rev()
        .filter(|run| run.repo_id == repo.id)
        .filter(|run| workflow.is_none_or(|id| id == shape::workflow_id(run).to_string()))
        .filter(|run| {
            request.query("status").is_none_or(|wanted| {
                wanted == shape::status(run.state) || shape::run_conclusion(run) == wanted
            })
        })
        .filter(|run| {
            fits("branch", &run.branch) && fits("head_sha", &run.sha) && fits("event", &run.trigger)
        })
        .filter(|run| created.is_none_or(|after| run.created_at >= after))
        .collect();
    // A filtered search gives 1,000 results at most.
    let is_filtered = ["status", "branch", "event", "created", "head_sha", "actor"]
        .iter()
        .any(|name| request.query(name).is_some());
    let shown = if is_filtered { runs.get(..runs.len().min(1000)).unwrap_or_default() } else { &runs };
    Ok(page(world, request, shown, Some("workflow_runs"), |run| shape::run(world, run, run.attempt)).into())
}

/// `>=X`, `>X` or `X..Y`, of which only the beginning is used here.
fn created_after(text: &str) -> Option<Timestamp> {
    let text = text.trim_start_matches(['>', '=']);
    let start = text.split("..").next().unwrap_or(text);
    start.parse().ok().or_else(|| format!("{start}T00:00:00Z").parse().ok())
}

fn jobs(world: &World, request: &Incoming, run: &Run, attempt: Option<u32>) -> Reply {
    let jobs: Vec<&Job> = world
        .jobs_of(run.id)
        .filter(|job| attempt.is_none_or(|attempt| job.attempt == attempt) && job.bridge_to.is_none())
        .collect();
    page(world, request, &jobs, Some("jobs"), |job| shape::job(world, job))
}

/// 404 while there is none yet or for ever, 410 when it has expired, otherwise a link that works for a minute.
fn log(world: &mut World, job_id: u64) -> Answer {
    let redirects = world.redirects_logs;
    let job = world.jobs.get_mut(&job_id).ok_or_else(|| refuse(404, "Not Found"))?;
    if job.log_delay > 0 {
        job.log_delay -= 1;
        return Err(refuse(404, "Not Found"));
    }
    if job.is_log_expired || job.erased_at.is_some() {
        return Err(refuse(410, "Server Error: the logs have expired"));
    }
    if !job.state.is_ended() || job.log == Log::None {
        return Err(refuse(404, "Not Found"));
    }
    if redirects {
        let location = world.blob_link(job_id);
        return Ok(Reply::redirect(302, &location).into());
    }
    Ok(match &job.log {
        Log::Bytes(bytes) => Reply::bytes(200, "text/plain; charset=utf-8", bytes.clone()),
        Log::Generated(length) => Reply::generated(*length),
        Log::None => message(404, "Not Found"),
    }
    .into())
}
