use forge_core::model::{self, Conclusion, RefType, RepoRef, Status};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{non_empty, time};

/// The longest message that is taken over.
const MAX_MESSAGE_CHARS: usize = 2000;

#[derive(Debug, Deserialize)]
pub(crate) struct Pipeline {
    pub(crate) uuid: String,
    pub(crate) build_number: u64,
    repository: Option<PipelineRepository>,
    target: Option<Target>,
    trigger: Option<Named>,
    state: Option<State>,
    created_on: Option<String>,
    completed_on: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PipelineRepository {
    full_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: Option<String>,
}

/// `pipeline_ref_target`, `pipeline_commit_target`, or `pipeline_pullrequest_target`, which the API description lacks.
#[derive(Debug, Deserialize)]
struct Target {
    ref_type: Option<String>,
    ref_name: Option<String>,
    source: Option<Value>,
    commit: Option<Commit>,
    selector: Option<Selector>,
    pullrequest: Option<PullRequestId>,
}

#[derive(Debug, Deserialize)]
struct Commit {
    hash: Option<String>,
}

/// Which pipeline of the configuration it is.
#[derive(Debug, Deserialize)]
struct Selector {
    #[serde(rename = "type")]
    kind: Option<String>,
    pattern: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PullRequestId {
    id: Option<u64>,
}

/// `{name}`, `{name, stage: {name}}` or `{name: "COMPLETED", result: {name, error?}}`.
#[derive(Debug, Deserialize)]
struct State {
    name: Option<String>,
    result: Option<Outcome>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    name: Option<String>,
    error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    key: Option<String>,
    message: Option<String>,
}

impl Problem {
    fn into_text(self) -> Option<String> {
        let text = non_empty(self.message).or(non_empty(self.key))?;
        Some(text.chars().take(MAX_MESSAGE_CHARS).collect())
    }

    fn is_time_limit(&self) -> bool {
        let is_about_time = |text: &String| {
            let text = text.to_ascii_lowercase();
            text.contains("time-limit") || text.contains("timeout") || text.contains("time limit")
        };
        self.key.as_ref().is_some_and(is_about_time) || self.message.as_ref().is_some_and(is_about_time)
    }
}

impl State {
    /// `error` is what `ERROR` means: a pipeline that could not start, or a step that failed without its script.
    fn read(self, error: Conclusion) -> (Status, Option<Conclusion>, Option<Problem>) {
        let name = self.name.unwrap_or_default();
        let status = match name.as_str() {
            "PENDING" | "PARSING" | "READY" => Status::Queued,
            "IN_PROGRESS" | "BUILDING" | "RUNNING" | "PAUSED" | "HALTED" => Status::Running,
            "COMPLETED" => Status::Completed,
            _ => Status::Unknown,
        };
        if status != Status::Completed {
            return (status, None, None);
        }
        let Some(result) = self.result else { return (status, Some(Conclusion::Unknown), None) };
        let problem = result.error;
        let conclusion = match result.name.as_deref().unwrap_or_default() {
            "SUCCESSFUL" => Conclusion::Success,
            "FAILED" => Conclusion::Failure,
            "ERROR" => error,
            "STOPPED" => Conclusion::Cancelled,
            "EXPIRED" => Conclusion::Stale,
            "NOT_RUN" => Conclusion::Skipped,
            _ => Conclusion::Unknown,
        };
        (status, Some(conclusion), problem)
    }
}

impl Pipeline {
    /// The id is the build number: it is what deliveries and people name.
    pub(crate) fn into_model(self, web: &Url, repo: &RepoRef) -> model::Run {
        let mut run = model::Run::new(self.build_number.to_string());
        run.number = Some(run.id.clone());
        let problem;
        (run.status, run.conclusion, problem) = match self.state {
            Some(state) => state.read(Conclusion::StartupFailure),
            None => (Status::Unknown, None, None),
        };
        if run.conclusion == Some(Conclusion::StartupFailure) {
            run.config_error = problem.and_then(Problem::into_text);
            if run.config_error.is_none() {
                // Without a message it is not the configuration: a step broke down, and the steps tell which.
                run.conclusion = Some(Conclusion::Failure);
            }
        }
        if let Some(target) = self.target {
            // Only custom pipelines have a name; the others are chosen by branch, tag or pull request.
            run.name = target
                .selector
                .filter(|selector| {
                    selector.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("custom"))
                })
                .and_then(|selector| non_empty(selector.pattern));
            run.sha = target.commit.and_then(|commit| non_empty(commit.hash));
            if let Some(pull_request) = target.pullrequest.and_then(|pull_request| pull_request.id) {
                run.pull_requests.push(pull_request.to_string());
            }
            run.ref_type = match target.ref_type.as_deref().map(str::to_ascii_lowercase).as_deref() {
                Some("tag" | "annotated_tag") => Some(RefType::Tag),
                Some("branch") => Some(RefType::Branch),
                _ => None,
            };
            run.git_ref = non_empty(target.ref_name);
            if run.git_ref.is_none()
                && let Some(source) = target.source.and_then(branch_name)
            {
                run.git_ref = Some(source);
                run.ref_type = Some(RefType::Branch);
            }
        }
        run.trigger = self.trigger.and_then(|trigger| non_empty(trigger.name));
        let name = self.repository.and_then(|repository| non_empty(repository.full_name));
        let name = name.unwrap_or_else(|| repo.full_name.clone());
        run.web_url = web_url(web, &name, &["pipelines", "results", &run.id]);
        run.created_at = time(self.created_on.as_deref());
        run.finished_at = time(self.completed_on.as_deref());
        run.updated_at = run.finished_at.or(run.created_at);
        run
    }
}

/// The source of a pull request: its branch's name, plain or inside of objects.
fn branch_name(source: Value) -> Option<String> {
    let name = match &source {
        Value::String(name) => Some(name.as_str()),
        other => {
            other.get("branch").and_then(|branch| branch.as_str().or_else(|| branch.get("name")?.as_str()))
        }
    };
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) uuid: String,
    name: Option<String>,
    run_number: Option<u32>,
    state: Option<State>,
    started_on: Option<String>,
    completed_on: Option<String>,
}

impl Step {
    pub(crate) fn run_number(&self) -> u32 {
        self.run_number.unwrap_or(1).max(1)
    }

    /// `place` is the step's place in the pipeline, for one that has no name.
    pub(crate) fn into_model(
        self,
        web: &Url,
        repo: &RepoRef,
        run_id: &str,
        place: Option<usize>,
    ) -> model::Job {
        let run_number = self.run_number();
        let name = non_empty(self.name)
            .unwrap_or_else(|| place.map_or_else(|| "step".to_owned(), |place| format!("step {place}")));
        let mut job = model::Job::new(format!("{run_id}:{}:{run_number}", self.uuid), run_id, name);
        job.attempt = run_number;
        let problem;
        (job.status, job.conclusion, problem) = match self.state {
            Some(state) => state.read(Conclusion::Failure),
            None => (Status::Unknown, None, None),
        };
        if let Some(problem) = problem {
            if job.conclusion == Some(Conclusion::Failure) && problem.is_time_limit() {
                job.conclusion = Some(Conclusion::TimedOut);
            }
            job.failure_reason = problem.into_text();
        }
        job.web_url = web_url(web, &repo.full_name, &["pipelines", "results", run_id, "steps", &self.uuid]);
        job.started_at = time(self.started_on.as_deref());
        job.finished_at = time(self.completed_on.as_deref());
        job
    }
}

/// The page for people; the API has no links to it.
fn web_url(web: &Url, full_name: &str, rest: &[&str]) -> Option<String> {
    if full_name.is_empty() {
        return None;
    }
    let mut url = web.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(full_name.split('/')).extend(rest);
    Some(url.into())
}
