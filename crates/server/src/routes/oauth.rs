use axum::{
    Extension, Json,
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
};
use forge_core::ForgeKind;
use http::{HeaderMap, StatusCode};
use rca_flow::{
    connect::CallbackParameters,
    types::{AuthorizeRequest, IntegrationView},
};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::ForgeInPath;
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
        .routes(routes!(authorize))
        .routes(routes!(callback, posted_callback))
        .routes(routes!(gitlab_callback))
        .routes(routes!(github_callback))
        .routes(routes!(bitbucket_callback))
        .routes(routes!(gitflic_callback, gitflic_posted_callback))
}

/// End an OAuth connection with the code that the forge gave.
#[utoipa::path(post, path = "/v1/integrations/{forge}/authorize", tag = "oauth", params(("forge" = rca_flow::types::words::ForgeWord, Path)),
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
    params(("forge" = rca_flow::types::words::ForgeWord, Path), CallbackParameters), responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn callback(
    State(state): State<AppState>,
    ForgeInPath(forge): ForgeInPath,
    headers: HeaderMap,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, &headers, forge, parameters).await
}

/// What GitFlic sends from server to server, in place of a browser that brings the code.
#[derive(Debug, Deserialize, ToSchema)]
struct PostedCode {
    /// The state that was given at the start.
    #[schema(value_type = Option<String>)]
    state: Option<SecretString>,
    /// The code.
    #[schema(value_type = Option<String>)]
    code: Option<SecretString>,
}

/// Where GitFlic posts the code. Other forges send the browser.
#[utoipa::path(post, path = "/v1/integrations/{forge}/callback", tag = "oauth", params(("forge" = rca_flow::types::words::ForgeWord, Path)),
    request_body = PostedCode, responses((status = 200, content_type = "text/html", body = String),
        (status = 405, description = "This forge sends the browser here: GET", body = crate::error::ErrorBody), Errors))]
async fn posted_callback(
    State(state): State<AppState>,
    ForgeInPath(forge): ForgeInPath,
    JsonBody(posted): JsonBody<PostedCode>,
) -> Result<Response, ApiError> {
    if forge != ForgeKind::GITFLIC {
        return Err(ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this forge sends the browser here: GET",
        ));
    }
    finish(&state, &HeaderMap::new(), forge, posted.into_parameters()).await
}

/// The same as `/v1/integrations/gitflic/callback`.
#[utoipa::path(post, path = "/api/integrations/gitflic/oauth/callback", tag = "oauth", request_body = PostedCode,
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn gitflic_posted_callback(
    State(state): State<AppState>,
    JsonBody(posted): JsonBody<PostedCode>,
) -> Result<Response, ApiError> {
    finish(&state, &HeaderMap::new(), ForgeKind::GITFLIC, posted.into_parameters()).await
}

impl PostedCode {
    fn into_parameters(self) -> CallbackParameters {
        CallbackParameters { state: self.state, code: self.code, ..CallbackParameters::default() }
    }
}

/// The same as `/v1/integrations/gitlab/callback`.
#[utoipa::path(get, path = "/auth/gitlab/callback", tag = "oauth", params(CallbackParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn gitlab_callback(
    State(state): State<AppState>,
    headers: HeaderMap,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, &headers, ForgeKind::GITLAB, parameters).await
}

/// The same as `/v1/integrations/github/callback`.
#[utoipa::path(get, path = "/api/integrations/github/oauth/callback", tag = "oauth", params(CallbackParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn github_callback(
    State(state): State<AppState>,
    headers: HeaderMap,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, &headers, ForgeKind::GITHUB, parameters).await
}

/// The same as `/v1/integrations/bitbucket-cloud/callback`.
#[utoipa::path(get, path = "/api/integrations/bitbucket/oauth/callback", tag = "oauth", params(CallbackParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn bitbucket_callback(
    State(state): State<AppState>,
    headers: HeaderMap,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, &headers, ForgeKind::BITBUCKET_CLOUD, parameters).await
}

/// The same as `/v1/integrations/gitflic/callback`.
#[utoipa::path(get, path = "/api/integrations/gitflic/oauth/callback", tag = "oauth", params(CallbackParameters),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn gitflic_callback(
    State(state): State<AppState>,
    headers: HeaderMap,
    QueryOf(parameters): QueryOf<CallbackParameters>,
) -> Result<Response, ApiError> {
    finish(&state, &headers, ForgeKind::GITFLIC, parameters).await
}

async fn finish(
    state: &AppState,
    headers: &HeaderMap,
    forge: ForgeKind,
    parameters: CallbackParameters,
) -> Result<Response, ApiError> {
    let browser = dashboard::connecting_session(&state.flow, headers).await;
    let is_empty = parameters.state.is_none() && parameters.code.is_none() && parameters.error.is_none();
    if forge == ForgeKind::GITFLIC && is_empty {
        // GitFlic posts the code first, and then sends the browser here with nothing.
        if browser.is_some() {
            return Ok(Redirect::to("/connect/gitflic/waiting").into_response());
        }
        let page = concat!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>GitFlic</title>",
            "<h1>Back from GitFlic</h1><p>GitFlic hands its answer over by itself. You can close this window; ",
            "if the connection is not listed, begin again.</p></html>"
        );
        return Ok(Html(page).into_response());
    }
    let outcome = state.flow.callback(forge, parameters, browser.as_ref()).await;
    if let Some(page) = dashboard::after_connecting(&state.flow, headers, forge, outcome.as_ref()).await {
        return Ok(page);
    }
    let integration = match outcome {
        Ok(integration) => integration,
        // A state that is none of ours: anybody can make one up.
        Err(error) => return Ok((Extension(Unproved), ApiError::from(error)).into_response()),
    };
    tracing::info!(integration = %integration.id, %forge, "connected by OAuth");
    let page = concat!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Connected</title>",
        "<h1>Connected</h1><p>The forge is connected. You can close this window.</p></html>"
    );
    Ok(Html(page).into_response())
}
