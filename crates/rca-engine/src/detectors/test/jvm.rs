//! JVM test runners: Surefire, Failsafe, Gradle, JUnit's console, ScalaTest, Spock.
//!
//! **What:** the failed test and the exception below it; the deepest `Caused by` is the real one.
//! **Why:** the build tool only says that there are test failures.
//! **What to do:** `mvn -Dtest=CLASS#METHOD test` or `gradle test --tests NAME`.

use crate::report::Category::{Crash, TestFailure};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("surefire.test", TestFailure, 82, &["<<< FAILURE!", "<<< ERROR!"], r"^(?:\[ERROR\] +)?(?P<test>[\w.$]+(?:\([\w.$]+\)|\.\w\S*|\[\S+\])?) +(?:-- )?Time elapsed: [\d.,]+ s(?:ec)? +<<< (?:FAILURE|ERROR)!")
        .span(1, 6)
        .tested(&["[ERROR] com.acme.CalcTest.adds -- Time elapsed: 0.012 s <<< FAILURE!", "testAdd(com.acme.CalcTest)  Time elapsed: 0.01 sec  <<< ERROR!"], &["[INFO] com.acme.CalcTest.adds Time elapsed: 1 s"]),
    Rule::cause("surefire.class", TestFailure, 80, &["<<< FAILURE!", "<<< ERROR!"], r"^(?:\[ERROR\] +)?Tests run: \d+, Failures: \d+, Errors: \d+, Skipped: \d+, Time elapsed: .*<<< (?:FAILURE|ERROR)!")
        .span(0, 6)
        .tested(&["[ERROR] Tests run: 9, Failures: 2, Errors: 1, Skipped: 0, Time elapsed: 4.2 s <<< FAILURE! - in a.B"], &["Tests run: 3, Failures: 0, Errors: 0, Skipped: 0"]),
    Rule::detail("surefire.listed", TestFailure, 52, &["[ERROR]   ", "[ERROR] Failures:", "[ERROR] Errors:"], r"^\[ERROR\]   (?P<test>[\w.$]+(?:\.\w+)+):(?P<line>\d+)(?:->\S+)? (?P<message>.+)")
        .tested(&["[ERROR]   CalcTest.adds:12 expected: <4> but was: <3>"], &[]),
    Rule::cause("surefire.fork", Crash, 84, &["The forked VM terminated", "forked VM terminated"], r"The forked VM terminated (?:without|unexpectedly|without properly)")
        .tested(&["[ERROR] The forked VM terminated without properly saying goodbye. VM crash or System.exit called?"], &["forked VM terminated"]),
    Rule::of(Role::Summary, "surefire.summary", TestFailure, &["Tests run:"], r"Tests run: \d+, +(?:Failures: [1-9]\d*, +Errors: \d+|Failures: 0, +Errors: [1-9]\d*)")
        .tested(&["[ERROR] Tests run: 17, Failures: 3, Errors: 0, Skipped: 2"], &["Tests run: 8, Failures: 0, Errors: 0, Skipped: 0"]),
    Rule::cause("gradle.test", TestFailure, 82, &[" FAILED"], r"^(?P<test>[\w.$]*[A-Z][\w.$]* > .+) FAILED$")
        .span(0, 6)
        .tested(&["CalcTest > adds() FAILED", "ClientTest > nested(Type) > [1] x FAILED"], &["> Task :app:test FAILED"]),
    Rule::of(Role::Summary, "gradle.tests_failed", TestFailure, &[" tests completed, "], r"^\d+ tests? completed, \d+ failed")
        .tested(&["41 tests completed, 3 failed"], &["12 tests completed"]),
    Rule::cause("junit.trace", TestFailure, 62, &["AssertionFailedError", "AssertionError", "ComparisonFailure", "AssertionFailure"], r"^\s*(?:\[junit\]\s+)?(?:[a-z]\w*\.)+(?:AssertionFailedError|AssertionError|ComparisonFailure|ComparisonCompactor|AssertionFailure|MultipleFailuresError)\b:?\s*(?P<message>.*)$")
        .span(2, 4)
        .tested(&["java.lang.AssertionError:", "org.opentest4j.AssertionFailedError: expected: <4> but was: <3>"], &["at java.lang.AssertionError.<init>"]),
    Rule::cause("junit.ant", TestFailure, 76, &["[junit]"], r"^\s*\[junit\] (?:Testcase: (?P<test>\S+)(?:\(\S+\))?:\s*(?:FAILED|Caused an ERROR)|\s*FAILED)")
        .span(0, 6)
        .tested(&["    [junit] Testcase: testSum(a.B):\tCaused an ERROR", "    [junit] Testcase: testSum:\tFAILED"], &["    [junit] Testcase: testSum took 0.1 sec"]),
    Rule::detail("jvm.exception", TestFailure, 50, &["Exception", "Error"], r"^\s*(?:\[(?:junit|ERROR)\]\s+)?(?:Exception in thread \S+ )?(?:[a-z]\w*\.){2,}[A-Z][\w$]*(?:Exception|Error)(?:: (?P<message>.*))?$")
        .span(0, 3)
        .tested(&["java.lang.IllegalStateException: the drawer is shut", "    [junit] java.lang.IllegalArgumentException: the rate is below zero", "Exception in thread \"main\" java.lang.NullPointerException"], &[]),
    Rule::detail("jvm.caused_by", TestFailure, 46, &["Caused by: "], r"^\s*(?:\[\w+\]\s+)?Caused by: (?:[a-z]\w*\.)+[A-Z][\w$]*(?:: (?P<message>.*))?")
        .span(0, 1)
        .tested(&["Caused by: java.net.ConnectException: Connection refused"], &[]),
    Rule::cause("scalatest.failed", TestFailure, 74, &["*** FAILED ***"], r"^(?:\[info\] )?\s*-? ?(?P<test>\S.*?) \*\*\* FAILED \*\*\*")
        .span(0, 4)
        .tested(&["[info] - adds numbers *** FAILED *** (3 milliseconds)"], &["*** PASSED ***"]),
    Rule::cause("spock.failed", TestFailure, 70, &["Condition not satisfied:"], r"^\s*Condition not satisfied:")
        .span(1, 6)
        .tested(&["Condition not satisfied:"], &["Condition satisfied:"]),
];
