//! Jobs of a pipeline and of the pipelines it started.

use std::collections::{HashMap, HashSet, VecDeque};

use forge_core::{
    BoxStream, Error, Result,
    model::{Job, RepoRef, RunRef},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    client::{Client, name_of, number},
    error::absent,
    wire,
};

/// How deep pipelines may start pipelines. GitLab itself stops at two levels of children; one more for projects.
const MAX_DEPTH: u8 = 3;
/// How many pipelines one run may consist of, against a forge that never ends.
const MAX_PIPELINES: usize = 200;

/// A pipeline that is still to be read.
struct Stop {
    repo: RepoRef,
    pipeline_id: String,
    depth: u8,
}

struct Walk {
    client: Client,
    home: RepoRef,
    stops: VecDeque<Stop>,
    seen: HashSet<String>,
}

impl Client {
    pub(super) fn walk_jobs(&self, repo: &RepoRef, run: &RunRef) -> BoxStream<'static, Result<Job>> {
        let first = Stop { repo: repo.clone(), pipeline_id: run.id.clone(), depth: 0 };
        let walk = Walk {
            client: self.clone(),
            home: repo.clone(),
            seen: HashSet::from([run.id.clone()]),
            stops: VecDeque::from([first]),
        };
        stream::try_unfold(walk, |mut walk| async move {
            let Some(stop) = walk.stops.pop_front() else { return Ok(None) };
            let jobs = walk.visit(&stop).await?;
            Ok::<_, Error>(Some((stream::iter(jobs.into_iter().map(Ok)), walk)))
        })
        .try_flatten()
        .boxed()
    }

    pub(super) async fn read_job(&self, repo: &RepoRef, job_id: &str) -> Result<Job> {
        let found = self.fetch_job(repo, job_id).await?;
        let name = found.name.clone();
        let Some(pipeline_id) = found.pipeline.as_ref().map(|pipeline| pipeline.id.to_string()) else {
            return Ok(found.into_job(""));
        };
        // Which attempt it is, only its namesakes tell.
        let namesakes = self.list_jobs_of(repo, &pipeline_id).try_collect::<Vec<_>>().await?;
        let mut job = found.into_job(&pipeline_id);
        let namesakes: Vec<u64> =
            namesakes.iter().filter(|other| other.name == name).map(|other| other.id).collect();
        (job.attempt, job.is_retried) = place(job_id.parse().unwrap_or_default(), &namesakes);
        Ok(job)
    }

    pub(super) async fn fetch_job(&self, repo: &RepoRef, job_id: &str) -> Result<wire::Job> {
        let id = number(job_id, "job id")?;
        let operation = format!("get job {id} of {}", name_of(repo));
        self.call(repo, &operation, |api, path| api.get(&format!("{path}/jobs/{id}"))).await?.json()
    }

    /// All jobs of one pipeline, those that were retried included.
    fn list_jobs_of(&self, repo: &RepoRef, pipeline_id: &str) -> BoxStream<'static, Result<wire::Job>> {
        let operation = format!("list jobs of pipeline {pipeline_id} of {}", name_of(repo));
        let pipeline_id = pipeline_id.to_owned();
        self.list(
            repo,
            operation,
            move |api, path| {
                api.get(&format!("{path}/pipelines/{pipeline_id}/jobs"))
                    .query(&[("include_retried", "true"), ("per_page", "100")])
            },
            |job| job,
        )
    }

    pub(super) fn list_bridges_of(
        &self,
        repo: &RepoRef,
        pipeline_id: &str,
    ) -> BoxStream<'static, Result<wire::Bridge>> {
        let operation = format!("list trigger jobs of pipeline {pipeline_id} of {}", name_of(repo));
        let pipeline_id = pipeline_id.to_owned();
        self.list(
            repo,
            operation,
            move |api, path| {
                api.get(&format!("{path}/pipelines/{pipeline_id}/bridges")).query(&[("per_page", "100")])
            },
            |bridge| bridge,
        )
    }
}

impl Walk {
    /// Reads one pipeline whole, because a job's attempt follows from all its namesakes, and notes what it started.
    async fn visit(&mut self, stop: &Stop) -> Result<Vec<Job>> {
        number(&stop.pipeline_id, "pipeline id")?;
        let found = self.client.list_jobs_of(&stop.repo, &stop.pipeline_id).try_collect::<Vec<_>>().await;
        // Pipelines of other projects may be out of our sight; that takes nothing from what we can see.
        let found = if stop.depth == 0 { found? } else { absent(found)?.unwrap_or_default() };
        let mut jobs = number_attempts(found, &stop.pipeline_id);

        let bridges =
            self.client.list_bridges_of(&stop.repo, &stop.pipeline_id).try_collect::<Vec<_>>().await;
        for bridge in absent(bridges)?.unwrap_or_default() {
            match bridge.downstream_pipeline {
                Some(downstream) => self.note(stop, downstream),
                None => {
                    // A trigger job that could start nothing has no log, but a reason, and is in no list of jobs.
                    let job = bridge.job.into_job(&stop.pipeline_id);
                    if job.is_failed() {
                        jobs.push(job);
                    }
                }
            }
        }
        if stop.repo != self.home {
            for job in &mut jobs {
                job.repo = Some(stop.repo.clone());
            }
        }
        Ok(jobs)
    }

    fn note(&mut self, from: &Stop, downstream: wire::Downstream) {
        let pipeline_id = downstream.id.to_string();
        if from.depth >= MAX_DEPTH
            || self.seen.len() >= MAX_PIPELINES
            || !self.seen.insert(pipeline_id.clone())
        {
            return;
        }
        let repo = match downstream.project_id.map(|id| id.to_string()) {
            Some(id) if id != from.repo.id => {
                if id == self.home.id {
                    self.home.clone()
                } else {
                    RepoRef::new(id, path_of(downstream.web_url.as_deref()).unwrap_or_default())
                }
            }
            _ => from.repo.clone(),
        };
        self.stops.push_back(Stop { repo, pipeline_id, depth: from.depth + 1 });
    }
}

/// Gives each job its attempt: 1 + the number of earlier jobs of its name.
fn number_attempts(found: Vec<wire::Job>, pipeline_id: &str) -> Vec<Job> {
    let mut by_name: HashMap<String, Vec<u64>> = HashMap::new();
    for job in &found {
        by_name.entry(job.name.clone()).or_default().push(job.id);
    }
    found
        .into_iter()
        .map(|job| {
            let id = job.id;
            let (attempt, is_retried) = by_name.get(&job.name).map_or((1, false), |ids| place(id, ids));
            let mut job = job.into_job(pipeline_id);
            job.attempt = attempt;
            job.is_retried = is_retried;
            job
        })
        .collect()
}

/// Attempt, and whether there is a later one. Ids grow with time.
fn place(id: u64, namesakes: &[u64]) -> (u32, bool) {
    let earlier = namesakes.iter().filter(|other| **other < id).count();
    let is_retried = namesakes.iter().any(|other| *other > id);
    (u32::try_from(earlier).unwrap_or(u32::MAX).saturating_add(1), is_retried)
}

/// The project's path in a web address `https://host/[root/]group/project/-/pipelines/7`. With a sub-path instance it
/// may carry that in front; the id beside it is what is used in calls.
fn path_of(web_url: Option<&str>) -> Option<String> {
    let url = url::Url::parse(web_url?).ok()?;
    let (path, _) = url.path().split_once("/-/")?;
    Some(path.trim_matches('/').to_owned())
}
