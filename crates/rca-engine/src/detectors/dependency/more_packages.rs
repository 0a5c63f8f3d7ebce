//! Package managers beyond the common ones: Pipenv, Conan, vcpkg, opam, Stack, SwiftPM, Helm, Hex, Pub, CPAN.
//!
//! **What:** packages that cannot be found, locked or verified.
//! **Why:** the manager stops before anything is built.
//! **What to do:** update the lock file where it is stale, and the requirement where nothing matches.

use crate::report::Category::{Checksum, CompileError, DependencyResolution, MissingDependency};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("pipenv.lock", DependencyResolution, 84, &["Pipfile.lock"], r"^Your Pipfile\.lock \(\w+\) is out of date")
        .span(0, 1)
        .tested(&["Your Pipfile.lock (11ee11) is out of date. Expected: (22ff22)."], &["Pipfile.lock (11ee11)"]),
    Rule::cause("conan.resolve", DependencyResolution, 84, &["not resolved: ", "Missing prebuilt package for"], r"^ERROR: (?:Package '(?P<package>[^']+)' not resolved: |Missing prebuilt package for )")
        .span(0, 2)
        .tested(&["ERROR: Package 'purse/0.3.2' not resolved: Unable to find 'purse/0.3.2' in remotes."], &["ERROR: x"]),
    Rule::cause("vcpkg.build", CompileError, 80, &["failed with: BUILD_FAILED", "failed with: POST_BUILD"], r"^error: building (?P<package>\S+?)(?::\S+)? failed with: \w+")
        .span(4, 1)
        .tested(&["error: building purse:x64-linux failed with: BUILD_FAILED"], &["building purse"]),
    Rule::cause("opam.resolve", DependencyResolution, 82, &["Package conflict!", "No solution found, exiting", "No package named"], r"^(?:\[ERROR\] (?:Package conflict!|No package named .+ found)|No solution found, exiting)")
        .span(0, 5)
        .tested(&["[ERROR] Package conflict!"], &["solution found"]),
    Rule::cause("opam.build", CompileError, 78, &["[ERROR] The compilation of"], r"^\[ERROR\] The compilation of (?P<package>\S+) failed")
        .span(0, 4)
        .tested(&["[ERROR] The compilation of purse.0.3 failed at \"dune build\"."], &["compilation of"]),
    Rule::cause("stack.plan", DependencyResolution, 82, &["no version is in the Stack configuration", "but the stack configuration has"], r"\* (?P<package>\S+) must match .+, but (?:no version|the stack configuration)")
        .span(2, 2)
        .tested(&["         * purse must match ^>=0.3, but no version is in the Stack configuration"], &["purse must match"]),
    Rule::cause("swiftpm.resolve", DependencyResolution, 84, &["Dependencies could not be resolved", "error: Failed to resolve dependencies", "Could not resolve package dependencies"], r"(?:Dependencies could not be resolved because|Failed to resolve dependencies|Could not resolve package dependencies)")
        .span(0, 2)
        .tested(&["error: Dependencies could not be resolved because root depends on 'purse' 0.3.0..<1.0.0."], &["resolved"]),
    Rule::cause("gradle.verification", Checksum, 86, &["Dependency verification failed"], r"^> Dependency verification failed for configuration")
        .span(0, 3)
        .tested(&["> Dependency verification failed for configuration ':app:compileClasspath'"], &["Dependency verification"]),
    Rule::cause("yarn.checksum", Checksum, 86, &["YN0018"], r"YN0018: .*(?P<message>The remote archive doesn't match.*)")
        .tested(&["➤ YN0018: │ purse@npm:0.3.2: The remote archive doesn't match the expected checksum"], &["YN0018"]),
    Rule::cause("yarn.berry", DependencyResolution, 74, &["YN0001", "YN0009", "YN0016", "YN0082"], r"➤ YN00(?:01|09|16|82): .*(?:Error|couldn't be built|not found|No candidates)")
        .span(0, 2)
        .tested(&["➤ YN0001: │ Error: purse@npm:^9: No candidates found"], &["➤ YN0000: └ Completed"]),
    Rule::cause("helm.dependencies", DependencyResolution, 84, &["is out of sync with the dependencies file", "found in Chart.yaml, but missing in charts"], r"(?:is out of sync with the dependencies file|found in Chart\.yaml, but missing in charts)")
        .tested(&["Error: the lock file (Chart.lock) is out of sync with the dependencies file (Chart.yaml). Please update the dependencies"], &["dependencies file"]),
    Rule::cause("hex.resolve", DependencyResolution, 82, &["Hex dependency resolution failed", "Failed to use \"", "Unchecked dependencies for environment"], r"^(?:\*\* \(Mix\) )?(?:Hex dependency resolution failed|Failed to use \x22|Unchecked dependencies for environment)")
        .span(0, 4)
        .tested(&["** (Mix) Hex dependency resolution failed"], &["Hex dependency resolution completed"]),
    Rule::cause("cpan.failed", MissingDependency, 76, &["! Installing the dependencies failed", "! Couldn't find module or a distribution"], r"^! (?:Installing the dependencies failed: .+|Couldn't find module or a distribution (?P<package>\S+))")
        .tested(&["! Couldn't find module or a distribution Purse"], &["! x"]),
    Rule::cause("luarocks.missing", MissingDependency, 76, &["No results matching query were found"], r"^Error: No results matching query were found")
        .tested(&["Error: No results matching query were found for Lua 5.4."], &["results"]),
    Rule::cause("bundler.frozen", DependencyResolution, 84, &["frozen mode is set", "running `bundle install` in frozen mode", "in deployment mode after changing"], r"(?:because frozen mode is set|install` in frozen mode|in deployment mode after changing)")
        .span(0, 3)
        .tested(&["The gemspecs for path gems changed, but the lockfile can't be updated because frozen mode is set"], &["frozen mode"]),
];
