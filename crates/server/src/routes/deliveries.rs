use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use rca_flow::{
    analyses::DeliveryQuery,
    types::{DeliveryView, List},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::QueryOf,
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(replay))
}

/// What forges sent, the newest first.
#[utoipa::path(get, path = "/v1/deliveries", tag = "deliveries", params(DeliveryQuery),
    responses((status = 200, body = List<DeliveryView>), Errors))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(filter): QueryOf<DeliveryQuery>,
) -> Result<Json<List<DeliveryView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.list_deliveries(&caller.as_flow(), &filter).await?))
}

/// One delivery: what became of it and why.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "deliveries", params(("id" = String, Path)),
    responses((status = 200, body = DeliveryView), Errors))]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeliveryView>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.get_delivery(&caller.as_flow(), &id).await?))
}

/// Run a delivery again.
#[utoipa::path(post, path = "/v1/deliveries/{id}/replay", tag = "deliveries", params(("id" = String, Path)),
    responses((status = 202, body = DeliveryView), Errors))]
async fn replay(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<DeliveryView>), ApiError> {
    let caller = caller.require(Scope::Write)?;
    Ok((StatusCode::ACCEPTED, Json(state.flow.replay_delivery(&caller.as_flow(), &id).await?)))
}
