//! Catch2, doctest, Boost.Test, Robot Framework, Behave, Cucumber, Pester, bats, Bun, Deno, Dart, Julia, Hspec, Cypress.
//!
//! **What:** the heading of a failed test and the lines below it.
//! **Why:** the summary repeats names without the reason.
//! **What to do:** run the named test alone with the runner's filter option.

use crate::report::Category::{Crash, TestFailure, TestTimeout};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("catch2.failed", TestFailure, 78, &[": FAILED:"], r"^(?P<file>\S+):(?P<line>\d+): FAILED:$")
        .span(4, 5)
        .tested(&["/b/till_test.cpp:12: FAILED:"], &["FAILED: x"]),
    Rule::cause("doctest.failed", TestFailure, 78, &["ERROR: CHECK", "ERROR: REQUIRE", "ERROR: test case"], r"^(?P<file>\S+?)(?:\((?P<line>\d+)\)|:\d+): (?:FATAL )?ERROR: (?P<message>(?:CHECK|REQUIRE|test case)\w*.*)")
        .span(2, 3)
        .tested(&["till_test.cpp(12): ERROR: CHECK( sum == 3 ) is NOT correct!"], &["ERROR: x"]),
    Rule::cause("boost.failed", TestFailure, 80, &["error: in \""], r"^(?P<file>\S+?)[:(](?P<line>\d+)\)?: (?:fatal )?error: in \x22(?P<test>[^\x22]+)\x22: (?P<message>.+)")
        .tested(&["till_test.cpp(12): error: in \"till/sums\": check sum == 3 has failed [2 != 3]"], &["error: in x"]),
    Rule::cause("robot.failed", TestFailure, 74, &["| FAIL |"], r"^(?P<test>\S.*?)\s+(?::: .*)?\| FAIL \|$")
        .span(0, 3)
        .tested(&["Till Opens                                                    | FAIL |"], &["Till Opens | PASS |"]),
    Rule::cause("behave.failed", TestFailure, 72, &["Assertion Failed: ", "ASSERT FAILED: "], r"^\s*(?:Assertion Failed|ASSERT FAILED): (?P<message>.+)")
        .span(2, 2)
        .tested(&["      Assertion Failed: the drawer is shut"], &["Assertion"]),
    Rule::cause("behave.listed", TestFailure, 62, &["Failing scenarios:"], r"^Failing scenarios:$")
        .span(0, 4)
        .tested(&["Failing scenarios:"], &["scenarios"]),
    Rule::cause("cucumber.listed", TestFailure, 62, &["cucumber "], r"^cucumber (?P<file>\S+\.feature):(?P<line>\d+) # (?P<test>.+)")
        .tested(&["cucumber features/till.feature:3 # Scenario: opens"], &["cucumber ok"]),
    Rule::cause("pester.failed", TestFailure, 78, &["[-] "], r"^\s*\[-\] (?P<test>.+?) \d[\d.]*m?s\b.*$")
        .span(0, 4)
        .tested(&["    [-] opens the drawer 12ms (9ms|3ms)"], &["    [+] opens 12ms"]),
    Rule::cause("bun.failed", TestFailure, 76, &["(fail) "], r"^\(fail\) (?P<test>.+?)(?: \[[\d.]+m?s\])?$")
        .span(5, 0)
        .tested(&["(fail) till > opens [0.12ms]"], &["(pass) till > opens [0.12ms]"]),
    Rule::cause("deno.failed", TestFailure, 74, &[" => "], r"^(?P<test>\S.*) => (?P<file>\./\S+):(?P<line>\d+):(?P<column>\d+)$")
        .span(0, 4)
        .tested(&["till opens => ./till_test.ts:3:6"], &["a => b"]),
    Rule::cause("dart.test", TestFailure, 76, &["[E]"], r"^\d+:\d+ [+~\d -]+: (?P<test>.+) \[E\]$")
        .span(0, 6)
        .tested(&["00:02 +3 -1: till opens [E]"], &["00:02 +3: till opens"]),
    Rule::cause("julia.test", TestFailure, 78, &[": Test Failed at ", ": Error During Test at "], r"^(?P<test>\S.*): (?:Test Failed|Error During Test) at (?P<file>\S+):(?P<line>\d+)$")
        .span(0, 5)
        .tested(&["till sums: Test Failed at /b/test/runtests.jl:12"], &["Test Passed"]),
    Rule::cause("hspec.failed", TestFailure, 72, &["FAILED [", "predicate failed on", "expected: "], r"^\s+(?P<test>\S.*) (?:FAILED \[\d+\])$")
        .tested(&["  opens the drawer FAILED [1]"], &["FAILED"]),
    Rule::cause("tasty.failed", TestFailure, 66, &["FAIL"], r"^\s+(?P<test>\S[^:]*):\s+FAIL(?: \([\d.]+s\))?$")
        .span(0, 4)
        .tested(&["    opens the drawer:     FAIL (0.02s)"], &["    opens:   OK"]),
    Rule::cause("nose.failed", TestFailure, 74, &["FAIL: ", "ERROR: "], r"^(?:FAIL|ERROR): (?P<test>[\w.]+\.test_\w+(?:\(.*\))?)$")
        .span(0, 10)
        .tested(&["FAIL: shop.tests.test_till.test_open"], &["FAIL: x"]),
    Rule::cause("pytest.heading", TestFailure, 58, &["____ "], r"^_{3,} (?:ERROR at (?:setup|teardown) of )?(?P<test>[\w.]*[Tt]est\w*(?:\.\w+)*(?:\[.*\])?) _{3,}$")
        .tested(&["________________ test_open ________________", "____ ERROR at setup of TestTill.test_open ____"], &["_____ summary _____"]),
    Rule::cause("cypress.failed", TestFailure, 70, &["CypressError", "Timed out retrying after"], r"(?:CypressError: |Timed out retrying after \d+ms: )")
        .span(2, 2)
        .tested(&["     AssertionError: Timed out retrying after 4000ms: Expected to find element: `.till`"], &["retrying"]),
    Rule::cause("jvm.timeout", TestTimeout, 76, &["TestTimedOutException", "timed out after "], r"(?:TestTimedOutException: |^\s*java\.util\.concurrent\.TimeoutException: .*timed out after)")
        .span(1, 3)
        .tested(&["org.junit.runners.model.TestTimedOutException: test timed out after 900 milliseconds"], &["timed out"]),
    Rule::cause("browser.crash", Crash, 76, &["PROCESS-CRASH | ", "Chrome failed to start", "browser has crashed", "DevToolsActivePort"], r"(?:^PROCESS-CRASH \| |Chrome failed to start|browser has crashed|DevToolsActivePort file doesn't exist)")
        .span(0, 3)
        .tested(&["PROCESS-CRASH | till.html | application crashed"], &["crash"]),
    Rule::cause("dotnet.host_crash", Crash, 80, &["Test host process crashed", "The active test run was aborted"], r"(?:The active test run was aborted|Test host process crashed)")
        .span(0, 2)
        .tested(&["The active test run was aborted. Reason: Test host process crashed"], &["test host"]),
    Rule::cause("nunit.failed", TestFailure, 74, &[") Failed : ", ") Error : "], r"^\d+\) (?:Failed|Error) : (?P<test>.+)")
        .span(0, 5)
        .tested(&["1) Failed : Shop.Tests.Till.Opens"], &["1) x"]),
    Rule::of(Role::Summary, "dotnet.summary", TestFailure, &["Failed!  - Failed:"], r"^Failed!  - Failed: +[1-9]")
        .tested(&["Failed!  - Failed:     1, Passed:    12"], &["Passed!  - Failed:     0"]),
];
