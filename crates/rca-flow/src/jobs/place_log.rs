//! A log that was sent to us, where it belongs to a repository that we watch: the forge hears of it, too.
//!
//! Where the forge knows the run itself, its failures are told from there, with all jobs of the run, and what was sent
//! to us is not counted or said a second time. A run of another CI is told at the pull request or the commit that the
//! sender names.

use std::time::Duration;

use forge_core::{
    ErrorKind, ForgeClientExt, ForgeKind,
    model::{RefType, Run, RunRef, Status, Target},
};
use rca_engine::Report;
use rca_store::{
    Analysis, AnalysisFilter, ClaimedTask, ClusterHit, Feedback, NewTask, PageRequest, Repository,
    RepositoryFilter, Write,
};
use serde_json::{Value, json};

use super::{
    Context, JobError, JobResult, Origin, PLACE_LOG, Settlement, announce::announce_of, context,
    feedback_task, field, plan_run,
};
use crate::{flow::Flow, monitor::repo_ref};

/// How long a run that the forge knows is waited for.
const RUN_WAIT: Duration = Duration::from_hours(6);
/// The target under which it is recorded why the forge was not told.
const FORGE: &str = "forge";
/// Logs of one repository that are looked at together.
const MOST_LOGS: u32 = 500;

/// The one watched repository that a log names, or why there is none; no reason where nobody expects one, because no
/// forge is connected.
pub(super) async fn belongs_to(
    flow: &Flow,
    analysis: &Analysis,
) -> Result<Result<Repository, Option<String>>, JobError> {
    let store = flow.store();
    let integrations = store.list_integrations(&analysis.workspace).await?;
    if integrations.is_empty() {
        return Ok(Err(None));
    }
    let wanted = forge_of(&analysis.forge);
    let name = bare_name(&analysis.repository);
    let filter = RepositoryFilter { search: Some(name.to_owned()), ..RepositoryFilter::default() };
    let mut named = Vec::new();
    let mut page = PageRequest::first(500);
    loop {
        let found = store.list_repositories(&analysis.workspace, &filter, &page).await?;
        named.extend(found.items.into_iter().filter(|it| it.full_name.eq_ignore_ascii_case(name)));
        match found.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => break,
        }
    }
    named.retain(|repository| {
        let owner = integrations.iter().find(|it| it.id == repository.integration);
        owner.is_some_and(|owner| owner.enabled && wanted.is_none_or(|wanted| owner.forge == wanted.as_str()))
    });
    let is_known = !named.is_empty();
    named.retain(|repository| repository.monitored);
    Ok(match (named.len(), is_known) {
        (0, true) => Err(Some("the repository is not monitored".to_owned())),
        (0, false) => Err(Some("no integration has a repository of this name".to_owned())),
        (1, _)
            if analysis.commit_sha.is_none() && analysis.branch.is_none() && analysis.run_id.is_empty() =>
        {
            Err(Some("it names neither a commit, nor a branch, nor a run".to_owned()))
        }
        (1, _) => named.pop().ok_or(None),
        _ => Err(Some("several integrations have a repository of this name".to_owned())),
    })
}

/// The forge that a CI system is a part of.
fn forge_of(provider: &str) -> Option<ForgeKind> {
    Some(match provider.to_ascii_lowercase().replace('-', "_").as_str() {
        "gitlab" | "gitlab_ci" => ForgeKind::GITLAB,
        "github" | "github_actions" => ForgeKind::GITHUB,
        "bitbucket" | "bitbucket_cloud" | "bitbucket_pipelines" => ForgeKind::BITBUCKET_CLOUD,
        "bitbucket_dc" => ForgeKind::BITBUCKET_DC,
        "gitflic" | "gitflic_ci" => ForgeKind::GITFLIC,
        _ => return None,
    })
}

/// CircleCI puts a word for the forge before the name.
pub(super) fn bare_name(project: &str) -> &str {
    let rest = ["gh/", "github/", "bb/", "bitbucket/", "gl/"].iter().find_map(|it| project.strip_prefix(it));
    rest.filter(|rest| rest.contains('/')).unwrap_or(project)
}

/// Without what Jenkins and Git put before it.
pub(super) fn bare_branch(branch: &str) -> String {
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    branch.strip_prefix("origin/").unwrap_or(branch).to_owned()
}

/// Whether a forge's job is the build that the log is of: then it stands at the same address.
pub(super) fn is_same_build(sent: &Analysis, job: &Analysis) -> bool {
    let address = |url: &Option<String>| url.as_deref().map(|url| bare_build(url).to_owned());
    sent.pipeline_url.is_some() && address(&sent.pipeline_url) == address(&job.job_url)
}

/// Without the pages of a Jenkins build: its plugins name one of them to Bitbucket, its jobs know the address above.
fn bare_build(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    let pages = ["/display/redirect", "/console", "/consoleFull", "/consoleText"];
    pages.iter().find_map(|page| url.strip_suffix(page)).unwrap_or(url)
}

/// Finds out where it is said; until then it is neither counted nor announced.
pub(super) fn place_task(analysis: &Analysis, repository: &Repository) -> NewTask {
    NewTask::new(
        analysis.workspace.clone(),
        PLACE_LOG,
        format!("place:{}", analysis.id),
        json!({ "analysis": analysis.id, "repository": repository.id }),
    )
    .with_integration(repository.integration.clone())
}

pub(super) async fn run(flow: &Flow, task: &ClaimedTask, age: Duration) -> JobResult {
    let id: String = field(task, "analysis")?;
    let Some(mut analysis) = flow.store().get_analysis(&task.workspace, &id).await? else {
        return Err(JobError::Dead("the analysis is gone".to_owned()));
    };
    let Some(context) = context(flow, task).await?.filter(|context| context.repository.monitored) else {
        return Ok(Settlement::done(told_alone(&analysis, Some("the repository is not monitored"))));
    };
    if let Some(run) = run_of(&context, &analysis).await? {
        if run.status != Status::Completed {
            return Ok(if age < RUN_WAIT {
                Settlement::wait((age / 4).clamp(Duration::from_secs(2), Duration::from_mins(5)))
            } else {
                Settlement::done(told_alone(&analysis, Some("the run has not ended within six hours")))
            });
        }
        let number = run.number.as_deref().unwrap_or(&run.id);
        if !run.is_failed() {
            let reason = format!("run {number} of the forge did not fail");
            return Ok(Settlement::done(vec![unsaid(&analysis, &reason)]));
        }
        let origin = Origin { source: "poll", post: true, only_job: None };
        let plan = plan_run(flow, &context, &run, origin).await?;
        let reason = format!(
            "run {number} is known to the forge: its failed jobs are told together, from their own logs"
        );
        let mut writes = plan.writes;
        writes.push(unsaid(&analysis, &reason));
        return Ok(Settlement::done(writes));
    }
    analysis.branch = analysis.branch.as_deref().map(bare_branch);
    let filter = AnalysisFilter {
        integration: Some(context.integration.id.clone()),
        repository: Some(context.repository.id.clone()),
        commit_sha: analysis.commit_sha.clone(),
        ..AnalysisFilter::default()
    };
    if analysis.commit_sha.is_some() {
        let known =
            flow.store().list_analyses(&task.workspace, &filter, &PageRequest::first(MOST_LOGS)).await?;
        if known.items.iter().any(|known| known.state == "done" && is_same_build(&analysis, known)) {
            let reason = "the forge names the same build: it is told from its own log";
            return Ok(Settlement::done(vec![unsaid(&analysis, reason)]));
        }
    }
    let target = match target(&context, &analysis).await? {
        Ok(target) => target,
        Err(reason) => return Ok(Settlement::done(told_alone(&analysis, Some(&reason)))),
    };
    analysis.repository.clone_from(&context.repository.full_name);
    analysis.pr = target.get("pr").and_then(Value::as_str).map(str::to_owned);
    if let Some(data) = analysis.data.as_object_mut() {
        data.insert("post".to_owned(), Value::Bool(true));
        data.insert("target".to_owned(), target.clone());
        data.insert("placed".to_owned(), json!(context.repository.id));
    }
    let mut writes = vec![Write::UpsertAnalysis(Box::new(analysis.clone()))];
    writes.extend(told_alone(&analysis, None));
    let (integration, repository) = (&context.integration, &context.repository);
    writes.push(Write::Enqueue(feedback_task(
        &integration.id,
        &integration.workspace,
        &repository.id,
        &target,
    )));
    Ok(Settlement::done(writes))
}

/// Nothing of it is lost when the forge cannot be asked.
pub(super) async fn give_up(flow: &Flow, task: &ClaimedTask, reason: &str) -> Vec<Write> {
    let Ok(id) = field::<String>(task, "analysis") else { return Vec::new() };
    match flow.store().get_analysis(&task.workspace, &id).await {
        Ok(Some(analysis)) => told_alone(&analysis, Some(reason)),
        _ => Vec::new(),
    }
}

/// The run at the forge, where the log is of the forge's own CI.
async fn run_of(context: &Context, analysis: &Analysis) -> Result<Option<Run>, JobError> {
    let kind = context.client.kind();
    if forge_of(&analysis.forge) != Some(kind) {
        return Ok(None);
    }
    // Bitbucket's API counts runs; its UUIDs are for links.
    let number = analysis.data.get("build_number").and_then(Value::as_str);
    let id = match number.filter(|_| kind == ForgeKind::BITBUCKET_CLOUD) {
        Some(number) => number,
        None => analysis.run_id.as_str(),
    };
    let Some(ci) = context.client.ci().filter(|_| !id.is_empty()) else { return Ok(None) };
    match ci.get_run(&repo_ref(&context.repository), &RunRef::new(id)).await {
        // Somebody else's number.
        Ok(run) => Ok(Some(run).filter(|run| {
            run.sha.is_none() || analysis.commit_sha.is_none() || run.sha == analysis.commit_sha
        })),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::Invalid | ErrorKind::InvalidInput
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The open pull request of the commit or branch, else the commit; or why it is said nowhere.
async fn target(context: &Context, analysis: &Analysis) -> Result<Result<Value, String>, JobError> {
    let repo = repo_ref(&context.repository);
    let is_whole =
        |sha: &&String| matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let sha = analysis.commit_sha.as_ref().filter(is_whole).map(|sha| sha.to_ascii_lowercase());
    let branch = analysis.branch.clone();
    if sha.is_none() && branch.is_none() {
        return Ok(Err("it names neither a branch nor a whole commit".to_owned()));
    }
    let mut run = Run::new(String::new());
    run.ref_type = branch.is_some().then_some(RefType::Branch);
    (run.sha, run.git_ref) = (sha.clone(), branch);
    let pulls = match context.client.require_ci()?.find_pull_requests(&repo, &run).await {
        Ok(pulls) => pulls,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Unsupported
            ) =>
        {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(pull) = pulls.into_iter().find(|pull| pull.is_open) {
        if pull.is_from_fork || pull.repo.id != repo.id {
            return Ok(Err(
                "the pull request is from a fork: nothing that was sent in is shown there".to_owned()
            ));
        }
        let key = Target::Pull(pull.number.clone()).key();
        let base = pull.target_branch;
        return Ok(Ok(json!({ "key": key, "pr": pull.number, "sha": sha, "base": base })));
    }
    Ok(match sha {
        Some(sha) => Ok(json!({ "key": Target::Commit(sha.clone()).key(), "sha": sha })),
        None => Err("the branch has no open pull request, and no commit is named".to_owned()),
    })
}

/// Counted and announced as what it is by itself; with a reason, the forge is not told.
pub(super) fn told_alone(analysis: &Analysis, reason: Option<&str>) -> Vec<Write> {
    let mut writes: Vec<Write> = hit(analysis).into_iter().collect();
    writes.extend(announce_of(analysis).map(Write::Enqueue));
    writes.extend(reason.map(|reason| unsaid(analysis, reason)));
    writes
}

fn hit(analysis: &Analysis) -> Option<Write> {
    let report: Report = serde_json::from_value(analysis.report.clone()?).ok()?;
    Some(Write::UpsertCluster(ClusterHit {
        workspace: analysis.workspace.clone(),
        fingerprint: analysis.fingerprint.clone()?,
        category: analysis.category.clone(),
        root_cause: Some(report.root_cause),
        repository: analysis.repository.clone(),
        analysis: analysis.id.clone(),
    }))
}

fn unsaid(analysis: &Analysis, reason: &str) -> Write {
    Write::RecordFeedback {
        workspace: analysis.workspace.clone(),
        feedback: Feedback {
            analysis: analysis.id.clone(),
            target: FORGE.to_owned(),
            state: "skipped".to_owned(),
            url: None,
            reason: Some(reason.to_owned()),
            updated_at: 0,
        },
    }
}

/// The logs that were sent to us and are told at this repository, the newest first.
pub(super) async fn placed(
    flow: &Flow,
    repository: &Repository,
    filter: AnalysisFilter,
) -> Result<Vec<Analysis>, JobError> {
    let filter =
        AnalysisFilter { integration: None, repository: Some(repository.full_name.clone()), ..filter };
    let found =
        flow.store().list_analyses(&repository.workspace, &filter, &PageRequest::first(MOST_LOGS)).await?;
    let is_ours = |it: &Analysis| {
        it.integration.is_none()
            && it.data.get("placed").and_then(Value::as_str) == Some(repository.id.as_str())
    };
    Ok(found.items.into_iter().filter(is_ours).collect())
}
