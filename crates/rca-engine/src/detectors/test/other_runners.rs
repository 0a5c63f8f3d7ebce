//! Test runners of PHP, Ruby, Elixir, Erlang, Perl, .NET, Swift, C++, R and browsers.
//!
//! **What:** the heading of a failed test and the lines below it.
//! **Why:** each runner prints a numbered block per failure; the summary repeats it.
//! **What to do:** run the named test alone with the runner's filter option.

use crate::report::Category::{Crash, TestCollection, TestFailure, TestTimeout};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("phpunit.failed", TestFailure, 80, &["0) ", "1) ", "2) ", "3) ", "4) ", "5) ", "6) ", "7) ", "8) ", "9) "], r"^\d+\) (?P<test>[\w\\]+::\w+(?: with data set .*)?)$")
        .span(0, 6)
        .tested(&["1) App\\Test\\CalcTest::testAdd", "2) CalcTest::testAdd with data set #0 ('a')"], &["1) something else"]),
    Rule::detail("phpunit.assertion", TestFailure, 62, &["Failed asserting that"], r"^(?P<message>Failed asserting that .+)")
        .span(1, 4)
        .tested(&["Failed asserting that two strings are equal."], &[]),
    Rule::of(Role::Summary, "phpunit.summary", TestFailure, &["FAILURES!", "ERRORS!"], r"^(?:FAILURES|ERRORS)!$")
        .tested(&["FAILURES!"], &["OK (3 tests)"]),
    Rule::cause("rspec.failed", TestFailure, 80, &["Failure/Error:"], r"^\s*Failure/Error: (?P<message>.+)")
        .span(1, 6)
        .tested(&["     Failure/Error: expect(x).to eq(10)"], &["Failure: x"]),
    Rule::cause("rspec.load", TestCollection, 84, &["An error occurred while loading"], r"^An error occurred while loading (?P<file>\S+?)\.?$")
        .span(0, 7)
        .tested(&["An error occurred while loading ./spec/a_spec.rb."], &["An error occurred"]),
    Rule::detail("rspec.rerun", TestFailure, 55, &["rspec "], r"^rspec (?P<file>\S+):(?P<line>\d+) # (?P<test>.+)")
        .tested(&["rspec ./spec/a_spec.rb:12 # Calc adds"], &[]),
    Rule::of(Role::Summary, "rspec.summary", TestFailure, &[" examples, "], r"^\d+ examples?, [1-9]\d* failures?")
        .tested(&["12 examples, 1 failure"], &["12 examples, 0 failures"]),
    Rule::cause("minitest.failed", TestFailure, 76, &[") Failure:", ") Error:"], r"^\s*\d+\) (?:Failure|Error):$")
        .span(0, 5)
        .tested(&["  1) Failure:", "  2) Error:"], &["Error:"]),
    Rule::cause("minitest.place", TestFailure, 78, &["#test_"], r"^(?P<test>[A-Z]\w*(?:::\w+)*#test_\S+) \[(?P<file>\S+\.rb):(?P<line>\d+)\]:$")
        .span(1, 4)
        .tested(&["DrawerTest#test_total [test/drawer_test.rb:14]:"], &["DrawerTest#test_total = 0.01 s"]),
    Rule::cause("exunit.failed", TestFailure, 80, &[") test ", ") doctest ", ") property "], r"^\s*\d+\) (?P<test>(?:test|doctest|property) .+ \([\w.]+\))$")
        .span(0, 7)
        .tested(&["  1) test adds numbers (CalcTest)"], &["  1) adds"]),
    Rule::detail("exunit.assertion", TestFailure, 58, &["Assertion with", "code: ", "** ("], r"^\s+(?:(?P<message>Assertion with \S+ failed|\*\* \(\w+\) .+)|code: .+)$")
        .span(2, 4)
        .tested(&["     Assertion with == failed", "     ** (MatchError) no match"], &[]),
    Rule::cause("elixir.raised", TestFailure, 66, &["** ("], r"^\*\* \((?P<message>[\w.]+\) .+)")
        .span(0, 4)
        .tested(&["** (RuntimeError) bad line", "** (throw) \"entries not sorted\""], &["   ** (x)"]),
    Rule::cause("common_test.failed", TestFailure, 76, &[" failed on line "], r"^\s*(?P<test>\w+:\w+) failed on line (?P<line>\d+)$")
        .span(1, 5)
        .tested(&["till_SUITE:adds failed on line 12"], &["it failed on line"]),
    Rule::cause("common_test.init", TestFailure, 76, &[":init_per_"], r"^\s*(?P<test>\w+_SUITE:init_per_\w+) failed")
        .span(0, 5)
        .tested(&["till_SUITE:init_per_suite failed"], &["till_SUITE:init_per_suite ok"]),
    Rule::detail("erlang.reason", TestFailure, 48, &["Reason: ", "Reason == "], r"^\s*(?:\*\* )?Reason(?::| ==) \{?\S")
        .span(1, 3)
        .tested(&["Reason: {badmatch,{error,enoent}}"], &[]),
    Rule::cause("erlang.crash", Crash, 74, &["Crash dump is being written", "System process <", "init terminating in do_boot"], r"^(?:System process <[\d.]+> terminated|Crash dump is being written to|.*init terminating in do_boot)")
        .span(2, 1)
        .tested(&["Crash dump is being written to: erl_crash.dump...done", "System process <0.0.0> terminated: {badmatch}"], &["dump written"]),
    Rule::cause("prove.failed", TestFailure, 70, &["Failed test", "Failed tests"], r"^#?\s*Failed test(?:s)?\b(?: '(?P<test>[^']+)')?")
        .span(0, 4)
        .tested(&["#   Failed test 'adds'", "  Failed tests:  1-2"], &["No Failed test"]),
    Rule::detail("prove.unnamed", TestFailure, 60, &["Failed test at "], r"^#\s+Failed test at (?P<test>(?P<file>\S+) line (?P<line>\d+))\.?$")
        .span(0, 3)
        .tested(&["#   Failed test at t/total.t line 9."], &[]),
    Rule::detail("prove.place", TestFailure, 30, &["#   at "], r"^#\s+at (?P<file>\S+) line (?P<line>\d+)\.$")
        .tested(&["#   at t/total.t line 9."], &[]),
    Rule::detail("prove.file", TestFailure, 40, &["(Wstat: "], r"^(?P<test>\S+)\s+\(Wstat: \d+.* Failed: [1-9]\d*\)")
        .span(0, 2)
        .tested(&["t/total.t (Wstat: 256 (exited 1) Tests: 3 Failed: 1)"], &[]),
    Rule::cause("qunit.module", TestFailure, 74, &["Module Failed: ", "Test Failed: "], r"^\s*(?:Module|Test) Failed: (?P<test>.+)")
        .span(0, 4)
        .tested(&["Module Failed: date-picker"], &["Module Passed: x"]),
    Rule::cause("prove.dubious", TestFailure, 62, &["Dubious, test returned", "subtests"], r"^\s*(?:Dubious, test returned \d+|Failed \d+/\d+ subtests)")
        .span(3, 0)
        .tested(&["Failed 1/13 subtests", "Dubious, test returned 9 (wstat 2304, 0x900)"], &["13 subtests"]),
    Rule::cause("dotnet.failed", TestFailure, 78, &["[FAIL]"], r"^(?:\[xUnit\.net [\d:.]+\]\s+|\s*)(?P<test>[\w.]+(?:\(.*\))?) \[FAIL\]$")
        .span(0, 6)
        .tested(&["    Acme.Tests.Calc.Adds [FAIL]", "    Acme.Tests.Calc.Taxes(rate: 3) [FAIL]"], &["Failed to restore"]),
    Rule::cause("dotnet.listed", TestFailure, 79, &["Failed "], r"^\s*Failed (?P<test>\S.*?) \[[\d.< ]+m?s\]$")
        .span(0, 6)
        .tested(&["  Failed Shop.Tests.DrawerTests.AddsUp [12 ms]", "  Failed Shop.Tests.Drawer.Opens [< 1 ms]"], &["Failed to restore"]),
    Rule::detail("dotnet.trace_end", TestFailure, 48, &["--- End of stack trace"], r"^\s*--- End of stack trace from previous location")
        .span(5, 0)
        .tested(&["--- End of stack trace from previous location where exception was thrown ---"], &[]),
    Rule::cause("xctest.failed", TestFailure, 84, &[": error: -["], r"^(?P<file>\S+):(?P<line>\d+): error: -\[(?P<test>[^\]]+)\] : (?P<message>.+)")
        .tested(&["/b/CalcTests.swift:12: error: -[Tests.Calc testAdd] : XCTAssertEqual failed"], &["error: -[x"]),
    Rule::cause("xcpretty.failed", TestFailure, 74, &["✗ "], r"^\s*✗ (?P<test>\w+)(?:, | \()")
        .span(0, 3)
        .tested(&["    ✗ testAdd, XCTAssertEqual failed: (\"1\") is not equal to (\"2\")"], &["    ✓ testAdd (0.1 seconds)"]),
    Rule::detail("xctest.assert", TestFailure, 56, &["XCTAssert", "XCTFail"], r"XCT(?:Assert\w*|Fail)\b.*(?:failed|\()")
        .span(3, 2)
        .tested(&["XCTAssertEqual failed: (\"1\") is not equal"], &[]),
    Rule::cause("xctest.crash", Crash, 82, &["Test crashed", "Restarting after unexpected exit"], r"(?:, Test crashed|Restarting after unexpected exit or crash)")
        .tested(&["✗ testAdd, Test crashed with signal abrt."], &["Test passed"]),
    Rule::cause("gtest.failed", TestFailure, 76, &["[  FAILED  ]"], r"^\[  FAILED  \] (?P<test>[\w/.]+)(?: \(\d+ ms\)|, where .*)$")
        .span(6, 0)
        .tested(&["[  FAILED  ] Calc.Adds (3 ms)"], &["[       OK ] Calc.Adds (3 ms)", "[  FAILED  ] 1 test, listed below:"]),
    Rule::cause("gtest.failure", TestFailure, 78, &[": Failure"], r"^(?P<file>\S+):(?P<line>\d+): Failure$")
        .span(0, 5)
        .tested(&["src/calc_test.cc:12: Failure"], &["Failure"]),
    Rule::cause("ctest.failed", TestFailure, 66, &["***Failed", "***Exception", "***Timeout"], r"^\s*\d+/\d+ Test\s+#\d+: (?P<test>\S+) \.*\*{3}(?:Failed|Exception|Timeout)")
        .tested(&[" 3/12 Test  #3: calc .....***Failed    0.02 sec"], &[" 3/12 Test  #3: calc .....   Passed    0.02 sec"]),
    Rule::cause("lit.failed", TestFailure, 74, &["FAIL: "], r"^FAIL: (?P<test>\S+ :: \S+) \(\d+ of \d+\)")
        .span(0, 6)
        .tested(&["FAIL: Suite :: dir/a.ll (3 of 12)"], &["PASS: Suite :: dir/a.ll (3 of 12)"]),
    Rule::cause("browser.timeout", TestTimeout, 79, &["TEST-UNEXPECTED-TIMEOUT"], r"TEST-UNEXPECTED-TIMEOUT \| (?P<test>\S+)(?: \| (?P<message>.*))?")
        .span(0, 2)
        .tested(&["TEST-UNEXPECTED-TIMEOUT | /css/a.html | expected OK"], &["TEST-OK | a"]),
    Rule::cause("browser.unexpected", TestFailure, 78, &["TEST-UNEXPECTED-"], r"TEST-UNEXPECTED-(?:FAIL|ERROR|PASS|CRASH|NOTRUN) \| (?P<test>[^|]+?)(?: \| (?P<message>.*))?$")
        .span(0, 2)
        .tested(&["REFTEST TEST-UNEXPECTED-FAIL | a.html == b.html | image comparison"], &["TEST-PASS | a"]),
    Rule::cause("testthat.failed", TestFailure, 74, &["testthat unit tests failed", "── Failure", "── Error", "-- FAILURE", "FAILURE --"], r"(?:^── (?:Failure|Error) \(|^Error: testthat unit tests failed|^-- FAILURE)")
        .span(0, 5)
        .tested(&["── Failure (test-a.R:12:3): adds", "Error: testthat unit tests failed"], &["testthat passed"]),
    Rule::cause("testr.failed", TestFailure, 76, &["failure: ", "FAIL: "], r"^(?:failure|FAIL): (?P<test>[a-z_]\w*(?:\.\w+){2,})")
        .span(0, 6)
        .tested(&["failure: pkg.tests.test_a.TestA.test_x [ multipart"], &["successful: pkg.tests.test_a.TestA.test_x"]),
];
