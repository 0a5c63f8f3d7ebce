//! What a comment tells: what the forge says of the runs now, and the analyses that are stored.

use std::{cmp::Reverse, collections::BTreeMap};

use forge_core::{
    ErrorKind, ForgeClientExt,
    model::{Conclusion, Job, Run, RunRef, Status},
};
use jiff::Timestamp;
use rca_engine::Report;
use rca_store::{Analysis, AnalysisFilter, PageRequest};
use serde_json::{Value, json};

use super::{
    super::{
        Context, JobError,
        analyse_run::{WHOLE_RUN, failed_jobs},
        passed_log::PassedLog,
        place_log::{is_same_build, placed},
    },
    Now, Passing, Place, RUNS,
};
use crate::{
    flow::Flow,
    monitor::repo_ref,
    render::{FailedJob, ShownRun, Story},
    types::IntroducedBy,
};

/// What there is to tell: of every workflow the newest run that has ended counts.
pub(super) async fn tell(
    context: &Context,
    analyses: &[Analysis],
    passed: &[String],
    over: &BTreeMap<String, PassedLog>,
) -> Result<Option<Now>, JobError> {
    let mut ids: Vec<&String> = Vec::new();
    // What other CI systems have sent in names runs that the forge does not know.
    for analysis in analyses.iter().filter(|analysis| analysis.integration.is_some()) {
        let id = analysis.root_run_id.as_ref().unwrap_or(&analysis.run_id);
        if !ids.contains(&id) && ids.len() < RUNS {
            ids.push(id);
        }
    }
    for id in passed {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let ci = context.client.require_ci()?;
    let repo = repo_ref(&context.repository);
    let mut runs = Vec::new();
    for id in ids {
        match ci.get_run(&repo, &RunRef::new(id.clone())).await {
            Ok(run) => runs.push(run),
            // Deleted at the forge: nothing is known of it any more.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let has_children = |run: &Run| {
        analyses.iter().any(|analysis| {
            analysis.root_run_id.as_deref() == Some(run.id.as_str()) && analysis.run_id != run.id
        })
    };
    // A child run that has failed is told at once, though the run that started it goes on.
    runs.retain(|run| run.status == Status::Completed || has_children(run));
    runs.sort_by_key(|run| Reverse(order(run)));
    let mut newest: BTreeMap<String, Run> = BTreeMap::new();
    for run in runs {
        newest.entry(run.name.clone().unwrap_or_default()).or_insert(run);
    }
    let mut newest: Vec<Run> = newest.into_values().collect();
    newest.sort_by_key(|run| Reverse(order(run)));
    let mut red = Vec::new();
    let mut failing: Vec<Job> = Vec::new();
    let mut has_green = false;
    for run in &newest {
        let jobs =
            if run.is_failed() || has_children(run) { failed_jobs(context, run).await? } else { Vec::new() };
        if run.is_failed() || !jobs.is_empty() {
            red.push(run.clone());
            failing.extend(jobs);
        } else if run.conclusion == Some(Conclusion::Success) {
            has_green = true;
        }
    }
    let mut standing = standing(analyses, &newest);
    standing.retain(|analysis| !over.contains_key(&analysis.id));
    if red.is_empty() && standing.is_empty() {
        // One that was cancelled says nothing of what failed before it.
        let is_all_green = newest.iter().all(|run| run.conclusion == Some(Conclusion::Success));
        let run = newest.into_iter().next().filter(|_| has_green);
        let log = over.values().max_by_key(|log| log.at()).filter(|_| is_all_green);
        let Some(passing) = run.as_ref().map(Passing::of_run).or_else(|| log.map(PassedLog::passing)) else {
            return Ok(None);
        };
        let mut fixed: Vec<String> =
            analyses.iter().filter_map(|analysis| analysis.job_name.clone()).collect();
        fixed.sort_unstable();
        fixed.dedup();
        return Ok(Some(Now {
            story: Story::Green { run: passing.shown(), fixed },
            run,
            passing: Some(passing),
            told: Vec::new(),
        }));
    }
    let mut jobs = Vec::new();
    let mut told = Vec::new();
    let mut pending = 0;
    let mut shown_ids = Vec::new();
    for job in &failing {
        match analyses.iter().find(|analysis| analysis.job_id == job.id && analysis.run_id == job.run_id) {
            Some(analysis)
                if analysis.state == "no_log"
                    && standing.iter().any(|sent| is_same_build(sent, analysis)) =>
            {
                told.push(analysis.id.clone());
            }
            Some(analysis) if !is_waiting(analysis) => {
                shown_ids.push(analysis.job_name.clone());
                told.push(analysis.id.clone());
                jobs.push(failed_job(analysis));
            }
            // Not analysed yet, or its delivery is still on the way.
            _ => pending += 1,
        }
    }
    for analysis in analyses.iter().filter(|analysis| analysis.job_id == WHOLE_RUN) {
        if red.iter().any(|run| run.id == analysis.run_id && i64::from(run.attempt) == analysis.attempt) {
            told.push(analysis.id.clone());
            jobs.push(failed_job(analysis));
        }
    }
    let mut runs: Vec<ShownRun> = red.iter().map(shown).collect();
    for analysis in standing {
        let run = sent_run(analysis);
        if !runs.iter().any(|known| (&known.name, &known.number) == (&run.name, &run.number)) {
            runs.push(run);
        }
        shown_ids.push(analysis.job_name.clone());
        told.push(analysis.id.clone());
        jobs.push(failed_job(analysis));
    }
    if jobs.is_empty() {
        return Ok(None);
    }
    let mut before: Vec<&String> = analyses
        .iter()
        .filter(|analysis| !told.contains(&analysis.id) && !shown_ids.contains(&analysis.job_name))
        .filter(|analysis| !is_waiting(analysis))
        .filter_map(|analysis| analysis.job_name.as_ref())
        .collect();
    before.sort_unstable();
    before.dedup();
    let fixed = before.len();
    let story = Story::Red { runs, jobs, pending, fixed };
    Ok(Some(Now { story, run: red.into_iter().next(), passing: None, told }))
}

pub(super) async fn analyses(
    flow: &Flow,
    context: &Context,
    place: &Place,
) -> Result<Vec<Analysis>, JobError> {
    let filter = AnalysisFilter {
        integration: Some(context.integration.id.clone()),
        repository: Some(context.repository.id.clone()),
        pr: place.pr.clone(),
        commit_sha: if place.pr.is_none() { place.sha.clone() } else { None },
        ..AnalysisFilter::default()
    };
    let workspace = &context.integration.workspace;
    let mut all = Vec::new();
    let mut page = PageRequest::first(500);
    loop {
        let found = flow.store().list_analyses(workspace, &filter, &page).await?;
        all.extend(found.items.into_iter().filter(|analysis| {
            let target = analysis.data.get("target").and_then(|target| target.get("key"));
            let is_posted = analysis.data.get("post") == Some(&json!(true));
            is_posted && target.and_then(Value::as_str) == Some(place.key.as_str())
        }));
        match found.next_cursor {
            // A thousand are more than any comment shows.
            Some(cursor) if all.len() < 1000 => page.cursor = Some(cursor),
            _ => break,
        }
    }
    let sent_in = placed(flow, &context.repository, filter).await?;
    all.extend(
        sent_in
            .into_iter()
            .filter(|it| it.data.pointer("/target/key").and_then(Value::as_str) == Some(place.key.as_str())),
    );
    Ok(all)
}

/// Failures of other CI systems that still stand: the newest log of each job, unless a run on another commit has passed
/// since.
fn standing<'a>(analyses: &'a [Analysis], runs: &[Run]) -> Vec<&'a Analysis> {
    let mut newest: BTreeMap<(&str, &str), &Analysis> = BTreeMap::new();
    for analysis in analyses.iter().filter(|it| it.integration.is_none() && !is_waiting(it)) {
        let job = analysis.job_name.as_deref().unwrap_or(&analysis.job_id);
        newest.entry((&analysis.forge, job)).or_insert(analysis);
    }
    let is_over = |analysis: &Analysis| {
        runs.iter().any(|run| {
            run.conclusion == Some(Conclusion::Success)
                && run.sha.is_some()
                && run.sha != analysis.commit_sha
                && run.created_at.is_some_and(|at| at.as_millisecond() > analysis.created_at)
        })
    };
    // What the forge has a log of as well is told from that one.
    let is_known = |sent: &Analysis| {
        analyses.iter().any(|it| it.integration.is_some() && it.state == "done" && is_same_build(sent, it))
    };
    newest.into_values().filter(|analysis| !is_over(analysis) && !is_known(analysis)).collect()
}

pub(super) fn is_waiting(analysis: &Analysis) -> bool {
    matches!(analysis.state.as_str(), "queued" | "running")
}

/// As the comment shows it.
pub(crate) fn failed_job(analysis: &Analysis) -> FailedJob {
    let report = analysis.report.clone().and_then(|report| serde_json::from_value::<Report>(report).ok());
    FailedJob {
        analysis_id: analysis.id.clone(),
        name: analysis.job_name.clone().unwrap_or_else(|| analysis.job_id.clone()),
        url: analysis.job_url.clone(),
        attempt: u32::try_from(analysis.attempt).unwrap_or(1),
        report,
        missing: analysis.error.clone(),
        introduced_by: analysis
            .introduced_by
            .clone()
            .and_then(|told| serde_json::from_value::<IntroducedBy>(told).ok()),
        memory: None,
    }
}

fn shown(run: &Run) -> ShownRun {
    Passing::of_run(run).shown()
}

/// A run of another CI system, as far as its sender told.
fn sent_run(analysis: &Analysis) -> ShownRun {
    ShownRun {
        number: analysis.run_id.clone(),
        name: Some(analysis.forge.clone()),
        url: analysis.pipeline_url.clone(),
        attempt: 1,
    }
}

/// By creation, and by number where the forge does not tell: ids of runs grow.
fn order(run: &Run) -> (Option<Timestamp>, u64) {
    (run.created_at, run.id.parse().unwrap_or(0))
}
