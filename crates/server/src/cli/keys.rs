//! `keys rotate` and `keys prune`: a new master key, while the server runs.
//!
//! Rotation puts a new key in front of the key file, which every process of this machine reads again at its next use,
//! and seals everything anew. Interrupted, `--resume` goes on. The old keys stay in the file until `keys prune`, so
//! that nothing is ever sealed with a key that is gone.

use std::{
    io::{self, Write as _},
    path::Path,
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand};
use rca_store::{KeyRing, Store};

use super::{
    Failure,
    installation::{Installation, block_on, failed, open_existing},
};

/// Rows sealed anew per step.
const BATCH: u32 = 200;
/// A write that began with the old key is over after this time (the store gives writes 4.5 s).
const WRITES_OVER: Duration = Duration::from_secs(5);

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a new master key and seal every secret anew with it.
    Rotate(RotateArguments),
    /// Remove the old keys from the key file, once nothing is sealed with them.
    Prune(PruneArguments),
}

#[derive(Debug, Args)]
pub(super) struct RotateArguments {
    #[command(flatten)]
    installation: Installation,
    /// Make no new key: seal the rest anew that an interrupted rotation left.
    #[arg(long)]
    resume: bool,
}

#[derive(Debug, Args)]
pub(super) struct PruneArguments {
    #[command(flatten)]
    installation: Installation,
}

pub(super) fn run(command: &KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::Rotate(arguments) => block_on(rotate(arguments)),
        KeysCommand::Prune(arguments) => block_on(prune(arguments)),
    }
}

async fn rotate(arguments: &RotateArguments) -> Result<(), Failure> {
    let config = arguments.installation.config()?;
    // Before a new key is made: that the present ones are right.
    let store = open_existing(&config).await?;
    if !arguments.resume {
        KeyRing::rotate_file(&config.master_key_file).map_err(failed("no new key was made"))?;
        store.close().await;
    }
    // Opened again, so that the database knows the new key before anything is sealed with it.
    let store = if arguments.resume { store } else { open_existing(&config).await? };
    let count = reseal(&store).await?;
    store.close().await;
    let ids =
        KeyRing::from_file(&config.master_key_file).map_err(failed("cannot read the keys again"))?.ids();
    let mut out = io::stdout().lock();
    writeln!(out, "{count} sealed values now have key {}.", ids.first().copied().unwrap_or_default())?;
    writeln!(
        out,
        "Back up {} now; then `forge-rca keys prune` removes the old keys.",
        config.master_key_file.display()
    )?;
    Ok(())
}

async fn reseal(store: &Store) -> Result<u64, Failure> {
    let resealed = failed("not everything is sealed anew; `keys rotate --resume` goes on");
    let mut left = store.reseal(0).await.map_err(&resealed)?;
    let all = left;
    while left > 0 {
        let _ = writeln!(io::stderr(), "{left} to be sealed anew");
        left = store.reseal(BATCH).await.map_err(&resealed)?;
    }
    Ok(all)
}

async fn prune(arguments: &PruneArguments) -> Result<(), Failure> {
    let config = arguments.installation.config()?;
    let file = &config.master_key_file;
    let store = open_existing(&config).await?;
    tokio::time::sleep(WRITES_OVER.saturating_sub(age(file))).await;
    reseal(&store).await?;
    let before = KeyRing::from_file(file).map_err(failed("cannot read the keys"))?.ids();
    let after = KeyRing::prune_file(file).map_err(failed("the old keys are still there"))?.ids();
    store.close().await;
    writeln!(
        io::stdout(),
        "{} old keys removed, key {} stays.",
        before.len() - after.len(),
        after.first().copied().unwrap_or_default()
    )?;
    Ok(())
}

/// How long ago a file was replaced; zero when that cannot be told.
fn age(path: &Path) -> Duration {
    let changed = std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .unwrap_or_else(|_| SystemTime::now());
    changed.elapsed().unwrap_or_default()
}
