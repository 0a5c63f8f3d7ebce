//! `analyze`: the report for logs on disk or from a pipe.

use std::{
    fs::File,
    io::{self, BufReader, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rca_engine::{Analyzer, Baseline, HumanOptions, Report, archive};

use super::Failure;

/// Shorter logs are done before a bar could be read.
const BAR_FROM_BYTES: u64 = 8 * 1024 * 1024;
const CHUNK: usize = 256 * 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Logs to analyse, gzip, zstd or GitHub's zip included; - or none reads standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A log of the same job that passed: lines that never occur in it weigh more. May be repeated.
    #[arg(long, value_name = "GREEN.log")]
    baseline: Vec<PathBuf>,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, in colour on a terminal.
    Human,
    /// One JSON object per log.
    Json,
    /// As it is posted.
    Markdown,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let baseline = learn(&arguments.baseline)?;
    let standard_input = [PathBuf::from("-")];
    let files = if arguments.files.is_empty() { &standard_input[..] } else { &arguments.files };
    let mut reports = Vec::new();
    let mut unreadable = Vec::new();
    for path in files {
        match analyze_file(path, baseline.as_ref()) {
            Ok(mut of_file) => reports.append(&mut of_file),
            // One bad file does not take the others' reports away.
            Err(problem) => unreadable.push(problem),
        }
    }
    print(&reports, arguments.format)?;
    if unreadable.is_empty() { Ok(()) } else { Err(Failure::input(unreadable.join("\nforge-rca: "))) }
}

struct Named {
    name: String,
    report: Report,
}

fn analyze_file(path: &Path, baseline: Option<&Baseline>) -> Result<Vec<Named>, String> {
    let mut reports = Vec::new();
    for_each_log(path, |name, log| {
        let mut analyzer = Analyzer::new();
        if let Some(baseline) = baseline {
            analyzer = analyzer.with_baseline(baseline.clone());
        }
        feed(log, |chunk| analyzer.push(chunk))?;
        reports.push(Named { name: name.to_owned(), report: analyzer.finish() });
        Ok(())
    })?;
    Ok(reports)
}

fn learn(paths: &[PathBuf]) -> Result<Option<Baseline>, Failure> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut baseline = Baseline::new();
    for path in paths {
        for_each_log(path, |_, log| {
            let mut learner = baseline.learn();
            feed(log, |chunk| learner.push(chunk))?;
            baseline = learner.finish();
            Ok(())
        })
        .map_err(Failure::Input)?;
    }
    Ok(Some(baseline))
}

/// Opens `path`, unpacks it where it is packed, and gives every log in it to `each`.
fn for_each_log(
    path: &Path,
    mut each: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), String> {
    let shown = path.display().to_string();
    let failed = |error: &dyn std::fmt::Display| format!("cannot read {shown}: {error}");
    if path.as_os_str() == "-" {
        return archive::for_each_stream(io::stdin().lock(), "-", &mut each).map_err(|error| failed(&error));
    }
    let file = File::open(path).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if metadata.is_dir() {
        return Err(format!("cannot read {shown}: it is a folder; name the log files in it"));
    }
    let bar = progress(metadata.len());
    let reader = BufReader::with_capacity(CHUNK, bar.wrap_read(file));
    let result = archive::for_each(reader, &shown, &mut each).map_err(|error| failed(&error));
    bar.finish_and_clear();
    result
}

fn feed(log: &mut dyn Read, mut push: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0_u8; CHUNK];
    loop {
        let length = match log.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        push(buffer.get(..length).unwrap_or_default());
    }
}

fn progress(length: u64) -> ProgressBar {
    if length < BAR_FROM_BYTES || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn print(reports: &[Named], format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let several = reports.len() > 1;
    for (index, Named { name, report }) in reports.iter().enumerate() {
        match format {
            Format::Json if several => {
                let mut value = serde_json::to_value(report).map_err(Failure::input)?;
                if let serde_json::Value::Object(object) = &mut value {
                    object.insert("file".to_owned(), name.as_str().into());
                }
                writeln!(out, "{value}")?;
            }
            Format::Json => writeln!(out, "{}", report.to_json())?,
            Format::Markdown => {
                if several {
                    writeln!(out, "{}# {}\n", if index > 0 { "\n" } else { "" }, rca_engine::markdown::inline_code(name))?;
                }
                writeln!(out, "{}", report.to_markdown())?;
            }
            Format::Human => {
                let options = HumanOptions::default()
                    .with_color(io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
                    .with_width(terminal_width())
                    .with_path(name);
                writeln!(out, "{}{}", if index > 0 { "\n" } else { "" }, report.to_human(&options))?;
            }
        }
    }
    Ok(())
}

fn terminal_width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(100)
}
