//! Pipelines, jobs, bridges, traces (GitLab docs, api/pipelines.md and api/jobs.md).

use jiff::Timestamp;

use super::{Answer, json as shape, projects::page, refuse, unknown};
use crate::{
    spec::{Log, State},
    wire::{Incoming, Reply},
    world::{Job, Repo, Run, World},
};

pub(super) fn route(world: &mut World, request: &Incoming, repo: &Repo, segments: &[&str]) -> Answer {
    if request.method != http::Method::GET {
        return Ok(unknown());
    }
    if !repo.has_ci {
        return Err(refuse(403, "403 Forbidden"));
    }
    match *segments {
        ["pipelines"] => list(world, request, repo),
        ["merge_requests", iid, "pipelines"] => of_merge_request(world, request, repo, iid),
        ["pipelines", "latest"] => {
            let wanted = request.query("ref").unwrap_or("main");
            let run = world.runs.values().rev().find(|run| run.repo_id == repo.id && run.branch == wanted);
            let run = run.ok_or_else(|| refuse(403, "403 Forbidden"))?;
            Ok(Reply::json(200, &shape::full_pipeline(world, run)).into())
        }
        ["pipelines", id] => {
            let run = find_run(world, repo, id)?;
            Ok(Reply::json(200, &shape::full_pipeline(world, run)).into())
        }
        ["pipelines", id, "jobs"] => {
            let run_id = find_run(world, repo, id)?.id;
            Ok(jobs(world, request, |job| job.run_id == run_id && job.bridge_to.is_none()).into())
        }
        ["pipelines", id, "bridges"] => {
            let run_id = find_run(world, repo, id)?.id;
            Ok(jobs(world, request, |job| job.run_id == run_id && job.bridge_to.is_some()).into())
        }
        ["jobs"] => Ok(jobs(world, request, |job| job.repo_id == repo.id && job.bridge_to.is_none()).into()),
        ["jobs", id] => {
            let job = find_job(world, repo, id)?;
            Ok(Reply::json(200, &shape::job(world, job)).into())
        }
        ["jobs", id, "trace"] => {
            let id = find_job(world, repo, id)?.id;
            Ok(trace(world, id).into())
        }
        _ => Ok(unknown()),
    }
}

fn find_run<'a>(world: &'a World, repo: &Repo, id: &str) -> Result<&'a Run, Box<Reply>> {
    let run = id.parse().ok().and_then(|id: u64| world.runs.get(&id));
    run.filter(|run| run.repo_id == repo.id).ok_or_else(|| refuse(404, "404 Not found"))
}

/// A bridge is not a job here: it has no trace and is not found.
fn find_job<'a>(world: &'a World, repo: &Repo, id: &str) -> Result<&'a Job, Box<Reply>> {
    let job = id.parse().ok().and_then(|id: u64| world.jobs.get(&id));
    job.filter(|job| job.repo_id == repo.id && job.bridge_to.is_none())
        .ok_or_else(|| refuse(404, "404 Not Found"))
}

fn list(world: &World, request: &Incoming, repo: &Repo) -> Answer {
    let moment = |name: &str| -> Result<Option<Timestamp>, Box<Reply>> {
        let Some(text) = request.query(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Box::new(Reply::json(400, &serde_json::json!({ "error": format!("{name} is invalid") })))
        })
    };
    let (after, before) = (moment("updated_after")?, moment("updated_before")?);
    let source = request.query("source");
    let fits = |name: &str, value: &str| request.query(name).is_none_or(|wanted| wanted == value);
    let mut runs: Vec<&Run> = world
        .runs
        .values()
        .filter(|run| run.repo_id == repo.id)
        // Child pipelines are shown only when asked for.
        .filter(|run| source.map_or(run.trigger != "parent_pipeline", |wanted| wanted == run.trigger))
        .filter(|run| fits("status", shape::status(run.state)))
        .filter(|run| fits("ref", &shape::rest_ref(run)) && fits("sha", &run.sha))
        .filter(|run| request.query("scope") != Some("finished") || run.state.is_ended())
        .filter(|run| after.is_none_or(|after| run.updated_at > after))
        .filter(|run| before.is_none_or(|before| run.updated_at < before))
        .collect();
    match request.query("order_by") {
        Some("updated_at") => runs.sort_by_key(|run| (run.updated_at, run.id)),
        _ => runs.sort_by_key(|run| run.id),
    }
    if request.query("sort") != Some("asc") {
        runs.reverse();
    }
    Ok(page(world, request, &runs, |run| shape::pipeline(world, run)).into())
}

/// Its own pipelines and those of its branch, newest first; nothing filters them (docs api/merge_requests.md).
fn of_merge_request(world: &World, request: &Incoming, repo: &Repo, iid: &str) -> Answer {
    let pull = iid.parse().ok().and_then(|iid| world.pull(repo.id, iid));
    let pull = pull.ok_or_else(|| refuse(404, "404 Not found"))?;
    let is_its = |run: &&Run| {
        run.pull.is_some_and(|(number, target)| number == pull.number && target == repo.id)
            || (run.pull.is_none() && run.repo_id == pull.source_repo_id && run.branch == pull.source_branch)
    };
    let runs: Vec<&Run> = world.runs.values().rev().filter(is_its).collect();
    Ok(page(world, request, &runs, |run| shape::pipeline(world, run)).into())
}

fn jobs(world: &World, request: &Incoming, is_meant: impl Fn(&Job) -> bool) -> Reply {
    let scopes = request.query_list("scope");
    let with_retried = request.query("include_retried") == Some("true");
    let jobs: Vec<&Job> = world
        .jobs
        .values()
        .rev()
        .filter(|job| is_meant(job))
        .filter(|job| with_retried || !job.is_retried)
        .filter(|job| scopes.is_empty() || scopes.contains(&shape::status(job.state)))
        .collect();
    page(world, request, &jobs, |job| shape::job(world, job))
}

/// A log that is not there is an empty body with 200, whatever the reason.
fn trace(world: &mut World, job_id: u64) -> Reply {
    let nothing = Reply::bytes(200, "text/plain", bytes::Bytes::new());
    let redirects = world.redirects_logs;
    let Some(job) = world.jobs.get_mut(&job_id) else { return nothing };
    if job.log_delay > 0 {
        job.log_delay -= 1;
        return nothing;
    }
    if job.is_log_expired || job.erased_at.is_some() || job.state == State::Queued {
        return nothing;
    }
    let log = job.log.clone();
    if redirects && log != Log::None {
        let location = world.blob_link(job_id);
        return Reply::redirect(302, &location);
    }
    match log {
        Log::Bytes(bytes) => {
            Reply::bytes(200, "text/plain", bytes).with_header("content-disposition", "infile")
        }
        Log::Generated(length) => Reply::generated(length).with_header("content-disposition", "infile"),
        Log::None => nothing,
    }
}
