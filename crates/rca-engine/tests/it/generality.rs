//! Tools whose logs were written before the engine knew them: the line, the category and the test that it must name.

use rca_engine::{Status, analyze};

use crate::detectors::fixtures;

fn report(path: &str) -> rca_engine::Report {
    let (class, name) = path.split_once('/').unwrap();
    let (_, log) = fixtures(class).into_iter().find(|(known, _)| known == name).unwrap();
    analyze(&log)
}

/// The fixture, what a line of the first evidence must hold, and the categories that are right.
const CAUSES: &[(&str, &str, &[&str])] = &[
    ("test/mstest", "Failed Adds up with coins", &["test_failure"]),
    ("test/ava", "adds up", &["test_failure"]),
    ("test/node-test", "adds up the drawer", &["test_failure"]),
    ("test/jasmine", "Drawer adds up", &["test_failure"]),
    ("test/bats", "adds up the drawer", &["test_failure"]),
    ("test/bats-tap", "adds up the drawer", &["test_failure"]),
    ("test/shunit2", "ASSERT:total expected", &["test_failure"]),
    ("test/gotestsum", "TestAddsUp", &["test_failure"]),
    ("test/gocheck", "DrawerSuite.TestAddsUp", &["test_failure"]),
    ("test/zig", "'drawer.test.adds up' failed", &["test_failure"]),
    ("test/meson", "adds_up", &["test_failure"]),
    ("test/automake", "FAIL: tests/adds_up", &["test_failure"]),
    ("test/qttest", "TillTest::addsUp()", &["test_failure"]),
    ("test/cpputest", "Failure in TEST(Drawer, AddsUp)", &["test_failure"]),
    ("test/unity-c", "test_adds_up", &["test_failure"]),
    ("test/busted", "Failure → spec/till_spec.lua", &["test_failure"]),
    ("test/clojure", "FAIL in (adds-up-test)", &["test_failure"]),
    ("test/alcotest", "adds up", &["test_failure"]),
    ("test/pest", "it adds up", &["test_failure"]),
    ("test/codeception", "Adds up", &["test_failure"]),
    ("test/doctest-python", "in till.total", &["test_failure"]),
    ("test/nightwatch", "adds up", &["test_failure"]),
    ("test/foundry", "test_addsUp()", &["test_failure"]),
    ("test/bazel-test", "//till:drawer_test", &["test_failure"]),
    ("test/rails", "DrawerTest#test_adds_up", &["test_failure"]),
    ("test/testthat", "Failure (test-drawer.R:12:3): adds up", &["test_failure"]),
    ("test/elm", "adds up", &["test_failure"]),
    ("build/gradle-javac", "Drawer.java:12: error: cannot find symbol", &["compile_error"]),
    ("build/android-lint", "Missing contentDescription", &["lint_format"]),
    ("build/r8", "R8", &["compile_error"]),
    ("build/detekt", "[LongMethod]", &["lint_format"]),
    ("build/clippy", "length comparison to zero", &["lint_format"]),
    ("build/cargo-deny", "error[vulnerability]", &["policy_check"]),
    ("build/semver-checks", "function_missing", &["policy_check"]),
    ("build/esbuild", "Could not resolve \"./purse\"", &["missing_dependency", "compile_error"]),
    ("build/rollup", "Could not resolve './purse.js'", &["missing_dependency", "compile_error"]),
    ("build/next", "Type error: Property 'total'", &["type_check", "compile_error"]),
    ("build/angular", "TS2339: Property 'total'", &["type_check", "compile_error"]),
    ("build/svelte-check", "Error: Property 'total'", &["type_check", "compile_error"]),
    ("build/oxlint", "eslint(no-unused-vars)", &["lint_format"]),
    ("build/deno-fmt", "not formatted file", &["lint_format"]),
    ("build/knip", "Unused", &["policy_check", "lint_format"]),
    ("build/golangci-new", "ineffectual assignment", &["lint_format"]),
    ("build/pydocstyle", "D103", &["lint_format"]),
    (
        "build/interrogate",
        "RESULT: FAILED (minimum",
        &["coverage", "policy_check", "doc_build", "lint_format"],
    ),
    ("build/pip-audit", "known vulnerabilit", &["policy_check"]),
    ("build/cython", "undeclared name not builtin", &["compile_error"]),
    ("build/mkdocs", "contains a link 'purse.md'", &["doc_build"]),
    ("build/hugo", "error building site", &["doc_build", "config_error"]),
    ("build/nix", "'total' undeclared", &["compile_error"]),
    ("build/nix-hash", "hash mismatch in fixed-output", &["checksum"]),
    ("build/dune", "Library \"purse\" not found", &["missing_dependency", "compile_error"]),
    ("build/meson-setup", "ERROR: Dependency \"purse\" not found", &["missing_dependency", "config_error"]),
    ("build/d", "undefined identifier `total`", &["compile_error"]),
    ("build/elm-make", "TYPE MISMATCH", &["compile_error", "type_check"]),
    ("build/solidity", "Undeclared identifier", &["compile_error"]),
    ("build/verilator", "%Error: till.v:12:5", &["compile_error"]),
    ("build/dotnet-format", "error WHITESPACE", &["lint_format"]),
    ("build/analyzers", "error CA1822", &["lint_format", "compile_error"]),
    ("build/valgrind", "Invalid read of size 4", &["crash", "test_failure"]),
    ("build/checkov", "FAILED for resource", &["policy_check"]),
    ("build/semgrep", "shop.rules.no-eval", &["policy_check", "lint_format"]),
    ("build/sqlfluff", "LT01", &["lint_format"]),
    ("build/vale", "Vale.Spelling", &["lint_format", "doc_build"]),
    ("build/simplecov", "below the expected minimum coverage", &["coverage"]),
    ("build/jacoco", "lines covered ratio", &["coverage"]),
    ("build/jest-coverage", "coverage threshold for lines", &["coverage"]),
    ("dependency/npm-ci", "EUSAGE", &["dependency_resolution"]),
    ("dependency/pipenv", "Pipfile.lock", &["dependency_resolution"]),
    (
        "dependency/conan",
        "Package 'purse/0.3.2' not resolved",
        &["dependency_resolution", "missing_dependency"],
    ),
    ("dependency/vcpkg", "building purse:x64-linux failed", &["compile_error", "dependency_resolution"]),
    ("dependency/opam", "Package conflict", &["dependency_resolution"]),
    ("dependency/stack", "no version is in the Stack configuration", &["dependency_resolution"]),
    ("dependency/spm", "Dependencies could not be resolved", &["dependency_resolution"]),
    ("dependency/gradle-verify", "Dependency verification failed", &["checksum", "policy_check"]),
    ("dependency/yarn-checksum", "YN0018", &["checksum"]),
    ("dependency/helm-deps", "out of sync", &["dependency_resolution"]),
    ("infra/buildkit", "\"/dist\": not found", &["missing_file", "docker_image"]),
    ("infra/dockerfile", "dockerfile parse error", &["config_error", "docker_image"]),
    ("infra/compose-unhealthy", "is unhealthy", &["docker_image", "service_unavailable"]),
    ("infra/port", "port is already allocated", &["docker_image", "config_error"]),
    ("infra/kaniko", "no makefile found", &["missing_file", "config_error"]),
    ("infra/podman", "npm: not found", &["missing_tool"]),
    ("infra/pulumi", "BucketAlreadyExists", &["deploy_publish"]),
    ("infra/cloudformation", "CREATE_FAILED", &["deploy_publish"]),
    ("infra/awscli", "AccessDenied", &["auth", "permission"]),
    ("infra/gcloud", "PERMISSION_DENIED", &["auth", "permission"]),
    ("infra/psql", "relation \"drawers\" does not exist", &["script_error", "config_error"]),
    (
        "infra/flyway",
        "relation \"drawers\" does not exist",
        &["script_error", "deploy_publish", "config_error"],
    ),
    ("infra/django-migrations", "Migrations for", &["policy_check", "config_error"]),
    ("infra/db-refused", "P1001", &["network", "service_unavailable"]),
    (
        "infra/kind",
        "failed to create cluster",
        &["docker_image", "deploy_publish", "service_unavailable", "script_error"],
    ),
    ("infra/ssh-deploy", "Connection timed out", &["network"]),
    ("infra/twine", "403 Forbidden", &["auth", "deploy_publish"]),
    ("infra/semantic-release", "ENOGHTOKEN", &["auth", "config_error", "deploy_publish"]),
    ("infra/goreleaser", "git is in a dirty state", &["deploy_publish", "policy_check", "config_error"]),
    ("infra/kubectl-rollout", "timed out waiting for the condition", &["timeout", "deploy_publish"]),
    ("infra/kubeconform", "Deployment till is invalid", &["config_error", "policy_check", "lint_format"]),
    ("infra/conftest", "must not run as root", &["policy_check"]),
    ("infra/lfs", "over its data quota", &["scm_checkout", "rate_limit", "service_unavailable"]),
    ("infra/s3-cache", "503 Service Unavailable", &["service_unavailable"]),
    ("config/browser-missing", "Executable doesn't exist", &["missing_tool", "missing_dependency"]),
    ("config/ansible-syntax", "'purse' is not a valid attribute", &["config_error"]),
    (
        "config/json-syntax",
        "Expected double-quoted property name",
        &["config_error", "script_error", "compile_error"],
    ),
    (
        "config/node-esm",
        "does not provide an export",
        &["compile_error", "script_error", "missing_dependency"],
    ),
    ("config/npm-script-fails", "Cannot find project 'till'", &["config_error", "script_error"]),
    ("config/powershell", "ParserError", &["script_error"]),
    ("test/hspec", "Drawer adds up", &["test_failure"]),
    ("test/munit", "shop.DrawerSuite.adds up", &["test_failure"]),
    ("test/kotest", "should add up", &["test_failure"]),
    ("test/spring", "till.total", &["test_failure", "config_error"]),
    ("build/brakeman", "SQL Injection", &["policy_check", "lint_format"]),
    ("build/sorbet", "Method `totals` does not exist", &["type_check"]),
    ("build/tflint", "invalid value as instance_type", &["lint_format", "config_error", "policy_check"]),
    ("build/mypy-plugin", "Incompatible return value", &["type_check"]),
    ("build/gcc-werror", "unused variable 'coin'", &["compile_error", "lint_format"]),
    ("build/cmake-find", "Could NOT find Purse", &["config_error", "missing_dependency"]),
    ("build/vite", "failed to resolve import", &["missing_dependency", "compile_error"]),
    ("dependency/bundle-locked", "frozen mode is set", &["dependency_resolution"]),
    ("dependency/go-private", "could not read Username", &["auth", "dependency_resolution"]),
    ("dependency/cargo-yank", "needs to be updated", &["dependency_resolution"]),
    ("infra/testcontainers", "valid Docker environment", &["docker_image", "test_failure"]),
    ("infra/vault", "permission denied", &["auth", "permission"]),
    ("infra/disk", "ENOSPC", &["disk_full"]),
    ("infra/sftp", "Access denied", &["auth", "deploy_publish", "network"]),
    ("config/env-python", "KeyError: 'TILL_KEY'", &["script_error", "config_error"]),
    ("config/missing-script", "kustomize: command not found", &["missing_tool"]),
];

#[test]
fn the_cause_comes_first() {
    for (path, line, categories) in CAUSES {
        let report = report(path);
        assert_eq!(report.status, Status::CauseFound, "{path}");
        let shown = &report.evidence[0].excerpt;
        assert!(shown.iter().any(|shown| shown.contains(line)), "{path}: {line:?} is not in {shown:#?}");
        let category = serde_json::to_value(report.category).unwrap();
        assert!(categories.contains(&category.as_str().unwrap()), "{path}: {category}");
    }
}

/// The fixture and its one failing test: name, file, line, and a part of the message.
type FailingTest = (&'static str, &'static str, Option<&'static str>, Option<u64>, &'static str);

const TESTS: &[FailingTest] = &[
    ("test/mstest", "Adds up with coins", Some("tests/DrawerTests.cs"), Some(23), "Assert.AreEqual failed"),
    ("test/ava", "drawer › adds up", Some("test/drawer.js"), Some(12), ""),
    (
        "test/node-test",
        "adds up the drawer",
        Some("test/drawer.test.js"),
        Some(7),
        "Expected values to be strictly equal",
    ),
    ("test/jasmine", "Drawer adds up", Some("spec/drawer.spec.js"), Some(9), "Expected 41 to be 42"),
    ("test/bats", "adds up the drawer", Some("test/till.bats"), Some(14), ""),
    ("test/bats-tap", "adds up the drawer", Some("test/till.bats"), Some(14), ""),
    ("test/gotestsum", "TestAddsUp", Some("drawer_test.go"), Some(21), "got 41, want 42"),
    ("test/gocheck", "DrawerSuite.TestAddsUp", Some("drawer_test.go"), Some(18), ""),
    ("test/zig", "drawer.test.adds up", Some("src/drawer.zig"), Some(31), "expected 42, found 41"),
    ("test/meson", "adds_up", None, None, ""),
    ("test/automake", "tests/adds_up", None, None, ""),
    ("test/qttest", "TillTest::addsUp()", Some("tests/till_test.cpp"), Some(31), "Compared values"),
    ("test/cpputest", "Drawer, AddsUp", Some("tests/drawer_test.cpp"), Some(21), ""),
    ("test/unity-c", "test_adds_up", None, Some(21), "Expected 42 Was 41"),
    ("test/busted", "Drawer adds up", Some("spec/till_spec.lua"), Some(12), "Expected objects to be equal"),
    ("test/clojure", "adds-up-test", Some("till_test.clj"), Some(12), ""),
    ("test/alcotest", "drawer 1 adds up", None, None, ""),
    (
        "test/pest",
        "Tests\\Unit\\DrawerTest > it adds up",
        Some("tests/Unit/DrawerTest.php"),
        Some(12),
        "Failed asserting that 41",
    ),
    ("test/codeception", "DrawerCest: Adds up", None, None, ""),
    ("test/doctest-python", "till.total", Some("till.py"), Some(12), ""),
    ("test/nightwatch", "Drawer adds up", Some("e2e/drawer.js"), Some(12), ""),
    ("test/foundry", "test_addsUp()", None, None, "assertion failed: 41 != 42"),
    ("test/bazel-test", "//till:drawer_test", None, None, ""),
    ("test/rails", "DrawerTest#test_adds_up", Some("test/models/drawer_test.rb"), Some(12), "Expected: 42"),
    ("test/testthat", "adds up", Some("test-drawer.R"), Some(12), "not equal to 42"),
    ("test/elm", "adds up", None, None, ""),
    ("test/hspec", "Drawer adds up", Some("test/DrawerSpec.hs"), Some(12), "expected: 42"),
];

#[test]
fn the_failing_test_is_named() {
    for (path, name, file, line, message) in TESTS {
        let tests = report(path).failing.tests;
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, [*name], "{path}");
        assert!(file.is_none() || tests[0].file.as_deref() == *file, "{path}: {:?}", tests[0].file);
        assert!(line.is_none() || tests[0].line == *line, "{path}: {:?}", tests[0].line);
        let said = tests[0].message.as_deref().unwrap_or_default();
        assert!(said.contains(message), "{path}: {said:?}");
    }
}
