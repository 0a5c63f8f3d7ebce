use std::{io::Read as _, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use rca_flow::{
    snippets::{self, Snippet},
    types::{AnalysisView, IngestAnswer, IngestRequest, List},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    body::{HeldBody, LOG_LIMIT},
    error::{ApiError, Errors},
    input::QueryOf,
    middleware::auth::{Caller, Scope},
};

/// A JSON body around a log of the largest size, every byte of it escaped.
const JSON_LOG_LIMIT: usize = 2 * LOG_LIMIT + 64 * 1024;
/// A form around a log of the largest size, every byte of it escaped.
const FORM_LOG_LIMIT: usize = 3 * LOG_LIMIT + 64 * 1024;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(log))
        .routes(routes!(log_alias))
        .routes(routes!(raw))
        .routes(routes!(jenkins))
        .routes(routes!(circleci))
        .routes(routes!(teamcity))
        .routes(routes!(drone))
        .routes(routes!(snippets))
}

/// The analysis where it was waited for; else what was known already, or why there is nothing to do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the answer")]
enum Ingested {
    Report(Box<AnalysisView>),
    Known(IngestAnswer),
}

/// Whether to wait for the report.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WaitQuery {
    /// Seconds to wait for the report, 60 at most.
    #[serde(default)]
    #[param(maximum = 60)]
    wait: u64,
}

/// Send the log of a job.
#[utoipa::path(post, path = "/v1/ingest/log", tag = "ingest", params(WaitQuery), request_body = IngestRequest,
    responses((status = 202, body = IngestAnswer), (status = 200, body = Ingested), Errors))]
async fn log(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<WaitQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    json_log::<IngestRequest>(&state, caller, query.wait, request).await
}

/// The same as `/v1/ingest/log`.
#[utoipa::path(post, path = "/api/ingest/log", tag = "ingest", params(WaitQuery), request_body = IngestRequest,
    responses((status = 202, body = IngestAnswer), (status = 200, body = Ingested), Errors))]
async fn log_alias(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<WaitQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    json_log::<IngestRequest>(&state, caller, query.wait, request).await
}

/// The fields of a raw log, as query parameters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RawQuery {
    #[param(max_length = 500)]
    provider: Option<String>,
    #[param(max_length = 500)]
    project: Option<String>,
    #[param(max_length = 500)]
    status: Option<String>,
    #[param(max_length = 500)]
    pipeline_id: Option<String>,
    #[param(max_length = 500)]
    job_id: Option<String>,
    #[param(max_length = 500)]
    job_name: Option<String>,
    #[param(max_length = 500)]
    branch: Option<String>,
    #[param(max_length = 500)]
    commit_sha: Option<String>,
    #[param(max_length = 500)]
    pipeline_url: Option<String>,
    #[param(max_length = 500)]
    build_number: Option<String>,
    /// Seconds to wait for the report, 60 at most.
    #[serde(default)]
    #[param(maximum = 60)]
    wait: u64,
}

/// Send the log itself as the body, optionally gzip or zstd.
#[utoipa::path(post, path = "/v1/ingest/raw", tag = "ingest", params(RawQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = IngestAnswer), (status = 200, body = Ingested), Errors))]
async fn raw(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<RawQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let caller = caller.require(Scope::Ingest)?;
    let (parts, body) = request.into_parts();
    let body = state.budget.read(body, LOG_LIMIT).await?;
    let log = unpack(&body.bytes)?;
    let request = IngestRequest {
        provider: query.provider.unwrap_or_else(|| "generic".to_owned()),
        project: query.project.unwrap_or_else(|| "default".to_owned()),
        status: query.status.unwrap_or_else(|| "failed".to_owned()),
        // Lines and their numbers survive; bytes that are no text cannot be cited anyway.
        log: String::from_utf8_lossy(&log).into_owned(),
        pipeline_id: query.pipeline_id,
        job_id: query.job_id,
        job_name: query.job_name,
        branch: query.branch,
        commit_sha: query.commit_sha,
        pipeline_url: query.pipeline_url,
        build_number: query.build_number,
    };
    ingest(&state, &caller, request, idempotency_key(&parts.headers)?, query.wait).await
}

/// A build of Jenkins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JenkinsBuild {
    #[schema(min_length = 1, max_length = 500)]
    job: String,
    build_number: Text,
    #[schema(min_length = 1, max_length = 500)]
    status: String,
    #[schema(max_length = 10485760)]
    log: String,
    #[schema(max_length = 500)]
    project: Option<String>,
    #[schema(max_length = 500)]
    build_url: Option<String>,
    #[schema(max_length = 500)]
    branch: Option<String>,
    #[schema(max_length = 500)]
    commit_sha: Option<String>,
}

/// A job of CircleCI.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CircleCiJob {
    #[schema(min_length = 1, max_length = 500)]
    project_slug: String,
    #[schema(max_length = 500)]
    workflow_id: String,
    #[schema(max_length = 500)]
    job_name: String,
    job_number: Text,
    #[schema(min_length = 1, max_length = 500)]
    status: String,
    #[schema(max_length = 10485760)]
    log: String,
    #[schema(max_length = 500)]
    branch: Option<String>,
    #[schema(max_length = 500)]
    commit_sha: Option<String>,
    #[schema(max_length = 500)]
    pipeline_url: Option<String>,
    #[schema(max_length = 500)]
    workflow_name: Option<String>,
}

/// A build of TeamCity.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TeamCityBuild {
    #[schema(min_length = 1, max_length = 500)]
    build_type_id: String,
    build_id: Text,
    build_number: Text,
    #[schema(min_length = 1, max_length = 500)]
    status: String,
    #[schema(max_length = 10485760)]
    log: String,
    #[schema(max_length = 500)]
    branch: Option<String>,
    #[schema(max_length = 500)]
    commit_sha: Option<String>,
    #[schema(max_length = 500)]
    build_url: Option<String>,
    #[schema(max_length = 500)]
    project_name: Option<String>,
}

/// A build of Drone or Woodpecker.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DroneBuild {
    #[schema(min_length = 1, max_length = 500)]
    repo: String,
    build_number: Text,
    #[schema(min_length = 1, max_length = 500)]
    status: String,
    #[schema(max_length = 10485760)]
    log: String,
    pipeline: Option<Text>,
    #[schema(max_length = 500)]
    step: Option<String>,
    #[schema(max_length = 500)]
    branch: Option<String>,
    #[schema(max_length = 500)]
    commit_sha: Option<String>,
    #[schema(max_length = 500)]
    build_url: Option<String>,
}

/// A number or text: shells and templates send either.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Text {
    Number(u64),
    Text(String),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Number(number) => number.to_string(),
            Text::Text(text) => text,
        }
    }
}

impl From<JenkinsBuild> for IngestRequest {
    fn from(build: JenkinsBuild) -> Self {
        let number = String::from(build.build_number);
        Self {
            provider: "jenkins".to_owned(),
            project: build.project.unwrap_or_else(|| build.job.clone()),
            status: build.status,
            log: build.log,
            pipeline_id: Some(number.clone()),
            job_id: None,
            job_name: Some(build.job),
            branch: build.branch,
            commit_sha: build.commit_sha,
            pipeline_url: build.build_url,
            build_number: Some(number),
        }
    }
}

impl From<CircleCiJob> for IngestRequest {
    fn from(job: CircleCiJob) -> Self {
        let number = String::from(job.job_number);
        Self {
            provider: "circleci".to_owned(),
            project: job.project_slug,
            status: job.status,
            log: job.log,
            pipeline_id: Some(job.workflow_id),
            job_id: Some(number.clone()),
            job_name: Some(match job.workflow_name {
                Some(workflow) => format!("{workflow} / {}", job.job_name),
                None => job.job_name,
            }),
            branch: job.branch,
            commit_sha: job.commit_sha,
            pipeline_url: job.pipeline_url,
            build_number: Some(number),
        }
    }
}

impl From<TeamCityBuild> for IngestRequest {
    fn from(build: TeamCityBuild) -> Self {
        Self {
            provider: "teamcity".to_owned(),
            project: build.project_name.unwrap_or_else(|| build.build_type_id.clone()),
            status: build.status,
            log: build.log,
            pipeline_id: Some(build.build_id.into()),
            job_id: None,
            job_name: Some(build.build_type_id),
            branch: build.branch,
            commit_sha: build.commit_sha,
            pipeline_url: build.build_url,
            build_number: Some(build.build_number.into()),
        }
    }
}

impl From<DroneBuild> for IngestRequest {
    fn from(build: DroneBuild) -> Self {
        let number = String::from(build.build_number);
        let job_name = match (build.pipeline.map(String::from), build.step) {
            (Some(pipeline), Some(step)) => Some(format!("{pipeline} / {step}")),
            (pipeline, step) => pipeline.or(step),
        };
        Self {
            provider: "drone".to_owned(),
            project: build.repo,
            status: build.status,
            log: build.log,
            pipeline_id: Some(number.clone()),
            job_id: None,
            job_name,
            branch: build.branch,
            commit_sha: build.commit_sha,
            pipeline_url: build.build_url,
            build_number: Some(number),
        }
    }
}

/// Send a build of Jenkins in its own words.
#[utoipa::path(post, path = "/v1/ingest/jenkins", tag = "ingest", params(WaitQuery), request_body = JenkinsBuild,
    responses((status = 202, body = IngestAnswer), (status = 200, body = Ingested), Errors))]
async fn jenkins(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<WaitQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    json_log::<JenkinsBuild>(&state, caller, query.wait, request).await
}

/// Send a job of CircleCI in its own words.
#[utoipa::path(post, path = "/v1/ingest/circleci", tag = "ingest", params(WaitQuery), request_body = CircleCiJob,
    responses((status = 202, body = IngestAnswer), (status = 200, body = Ingested), Errors))]
async fn circleci(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<WaitQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    json_log::<CircleCiJob>(&state, caller, query.wait, request).await
}

/// Send a build of TeamCity in its own words.
#[utoipa::path(post, path = "/v1/ingest/teamcity", tag = "ingest", params(WaitQuery), request_body = TeamCityBuild,
    responses((status = 202, body = IngestAnswer), (status = 200, body = Ingested), Errors))]
async fn teamcity(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<WaitQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    json_log::<TeamCityBuild>(&state, caller, query.wait, request).await
}

/// Send a build of Drone or Woodpecker in its own words.
#[utoipa::path(post, path = "/v1/ingest/drone", tag = "ingest", params(WaitQuery), request_body = DroneBuild,
    responses((status = 202, body = IngestAnswer), (status = 200, body = Ingested), Errors))]
async fn drone(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<WaitQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    json_log::<DroneBuild>(&state, caller, query.wait, request).await
}

/// A JSON body that may hold a log, and the memory that it takes.
pub(super) async fn read_json(state: &AppState, request: Request) -> Result<(HeldBody, Value), ApiError> {
    let (parts, body) = request.into_parts();
    if media_type(&parts.headers) != "application/json" {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the body as JSON with Content-Type: application/json",
        ));
    }
    let held = state.budget.read(body, JSON_LOG_LIMIT).await?;
    let value = parse(&held.bytes)?;
    crate::input::check_text(&value)?;
    Ok((held, value))
}

fn media_type(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    crate::input::refuse_list(body)?;
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ApiError::invalid("invalid_field", error.to_string()),
        _ => ApiError::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string()),
    })
}

async fn json_log<T: DeserializeOwned + Into<IngestRequest>>(
    state: &AppState,
    caller: Caller,
    wait: u64,
    request: Request,
) -> Result<Response, ApiError> {
    let caller = caller.require(Scope::Ingest)?;
    let (parts, body) = request.into_parts();
    let request: T = match media_type(&parts.headers).as_str() {
        "application/json" => {
            let body = state.budget.read(body, JSON_LOG_LIMIT).await?;
            parse(&body.bytes)?
        }
        "application/x-www-form-urlencoded" => {
            let body = state.budget.read(body, FORM_LOG_LIMIT).await?;
            form(&body.bytes)?
        }
        _ => {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send JSON with Content-Type: application/json, a form as curl --data-urlencode does, or the bare log to /v1/ingest/raw",
            ));
        }
    };
    let request: IngestRequest = request.into();
    if request.log.len() > LOG_LIMIT {
        return Err(crate::body::BodyError::TooLarge.into());
    }
    ingest(state, &caller, request, idempotency_key(&parts.headers)?, wait).await
}

/// The fields of a form, which curl makes without help. A field that is empty is a variable that was not set.
fn form<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut fields = serde_json::Map::new();
    for (name, value) in url::form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty()) {
        if fields.insert(name.clone().into_owned(), value.into_owned().into()).is_some() {
            return Err(ApiError::invalid("invalid_field", format!("the form has more than one {name:?}")));
        }
    }
    serde_json::from_value(fields.into())
        .map_err(|error| ApiError::invalid("invalid_field", error.to_string()))
}

async fn ingest(
    state: &AppState,
    caller: &Caller,
    request: IngestRequest,
    key: Option<String>,
    wait: u64,
) -> Result<Response, ApiError> {
    if wait > 60 {
        return Err(ApiError::invalid("invalid_parameter", "wait is 60 seconds at most"));
    }
    state.quotas.log(caller.token_id(), request.log.len())?;
    let answer = state.flow.ingest(&caller.as_flow(), request, key.as_deref()).await?;
    if let (1.., Some(id)) = (wait, &answer.analysis_id) {
        let view = state.flow.wait_for_analysis(&caller.as_flow(), id, Duration::from_secs(wait)).await?;
        if !matches!(view.state.as_str(), "queued" | "running") {
            return Ok(Json(view).into_response());
        }
    }
    Ok((status_of(&answer), Json(answer)).into_response())
}

/// What is new is accepted, what is known or nothing to us is fine.
pub(super) fn status_of(answer: &IngestAnswer) -> StatusCode {
    if answer.status == "accepted" { StatusCode::ACCEPTED } else { StatusCode::OK }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::invalid(
            "invalid_parameter",
            "Idempotency-Key must have 1 to 255 visible ASCII characters",
        )),
    }
}

/// Which CI system.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SnippetQuery {
    /// One of the `ci` of the whole list; all without it.
    ci: Option<String>,
}

/// How to send logs from each CI system, with nothing but curl.
#[utoipa::path(get, path = "/v1/ingest/snippets", tag = "ingest", params(SnippetQuery),
    responses((status = 200, body = List<Snippet>), Errors))]
async fn snippets(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<SnippetQuery>,
) -> Result<Json<List<Snippet>>, ApiError> {
    caller.require(Scope::Read)?;
    let all = snippets::all(state.about.public_url.as_str());
    let items = match query.ci.as_deref() {
        None => all,
        Some(ci) => {
            let known = all.iter().map(|snippet| snippet.ci).collect::<Vec<_>>().join(", ");
            let found: Vec<Snippet> = all.into_iter().filter(|snippet| snippet.ci == ci).collect();
            if found.is_empty() {
                return Err(ApiError::invalid("invalid_parameter", format!("ci is none of {known}")));
            }
            found
        }
    };
    Ok(Json(List { items, next_cursor: None }))
}

/// The log in a body that may be gzip or zstd; what it unpacks to has the same limit as a plain one.
fn unpack(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let too_large = || ApiError::from(crate::body::BodyError::TooLarge);
    let broken = |kind: &str| {
        ApiError::invalid(
            "unreadable_log",
            format!("the body begins like {kind} but cannot be unpacked: send it whole, or plain"),
        )
    };
    let limit = LOG_LIMIT as u64 + 1;
    let mut log = Vec::new();
    if body.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(body)
            .take(limit)
            .read_to_end(&mut log)
            .map_err(|_| broken("gzip"))?;
    } else if body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::Decoder::new(body).map_err(|_| broken("zstd"))?;
        decoder.take(limit).read_to_end(&mut log).map_err(|_| broken("zstd"))?;
    } else {
        return Ok(body.to_vec());
    }
    if log.len() > LOG_LIMIT { Err(too_large()) } else { Ok(log) }
}
