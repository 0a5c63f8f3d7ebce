use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use rca_flow::types::{List, MemberRequest, MemberView, RoleRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::JsonBody,
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change, remove))
}

/// The people of the workspace.
#[utoipa::path(get, path = "/v1/members", tag = "members",
    responses((status = 200, body = List<MemberView>), Errors))]
async fn list(State(state): State<AppState>, caller: Caller) -> Result<Json<List<MemberView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.list_members(&caller.as_flow()).await?))
}

/// Add a person.
#[utoipa::path(post, path = "/v1/members", tag = "members", request_body = MemberRequest,
    responses((status = 201, body = MemberView), Errors))]
async fn add(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(request): JsonBody<MemberRequest>,
) -> Result<(StatusCode, Json<MemberView>), ApiError> {
    let caller = caller.require(Scope::Admin)?.require_may_give(&request.role)?;
    Ok((StatusCode::CREATED, Json(state.flow.add_member(&caller.as_flow(), &request).await?)))
}

/// Give a person another role. Only an owner changes that of an owner.
#[utoipa::path(patch, path = "/v1/members/{id}", tag = "members", params(("id" = String, Path)),
    request_body = RoleRequest, responses((status = 200, body = MemberView), Errors))]
async fn change(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<RoleRequest>,
) -> Result<Json<MemberView>, ApiError> {
    let caller = caller.require(Scope::Admin)?.require_may_give(&request.role)?;
    let caller = require_may_change(&state, caller, &id).await?;
    Ok(Json(state.flow.set_member_role(&caller.as_flow(), &id, &request).await?))
}

/// Remove a person. The last owner cannot be removed, and another only by an owner.
#[utoipa::path(delete, path = "/v1/members/{id}", tag = "members", params(("id" = String, Path)),
    responses((status = 204), Errors))]
async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let caller = require_may_change(&state, caller.require(Scope::Admin)?, &id).await?;
    state.flow.remove_member(&caller.as_flow(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller, if it may change this member.
async fn require_may_change(state: &AppState, caller: Caller, id: &str) -> Result<Caller, ApiError> {
    state.flow.require_may_change(&caller.as_flow(), caller.holder(), id).await?;
    Ok(caller)
}
