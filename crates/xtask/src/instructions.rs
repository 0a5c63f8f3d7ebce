//! Counts the instructions that the engine takes for one log. Unlike seconds they are the same on a busy
//! machine, so that a change which makes the engine slower is seen before it is merged.

#![expect(clippy::disallowed_methods, reason = "valgrind and cargo are programs")]

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::Context as _;

/// Where the count is kept.
const KEPT: &str = "docs/instructions.toml";
/// A count may grow by this many per cent before the check fails.
const TOLERANCE: u64 = 10;
/// Fixtures that stand between the ordinary lines: by name, so that a new fixture changes nothing.
const FIXTURES: [&str; 6] = [
    "build/rustc.log",
    "build/gcc.log",
    "test/pytest-fixture.log",
    "test/jest.log",
    "dependency/pnpm.log",
    "infra/dns.log",
];
/// How often all of them are written.
const ROUNDS: u64 = 60;

/// Counts, and compares with what is kept, or keeps it when `is_update`.
pub(crate) fn run(root: &Path, is_update: bool) -> anyhow::Result<ExitCode> {
    let mut say = io::stdout();
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        writeln!(say, "instructions: valgrind is not installed, nothing was counted")?;
        // In CI no check may be left out.
        return Ok(if env::var_os("CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let count = count(root)?;
    let path = root.join(KEPT);
    let place = format!("{}, {}", compiler()?, env::consts::ARCH);
    if is_update {
        let text = format!(
            "# Instructions of the engine for one log: `cargo xtask instructions --update` writes this file.\n\
             measured_with = \"{place}\"\ninstructions = {count}\n"
        );
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(say, "instructions: {count}, kept in {KEPT}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let kept: toml::Table = text.parse().with_context(|| format!("{KEPT} is no TOML"))?;
    let known = kept.get("instructions").and_then(toml::Value::as_integer);
    let known = u64::try_from(known.context("`instructions` is missing")?)?;
    let with = kept.get("measured_with").and_then(toml::Value::as_str).unwrap_or_default();
    let change = (count as f64 / known as f64 - 1.0) * 100.0;
    writeln!(say, "instructions: {count}, {change:+.1} % of the {known} kept in {KEPT}")?;
    if with != place {
        writeln!(
            say,
            "instructions: not compared, since those were counted with {with} and these with {place}"
        )?;
    } else if count * 100 > known * (100 + TOLERANCE) {
        writeln!(
            io::stderr(),
            "instructions: more than {TOLERANCE} % too many; find out why (`callgrind_annotate` reads \
             `callgrind.out` in the target folder), or keep the new count with `cargo xtask instructions --update`"
        )?;
        return Ok(ExitCode::FAILURE);
    } else if count * (100 + TOLERANCE) < known * 100 {
        writeln!(
            say,
            "instructions: far fewer; keep the new count with `cargo xtask instructions --update`"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the example and runs it under callgrind.
fn count(root: &Path) -> anyhow::Result<u64> {
    let built = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--quiet", "--release", "--locked", "-p", "rca-engine", "--example", "analyze"])
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    anyhow::ensure!(built.success(), "the example `analyze` of rca-engine does not build");
    // This program itself lies in the `debug` folder of the target folder.
    let program = env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program lies in no target folder")?;
    let log = target.join("instructions.log");
    fs::write(&log, medium_log(root)?).with_context(|| format!("cannot write {}", log.display()))?;
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", target.join("callgrind.out").display()))
        .arg(target.join("release/examples/analyze"))
        .arg(&log)
        .output()
        .context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "valgrind failed: {said}");
    let count = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.with_context(|| format!("valgrind gave no count: {said}"))?;
    count.trim().parse().with_context(|| format!("{count:?} is no count"))
}

fn compiler() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("cannot run rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Failures of several tools between what jobs print that go well: some 3 MB, the same each time.
fn medium_log(root: &Path) -> anyhow::Result<Vec<u8>> {
    let mut fixtures = Vec::new();
    for name in FIXTURES {
        let path = root.join("fixtures/logs").join(name);
        fixtures.push(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let mut log = Vec::new();
    for round in 0..ROUNDS {
        for (kind, fixture) in fixtures.iter().enumerate() {
            let mut text = String::new();
            for line in 0..100_u64 {
                let number = round * 7919 + line * 104_729;
                let second = number % 60;
                let _ = match kind {
                    0 => writeln!(
                        text,
                        "2026-03-01T10:11:{second:02}.123Z    Compiling crate-{number} v1.{second}.0"
                    ),
                    1 => {
                        writeln!(text, "[{second}/1200] Building CXX object src/core.dir/part_{number}.cpp.o")
                    }
                    2 => writeln!(
                        text,
                        "tests/unit/test_{second}.py::test_case_{number} PASSED   [ {second}%]"
                    ),
                    3 => writeln!(
                        text,
                        "\u{1b}[32mok {number}\u{1b}[0m - renders {second} items \u{1b}[2m({second} ms)\u{1b}[0m"
                    ),
                    4 => writeln!(
                        text,
                        "Downloading https://example.invalid/part-{number}.jar ({second} kB at 312 kB/s)"
                    ),
                    _ => writeln!(text, "--- PASS: TestHandler/case_{number} (0.{second:02}s)"),
                };
            }
            log.extend_from_slice(text.as_bytes());
            log.extend_from_slice(fixture);
        }
    }
    Ok(log)
}
