//! Checks of the repository itself: `cargo xtask tidy` and `cargo xtask instructions`.
//!
//! What `docs/ARCHITECTURE.md` says of layers is checked here, so that it stays true.

mod instructions;
mod layers;
mod tree;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> anyhow::Result<ExitCode> {
    let root = workspace_root();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy(&root),
        ["instructions"] => instructions::run(&root, false),
        ["instructions", "--update"] => instructions::run(&root, true),
        _ => {
            writeln!(io::stderr(), "usage: cargo xtask tidy\n       cargo xtask instructions [--update]")?;
            Ok(ExitCode::from(2))
        }
    }
}

fn tidy(root: &Path) -> anyhow::Result<ExitCode> {
    let mut faults = layers::check(root)?;
    faults.extend(tree::check(root)?);
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
