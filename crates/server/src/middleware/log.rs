//! One log line for each request.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

/// Writes method, route, status and time. The route is the pattern, never the path: paths hold ids of hooks, queries
/// hold codes and secrets.
pub async fn write(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let milliseconds = began.elapsed().as_millis();
    let status = response.status().as_u16();
    let route = route.as_deref().unwrap_or("-");
    if matches!(route, "/healthz" | "/readyz") {
        tracing::trace!(%method, route, status, milliseconds, "answered");
    } else {
        tracing::info!(%method, route, status, milliseconds, "answered");
    }
    response
}
