//! rustc, cargo, clippy and rustfmt.
//!
//! **What:** compile errors with their code and place, dependency errors of cargo, failed build scripts.
//! **Why:** the first error is the one to fix; "could not compile" only passes it on.
//! **What to do:** `rustc --explain CODE`; for dependencies `cargo update -p NAME` or a changed requirement.

use crate::report::Category::{
    CompileError, DependencyResolution, DocBuild, LinkError, LintFormat, Network, ToolchainVersion,
};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("rustc.missing_crate", CompileError, 84, &["can't find crate for"], r"^error(?:\[E0463\])?: can't find crate for `(?P<package>[^`]+)`")
        .span(0, 4)
        .tested(&["error[E0463]: can't find crate for `serde`"], &["can't find crate for you"]),
    Rule::cause("rustc.error", CompileError, 82, &["error[E"], r"^(?:\s*)error\[E\d{4}\]: (?P<message>.+)")
        .span(0, 6)
        .tested(&["error[E0425]: cannot find value `X` in this scope"], &["error[1]: x", "see error[E0425]"]),
    Rule::detail("rustc.location", CompileError, 30, &["--> "], r"^\s*--> (?P<file>[^\s:]+\.rs):(?P<line>\d+):(?P<column>\d+)")
        .tested(&["  --> src/main.rs:3:5"], &[]),
    Rule::cause("rustc.link", LinkError, 84, &["error: linking with"], r"^\s*error: linking with `[^`]+` failed")
        .span(0, 5)
        .tested(&["error: linking with `cc` failed: exit status: 1"], &["linking with cc"]),
    Rule::cause("cargo.resolve", DependencyResolution, 84, &["failed to select a version", "no matching package", "failed to parse lock file", "needs to be updated but --locked", "--locked was passed"], r"^error: (?:failed to select a version|no matching package|failed to parse lock file|the lock file .* needs to be updated|cannot update the lock file)")
        .span(0, 5)
        .tested(&["error: failed to select a version for the requirement `purse = \"^9\"`", "error: no matching package named `x` found"], &["failed to select a version"]),
    Rule::cause("cargo.fetch", Network, 80, &["failed to download", "failed to get `", "unable to update registry", "failed to fetch"], r"^\s*(?:error|Caused by)?:?\s*(?:failed to (?:download|fetch|get) .+|[Uu]nable to update registry .*)$")
        .span(0, 6)
        .tested(&["error: failed to get `serde` as a dependency of package `x`"], &["warning: failed"]),
    Rule::cause("cargo.rust_version", ToolchainVersion, 84, &["rustc", "requires"], r"^error: (?:package `[^`]+`|rustc [\d.]+ is not supported|.*requires rustc [\d.]+)")
        .span(0, 4)
        .tested(&["error: package `x v1.0.0` cannot be built because it requires rustc 1.80 or newer", "error: rustc 1.60.0 is not supported by the following package"], &["requires rustc"]),
    Rule::cause("cargo.build_script", CompileError, 76, &["failed to run custom build command"], r"^error: failed to run custom build command for `(?P<package>[^`]+)`")
        .span(0, 8)
        .tested(&["error: failed to run custom build command for `x-sys v1.0.0`"], &["run custom build command"]),
    Rule::cause("rustc.lint", LintFormat, 66, &["error: "], r"^error: (?P<message>(?:unused|this|use of|called|missing documentation|unneeded|needless|redundant|you should|casting|the (?:following|borrow)) .+)")
        .span(0, 5)
        .tested(&["error: unused variable: `x`", "error: this expression creates a reference"], &["error: x"]),
    Rule::cause("rustfmt.diff", LintFormat, 82, &["Diff in "], r"^Diff in (?P<file>\S+?)(?: at line |:)(?P<line>\d+):?$")
        .span(0, 6)
        .tested(&["Diff in /b/src/main.rs:12:", "Diff in src/main.rs at line 3:"], &["Diff in x"]),
    Rule::cause("rustdoc.link", DocBuild, 78, &["unresolved link to"], r"^error: unresolved link to")
        .span(0, 4)
        .tested(&["error: unresolved link to `X`"], &["warning: unresolved link to `X`"]),
    Rule::of(Role::Wrapper, "cargo.wrapper", CompileError, &["could not compile", "aborting due to", "For more information about this error"], r"^error: (?:could not compile|aborting due to)|^For more information about this error")
        .tested(&["error: could not compile `app` (lib) due to 1 previous error", "error: aborting due to 2 previous errors"], &["it could not compile"]),
];
