//! The last green execution of a job on a branch.

use std::cmp::Reverse;

use forge_core::{
    Result,
    model::{Conclusion, GreenJob, Job, RepoRef, Run, Status},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use url::form_urlencoded;

use super::began_at;
use crate::{
    client::{GitHubClient, More, repo_path, segment, shown},
    wire,
};

/// GitHub tells a run's jobs only run by run, so of green runs (in which the job may have been skipped) and of red ones
/// (in which it may have been green) no more than these are opened.
const MOST_GREEN: usize = 10;
const MOST_RED: usize = 20;

/// One request for the workflow, one for its last hundred runs on the branch, then one for each run that is opened, the
/// newest first.
pub(super) async fn find(
    client: &GitHubClient,
    repo: &RepoRef,
    run: &Run,
    job_name: &str,
    branch: &str,
) -> Result<Option<GreenJob>> {
    let Some(workflow) = client.raw_run(repo, run).await?.workflow_id else { return Ok(None) };
    let branch: String = form_urlencoded::byte_serialize(branch.as_bytes()).collect();
    let path = format!(
        "{}/actions/workflows/{workflow}/runs?branch={branch}&status=completed&exclude_pull_requests=true&per_page=100",
        repo_path(repo)?
    );
    let operation = format!("list the last runs of workflow {workflow} of {}", shown(repo));
    let page: wire::RunPage = client.get(path, operation).await?;
    let (mut green, mut red) = (0, 0);
    for candidate in page.workflow_runs.into_iter().map(wire::Run::into_model) {
        // A fork's branch of the same name is not the branch.
        if candidate.id == run.id || candidate.head_repo_id.is_some() {
            continue;
        }
        match candidate.conclusion {
            Some(Conclusion::Success) if green < MOST_GREEN => green += 1,
            Some(Conclusion::Failure | Conclusion::TimedOut | Conclusion::Cancelled) if red < MOST_RED => {
                red += 1
            }
            _ => continue,
        }
        if let Some(job) = green_job(client, repo, &candidate, job_name).await? {
            return Ok(Some(GreenJob::new(candidate, job)));
        }
    }
    Ok(None)
}

/// One request for the last passed runs of the branch, of all workflows.
pub(super) async fn passed(client: &GitHubClient, repo: &RepoRef, branch: &str) -> Result<Vec<Run>> {
    let name: String = form_urlencoded::byte_serialize(branch.as_bytes()).collect();
    let path = format!(
        "{}/actions/runs?branch={name}&status=success&exclude_pull_requests=true&per_page=20",
        repo_path(repo)?
    );
    let page: wire::RunPage = client.get(path, format!("list passed runs of {}", shown(repo))).await?;
    let mut runs: Vec<Run> = page.workflow_runs.into_iter().map(wire::Run::into_model).collect();
    // A fork's branch of the same name is not the branch.
    runs.retain(|run| run.head_repo_id.is_none() && run.conclusion == Some(Conclusion::Success));
    Ok(runs)
}

/// Of all attempts the execution that began last. What a repetition of failed jobs copies from an earlier attempt has
/// the times of that, where it really ran and has its log.
async fn green_job(client: &GitHubClient, repo: &RepoRef, run: &Run, name: &str) -> Result<Option<Job>> {
    let path =
        format!("{}/actions/runs/{}/jobs?filter=all&per_page=100", repo_path(repo)?, segment(&run.id)?);
    let operation = format!("list jobs of run {} of {}", run.id, shown(repo));
    let jobs: Vec<Job> = client
        .list(Ok(path), operation, |response| Ok((response.json::<wire::JobPage>()?.jobs, More::AsLinked)))
        .map_ok(|job: wire::Job| job.into_model(&run.id))
        .boxed()
        .try_collect()
        .await?;
    Ok(jobs
        .into_iter()
        .filter(|job| {
            job.name == name && job.status == Status::Completed && job.conclusion == Some(Conclusion::Success)
        })
        .max_by_key(|job| (began_at(job), Reverse(job.attempt))))
}
