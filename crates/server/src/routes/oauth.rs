use axum::{
    Json,
    extract::State,
    response::{Html, IntoResponse, Response},
};
use forge_core::ForgeKind;
use http::StatusCode;
use rca_flow::{
    connect::CallbackParameters,
    types::{AuthorizeRequest, IntegrationView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::ForgeInPath;
use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::{JsonBody, QueryOf},
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(authorize))
        .routes(routes!(callback))
        .routes(routes!(gitlab_callback))
        .routes(routes!(github_callback))
        .routes(routes!(bitbucket_callback))
        .routes(routes!(gitflic_callback))
}

/// End an OAuth connection with the code that the forge gave.
#[utoipa::path(post, path = "/v1/integrations/{forge}/authorize", tag = "oauth", params(("forge" = String, Path)),
    request_body = AuthorizeRequest, responses((status = 201, body = IntegrationView), Errors))]
async fn authorize(
    State(state): State<AppState>,
    caller: Caller,
    ForgeInPath(forge): ForgeInPath,
    JsonBody(request): JsonBody<AuthorizeRequest>,
) -> Result<(StatusCode, Json<IntegrationView>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    Ok((StatusCode::CREATED, Json(state.flow.authorize(&caller.as_flow(), forge, request).await?)))
}

/// Where the forge sends the browser back to.
#[utoipa::path(get, path = "/v1/integrations/{forge}/callback", tag = "oauth",
    params(("forge" = String, Path), CallbackParameters), responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn callback(
    State(state): State<AppState>,
    ForgeInPath(forge): ForgeInPath,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, forge, parameters).await
}

/// The same as `/v1/integrations/gitlab/callback`.
#[utoipa::path(get, path = "/auth/gitlab/callback", tag = "oauth", params(CallbackParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn gitlab_callback(
    State(state): State<AppState>,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, ForgeKind::GITLAB, parameters).await
}

/// The same as `/v1/integrations/github/callback`.
#[utoipa::path(get, path = "/api/integrations/github/oauth/callback", tag = "oauth", params(CallbackParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn github_callback(
    State(state): State<AppState>,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, ForgeKind::GITHUB, parameters).await
}

/// The same as `/v1/integrations/bitbucket-cloud/callback`.
#[utoipa::path(get, path = "/api/integrations/bitbucket/oauth/callback", tag = "oauth", params(CallbackParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn bitbucket_callback(
    State(state): State<AppState>,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, ForgeKind::BITBUCKET_CLOUD, parameters).await
}

/// The same as `/v1/integrations/gitflic/callback`.
#[utoipa::path(get, path = "/api/integrations/gitflic/oauth/callback", tag = "oauth", params(CallbackParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn gitflic_callback(
    State(state): State<AppState>,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, ForgeKind::GITFLIC, parameters).await
}

async fn finish(
    state: &AppState,
    forge: ForgeKind,
    parameters: CallbackParameters,
) -> Result<Response, ApiError> {
    let integration = state.flow.callback(forge, parameters, None).await?;
    tracing::info!(integration = %integration.id, %forge, "connected by OAuth");
    let page = concat!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Connected</title>",
        "<h1>Connected</h1><p>The forge is connected. You can close this window.</p></html>"
    );
    Ok(Html(page).into_response())
}
