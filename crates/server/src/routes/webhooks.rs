use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use forge_core::ForgeKind;
use http::{HeaderMap, StatusCode, request::Parts};
use rca_flow::{Refused, types::DeliveryAnswer};
use secrecy::SecretString;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    body::{self, HeldBody},
    error::{ApiError, Errors},
    middleware::quota::Unproved,
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(delivery))
        .routes(routes!(gitlab_by_token))
        .routes(routes!(gitflic_by_secret))
}

/// A delivery of a forge.
#[utoipa::path(post, path = "/v1/webhooks/{forge}/{hook_id}", tag = "webhooks",
    params(("forge" = rca_flow::types::words::ForgeWord, Path), ("hook_id" = String, Path)), request_body(content = Vec<u8>, content_type = "application/json"),
    responses((status = 202, body = DeliveryAnswer), (status = 200, body = DeliveryAnswer), Errors))]
async fn delivery(
    State(state): State<AppState>,
    Path((forge, hook_id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    // An unknown forge is answered like a wrong proof: nothing is told to those who cannot prove themselves.
    let forge: ForgeKind = forge.parse().map_err(|_| ApiError::unauthorized())?;
    let (parts, body) = read(&state, forge, request).await?;
    let Parts { headers, uri, .. } = parts;
    answer(state.flow.receive(forge, &hook_id, &headers, uri.query(), body.bytes.clone()).await)
}

/// A delivery of GitLab to the common address: the hook is found by its token.
#[utoipa::path(post, path = "/v1/webhooks/gitlab", tag = "webhooks", request_body(content = Vec<u8>, content_type = "application/json"),
    responses((status = 202, body = DeliveryAnswer), Errors))]
async fn gitlab_by_token(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = read(&state, ForgeKind::GITLAB, request).await?;
    let headers: HeaderMap = parts.headers;
    let token = headers.get("x-gitlab-token").and_then(|token| token.to_str().ok()).map(SecretString::from);
    let result = state
        .flow
        .receive_by_token(ForgeKind::GITLAB, token.as_ref(), &headers, parts.uri.query(), body.bytes.clone())
        .await;
    answer(result)
}

/// A delivery of GitFlic to the common address: the hook is found by its secret, in the header or as `?secret=`.
#[utoipa::path(post, path = "/webhook/gitflic", tag = "webhooks", params(("secret" = Option<String>, Query)),
    request_body(content = Vec<u8>, content_type = "application/json"), responses((status = 202, body = DeliveryAnswer), Errors))]
async fn gitflic_by_secret(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = read(&state, ForgeKind::GITFLIC, request).await?;
    let query = parts.uri.query().unwrap_or_default();
    let in_query = || {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "secret")
            .map(|(_, value)| SecretString::from(value.into_owned()))
    };
    let in_header = parts.headers.get("gitflic-webhook-secret").and_then(|secret| secret.to_str().ok());
    let secret = in_header.map(SecretString::from).or_else(in_query);
    let result = state
        .flow
        .receive_by_token(
            ForgeKind::GITFLIC,
            secret.as_ref(),
            &parts.headers,
            parts.uri.query(),
            body.bytes.clone(),
        )
        .await;
    answer(result)
}

async fn read(state: &AppState, forge: ForgeKind, request: Request) -> Result<(Parts, HeldBody), ApiError> {
    let limit = if forge == ForgeKind::GITHUB { body::GITHUB_DELIVERY_LIMIT } else { body::DELIVERY_LIMIT };
    let (parts, body) = request.into_parts();
    Ok((parts, state.budget.read(body, limit).await?))
}

fn answer(result: Result<DeliveryAnswer, Refused>) -> Result<Response, ApiError> {
    match result {
        // A ping without a proof leaves no row, and says so by its status.
        Ok(answer) if answer.delivery_id.is_none() => {
            Ok((StatusCode::OK, Extension(Unproved), Json(answer)).into_response())
        }
        Ok(answer) => Ok((StatusCode::ACCEPTED, Json(answer)).into_response()),
        Err(Refused::Unproved) => Err(ApiError::unauthorized()),
        Err(Refused::TooMany(wait)) => {
            Err(ApiError::too_many(rca_flow::FlowError::from(Refused::TooMany(wait)).message, wait))
        }
        Err(Refused::Unavailable(error)) => Err(error.into()),
    }
}
