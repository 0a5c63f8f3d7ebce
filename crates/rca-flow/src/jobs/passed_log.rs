//! A log of another CI that says success: what the same job failed with before is over.
//!
//! It is remembered beside the analyses of those failures, not in them: one may be under way. Where the forge was told,
//! the comment follows as after a green run; what was told to channels alone is taken back there.

use std::collections::{BTreeMap, BTreeSet};

use rca_store::{Analysis, AnalysisFilter, PageRequest, RepositoryFilter, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    JobError,
    announce::fixed_alone,
    feedback::{Passing, flaky, learned},
    feedback_task,
    place_log::{bare_branch, bare_name},
};
use crate::{connect::value, flow::Flow, types::IngestRequest};

/// The newest failures of a job that are looked at, and how many of them one log may end.
const MOST_LOGS: u32 = 100;
const MOST_ENDED: usize = 50;

/// What is remembered of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PassedLog {
    provider: String,
    /// The build or run, as its sender names it.
    run: String,
    commit_sha: Option<String>,
    url: Option<String>,
    /// When it came, unix milliseconds.
    at: i64,
}

impl PassedLog {
    pub(super) fn at(&self) -> i64 {
        self.at
    }

    pub(super) fn passing(&self) -> Passing {
        Passing {
            id: self.run.clone(),
            number: self.run.clone(),
            name: Some(self.provider.clone()),
            attempt: 1,
            sha: self.commit_sha.clone(),
            url: self.url.clone(),
        }
    }
}

fn mark(analysis: &str) -> String {
    format!("log_passed:{analysis}")
}

/// Which of these failures are over, because a later log of the same job says so.
pub(super) async fn over(
    flow: &Flow,
    workspace: &str,
    analyses: &[Analysis],
) -> Result<BTreeMap<String, PassedLog>, JobError> {
    let mut over = BTreeMap::new();
    for analysis in analyses.iter().filter(|analysis| analysis.integration.is_none()) {
        let known = flow.store().get_mark(workspace, &mark(&analysis.id)).await?;
        if let Some(log) = known.and_then(|known| serde_json::from_value(known).ok()) {
            over.insert(analysis.id.clone(), log);
        }
    }
    Ok(over)
}

/// What there is to write when a log says that its job passed; nothing where that job is not known to have failed.
pub(crate) async fn passed(
    flow: &Flow,
    workspace: &str,
    request: &IngestRequest,
) -> Result<Vec<Write>, JobError> {
    let log = PassedLog {
        provider: request.provider.clone(),
        run: number_of(request).unwrap_or("?").to_owned(),
        commit_sha: request.commit_sha.clone(),
        url: request.pipeline_url.clone(),
        at: flow.store().now().await?,
    };
    let mut writes = Vec::new();
    let mut woken = BTreeSet::new();
    for analysis in failures(flow, workspace, request).await? {
        if flow.store().get_mark(workspace, &mark(&analysis.id)).await?.is_some() {
            continue;
        }
        writes.push(Write::SetMark {
            workspace: workspace.to_owned(),
            name: mark(&analysis.id),
            value: value(&log),
        });
        if let Some(task) = wake(flow, &analysis).await? {
            if woken.insert(task.dedup_key.clone()) {
                writes.push(Write::Enqueue(task));
            }
            continue;
        }
        let (passing, one) = (log.passing(), std::slice::from_ref(&analysis));
        writes.extend(learned(flow, workspace, one, passing.sha.as_deref()).await?);
        writes.extend(flaky(one, Some(&passing)));
        writes.push(Write::Enqueue(fixed_alone(&analysis, &passing)));
    }
    Ok(writes)
}

/// The task that tells the forge, where it was told of the failure.
async fn wake(flow: &Flow, analysis: &Analysis) -> Result<Option<rca_store::NewTask>, JobError> {
    let Some(id) = analysis.data.get("placed").and_then(Value::as_str) else { return Ok(None) };
    let Some(target) = analysis.data.get("target").filter(|target| target.is_object()) else {
        return Ok(None);
    };
    let repository = flow.store().get_repository(&analysis.workspace, id).await?;
    Ok(repository.filter(|repository| repository.monitored).map(|repository| {
        feedback_task(&repository.integration, &repository.workspace, &repository.id, target)
    }))
}

/// The failures that the log ends, the newest first.
async fn failures(flow: &Flow, workspace: &str, request: &IngestRequest) -> Result<Vec<Analysis>, JobError> {
    let mut ended = Vec::new();
    for name in names(flow, workspace, &request.project).await? {
        let filter = AnalysisFilter {
            repository: Some(name),
            job_name: request.job_name.clone(),
            ..AnalysisFilter::default()
        };
        let page = flow.store().list_analyses(workspace, &filter, &PageRequest::first(MOST_LOGS)).await?;
        ended.extend(page.items.into_iter().filter(|analysis| ends(request, analysis)));
    }
    ended.truncate(MOST_ENDED);
    Ok(ended)
}

/// The project as it was sent, and as its forge writes it.
async fn names(flow: &Flow, workspace: &str, project: &str) -> Result<BTreeSet<String>, JobError> {
    let bare = bare_name(project);
    let filter = RepositoryFilter { search: Some(bare.to_owned()), ..RepositoryFilter::default() };
    let known = flow.store().list_repositories(workspace, &filter, &PageRequest::first(MOST_LOGS)).await?;
    let mut names = BTreeSet::from([project.to_owned()]);
    names.extend(
        known.items.into_iter().map(|it| it.full_name).filter(|name| name.eq_ignore_ascii_case(bare)),
    );
    Ok(names)
}

/// Whether the log is of the same job, on the same branch or at least of the same commit, and of no earlier build.
fn ends(request: &IngestRequest, failure: &Analysis) -> bool {
    let job = |name: &Option<String>, id: Option<&String>| name.as_ref().or(id).cloned();
    let failed = job(&failure.job_name, Some(&failure.job_id).filter(|id| *id != "log"));
    let is_same_place = match (&request.branch, &failure.branch) {
        (Some(one), Some(other)) => bare_branch(one) == bare_branch(other),
        (one, other) => match (&request.commit_sha, &failure.commit_sha) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            (None, None) => one.is_none() && other.is_none(),
            _ => false,
        },
    };
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    let build = failure.data.get("build_number").and_then(Value::as_str).or(Some(failure.run_id.as_str()));
    let is_earlier =
        matches!((number(number_of(request)), number(build)), (Some(one), Some(other)) if one < other);
    failure.source == "ingest"
        && failure.forge.eq_ignore_ascii_case(&request.provider)
        && job(&request.job_name, request.job_id.as_ref()) == failed
        && is_same_place
        && !is_earlier
}

fn number_of(request: &IngestRequest) -> Option<&str> {
    request.build_number.as_deref().or(request.pipeline_id.as_deref())
}
