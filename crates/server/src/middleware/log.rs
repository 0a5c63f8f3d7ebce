//! One log line for each request.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument as _, Span, field::Empty};

/// Writes method, route, status and time. The route is the pattern, never the path: paths hold ids of hooks, queries
/// hold codes and secrets.
pub async fn write(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let span = span(&request, route.as_deref());
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
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

/// What a trace shows of a request; nothing where no traces are made, and of health, which is asked for all the time.
fn span(request: &Request, route: Option<&str>) -> Span {
    let Some(context) = rca_store::trace_context() else { return Span::none() };
    let route = route.unwrap_or("-");
    if matches!(route, "/healthz" | "/readyz") {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: rca_flow::SPANS,
        "request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = Empty,
    );
    if let Some(parent) = request.headers().get("traceparent").and_then(|parent| parent.to_str().ok()) {
        context.follow(&span, parent);
    }
    span
}
