use axum::{Extension, Json, extract::State, http::header, response::IntoResponse};
use forge_core::Capabilities;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    metrics::Queue,
    middleware::quota::Unproved,
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(instance))
}

/// Whether the process is fine.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthAnswer {
    /// `ok`.
    status: &'static str,
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = HealthAnswer)))]
async fn healthz() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "ok" })
}

/// Database, migrations and key are usable.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = HealthAnswer), Errors))]
async fn readyz(State(state): State<AppState>) -> Result<Json<HealthAnswer>, ApiError> {
    // Opening the store has migrated it and tried the key; what can fail later is the connection, or the writer.
    state.store.ping().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        ApiError::unavailable("the database does not answer")
    })?;
    Ok(Json(HealthAnswer { status: "ok" }))
}

/// What this server is and can do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InstanceAnswer {
    /// `setup` until the first integration exists, then `ready`.
    state: &'static str,
    version: &'static str,
    public_url: String,
    forges: Vec<ForgeAnswer>,
}

/// One forge of this build.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ForgeAnswer {
    id: &'static str,
    #[schema(value_type = Object)]
    capabilities: Capabilities,
    /// Users need no OAuth application of their own.
    platform_app: bool,
}

/// What this server is and can do.
#[utoipa::path(get, path = "/v1/instance", tag = "health", responses((status = 200, body = InstanceAnswer), Errors))]
async fn instance(
    State(state): State<AppState>,
) -> Result<(Extension<Unproved>, Json<InstanceAnswer>), ApiError> {
    let is_ready = !state
        .flow
        .list_integrations(&rca_flow::Caller::new(state.store.default_workspace(), "instance"))
        .await?
        .is_empty();
    let forges = state
        .flow
        .providers()
        .values()
        .map(|provider| ForgeAnswer {
            id: provider.kind().as_str(),
            capabilities: provider.capabilities(),
            platform_app: state.flow.has_platform_app(provider.kind()),
        })
        .collect();
    let answer = InstanceAnswer {
        state: if is_ready { "ready" } else { "setup" },
        version: env!("CARGO_PKG_VERSION"),
        public_url: state.about.public_url.as_str().trim_end_matches('/').to_owned(),
        forges,
    };
    Ok((Extension(Unproved), Json(answer)))
}

pub(super) async fn openapi() -> impl IntoResponse {
    (Extension(Unproved), Json(crate::openapi::document()))
}

pub(super) async fn metrics(State(state): State<AppState>) -> Result<impl IntoResponse, ApiError> {
    let unavailable = |error: rca_store::Error| {
        tracing::warn!(%error, "cannot count for metrics");
        ApiError::unavailable("the database does not answer")
    };
    let deliveries = state.store.count_all_deliveries().await.map_err(unavailable)?;
    let tasks = state.store.count_all_tasks().await.map_err(unavailable)?;
    let recurring = state.flow.count_recurring().await?;
    let age_ms = state.store.queue_age_ms().await.map_err(unavailable)?;
    let queue = Queue { tasks, recurring, age_ms };
    let text = crate::metrics::render(&deliveries, &queue, &state.flow.measures());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}
