use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use rca_flow::types::{List, NewTokenRequest, TokenMade, TokenView};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::JsonBody,
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// The tokens that are valid.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens",
    responses((status = 200, body = List<TokenView>), Errors))]
async fn list(State(state): State<AppState>, caller: Caller) -> Result<Json<List<TokenView>>, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok(Json(state.flow.list_tokens(&caller.as_flow()).await?))
}

/// Make a token.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = NewTokenRequest,
    responses((status = 201, body = TokenMade), Errors))]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(request): JsonBody<NewTokenRequest>,
) -> Result<(StatusCode, Json<TokenMade>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    let made = state.flow.make_token(&caller.as_flow(), caller.holder(), &request).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// End a token at once. Only an owner ends that of an owner.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 204), Errors))]
async fn revoke(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    state.flow.revoke_token(&caller.as_flow(), caller.holder(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
