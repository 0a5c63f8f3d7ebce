//! Pipelines, jobs, commits, merge requests: docs api/pipelines.md, api/jobs.md, api/merge_requests.md.

use forge_core::model::{self, Conclusion, PullRequest, RefType, RepoRef, Run};
use jiff::Timestamp;
use serde::Deserialize;

use super::moment;
use crate::{reference::Reference, status};

/// A pipeline, whole or as it stands in a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Pipeline {
    pub(crate) id: u64,
    iid: Option<u64>,
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "ref")]
    pub(crate) git_ref: Option<String>,
    tag: Option<bool>,
    pub(crate) sha: Option<String>,
    status: Option<String>,
    pub(crate) source: Option<String>,
    failure_reason: Option<String>,
    web_url: Option<String>,
    yaml_errors: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    finished_at: Option<Timestamp>,
}

impl Pipeline {
    pub(crate) fn into_run(self) -> Run {
        let mut run = Run::new(self.id.to_string());
        run.number = self.iid.map(|iid| iid.to_string());
        run.name = self.name.filter(|name| !name.is_empty());
        match self.git_ref.as_deref().map(Reference::parse) {
            Some(Reference::Plain(name)) => {
                run.git_ref = Some(name);
                run.ref_type = self.tag.map(|is_tag| if is_tag { RefType::Tag } else { RefType::Branch });
            }
            Some(Reference::Named(name, ref_type)) => {
                run.git_ref = Some(name);
                run.ref_type = Some(ref_type);
            }
            Some(Reference::MergeRequest { iid, .. }) => run.pull_requests.push(iid),
            None => {}
        }
        run.sha = self.sha;
        run.trigger = self.source;
        run.web_url = self.web_url;
        if let Some(word) = &self.status {
            (run.status, run.conclusion) = status::from_word(word, self.failure_reason.as_deref());
        }
        run.config_error = self.yaml_errors.filter(|text| !text.is_empty());
        if run.config_error.is_some() && run.conclusion == Some(Conclusion::Failure) {
            run.conclusion = Some(Conclusion::StartupFailure);
        }
        run.created_at = self.created_at;
        run.updated_at = self.updated_at;
        run.finished_at = self.finished_at;
        run
    }
}

/// A job.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: String,
    stage: Option<String>,
    status: Option<String>,
    allow_failure: Option<bool>,
    failure_reason: Option<String>,
    web_url: Option<String>,
    runner: Option<Runner>,
    pub(crate) pipeline: Option<PipelineOfJob>,
    artifacts: Option<Vec<Artifact>>,
    #[serde(default, deserialize_with = "moment")]
    started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    finished_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    erased_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct Runner {
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PipelineOfJob {
    pub(crate) id: u64,
}

#[derive(Debug, Deserialize)]
struct Artifact {
    file_type: Option<String>,
    size: Option<u64>,
}

impl Job {
    /// The job of `pipeline_id`, as its first attempt.
    pub(crate) fn into_job(self, pipeline_id: &str) -> model::Job {
        let mut job = model::Job::new(self.id.to_string(), pipeline_id, self.name);
        job.stage = self.stage;
        if let Some(word) = &self.status {
            (job.status, job.conclusion) = status::from_word(word, self.failure_reason.as_deref());
        }
        job.is_allowed_to_fail = self.allow_failure == Some(true);
        job.failure_reason = self.failure_reason;
        job.web_url = self.web_url;
        job.runner = self.runner.and_then(|runner| runner.description);
        job.started_at = self.started_at;
        job.finished_at = self.finished_at;
        job.is_log_erased = self.erased_at.is_some();
        // The log becomes an artifact when it is archived, some time after the job's end.
        job.log_bytes = self
            .artifacts
            .unwrap_or_default()
            .into_iter()
            .find(|artifact| artifact.file_type.as_deref() == Some("trace"))
            .and_then(|artifact| artifact.size);
        job
    }
}

/// A job that does nothing but start another pipeline.
#[derive(Debug, Deserialize)]
pub(crate) struct Bridge {
    #[serde(flatten)]
    pub(crate) job: Job,
    pub(crate) downstream_pipeline: Option<Downstream>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Downstream {
    pub(crate) id: u64,
    pub(crate) project_id: Option<u64>,
    pub(crate) web_url: Option<String>,
}

impl Downstream {
    /// Whether it runs in `repo`; where GitLab does not say, it does.
    pub(crate) fn is_in(&self, repo: &RepoRef) -> bool {
        self.project_id.is_none_or(|id| id.to_string() == repo.id)
    }
}

/// A commit.
#[derive(Debug, Deserialize)]
pub(crate) struct Commit {
    #[serde(default)]
    pub(crate) parent_ids: Vec<String>,
}

/// A merge request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MergeRequest {
    pub(crate) iid: u64,
    #[serde(default)]
    title: String,
    #[serde(default)]
    web_url: String,
    state: Option<String>,
    pub(crate) source_branch: Option<String>,
    target_branch: Option<String>,
    pub(crate) source_project_id: Option<u64>,
    pub(crate) sha: Option<String>,
}

impl MergeRequest {
    pub(crate) fn into_pull_request(self, repo: RepoRef) -> PullRequest {
        let is_from_fork = self.source_project_id.is_some_and(|id| id.to_string() != repo.id);
        let mut pull = PullRequest::new(self.iid.to_string(), repo);
        pull.is_from_fork = is_from_fork;
        pull.title = self.title;
        pull.web_url = self.web_url;
        pull.is_open = self.state.as_deref().is_none_or(|state| state == "opened");
        pull.source_branch = self.source_branch;
        pull.target_branch = self.target_branch;
        pull.head_sha = self.sha;
        pull
    }
}
