use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use rca_flow::types::{ChannelMade, ChannelPatch, ChannelRequest, ChannelView, List, NotificationView};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::{JsonBody, QueryOf},
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(get, change, remove))
        .routes(routes!(test))
        .routes(routes!(deliveries))
}

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Part {
    /// At most so many [100, max 500].
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Where to read on.
    #[param(max_length = 500)]
    cursor: Option<String>,
}

/// Where people are told, the newest first.
#[utoipa::path(get, path = "/v1/channels", tag = "channels", params(Part),
    responses((status = 200, body = List<ChannelView>), Errors))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(part): QueryOf<Part>,
) -> Result<Json<List<ChannelView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.list_channels(&caller.as_flow(), part.limit, part.cursor.as_deref()).await?))
}

/// Add a channel. The signing secret of a webhook is shown only here.
#[utoipa::path(post, path = "/v1/channels", tag = "channels", request_body = ChannelRequest,
    responses((status = 201, body = ChannelMade), Errors))]
async fn add(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(request): JsonBody<ChannelRequest>,
) -> Result<(StatusCode, Json<ChannelMade>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok((StatusCode::CREATED, Json(state.flow.add_channel(&caller.as_flow(), request).await?)))
}

/// One channel.
#[utoipa::path(get, path = "/v1/channels/{id}", tag = "channels", params(("id" = String, Path)),
    responses((status = 200, body = ChannelView), Errors))]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ChannelView>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.get_channel(&caller.as_flow(), &id).await?))
}

/// Change a channel. A new configuration, or `enabled: true`, lets one go on that was stopped.
#[utoipa::path(patch, path = "/v1/channels/{id}", tag = "channels", params(("id" = String, Path)),
    request_body = ChannelPatch, responses((status = 200, body = ChannelView), Errors))]
async fn change(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(patch): JsonBody<ChannelPatch>,
) -> Result<Json<ChannelView>, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok(Json(state.flow.change_channel(&caller.as_flow(), &id, patch).await?))
}

/// Remove a channel with its log; its secrets are wiped.
#[utoipa::path(delete, path = "/v1/channels/{id}", tag = "channels", params(("id" = String, Path)),
    responses((status = 204), Errors))]
async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    state.flow.remove_channel(&caller.as_flow(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a message to try the channel; the answer says how it went. When it arrives, a channel that was stopped goes on.
#[utoipa::path(post, path = "/v1/channels/{id}/test", tag = "channels", params(("id" = String, Path)),
    responses((status = 200, body = NotificationView), Errors))]
async fn test(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<NotificationView>, ApiError> {
    let caller = caller.require(Scope::Write)?;
    Ok(Json(state.flow.test_channel(&caller.as_flow(), &id).await?))
}

/// What the channel was told, the newest first, and whether it arrived.
#[utoipa::path(get, path = "/v1/channels/{id}/deliveries", tag = "channels", params(("id" = String, Path), Part),
    responses((status = 200, body = List<NotificationView>), Errors))]
async fn deliveries(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(part): QueryOf<Part>,
) -> Result<Json<List<NotificationView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    let list =
        state.flow.list_notifications(&caller.as_flow(), &id, part.limit, part.cursor.as_deref()).await?;
    Ok(Json(list))
}
