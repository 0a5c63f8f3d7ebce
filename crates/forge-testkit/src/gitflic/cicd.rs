//! Pipelines, jobs, artifacts.

use super::{Answer, json, major, page, refuse, unknown};
use crate::{
    spec::Log,
    wire::{Incoming, Reply},
    world::{Job, Repo, Run, World},
};

pub(super) fn route(world: &mut World, request: &Incoming, repo: &Repo, segments: &[&str]) -> Answer {
    match (request.method.as_str(), segments) {
        // Filters of the query are ignored without a word.
        ("GET", ["pipeline"]) => {
            let runs: Vec<&Run> = world.runs.values().rev().filter(|run| run.repo_id == repo.id).collect();
            Ok(page(world, request, "restPipelineModelList", &runs, |run| json::pipeline(world, run)).into())
        }
        ("GET", ["pipeline", local_id]) => {
            if major(world) < 4 {
                return Err(refuse(404, "error.not.found"));
            }
            let run = find_run(world, repo, local_id)?;
            Ok(Reply::json(200, &json::pipeline(world, run)).into())
        }
        ("GET", ["pipeline", local_id, "jobs"]) => {
            let run = find_run(world, repo, local_id)?;
            let jobs: Vec<&Job> = world.jobs_of(run.id).collect();
            Ok(page(world, request, "restPipelineJobModelList", &jobs, |job| json::job(world, job)).into())
        }
        ("GET", ["job", local_id]) => {
            let job = find_job(world, repo, local_id)?;
            Ok(Reply::json(200, &json::job(world, job)).into())
        }
        ("GET", ["job", local_id, "artifacts"]) => {
            let id = find_job(world, repo, local_id)?.id;
            let has_trace = has_trace(world, id);
            let job = find_job(world, repo, local_id)?;
            let artifacts = json::artifacts(world, repo, job, has_trace);
            let name = "restPipelineJobArtifactModelList";
            Ok(page(world, request, name, &artifacts, Clone::clone).into())
        }
        ("GET", ["job", local_id, "artifact", artifact, "download"]) => {
            let job = find_job(world, repo, local_id)?;
            if *artifact != json::artifact_id(job.id) {
                return Err(refuse(404, "error.artifact.not.found"));
            }
            let (id, log) = (job.id, job.log.clone());
            if world.redirects_logs {
                let location = world.blob_link(id);
                return Ok(Reply::redirect(302, &location).into());
            }
            Ok(match log {
                Log::Bytes(bytes) => Reply::bytes(200, "application/octet-stream", bytes),
                Log::Generated(length) => Reply::generated(length),
                Log::None => return Err(refuse(404, "error.artifact.not.found")),
            }
            .into())
        }
        _ => Ok(unknown()),
    }
}

/// By the number within the project; a UUID is not found.
fn find_run<'a>(world: &'a World, repo: &Repo, local_id: &str) -> Result<&'a Run, Box<Reply>> {
    let number = local_id.parse::<u64>().ok();
    let run = world.runs.values().find(|run| run.repo_id == repo.id && Some(run.number) == number);
    run.ok_or_else(|| refuse(404, "error.pipeline.not.found"))
}

fn find_job<'a>(world: &'a World, repo: &Repo, local_id: &str) -> Result<&'a Job, Box<Reply>> {
    let number = local_id.parse::<u64>().ok();
    let mut jobs = world.jobs.values().filter(|job| job.repo_id == repo.id);
    let job = jobs.find(|job| Some(json::job_local_id(world, job)) == number);
    job.ok_or_else(|| refuse(404, "error.job.not.found"))
}

/// Whether the log has been uploaded; each question brings it nearer.
fn has_trace(world: &mut World, job_id: u64) -> bool {
    let Some(job) = world.jobs.get_mut(&job_id) else { return false };
    if job.log_delay > 0 {
        job.log_delay -= 1;
        return false;
    }
    job.state.is_ended() && job.log != Log::None && !job.is_log_expired && job.erased_at.is_none()
}
