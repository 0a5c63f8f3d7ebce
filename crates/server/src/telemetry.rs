//! Log lines: structured, on standard error, without secrets. With the feature `otel` also traces.
//!
//! Secrets cannot get here by type (`SecretString` prints nothing); URLs are logged through
//! [`forge_core::url::SafeUrl`]; text from forges and logs is a field, and control bytes in fields are escaped by the
//! formatter.

#[cfg(feature = "otel")]
pub mod otel;

use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// Starts writing log lines. A second call changes nothing.
pub fn init(format: LogFormat, level: &str) {
    start(tracing_subscriber::registry().with(lines(format, level)));
}

/// Starts writing log lines and recording spans. A second call changes nothing.
#[cfg(feature = "otel")]
pub fn init_with_traces(format: LogFormat, level: &str, tracer: opentelemetry_sdk::trace::SdkTracer) {
    // Only what was made to be a span of a trace; libraries have many more.
    let ours =
        tracing_subscriber::filter::filter_fn(|metadata| metadata.is_span() && metadata.target() == SPANS);
    let spans = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
    start(tracing_subscriber::registry().with(lines(format, level)).with(spans.with_filter(ours)));
}

/// The target of spans that belong into traces.
#[cfg(feature = "otel")]
const SPANS: &str = rca_flow::SPANS;

fn lines(format: LogFormat, level: &str) -> Box<dyn Layer<Registry> + Send + Sync> {
    // sqlx logs statements, hyper and h2 log frames with headers: neither belongs into an operator's log.
    let filter = format!("{level},sqlx=warn,hyper=warn,h2=warn,reqwest=warn,rustls=warn");
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("info"));
    match format {
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).with_filter(filter).boxed()
        }
        LogFormat::Text => {
            fmt::layer().with_ansi(false).with_writer(std::io::stderr).with_filter(filter).boxed()
        }
    }
}

fn start(subscriber: impl SubscriberInitExt) {
    if subscriber.try_init().is_err() {
        tracing::debug!("logging was set up already");
    }
}
