//! Checks of the repository itself: `cargo xtask tidy`.
//!
//! What `docs/ARCHITECTURE.md` says of layers is checked here, so that it stays true.

mod layers;
mod tree;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> anyhow::Result<ExitCode> {
    let command = std::env::args().nth(1);
    if command.as_deref() != Some("tidy") {
        writeln!(io::stderr(), "usage: cargo xtask tidy")?;
        return Ok(ExitCode::from(2));
    }
    let root = workspace_root();
    let mut faults = layers::check(&root)?;
    faults.extend(tree::check(&root)?);
    if faults.is_empty() {
        writeln!(io::stdout(), "tidy: layers and tree are as documented")?;
        return Ok(ExitCode::SUCCESS);
    }
    for fault in &faults {
        writeln!(io::stderr(), "tidy: {fault}")?;
    }
    Ok(ExitCode::FAILURE)
}

fn workspace_root() -> PathBuf {
    // The manifest of xtask lies two folders below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}
