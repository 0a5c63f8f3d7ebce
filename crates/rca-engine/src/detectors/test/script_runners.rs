//! AVA, Node's own runner, Jasmine, WebdriverIO, Elm, bats, shUnit2, busted, Pest, Codeception, Python's doctest.
//!
//! **What:** the heading of a failed test, and the line with the difference below it.
//! **Why:** several of them name the test on one line and say why on the next; both are shown.
//! **What to do:** run the named test alone with the runner's filter option.

use crate::report::Category::TestFailure;
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("ava.failed", TestFailure, 78, &["✘ [fail]: ", "✖ [fail]: "], r"^\s*[✘✖] \[fail\]: (?P<test>.+?)(?: \([\d.]+m?s\))?$")
        .span(0, 6)
        .tested(&["  ✘ [fail]: drawer › adds up"], &["  ✔ drawer › opens"]),
    Rule::detail("ava.place", TestFailure, 20, &[".js:", ".ts:", ".mjs:"], r"^  (?P<file>[\w./-]+\.[cm]?[jt]s):(?P<line>\d+)$")
        .tested(&["  test/drawer.js:12"], &[]),
    Rule::cause("node_test.failed", TestFailure, 77, &["✖ "], r"^\s*✖ (?P<test>\S.*) \(\d[\d.]*m?s\)$")
        .span(0, 6)
        .tested(&["✖ adds up the drawer (1.27ms)"], &["✖ failing tests:", "✔ opens (0.8ms)"]),
    Rule::cause("jasmine.failed", TestFailure, 76, &["  Message:"], r"^  Message:$")
        .span(1, 5)
        .tested(&["  Message:"], &["Message: hello", "Message:"]),
    Rule::detail("jasmine.expected", TestFailure, 40, &["    Expected "], r"^    (?P<message>Expected .+ to .+)$")
        .tested(&["    Expected 41 to be 42."], &[]),
    Rule::cause("wdio.failed", TestFailure, 78, &["] 0) ", "] 1) ", "] 2) ", "] 3) ", "] 4) ", "] 5) ", "] 6) ", "] 7) ", "] 8) ", "] 9) "], r"^\[.+ #\d+-\d+\] \d+\) (?P<test>.+)$")
        .span(0, 3)
        .tested(&["[chrome 131.0 linux #0-0] 1) Drawer adds up"], &["[chrome 131.0 linux #0-0]    ✓ opens"]),
    Rule::detail("wdio.place", TestFailure, 20, &[".js:", ".ts:"], r"^\[.+ #\d+-\d+\]\s+at (?:.*\()?(?P<file>[^\s()]+\.[cm]?[jt]sx?):(?P<line>\d+):\d+\)?$")
        .tested(&["[chrome 131.0 linux #0-0]     at Context.<anonymous> (/b/e2e/drawer.js:12:30)"], &[]),
    Rule::cause("elm.failed", TestFailure, 58, &["✗ "], r"^✗ (?P<test>\S.*)$")
        .span(1, 6)
        .tested(&["✗ adds up"], &["    ✗ testAdd, failed", "✓ opens"]),
    Rule::cause("bats.failed", TestFailure, 80, &["(in test file ", "(in test function ", "(from function "], r"^\s*(?:# )?\((?:in test (?:file|function)|from function .+ in (?:test )?file) (?P<file>\S+), line (?P<line>\d+)[,)]")
        .span(1, 3)
        .tested(&["   (in test file test/till.bats, line 14)", "# (in test file test/till.bats, line 14)"], &["(in test file)"]),
    Rule::cause("shunit2.failed", TestFailure, 78, &["ASSERT:"], r"^ASSERT:(?P<message>.+)")
        .span(1, 1)
        .tested(&["ASSERT:total expected:<42> but was:<41>"], &["an ASSERT:x"]),
    Rule::cause("busted.failed", TestFailure, 80, &["Failure → ", "Error → ", "Failure -> ", "Error -> "], r"^(?:Failure|Error) (?:→|->) (?P<test>(?P<file>\S+) @ (?P<line>\d+))$")
        .span(0, 6)
        .tested(&["Failure → spec/till_spec.lua @ 12", "Error -> spec/till_spec.lua @ 3"], &["Failure → next"]),
    Rule::detail("busted.message", TestFailure, 30, &[".lua:"], r"^\S+\.lua:\d+: (?P<message>.+)")
        .tested(&["spec/till_spec.lua:14: Expected objects to be equal."], &[]),
    Rule::cause("pest.failed", TestFailure, 80, &["FAILED  "], r"^\s*FAILED  (?P<test>[\w\\]+ > .+?)(?: {2,}\S.*)?$")
        .span(0, 6)
        .tested(&["   FAILED  Tests\\Unit\\DrawerTest > it adds up"], &["   PASS  Tests\\Unit\\DrawerTest"]),
    Rule::detail("pest.place", TestFailure, 20, &[".php:"], r"^\s+at (?P<file>\S+\.php):(?P<line>\d+)$")
        .tested(&["  at tests/Unit/DrawerTest.php:12"], &[]),
    Rule::detail("pest.message", TestFailure, 50, &["Failed asserting that"], r"^\s+(?P<message>Failed asserting that .+)")
        .span(1, 3)
        .tested(&["  Failed asserting that 41 is identical to 42."], &[]),
    Rule::cause("codeception.failed", TestFailure, 80, &["Cest: ", "Cept: "], r"^\d+\) (?P<test>\w+(?:Cest|Cept): .+)$")
        .span(0, 5)
        .tested(&["1) DrawerCest: Adds up"], &["✔ DrawerCest: Opens (0.11s)"]),
    Rule::cause("doctest.example", TestFailure, 80, &["File \""], r"^File \x22(?P<file>[^\x22]+)\x22, line (?P<line>\d+), in (?P<test>[\w.]+)$")
        .span(0, 7)
        .tested(&["File \"/b/till.py\", line 12, in till.total"], &["  File \"/b/till.py\", line 12, in total", "File \"/b/a.ml\", line 3, characters 9-14:"]),
    Rule::of(Role::Summary, "script_runners.summary", TestFailure, &["***Test Failed***", "TEST RUN FAILED", " test failed", " tests failed", "specs, "], r"^\s*(?:\*\*\*Test Failed\*\*\* \d+|TEST RUN FAILED$|[1-9]\d* tests? failed$|\d+ specs?, [1-9]\d* failures?)")
        .tested(&["***Test Failed*** 1 failures.", "  1 test failed", "2 specs, 1 failure"], &["2 specs, 0 failures"]),
];
