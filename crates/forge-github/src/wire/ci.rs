use forge_core::model;
use serde::Deserialize;

use super::{conclusion, non_empty, run_ref, status, time};

#[derive(Debug, Deserialize)]
pub(crate) struct RunPage {
    pub(crate) workflow_runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct JobPage {
    pub(crate) jobs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    id: u64,
    name: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) workflow_id: Option<u64>,
    run_number: Option<u64>,
    run_attempt: Option<u32>,
    status: Option<String>,
    conclusion: Option<String>,
    head_branch: Option<String>,
    pub(crate) head_sha: Option<String>,
    event: Option<String>,
    html_url: Option<String>,
    pull_requests: Option<Vec<RunPullRequest>>,
    repository: Option<IdOnly>,
    head_repository: Option<HeadRepository>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RunPullRequest {
    number: u64,
    base: Option<RunPullRequestBase>,
}

#[derive(Debug, Deserialize)]
struct RunPullRequestBase {
    repo: Option<IdOnly>,
}

#[derive(Debug, Deserialize)]
struct IdOnly {
    id: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct HeadRepository {
    id: Option<u64>,
    owner: Option<Owner>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    login: Option<String>,
}

impl Run {
    pub(crate) fn into_model(self) -> model::Run {
        let mut run = model::Run::new(self.id.to_string());
        run.attempt = self.run_attempt.unwrap_or(1).max(1);
        run.number = self.run_number.map(|number| number.to_string());
        run.status = self.status.as_deref().map_or(model::Status::Unknown, status);
        run.conclusion = self.conclusion.as_deref().map(conclusion);
        (run.git_ref, run.ref_type) = run_ref(self.head_branch, self.event.as_deref(), self.path.as_deref());
        run.sha = non_empty(self.head_sha);
        run.trigger = non_empty(self.event);
        run.web_url = non_empty(self.html_url);
        let repository = self.repository.and_then(|repository| repository.id);
        run.pull_requests = self
            .pull_requests
            .unwrap_or_default()
            .into_iter()
            .filter(|pull_request| {
                // A commit that several repositories share is named with the pull requests of all of them.
                let base = pull_request.base.as_ref().and_then(|base| base.repo.as_ref()?.id);
                base.is_none() || repository.is_none() || base == repository
            })
            .map(|pull_request| pull_request.number.to_string())
            .collect();
        if let Some(head) = self.head_repository {
            if head.id != repository {
                run.head_repo_id = head.id.map(|id| id.to_string());
            }
            run.head_owner = head.owner.and_then(|owner| non_empty(owner.login));
        }
        if run.conclusion == Some(model::Conclusion::StartupFailure) {
            let file =
                self.path.as_deref().and_then(|path| path.split('@').next()).unwrap_or("its workflow file");
            // The message itself is shown on the run's page only; no REST endpoint gives it.
            run.config_error = Some(format!(
                "GitHub could not start the run and created no job: {file} is not a valid workflow, or names an \
                 action, reusable workflow or permission that is not available"
            ));
        }
        run.name = non_empty(self.name);
        run.created_at = time(self.created_at.as_deref());
        run.updated_at = time(self.updated_at.as_deref());
        if run.status == model::Status::Completed {
            run.finished_at = run.updated_at;
        }
        run
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    id: u64,
    run_id: Option<u64>,
    run_attempt: Option<u32>,
    name: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    html_url: Option<String>,
    runner_name: Option<String>,
    pub(crate) check_run_url: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    steps: Option<Vec<Step>>,
}

#[derive(Debug, Deserialize)]
struct Step {
    name: Option<String>,
    number: Option<u32>,
    conclusion: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
}

impl Job {
    /// `run_id` serves where the job does not name its run.
    pub(crate) fn into_model(self, run_id: &str) -> model::Job {
        let run_id = self.run_id.map_or_else(|| run_id.to_owned(), |id| id.to_string());
        let mut job = model::Job::new(self.id.to_string(), run_id, self.name.unwrap_or_default());
        job.attempt = self.run_attempt.unwrap_or(1).max(1);
        job.status = self.status.as_deref().map_or(model::Status::Unknown, status);
        job.conclusion = self.conclusion.as_deref().map(conclusion);
        job.web_url = non_empty(self.html_url);
        job.runner = non_empty(self.runner_name);
        job.started_at = time(self.started_at.as_deref());
        job.finished_at = time(self.completed_at.as_deref());
        job.steps = self
            .steps
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(index, step)| model::JobStep {
                name: step.name.unwrap_or_default(),
                number: step.number.unwrap_or_else(|| u32::try_from(index + 1).unwrap_or(u32::MAX)),
                conclusion: step.conclusion.as_deref().map(conclusion),
                started_at: time(step.started_at.as_deref()),
                finished_at: time(step.completed_at.as_deref()),
            })
            .collect();
        job
    }
}
