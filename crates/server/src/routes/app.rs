use axum::{
    Extension, Json,
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
};
use forge_core::ForgeKind;
use http::{HeaderMap, StatusCode};
use rca_flow::{
    FlowError,
    app::{AppCreatedParameters, AppInstalledParameters},
    types::{AppRequest, AppStartRequest, AppStarted, IntegrationView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::{JsonBody, QueryOf},
    middleware::{
        auth::{Caller, Scope},
        quota::Unproved,
    },
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(start))
        .routes(routes!(created))
        .routes(routes!(installed))
        .routes(routes!(connect))
}

/// Begin to make a GitHub App: post the manifest from a browser.
#[utoipa::path(post, path = "/v1/integrations/github/app/start", tag = "apps", request_body = AppStartRequest,
    responses((status = 201, body = AppStarted), Errors))]
async fn start(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(request): JsonBody<AppStartRequest>,
) -> Result<(StatusCode, Json<AppStarted>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    let started = state.flow.start_app(&caller.as_flow(), ForgeKind::GITHUB, request, None).await?;
    Ok((StatusCode::CREATED, Json(started)))
}

/// Where GitHub sends the browser after the app was made; it is sent on to install it.
#[utoipa::path(get, path = "/v1/integrations/github/app/callback", tag = "apps", params(AppCreatedParameters),
    responses((status = 303), Errors))]
async fn created(
    State(state): State<AppState>,
    headers: HeaderMap,
    QueryOf(parameters): QueryOf<AppCreatedParameters>,
) -> Result<Response, ApiError> {
    let browser = dashboard::connecting_session(&state.flow, &headers).await;
    let install = match state.flow.app_created(ForgeKind::GITHUB, parameters, browser.as_ref()).await {
        Ok(install) => install,
        Err(error) => return failed(&state, &headers, error).await,
    };
    Ok(Redirect::to(install.as_str()).into_response())
}

/// Where GitHub sends the browser after the app was installed.
#[utoipa::path(get, path = "/v1/integrations/github/app/installed", tag = "apps", params(AppInstalledParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn installed(
    State(state): State<AppState>,
    headers: HeaderMap,
    QueryOf(parameters): QueryOf<AppInstalledParameters>,
) -> Result<Response, ApiError> {
    if parameters.state.is_none() && parameters.setup_action.as_deref() == Some("update") {
        // Somebody has changed the repositories at GitHub; a delivery tells us, and nothing is believed of this.
        let page = concat!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Changed</title>",
            "<h1>Changed</h1><p>The repositories of the app follow by themselves. You can close this window.</p></html>"
        );
        return Ok(Html(page).into_response());
    }
    let browser = dashboard::connecting_session(&state.flow, &headers).await;
    let outcome = state.flow.app_installed(ForgeKind::GITHUB, parameters, browser.as_ref()).await;
    let forge = ForgeKind::GITHUB;
    if let Some(page) = dashboard::after_connecting(&state.flow, &headers, forge, outcome.as_ref()).await {
        return Ok(page);
    }
    let integration = match outcome {
        Ok(integration) => integration,
        Err(error) => return Ok(unproved(error)),
    };
    tracing::info!(integration = %integration.id, "connected as an app");
    let page = concat!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Connected</title>",
        "<h1>Connected</h1><p>The app is connected. You can close this window.</p></html>"
    );
    Ok(Html(page).into_response())
}

/// The page of the forge with what went wrong, for the browser of somebody who is signed in.
async fn failed(state: &AppState, headers: &HeaderMap, error: FlowError) -> Result<Response, ApiError> {
    let page = dashboard::after_connecting(&state.flow, headers, ForgeKind::GITHUB, Err(&error)).await;
    Ok(page.unwrap_or_else(|| unproved(error)))
}

/// A state that is none of ours: anybody can make one up.
fn unproved(error: FlowError) -> Response {
    (Extension(Unproved), ApiError::from(error)).into_response()
}

/// Connect a GitHub App that exists, with its private key.
#[utoipa::path(post, path = "/v1/integrations/github/app", tag = "apps", request_body = AppRequest,
    responses((status = 201, body = IntegrationView), Errors))]
async fn connect(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(request): JsonBody<AppRequest>,
) -> Result<(StatusCode, Json<IntegrationView>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    let integration = state.flow.connect_app(&caller.as_flow(), ForgeKind::GITHUB, request).await?;
    Ok((StatusCode::CREATED, Json(integration)))
}
