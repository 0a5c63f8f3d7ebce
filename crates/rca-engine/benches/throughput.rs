//! Bytes per second of the engine beside ripgrep's own search crates, in one run.
//!
//! The log is a concatenation of the fixture logs with what stands between failures in real logs:
//! downloads, compilations, passed tests, in the frames of several CI systems. Time is what the processor
//! worked for a thread, so that others on the machine do not count; Linux tells it.
//!
//! | variable | meaning |
//! |---|---|
//! | `THROUGHPUT_MB` | size of the log; 128 unless told, 1024 for the figure that counts |
//! | `THROUGHPUT_LOG` | a log of your own instead |

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "memory is measured in a process of its own")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use grep_regex::RegexMatcherBuilder;
use grep_searcher::{Searcher, Sink, SinkMatch};
use rca_engine::{Analyzer, recognised};

type Outcome<T> = Result<T, Box<dyn Error>>;

const CHUNK: usize = 256 * 1024;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    // A process of its own for each measurement of memory.
    if let Some(at) = arguments.iter().position(|argument| argument == "--resident") {
        let path = arguments.get(at + 1).ok_or("a path is missing")?;
        engine(Path::new(path))?;
        println!("{}", resident()?);
        return Ok(());
    }
    let megabytes: u64 =
        std::env::var("THROUGHPUT_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(128);
    let folder = tempfile::tempdir()?;
    let path = match std::env::var_os("THROUGHPUT_LOG") {
        Some(path) => PathBuf::from(path),
        None => {
            let path = folder.path().join("whole.log");
            write_log(&path, megabytes << 20)?;
            path
        }
    };
    let size = fs::metadata(&path)?.len();
    let threads = std::thread::available_parallelism()?.get();
    println!("{:.0} MiB, {threads} threads", mebibytes(size));

    engine(&path)?;
    let (ours, theirs) = (fastest(|| timed(&path, engine))?, fastest(|| timed(&path, ripgrep))?);
    print("one thread", size, ours, theirs);

    let copies: Vec<&Path> = std::iter::repeat_n(path.as_path(), threads).collect();
    let ours = fastest(|| in_parallel(&copies, engine))?;
    let theirs = fastest(|| in_parallel(&copies, ripgrep))?;
    print(&format!("{threads} logs on {threads} threads"), size * threads as u64, ours, theirs);

    println!("\n| size | engine | per MiB | resident |\n|---|---|---|---|");
    for part in [4, 2, 1] {
        let piece = folder.path().join(format!("part-{part}.log"));
        std::io::copy(&mut File::open(&path)?.take(size / part), &mut File::create(&piece)?)?;
        let time = fastest(|| timed(&piece, engine))?;
        let output = Command::new(std::env::current_exe()?).arg("--resident").arg(&piece).output()?;
        let kilobytes: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
        println!(
            "| {:.0} MiB | {:.3} s | {:.3} ms | {:.1} MiB |",
            mebibytes(size / part),
            time.as_secs_f64(),
            time.as_secs_f64() * 1000.0 / mebibytes(size / part),
            kilobytes as f64 / 1024.0
        );
    }
    Ok(())
}

fn print(what: &str, size: u64, ours: Duration, theirs: Duration) {
    println!(
        "{what}: engine {:.0} MB/s ({:.3} s), ripgrep {:.0} MB/s ({:.3} s), ratio {:.2}",
        size as f64 / 1e6 / ours.as_secs_f64(),
        ours.as_secs_f64(),
        size as f64 / 1e6 / theirs.as_secs_f64(),
        theirs.as_secs_f64(),
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}

fn mebibytes(size: u64) -> f64 {
    size as f64 / f64::from(1 << 20)
}

/// The best of three.
fn fastest(mut run: impl FnMut() -> Outcome<Duration>) -> Outcome<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        best = best.min(run()?);
    }
    Ok(best)
}

fn timed(path: &Path, run: fn(&Path) -> Outcome<u64>) -> Outcome<Duration> {
    let begin = worked()?;
    run(path)?;
    Ok(worked()?.saturating_sub(begin))
}

/// How long the processor has worked for this thread (Linux: Documentation/scheduler/sched-stats).
fn worked() -> Outcome<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().ok_or("no time in schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.trim().parse()?))
}

/// The time of the slowest thread.
fn in_parallel(paths: &[&Path], run: fn(&Path) -> Outcome<u64>) -> Outcome<Duration> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .iter()
            .map(|path| scope.spawn(move || timed(path, run).map_err(|error| error.to_string())))
            .collect();
        let mut slowest = Duration::ZERO;
        for thread in threads {
            slowest = slowest.max(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(slowest)
    })
}

fn engine(path: &Path) -> Outcome<u64> {
    let mut file = File::open(path)?;
    let mut analyzer = Analyzer::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(analyzer.finish().log.lines);
        }
        analyzer.push(buffer.get(..length).unwrap_or_default());
    }
}

/// Counts the lines in which any literal of the engine's gate occurs.
fn ripgrep(path: &Path) -> Outcome<u64> {
    let literals: Vec<&str> = recognised().flat_map(|rule| rule.literals.iter().copied()).collect();
    let matcher =
        RegexMatcherBuilder::new().case_insensitive(true).fixed_strings(true).build_many(&literals)?;
    let mut count = Count(0);
    Searcher::new().search_path(&matcher, path, &mut count)?;
    Ok(count.0)
}

struct Count(u64);

impl Sink for Count {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, _: &SinkMatch<'_>) -> Result<bool, std::io::Error> {
        self.0 += 1;
        Ok(true)
    }
}

/// The most memory this process has had, in KiB.
fn resident() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Writes the fixture logs again and again, with what stands between failures.
fn write_log(path: &Path, size: u64) -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/logs");
    let mut logs = Vec::new();
    for class in fs::read_dir(root)? {
        for log in fs::read_dir(class?.path())? {
            logs.push(fs::read(log?.path())?);
        }
    }
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut round) = (0, 0_u64);
    while written < size {
        for log in &logs {
            round += 1;
            let mut text = String::new();
            for line in 0..120 {
                text.push_str(&ordinary(round, line));
            }
            file.write_all(text.as_bytes())?;
            file.write_all(log)?;
            written += (text.len() + log.len()) as u64;
        }
    }
    file.flush()?;
    Ok(())
}

/// A line of a job that goes well.
fn ordinary(round: u64, line: u64) -> String {
    let number = round * 7919 + line * 104_729;
    let second = number % 60;
    match (round + line / 12) % 8 {
        0 => format!(
            "2026-03-01T10:11:{second:02}.{:07}Z    Compiling crate-{number} v1.{second}.0\n",
            number % 10_000_000
        ),
        1 => format!(
            "Downloading: https://repo.example.invalid/maven2/org/example/part-{number}/1.{second}/part.jar ({second} kB at 312 kB/s)\n"
        ),
        2 => format!("tests/unit/test_module_{second}.py::test_case_{number} PASSED        [ {second}%]\n"),
        3 => format!(
            "\u{1b}[32mok {number}\u{1b}[0m - renders the page with {second} items \u{1b}[2m({second} ms)\u{1b}[0m\n"
        ),
        4 => format!("--- PASS: TestHandler/case_{number} (0.{second:02}s)\n"),
        5 => format!("[{second}/1200] Building CXX object src/CMakeFiles/core.dir/part_{number}.cpp.o\n"),
        6 => format!(
            "2026-03-01T10:11:{second:02}.123Z 00O Get:{number} http://deb.example.invalid stable/main amd64 libpart{second} amd64 1.{second}-2 [{number} B]\n"
        ),
        _ => format!(
            "  added package-{number}@2.{second}.1 and checked {second} files in module-{number}/lib/index\n"
        ),
    }
}
