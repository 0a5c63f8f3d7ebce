//! One view of a run over all its failed jobs.

use std::collections::BTreeMap;

use rca_store::{Analysis, AnalysisFilter, PageRequest};

use crate::{
    error::{FlowError, Result},
    flow::{Caller, Flow},
    jobs::failed_job,
    render::{self, FailedJob, Markup, ShownRun, Story},
    types::{RunCause, RunJob, RunReport},
};

/// Analyses of one run that are looked at.
const MOST: usize = 2000;
/// Characters of the Markdown form.
const CHARS: usize = 100_000;

impl Flow {
    /// What fails in a run, its child runs included: jobs of one cause together, the first cause first. Of a job that
    /// was run again the last attempt that failed counts.
    ///
    /// # Errors
    /// `not_found`, also for a run of which nothing was analysed.
    pub async fn run_report(
        &self,
        caller: &Caller,
        integration: &str,
        repository: &str,
        run: &str,
    ) -> Result<RunReport> {
        let analyses = self.of_run(caller, integration, repository, run).await?;
        Ok(report(run, &analyses))
    }

    /// As [`Flow::run_report`], as Markdown.
    ///
    /// # Errors
    /// As [`Flow::run_report`].
    pub async fn run_report_markdown(
        &self,
        caller: &Caller,
        integration: &str,
        repository: &str,
        run: &str,
    ) -> Result<String> {
        let analyses = self.of_run(caller, integration, repository, run).await?;
        let (now, _) = latest(&analyses);
        let ended = now.iter().filter(|analysis| !is_open(analysis));
        let jobs: Vec<FailedJob> = ended.map(|analysis| failed_job(analysis)).collect();
        let pending = now.len() - jobs.len();
        let shown = ShownRun {
            number: run.to_owned(),
            name: None,
            url: analyses.first().and_then(|analysis| analysis.pipeline_url.clone()),
            attempt: attempt(&analyses),
        };
        let story = Story::Red { runs: vec![shown], jobs, pending, fixed: 0 };
        let pages = self.config().public_url.as_str().trim_end_matches('/');
        let pages = self.config().has_pages.then_some(pages);
        Ok(render::comment(&story, "", pages, CHARS, Markup::NoHtml).trim_start().to_owned())
    }

    async fn of_run(
        &self,
        caller: &Caller,
        integration: &str,
        repository: &str,
        run: &str,
    ) -> Result<Vec<Analysis>> {
        let integration = self.integration(&caller.workspace, integration).await?;
        let repository = self.find_repository(caller, &integration.id, repository).await?;
        let filter = AnalysisFilter {
            integration: Some(integration.id),
            repository: Some(repository.id),
            run_id: Some(run.to_owned()),
            ..AnalysisFilter::default()
        };
        let mut all = Vec::new();
        let mut page = PageRequest::first(500);
        loop {
            let found = self.store().list_analyses(&caller.workspace, &filter, &page).await?;
            all.extend(found.items);
            match found.next_cursor {
                Some(cursor) if all.len() < MOST => page.cursor = Some(cursor),
                _ => break,
            }
        }
        if all.is_empty() {
            return Err(FlowError::not_found("run with an analysis"));
        }
        // As the forge listed the jobs.
        all.reverse();
        Ok(all)
    }
}

fn report(run: &str, analyses: &[Analysis]) -> RunReport {
    let (now, earlier) = latest(analyses);
    let by_id: BTreeMap<&str, &Analysis> =
        now.iter().map(|analysis| (analysis.id.as_str(), *analysis)).collect();
    let ended = now.iter().filter(|analysis| !is_open(analysis));
    let jobs: Vec<FailedJob> = ended.map(|analysis| failed_job(analysis)).collect();
    let causes: Vec<RunCause> =
        render::groups(&jobs).iter().filter_map(|group| cause(group, &by_id)).collect();
    let first = analyses.first();
    RunReport {
        integration_id: first.and_then(|first| first.integration.clone()).unwrap_or_default(),
        repository: first.map(|first| first.repository.clone()).unwrap_or_default(),
        run_id: run.to_owned(),
        attempt: attempt(analyses),
        branch: first.and_then(|first| first.branch.clone()),
        commit_sha: first.and_then(|first| first.commit_sha.clone()),
        pr: first.and_then(|first| first.pr.clone()),
        pipeline_url: first.and_then(|first| first.pipeline_url.clone()),
        failed_jobs: now.len(),
        pending: now.len() - jobs.len(),
        causes,
        earlier_attempts: earlier.into_iter().map(run_job).collect(),
    }
}

fn cause(group: &[&FailedJob], by_id: &BTreeMap<&str, &Analysis>) -> Option<RunCause> {
    let first = by_id.get(group.first()?.analysis_id.as_str())?;
    let report = group.first()?.report.as_ref();
    let text = report.map(|report| report.root_cause.clone()).filter(|cause| !cause.is_empty());
    Some(RunCause {
        root_cause: text,
        category: first.category.clone(),
        severity: first.severity.clone(),
        confidence: report.map(|report| report.confidence),
        missing: first.error.clone(),
        cluster_id: first.cluster_id.clone(),
        introduced_by: group.first()?.introduced_by.clone(),
        consequences: group
            .iter()
            .filter_map(|job| job.report.as_ref())
            .map(|report| report.consequences.len())
            .sum(),
        count: group.len(),
        jobs: group
            .iter()
            .filter_map(|job| by_id.get(job.analysis_id.as_str()))
            .map(|analysis| run_job(analysis))
            .collect(),
    })
}

fn run_job(analysis: &Analysis) -> RunJob {
    RunJob {
        analysis_id: analysis.id.clone(),
        run_id: analysis.run_id.clone(),
        job_id: analysis.job_id.clone(),
        job_name: analysis.job_name.clone(),
        job_url: analysis.job_url.clone(),
        attempt: u32::try_from(analysis.attempt).unwrap_or(1),
        state: analysis.state.clone(),
    }
}

/// Of each job the last attempt, and what came before.
fn latest(analyses: &[Analysis]) -> (Vec<&Analysis>, Vec<&Analysis>) {
    let key = |analysis: &Analysis| {
        (analysis.run_id.clone(), analysis.job_name.clone().unwrap_or_else(|| analysis.job_id.clone()))
    };
    let mut last: BTreeMap<(String, String), i64> = BTreeMap::new();
    for analysis in analyses {
        let attempt = last.entry(key(analysis)).or_default();
        *attempt = (*attempt).max(analysis.attempt);
    }
    analyses.iter().partition(|analysis| last.get(&key(analysis)) == Some(&analysis.attempt))
}

fn attempt(analyses: &[Analysis]) -> u32 {
    let last = analyses.iter().map(|analysis| analysis.attempt).max();
    last.and_then(|last| u32::try_from(last).ok()).unwrap_or(1)
}

fn is_open(analysis: &Analysis) -> bool {
    matches!(analysis.state.as_str(), "queued" | "running")
}
