//! Log lines: structured, on standard error, without secrets.
//!
//! Secrets cannot get here by type (`SecretString` prints nothing); URLs are logged through
//! [`forge_core::url::SafeUrl`]; text from forges and logs is a field, and control bytes in fields are escaped by the
//! formatter.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// Starts writing log lines. A second call changes nothing.
pub fn init(format: LogFormat, level: &str) {
    // sqlx logs statements, hyper and h2 log frames with headers: neither belongs into an operator's log.
    let filter = format!("{level},sqlx=warn,hyper=warn,h2=warn,reqwest=warn,rustls=warn");
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let result = match format {
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            registry.with(fmt::layer().with_ansi(false).with_writer(std::io::stderr)).try_init()
        }
    };
    if result.is_err() {
        tracing::debug!("logging was set up already");
    }
}
