//! Pipelines and jobs (docs.gitflic.ru, api/cicd).

mod log;

use async_trait::async_trait;
use forge_core::{
    BoxStream, Ci, Error, ErrorKind, ForgeKind, LogOptions, LogStream, Result,
    model::{Job, PullRequest, RepoRef, Run, RunRef},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    client::{Call, GitFlicClient, repo_path, segment, shown},
    page::More,
    pull_requests,
    wire::{self, Fields, is_number},
};

/// How long a pipeline may run before its end is not looked for any more.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(6);
/// How many pages of pipelines are searched for one.
const SEARCHED_PAGES: usize = 20;

#[async_trait]
impl Ci for GitFlicClient {
    /// By the number within the project, or by the UUID, which is what jobs see as `$CI_PIPELINE_ID` and which can
    /// only be looked for in the list.
    async fn get_run(&self, repo: &RepoRef, run: &RunRef) -> Result<Run> {
        let found = self.find_run(repo, &run.id).await?;
        let mut run = found.run;
        // Whether any job ran decides whether the reason is one of the configuration.
        if run.is_failed() && (run.config_error.is_some() || found.failure_reason.is_some()) {
            let has_jobs = self.has_jobs(repo, &run.id).await?;
            run.config_error = found.failure_reason.filter(|_| !has_jobs);
        }
        Ok(run)
    }

    /// Newest first by number.
    ///
    /// All pipelines are read, because GitFlic ignores filters. Times have no zone, so that those which would be new
    /// enough in UTC count too. Reading stops after a page on which nothing changed and whose oldest pipeline began
    /// long before.
    fn list_failed_runs(&self, repo: &RepoRef, since: Timestamp) -> BoxStream<'static, Result<Run>> {
        let (clock, web, here) = (self.clock, self.web().to_owned(), repo.clone());
        let earliest = since.checked_sub(clock.doubt()).unwrap_or(Timestamp::MIN);
        let horizon = earliest.checked_sub(LONGEST_RUN).unwrap_or(Timestamp::MIN);
        let operation = format!("list failed pipelines of {}", shown(repo));
        self.list_pages(pipelines(repo), operation, move |items| {
            let read = |item: &Value| wire::run(Fields::new(item), &here, &web, clock);
            let runs: Vec<Run> = items.iter().map(read).collect::<Option<_>>()?;
            // A time that cannot be read hides nothing.
            let has_changed = |run: &Run| run.updated_at.is_none_or(|at| at >= earliest);
            let is_past = runs.last().is_some_and(|oldest| oldest.created_at.is_some_and(|at| at < horizon));
            let more = if is_past && !runs.iter().any(has_changed) { More::No } else { More::Yes };
            Some((runs.into_iter().filter(|run| run.is_failed() && has_changed(run)).collect(), more))
        })
    }

    fn list_jobs(&self, repo: &RepoRef, run: &RunRef) -> BoxStream<'static, Result<Job>> {
        let (client, repo, run_id) = (self.clone(), repo.clone(), run.id.clone());
        stream::once(async move {
            let run_id =
                if is_number(&run_id) { run_id } else { client.find_run(&repo, &run_id).await?.run.id };
            let path = repo_path(&repo).map(|path| format!("{path}/cicd/pipeline/{run_id}/jobs"));
            let operation = format!("list jobs of pipeline {run_id} of {}", shown(&repo));
            let (clock, parent) = (client.clock, run_id.clone());
            let jobs = client.list(path, operation, move |fields| wire::job(fields, &parent, clock));
            let mut jobs: Vec<Job> = jobs.try_collect().await?;
            wire::number_jobs(&mut jobs);
            for job in &mut jobs {
                job.web_url = client.job_page(&repo, &job.run_id);
            }
            Ok::<_, Error>(stream::iter(jobs.into_iter().map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    async fn get_job(&self, repo: &RepoRef, job_id: &str) -> Result<Job> {
        let path = format!("{}/cicd/job/{}", repo_path(repo)?, segment(job_id)?);
        let response = self.send(&Call::get(path, format!("read job {job_id} of {}", shown(repo)))).await?;
        let mut job = wire::read(&response, "a job", |fields| wire::job(fields, "", self.clock))?;
        job.web_url = self.job_page(repo, &job.run_id);
        Ok(job)
    }

    async fn job_log(&self, repo: &RepoRef, job: &Job, options: LogOptions) -> Result<LogStream> {
        log::open(self, repo, job, options).await
    }

    async fn find_pull_requests(&self, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
        pull_requests::find(self, repo, run).await
    }
}

struct FoundRun {
    run: Run,
    failure_reason: Option<String>,
}

impl GitFlicClient {
    async fn find_run(&self, repo: &RepoRef, id: &str) -> Result<FoundRun> {
        let operation = format!("read pipeline {id} of {}", shown(repo));
        if !is_number(id) || self.learned.lists_pipelines_only() {
            return self.search_run(repo, id, operation).await;
        }
        let path = format!("{}/cicd/pipeline/{id}", repo_path(repo)?);
        match self.send(&Call::get(path, operation.clone())).await {
            Ok(response) => wire::read(&response, "a pipeline", |fields| self.found(fields, repo)),
            // Either there is no such pipeline, or this version has no single pipelines.
            Err(error) if matches!(error.status(), Some(404 | 405)) => {
                let found = self.search_run(repo, id, operation).await?;
                self.learned.note_no_single_pipelines();
                Ok(found)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks for a pipeline in the list by its number or UUID.
    async fn search_run(&self, repo: &RepoRef, id: &str, operation: String) -> Result<FoundRun> {
        let (client, here, wanted) = (self.clone(), repo.clone(), id.to_owned());
        let wanted_number = id.parse::<u64>().ok();
        let pages_left = std::sync::atomic::AtomicUsize::new(SEARCHED_PAGES);
        let mut found = self.list_pages(pipelines(repo), operation.clone(), move |items| {
            let mut matching = Vec::new();
            let mut smallest = u64::MAX;
            for item in items {
                let fields = Fields::new(item);
                let number = fields.number("localId");
                smallest =
                    smallest.min(number.as_deref().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX));
                if number.as_deref() == Some(&wanted) || fields.id("id").as_deref() == Some(&wanted) {
                    matching.push(client.found(fields, &here)?);
                }
            }
            let is_passed = wanted_number.is_some_and(|wanted| smallest < wanted);
            let is_last = pages_left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) <= 1;
            let more = if is_passed || is_last || !matching.is_empty() { More::No } else { More::Yes };
            Some((matching, more))
        });
        found.try_next().await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "there is no such pipeline among the last ones")
                .with_forge(ForgeKind::GITFLIC)
                .with_operation(operation)
                .with_hint("give the number that the pipeline has in its project")
        })
    }

    fn found(&self, fields: Fields<'_>, repo: &RepoRef) -> Option<FoundRun> {
        let run = wire::run(fields, repo, self.web(), self.clock)?;
        Some(FoundRun { run, failure_reason: fields.text("failureReason") })
    }

    async fn has_jobs(&self, repo: &RepoRef, run_id: &str) -> Result<bool> {
        let path = repo_path(repo).map(|path| format!("{path}/cicd/pipeline/{run_id}/jobs"));
        let operation = format!("list jobs of pipeline {run_id} of {}", shown(repo));
        let mut jobs = self.list(path, operation, |_| Some(()));
        Ok(jobs.try_next().await?.is_some())
    }

    /// Jobs have no page of their own that is known; that of their pipeline shows them.
    fn job_page(&self, repo: &RepoRef, run_id: &str) -> Option<String> {
        wire::web_url(self.web(), repo, &format!("/ci-cd/pipeline/{run_id}")).filter(|_| !run_id.is_empty())
    }
}

pub(crate) fn pipelines(repo: &RepoRef) -> Result<String> {
    repo_path(repo).map(|path| format!("{path}/cicd/pipeline"))
}
