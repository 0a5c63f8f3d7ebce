//! `rules test`: what rules of your own recognise in a log.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use rca_engine::Rules;

use super::Failure;

/// Read where no file is named.
const DEFAULT: &str = ".forge-rca.toml";

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// The rules; ./.forge-rca.toml when left out.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// The log to try them on.
    #[arg(value_name = "LOG")]
    log: PathBuf,
}

/// The rules in `path`, or in the default file where it exists.
pub(super) fn load(path: Option<&Path>) -> Result<Option<Rules>, Failure> {
    let path = match path {
        Some(path) => path,
        None if Path::new(DEFAULT).is_file() => Path::new(DEFAULT),
        None => return Ok(None),
    };
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?;
    Rules::parse(&text).map(Some).map_err(|error| Failure::input(format!("{}: {error}", path.display())))
}

pub(super) fn test(arguments: &TestArguments) -> Result<(), Failure> {
    let rules = load(arguments.rules.as_deref())?
        .ok_or_else(|| Failure::input(format!("there is no {DEFAULT} here: name the rules with --rules")))?;
    let log = fs::read(&arguments.log)
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", arguments.log.display())))?;
    let hits = rules.test(&log);
    for hit in &hits {
        let lines: Vec<String> = hit.lines.iter().map(u64::to_string).collect();
        let more = if hit.count > hit.lines.len() as u64 { ", ..." } else { "" };
        let noun = if hit.count == 1 { "line" } else { "lines" };
        writeln!(io::stdout(), "{}: {} {noun} ({}{more})", hit.id, hit.count, lines.join(", "))?;
    }
    if hits.iter().any(|hit| hit.count > 0) {
        return Ok(());
    }
    Err(Failure::Check("no rule matches a line of this log".to_owned()))
}
