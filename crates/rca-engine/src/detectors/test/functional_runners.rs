//! Clojure, Alcotest, Hspec, testthat, gotestsum, gocheck, Go's fuzzing.
//!
//! **What:** the line that names the failed test with its place.
//! **Why:** the lines below it say what was expected and what came.
//! **What to do:** run the named test alone with the runner's filter option.

use crate::report::Category::{Crash, TestFailure};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("clojure.failed", TestFailure, 80, &["FAIL in (", "ERROR in ("], r"^(?:FAIL|ERROR) in \(?(?P<test>[^\s()]+)\)? \((?P<file>[^:()]+):(?P<line>\d+)\)")
        .span(0, 4)
        .tested(&["FAIL in (adds-up-test) (till_test.clj:12)"], &["FAIL in it"]),
    Rule::cause("alcotest.failed", TestFailure, 80, &["[FAIL] "], r"^[>│]? ?\[FAIL\] +(?P<test>\S.*?\S)\.?(?: +│)?$")
        .span(0, 2)
        .tested(&["> [FAIL]        drawer          1   adds up."], &["  [OK]          drawer          0   opens.", "    Shop.Till.Adds [FAIL]"]),
    Rule::detail("hspec.place", TestFailure, 40, &[".hs:"], r"^  (?P<file>\S+\.hs):(?P<line>\d+):(?P<column>\d+): ?$")
        .span(0, 4)
        .tested(&["  test/DrawerSpec.hs:12:5: "], &[]),
    Rule::detail("hspec.expected", TestFailure, 30, &["expected: "], r"^ {5,}(?P<message>expected: .+)")
        .span(1, 1)
        .tested(&["       expected: 42"], &[]),
    Rule::cause("quickcheck.falsified", TestFailure, 76, &["*** Failed! "], r"^\s*(?:[+*]+ )?\*\*\* Failed! (?P<message>.+)")
        .span(1, 3)
        .tested(&["*** Failed! Falsified (after 3 tests):"], &["+++ OK, passed 100 tests."]),
    Rule::cause("testthat.place", TestFailure, 80, &["Failure (", "Error ("], r"^(?:── |-- )?(?:Failure|Error) \('?(?P<file>[^:')]+\.[rR]):(?P<line>\d+)(?::\d+)?'?\): (?P<test>.+?)(?: [─-]+)?$")
        .span(0, 4)
        .tested(&["Failure (test-drawer.R:12:3): adds up", "── Error ('test-a.R:3'): opens ──"], &["Error (x)"]),
    Rule::detail("testthat.message", TestFailure, 40, &[" not equal to ", " not identical to ", " is not TRUE"], r"^(?P<message>`.+` (?:not equal to|not identical to|is not TRUE).*)")
        .tested(&["`total` not equal to 42."], &[]),
    Rule::cause("gotestsum.failed", TestFailure, 81, &["=== FAIL: "], r"^=== FAIL: \S+ (?P<test>\S+) \([\d.]+s\)")
        .span(0, 4)
        .tested(&["=== FAIL: drawer TestAddsUp (0.00s)"], &["=== RUN   TestAddsUp"]),
    Rule::detail("gotestsum.place", TestFailure, 40, &["_test.go:"], r"^\s+(?P<file>[\w./-]+_test\.go):(?P<line>\d+): (?P<message>.+)")
        .tested(&["    drawer_test.go:21: got 41, want 42"], &[]),
    Rule::cause("gocheck.failed", TestFailure, 81, &["FAIL: ", "PANIC: "], r"^(?:FAIL|PANIC): (?P<file>[\w./-]+\.go):(?P<line>\d+): (?P<test>\w+\.\w+)$")
        .span(0, 6)
        .tested(&["FAIL: drawer_test.go:18: DrawerSuite.TestAddsUp"], &["FAIL: drawer_test.go"]),
    Rule::cause("go.fuzz", Crash, 79, &["Failing input written to"], r"^\s+Failing input written to testdata/fuzz/(?P<test>\w+)/")
        .span(4, 1)
        .tested(&["    Failing input written to testdata/fuzz/FuzzTotal/771e938e4458e983"], &["input written"]),
    Rule::cause("munit.failed", TestFailure, 80, &["==> X "], r"^==> X (?P<test>\S.*?) +[\d.]+s +(?P<message>.+)$")
        .span(0, 6)
        .tested(&["==> X shop.DrawerSuite.adds up  0.031s munit.ComparisonFailException: /b/DrawerSuite.scala:12"], &["==> i shop.DrawerSuite.opens ignored"]),
    Rule::of(Role::Summary, "sbt.summary", TestFailure, &["[error] Failed: Total", "[error] Error: Total", "TestsFailedException"], r"^\[error\] (?:(?:Failed|Error): Total \d+|\(.+\) sbt\.TestsFailedException)")
        .with_weight(56)
        .tested(&["[error] Failed: Total 2, Failed 1, Errors 0, Passed 1"], &["[info] Passed: Total 2"]),
];
