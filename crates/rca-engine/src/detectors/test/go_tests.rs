//! `go test`, testify and Ginkgo.
//!
//! **What:** `--- FAIL:` blocks with the lines the test logged, panics, data races, time-outs.
//! **Why:** the deepest failed subtest carries the message; its parents only repeat the failure.
//! **What to do:** `go test -run 'NAME' ./package -v`.

use crate::report::Category::{Crash, TestFailure, TestTimeout};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("go.subtest", TestFailure, 80, &["--- FAIL: "], r"^\s+--- FAIL: (?P<test>\S+) \([\d.]+s\)")
        .span(0, 4)
        .tested(&["    --- FAIL: TestA/sub (0.00s)"], &["--- FAIL: TestA (0.00s)"]),
    Rule::cause("go.test", TestFailure, 78, &["--- FAIL: "], r"^\s*--- FAIL: (?P<test>\S+) \([\d.]+s\)")
        .span(0, 4)
        .tested(
            &["--- FAIL: TestJoin (0.03s)", "    --- FAIL: TestA/sub (0.00s)"],
            &["--- PASS: TestA (0.00s)"],
        ),
    Rule::detail(
        "go.location",
        TestFailure,
        60,
        &["_test.go:"],
        r"^\s+(?P<file>[\w./-]+_test\.go):(?P<line>\d+): (?P<message>.+)",
    )
    .span(0, 3)
    .tested(&["    calc_test.go:12: got 3, want 4"], &[]),
    Rule::detail("go.testify", TestFailure, 64, &["Error Trace:"], r"^\s*(?:\S+:\d+:\s+)?Error Trace:")
        .span(1, 5)
        .tested(&["        Error Trace:\ttill_test.go:12"], &[]),
    Rule::cause("go.panic", Crash, 74, &["panic: "], r"^panic: (?P<message>.+)")
        .span(0, 5)
        .tested(&["panic: runtime error: index out of range [5]"], &["don't panic: x"]),
    Rule::cause(
        "go.timeout",
        TestTimeout,
        86,
        &["panic: test timed out after"],
        r"^panic: test timed out after \S+",
    )
    .span(0, 4)
    .tested(&["panic: test timed out after 10m0s"], &["test timed out after"]),
    Rule::cause("go.race", TestFailure, 80, &["WARNING: DATA RACE"], r"^WARNING: DATA RACE$")
        .span(0, 8)
        .tested(&["WARNING: DATA RACE"], &["DATA RACE"]),
    Rule::cause(
        "ginkgo.failed",
        TestFailure,
        80,
        &["[FAILED] ", "[Fail] ", "[PANICKED] ", "[TIMEDOUT] "],
        r"^\s*\[(?:FAILED|Fail|PANICKED|TIMEDOUT)\] (?P<message>.+)",
    )
    .span(0, 5)
    .tested(&["  [FAILED] Expected the drawer to be shut"], &["[FAILED]"]),
    Rule::cause(
        "ginkgo.heading",
        TestFailure,
        78,
        &["[FAILED] [", "[PANICKED] [", "[TIMEDOUT] ["],
        r"^\s*• \[(?:FAILED|PANICKED|TIMEDOUT)\] \[[\d.]+ seconds\]$",
    )
    .span(0, 4)
    .tested(&["• [FAILED] [0.250 seconds]"], &["• [0.250 seconds]"]),
    Rule::detail(
        "ginkgo.place",
        TestFailure,
        30,
        &["] at: "],
        r"^\s*In \[\w+\] at: (?P<file>\S+?):(?P<line>\d+)",
    )
    .tested(&["  In [It] at: /b/drawer/drawer_test.go:18 @ 05/06/26 07:00:01"], &[]),
    Rule::of(Role::Wrapper, "go.package", TestFailure, &["FAIL"], r"^FAIL(?:\t\S+\t[\d.]+s| .*)?$")
        .tested(&["FAIL", "FAIL\texample.com/app\t0.012s"], &["FAILURE"]),
];
