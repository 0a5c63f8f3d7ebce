use axum::{Json, extract::State};
use rca_flow::types::{SettingsChange, SettingsView};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::JsonBody,
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// The settings of the workspace; secrets are shown as fingerprints.
#[utoipa::path(get, path = "/v1/settings", tag = "settings", responses((status = 200, body = SettingsView), Errors))]
async fn get(State(state): State<AppState>, caller: Caller) -> Result<Json<SettingsView>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.get_settings(&caller.as_flow()).await?))
}

/// Change the settings; what is not given stays.
#[utoipa::path(put, path = "/v1/settings", tag = "settings", request_body = SettingsChange,
    responses((status = 200, body = SettingsView), Errors))]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(change): JsonBody<SettingsChange>,
) -> Result<Json<SettingsView>, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok(Json(state.flow.change_settings(&caller.as_flow(), change).await?))
}
