//! pytest.
//!
//! **What:** failed tests, errors in fixtures, modules that cannot be collected.
//! **Why:** the `E ` lines of the failure block carry the assertion; the `FAILED` lines of the short
//! summary repeat it with the test's name.
//! **What to do:** run `pytest path::test` for the named test; for collection errors fix the import.

use crate::report::Category::{MissingDependency, TestCollection, TestFailure, TestTimeout};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("pytest.missing_module", TestCollection, 84, &["ModuleNotFoundError", "ImportError"], r"^E\s+(?P<message>(?:ModuleNotFoundError: No module named '(?P<package>[^']+)'|ImportError: .*))")
        .span(3, 0)
        .tested(&["E   ModuleNotFoundError: No module named 'yaml'", "E   ImportError: cannot import name 'a' from 'b'"], &["ModuleNotFoundError: No module named 'yaml'"]),
    Rule::cause("pytest.collection", TestCollection, 78, &["ERROR collecting"], r"^_+ ERROR collecting (?P<test>\S+) _+$")
        .span(0, 8)
        .tested(&["_________ ERROR collecting tests/test_a.py _________"], &["ERROR collecting nothing"]),
    Rule::cause("pytest.error", TestFailure, 76, &["E  "], r"^E {2,}(?P<message>(?:[\w.]+(?:Error|Exception|Failure|Warning|Exit|Failed|Interrupt|Timeout)\b.*|assert .*|Failed: .*))")
        .span(3, 4)
        .tested(&["E       AssertionError: assert 1 == 2", "E   assert 3 == 4"], &["E 5 items", "ERROR assert"]),
    Rule::detail("pytest.detail", TestFailure, 40, &["E  "], r"^E {3,}\S")
        .tested(&["E        +  where 3 = total([1, 2])"], &[]),
    Rule::cause("pytest.failed", TestFailure, 72, &["FAILED ", "ERROR "], r"^(?:\[gw\d+\] \[ *\d+%\] )?(?:FAILED|ERROR) (?:\[[\d.]+s\] )?(?P<test>\S+\.py(?:::\S+(?:\[[^\]]*\])?)?)(?: - (?P<message>.*))?$")
        .tested(&["FAILED tests/test_a.py::test_x - assert 1 == 2", "ERROR tests/test_b.py", "[gw1] [ 88%] FAILED tests/a.py::T::test_expiry", "FAILED [310.02s] tests/till.py::Till::sum - RuntimeError: x"], &["FAILED to open x", "PASSED tests/test_a.py::test_x"]),
    Rule::cause("pytest.failed_verbose", TestFailure, 70, &[" FAILED", " ERROR"], r"^(?P<test>\S+\.py::\S+(?: \S+)?) (?:FAILED|ERROR)(?:\s+\[ *\d+%\])?$")
        .tested(&["test_calc.py::test_add FAILED                  [100%]"], &["test_calc.py::test_add PASSED   [ 10%]"]),
    Rule::cause("pytest.location", TestFailure, 66, &["Error", "Exception", "Failed"], r"^(?P<file>[\w./-]+\.py):(?P<line>\d+): (?P<message>[A-Z]\w*(?:Error|Exception|Failed|Failure))$")
        .span(4, 0)
        .tested(&["tests/test_till.py:12: AssertionError"], &["tests/test_till.py:12: DeprecationWarning"]),
    Rule::cause("pytest.doctest", TestFailure, 72, &["DocTestFailure", "UnexpectedException"], r"^(?P<file>\S+):(?P<line>\d+): (?:DocTestFailure|UnexpectedException)$")
        .span(6, 0)
        .tested(&["/src/doc/till.rst:9: DocTestFailure"], &["DocTestFailure"]),
    Rule::cause("pytest.timeout", TestTimeout, 80, &["Failed: Timeout"], r"^E\s+Failed: Timeout [>(]")
        .span(2, 1)
        .tested(&["E   Failed: Timeout >10.0s"], &["Failed: Timeout"]),
    Rule::cause("pytest.plugin", MissingDependency, 76, &["PluginValidationError", "unrecognized arguments"], r"^(?:pluggy\.\S*PluginValidationError: |pytest: error: unrecognized arguments|\S*: error: unrecognized arguments: --cov)")
        .span(0, 2)
        .tested(&["pluggy.manager.PluginValidationError: Plugin 'x' could not be loaded", "pytest: error: unrecognized arguments: --foo"], &["PluginValidationError"]),
    Rule::cause("pytest.conftest", TestCollection, 74, &["ImportError while loading conftest", "ImportError while importing test module"], r"^ImportError while (?:loading conftest|importing test module) '(?P<file>[^']+)'")
        .span(0, 8)
        .tested(&["ImportError while loading conftest '/b/tests/conftest.py'."], &["ImportError while running"]),
    Rule::of(Role::Summary, "pytest.summary", TestFailure, &[" failed", " error"], r"^=+ (?:.*, )?\d+ (?:failed|errors?)\b.* in [\d.]+")
        .tested(&["==== 1 failed, 60 passed in 0.08s ====", "===== 2 errors in 1.2s ====="], &["==== 60 passed in 0.08s ===="]),
];
