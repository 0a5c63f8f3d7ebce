use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use rca_flow::types::{AuditQuery, AuditView, IncidentView, List, ListQuery};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::QueryOf,
    middleware::auth::{Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(incidents)).routes(routes!(audit))
}

/// What needs a person, the newest first. `?state=open` leaves out what is resolved.
#[utoipa::path(get, path = "/v1/incidents", tag = "incidents", params(ListQuery),
    responses((status = 200, body = List<IncidentView>), Errors))]
async fn incidents(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<List<IncidentView>>, ApiError> {
    let caller = caller.require(Scope::Read)?;
    Ok(Json(state.flow.list_incidents(&caller.as_flow(), &query).await?))
}

/// Who did what, the newest first. `?format=csv` gives all that matches as a table.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = List<AuditView>), Errors))]
async fn audit(
    State(state): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Response, ApiError> {
    let caller = caller.require(Scope::Admin)?.as_flow();
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(state.flow.list_audit(&caller, &query).await?).into_response()),
        Some("csv") => {
            let table = state.flow.audit_table(&caller, &query).await?;
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
            ];
            Ok((headers, table).into_response())
        }
        Some(_) => Err(ApiError::invalid("invalid_field", "format is neither json nor csv")),
    }
}
