//! A run as a whole: its causes over all its failed jobs; and runs that a person wants to be analysed.

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::{StatusCode, header};
use rca_flow::{
    FlowError,
    access::Scope,
    types::{AnalyseRequest, RunCause, RunReport},
};
use url::form_urlencoded;

use super::{Page, html, problem::Problem};
use crate::{
    Dashboard,
    error::PageError,
    fields::{Fields, Posted},
    frame::{Frame, Nav, outer_link},
    session::Viewer,
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/run", get(show))
        .route("/run/export", get(export))
        .route("/analyse", get(ask).post(analyse))
}

/// The address of a run's page.
pub(crate) fn address(integration: &str, repository: &str, run: &str) -> String {
    format!("/run?{}", query(integration, repository, run))
}

fn query(integration: &str, repository: &str, run: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("integration", integration)
        .append_pair("repository", repository)
        .append_pair("run", run)
        .finish()
}

#[derive(Template)]
#[template(path = "runs/show.html")]
struct RunPage {
    f: Frame,
    run: RunReport,
    query: String,
    /// All failures of the repository.
    failures: String,
}

impl RunPage {
    fn link(&self) -> Option<&str> {
        self.run.pipeline_url.as_deref().and_then(outer_link)
    }

    /// The cause in words, else why there is none.
    fn title(&self, cause: &RunCause) -> String {
        match (&cause.root_cause, &cause.missing) {
            (Some(text), _) => text.clone(),
            (None, Some(text)) => self.f.said(text).into_owned(),
            (None, None) => self.f.t("report_status.no_cause_found"),
        }
    }

    fn whose(&self, cause: &RunCause) -> Option<String> {
        let verdict = cause.introduced_by.as_ref().map(|told| told.verdict.as_str())?;
        (verdict != "unknown").then(|| self.f.word("whose", verdict))
    }
}

/// What the address names: integration, repository and run.
fn named(query: Option<String>) -> Result<[String; 3], PageError> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let all = ["integration", "repository", "run"].map(|name| fields.text(name));
    if all.iter().any(String::is_empty) { Err(PageError::not_found()) } else { Ok(all) }
}

async fn show(State(state): State<Dashboard>, viewer: Viewer, RawQuery(asked): RawQuery) -> Page {
    let [integration, repository, run] = named(asked)?;
    let report = state.flow.run_report(&viewer.caller(), &integration, &repository, &run).await?;
    let of = form_urlencoded::Serializer::new(String::new())
        .append_pair("repository", &report.repository)
        .finish();
    html(&RunPage {
        f: Frame::inside(&state, &viewer, Nav::Failures).await?,
        run: report,
        query: query(&integration, &repository, &run),
        failures: format!("/failures?{of}"),
    })
}

/// The run as Markdown, to be pasted elsewhere.
async fn export(
    State(state): State<Dashboard>,
    viewer: Viewer,
    RawQuery(asked): RawQuery,
) -> Result<Response, PageError> {
    let [integration, repository, run] = named(asked)?;
    let text = state.flow.run_report_markdown(&viewer.caller(), &integration, &repository, &run).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/markdown; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"run.md\""),
    ];
    Ok((headers, text).into_response())
}

/// An integration to choose.
struct Choice {
    id: String,
    name: String,
}

#[derive(Template)]
#[template(path = "runs/analyse.html")]
struct AnalysePage {
    f: Frame,
    choices: Vec<Choice>,
    integration: String,
    repository: String,
    run: String,
    attempt: String,
    job: String,
    post: bool,
    problem: Option<Problem>,
}

impl AnalysePage {
    async fn new(
        state: &Dashboard,
        viewer: &Viewer,
        fields: &Fields,
        problem: Option<&FlowError>,
    ) -> Result<Self, PageError> {
        let caller = viewer.require(Scope::Write)?;
        let f = Frame::inside(state, viewer, Nav::Failures).await?;
        let choices =
            state.flow.list_integrations(&caller).await?.into_iter().map(|it| Choice {
                name: format!("{} · {}", it.forge.display_name(), it.base_url),
                id: it.id,
            });
        Ok(Self {
            choices: choices.collect(),
            integration: fields.text("integration"),
            repository: fields.text("repository"),
            run: fields.text("run"),
            attempt: fields.text("attempt"),
            job: fields.text("job"),
            post: fields.is_on("post"),
            problem: problem.map(|error| Problem::new(&f, error)),
            f,
        })
    }

    fn is_chosen(&self, id: &str) -> bool {
        self.integration == id
    }
}

async fn ask(State(state): State<Dashboard>, viewer: Viewer, RawQuery(asked): RawQuery) -> Page {
    let fields = Fields::parse(asked.unwrap_or_default().as_bytes());
    html(&AnalysePage::new(&state, &viewer, &fields, None).await?)
}

async fn analyse(State(state): State<Dashboard>, posted: Posted) -> Result<Response, PageError> {
    let Posted { viewer, fields } = posted;
    let caller = viewer.require(Scope::Write)?;
    let done = match request(&fields) {
        Ok(request) => state.flow.analyse(&caller, request).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(begun) => {
            let address = match begun.analyses.as_slice() {
                [one] => format!("/analyses/{}", one.id),
                _ => address(&fields.text("integration"), &fields.text("repository"), &begun.run_id),
            };
            Ok(Redirect::to(&address).into_response())
        }
        Err(error) => {
            let status =
                StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let page = AnalysePage::new(&state, &viewer, &fields, Some(&error)).await?;
            Ok((status, html(&page)?).into_response())
        }
    }
}

fn request(fields: &Fields) -> Result<AnalyseRequest, FlowError> {
    let attempt = fields.get("attempt").map(str::parse).transpose();
    Ok(AnalyseRequest {
        integration_id: fields.text("integration"),
        repository: fields.text("repository"),
        run_id: fields.text("run"),
        attempt: attempt.map_err(|_| FlowError::invalid_field("attempt", "is no whole number"))?,
        job_id: fields.get("job").map(str::to_owned),
        post: fields.is_on("post"),
    })
}
