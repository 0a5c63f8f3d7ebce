use axum::{
    Json,
    extract::{Path, State},
};
use rca_flow::types::{ClusterQuery, ClusterView, List};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::QueryOf,
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(acknowledge))
        .routes(routes!(resolve))
        .routes(routes!(reopen))
}

/// Failures of one kind, the newest first.
#[utoipa::path(get, path = "/v1/clusters", tag = "clusters", params(ClusterQuery),
    responses((status = 200, body = List<ClusterView>), Errors))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<ClusterQuery>,
) -> Result<Json<List<ClusterView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.list_clusters(&caller.as_flow(), &query).await?))
}

/// One cluster.
#[utoipa::path(get, path = "/v1/clusters/{id}", tag = "clusters", params(("id" = String, Path)),
    responses((status = 200, body = ClusterView), Errors))]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ClusterView>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.get_cluster(&caller.as_flow(), &id).await?))
}

/// Somebody takes care of it.
#[utoipa::path(post, path = "/v1/clusters/{id}/acknowledge", tag = "clusters", params(("id" = String, Path)),
    responses((status = 200, body = ClusterView), Errors))]
async fn acknowledge(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ClusterView>, ApiError> {
    set(&state, caller, &id, "acknowledged").await
}

/// It is repaired. Should it recur, it is active again.
#[utoipa::path(post, path = "/v1/clusters/{id}/resolve", tag = "clusters", params(("id" = String, Path)),
    responses((status = 200, body = ClusterView), Errors))]
async fn resolve(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ClusterView>, ApiError> {
    set(&state, caller, &id, "resolved").await
}

/// It was not repaired after all.
#[utoipa::path(post, path = "/v1/clusters/{id}/reopen", tag = "clusters", params(("id" = String, Path)),
    responses((status = 200, body = ClusterView), Errors))]
async fn reopen(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ClusterView>, ApiError> {
    set(&state, caller, &id, "active").await
}

async fn set(state: &AppState, caller: Caller, id: &str, word: &str) -> Result<Json<ClusterView>, ApiError> {
    let caller = caller.require(Scope::Write)?;
    Ok(Json(state.flow.set_cluster_state(&caller.as_flow(), id, word).await?))
}
