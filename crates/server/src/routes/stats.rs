use axum::{Json, extract::State};
use rca_flow::types::{CauseView, List, Overview, Point, RepositoryStatsView, StatsQuery, TopQuery};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::QueryOf,
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(timeseries))
        .routes(routes!(top_repositories))
        .routes(routes!(top_causes))
}

/// A span in numbers; the last 30 days where none is given.
#[utoipa::path(get, path = "/v1/stats/overview", tag = "stats", params(StatsQuery),
    responses((status = 200, body = Overview), Errors))]
async fn overview(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<StatsQuery>,
) -> Result<Json<Overview>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.stats_overview(&caller.as_flow(), &query).await?))
}

/// Failures by day and domain.
#[utoipa::path(get, path = "/v1/stats/timeseries", tag = "stats", params(StatsQuery),
    responses((status = 200, body = List<Point>), Errors))]
async fn timeseries(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<StatsQuery>,
) -> Result<Json<List<Point>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.stats_timeseries(&caller.as_flow(), &query).await?))
}

/// The repositories with the most failures.
#[utoipa::path(get, path = "/v1/stats/top-repositories", tag = "stats", params(TopQuery),
    responses((status = 200, body = List<RepositoryStatsView>), Errors))]
async fn top_repositories(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<TopQuery>,
) -> Result<Json<List<RepositoryStatsView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.stats_top_repositories(&caller.as_flow(), &query).await?))
}

/// The causes that cost the most minutes.
#[utoipa::path(get, path = "/v1/stats/top-causes", tag = "stats", params(TopQuery),
    responses((status = 200, body = List<CauseView>), Errors))]
async fn top_causes(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<TopQuery>,
) -> Result<Json<List<CauseView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.stats_top_causes(&caller.as_flow(), &query).await?))
}
