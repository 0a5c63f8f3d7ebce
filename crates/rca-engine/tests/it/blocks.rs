//! What test runners print over several lines: passed tests, call stacks, chains of exceptions.

use rca_engine::{EvidenceRole, Status, analyze};

use crate::detectors::fixtures;

fn fixture(class: &str, wanted: &str) -> rca_engine::Report {
    let (_, log) = fixtures(class).into_iter().find(|(name, _)| name == wanted).unwrap();
    analyze(&log)
}

#[test]
fn failing_tests_have_name_file_line_and_message() {
    for (log, name, file, line, message) in [
        (
            "pytest",
            "tests/test_invoice.py::test_rounds_up",
            "tests/test_invoice.py",
            14,
            "assert 0.01 == 0.02",
        ),
        (
            "unittest",
            "test_total (tests.test_cart.CartTest)",
            "tests/test_cart.py",
            22,
            "AssertionError: 41 != 42",
        ),
        (
            "jest",
            "cart › applies the discount once",
            "src/cart.test.js",
            12,
            "expect(received).toBe(expected)",
        ),
        ("phpunit", "Acme\\Tests\\CartTest::testDiscount", "tests/CartTest.php", 19, "Failed asserting that"),
        ("surefire-chain", "shop.TillTest.sells", "TillTest.java", 22, "shop.SaleException: no sale"),
        (
            "exunit",
            "test adds up the drawer (Till.DrawerTest)",
            "test/till/drawer_test.exs",
            9,
            "Assertion with ==",
        ),
        ("minitest", "DrawerTest#test_total", "test/drawer_test.rb", 14, "Expected: 42"),
        ("dotnet", "Shop.Tests.DrawerTests.AddsUp", "tests/DrawerTests.cs", 19, "Assert.Equal() Failure"),
        ("nextest", "drawer::tests::adds_up", "src/drawer.rs", 31, "assertion `left == right` failed"),
        ("go-verbose", "TestTotal/with_coins", "drawer_test.go", 21, "got 41, want 42"),
        (
            "xctest",
            "TillTests.DrawerTests testTotal",
            "Tests/TillTests/DrawerTests.swift",
            12,
            "XCTAssertEqual failed",
        ),
        ("karma", "Drawer adds up", "src/app/drawer.spec.ts", 14, "Expected 41 to be 42."),
        ("playwright", "opens the drawer", "e2e/till.spec.ts", 5, "Error: Timed out 5000ms"),
        (
            "pytest-fixture",
            "tests/test_drawer.py::test_open_drawer",
            "src/till/drawer.py",
            21,
            "ValueError: a drawer",
        ),
    ] {
        let report = fixture("test", log);
        assert_eq!(report.failing.tests.len(), 1, "{log}: {:#?}", report.failing.tests);
        let test = &report.failing.tests[0];
        assert_eq!(test.name, name, "{log}");
        assert_eq!(test.file.as_deref(), Some(file), "{log}");
        assert_eq!(test.line, Some(line), "{log}");
        let said = test.message.as_deref().unwrap_or_default();
        assert!(said.contains(message), "{log}: {said}");
    }
}

#[test]
fn what_a_passed_test_logs_is_no_cause() {
    for log in ["go-verbose", "gtest", "surefire-chain", "tap", "xctest"] {
        let report = fixture("test", log);
        let best = &report.evidence[0];
        assert!(
            best.excerpt.iter().all(|line| !line.contains("squeaks") && !line.contains("on purpose")),
            "{log}"
        );
        assert_eq!(report.status, Status::CauseFound);
    }
}

#[test]
fn the_deepest_cause_of_an_exception_is_shown() {
    let report = fixture("test", "surefire-chain");
    let shown: Vec<&String> = report.evidence.iter().flat_map(|item| &item.excerpt).collect();
    assert!(shown.iter().any(|line| line.contains("java.lang.ArithmeticException: / by zero")), "{shown:#?}");
}

#[test]
fn what_follows_from_the_cause_is_not_a_cause() {
    let report = fixture("infra", "oom-worker");
    assert_eq!(report.category, rca_engine::Category::Oom);
    assert!(report.evidence.iter().skip(1).all(|item| item.role == EvidenceRole::Consequence));
    assert!(report.evidence.iter().any(|item| item.rule == "worker.lost"));

    let report = fixture("infra", "git-cascade");
    assert_eq!(report.evidence[0].rule, "git.unreachable");
    assert_eq!(report.retry_likely_helps, rca_engine::Retry::Yes);
}

#[test]
fn of_several_failed_commands_the_first_has_the_cause() {
    let log = "travis_time:start:1\r\x1b[0K$ make\r\ntill.c:3:5: error: 'purse' undeclared\r\ntravis_time:end:1:start=1,finish=2,duration=1\r\x1b[0K\x1b[31;1mThe command \"make\" exited with 2.\x1b[0m\r\n\r\ntravis_time:start:2\r\x1b[0K$ ./till\r\nbash: ./till: No such file or directory\r\ntravis_time:end:2:start=1,finish=2,duration=1\r\x1b[0K\x1b[31;1mThe command \"./till\" exited with 127.\x1b[0m\r\n\r\nDone. Your build exited with 1.\r\n";
    let report = analyze(log.as_bytes());
    assert_eq!(report.evidence[0].rule, "cc.error");
    assert!(report.consequences.iter().any(|item| item.rule == "shell.no_file"), "{report:#?}");
}
