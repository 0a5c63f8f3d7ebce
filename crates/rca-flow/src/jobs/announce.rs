//! Deciding what is told to which channel. The messages become rows together with the tasks that send them.

use std::{collections::BTreeMap, time::Duration};

use forge_core::model::Target;
use rca_notify::Message;
use rca_store::{
    Analysis, AnalysisFilter, Channel, ClaimedTask, NewTask, Notification, PageRequest, Write, new_id,
};
use serde_json::{Value, json};

use super::{
    ANNOUNCE, ANNOUNCE_FIXED, Context, JobError, JobResult, Settlement,
    digest::{Days, digest_task},
    feedback::{Passing, state_mark},
    field,
    notify::notify_task,
    place_log::{is_same_build, placed},
};
use crate::{
    channels::is_without_chat,
    connect::value,
    flow::Flow,
    notices::{self, Failure, Healed},
    types::ChannelFilters,
};

/// How long the last analyses of a run are waited for, so that a cause is told once and not once per job.
const GATHER_MS: i64 = 60_000;
/// How long commits that turn green by the same run wait for each other.
const TOGETHER_MS: i64 = 2_000;
/// Causes of one run that a channel is told one by one; the others are counted in one message.
const MOST_CAUSES: usize = 10;
/// Jobs of a run that are looked at.
const MOST_JOBS: usize = 5_000;

/// What a notification is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) repository_key: String,
    pub(crate) place: String,
    pub(crate) run_id: String,
    pub(crate) cluster: Option<String>,
    pub(crate) thread: Option<String>,
    pub(crate) is_open: bool,
}

/// A new row of the outbox.
pub(crate) fn notification(channel: &Channel, key: String, message: &Message, told: &Told) -> Notification {
    let told = told.clone();
    Notification {
        id: new_id(),
        workspace: channel.workspace.clone(),
        channel: channel.id.clone(),
        key,
        event: message.event.clone(),
        subject: forge_core::text::cut(&forge_core::text::visible(&message.title), 300),
        repository_key: told.repository_key,
        place: told.place,
        run_id: told.run_id,
        cluster: told.cluster,
        thread: told.thread,
        is_open: told.is_open,
        state: "pending".to_owned(),
        message: value(message),
        ..Notification::default()
    }
}

/// The task that tells channels of the run of an analysis that has ended. Not of what a back-fill or a person looked
/// at in silence.
pub(super) fn announce_of(analysis: &Analysis) -> Option<NewTask> {
    if !is_told(analysis) {
        return None;
    }
    let run = analysis.root_run_id.as_ref().unwrap_or(&analysis.run_id);
    let integration = analysis.integration.as_deref().unwrap_or_default();
    Some(NewTask::new(
        analysis.workspace.clone(),
        ANNOUNCE,
        format!("announce:{integration}:{}:{run}", analysis.repository_key),
        json!({ "integration": analysis.integration, "repository": analysis.repository_key, "run": run }),
    ))
}

fn is_told(analysis: &Analysis) -> bool {
    analysis.source == "ingest" || analysis.data.get("post") == Some(&Value::Bool(true))
}

/// Tells of the failed jobs of a run: one message per cause and attempt.
pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let channels = channels(flow, &task.workspace).await?;
    if channels.is_empty() {
        return Ok(Settlement::done(Vec::new()));
    }
    let repository: String = field(task, "repository")?;
    let integration: Option<String> = field(task, "integration")?;
    let run: String = field(task, "run")?;
    let mut analyses = analyses(flow, &task.workspace, integration.as_deref(), &repository, &run).await?;
    let waiting = analyses.iter().filter(|it| matches!(it.state.as_str(), "queued" | "running"));
    if let Some(newest) = waiting.map(|analysis| analysis.created_at).max() {
        let left = GATHER_MS - (flow.store().now().await? - newest);
        if left > 0 {
            // Each analysis that ends calls this again at once.
            return Ok(Settlement::wait(Duration::from_millis(u64::try_from(left).unwrap_or(0))));
        }
    }
    let watched = match &integration {
        Some(_) => flow.store().get_repository(&task.workspace, &repository).await?,
        None => None,
    };
    if let Some(watched) = &watched {
        // What its CI has sent in before the forge told of it is known to the channels.
        let told = placed(flow, watched, AnalysisFilter::default()).await?;
        analyses.retain(|job| !told.iter().any(|sent| is_same_build(sent, job)));
    }
    let default_branch = watched.and_then(|repository| repository.default_branch);
    let mut causes: BTreeMap<(i64, String), Vec<&Analysis>> = BTreeMap::new();
    for analysis in
        analyses.iter().rev().filter(|it| matches!(it.state.as_str(), "done" | "failed" | "no_log"))
    {
        let cause = analysis.cluster_id.clone().unwrap_or_default();
        causes.entry((analysis.attempt, cause)).or_default().push(analysis);
    }
    let mut writes = Vec::new();
    let days = Days::of(flow, &task.workspace).await?;
    for channel in &channels {
        let filters: ChannelFilters = serde_json::from_value(channel.filters.clone()).unwrap_or_default();
        let mut open = flow.store().open_notifications(&task.workspace, &channel.id).await?;
        let mut told_of: BTreeMap<i64, usize> = BTreeMap::new();
        let mut left_out: BTreeMap<i64, Vec<&Analysis>> = BTreeMap::new();
        for ((attempt, cause), jobs) in &causes {
            let Some(first) = jobs.first() else { continue };
            let cluster = match cause.as_str() {
                "" => None,
                id => flow.store().get_cluster(&task.workspace, id).await?,
            };
            let key = format!(
                "failed:{}:{repository}:{run}:{attempt}:{cause}",
                integration.as_deref().unwrap_or_default()
            );
            let known = flow.store().find_notification(&channel.id, &key).await?;
            if known.is_none() && !notices::wants(&filters, jobs, cluster.as_ref()) {
                continue;
            }
            let count = told_of.entry(*attempt).or_default();
            if known.is_none() && *count >= MOST_CAUSES {
                left_out.entry(*attempt).or_default().push(first);
                continue;
            }
            *count += 1;
            let place = notices::place(first.pr.as_deref(), first.branch.as_deref());
            let is_default = first.pr.is_none() && first.branch.is_some() && first.branch == default_branch;
            let is_before = |row: &&Notification| known.as_ref().is_none_or(|known| row.id < known.id);
            let was_red = open
                .iter()
                .filter(is_before)
                .any(|row| row.repository_key == repository && row.place == place && row.run_id != run);
            let failure = Failure { jobs, cluster: cluster.as_ref(), was_red: is_default.then_some(was_red) };
            let Some(message) = notices::failed(&failure) else { continue };
            let thread = open
                .iter()
                .filter(is_before)
                .find(|row| cluster.as_ref().is_some_and(|it| row.cluster.as_ref() == Some(&it.id)))
                .map(|row| row.thread.clone().unwrap_or_else(|| row.id.clone()));
            let told = Told {
                repository_key: repository.clone(),
                place,
                run_id: run.clone(),
                cluster: cluster.as_ref().map(|cluster| cluster.id.clone()),
                thread,
                is_open: true,
            };
            let row = notification(channel, key, &message, &told);
            if let Some(row) = told_anew(known, row, channel, &days, &mut writes) {
                open.push(row);
            }
        }
        for (attempt, firsts) in left_out {
            let integration = integration.as_deref().unwrap_or_default();
            let key = format!("failed:{integration}:{repository}:{run}:{attempt}:more");
            let known = flow.store().find_notification(&channel.id, &key).await?;
            let Some(message) = notices::left_out(&firsts) else { continue };
            let first = firsts.first();
            let told = Told {
                repository_key: repository.clone(),
                place: first
                    .map(|it| notices::place(it.pr.as_deref(), it.branch.as_deref()))
                    .unwrap_or_default(),
                run_id: run.clone(),
                is_open: true,
                ..Told::default()
            };
            let row = notification(channel, key, &message, &told);
            told_anew(known, row, channel, &days, &mut writes);
        }
    }
    Ok(Settlement::done(writes))
}

/// Writes a row and the task that sends it; one that is known gets the new text. Gives the row where it is new.
fn told_anew(
    known: Option<Notification>,
    row: Notification,
    channel: &Channel,
    days: &Days,
    writes: &mut Vec<Write>,
) -> Option<Notification> {
    if known.is_none()
        && let Some(delay_ms) = days.hold(channel)
    {
        let row = Notification { state: "held".to_owned(), ..row };
        writes.push(Write::PutNotification(Box::new(row.clone())));
        writes.push(Write::Enqueue(digest_task(channel, delay_ms)));
        return Some(row);
    }
    match known {
        Some(known) if known.state == "held" => {
            writes.push(Write::PutNotification(Box::new(Notification { id: known.id, ..row })));
            None
        }
        // What is over, or did not arrive, or says the same already, stays.
        Some(known)
            if known.message == row.message
                || !known.is_open
                || !matches!(known.state.as_str(), "pending" | "sending" | "sent") =>
        {
            None
        }
        Some(known) => {
            let id = known.id.clone();
            writes.push(Write::PutNotification(Box::new(Notification { id, ..row })));
            writes.push(Write::Enqueue(notify_task(&known.workspace, &known.id)));
            None
        }
        None => {
            writes.push(Write::PutNotification(Box::new(row.clone())));
            writes.push(Write::Enqueue(notify_task(&row.workspace, &row.id)));
            Some(row)
        }
    }
}

/// The task that tells of the end of failures: of `analyses`, all of one pull request or commit, since `run` has passed.
pub(super) fn fixed_task(
    context: &Context,
    analyses: &[Analysis],
    passing: Option<&Passing>,
) -> Option<NewTask> {
    let (passing, first) = (passing?, analyses.first()?);
    let mut runs: Vec<String> = analyses
        .iter()
        .map(|analysis| analysis.root_run_id.as_ref().unwrap_or(&analysis.run_id).clone())
        .collect();
    runs.sort_unstable();
    runs.dedup();
    let healed = Healed {
        repository_key: context.repository.id.clone(),
        other_keys: analyses
            .iter()
            .map(|analysis| analysis.repository_key.clone())
            .filter(|key| *key != context.repository.id)
            .collect(),
        repository: context.repository.full_name.clone(),
        place: notices::place(first.pr.as_deref(), first.branch.as_deref()),
        branch: first.branch.clone(),
        pr: first.pr.clone(),
        is_default: first.pr.is_none()
            && first.branch.is_some()
            && first.branch == context.repository.default_branch,
        runs,
        run: passing.id.clone(),
        commit_sha: passing.sha.clone(),
        url: passing.url.clone(),
        is_same_commit: passing.sha.is_some()
            && analyses.iter().any(|analysis| analysis.commit_sha == passing.sha),
    };
    // Each of several commits that turn green by one run has its own failures to take back.
    let key = format!(
        "fixed:{}:{}:{}",
        context.repository.id,
        passing.id,
        first.commit_sha.as_deref().unwrap_or_default()
    );
    Some(
        NewTask::new(context.integration.workspace.clone(), ANNOUNCE_FIXED, key, json!({ "healed": healed }))
            .with_delay_ms(TOGETHER_MS),
    )
}

/// The same for a failure that no forge was told of.
pub(super) fn fixed_alone(analysis: &Analysis, passing: &Passing) -> NewTask {
    let healed = Healed {
        repository_key: analysis.repository_key.clone(),
        other_keys: Vec::new(),
        repository: analysis.repository.clone(),
        place: notices::place(analysis.pr.as_deref(), analysis.branch.as_deref()),
        branch: analysis.branch.clone(),
        pr: analysis.pr.clone(),
        is_default: false,
        runs: vec![analysis.run_id.clone()],
        run: passing.id.clone(),
        commit_sha: passing.sha.clone(),
        url: passing.url.clone(),
        is_same_commit: passing.sha.is_some() && analysis.commit_sha == passing.sha,
    };
    let key = format!("fixed:{}", analysis.id);
    NewTask::new(analysis.workspace.clone(), ANNOUNCE_FIXED, key, json!({ "healed": healed }))
}

/// Tells those who know of the failures that they are over.
pub(super) async fn fixed(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let healed: Healed = field(task, "healed")?;
    let mut writes = Vec::new();
    let days = Days::of(flow, &task.workspace).await?;
    for channel in channels(flow, &task.workspace).await? {
        let open = flow.store().open_notifications(&task.workspace, &channel.id).await?;
        let (over, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|row| {
            (row.repository_key == healed.repository_key || healed.other_keys.contains(&row.repository_key))
                && healed.runs.contains(&row.run_id)
        });
        let Some(first) = over.first() else { continue };
        let mut is_still_red = false;
        for row in
            rest.iter().filter(|row| row.repository_key == healed.repository_key && row.place == healed.place)
        {
            is_still_red |= is_red(flow, row).await?;
        }
        let told = Told {
            repository_key: healed.repository_key.clone(),
            place: healed.place.clone(),
            run_id: healed.run.clone(),
            thread: Some(first.thread.clone().unwrap_or_else(|| first.id.clone())),
            ..Told::default()
        };
        let key = format!("fixed:{}:{}:{}", healed.repository_key, healed.place, healed.run);
        if flow.store().find_notification(&channel.id, &key).await?.is_none() {
            let row = notification(&channel, key, &notices::fixed(&healed, is_still_red), &told);
            told_anew(None, row, &channel, &days, &mut writes);
        }
        for mut row in over {
            row.is_open = false;
            // Only what people have read is changed; what is still on its way arrives as it was.
            if row.state == "sent"
                && let Ok(message) = serde_json::from_value::<Message>(row.message.clone())
            {
                row.message = value(&notices::closed(message, &healed));
                writes.push(Write::Enqueue(notify_task(&row.workspace, &row.id)));
            }
            writes.insert(0, Write::PutNotification(Box::new(row)));
        }
    }
    Ok(Settlement::done(writes))
}

/// Whether what the row tells of still fails. Others that turned green by the same run are being taken back, too.
async fn is_red(flow: &Flow, row: &Notification) -> Result<bool, JobError> {
    let data = |field: &str| {
        row.message.get("data").and_then(|data| data.get(field)).and_then(Value::as_str).map(str::to_owned)
    };
    let target = match (data("pr"), data("commit_sha")) {
        (Some(pr), _) => Target::Pull(pr),
        (None, Some(sha)) => Target::Commit(sha),
        (None, None) => return Ok(true),
    };
    let mark = state_mark(&row.repository_key, &target.key());
    Ok(flow.store().get_mark(&row.workspace, &mark).await?.is_some_and(|state| state == "red"))
}

/// Tells of an incident that began, and those who know of it that it is over.
pub(super) async fn incident(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let id: String = field(task, "incident")?;
    let event: String = field(task, "event")?;
    let Some(incident) = flow.store().get_incident(&task.workspace, &id).await? else {
        return Ok(Settlement::done(Vec::new()));
    };
    let mut writes = Vec::new();
    for channel in channels(flow, &task.workspace).await? {
        let thread = flow.store().find_notification(&channel.id, &format!("incident:{id}:opened")).await?;
        let is_wanted = if event == "resolved" { thread.is_some() } else { channel.incidents };
        let key = format!("incident:{id}:{event}");
        if !is_wanted || flow.store().find_notification(&channel.id, &key).await?.is_some() {
            continue;
        }
        let told = Told { thread: thread.map(|row| row.id), ..Told::default() };
        let row = notification(&channel, key, &notices::incident(&incident, &event), &told);
        told_anew(None, row, &channel, &Days::none(), &mut writes);
    }
    Ok(Settlement::done(writes))
}

/// The channels that anything is sent to.
async fn channels(flow: &Flow, workspace: &str) -> Result<Vec<Channel>, JobError> {
    let mut all = Vec::new();
    let mut page = PageRequest::first(500);
    loop {
        let found = flow.store().list_channels(workspace, &page).await?;
        all.extend(
            found
                .items
                .into_iter()
                .filter(|channel| channel.enabled && !is_without_chat(&channel.kind, &channel.config)),
        );
        match found.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(all),
        }
    }
}

async fn analyses(
    flow: &Flow,
    workspace: &str,
    integration: Option<&str>,
    repository: &str,
    run: &str,
) -> Result<Vec<Analysis>, JobError> {
    let filter = AnalysisFilter {
        integration: integration.map(str::to_owned),
        repository: Some(repository.to_owned()),
        run_id: Some(run.to_owned()),
        ..AnalysisFilter::default()
    };
    let mut all = Vec::new();
    let mut page = PageRequest::first(500);
    loop {
        let found = flow.store().list_analyses(workspace, &filter, &page).await?;
        let is_meant =
            |it: &Analysis| it.integration.as_deref() == integration && it.repository_key == repository;
        all.extend(found.items.into_iter().filter(|it| is_meant(it) && is_told(it)));
        match found.next_cursor {
            Some(cursor) if all.len() < MOST_JOBS => page.cursor = Some(cursor),
            _ => return Ok(all),
        }
    }
}
