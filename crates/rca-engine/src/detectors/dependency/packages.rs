//! Package managers: npm, yarn, pnpm, pip, uv, conda, Bundler, Composer, CocoaPods, NuGet, Cabal, R, Emacs.
//!
//! **What:** versions that do not exist or conflict, lock files that are out of date, failed builds of
//! native packages.
//! **Why:** the manager names the package; what follows are its hints.
//! **What to do:** correct the requirement or the lock file, and commit it.

use crate::report::Category::{
    Checksum, CompileError, DependencyResolution, MissingDependency, Network, PolicyCheck, ToolchainVersion,
};
use crate::report::Retry;
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("npm.resolve", DependencyResolution, 84, &["ERESOLVE", "ETARGET", "E404", "EUSAGE", "notarget"], r"npm (?:ERR!|error) (?:code )?(?:ERESOLVE|ETARGET|E404|EUSAGE|notarget|404 )")
        .span(0, 4)
        .tested(&["npm ERR! code ERESOLVE", "npm error code E404"], &["npm WARN ERESOLVE overriding"]),
    Rule::cause("npm.network", Network, 84, &["ECONNRESET", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ERR_SOCKET_TIMEOUT"], r"(?:npm (?:ERR!|error) (?:code |network )|^error .*|Error: .*)(?:ECONNRESET|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ERR_SOCKET_TIMEOUT)")
        .span(0, 3)
        .tested(&["npm ERR! code ECONNRESET", "npm error network ETIMEDOUT"], &["retry after ECONNRESET"]),
    Rule::cause("npm.integrity", Checksum, 86, &["EINTEGRITY"], r"npm (?:ERR!|error) code EINTEGRITY")
        .span(0, 2)
        .tested(&["npm ERR! code EINTEGRITY"], &["EINTEGRITY"]),
    Rule::cause("npm.engine", ToolchainVersion, 80, &["EBADENGINE", "The engine \"", "Unsupported engine"], r"(?:npm (?:ERR!|error) code EBADENGINE|^error .*The engine \x22|ERR_PNPM_UNSUPPORTED_ENGINE)")
        .span(0, 4)
        .tested(&["npm ERR! code EBADENGINE", "error foo@1.0.0: The engine \"node\" is incompatible with this module."], &["npm WARN EBADENGINE Unsupported engine"]),
    Rule::cause("pnpm.error", DependencyResolution, 82, &["ERR_PNPM_"], r"ERR_PNPM_(?:OUTDATED_LOCKFILE|NO_MATCHING_VERSION|PEER_DEP_ISSUES|FETCH_404|LOCKFILE\w*|NO_LOCKFILE|FROZEN_LOCKFILE\w*|SPEC_NOT_SUPPORTED\w*|WORKSPACE_PKG_NOT_FOUND)")
        .span(0, 2)
        .tested(&[" ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with \"frozen-lockfile\""], &["PNPM"]),
    Rule::cause("yarn.lockfile", DependencyResolution, 82, &["lockfile needs to be updated", "The lockfile would have been", "Couldn't find package", "Couldn't find any versions", "YN0028", "YN0035", "YN0082", "YN0002"], r"(?:[Ll]ockfile needs to be updated|lockfile would have been (?:modified|created)|Couldn't find (?:package|any versions)|YN0028.*|YN00(?:35|82): )")
        .tested(&["error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.", "error Couldn't find any versions for \"x\" that matches \"^9\""], &["lockfile"]),
    Rule::cause("npm.audit", PolicyCheck, 66, &["│ Package  ", "vulnerabilities", "severity vulnerabilit"], r"^(?:│ Package\s+│ (?P<package>\S+)|\d+ vulnerabilities found|found [1-9]\d* (?:\w+ severity )?vulnerabilit)")
        .span(2, 4)
        .tested(&["│ Package             │ frobnicate       │", "found 3 high severity vulnerabilities"], &["found 0 vulnerabilities"]),
    Rule::cause("pip.no_version", DependencyResolution, 86, &["Could not find a version that satisfies", "No matching distribution found", "ResolutionImpossible", "Cannot install "], r"^\s*(?:ERROR: )?(?:Could not find a version that satisfies the requirement (?P<package>[\w.\[\]-]+)|No matching distribution found for|ResolutionImpossible|Cannot install .+ because)")
        .span(0, 1)
        .tested(&["ERROR: Could not find a version that satisfies the requirement purse==4.2 (from versions: 1.0)", "ERROR: Cannot install a and b because these package versions have conflicting dependencies."], &["pip found a version"]),
    Rule::cause("pip.wheel", CompileError, 76, &["Failed building wheel", "failed-wheel-build", "Failed to build installable wheels", "metadata-generation-failed", "Could not build wheels"], r"(?:ERROR: (?:Failed building wheel for (?P<package>\S+)|Could not build wheels|Failed to build installable wheels)|error: metadata-generation-failed)")
        .span(0, 3)
        .tested(&["  ERROR: Failed building wheel for frobnicate"], &["Successfully built wheel"]),
    Rule::cause("pip.hash", Checksum, 86, &["DO NOT MATCH THE HASHES"], r"THESE PACKAGES DO NOT MATCH THE HASHES")
        .span(0, 5)
        .tested(&["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."], &["hashes match"]),
    Rule::cause("pip.python", ToolchainVersion, 82, &["requires a different Python", "requires Python", "Requires-Python"], r"(?:requires a different Python|ERROR: .* requires Python)")
        .tested(&["ERROR: Package 'x' requires a different Python: 3.8.1 not in '>=3.9'"], &["Requires-Python: >=3.7"]),
    Rule::cause("uv.resolve", DependencyResolution, 82, &["No solution found when resolving", "The lockfile at"], r"(?:No solution found when resolving|The lockfile at `uv\.lock` needs to be updated)")
        .span(0, 5)
        .tested(&["  × No solution found when resolving dependencies:"], &["solution found"]),
    Rule::cause("uv.fetch", Network, 82, &["error: Error while fetching", "error: Failed to fetch", "error: Failed to download"], r"^error: (?:Error while fetching|Failed to (?:fetch|download))")
        .span(0, 3)
        .tested(&["error: Failed to fetch: `https://pypi.example.org/simple/x/`"], &["Failed to fetch"]),
    Rule::cause("poetry.resolve", DependencyResolution, 80, &["version solving failed", "poetry.lock is not up to date", "pyproject.toml changed significantly"], r"(?:version solving failed|poetry\.lock is not up to date|pyproject\.toml changed significantly)")
        .span(4, 1)
        .tested(&["So, because app depends on x (^9), version solving failed."], &["version solving"]),
    Rule::cause("conda.missing", DependencyResolution, 84, &["PackagesNotFoundError", "ResolvePackageNotFound", "UnsatisfiableError", "LibMambaUnsatisfiableError"], r"^(?:PackagesNotFoundError|ResolvePackageNotFound|UnsatisfiableError|LibMambaUnsatisfiableError):")
        .span(0, 5)
        .tested(&["PackagesNotFoundError: The following packages are not available from current channels:"], &["see UnsatisfiableError"]),
    Rule::cause("bundler.resolve", DependencyResolution, 84, &["Could not find gem", "Bundler could not find compatible versions", "Could not find compatible versions", "lockfile does not satisfy", "Gemfile.lock is corrupt", "Your Ruby version is"], r"(?:Could not find gem '(?P<package>[^' ]+)|could not find compatible versions for (?:gem|pod)|Could not find compatible versions|Your Ruby version is)")
        .span(0, 5)
        .tested(&["Could not find gem 'rails (= 99)' in locally installed gems.", "Bundler could not find compatible versions for gem \"a\":"], &["found gem"]),
    Rule::cause("gem.native", CompileError, 76, &["Failed to build gem native extension"], r"Failed to build gem native extension")
        .span(1, 6)
        .tested(&["ERROR: Failed to build gem native extension."], &["native extension"]),
    Rule::cause("gem.load", MissingDependency, 74, &["cannot load such file -- "], r"cannot load such file -- (?P<package>\S+)")
        .span(0, 2)
        .tested(&["require: cannot load such file -- json (LoadError)"], &["load file"]),
    Rule::cause("composer.resolve", DependencyResolution, 84, &["Your requirements could not be resolved", "lock file is not up to date", "could not be found in any version"], r"(?:Your requirements could not be resolved|could not be found in any version|lock file is not up to date with)")
        .span(0, 6)
        .tested(&["Your requirements could not be resolved to an installable set of packages."], &["requirements resolved"]),
    Rule::cause("cocoapods.resolve", DependencyResolution, 82, &["CocoaPods could not find compatible versions", "Unable to find a specification"], r"(?:CocoaPods could not find compatible versions|Unable to find a specification for)")
        .span(0, 5)
        .tested(&["[!] CocoaPods could not find compatible versions for pod \"X\":"], &["CocoaPods found"]),
    Rule::cause("nuget.resolve", DependencyResolution, 84, &["error NU1"], r"error NU1\d{3}: ")
        .tested(&["/b/a.csproj : error NU1102: Unable to find package X with version (>= 9)"], &["warning NU1603"]),
    Rule::cause("apt.missing", MissingDependency, 82, &["E: Unable to locate package", "has no installation candidate", "unmet dependencies"], r"^E: (?:Unable to locate package (?P<package>\S+)|Package '(?:[^']+)' has no installation candidate)|have unmet dependencies")
        .tested(&["E: Unable to locate package foo"], &["Unable to locate package foo"]),
    Rule::cause("apt.fetch", Network, 80, &["E: Failed to fetch", "Hash Sum mismatch", "Some index files failed to download"], r"^E: (?:Failed to fetch|Some index files failed to download)|Hash Sum mismatch")
        .with_retry(Retry::Yes)
        .tested(&["E: Failed to fetch http://archive.example.org/x.deb  404  Not Found"], &["W: Failed to fetch"]),
    Rule::cause("yum.missing", MissingDependency, 78, &["No package ", "Unable to find a match:", "No match for argument"], r"^(?:No package .+ available|Error: Unable to find a match:|No match for argument)")
        .tested(&["Error: Unable to find a match: foo", "No package foo available."], &["package foo"]),
    Rule::cause("apk.missing", MissingDependency, 80, &["unable to select packages"], r"^ERROR: unable to select packages:")
        .span(0, 3)
        .tested(&["ERROR: unable to select packages:"], &["select packages"]),
    Rule::cause("homebrew.missing", MissingDependency, 76, &["No available formula", "No formulae found"], r"^Error: No (?:available formula|formulae found)")
        .tested(&["Error: No available formula with the name \"x\"."], &["formula"]),
    Rule::cause("r.missing", MissingDependency, 82, &["there is no package called", "required but not available", "are not available for package", "not available:"], r"(?:there is no package called ['‘](?P<package>[^'’]+)|[Pp]ackages? (?:suggested|required) but not available|dependenc(?:y|ies) .+ (?:is|are) not available for package)")
        .span(0, 2)
        .tested(&["Error in library(\"x\") : there is no package called ‘x’", "Package required but not available: ‘purser’"], &["package x is available"]),
    Rule::cause("emacs.package", DependencyResolution, 76, &["Package `"], r"(?:^|\(error \x22|: )Package [`'‘].+['’] is unavailable")
        .span(0, 2)
        .tested(&["Package `purse-9' is unavailable", "(error \"Package `purse-9' is unavailable\")"], &["is unavailable"]),
    Rule::cause("emacs.error", DependencyResolution, 72, &["Debugger entered--Lisp error", "signal(error ("], r"^(?:Debugger entered--Lisp error: \(|\s*signal\(error \()")
        .span(0, 2)
        .tested(&["Debugger entered--Lisp error: (void-variable purse)"], &["Lisp error"]),
    Rule::cause("cabal.resolve", DependencyResolution, 80, &["Could not resolve dependencies:", "cannot satisfy -package"], r"(?:Could not resolve dependencies:$|cannot satisfy -package)")
        .span(0, 5)
        .tested(&["cabal: Could not resolve dependencies:"], &["Could not resolve dependencies for project"]),
    Rule::of(Role::Wrapper, "bundler.wrapper", MissingDependency, &["Run `bundle install`"], r"^Run `bundle install` to install missing gems")
        .tested(&["Run `bundle install` to install missing gems."], &[]),
];
