//! `serve`: the server until SIGTERM or ctrl-c.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::{Application, Config, Role, shutdown, telemetry};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A TOML file with the settings that differ from the defaults.
    #[arg(long, value_name = "FILE", env = "FORGE_RCA_CONFIG")]
    config: Option<PathBuf>,
    /// What this process does: serve the API, work on tasks, or both.
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(arguments.config.as_deref(), std::env::vars()).map_err(Failure::input)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::input)?;
    #[cfg(feature = "otel")]
    let traces = match &config.otlp_endpoint {
        None => {
            telemetry::init(config.log_format, &config.log_level);
            None
        }
        Some(endpoint) => {
            let (traces, tracer) = telemetry::otel::Traces::begin(endpoint, runtime.handle().clone())
                .map_err(|error| Failure::Check(format!("{error:#}")))?;
            telemetry::init_with_traces(config.log_format, &config.log_level, tracer);
            Some(traces)
        }
    };
    #[cfg(not(feature = "otel"))]
    telemetry::init(config.log_format, &config.log_level);
    let result = runtime.block_on(async {
        let application = Application::build(config, arguments.role)
            .await
            .map_err(|error| Failure::Check(format!("{error:#}")))?;
        application.run(shutdown::signal()).await.map_err(|error| Failure::Check(format!("{error:#}")))
    });
    // This thread is none of the runtime's, which still sends them.
    #[cfg(feature = "otel")]
    if let Some(traces) = traces {
        traces.end();
    }
    result
}
