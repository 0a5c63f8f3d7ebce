//! JavaScript test runners: jest, vitest, mocha, jasmine, QUnit, AVA, tap, Playwright.
//!
//! **What:** the heading of a failed test and the error below it.
//! **Why:** the heading names the test, the first error line says what was expected.
//! **What to do:** run the runner with the test's name, such as `npx jest -t 'NAME'`.

use crate::report::Category::{TestCollection, TestFailure, TestTimeout};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("jest.failed", TestFailure, 80, &["● "], r"^\s*● (?P<test>(?:[^›]+ › )*[^›]+)$")
        .span(1, 9)
        .tested(&["  ● math › adds", "  ● prints a receipt when asked to"], &["● a > b › "]),
    Rule::cause("jest.suite", TestCollection, 82, &["Test suite failed to run"], r"^\s*● Test suite failed to run$")
        .span(1, 8)
        .tested(&["  ● Test suite failed to run"], &["Test suite ran"]),
    Rule::of(Role::Noise, "jest.console", TestFailure, &["● Console"], r"^\s*● Console$|^\s*● Cannot log after tests are done")
        .tested(&["  ● Console"], &[]),
    Rule::cause("jest.file", TestFailure, 68, &["FAIL "], r"^\s*FAIL {1,2}(?P<file>[\w@./-]+\.(?:[cm]?[jt]sx?|vue))(?: \([\d.]+ ?m?s\))?(?: > (?P<test>.+))?$")
        .span(0, 6)
        .tested(&["FAIL test/a.test.js (11.4s)", " FAIL  src/a.test.ts > adds"], &["PASS test/a.test.js"]),
    Rule::detail("vitest.error", TestFailure, 60, &["AssertionError: "], r"^AssertionError: (?P<message>.+)")
        .span(0, 3)
        .tested(&["AssertionError: expected 1 to be 2 // Object.is equality"], &[]),
    Rule::detail("jest.matcher", TestFailure, 50, &["expect("], r"^\s+(?P<message>expect\(.*\)\.\w+.*)")
        .span(0, 4)
        .tested(&["    expect(received).toBe(expected) // Object.is equality"], &[]),
    Rule::detail("vitest.location", TestFailure, 50, &["❯ "], r"^\s*❯ (?P<file>[\w@./-]+\.[cm]?[jt]sx?):(?P<line>\d+):(?P<column>\d+)")
        .tested(&[" ❯ src/a.test.ts:5:13"], &[]),
    Rule::cause("mocha.timeout", TestTimeout, 80, &["Timeout of ", "Exceeded timeout of"], r"(?i)(?:timeout of \d+ ?ms exceeded|Exceeded timeout of [\d.]+ ?m?s)")
        .span(2, 2)
        .tested(&["     Error: Timeout of 4500ms exceeded. For async tests and hooks, see the drawer", "thrown: \"Exceeded timeout of 5000 ms for a test."], &["set timeout of 4500ms. Ensure the done() callback"]),
    Rule::cause("mocha.error", TestFailure, 66, &["Error: ", "Error [", "expected"], r"^\s{3,}(?:Uncaught )?(?:AssertionError(?: \[ERR_ASSERTION\])?|TypeError|ReferenceError|RangeError|SyntaxError|Error|\w+Error)(?: \[\w+\])?: (?P<message>.+)")
        .span(3, 4)
        .tested(&["     AssertionError: expected 7 to equal 9", "      TypeError: x is not a function"], &["Error: x"]),
    Rule::detail("mocha.listed", TestFailure, 62, &["0) ", "1) ", "2) ", "3) ", "4) ", "5) ", "6) ", "7) ", "8) ", "9) "], r"^\s{4,}\d+\) \S.*$")
        .tested(&["    1) adds numbers"], &["  1) adds numbers"]),
    Rule::cause("mocha.failed", TestFailure, 68, &["0) ", "1) ", "2) ", "3) ", "4) ", "5) ", "6) ", "7) ", "8) ", "9) "], r"^ {2,3}\d+\) (?P<test>[^\s\[›][^›]*?):?$")
        .span(0, 5)
        .tested(&["  1) adds numbers:"], &["1) x", "  a) b"]),
    Rule::of(Role::Summary, "mocha.summary", TestFailure, &[" failing"], r"^\s*\d+ failing$")
        .tested(&["  2 failing"], &["0 passing"]),
    Rule::of(Role::Summary, "jest.summary", TestFailure, &["Tests: ", "Test Suites: ", "Test Files "], r"^\s*(?:Tests|Test Suites|Test Files):?\s+[1-9]\d* failed")
        .tested(&["Tests:       1 failed, 4 passed, 5 total", " Test Files  1 failed | 3 passed (4)"], &["Tests:       5 passed, 5 total"]),
    Rule::cause("qunit.failed", TestFailure, 72, &["not ok "], r"^\s*not ok \d+ (?:- )?(?P<test>.+)$")
        .span(0, 6)
        .tested(&["not ok 3 - parses dates"], &["not ok"]),
    Rule::cause("qunit.timeout", TestTimeout, 66, &["Tests timed out", "Test took longer than"], r"^\s*(?:Error: )?(?:Tests timed out|Test took longer than \d+ms)")
        .span(2, 2)
        .tested(&["Tests timed out"], &["Tests passed"]),
    Rule::cause("karma.failed", TestFailure, 74, &["FAILED"], r"^(?:Chrome|Firefox|HeadlessChrome|PhantomJS|Safari)[\w .]*? \([^)]+\):? (?P<test>[A-Za-z].+) FAILED$")
        .span(0, 6)
        .tested(&["Chrome Headless 99.0 (Linux x86_64) math adds FAILED"], &["Chrome 99: Executed 3 of 3 SUCCESS"]),
    Rule::cause("playwright.failed", TestFailure, 74, &["› "], r"^\s+\d+\) (?:\[\w+\] › )?(?P<file>[\w./-]+\.[jt]s):(?P<line>\d+):\d+ › (?P<test>.+?)(?: ─+)?$")
        .span(0, 8)
        .tested(&["  1) [chromium] › e2e/login.spec.ts:10:5 › logs in ────"], &["  1) x"]),
];
