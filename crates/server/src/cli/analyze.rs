//! `analyze`: the report for logs on disk or from a pipe.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, IsTerminal, Read, Seek, SeekFrom, Write},
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rca_engine::{
    Analyzer, Baseline, HumanOptions, Report, Rules,
    archive::{self, ArchiveError, Format as Packing, Limits},
};

use super::Failure;

/// Shorter logs are done before a bar could be read.
const BAR_FROM_BYTES: u64 = 8 * 1024 * 1024;
const CHUNK: usize = 256 * 1024;
/// What archives are told by stands in the first bytes.
const HEAD: u64 = 512;
/// Stands for the length of a pipe.
const UNKNOWN_LENGTH: u64 = 1 << 50;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Logs to analyse, gzip, zstd or GitHub's zip included; - or none reads standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A log of the same job that passed: lines that never occur in it weigh more. May be repeated.
    #[arg(long, value_name = "GREEN.log")]
    baseline: Vec<PathBuf>,
    /// A file of rules of your own; ./.forge-rca.toml is read where there is one.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, in colour on a terminal.
    Human,
    /// One JSON object per log.
    Json,
    /// As it is posted.
    Markdown,
    /// SARIF 2.1.0, for code scanning; one log at a time.
    Sarif,
    /// JUnit XML, for test reporters; one log at a time.
    Junit,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let baseline = learn(&arguments.baseline)?;
    let rules = super::rules::load(arguments.rules.as_deref())?;
    let standard_input = [PathBuf::from("-")];
    let files = if arguments.files.is_empty() { &standard_input[..] } else { &arguments.files };
    let mut reports = Vec::new();
    let mut unreadable = Vec::new();
    for outcome in analyze_files(files, baseline.as_ref(), rules.as_ref()) {
        // One bad file does not take the others' reports away.
        match outcome {
            Ok((mut of_file, problem)) => {
                reports.append(&mut of_file);
                unreadable.extend(problem);
            }
            Err(problem) => unreadable.push(problem),
        }
    }
    print(&reports, arguments.format)?;
    if unreadable.is_empty() { Ok(()) } else { Err(Failure::input(unreadable.join("\nforge-rca: "))) }
}

pub(super) struct Named {
    pub(super) name: String,
    pub(super) report: Report,
}

/// What a file gave: its reports, and what kept it from being read to its end.
pub(super) type Outcome<T> = Result<ReadLogs<T>, String>;

/// What was read, and what stopped the reading.
pub(super) type ReadLogs<T> = (Vec<T>, Option<String>);

/// Analyses the files on as many threads as there are cores; the outcomes stand in the order of the files.
fn analyze_files(
    files: &[PathBuf],
    baseline: Option<&Baseline>,
    rules: Option<&Rules>,
) -> Vec<Outcome<Named>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = files.get(at) else { return done };
            done.push((at, analyze_file(path, baseline, rules)));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut outcomes = std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores.min(files.len())).map(|_| scope.spawn(work)).collect();
        let mut outcomes = work();
        for other in others {
            outcomes.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        outcomes
    });
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn analyze_file(path: &Path, baseline: Option<&Baseline>, rules: Option<&Rules>) -> Outcome<Named> {
    let new = || {
        let mut analyzer = Analyzer::new();
        if let Some(baseline) = baseline {
            analyzer = analyzer.with_baseline(baseline.clone());
        }
        if let Some(rules) = rules {
            analyzer = analyzer.with_rules(rules.clone());
        }
        analyzer
    };
    let (logs, problem) = for_each_log(path, new, Analyzer::push)?;
    Ok((
        logs.into_iter().map(|(name, analyzer)| Named { name, report: analyzer.finish() }).collect(),
        problem,
    ))
}

fn learn(paths: &[PathBuf]) -> Result<Option<Baseline>, Failure> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut baseline = Baseline::new();
    for path in paths {
        let (logs, problem) =
            for_each_log(path, || Baseline::new().learn(), |learner, chunk| learner.push(chunk))
                .map_err(Failure::Input)?;
        if let Some(problem) = problem {
            return Err(Failure::Input(problem));
        }
        for (_, learner) in logs {
            baseline.merge(&learner.finish());
        }
    }
    Ok(Some(baseline))
}

/// Reads every log in `path` into a reader of its own; the steps of one job in an archive are one log.
pub(super) fn for_each_log<T>(
    path: &Path,
    new: impl Fn() -> T,
    mut push: impl FnMut(&mut T, &[u8]),
) -> Outcome<(String, T)> {
    let shown = path.display().to_string();
    let failed = |error: &dyn std::fmt::Display| format!("cannot read {shown}: {error}");
    if path.as_os_str() == "-" {
        let input = seekable(io::stdin().lock()).map_err(|error| failed(&error))?;
        return read_logs(input, "-", new, &mut push).map_err(|error| failed(&error));
    }
    let file = File::open(path).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if metadata.is_dir() {
        return Err(format!("cannot read {shown}: it is a folder; name the log files in it"));
    }
    let bar = progress(metadata.len());
    let reader: Box<dyn ReadSeek> = if metadata.is_file() {
        Box::new(BufReader::with_capacity(CHUNK, Counted { inner: file, bar: bar.clone() }))
    } else {
        // A pipe with a name, as shells make them for `<(...)`.
        seekable(file).map_err(|error| failed(&error))?
    };
    let result = read_logs(reader, &shown, new, &mut push).map_err(|error| failed(&error));
    bar.finish_and_clear();
    result
}

fn read_logs<T>(
    reader: Box<dyn ReadSeek>,
    shown: &str,
    new: impl Fn() -> T,
    push: &mut impl FnMut(&mut T, &[u8]),
) -> Result<ReadLogs<(String, T)>, ArchiveError> {
    let mut input = archive::open(reader, Limits::default())?;
    let is_zip = input.format() == Packing::Zip;
    let mut logs: Vec<(String, T)> = Vec::new();
    while let Some(mut member) = input.next_member()? {
        let name = if is_zip { format!("{shown}: {}", member.job()) } else { shown.to_owned() };
        if logs.last().is_none_or(|(last, _)| *last != name) {
            logs.push((name, new()));
        }
        if let Some((_, log)) = logs.last_mut() {
            feed(&mut member, |chunk| push(log, chunk)).map_err(ArchiveError::Read)?;
        }
    }
    let problem = input.stopped().map(|problem| format!("{shown} was read in part: {problem}"));
    Ok((logs, problem))
}

trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// A reader that can go back, of one that cannot: a zip has its directory at its end, so it goes through a file
/// without a name; anything else is read as it comes.
fn seekable<R: Read + 'static>(mut reader: R) -> io::Result<Box<dyn ReadSeek>> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD).read_to_end(&mut head)?;
    if head.starts_with(b"PK") {
        let mut file = tempfile::tempfile()?;
        file.write_all(&head)?;
        io::copy(&mut reader, &mut file)?;
        file.rewind()?;
        return Ok(Box::new(BufReader::with_capacity(CHUNK, file)));
    }
    Ok(Box::new(Replay { head: Cursor::new(head), rest: reader }))
}

/// Tells the bar what was read. Looking ahead for the length, as archives do, is no progress.
struct Counted<R> {
    inner: R,
    bar: ProgressBar,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.bar.inc(length as u64);
        Ok(length)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// A stream whose first bytes can be read again.
struct Replay<R> {
    head: Cursor<Vec<u8>>,
    rest: R,
}

impl<R: Read> Read for Replay<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => self.rest.read(buffer),
            length => Ok(length),
        }
    }
}

impl<R> Seek for Replay<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Start(at) if at <= HEAD => self.head.seek(to),
            SeekFrom::Current(0) => self.head.stream_position(),
            // Asked for the length alone. It is not known: as long as can be, so that only the limits in bytes count.
            SeekFrom::End(0) => Ok(UNKNOWN_LENGTH),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "a pipe cannot be read backwards")),
        }
    }
}

fn feed(log: &mut impl Read, mut push: impl FnMut(&[u8])) -> io::Result<()> {
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
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

pub(super) fn print(reports: &[Named], format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let several = reports.len() > 1;
    if several && matches!(format, Format::Sarif | Format::Junit) {
        return Err(Failure::input("SARIF and JUnit are one document for one log: give the logs one by one"));
    }
    for (index, Named { name, report }) in reports.iter().enumerate() {
        match format {
            Format::Json if several => {
                let mut value = serde_json::to_value(report).map_err(Failure::input)?;
                if let serde_json::Value::Object(object) = &mut value {
                    object.insert("file".to_owned(), name.as_str().into());
                }
                writeln!(out, "{value}")?;
            }
            Format::Json => write!(out, "{}", report.to_json())?,
            Format::Sarif => writeln!(out, "{}", report.to_sarif().trim_end())?,
            Format::Junit => writeln!(out, "{}", report.to_junit().trim_end())?,
            Format::Markdown => {
                if several {
                    writeln!(
                        out,
                        "{}# {}\n",
                        if index > 0 { "\n" } else { "" },
                        name.replace(['`', '\n', '\r'], " ")
                    )?;
                }
                writeln!(out, "{}", report.to_markdown())?;
            }
            Format::Human => {
                let options = HumanOptions {
                    color: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
                    width: terminal_width(),
                    path: (name != "-").then(|| name.clone()),
                };
                write!(out, "{}{}", if index > 0 { "\n" } else { "" }, report.to_human(options))?;
            }
        }
    }
    Ok(())
}

/// Columns of the terminal; 0, which cuts nothing, where the output goes elsewhere.
fn terminal_width() -> usize {
    if !io::stdout().is_terminal() {
        return 0;
    }
    usize::from(console::Term::stdout().size().1)
}
