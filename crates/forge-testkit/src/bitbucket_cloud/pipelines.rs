//! Pipelines, steps, logs.

use forge_core::model::ReportedTest;
use serde_json::json;

use super::{Answer, State, access::Caller, json as shape, page, refuse, unknown};
use crate::{
    blob_store::ranged,
    spec::{Log, State as JobState},
    wire::{Incoming, Reply},
    world::{Job, Repo, Run, World},
};

const STATUSES: [&str; 10] =
    ["PARSING", "PENDING", "PAUSED", "HALTED", "BUILDING", "ERROR", "PASSED", "FAILED", "STOPPED", "UNKNOWN"];

pub(super) fn route(
    world: &mut World,
    state: &State,
    request: &Incoming,
    caller: &Caller,
    repo: &Repo,
    segments: &[&str],
) -> Answer {
    if request.method != http::Method::GET {
        return Ok(unknown());
    }
    caller.require("pipeline", "read:pipeline:bitbucket")?;
    if !repo.has_ci {
        return Err(refuse(404, "Pipelines is not enabled for this repository"));
    }
    match *segments {
        [] => list(world, request, repo),
        [id] => {
            let run = find_run(world, state, repo, id)?;
            Ok(Reply::json(200, &shape::pipeline(world, run)).into())
        }
        [id, "steps"] => {
            let run_id = find_run(world, state, repo, id)?.id;
            // Of a step that was run again only the latest run is listed.
            let jobs: Vec<&Job> =
                world.jobs_of(run_id).filter(|job| !job.is_retried && job.bridge_to.is_none()).collect();
            page(world, request, &jobs, 100, |job| shape::step(world, job))
        }
        [id, "steps", step] => {
            let job = find_step(world, state, repo, id, step)?;
            Ok(Reply::json(200, &shape::step(world, job)).into())
        }
        [id, "steps", step, "log"] => {
            let job_id = find_step(world, state, repo, id, step)?.id;
            log(world, request, job_id)
        }
        [id, "steps", step, "test_reports", ref rest @ ..] => {
            test_reports(world, request, find_step(world, state, repo, id, step)?, rest)
        }
        _ => Ok(unknown()),
    }
}

fn find_run<'a>(world: &'a World, state: &State, repo: &Repo, id: &str) -> Result<&'a Run, Box<Reply>> {
    let by_uuid = shape::number(shape::PIPELINE, id).and_then(|id| world.runs.get(&id));
    let run = by_uuid.or_else(|| {
        let number = id.parse::<u64>().ok().filter(|_| state.resolves_build_numbers)?;
        world.runs.values().find(|run| run.repo_id == repo.id && run.number == number)
    });
    run.filter(|run| run.repo_id == repo.id).ok_or_else(|| refuse(404, "Pipeline not found"))
}

fn find_step<'a>(
    world: &'a World,
    state: &State,
    repo: &Repo,
    pipeline: &str,
    step: &str,
) -> Result<&'a Job, Box<Reply>> {
    let run = find_run(world, state, repo, pipeline)?;
    let job = world.jobs_of(run.id).rev().find(|job| !job.is_retried && shape::step_uuid(world, job) == step);
    job.ok_or_else(|| refuse(404, "Step not found"))
}

/// Oldest first unless told otherwise; `q` is not looked at, and of several `status` only the first counts.
fn list(world: &World, request: &Incoming, repo: &Repo) -> Answer {
    if let Some(status) = request.query("status").filter(|status| !STATUSES.contains(status)) {
        return Err(refuse(400, &format!("Invalid status {status}")));
    }
    let fits = |name: &str, value: &str| request.query(name).is_none_or(|wanted| wanted == value);
    let mut runs: Vec<&Run> = world
        .runs
        .values()
        .filter(|run| run.repo_id == repo.id)
        .filter(|run| fits("target.commit.hash", &run.sha) && fits("status", shape::status_word(run)))
        .filter(|run| fits("target.ref_name", &run.branch) && fits("target.branch", &run.branch))
        .collect();
    runs.sort_by_key(|run| (run.created_at, run.number));
    if request.query("sort").is_some_and(|sort| sort.starts_with('-')) {
        runs.reverse();
    }
    page(world, request, &runs, 100, |run| shape::pipeline(world, run))
}

/// What failed between two tests that did not; the API description has no schema for any of it.
fn test_reports(world: &World, request: &Incoming, job: &Job, segments: &[&str]) -> Answer {
    if job.failing_tests.is_empty() {
        return Err(refuse(404, "No test reports found"));
    }
    let failing = job.failing_tests.len();
    match segments {
        [] => Ok(Reply::json(
            200,
            &json!({
                "type": "pipeline_test_report_summary",
                "number_of_test_cases": failing + 2,
                "number_of_successful_test_cases": 2,
                "number_of_failed_test_cases": failing,
                "number_of_error_test_cases": 0,
                "number_of_skipped_test_cases": 0,
            }),
        )
        .into()),
        ["test_cases"] => {
            let green = |name: &str| ReportedTest::new(name);
            let mut cases: Vec<(u64, ReportedTest, &str)> = vec![(0, green("begins"), "SUCCESSFUL")];
            cases.extend((1..).zip(&job.failing_tests).map(|(id, test)| (id, test.clone(), "FAILED")));
            cases.push((0, green("ends"), "SUCCESSFUL"));
            page(world, request, &cases, 100, |(id, test, status)| {
                json!({
                    "type": "pipeline_test_case",
                    "uuid": shape::uuid(shape::TEST, *id),
                    "fully_qualified_name": format!("{}.{}", test.suite.as_deref().unwrap_or("all"), test.name),
                    "name": test.name,
                    "class_name": test.suite,
                    "status": status,
                    "duration": "PT0.042S",
                })
            })
        }
        ["test_cases", id, "test_case_reasons"] => {
            let place =
                shape::number(shape::TEST, id).and_then(|id| usize::try_from(id.checked_sub(1)?).ok());
            let test = place.and_then(|place| job.failing_tests.get(place));
            let test = test.ok_or_else(|| refuse(404, "Test case not found"))?;
            let reasons: Vec<&String> = test.message.iter().collect();
            page(
                world,
                request,
                &reasons,
                100,
                |message| json!({ "type": "pipeline_test_case_reason", "message": message, "stack_trace": message }),
            )
        }
        _ => Ok(unknown()),
    }
}

/// A link to the storage once the step has ended, the bytes so far before; 404 whatever the reason there is none.
fn log(world: &mut World, request: &Incoming, job_id: u64) -> Answer {
    let missing = || refuse(404, "The log for this step is not available");
    let takes = |kind: &str| request.header("accept").is_none_or(|accept| accept.contains(kind));
    if !takes("application/octet-stream") && !takes("*/*") {
        return Err(refuse(406, "Not acceptable"));
    }
    let redirects = world.redirects_logs;
    let job = world.jobs.get_mut(&job_id).ok_or_else(missing)?;
    if job.log_delay > 0 {
        job.log_delay -= 1;
        return Err(missing());
    }
    let never_ran = matches!(job.state, JobState::Queued | JobState::Skipped);
    if job.is_log_expired || job.erased_at.is_some() || never_ran || job.log == Log::None {
        return Err(missing());
    }
    let (log, is_ended) = (job.log.clone(), job.state.is_ended());
    if redirects && is_ended {
        let location = world.blob_link(job_id);
        return Ok(Reply::redirect(307, &location).into());
    }
    let reply = match log {
        Log::Bytes(bytes) => ranged(request, bytes),
        Log::Generated(length) => Reply::generated(length),
        Log::None => return Err(missing()),
    };
    if reply.status.as_u16() == 416 {
        return Err(refuse(416, "Range not satisfiable"));
    }
    Ok(reply.into())
}
