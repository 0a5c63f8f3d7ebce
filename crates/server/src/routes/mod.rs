//! Routes: read the request, call the use case, answer. Nothing is decided here.

mod analyses;
mod app;
mod channels;
mod clusters;
mod deliveries;
mod health;
mod ingest;
mod integrations;
mod members;
mod oauth;
mod repositories;
mod settings;
mod stats;
mod tokens;
mod watch;
mod webhooks;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, Request},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use forge_core::ForgeKind;
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::{AppState, Role},
    body,
    error::ApiError,
    input,
    middleware::{headers, log, quota},
};

/// Every route of the API, with its description.
pub(crate) fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(health::router())
        .merge(integrations::router())
        .merge(oauth::router())
        .merge(app::router())
        .merge(repositories::router())
        .merge(webhooks::router())
        .merge(deliveries::router())
        .merge(analyses::router())
        .merge(ingest::router())
        .merge(tokens::router())
        .merge(clusters::router())
        .merge(watch::router())
        .merge(members::router())
        .merge(channels::router())
        .merge(stats::router())
        .merge(settings::router())
}

/// What the public address serves. A worker serves its health only.
pub(crate) fn public(state: AppState, role: Role) -> Router {
    let is_https = state.about.public_url.scheme() == "https";
    let routes: Router<AppState> = match role {
        Role::Worker => Router::from(health::router()),
        Role::All | Role::Web => {
            Router::from(api()).route("/v1/openapi.json", axum::routing::get(health::openapi))
        }
    };
    routes
        .merge(pages(&state, role))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), quota::guard))
        .layer(DefaultBodyLimit::max(body::JSON_LIMIT))
        .layer(from_fn(input::refuse_nul))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(log::write))
        .layer(from_fn(move |request: Request, next: Next| headers::add(is_https, request, next)))
        .with_state(state)
}

/// The pages for people; a worker has none.
fn pages(state: &AppState, role: Role) -> Router<AppState> {
    match role {
        Role::Worker => Router::new(),
        Role::All | Role::Web => dashboard::router(state.flow.clone()).with_state(()),
    }
}

/// What the admin address serves.
pub(crate) fn admin(state: AppState) -> Router {
    Router::new()
        .route("/metrics", axum::routing::get(health::metrics))
        .fallback(no_such_route)
        .with_state(state)
}

async fn no_such_route(headers: http::HeaderMap) -> Response {
    if let Some(page) = dashboard::not_found_page(&headers) {
        return page;
    }
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        "there is no such route; GET /v1/openapi.json lists them",
    )
    .into_response()
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "the route takes other methods; GET /v1/openapi.json lists them",
    )
}

fn panicked(_panic: Box<dyn std::any::Any + Send>) -> Response {
    // The panic's own text may quote a request; the panic hook has written where it happened.
    tracing::error!("a request handler panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "an internal error; it has been logged")
        .into_response()
}

/// The forge named in the path.
#[derive(Debug)]
pub(crate) struct ForgeInPath(pub(crate) ForgeKind);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for ForgeInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut http::request::Parts, state: &S) -> Result<Self, ApiError> {
        let Path(parameters) =
            Path::<std::collections::HashMap<String, String>>::from_request_parts(parts, state)
                .await
                .map_err(|_| ApiError::not_found("forge"))?;
        // One route serves `PUT {id}/token` and `POST {forge}/token`, and a place in a path has one name.
        let forge = parameters
            .get("forge")
            .or_else(|| parameters.get("id"))
            .ok_or_else(|| ApiError::not_found("forge"))?;
        forge.parse().map(Self).map_err(|error: forge_core::UnknownForge| {
            ApiError::new(StatusCode::NOT_FOUND, "not_found", error.to_string())
        })
    }
}
