use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use rca_flow::types::{
    List, MonitorItem, MonitorOutcome, MonitorRequest, OperationQuery, OperationView, RepositoryFilter,
    RepositoryView, WebhookSecret,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::{JsonBody, QueryOf},
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(monitor))
        .routes(routes!(rotate_secret))
        .routes(routes!(operation))
}

/// Work that goes on in the background.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    operation_id: String,
    /// Where its progress can be read.
    location: String,
}

impl Accepted {
    pub(super) fn new(operation_id: String) -> Self {
        Self { location: format!("/v1/operations/{operation_id}"), operation_id }
    }
}

/// What became of each repository.
#[derive(Debug, Serialize, ToSchema)]
struct Monitored {
    items: Vec<MonitorItem>,
}

/// The repositories of an integration.
#[utoipa::path(get, path = "/v1/integrations/{id}/repositories", tag = "repositories",
    params(("id" = String, Path), RepositoryFilter), responses((status = 200, body = List<RepositoryView>), Errors))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(filter): QueryOf<RepositoryFilter>,
) -> Result<Json<List<RepositoryView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.list_repositories(&caller.as_flow(), &id, &filter).await?))
}

/// Choose which repositories are watched.
#[utoipa::path(post, path = "/v1/integrations/{id}/repositories/monitor", tag = "repositories",
    params(("id" = String, Path)), request_body = MonitorRequest,
    responses((status = 200, body = Monitored), (status = 202, body = Accepted), Errors))]
async fn monitor(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<MonitorRequest>,
) -> Result<Response, ApiError> {
    let caller = caller.require(Scope::Write)?;
    Ok(match state.flow.monitor(&caller.as_flow(), &id, request).await? {
        MonitorOutcome::Done(items) => Json(Monitored { items }).into_response(),
        MonitorOutcome::Accepted { operation_id } => {
            (StatusCode::ACCEPTED, Json(Accepted::new(operation_id))).into_response()
        }
    })
}

/// Make a new webhook secret, shown once; the old one stays valid for a day.
#[utoipa::path(post, path = "/v1/repositories/{id}/webhook-secret", tag = "repositories", params(("id" = String, Path)),
    responses((status = 200, body = WebhookSecret), Errors))]
async fn rotate_secret(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<WebhookSecret>, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok(Json(state.flow.rotate_webhook_secret(&caller.as_flow(), &id).await?))
}

/// How far background work is. `?failed=true` shows only the items that failed.
#[utoipa::path(get, path = "/v1/operations/{id}", tag = "repositories", params(("id" = String, Path), OperationQuery),
    responses((status = 200, body = OperationView), Errors))]
async fn operation(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(query): QueryOf<OperationQuery>,
) -> Result<Json<OperationView>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.operation_page(&caller.as_flow(), &id, &query).await?))
}
