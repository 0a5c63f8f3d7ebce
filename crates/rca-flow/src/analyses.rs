//! Analyses and deliveries: asked for, listed, read.

use forge_core::{ErrorKind, ForgeClientExt, model::RunRef};
use rca_store::{
    Analysis, AnalysisFilter as StoreFilter, Delivery, DeliveryFilter, DeliveryStatus, Feedback, Repository,
    Write,
};
use serde_json::json;

use crate::{
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    integrations::audit,
    jobs::{Context, JobError, Origin, plan_run},
    monitor::repo_ref,
    types::{
        AnalyseRequest, Analysed, AnalysedJob, AnalysisFilter, AnalysisView, DeliveryView, FeedbackView,
        IntroducedBy, List, page, time,
    },
};

/// Which deliveries a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct DeliveryQuery {
    /// Only of this integration.
    pub integration: Option<String>,
    /// Only of this repository, by its full name.
    pub repository: Option<String>,
    /// `pending`, `done`, `ignored` or `dead`.
    #[cfg_attr(feature = "openapi", param(inline, value_type = Option<crate::types::words::DeliveryStateWord>))]
    pub status: Option<String>,
    /// At most so many [100, max 500].
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
    /// Where to read on.
    #[cfg_attr(feature = "openapi", param(max_length = 500))]
    pub cursor: Option<String>,
}

impl Flow {
    /// Analyses the failed jobs of a run, or one of them, now. Nothing is posted unless it is asked for.
    ///
    /// # Errors
    /// `not_found`, `run_not_finished`, `run_not_failed`, and what the forge refuses.
    pub async fn analyse(&self, caller: &Caller, request: AnalyseRequest) -> Result<Analysed> {
        let integration = self.integration(&caller.workspace, &request.integration_id).await?;
        let repository = self.find_repository(caller, &integration.id, &request.repository).await?;
        let client = self.client(&integration).await?;
        let repo = repo_ref(&repository);
        let wanted = RunRef::new(request.run_id.clone()).with_attempt(request.attempt);
        let run = client.require_ci()?.get_run(&repo, &wanted).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => FlowError::not_found("run"),
            _ => error.into(),
        })?;
        let context = Context { integration, repository, client };
        let origin = Origin { source: "manual", post: request.post, only_job: request.job_id.as_deref() };
        let plan = plan_run(self, &context, &run, origin).await.map_err(|error| match error {
            JobError::Forge(error) => error.into(),
            JobError::Store(message) => FlowError::new(FlowErrorKind::Unavailable, "unavailable", message),
            JobError::Dead(message) => FlowError::new(FlowErrorKind::Conflict, "conflict", message),
        })?;
        if plan.analyses.is_empty() {
            let (code, message) = if run.status == forge_core::model::Status::Completed {
                ("run_not_failed", "the run has no failed job to analyse")
            } else {
                ("run_not_finished", "the run has no failed job yet")
            };
            return Err(FlowError::new(FlowErrorKind::Unprocessable, code, message));
        }
        self.store().write(plan.writes).await?;
        let analyses = plan
            .analyses
            .into_iter()
            .map(|(analysis, _)| AnalysedJob {
                location: format!("/v1/analyses/{}", analysis.id),
                id: analysis.id,
                job_id: analysis.job_id,
            })
            .collect();
        Ok(Analysed { run_id: run.id, analyses })
    }

    pub(crate) async fn find_repository(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
    ) -> Result<Repository> {
        let by_id = self.store().get_repository(&caller.workspace, name).await?;
        if let Some(found) = by_id.filter(|found| found.integration == integration) {
            return Ok(found);
        }
        let by_name = self.store().find_repository_by_name(&caller.workspace, integration, name).await?;
        by_name.ok_or_else(|| FlowError::not_found("repository"))
    }

    /// One analysis with its report.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get_analysis(&self, caller: &Caller, id: &str) -> Result<AnalysisView> {
        let analysis = self.store().get_analysis(&caller.workspace, id).await?;
        let analysis = analysis.ok_or_else(|| FlowError::not_found("analysis"))?;
        let mut feedback = self.store().list_feedback(&caller.workspace, &[id.to_owned()]).await?;
        Ok(view(analysis, feedback.remove(id).unwrap_or_default()))
    }

    /// Analyses, the newest first. Without steps and excerpts: those are in the single one.
    ///
    /// # Errors
    /// `invalid_field` for a time that is none.
    pub async fn list_analyses(
        &self,
        caller: &Caller,
        filter: &AnalysisFilter,
    ) -> Result<List<AnalysisView>> {
        self.find_analyses(caller, filter, &[], false).await
    }

    /// As [`Flow::list_analyses`], of these repositories (all where there are none), and where `is_counted` only what
    /// statistics count: without the back-filled.
    ///
    /// # Errors
    /// As [`Flow::list_analyses`].
    pub async fn find_analyses(
        &self,
        caller: &Caller,
        filter: &AnalysisFilter,
        repositories: &[String],
        is_counted: bool,
    ) -> Result<List<AnalysisView>> {
        one_of("severity", filter.severity.as_deref(), &["low", "medium", "high"])?;
        one_of("status", filter.status.as_deref(), &["queued", "running", "done", "failed", "no_log"])?;
        let wanted = StoreFilter {
            since: millisecond("since", filter.since.as_deref())?,
            until: millisecond("until", filter.until.as_deref())?,
            severity: filter.severity.clone(),
            category: filter.category.clone(),
            forge: filter.forge.clone(),
            repository: filter.repository.clone(),
            branch: filter.branch.clone(),
            cluster: filter.cluster.clone(),
            state: filter.status.clone(),
            repositories: repositories.to_vec(),
            is_counted,
            ..StoreFilter::default()
        };
        let page = page(filter.limit, filter.cursor.as_deref())?;
        let page = self.store().list_analyses(&caller.workspace, &wanted, &page).await?;
        let ids: Vec<String> = page.items.iter().map(|analysis| analysis.id.clone()).collect();
        let mut feedback = self.store().list_feedback(&caller.workspace, &ids).await?;
        let items = page
            .items
            .into_iter()
            .map(|analysis| {
                let feedback = feedback.remove(&analysis.id).unwrap_or_default();
                let mut view = view(analysis, feedback);
                if let Some(report) = &mut view.report {
                    report.steps.clear();
                    for evidence in &mut report.evidence {
                        evidence.excerpt.clear();
                    }
                }
                view
            })
            .collect();
        Ok(List { items, next_cursor: page.next_cursor })
    }

    /// Deliveries, the newest first.
    ///
    /// # Errors
    /// `invalid_field` for an unknown status.
    pub async fn list_deliveries(
        &self,
        caller: &Caller,
        query: &DeliveryQuery,
    ) -> Result<List<DeliveryView>> {
        let status = match query.status.as_deref() {
            Some(word) => Some(DeliveryStatus::from_word(word).ok_or_else(|| {
                FlowError::invalid_field("status", "is none of pending, done, ignored, dead")
            })?),
            None => None,
        };
        let filter = DeliveryFilter {
            integration: query.integration.clone(),
            repository: query.repository.clone(),
            status,
            ..DeliveryFilter::default()
        };
        let page = page(query.limit, query.cursor.as_deref())?;
        let page = self.store().list_deliveries(&caller.workspace, &filter, &page).await?;
        Ok(List { items: page.items.into_iter().map(delivery_view).collect(), next_cursor: page.next_cursor })
    }

    /// One delivery.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get_delivery(&self, caller: &Caller, id: &str) -> Result<DeliveryView> {
        let delivery = self.store().get_delivery(&caller.workspace, id).await?;
        delivery.map(delivery_view).ok_or_else(|| FlowError::not_found("delivery"))
    }

    /// Works on a delivery again.
    ///
    /// # Errors
    /// `not_found`, `conflict` where there is nothing to do again.
    pub async fn replay_delivery(&self, caller: &Caller, id: &str) -> Result<DeliveryView> {
        self.store().replay_delivery(&caller.workspace, id, &caller.name).await?;
        self.get_delivery(caller, id).await
    }

    /// Remembers whether a person finds the report right.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn set_verdict(
        &self,
        caller: &Caller,
        id: &str,
        correct: bool,
        note: Option<&str>,
    ) -> Result<AnalysisView> {
        let analysis = self.store().get_analysis(&caller.workspace, id).await?;
        let mut analysis = analysis.ok_or_else(|| FlowError::not_found("analysis"))?;
        if note.is_some_and(|note| note.chars().count() > 2000) {
            return Err(FlowError::invalid_field("note", "is longer than 2000 characters"));
        }
        if let Some(data) = analysis.data.as_object_mut() {
            let verdict = json!({ "correct": correct, "note": note, "by": caller.name });
            data.insert("verdict".to_owned(), verdict);
        }
        let audit = audit(caller, "analysis.verdict", id, json!({ "correct": correct }));
        self.store().write(vec![Write::UpsertAnalysis(Box::new(analysis)), audit]).await?;
        self.get_analysis(caller, id).await
    }
}

pub(crate) fn view(analysis: Analysis, feedback: Vec<Feedback>) -> AnalysisView {
    let introduced_by = analysis.introduced_by.and_then(|known| serde_json::from_value(known).ok());
    let is_ingested = analysis.source == "ingest";
    AnalysisView {
        id: analysis.id,
        integration_id: analysis.integration,
        forge: (!is_ingested).then(|| analysis.forge.clone()),
        provider: is_ingested.then_some(analysis.forge),
        repository: analysis.repository,
        root_run_id: analysis.root_run_id.unwrap_or_else(|| analysis.run_id.clone()),
        run_id: analysis.run_id,
        attempt: u32::try_from(analysis.attempt).unwrap_or(1),
        job_id: analysis.job_id,
        job_name: analysis.job_name,
        branch: analysis.branch,
        commit_sha: analysis.commit_sha,
        pr: analysis.pr,
        pipeline_url: analysis.pipeline_url,
        job_url: analysis.job_url,
        source: analysis.source,
        state: analysis.state,
        created_at: time(analysis.created_at),
        finished_at: analysis.finished_at.map(time),
        report: analysis.report.and_then(|report| serde_json::from_value(report).ok()),
        cluster_id: analysis.cluster_id,
        introduced_by: introduced_by.unwrap_or_else(|| IntroducedBy {
            verdict: "unknown".to_owned(),
            reason: "it has not been compared with other runs".to_owned(),
        }),
        feedback: feedback
            .into_iter()
            .map(|record| FeedbackView {
                target: record.target,
                state: record.state,
                url: record.url,
                reason: record.reason,
            })
            .collect(),
        reused_from: analysis.reused_from,
        error: analysis.error,
    }
}

fn delivery_view(delivery: Delivery) -> DeliveryView {
    DeliveryView {
        id: delivery.id,
        integration_id: delivery.integration,
        repository: delivery.repository,
        event: delivery.event,
        action: delivery.action,
        received_at: time(delivery.received_at),
        status: delivery.status.as_str().to_owned(),
        reason: delivery.reason,
        analyses: delivery.analyses,
    }
}

pub(crate) fn one_of(field: &str, given: Option<&str>, words: &[&str]) -> Result<()> {
    match given {
        Some(word) if !words.contains(&word) => {
            Err(FlowError::invalid_field(field, format!("is none of {}", words.join(", "))))
        }
        _ => Ok(()),
    }
}

pub(crate) fn millisecond(field: &str, text: Option<&str>) -> Result<Option<i64>> {
    text.map(|text| {
        text.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|_| FlowError::invalid_field(field, "is no RFC 3339 time, e.g. 2026-01-31T08:00:00Z"))
    })
    .transpose()
}
