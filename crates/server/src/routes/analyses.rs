use axum::{
    Json,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use rca_flow::types::{
    AnalyseRequest, Analysed, AnalysisFilter, AnalysisView, IngestAnswer, IngestRequest, List, Rerun,
    RunReport,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    body::{BodyError, JSON_LIMIT, LOG_LIMIT},
    error::{ApiError, Errors},
    input::{JsonBody, QueryOf},
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(analyse))
        .routes(routes!(analyse_alias))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(verdict))
        .routes(routes!(rerun))
        .routes(routes!(run_report))
}

/// A run at the forge, or a log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body; the handler chooses by hand to name wrong fields")]
enum AnalyseBody {
    Run(AnalyseRequest),
    Log(IngestRequest),
}

/// What was begun: the analyses of a run, or that of a log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the answer")]
enum Begun {
    Run(Analysed),
    Log(IngestAnswer),
}

/// Analyse a run's failed jobs, or a log. Nothing is posted at the forge unless `post` is true.
#[utoipa::path(post, path = "/v1/analyses", tag = "analyses", request_body = AnalyseBody,
    responses((status = 202, body = Begun), (status = 200, body = IngestAnswer), Errors))]
async fn analyse(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let caller = caller.require(Scope::Write)?;
    let (held, body) = super::ingest::read_json(&state, request).await?;
    // Chosen by hand, so that a wrong field is named instead of "no variant matched".
    if body.get("log").is_some() {
        let request: IngestRequest = typed(body)?;
        if request.log.len() > LOG_LIMIT {
            return Err(BodyError::TooLarge.into());
        }
        state.quotas.log(caller.token_id(), request.log.len())?;
        let answer = state.flow.ingest(&caller.as_flow(), request, None).await?;
        return Ok((super::ingest::status_of(&answer), Json(answer)).into_response());
    }
    if held.bytes.len() > JSON_LIMIT {
        return Err(BodyError::TooLarge.into());
    }
    let request: AnalyseRequest = typed(body)?;
    let answer = state.flow.analyse(&caller.as_flow(), request).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// The same as `/v1/analyses`.
#[utoipa::path(post, path = "/api/analyze", tag = "analyses", request_body = AnalyseBody,
    responses((status = 202, body = Begun), (status = 200, body = IngestAnswer), Errors))]
async fn analyse_alias(
    state: State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    analyse(state, caller, request).await
}

fn typed<T: serde::de::DeserializeOwned>(body: serde_json::Value) -> Result<T, ApiError> {
    serde_json::from_value(body).map_err(|error| ApiError::invalid("invalid_field", error.to_string()))
}

/// Analyses, the newest first; without steps and excerpts.
#[utoipa::path(get, path = "/v1/analyses", tag = "analyses", params(AnalysisFilter),
    responses((status = 200, body = List<AnalysisView>), Errors))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(filter): QueryOf<AnalysisFilter>,
) -> Result<Json<List<AnalysisView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.list_analyses(&caller.as_flow(), &filter).await?))
}

/// One analysis as JSON, or its report as `text/markdown`, `application/sarif+json` or `application/xml` (JUnit).
#[utoipa::path(get, path = "/v1/analyses/{id}", tag = "analyses", params(("id" = String, Path)),
    responses((status = 200, body = AnalysisView), Errors))]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = caller.require(Scope::Read)?;
    let view = state.flow.get_analysis(&caller.as_flow(), &id).await?;
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let Some(form) = Form::wanted(accept) else { return Ok(Json(view).into_response()) };
    let report = view.report.ok_or_else(|| {
        ApiError::new(StatusCode::CONFLICT, "no_report", "the analysis has no report yet: its state says why")
    })?;
    let (kind, text) = match form {
        Form::Markdown => ("text/markdown; charset=utf-8", report.to_markdown()),
        Form::Sarif => ("application/sarif+json", report.to_sarif()),
        Form::Junit => ("application/xml; charset=utf-8", report.to_junit()),
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// A report other than as JSON.
enum Form {
    Markdown,
    Sarif,
    Junit,
}

impl Form {
    /// The first form in an Accept header that is not JSON; `None` is JSON.
    fn wanted(accept: &str) -> Option<Self> {
        accept.split(',').find_map(|kind| match kind.split(';').next().unwrap_or_default().trim() {
            "text/markdown" => Some(Self::Markdown),
            "application/sarif+json" => Some(Self::Sarif),
            "application/xml" | "text/xml" => Some(Self::Junit),
            _ => None,
        })
    }
}

/// What a person says of a report.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Verdict {
    correct: bool,
    /// At most 2000 characters.
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// Say whether a report is right.
#[utoipa::path(post, path = "/v1/analyses/{id}/verdict", tag = "analyses", params(("id" = String, Path)),
    request_body = Verdict, responses((status = 200, body = AnalysisView), Errors))]
async fn verdict(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<Verdict>,
) -> Result<Json<AnalysisView>, ApiError> {
    let caller = caller.require(Scope::Write)?;
    let view =
        state.flow.set_verdict(&caller.as_flow(), &id, request.correct, request.note.as_deref()).await?;
    Ok(Json(view))
}

/// Read the job's log at the forge and analyse it again; the answer says what is different. Nothing is posted.
#[utoipa::path(post, path = "/v1/analyses/{id}/rerun", tag = "analyses", params(("id" = String, Path)),
    responses((status = 200, body = Rerun), Errors))]
async fn rerun(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Rerun>, ApiError> {
    let caller = caller.require(Scope::Write)?;
    Ok(Json(state.flow.rerun(&caller.as_flow(), &id).await?))
}

/// Which run it is.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RunQuery {
    /// The repository: our id or its full name.
    repository: String,
}

/// What fails in a run over all its jobs, as JSON or as `text/markdown`: jobs of one cause together.
#[utoipa::path(get, path = "/v1/integrations/{id}/runs/{run_id}", tag = "analyses",
    params(("id" = String, Path), ("run_id" = String, Path), RunQuery),
    responses((status = 200, body = RunReport), Errors))]
async fn run_report(
    State(state): State<AppState>,
    caller: Caller,
    Path((id, run)): Path<(String, String)>,
    QueryOf(query): QueryOf<RunQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = caller.require(Scope::Read)?.as_flow();
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if matches!(Form::wanted(accept), Some(Form::Markdown)) {
        let text = state.flow.run_report_markdown(&caller, &id, &query.repository, &run).await?;
        return Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response());
    }
    let report = state.flow.run_report(&caller, &id, &query.repository, &run).await?;
    Ok(Json(report).into_response())
}
