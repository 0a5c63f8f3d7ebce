//! What the commands share that operate an installation: its configuration and its database.

use std::path::{Path, PathBuf};

use clap::Args;
use rca_store::Store;

use super::Failure;
use crate::{Config, app};

/// Which installation is meant.
#[derive(Debug, Args)]
pub(super) struct Installation {
    /// The server's configuration file; the environment counts as for the server.
    #[arg(long, value_name = "FILE", env = "FORGE_RCA_CONFIG")]
    config: Option<PathBuf>,
}

impl Installation {
    pub(super) fn config(&self) -> Result<Config, Failure> {
        Config::load(self.config.as_deref(), std::env::vars()).map_err(Failure::input)
    }
}

/// Opens the database, bringing its schema up to date; makes it where there is none.
pub(super) async fn open(config: &Config) -> Result<Store, Failure> {
    app::open_store(config).await.map_err(|error| Failure::Check(format!("{error:#}")))
}

/// Opens the database of an installation that has one already: looking at nothing must not make an empty one.
pub(super) async fn open_existing(config: &Config) -> Result<Store, Failure> {
    if let Some(file) = app::sqlite_file(config) {
        must_exist(&file, "there is no database", "start the server once, or set FORGE_RCA_DATA_DIR")?;
    }
    must_exist(
        &config.master_key_file,
        "there is no master key",
        "put the key file there that belongs to the database",
    )?;
    open(config).await
}

fn must_exist(path: &Path, what: &str, remedy: &str) -> Result<(), Failure> {
    if path.is_file() {
        return Ok(());
    }
    Err(Failure::Input(format!("{what} at {}: {remedy}", path.display())))
}

/// Runs one command to its end.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::input)?.block_on(work)
}

/// What the database says, with what was being done.
pub(super) fn failed(what: &str) -> impl Fn(rca_store::Error) -> Failure {
    move |error| Failure::Check(format!("{what}: {error}"))
}
