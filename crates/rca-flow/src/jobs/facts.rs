//! The facts from which it is told whose failure a job is. None of them is needed: what the forge does not tell, or not
//! in time, leaves the verdict weaker and never the analysis undone.

use std::time::Duration;

use forge_core::{
    Error, ErrorKind, Facts, ForgeClientExt,
    model::{Change, Conclusion, GreenJob, Job, RepoRef, Run, RunRef},
};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use rca_engine::{Domain, Report};
use rca_store::{Analysis, AnalysisFilter, PageRequest};
use serde_json::Value;

use super::Context;
use crate::{
    baselines::Green,
    flow::Flow,
    introduced_by::{Known, decide, said},
    monitor::repo_ref,
    types::IntroducedBy,
};

/// How long the forge may take with all of them.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many jobs of one run the forge is asked about; a broken build breaks hundreds by one cause.
const ASKED: usize = 20;

/// Whose failure the analysed job is, asked of our own rows first and of the forge as little as needed.
pub(crate) async fn introduced_by(
    flow: &Flow,
    context: &Context,
    analysis: &Analysis,
    job: &Job,
    report: &Report,
    asked: Option<Green>,
) -> IntroducedBy {
    if report.domain == Domain::Infrastructure {
        return decide(report, &Known::default());
    }
    match known_of_run(flow, analysis, report).await {
        Sibling::Same(same) => return same,
        Sibling::TooMany => {
            let reason = format!("more than {ASKED} jobs of the run failed: this one was not compared");
            return said("unknown", reason);
        }
        Sibling::None => {}
    }
    match tokio::time::timeout(PATIENCE, gather(flow, context, analysis, job, report, asked)).await {
        Ok(known) => decide(report, &known),
        Err(_) => said("unknown", "the forge took too long to tell what changed".to_owned()),
    }
}

/// What another job of the same run tells.
enum Sibling {
    Same(IntroducedBy),
    TooMany,
    None,
}

/// Jobs of one run with one cause have one origin, except that each is flaky for itself.
async fn known_of_run(flow: &Flow, analysis: &Analysis, report: &Report) -> Sibling {
    let filter = AnalysisFilter {
        integration: analysis.integration.clone(),
        repository: Some(analysis.repository_key.clone()),
        run_id: analysis.root_run_id.clone().or_else(|| Some(analysis.run_id.clone())),
        state: Some("done".to_owned()),
        ..AnalysisFilter::default()
    };
    let page = PageRequest::first(500);
    let Ok(done) = flow.store().list_analyses(&analysis.workspace, &filter, &page).await else {
        return Sibling::None;
    };
    let told: Vec<_> = done
        .items
        .into_iter()
        .filter(|other| other.id != analysis.id && other.commit_sha == analysis.commit_sha)
        .filter_map(|other| {
            let told: IntroducedBy = serde_json::from_value(other.introduced_by?).ok()?;
            Some((other.fingerprint, told))
        })
        .collect();
    let same = told.iter().find(|(fingerprint, told)| {
        matches!(told.verdict.as_str(), "this_change" | "base_branch")
            && fingerprint.as_ref().is_some_and(|it| *it == report.fingerprint)
    });
    match same {
        Some((_, same)) => Sibling::Same(same.clone()),
        None if told.len() >= ASKED => Sibling::TooMany,
        None => Sibling::None,
    }
}

async fn gather(
    flow: &Flow,
    context: &Context,
    analysis: &Analysis,
    job: &Job,
    report: &Report,
    mut asked: Option<Green>,
) -> Known {
    let mut known = Known::default();
    let own = repo_ref(&context.repository);
    let target = analysis.data.get("target");
    let text = |name: &str| target.and_then(|target| target.get(name)).and_then(Value::as_str);
    let base = text("base").map(str::to_owned).or_else(|| context.repository.default_branch.clone());
    known.is_off_base = analysis.pr.is_some() || base != analysis.branch;
    known.base.clone_from(&base);
    let Some(facts) = context.client.facts() else {
        known.unknown.push("the forge does not tell what changed".to_owned());
        return known;
    };
    let Ok(ci) = context.client.require_ci() else { return known };
    let run = RunRef::new(analysis.run_id.clone()).with_attempt(u32::try_from(analysis.attempt).ok());
    let known_run = asked.as_ref().map(|asked| asked.run.clone());
    let found = match known_run {
        Some(run) => Ok(run),
        None => ci.get_run(job.repo.as_ref().unwrap_or(&own), &run).await,
    };
    let run = match found {
        Ok(run) => run,
        Err(error) => {
            known.unknown.push(failed("the run", &error));
            return known;
        }
    };
    known.passed_in = passed_before(context, &own, analysis, job).await;
    let asked = asked.take_if(|asked| Some(&asked.branch) == base.as_ref());
    let green = match &base {
        Some(base) if asked.is_some() => told_green(asked.and_then(|asked| asked.job), base, &mut known),
        Some(base) => green_on(facts, &own, &run, job, base, &mut known).await,
        None => None,
    };
    let same_commit = |green: &GreenJob| {
        green.run.sha.is_some() && green.run.sha == analysis.commit_sha && known.passed_in.is_none()
    };
    if let Some(green) = green.as_ref().filter(|green| same_commit(green)) {
        known.passed_in = Some(name(&green.run));
    } else if let Some(branch) = analysis.branch.as_deref().filter(|branch| Some(*branch) != base.as_deref())
        && known.passed_in.is_none()
    {
        // Another run of the same commit: a repeated one, or that of the branch beside that of the pull request.
        let mut ignored = Known::default();
        let on_branch = green_on(facts, &own, &run, job, branch, &mut ignored).await;
        known.passed_in = on_branch.filter(same_commit).map(|green| name(&green.run));
    }
    if known.passed_in.is_some() {
        return known;
    }
    known.green_at = green.as_ref().and_then(ended_at);
    if let Some(base) = &base {
        known.base_failed_at = failed_on_base(flow, analysis, base, report, known.green_at).await;
    }
    if known.base_failed_at.is_some() {
        return known;
    }
    let elsewhere = target
        .and_then(|target| target.get("repo"))
        .and_then(|repo| serde_json::from_value::<Option<RepoRef>>(repo.clone()).ok().flatten());
    let green_sha = green.and_then(|green| green.run.sha);
    if let Some((repo, change)) = change(analysis, &own, elsewhere, &known, green_sha.as_deref()) {
        match facts.diff(&repo, &change).await {
            Ok(diff) => known.diff = Some(diff),
            Err(error) => known.unknown.push(failed("what changed", &error)),
        }
    }
    if let (Some(base), Some(head), Some(at)) = (green_sha, &analysis.commit_sha, known.green_at) {
        match facts.commits_between(&own, &base, head).await {
            Ok(commits) if !commits.is_truncated => {
                known.is_only_change = if known.is_off_base {
                    // Green after the change began: the base was good where the two part, or later.
                    commits
                        .items
                        .iter()
                        .filter_map(|commit| commit.committed_at)
                        .min()
                        .is_some_and(|first| first <= at)
                } else {
                    commits.items.len() == 1
                };
            }
            Ok(_) => {}
            Err(error) => known.unknown.push(failed("the commits since", &error)),
        }
    }
    known
}

/// The change to look at, and the repository to ask.
fn change(
    analysis: &Analysis,
    own: &RepoRef,
    elsewhere: Option<RepoRef>,
    known: &Known,
    green: Option<&str>,
) -> Option<(RepoRef, Change)> {
    if let Some(number) = &analysis.pr {
        return Some((elsewhere.unwrap_or_else(|| own.clone()), Change::Pull(number.clone())));
    }
    let head = analysis.commit_sha.clone()?;
    let change = match green.filter(|_| known.is_off_base) {
        Some(base) => Change::Range { base: base.to_owned(), head },
        None => Change::Commit(head),
    };
    Some((own.clone(), change))
}

/// The name of an earlier attempt in which the job passed, where there are earlier ones.
async fn passed_before(context: &Context, own: &RepoRef, analysis: &Analysis, job: &Job) -> Option<String> {
    let before = u32::try_from(analysis.attempt).ok()?.checked_sub(1).filter(|before| *before > 0)?;
    let attempt = context.client.capabilities().run_attempts.then_some(before);
    let run = RunRef::new(analysis.run_id.clone()).with_attempt(attempt);
    let ci = context.client.ci()?;
    let mut jobs = ci.list_jobs(job.repo.as_ref().unwrap_or(own), &run);
    while let Ok(Some(other)) = jobs.try_next().await {
        let is_same = other.name == job.name && other.id != job.id && other.run_id == job.run_id;
        if is_same && other.conclusion == Some(Conclusion::Success) {
            return Some(format!("an earlier attempt of run {}", analysis.run_id));
        }
    }
    None
}

async fn green_on(
    facts: &dyn Facts,
    repo: &RepoRef,
    run: &Run,
    job: &Job,
    branch: &str,
    known: &mut Known,
) -> Option<GreenJob> {
    match facts.last_green_job(repo, run, job, branch).await {
        Ok(green) => told_green(green, branch, known),
        Err(error) => {
            known.unknown.push(failed("green runs", &error));
            None
        }
    }
}

fn told_green(green: Option<GreenJob>, branch: &str, known: &mut Known) -> Option<GreenJob> {
    if green.is_none() {
        known.unknown.push(format!("no green run of the job is known on {branch}"));
    }
    green
}

/// When the same failure was last seen on the base branch by another commit, with no green job after it.
async fn failed_on_base(
    flow: &Flow,
    analysis: &Analysis,
    base: &str,
    report: &Report,
    green_at: Option<Timestamp>,
) -> Option<Timestamp> {
    if report.fingerprint.is_empty() {
        return None;
    }
    let cluster = flow.store().find_cluster(&analysis.workspace, &report.fingerprint).await.ok()??;
    let filter = AnalysisFilter {
        integration: analysis.integration.clone(),
        repository: Some(analysis.repository_key.clone()),
        branch: Some(base.to_owned()),
        cluster: Some(cluster.id),
        ..AnalysisFilter::default()
    };
    let found =
        flow.store().list_analyses(&analysis.workspace, &filter, &PageRequest::first(50)).await.ok()?;
    // A pull request of a fork can come from a branch of the same name.
    let other = found.items.into_iter().find(|other| {
        other.pr.is_none() && other.commit_sha != analysis.commit_sha && other.job_name == analysis.job_name
    })?;
    let ended_at = other.data.get("ended_at").and_then(Value::as_i64);
    let at = Timestamp::from_millisecond(ended_at.unwrap_or(other.created_at)).ok()?;
    green_at.is_none_or(|green| green < at).then_some(at)
}

fn ended_at(green: &GreenJob) -> Option<Timestamp> {
    green.job.finished_at.or(green.run.finished_at).or(green.run.updated_at).or(green.run.created_at)
}

fn name(run: &Run) -> String {
    format!("run {}", run.number.as_deref().unwrap_or(&run.id))
}

fn failed(what: &str, error: &Error) -> String {
    if error.kind() == ErrorKind::Unsupported {
        return format!("the forge does not tell {what}");
    }
    format!("{what} could not be read: {}", error.message())
}
