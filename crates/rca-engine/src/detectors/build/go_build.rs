//! The Go compiler and the module system.
//!
//! **What:** compile errors, packages that fail to build, modules that cannot be fetched or verified.
//! **Why:** `FAIL pkg [build failed]` only passes on the compiler's line above it.
//! **What to do:** fix the reported line; for modules `go mod tidy` and commit `go.sum`.

use crate::report::Category::{Checksum, CompileError, DependencyResolution, ToolchainVersion};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("go.compile", CompileError, 80, &[".go:"], r"^(?:vet: |# \S+ )?(?P<file>(?:\./|\.\./|/)?[\w@./+-]+\.go):(?P<line>\d+):(?P<column>\d+): (?P<message>[a-z(*\x22].+)")
        .span(1, 3)
        .tested(&["./main.go:12:2: undefined: foo", "vet: ./till.go:3:4: total declared and not used"], &["main_test.go:12: got 3"]),
    Rule::cause("go.build_failed", CompileError, 56, &["[build failed]", "[setup failed]"], r"^FAIL\s+(?P<package>\S+) \[(?:build|setup) failed\]")
        .span(2, 0)
        .tested(&["FAIL\texample.com/app [build failed]"], &["ok  \texample.com/app"]),
    Rule::cause("go.checksum", Checksum, 88, &["checksum mismatch", "SECURITY ERROR"], r"(?:verifying \S+: checksum mismatch|^SECURITY ERROR$)")
        .span(0, 5)
        .tested(&["verifying example.com/x@v1.0.0: checksum mismatch"], &["checksum matches"]),
    Rule::cause("go.module", DependencyResolution, 82, &["missing go.sum entry", "no required module provides package", "cannot find module", "cannot find package", "updates to go.mod needed", "unknown revision", "no matching versions for query", "inconsistent vendoring"], r"(?:missing go\.sum entry|no required module provides package (?P<package>\S+)|cannot find (?:module|package) |updates to go\.mod needed|(?:unknown|invalid) revision|no matching versions for query|inconsistent vendoring)")
        .span(0, 2)
        .tested(&["a.go:3:2: no required module provides package example.com/x; to add it:", "go: updates to go.mod needed"], &["required module"]),
    Rule::cause("go.version", ToolchainVersion, 84, &["requires go ", "toolchain not available"], r"(?:requires go >= [\d.]+|toolchain not available)")
        .tested(&["go: go.mod requires go >= 1.23.0 (running go 1.21.0)"], &["requires go 1"]),
    Rule::of(Role::Noise, "go.downloading", CompileError, &["go: downloading", "go: finding"], r"^go: (?:downloading|finding|extracting) ")
        .tested(&["go: downloading example.com/purse v1.2.3"], &[]),
];
