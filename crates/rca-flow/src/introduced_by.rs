//! Whose failure it is, decided from facts alone.

use forge_core::model::{ChangedFile, Diff};
use jiff::Timestamp;
use rca_engine::{Domain, Report};

use crate::types::IntroducedBy;

/// What is known besides the report. What could not be found out is `None` and named in `unknown`.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The branch that the change goes to, or the default branch.
    pub base: Option<String>,
    /// Whether the change is a pull request, or commits of another branch than `base`.
    pub is_off_base: bool,
    /// The run in which the same job passed on the same commit, as people name it.
    pub passed_in: Option<String>,
    /// When the same failure was seen on `base`, without a green job since.
    pub base_failed_at: Option<Timestamp>,
    /// When the job was last green on `base`.
    pub green_at: Option<Timestamp>,
    /// Whether nothing but this change lies between that green job and the failure.
    pub is_only_change: bool,
    /// What the change touches.
    pub diff: Option<Diff>,
    /// What could not be found out, and why: at most one short sentence each.
    pub unknown: Vec<String>,
}

/// Decides whose failure it is.
///
/// The order is that of the strength of the facts: a broken machine is nobody's change, a job that passed on the same
/// commit cannot fail by it alone, a failure that the base branch has too was there before. Only then the change is
/// asked.
#[must_use]
pub fn decide(report: &Report, known: &Known) -> IntroducedBy {
    let base = known.base.as_deref().unwrap_or("the default branch");
    if report.domain == Domain::Infrastructure {
        let what = word(&report.category);
        return said("infrastructure", format!("{what} is a fault around the job, not in the change"));
    }
    if let Some(run) = &known.passed_in {
        return said("flaky", format!("the same job passed on the same commit in {run}"));
    }
    if let Some(at) = known.base_failed_at {
        return said(
            "base_branch",
            format!("{base} failed the same way at {}, and was not seen green since", minute(at)),
        );
    }
    let green = known.green_at.map(|at| format!("; {base} was green at {}", minute(at))).unwrap_or_default();
    let change = if known.is_off_base { "the diff" } else { "this commit" };
    if let Some(touched) = known.diff.as_ref().and_then(|diff| touched(report, diff)) {
        let reason = match touched {
            Touched::Line(path, line) => format!("{path}:{line} is in {change}{green}"),
            Touched::Test(path) => format!("the failing test's file {path} is in {change}{green}"),
            Touched::Path(path) => format!("{path}, where it fails, is touched by {change}{green}"),
        };
        return said("this_change", reason);
    }
    if let Some(at) = known.green_at.filter(|_| known.is_only_change) {
        let places = known.diff.as_ref().filter(|_| has_places(report));
        let hint = if places.is_some() { ", though no failing place is in the diff" } else { "" };
        return said(
            "this_change",
            format!("{base} was green at {}, and only this change came after{hint}", minute(at)),
        );
    }
    let mut reasons = Vec::new();
    match &known.diff {
        Some(diff) if diff.is_truncated => reasons.push("the change is too large to be compared".to_owned()),
        Some(_) if has_places(report) => reasons.push(format!("no failing place is in {change}")),
        Some(_) => reasons.push("the log names no place in the source".to_owned()),
        None => {}
    }
    if let Some(at) = known.green_at {
        reasons.push(format!("{base} was green at {}, but other changes came since", minute(at)));
    }
    reasons.extend(known.unknown.iter().cloned());
    if reasons.is_empty() {
        reasons.push("it has not been compared with other runs".to_owned());
    }
    said("unknown", reasons.join("; "))
}

/// How a change touches a failure, the strongest form.
enum Touched {
    Line(String, u64),
    Test(String),
    Path(String),
}

fn touched(report: &Report, diff: &Diff) -> Option<Touched> {
    let (locations, tests) = (&report.failing.locations, &report.failing.tests);
    let with_lines = locations
        .iter()
        .map(|place| (Some(place.path.as_str()), place.line))
        .chain(tests.iter().map(|test| (test.file.as_deref(), test.line)));
    for (path, line) in with_lines {
        let (Some(path), Some(line)) = (path, line) else { continue };
        let Some(file) = file(diff, path) else { continue };
        let is_written = |ranges: &Vec<_>| {
            ranges.iter().any(|range: &forge_core::model::LineRange| range.start <= line && line <= range.end)
        };
        if file.lines.as_ref().is_some_and(is_written) {
            return Some(Touched::Line(file.path.clone(), line));
        }
    }
    let test = tests.iter().filter_map(|test| test.file.as_deref()).find_map(|path| file(diff, path));
    if let Some(test) = test {
        return Some(Touched::Test(test.path.clone()));
    }
    let place = locations.iter().find_map(|place| file(diff, &place.path));
    place.map(|place| Touched::Path(place.path.clone()))
}

fn has_places(report: &Report) -> bool {
    !report.failing.locations.is_empty() || report.failing.tests.iter().any(|test| test.file.is_some())
}

/// The file of the change that a path of a log means: logs know absolute paths, and paths from a subdirectory. A path
/// that could mean several files means none.
fn file<'diff>(diff: &'diff Diff, path: &str) -> Option<&'diff ChangedFile> {
    let path = path.replace('\\', "/");
    let path = path.trim_start_matches("./");
    let names = |file: &'diff ChangedFile| std::iter::once(&file.path).chain(file.old_path.as_ref());
    if let Some(same) = diff.files.iter().find(|file| names(file).any(|name| name == path)) {
        return Some(same);
    }
    let is_tail = |long: &str, short: &str| {
        !short.is_empty() && long.strip_suffix(short).is_some_and(|head| head.ends_with('/'))
    };
    let mut found =
        diff.files.iter().filter(|file| names(file).any(|name| is_tail(path, name) || is_tail(name, path)));
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

pub(crate) fn said(verdict: &str, reason: String) -> IntroducedBy {
    // Branches and paths are foreign, and can be long.
    let reason = if reason.chars().count() > REASON {
        format!("{}\u{2026}", reason.chars().take(REASON).collect::<String>())
    } else {
        reason
    };
    IntroducedBy { verdict: verdict.to_owned(), reason }
}

/// Characters of a reason.
const REASON: usize = 500;

pub(crate) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn word(value: &impl serde::Serialize) -> String {
    crate::connect::word(value).replace('_', " ")
}
