use axum::{
    Json,
    extract::{Path, Request, State},
};
use http::StatusCode;
use rca_flow::{
    FlowErrorKind,
    types::{ChannelMade, ChannelPatch, ChannelRequest, ChannelView, List, NotificationView, TelegramLink},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::{JsonBody, QueryOf},
    middleware::auth::{Caller, Scope},
};

/// The longest update of Telegram that is read; a message has 4096 characters.
const UPDATE_LIMIT: usize = 64 * 1024;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(get, change, remove))
        .routes(routes!(test))
        .routes(routes!(deliveries))
        .routes(routes!(link))
        .routes(routes!(telegram))
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

/// A new link for a Telegram channel that no chat is linked to. It is good for one use and a day.
#[utoipa::path(post, path = "/v1/channels/{id}/link", tag = "channels", params(("id" = String, Path)),
    responses((status = 200, body = TelegramLink), Errors))]
async fn link(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<TelegramLink>, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok(Json(state.flow.link_channel(&caller.as_flow(), &id).await?))
}

/// What Telegram tells of the bot of a channel, proved by `X-Telegram-Bot-Api-Secret-Token`; it may concern any channel of
/// that bot. The answer is what the bot replies, or an empty object.
#[utoipa::path(post, path = "/v1/channels/{id}/telegram", tag = "channels", params(("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/json"),
    responses((status = 200, body = serde_json::Value), Errors))]
async fn telegram(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<serde_json::Value>, ApiError> {
    let (parts, body) = request.into_parts();
    let body = state.budget.read(body, UPDATE_LIMIT).await?;
    let secret = parts.headers.get("x-telegram-bot-api-secret-token");
    let secret = secret.map(http::HeaderValue::as_bytes).unwrap_or_default();
    match state.flow.telegram_update(&id, secret, &body.bytes).await {
        Ok(reply) => Ok(Json(reply.unwrap_or_else(|| serde_json::json!({})))),
        Err(error) if error.kind == FlowErrorKind::Unauthorized => Err(ApiError::unauthorized()),
        Err(error) => Err(error.into()),
    }
}
