//! The progress lines of test runners: a test begins, and it passes or not.

/// Lines between two progress lines that can still belong to one test.
const LONGEST: u64 = 5000;

/// What one line says about the progress of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A test begins; what follows is its output.
    Begin,
    /// The test that runs has passed.
    Passed,
    /// The test that runs has failed, and what follows explains it.
    Failed,
    /// A test of such a list begins.
    ListedBegin,
    /// A test passed whose output, if any, stands between the progress line before and this one.
    ListedPassed,
    /// A test failed in such a list.
    ListedFailed,
}

/// Where the output of the running test begins.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The line after the one that began the running test.
    begun: Option<u64>,
    /// The line after the last entry of a list of results, when that entry passed.
    listed: Option<u64>,
}

impl Progress {
    /// A new step begins: no test of the last one is still running.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes the next line; returns the lines a test printed that has just passed.
    pub(super) fn read(&mut self, number: u64, text: &str) -> Option<(u64, u64)> {
        match mark(text)? {
            Mark::Begin => {
                // Python's unittest and pytest print on after the name, on the same line.
                let same_line = text.contains(" ... ") && !text.ends_with("... ");
                self.begun = Some(if same_line { number } else { number + 1 });
                self.listed = None;
                None
            }
            Mark::Passed => {
                let first = self.begun.take()?;
                (number - first <= LONGEST).then_some((first, number - 1))
            }
            Mark::Failed => {
                self.begun = None;
                self.listed = None;
                None
            }
            Mark::ListedBegin => {
                self.listed = Some(number + 1);
                None
            }
            Mark::ListedPassed => {
                let first = self.listed.replace(number + 1)?;
                (number - first <= LONGEST).then_some((first, number - 1))
            }
            Mark::ListedFailed => {
                self.listed = None;
                None
            }
        }
    }
}

fn mark(text: &str) -> Option<Mark> {
    let line = text.trim_start();
    let byte = *line.as_bytes().first()?;
    match byte {
        b'=' | b'-' => go(line),
        b'[' => googletest(line).or_else(|| surefire(line)).or_else(|| ends(line)),
        b'R' | b'T' => surefire(line).or_else(|| xctest(line)).or_else(|| ends(line)),
        b'#' if line.starts_with("# Subtest: ") || line.starts_with("# Starting Test: ") => {
            Some(Mark::ListedBegin)
        }
        b'o' | b'n' => tap(line).or_else(|| ends(line)),
        0xe2 => check_marks(line),
        b'0'..=b'9' => numbered(line).or_else(|| ends(line)),
        _ => ends(line),
    }
}

/// `go test -v`.
fn go(line: &str) -> Option<Mark> {
    if line.starts_with("=== RUN ") || line.starts_with("=== CONT ") {
        Some(Mark::Begin)
    } else if line.starts_with("--- PASS: ") || line.starts_with("--- SKIP: ") {
        Some(Mark::Passed)
    } else if line.starts_with("--- FAIL: ") {
        Some(Mark::Failed)
    } else {
        None
    }
}

/// GoogleTest.
fn googletest(line: &str) -> Option<Mark> {
    if line.starts_with("[ RUN      ]") {
        Some(Mark::Begin)
    } else if line.starts_with("[       OK ]") || line.starts_with("[  SKIPPED ]") {
        Some(Mark::Passed)
    } else if line.starts_with("[  FAILED  ]") {
        Some(Mark::Failed)
    } else {
        None
    }
}

/// Surefire and Failsafe: `Running CLASS` and the counts of the class.
fn surefire(line: &str) -> Option<Mark> {
    let line = ["[INFO] ", "[ERROR] ", "[WARNING] "]
        .iter()
        .find_map(|level| line.strip_prefix(level))
        .unwrap_or(line);
    if let Some(class) = line.strip_prefix("Running ") {
        let named = class.contains('.') && !class.contains([' ', '/']);
        return named.then_some(Mark::Begin);
    }
    if !line.starts_with("Tests run: ") || !line.contains("Time elapsed: ") {
        return None;
    }
    let passed = line.contains("Failures: 0,") && line.contains("Errors: 0,");
    Some(if passed { Mark::Passed } else { Mark::Failed })
}

/// XCTest.
fn xctest(line: &str) -> Option<Mark> {
    let rest = line.strip_prefix("Test Case '")?;
    if rest.ends_with(" started.") {
        Some(Mark::Begin)
    } else if rest.contains("' passed (") {
        Some(Mark::Passed)
    } else if rest.contains("' failed (") {
        Some(Mark::Failed)
    } else {
        None
    }
}

/// The Test Anything Protocol.
fn tap(line: &str) -> Option<Mark> {
    let digit = |rest: &str| rest.starts_with(|character: char| character.is_ascii_digit());
    if line.strip_prefix("ok ").is_some_and(digit) {
        Some(Mark::ListedPassed)
    } else if line.strip_prefix("not ok ").is_some_and(digit) {
        Some(Mark::ListedFailed)
    } else {
        None
    }
}

/// Mocha, Jasmine, PHPUnit's testdox and others.
fn check_marks(line: &str) -> Option<Mark> {
    if line.starts_with("✓ ") || line.starts_with("✔ ") {
        Some(Mark::ListedPassed)
    } else if line.starts_with("✗ ") || line.starts_with("✘ ") || line.starts_with("✖ ") {
        Some(Mark::ListedFailed)
    } else {
        None
    }
}

/// Mocha's failed tests: `1) name`.
fn numbered(line: &str) -> Option<Mark> {
    let rest = line.trim_start_matches(|character: char| character.is_ascii_digit());
    rest.starts_with(") ").then_some(Mark::ListedFailed)
}

/// What the end of a line says: Gradle, pytest and Python's unittest.
fn ends(line: &str) -> Option<Mark> {
    match line {
        "ok" | "PASSED" => return Some(Mark::Passed),
        "FAIL" | "ERROR" | "FAILED" => return Some(Mark::Failed),
        _ => {}
    }
    let (first, last) = (line.find(' '), line.rfind(' '));
    if let Some(mark) = last.and_then(|at| verdict(line.get(at + 1..).unwrap_or_default())) {
        return (line.contains(" > ") || line.contains("::")).then_some(mark);
    }
    if line.starts_with("test") {
        // `test_sum (tests.Till) ... ok` of unittest; what the test prints stands before the result.
        if let Some((name, rest)) = line.split_once(" ...")
            && name.ends_with(')')
        {
            return match rest.trim() {
                "ok" => None,
                "FAIL" | "ERROR" => Some(Mark::Failed),
                _ => Some(Mark::Begin),
            };
        }
    }
    // `pytest -v -s` prints the name of the test, its output, and then the result.
    (first.is_none() && line.contains(".py::")).then_some(Mark::Begin)
}

/// The last word of a line that reports one test.
fn verdict(word: &str) -> Option<Mark> {
    match word {
        "STANDARD_OUT" | "STANDARD_ERR" | "STANDARD_ERROR" => Some(Mark::Begin),
        "FAILED" => Some(Mark::Failed),
        "PASSED" | "SKIPPED" => Some(Mark::Passed),
        _ => None,
    }
}
