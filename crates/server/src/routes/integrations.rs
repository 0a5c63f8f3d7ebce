use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use rca_flow::types::{
    Disconnected, IntegrationPatch, IntegrationView, List, ReplaceTokenRequest, StartRequest, Started,
    TokenRequest, WebhookOnly, WebhookOnlyRequest,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ForgeInPath, repositories::Accepted};
use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::{JsonBody, QueryOf},
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(start))
        .routes(routes!(list))
        .routes(routes!(get, patch, disconnect))
        .routes(routes!(check))
        .routes(routes!(connect_with_token, replace_token))
        .routes(routes!(sync))
        .routes(routes!(connect_by_webhook))
}

/// Begin to connect by OAuth.
#[utoipa::path(post, path = "/v1/integrations/{forge}/start", tag = "integrations", params(("forge" = rca_flow::types::words::ForgeWord, Path)),
    request_body = StartRequest, responses((status = 201, body = Started), Errors))]
async fn start(
    State(state): State<AppState>,
    caller: Caller,
    ForgeInPath(forge): ForgeInPath,
    JsonBody(request): JsonBody<StartRequest>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok((StatusCode::CREATED, Json(state.flow.start_oauth(&caller.as_flow(), forge, request, None).await?)))
}

/// Connect with an access token; the path names the forge.
#[utoipa::path(post, path = "/v1/integrations/{id}/token", tag = "integrations",
    params(("id" = String, Path, description = "the forge, e.g. gitlab")),
    request_body = TokenRequest, responses((status = 201, body = IntegrationView), Errors))]
async fn connect_with_token(
    State(state): State<AppState>,
    caller: Caller,
    ForgeInPath(forge): ForgeInPath,
    JsonBody(request): JsonBody<TokenRequest>,
) -> Result<(StatusCode, Json<IntegrationView>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok((StatusCode::CREATED, Json(state.flow.connect_token(&caller.as_flow(), forge, request).await?)))
}

/// Connect one repository by its hook, with or without a token: Bitbucket Data Center only.
#[utoipa::path(post, path = "/v1/integrations/{forge}/webhook", tag = "integrations",
    params(("forge" = String, Path, description = "bitbucket-dc")),
    request_body = WebhookOnlyRequest, responses((status = 201, body = WebhookOnly), Errors))]
async fn connect_by_webhook(
    State(state): State<AppState>,
    caller: Caller,
    ForgeInPath(forge): ForgeInPath,
    JsonBody(request): JsonBody<WebhookOnlyRequest>,
) -> Result<(StatusCode, Json<WebhookOnly>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok((StatusCode::CREATED, Json(state.flow.connect_webhook_only(&caller.as_flow(), forge, request).await?)))
}

/// All integrations.
#[utoipa::path(get, path = "/v1/integrations", tag = "integrations",
    responses((status = 200, body = List<IntegrationView>), Errors))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<List<IntegrationView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(List { items: state.flow.list_integrations(&caller.as_flow()).await?, next_cursor: None }))
}

/// One integration.
#[utoipa::path(get, path = "/v1/integrations/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, body = IntegrationView), Errors))]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<IntegrationView>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.get_integration(&caller.as_flow(), &id).await?))
}

/// Change an integration.
#[utoipa::path(patch, path = "/v1/integrations/{id}", tag = "integrations", params(("id" = String, Path)),
    request_body = IntegrationPatch, responses((status = 200, body = IntegrationView), Errors))]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<IntegrationPatch>,
) -> Result<Json<IntegrationView>, ApiError> {
    let caller = caller.require(Scope::Write)?;
    Ok(Json(state.flow.update_integration(&caller.as_flow(), &id, request).await?))
}

/// How to disconnect.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DisconnectQuery {
    /// Leave our hooks at the forge.
    #[serde(default)]
    keep_webhooks: bool,
}

/// Revoke, remove hooks, wipe secrets; the answer lists what could not be removed.
#[utoipa::path(delete, path = "/v1/integrations/{id}", tag = "integrations",
    params(("id" = String, Path), DisconnectQuery), responses((status = 200, body = Disconnected), Errors))]
async fn disconnect(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(query): QueryOf<DisconnectQuery>,
) -> Result<Json<Disconnected>, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok(Json(state.flow.disconnect(&caller.as_flow(), &id, query.keep_webhooks).await?))
}

/// Look at the health now.
#[utoipa::path(post, path = "/v1/integrations/{id}/check", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, body = IntegrationView), Errors))]
async fn check(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<IntegrationView>, ApiError> {
    let caller = caller.require(Scope::Write)?;
    Ok(Json(state.flow.check_integration(&caller.as_flow(), &id).await?))
}

/// Replace the token in place; waiting work goes on.
#[utoipa::path(put, path = "/v1/integrations/{id}/token", tag = "integrations", params(("id" = String, Path)),
    request_body = ReplaceTokenRequest, responses((status = 200, body = IntegrationView), Errors))]
async fn replace_token(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<ReplaceTokenRequest>,
) -> Result<Json<IntegrationView>, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok(Json(state.flow.replace_token(&caller.as_flow(), &id, request).await?))
}

/// List the repositories at the forge again, in the background.
#[utoipa::path(post, path = "/v1/integrations/{id}/sync", tag = "integrations", params(("id" = String, Path)),
    responses((status = 202, body = Accepted), Errors))]
async fn sync(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    let caller = caller.require(Scope::Write)?;
    let operation_id = state.flow.sync_integration(&caller.as_flow(), &id).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted::new(operation_id))))
}
