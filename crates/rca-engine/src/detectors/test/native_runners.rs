//! Test runners of C, C++, Zig, Solidity and of build systems: Qt Test, CppUTest, Unity, cmocka, Meson, Automake, Bazel.
//!
//! **What:** the line of the failed test with its place, or the target whose tests failed.
//! **Why:** the counts at the end name no test, and the build system only passes the exit code on.
//! **What to do:** run the named test alone; for a target read the log that the line names.

use crate::report::Category::{Crash, TestFailure, TestTimeout};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("qttest.failed", TestFailure, 80, &["FAIL!  : "], r"^(?:\d+: )?FAIL!  : (?P<test>[\w:]+\(.*?\)) (?P<message>.+)")
        .span(0, 3)
        .tested(&["FAIL!  : TillTest::addsUp() Compared values are not the same"], &["PASS   : TillTest::addsUp()"]),
    Rule::detail("qttest.place", TestFailure, 30, &["Loc: ["], r"^(?:\d+: )?\s+Loc: \[(?P<file>[^\]()]+)\((?P<line>\d+)\)\]")
        .tested(&["   Loc: [/b/tests/till_test.cpp(31)]"], &[]),
    Rule::cause("cpputest.failed", TestFailure, 84, &["error: Failure in TEST("], r"^(?P<file>\S+?):(?P<line>\d+): error: Failure in (?:IGNORE_)?TEST\((?P<test>[^)]+)\)")
        .span(0, 3)
        .tested(&["tests/drawer_test.cpp:21: error: Failure in TEST(Drawer, AddsUp)"], &["tests/drawer_test.cpp:21: error: x"]),
    Rule::cause("unity.failed", TestFailure, 82, &[":FAIL"], r"^(?P<file>[^\s:]+):(?P<line>\d+):(?P<test>\w+):FAIL(?:: ?(?P<message>.+))?$")
        .tested(&["test/test_drawer.c:21:test_adds_up:FAIL: Expected 42 Was 41"], &["test/test_drawer.c:21:test_adds_up:PASS"]),
    Rule::cause("cmocka.failed", TestFailure, 79, &["[  ERROR   ] --- "], r"^\[  ERROR   \] --- (?P<message>.+)")
        .span(1, 3)
        .tested(&["[  ERROR   ] --- 0x2a != 0x29"], &["[  ERROR   ]"]),
    Rule::cause("check.failed", TestFailure, 80, &[":F:", ":E:"], r"^(?P<file>[^\s:]+):(?P<line>\d+):[FE]:[^:]+:(?P<test>[^:]+):\d+: (?P<message>.+)")
        .tested(&["tests/till.c:31:F:core:adds_up:0: Assertion 'total == 42' failed"], &["tests/till.c:31:P:core:adds_up:0: Passed"]),
    Rule::cause("meson.failed", TestFailure, 78, &[" FAIL  ", " TIMEOUT  ", " ERROR  "], r"^\s*\d+/\d+ (?:\S+ [:/] )?(?P<test>\S.*?) {2,}(?:FAIL|TIMEOUT|ERROR) +[\d.]+s")
        .span(0, 5)
        .tested(&["2/3 adds_up          FAIL            0.02s   exit status 1"], &["1/3 opens            OK              0.01s"]),
    Rule::cause("automake.failed", TestFailure, 72, &["FAIL: ", "XPASS: "], r"^(?:FAIL|XPASS|ERROR): (?P<test>[\w./+-]+)(?: \d+ - .+)?$")
        .tested(&["FAIL: tests/adds_up"], &["PASS: tests/opens", "ERROR: it is bad"]),
    Rule::cause("bazel.test", TestFailure, 78, &[" (see /", "(Exit "], r"^(?:FAIL|FLAKY): (?P<test>//\S+) \((?:shard .+|Exit \d+|see /.+)")
        .tested(&["FAIL: //till:drawer_test (see /root/.cache/bazel/test.log)"], &["PASS: //till:drawer_test (see /x)"]),
    Rule::cause("bazel.test_timeout", TestTimeout, 80, &["TIMEOUT: //"], r"^TIMEOUT: (?P<test>//\S+)")
        .tested(&["TIMEOUT: //till:drawer_test (Summary)"], &["TIMEOUT: 3"]),
    Rule::detail("bazel.listed", TestFailure, 50, &["FAILED in ", "TIMEOUT in ", "FAILED TO BUILD"], r"^(?P<test>//\S+) +(?:FAILED|TIMEOUT)(?: TO BUILD| in .+)$")
        .tested(&["//till:drawer_test                                                       FAILED in 0.3s"], &[]),
    Rule::cause("zig.test", TestFailure, 82, &["error: '", "FAIL ("], r"^(?:error: '(?P<test>\S*\.?test\.[^']+)' failed: (?P<message>.+)|\d+/\d+ \S+\.\.\.FAIL \(\w+\))")
        .span(0, 4)
        .tested(&["error: 'drawer.test.adds up' failed: expected 42, found 41"], &["error: 'drawer' failed"]),
    Rule::detail("zig.place", TestFailure, 30, &[".zig:"], r"^(?P<file>\S+\.zig):(?P<line>\d+):(?P<column>\d+): 0x[0-9a-f]+ in test\b")
        .tested(&["/b/src/drawer.zig:31:5: 0x1048d02 in test.adds up (test)"], &[]),
    Rule::cause("foundry.failed", TestFailure, 80, &["[FAIL"], r"^\[FAIL(?:: (?P<message>.*?))?\] (?P<test>\w+\(.*?\))")
        .tested(&["[FAIL: assertion failed: 41 != 42] test_addsUp() (gas: 8123)"], &["[PASS] test_opens() (gas: 5512)"]),
    Rule::cause("valgrind.finding", Crash, 82, &["Invalid read of size", "Invalid write of size", "Conditional jump or move depends", "definitely lost in loss record", "Use of uninitialised value"], r"^==\d+== (?:Invalid (?:read|write|free)|Conditional jump or move depends|Use of uninitialised|.*definitely lost in loss record)")
        .span(0, 4)
        .tested(&["==4711== Invalid read of size 4"], &["==4711== Command: ./till"]),
    Rule::of(Role::Summary, "valgrind.summary", Crash, &["ERROR SUMMARY: "], r"^==\d+== ERROR SUMMARY: [1-9]")
        .tested(&["==4711== ERROR SUMMARY: 1 errors from 1 contexts (suppressed: 0 from 0)"], &[]),
    Rule::cause("libfuzzer.crash", Crash, 84, &["ERROR: libFuzzer: "], r"^==\d+== ?ERROR: libFuzzer: (?P<message>.+)")
        .span(0, 3)
        .tested(&["==4711== ERROR: libFuzzer: deadly signal"], &["libFuzzer"]),
];
