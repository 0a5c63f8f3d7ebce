//! Whose failure it is, decided from facts.

use forge_core::model::{ChangedFile, Diff, FileChange};
use rca_engine::{FailingTest, Location, Report};
use rca_flow::introduced_by::{Known, decide};

const PATCH: &str = "@@ -40,2 +40,3 @@\n def pay():\n+    total = 0\n     return total\n";

fn at(text: &str) -> Option<jiff::Timestamp> {
    Some(text.parse().unwrap())
}

fn report(locations: &[(&str, Option<u64>)]) -> Report {
    let mut report = rca_engine::analyze(crate::stub::PYTEST.as_bytes());
    report.failing.tests.clear();
    report.failing.locations = locations
        .iter()
        .map(|(path, line)| Location {
            path: (*path).to_owned(),
            line: *line,
            column: None,
            message: String::new(),
        })
        .collect();
    report
}

fn diff(paths: &[&str]) -> Option<Diff> {
    let mut diff = Diff::default();
    diff.files =
        paths.iter().map(|path| ChangedFile::new(*path, FileChange::Modified).with_patch(PATCH)).collect();
    Some(diff)
}

fn known() -> Known {
    Known { base: Some("main".to_owned()), is_off_base: true, ..Known::default() }
}

fn killed() -> Report {
    let log = "Cloning\nfatal: unable to access 'https://git.example/a.git/': Could not resolve host: git.example\n";
    rca_engine::analyze(log.as_bytes())
}

#[test]
fn the_strongest_fact_decides() {
    let line = || report(&[("src/pay.py", Some(41))]);
    let green = || at("2026-11-20T12:00:00Z");
    let truncated = || {
        let mut diff = diff(&["docs/a.md"]);
        diff.as_mut().unwrap().is_truncated = true;
        diff
    };
    let cases: Vec<(&str, Report, Known, &str, &str)> = vec![
        (
            "the network is nobody's change, whatever else is known",
            killed(),
            Known { passed_in: Some("run 7".to_owned()), diff: diff(&["a"]), ..known() },
            "infrastructure",
            "not in the change",
        ),
        (
            "a pass on the same commit",
            line(),
            Known { passed_in: Some("run 7".to_owned()), diff: diff(&["src/pay.py"]), ..known() },
            "flaky",
            "the same job passed on the same commit in run 7",
        ),
        (
            "the base has it too, though the line is in the diff",
            line(),
            Known { base_failed_at: at("2026-11-20T12:00:00Z"), diff: diff(&["src/pay.py"]), ..known() },
            "base_branch",
            "main failed the same way at 2026-11-20 12:00 UTC",
        ),
        (
            "the line was written",
            line(),
            Known { diff: diff(&["src/pay.py"]), green_at: green(), ..known() },
            "this_change",
            "src/pay.py:41 is in the diff; main was green at 2026-11-20 12:00 UTC",
        ),
        (
            "an absolute path of the runner",
            report(&[("/builds/acme/shop/src/pay.py", Some(41))]),
            Known { diff: diff(&["src/pay.py"]), ..known() },
            "this_change",
            "src/pay.py:41 is in the diff",
        ),
        (
            "a path from a subdirectory",
            report(&[("./pay.py", Some(41))]),
            Known { diff: diff(&["src/pay.py", "src/prepay.py"]), ..known() },
            "this_change",
            "src/pay.py:41 is in the diff",
        ),
        (
            "a path that could mean two files means none",
            report(&[("pay.py", Some(41))]),
            Known { diff: diff(&["a/pay.py", "b/pay.py"]), ..known() },
            "unknown",
            "no failing place is in the diff",
        ),
        (
            "another line of a touched file",
            report(&[("src/pay.py", Some(7))]),
            Known { diff: diff(&["src/pay.py"]), ..known() },
            "this_change",
            "src/pay.py, where it fails, is touched by the diff",
        ),
        (
            "only this change came after the last green job",
            report(&[("src/other.py", Some(7))]),
            Known { diff: diff(&["src/pay.py"]), green_at: green(), is_only_change: true, ..known() },
            "this_change",
            "main was green at 2026-11-20 12:00 UTC, and only this change came after, though no failing place",
        ),
        (
            "other changes came since",
            report(&[]),
            Known { diff: diff(&["src/pay.py"]), green_at: green(), ..known() },
            "unknown",
            "the log names no place in the source; main was green at 2026-11-20 12:00 UTC, but other changes",
        ),
        (
            "a change that the forge shows in part",
            line(),
            Known { diff: truncated(), ..known() },
            "unknown",
            "too large to be compared",
        ),
        (
            "a commit on the base itself",
            line(),
            Known { is_off_base: false, diff: diff(&["src/pay.py"]), ..known() },
            "this_change",
            "src/pay.py:41 is in this commit",
        ),
        (
            "what could not be read is said",
            line(),
            Known { unknown: vec!["what changed could not be read: no answer".to_owned()], ..known() },
            "unknown",
            "what changed could not be read",
        ),
        ("nothing is known", line(), Known::default(), "unknown", "has not been compared"),
    ];
    for (name, report, known, verdict, reason) in cases {
        let told = decide(&report, &known);
        assert_eq!(told.verdict, verdict, "{name}: {told:?}");
        assert!(told.reason.contains(reason), "{name}: {told:?}");
    }
}

#[test]
fn the_file_of_a_failing_test() {
    let mut report = report(&[]);
    let test = |file: &str, line| FailingTest {
        name: "test_pay".to_owned(),
        file: Some(file.to_owned()),
        line,
        message: None,
    };
    report.failing.tests = vec![test("tests/test_pay.py", Some(3))];
    let known = Known { diff: diff(&["tests/test_pay.py"]), ..known() };
    let told = decide(&report, &known);
    assert_eq!(told.verdict, "this_change");
    assert_eq!(told.reason, "the failing test's file tests/test_pay.py is in the diff");
    report.failing.tests = vec![test("tests/test_pay.py", Some(41))];
    assert_eq!(decide(&report, &known).reason, "tests/test_pay.py:41 is in the diff");
}

#[test]
fn reasons_are_short() {
    let long = "x/".repeat(2_000);
    let report = report(&[(&long, Some(41))]);
    let told = decide(&report, &Known { diff: diff(&[&long]), ..known() });
    assert!(told.reason.chars().count() <= 501, "{}", told.reason.len());
}
