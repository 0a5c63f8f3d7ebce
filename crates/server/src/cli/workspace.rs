//! `workspace create`: a further tenant of the same server.
#![expect(
    clippy::disallowed_methods,
    reason = "the one command that prints the token of a new workspace's owner"
)]

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use secrecy::ExposeSecret as _;

use super::Failure;
use crate::{Config, app, middleware::auth};

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// What people call it; 1 to 100 characters.
    name: String,
    /// The server's configuration file. The server may run meanwhile.
    #[arg(long, value_name = "FILE", env = "FORGE_RCA_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn create(arguments: &CreateArguments) -> Result<(), Failure> {
    let name = arguments.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Failure::input(
            "the name of a workspace has 1 to 100 characters and no control characters",
        ));
    }
    let config = Config::load(arguments.config.as_deref(), std::env::vars()).map_err(Failure::input)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::input)?;
    let (id, token) = runtime.block_on(async {
        let store = app::open_store(&config).await.map_err(|error| Failure::Check(format!("{error:#}")))?;
        let made = auth::create_workspace(&store, name).await;
        store.close().await;
        made.map_err(|error| Failure::Check(format!("cannot make the workspace: {error}")))
    })?;
    let made = serde_json::json!({ "id": id, "name": name, "token": token.expose_secret() });
    writeln!(io::stdout(), "{made}")?;
    Ok(())
}
