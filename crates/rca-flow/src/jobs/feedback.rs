//! Saying it: one living comment per pull request or commit, however many jobs fail.
//!
//! The text follows from what the forge says now and from the stored analyses, so doing it twice gives the same text,
//! and the same text is not sent. After a crash between the forge's answer and our commit the hidden marker finds the
//! comment again.

mod story;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use forge_core::{
    ErrorKind, ForgeClientExt,
    model::{Comment, CommitStatus, Issue, PostAction, Posted, RepoRef, Run, StatusState, Target},
};
use jiff::Timestamp;
use rca_store::{Analysis, ClaimedTask, Comment as StoredComment, Feedback, Outcome, Write};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) use self::story::failed_job;
use self::story::{analyses, is_waiting, tell};
use super::{
    Context, JobError, JobResult, STATUS_CONTEXT, Settlement,
    announce::fixed_task,
    context, field,
    later::{self, Later, Said},
    learn_green, passed_log, rate_caps,
};
use crate::{
    connect::value,
    flow::Flow,
    introduced_by::said,
    monitor::repo_ref,
    policy::falls_through,
    render::{self, Markup, Memory, ShownRun, Story},
    types::FeedbackPolicy,
};

/// How many failed runs of one target are asked about.
const RUNS: usize = 8;
/// How long a comment waits for the last of the run's analyses, so that it is written once and not once per job.
const GATHER_MS: i64 = 60_000;
/// The same where a comment stands as it was posted: each further one is one more message to people.
const GATHER_UNEDITABLE_MS: i64 = 600_000;

/// How many clusters of one target are learned from.
const CLUSTERS: usize = 50;

/// Remembers whether a target is `red` or `green`.
pub(super) fn state_mark(repository: &str, target: &str) -> String {
    format!("feedback:{repository}:{target}")
}

/// Remembers the last runs of a branch that have passed: they count against failures that are told later, whatever
/// the order in which the forge tells us.
pub(super) fn passed_mark(repository: &str, branch: &str) -> String {
    format!("passed:{repository}:{branch}")
}

/// Where it is said, as the analyses remember it.
#[derive(Debug, Clone, serde::Deserialize)]
struct Place {
    key: String,
    pr: Option<String>,
    repo: Option<RepoRef>,
    sha: Option<String>,
}

/// What is known of a target now.
struct Now {
    story: Story,
    /// The newest run that the story is about.
    run: Option<Run>,
    /// What showed that all is well again.
    passing: Option<Passing>,
    /// The analyses that the story tells of.
    told: Vec<String>,
}

/// A run that passed, of the forge or of another CI.
#[derive(Debug, Clone)]
pub(super) struct Passing {
    pub(super) id: String,
    pub(super) number: String,
    pub(super) name: Option<String>,
    pub(super) attempt: u32,
    pub(super) sha: Option<String>,
    pub(super) url: Option<String>,
}

impl Passing {
    fn of_run(run: &Run) -> Self {
        Self {
            id: run.id.clone(),
            number: run.number.clone().unwrap_or_else(|| run.id.clone()),
            name: run.name.clone(),
            attempt: run.attempt,
            sha: run.sha.clone(),
            url: run.web_url.clone(),
        }
    }

    fn shown(&self) -> ShownRun {
        ShownRun {
            number: self.number.clone(),
            name: self.name.clone(),
            url: self.url.clone(),
            attempt: self.attempt,
        }
    }
}

/// One way of saying it.
struct Way {
    /// Names it in the records: `pr:42`, `commit:<sha>`, `issue:<...>`, `status:<sha>`.
    key: String,
    /// Where it goes; for an issue and a status the key says all.
    target: Option<Target>,
    repo: RepoRef,
}

pub(super) async fn run(flow: &Flow, task: &ClaimedTask, age: Duration) -> JobResult {
    let place: Place = field(task, "target")?;
    let Some(context) = context(flow, task).await? else { return Ok(Settlement::done(Vec::new())) };
    if !context.repository.monitored {
        return Ok(Settlement::done(Vec::new()));
    }
    if let Some(left) = later::limited(flow, &context).await? {
        return Ok(Settlement::wait(left));
    }
    let analyses = analyses(flow, &context, &place).await?;
    let waiting = analyses.iter().filter(|analysis| is_waiting(analysis));
    if let Some(newest) = waiting.map(|analysis| analysis.created_at).max() {
        let is_editable = context.client.capabilities().edit_comment;
        let gather = if is_editable { GATHER_MS } else { GATHER_UNEDITABLE_MS };
        let left = gather - (flow.store().now().await? - newest);
        if left > 0 {
            // Each analysis that ends calls this again at once.
            return Ok(Settlement::wait(Duration::from_millis(u64::try_from(left).unwrap_or(0))));
        }
    }
    let policy = flow.feedback_policy(&context.integration).await?;
    let mark = state_mark(&context.repository.id, &place.key);
    let was_red = flow.store().get_mark(&task.workspace, &mark).await?.is_some_and(|state| state == "red");
    let branches: BTreeSet<&String> =
        analyses.iter().filter_map(|analysis| analysis.branch.as_ref()).collect();
    let mut passed = Vec::new();
    for branch in branches {
        let mark = passed_mark(&context.repository.id, branch);
        let known = flow.store().get_mark(&task.workspace, &mark).await?;
        passed.extend(
            known.and_then(|known| serde_json::from_value::<Vec<String>>(known).ok()).unwrap_or_default(),
        );
    }
    let over = passed_log::over(flow, &task.workspace, &analyses).await?;
    let Some(mut now) = tell(&context, &analyses, &passed, &over).await? else {
        return Ok(Settlement::done(Vec::new()));
    };
    // The run is a fork's own, and its comment stands in another repository: what ours have seen is nothing for it.
    if place.repo.is_none() {
        remember(flow, &task.workspace, &analyses, &mut now.story).await?;
    }
    let is_green = matches!(now.story, Story::Green { .. });
    if is_green && !was_red {
        // Nothing was said, so there is nothing to take back.
        return Ok(Settlement::done(Vec::new()));
    }
    let mut writes = Vec::new();
    if is_green {
        let sha = now.passing.as_ref().and_then(|passing| passing.sha.as_deref());
        writes.extend(learned(flow, &task.workspace, &analyses, sha).await?);
        writes.extend(flaky(&analyses, now.passing.as_ref()));
        if let Some(run) = &now.run {
            writes.extend(learn_green::task(flow, &context, run).await?.map(Write::Enqueue));
        }
        writes.extend(fixed_task(&context, &analyses, now.passing.as_ref()).map(Write::Enqueue));
    }
    let said = say(flow, &context, &place, &policy, &now, age, &mut writes).await?;
    // While green has not been said, it still says red there.
    if !is_green || matches!(said, Said::Done) {
        writes.push(Write::SetMark {
            workspace: task.workspace.clone(),
            name: mark,
            value: Value::from(if is_green { "green" } else { "red" }),
        });
    }
    let outcome = match said {
        Said::Done => Outcome::Done,
        Said::Later(later) => Settlement::wait(later.pause).outcome,
        Said::GivenUp(error) => {
            tracing::error!(task = %task.id, kind = %task.kind, %error, "a task was given up");
            Outcome::Dead { error }
        }
    };
    Ok(Settlement { outcome, writes })
}

/// The forge could not be asked for so long that it is said nowhere.
pub(super) async fn give_up(flow: &Flow, task: &ClaimedTask, reason: &str) -> Vec<Write> {
    let mut writes = Vec::new();
    let Ok(place) = field::<Place>(task, "target") else { return writes };
    let Ok(Some(context)) = context(flow, task).await else { return writes };
    let Ok(analyses) = analyses(flow, &context, &place).await else { return writes };
    let mut told: Vec<String> = analyses.into_iter().map(|analysis| analysis.id).collect();
    let Ok(known) = flow.store().list_feedback(&task.workspace, &told).await else { return writes };
    // What stands there from before still stands there.
    told.retain(|id| !known.contains_key(id));
    record(&mut writes, &context, &told, &place.key, "failed", None, Some(reason));
    writes
}

/// What is learned when a target turns green: the commit fixed the clusters that failed there. A cluster that was last
/// seen here is resolved by it; one that failed elsewhere since is not. The same commit turning green fixed nothing.
pub(super) async fn learned(
    flow: &Flow,
    workspace: &str,
    analyses: &[Analysis],
    sha: Option<&str>,
) -> Result<Vec<Write>, JobError> {
    let Some(sha) = sha else { return Ok(Vec::new()) };
    let mut writes = Vec::new();
    let mut seen = BTreeSet::new();
    for analysis in analyses {
        let Some(id) = &analysis.cluster_id else { continue };
        if analysis.commit_sha.as_deref() == Some(sha) || seen.len() >= CLUSTERS || !seen.insert(id) {
            continue;
        }
        let Some(cluster) = flow.store().get_cluster(workspace, id).await? else { continue };
        let is_last_here =
            analyses.iter().any(|analysis| cluster.last_analysis.as_ref() == Some(&analysis.id));
        writes.push(Write::SetClusterState {
            workspace: workspace.to_owned(),
            id: id.clone(),
            state: if is_last_here { "resolved".to_owned() } else { cluster.state },
            last_fix: Some(sha.to_owned()),
        });
    }
    Ok(writes)
}

/// The commit that failed is green without a change: what failed there is flaky, except where a machine was at fault.
pub(super) fn flaky(analyses: &[Analysis], passing: Option<&Passing>) -> Vec<Write> {
    let Some(passing) = passing.filter(|passing| passing.sha.is_some()) else { return Vec::new() };
    let reason = format!("the same commit passed in run {}, attempt {}", passing.number, passing.attempt);
    let told = value(&said("flaky", reason));
    let mut writes = Vec::new();
    for analysis in analyses.iter().filter(|analysis| analysis.commit_sha == passing.sha) {
        let known =
            analysis.introduced_by.as_ref().and_then(|known| known.get("verdict")).and_then(Value::as_str);
        if analysis.state == "done" && !matches!(known, Some("flaky" | "infrastructure")) {
            let analysis = Analysis { introduced_by: Some(told.clone()), ..analysis.clone() };
            writes.push(Write::UpsertAnalysis(Box::new(analysis)));
        }
    }
    writes
}

/// Adds to each failed job what its cluster has seen besides this story.
async fn remember(
    flow: &Flow,
    workspace: &str,
    analyses: &[Analysis],
    story: &mut Story,
) -> Result<(), JobError> {
    let Story::Red { jobs, .. } = story else { return Ok(()) };
    let cluster_of: BTreeMap<&str, &str> = analyses
        .iter()
        .filter_map(|analysis| Some((analysis.id.as_str(), analysis.cluster_id.as_deref()?)))
        .collect();
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    for id in jobs.iter().filter_map(|job| cluster_of.get(job.analysis_id.as_str())) {
        *told.entry(id).or_default() += 1;
    }
    let mut memories = BTreeMap::new();
    for (id, told) in told.into_iter().take(CLUSTERS) {
        let Some(cluster) = flow.store().get_cluster(workspace, id).await? else { continue };
        let (Ok(count), Ok(first)) =
            (u64::try_from(cluster.count), Timestamp::from_millisecond(cluster.first_seen_at))
        else {
            continue;
        };
        if count > told {
            let since = first.strftime("%Y-%m-%d").to_string();
            let repositories = cluster.repositories.len();
            memories.insert(id, Memory { count, repositories, since, last_fix: cluster.last_fix });
        }
    }
    for job in jobs {
        job.memory = cluster_of.get(job.analysis_id.as_str()).and_then(|id| memories.get(id)).cloned();
    }
    Ok(())
}

/// Goes down the cascade until one way is open, and sets the status. What has to wait is said later, by the same way.
async fn say(
    flow: &Flow,
    context: &Context,
    place: &Place,
    policy: &FeedbackPolicy,
    now: &Now,
    age: Duration,
    writes: &mut Vec<Write>,
) -> Result<Said, JobError> {
    let capabilities = context.client.capabilities();
    let own = repo_ref(&context.repository);
    let sha = match (&now.run, &now.passing) {
        // Which commit another CI built, only its sender knows.
        (None, Some(passing)) => passing.sha.clone(),
        (run, _) => run.as_ref().and_then(|run| run.sha.clone()).or_else(|| place.sha.clone()),
    };
    let mut ways: Vec<(Way, Option<&str>)> = Vec::new();
    if let Some(number) = &place.pr {
        let target = Target::Pull(number.clone());
        let closed = if !policy.pr_comment {
            Some("pull request comments are switched off")
        } else if !capabilities.pull_comment {
            Some("the forge has no comments on pull requests")
        } else {
            None
        };
        let repo = place.repo.clone().unwrap_or_else(|| own.clone());
        ways.push((Way { key: target.key(), target: Some(target), repo }, closed));
    }
    // A commit comment stays where it is: the one that was red turns green, not the commit that healed it.
    let is_green = matches!(now.story, Story::Green { .. });
    let commit = if place.pr.is_none() || is_green { place.sha.clone() } else { sha.clone() };
    if let Some(commit) = commit {
        let target = Target::Commit(commit);
        let closed = if !policy.commit_comment {
            Some("commit comments are switched off")
        } else if !capabilities.commit_comment {
            Some("the forge has no comments on commits")
        } else {
            None
        };
        ways.push((Way { key: target.key(), target: Some(target), repo: own.clone() }, closed));
    }
    let is_sent_in = now.run.is_none();
    let closed = if is_sent_in {
        // Anybody who may send logs can name any commit.
        Some("a log that was sent in opens no issue")
    } else if !policy.issue {
        // What nobody says at the forge has to have its reason here.
        Some(match (capabilities.issue, place.pr.is_some() || capabilities.commit_comment) {
            (true, false) => {
                "issues are switched off, and the forge has no other place for a failure without a pull request"
            }
            _ => "issues are switched off",
        })
    } else if !capabilities.issue {
        Some("the forge has no issues")
    } else {
        None
    };
    ways.push((Way { key: format!("issue:{}", place.key), target: None, repo: own.clone() }, closed));
    let mut said = Said::Done;
    for (way, closed) in ways {
        if let Some(reason) = closed {
            record(writes, context, &now.told, &way.key, "skipped", None, Some(reason));
            continue;
        }
        said = match post(flow, context, &way, now, writes).await {
            Ok(None) => Said::Done,
            Ok(Some(waits)) => Said::Later(waits),
            Err(JobError::Forge(error)) if closes(context, &error).await => {
                let reason = error.to_string();
                record(writes, context, &now.told, &way.key, "failed", None, Some(&reason));
                continue;
            }
            Err(JobError::Forge(error)) => later::after(flow, context, error, age, writes).await?,
            Err(error) => return Err(error),
        };
        record_delay(writes, context, now, &way.key, &said);
        break;
    }
    // The forge may have asked for silence just now.
    let is_silent = match &said {
        Said::Later(_) => later::limits(writes),
        _ => false,
    };
    if let Some(sha) = sha.filter(|_| policy.status && capabilities.status && !is_silent) {
        let status = match set_status(flow, context, &sha, now, writes).await {
            Err(JobError::Forge(error)) => later::after(flow, context, error, age, writes).await?,
            answer => answer.map(|()| Said::Done)?,
        };
        record_delay(writes, context, now, "status", &status);
        said = said.and(status);
    }
    Ok(said)
}

/// Notes why something is not said yet, or not at all.
fn record_delay(writes: &mut Vec<Write>, context: &Context, now: &Now, target: &str, said: &Said) {
    let (state, reason) = match said {
        Said::Done => return,
        Said::Later(later) => ("skipped", &later.reason),
        Said::GivenUp(reason) => ("failed", reason),
    };
    record(writes, context, &now.told, target, state, None, Some(reason));
}

/// Whether the refusal closes only this way. A 401 can mean a dead credential, or one that may not do just this: the
/// forge is asked who we are.
async fn closes(context: &Context, error: &forge_core::Error) -> bool {
    if error.kind().is_credential() {
        return error.kind() != ErrorKind::InvalidGrant && context.client.whoami().await.is_ok();
    }
    falls_through(error)
}

async fn post(
    flow: &Flow,
    context: &Context,
    way: &Way,
    now: &Now,
    writes: &mut Vec<Write>,
) -> Result<Option<Later>, JobError> {
    let (integration, repository) = (&context.integration, &context.repository);
    let known =
        flow.store().get_comment(&integration.workspace, &integration.id, &repository.id, &way.key).await?;
    let is_green = matches!(now.story, Story::Green { .. });
    if is_green && known.is_none() {
        // It was said by another way; that one is taken back there.
        return Err(JobError::Forge(forge_core::Error::new(ErrorKind::NotFound, "nothing was said here")));
    }
    let public_url = flow.config().public_url.as_str();
    let pages = flow.config().has_pages.then(|| public_url.trim_end_matches('/'));
    let markup = Markup::of(context.client.kind());
    let marker = render::marker(public_url, &way.repo.id, &way.key, markup);
    let limit = match context.client.capabilities().max_comment_chars {
        0 => 30_000,
        limit => limit.min(60_000),
    };
    let body = render::comment(&now.story, &marker, pages, limit, markup);
    // What cannot be edited is said again only when there is another cause to tell, or none any more.
    let is_edited = way.target.is_none() || context.client.capabilities().edit_comment;
    let said = if is_edited { body.clone() } else { render::gist(&now.story) };
    let body_hash = hex::encode(Sha256::digest(said.as_bytes()));
    if let Some(known) = known.as_ref().filter(|known| known.body_hash.as_deref() == Some(body_hash.as_str()))
    {
        record(writes, context, &now.told, &way.key, "posted", known.url.as_deref(), None);
        return Ok(None);
    }
    let feedback = context.client.require_feedback()?;
    let place = match rate_caps::reserve(flow, context, &way.key, &body_hash).await? {
        Ok(place) => place,
        Err(capped) => return Ok(Some(capped)),
    };
    let known_id = known.as_ref().and_then(|known| known.forge_comment_id.as_deref());
    let posted = match put(feedback, context, way, marker.clone(), body, known_id, is_green).await {
        Ok(posted) => posted,
        Err(error) => {
            // What was refused or never sent took nobody's place.
            if falls_through(&error) || error.kind() == ErrorKind::RateLimited || error.is_unsent() {
                place.release(flow).await?;
            }
            return Err(error.into());
        }
    };
    let state = if posted.action == PostAction::Created { "posted" } else { "updated" };
    let url = posted.web_url.or_else(|| known.and_then(|known| known.url));
    record(writes, context, &now.told, &way.key, state, url.as_deref(), None);
    writes.push(Write::UpsertComment(StoredComment {
        workspace: integration.workspace.clone(),
        integration: integration.id.clone(),
        repository: repository.id.clone(),
        target: way.key.clone(),
        marker,
        forge_comment_id: Some(posted.id),
        url,
        body_hash: Some(body_hash),
        state: if is_green { "fixed" } else { "failing" }.to_owned(),
        run_id: now.run.as_ref().map(|run| run.id.clone()),
        updated_at: 0,
    }));
    Ok(None)
}

/// Creates or edits the comment or the issue.
async fn put(
    feedback: &dyn forge_core::Feedback,
    context: &Context,
    way: &Way,
    marker: String,
    body: String,
    known_id: Option<&str>,
    is_green: bool,
) -> forge_core::Result<Posted> {
    let Some(target) = &way.target else {
        let title = format!("CI fails on {}", crate::markdown::visible(&context.repository.full_name));
        if let (true, Some(id)) = (is_green, known_id) {
            // Nothing of it is made anew: a person may have closed or removed it.
            feedback.close_issue(&way.repo, id, Some(&body)).await?;
            return Ok(Posted::new(id, PostAction::Updated));
        }
        let issue = Issue { marker, title, body, labels: vec!["ci-failure".to_owned()] };
        let posted = feedback.upsert_issue(&way.repo, &issue, known_id).await?;
        return Ok(posted);
    };
    feedback.upsert_comment(&way.repo, target, &Comment { marker, body }, known_id).await
}

async fn set_status(
    flow: &Flow,
    context: &Context,
    sha: &str,
    now: &Now,
    writes: &mut Vec<Write>,
) -> Result<(), JobError> {
    let (integration, repository) = (&context.integration, &context.repository);
    let key = format!("status:{sha}");
    let known =
        flow.store().get_comment(&integration.workspace, &integration.id, &repository.id, &key).await?;
    let is_green = matches!(now.story, Story::Green { .. });
    let status = CommitStatus {
        state: if is_green { StatusState::Success } else { StatusState::Failure },
        context: STATUS_CONTEXT.to_owned(),
        description: render::status_line(&now.story),
        target_url: None,
    };
    let hash = hex::encode(Sha256::digest(format!("{is_green} {}", status.description)));
    // A commit that never had a red status of ours needs no green one.
    if known.as_ref().map_or(is_green, |known| known.body_hash.as_deref() == Some(hash.as_str())) {
        return Ok(());
    }
    let feedback = context.client.require_feedback()?;
    match feedback.set_status(&repo_ref(repository), sha, &status).await {
        Ok(posted) => {
            record(writes, context, &now.told, "status", "posted", posted.web_url.as_deref(), None);
            writes.push(Write::UpsertComment(StoredComment {
                workspace: integration.workspace.clone(),
                integration: integration.id.clone(),
                repository: repository.id.clone(),
                target: key,
                marker: String::new(),
                forge_comment_id: Some(posted.id),
                url: posted.web_url,
                body_hash: Some(hash),
                state: if is_green { "fixed" } else { "failing" }.to_owned(),
                run_id: now.run.as_ref().map(|run| run.id.clone()),
                updated_at: 0,
            }));
            Ok(())
        }
        Err(error) if closes(context, &error).await => {
            let reason = error.to_string();
            record(writes, context, &now.told, "status", "failed", None, Some(&reason));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn record(
    writes: &mut Vec<Write>,
    context: &Context,
    told: &[String],
    target: &str,
    state: &str,
    url: Option<&str>,
    reason: Option<&str>,
) {
    for analysis in told {
        writes.push(Write::RecordFeedback {
            workspace: context.integration.workspace.clone(),
            feedback: Feedback {
                analysis: analysis.clone(),
                target: target.to_owned(),
                state: state.to_owned(),
                url: url.map(str::to_owned),
                reason: reason.map(str::to_owned),
                updated_at: 0,
            },
        });
    }
}
