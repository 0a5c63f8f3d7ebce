//! Which pipeline a build number means, and which step a job id.

use forge_core::{Error, ErrorKind, ForgeKind, Result, model::RepoRef};
use futures_util::TryStreamExt as _;

use crate::{
    client::{BitbucketCloudClient, More, repo_path, segment, shown},
    wire,
};

/// A job's id: the build number, the step's UUID and which run of the step.
///
/// A step that is run again keeps its UUID and counts its runs, so that only all three together name one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobId {
    pub(crate) run: String,
    pub(crate) step: String,
    /// `None` where it was not given: whichever is the latest.
    pub(crate) run_number: Option<u32>,
}

impl JobId {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let parsed = (|| {
            let run = parts.next().filter(|run| run.parse::<u64>().is_ok())?;
            let step = parts.next().filter(|step| step.starts_with('{') && step.ends_with('}'))?;
            let run_number = parts.next().map(str::parse).transpose().ok()?;
            let is_whole = parts.next().is_none();
            is_whole.then(|| Self { run: run.to_owned(), step: step.to_owned(), run_number })
        })();
        parsed.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "that is no job's id")
                .with_forge(ForgeKind::BITBUCKET_CLOUD)
                .with_operation(format!("read job {text}"))
                .with_hint("a job's id is <build number>:{<step UUID>}:<run of the step>, as jobs are listed")
        })
    }
}

impl BitbucketCloudClient {
    /// The pipeline with this build number.
    ///
    /// The API description knows UUIDs only; the number works in practice. It is tried first, and where it is not
    /// taken the newest pipelines are looked through: build numbers only ever grow.
    pub(crate) async fn pipeline(&self, repo: &RepoRef, run_id: &str) -> Result<wire::Pipeline> {
        let operation = format!("read run {run_id} of {}", shown(repo));
        let one = |id: &str| Ok::<_, Error>(format!("{}/pipelines/{}", repo_path(repo)?, segment(id)?));
        if run_id.starts_with('{') {
            return self.get(one(run_id)?, operation).await;
        }
        let missing = || {
            Error::new(ErrorKind::NotFound, "there is no pipeline with this build number")
                .with_forge(ForgeKind::BITBUCKET_CLOUD)
                .with_operation(operation.clone())
                .with_hint("the id of a run is its build number")
        };
        let number: u64 = run_id.parse().map_err(|_| missing())?;
        if let Some(uuid) = self.remembered_pipeline(repo, number) {
            return self.get(one(&uuid)?, operation.clone()).await;
        }
        if !self.needs_pipeline_uuids() {
            let answer: Result<wire::Pipeline> = self.get(one(run_id)?, operation.clone()).await;
            match answer {
                Ok(pipeline) if pipeline.build_number == number => {
                    self.remember_pipeline(repo, number, &pipeline.uuid);
                    return Ok(pipeline);
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => {}
                Err(error) => return Err(error),
            }
        }
        let path = Ok(format!("{}/pipelines?sort=-created_on&pagelen=100", repo_path(repo)?));
        // The list goes by time, which need not be quite the order of the numbers: a page decides, not an item.
        let mut newest = self.list(path, operation.clone(), move |values: Vec<wire::Pipeline>| {
            let is_past = values.iter().all(|pipeline| pipeline.build_number < number);
            (values, if is_past { More::No } else { More::AsLinked })
        });
        while let Some(pipeline) = newest.try_next().await? {
            self.remember_pipeline(repo, pipeline.build_number, &pipeline.uuid);
            if pipeline.build_number == number {
                self.learn_pipeline_uuids_are_needed();
                return Ok(pipeline);
            }
        }
        Err(missing())
    }

    /// The UUID behind a run's id.
    pub(crate) async fn pipeline_uuid(&self, repo: &RepoRef, run_id: &str) -> Result<String> {
        if run_id.starts_with('{') {
            return Ok(run_id.to_owned());
        }
        let known = run_id.parse().ok().and_then(|number| self.remembered_pipeline(repo, number));
        match known {
            Some(uuid) => Ok(uuid),
            None => Ok(self.pipeline(repo, run_id).await?.uuid),
        }
    }

    /// A step as it is now, and its path.
    pub(crate) async fn step(&self, repo: &RepoRef, job_id: &str) -> Result<(wire::Step, JobId, String)> {
        let id = JobId::parse(job_id)?;
        let pipeline = self.pipeline_uuid(repo, &id.run).await?;
        let path =
            format!("{}/pipelines/{}/steps/{}", repo_path(repo)?, segment(&pipeline)?, segment(&id.step)?);
        let operation = format!("read job {job_id} of {}", shown(repo));
        let step: Result<wire::Step> = self.get(path.clone(), operation.clone()).await;
        let step = match step {
            // Which steps there are is told by their list, too, and that is what every client reads.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.listed_step(repo, &pipeline, &id.step, operation).await?.ok_or(error)?
            }
            step => step?,
        };
        if id.run_number.is_some_and(|wanted| wanted != step.run_number()) {
            return Err(Error::new(
                ErrorKind::Gone,
                "the step was run again, and only its latest run is kept",
            )
            .with_forge(ForgeKind::BITBUCKET_CLOUD)
            .with_operation(format!("read job {job_id} of {}", shown(repo)))
            .with_hint("list the jobs of the run again"));
        }
        Ok((step, id, path))
    }

    async fn listed_step(
        &self,
        repo: &RepoRef,
        pipeline: &str,
        step: &str,
        operation: String,
    ) -> Result<Option<wire::Step>> {
        let path = format!("{}/pipelines/{}/steps?pagelen=100", repo_path(repo)?, segment(pipeline)?);
        let mut steps = self.list(Ok(path), operation, |values: Vec<wire::Step>| (values, More::AsLinked));
        while let Some(listed) = steps.try_next().await? {
            if listed.uuid == step {
                return Ok(Some(listed));
            }
        }
        Ok(None)
    }
}
