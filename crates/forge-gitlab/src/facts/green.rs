//! The last green execution of a job.

use forge_core::{
    Result,
    model::{Conclusion, GreenJob, Job, RefType, RepoRef, Run},
};
use futures_util::TryStreamExt as _;

use super::BY_PARENT;
use crate::{
    client::{Client, name_of, number},
    wire,
};

/// How many pipelines are looked at: what one page holds.
const MAX_PIPELINES: &str = "100";
/// How many passed ones are told.
const MAX_PASSED: &str = "20";
/// After so many pipelines that passed without a job of that name it is taken as never run on this branch. Each costs a
/// request, and GitLab cannot search jobs by name.
const MAX_WITHOUT: usize = 20;
/// What starts nightly builds, whose jobs other pipelines may not have.
const BY_SCHEDULE: &str = "schedule";

impl Client {
    /// Newest pipeline first, because a job may be green in a pipeline that failed. A project has one configuration, so
    /// pipelines are of a kind when they are started alike: by a parent, by a schedule, or else. A name (`workflow:name`)
    /// is text that may differ from pipeline to pipeline.
    pub(super) async fn find_green_job(
        &self,
        repo: &RepoRef,
        run: &Run,
        job: &Job,
        branch: &str,
    ) -> Result<Option<GreenJob>> {
        let repo = job.repo.as_ref().unwrap_or(repo);
        let source = run.trigger.as_deref();
        let is_child = source == Some(BY_PARENT) || (job.repo.is_none() && job.run_id != run.id);
        let source = if is_child { Some(BY_PARENT) } else { source.filter(|source| *source == BY_SCHEDULE) };
        let operation = format!("list pipelines of {}", name_of(repo));
        let pipelines: Vec<wire::Pipeline> = self
            .call(repo, &operation, |api, path| {
                let request = api.get(&format!("{path}/pipelines")).query(&[
                    ("ref", branch),
                    ("order_by", "id"),
                    ("sort", "desc"),
                    ("per_page", MAX_PIPELINES),
                ]);
                match source {
                    Some(source) => request.query(&[("source", source)]),
                    None => request,
                }
            })
            .await?
            .json()?;
        let mut without = 0;
        for pipeline in pipelines {
            let candidate = pipeline.into_run();
            let is_itself = [&run.id, &job.run_id].contains(&&candidate.id);
            if is_itself || Some(&candidate.id) == run.root_id.as_ref() {
                continue;
            }
            if let Some(found) = self.green_job_in(repo, &candidate, &job.name).await? {
                return Ok(Some(GreenJob::new(candidate, found)));
            }
            without += usize::from(candidate.conclusion == Some(Conclusion::Success));
            if without >= MAX_WITHOUT {
                break;
            }
        }
        Ok(None)
    }

    /// One request: the pipelines of a merge request have references of their own, and GitLab lists them with it, those of
    /// its branch included (docs api/merge_requests.md, list merge request pipelines).
    pub(super) async fn find_passed(
        &self,
        repo: &RepoRef,
        branch: &str,
        pull: Option<&str>,
    ) -> Result<Vec<Run>> {
        let operation = format!("list passed pipelines of {}", name_of(repo));
        let pull = pull.map(|iid| number(iid, "merge request number")).transpose()?;
        let answer = self
            .call(repo, &operation, |api, path| match &pull {
                Some(iid) => api
                    .get(&format!("{path}/merge_requests/{iid}/pipelines"))
                    .query(&[("per_page", MAX_PIPELINES)]),
                None => api.get(&format!("{path}/pipelines")).query(&[
                    ("ref", branch),
                    ("status", "success"),
                    ("order_by", "id"),
                    ("sort", "desc"),
                    ("per_page", MAX_PASSED),
                ]),
            })
            .await?;
        let pipelines: Vec<wire::Pipeline> = answer.json()?;
        let mut runs: Vec<Run> = pipelines.into_iter().map(wire::Pipeline::into_run).collect();
        runs.retain(|run| run.conclusion == Some(Conclusion::Success));
        runs.sort_by_key(|run| std::cmp::Reverse(run.id.parse::<u64>().unwrap_or_default()));
        runs.truncate(20);
        for run in &mut runs {
            (run.git_ref, run.ref_type) = (Some(branch.to_owned()), Some(RefType::Branch));
        }
        Ok(runs)
    }

    async fn green_job_in(&self, repo: &RepoRef, run: &Run, name: &str) -> Result<Option<Job>> {
        let operation = format!("list green jobs of pipeline {} of {}", run.id, name_of(repo));
        let pipeline_id = run.id.clone();
        let mut jobs = self.list(
            repo,
            operation,
            move |api, path| {
                api.get(&format!("{path}/pipelines/{pipeline_id}/jobs"))
                    .query(&[("scope[]", "success"), ("per_page", "100")])
            },
            |job: wire::Job| job,
        );
        while let Some(job) = jobs.try_next().await? {
            if job.name == name {
                return Ok(Some(job.into_job(&run.id)));
            }
        }
        Ok(None)
    }
}
