//! Compilers and build tools of Swift, Dart, Android, Fortran, Julia, R, OCaml, Nim, Zig, Bazel and others.
//!
//! **What:** the first error with its place.
//! **Why:** the driver above the compiler only counts errors.
//! **What to do:** fix the first error and build again.

use crate::report::Category::{CompileError, ConfigError, MissingFile, ScriptError, ToolchainVersion};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("bazel.error", CompileError, 70, &["ERROR: "], r"^ERROR: (?P<file>/?\S+(?:BUILD|BUILD\.bazel|\.bzl|WORKSPACE)\S*?):(?P<line>\d+):(?P<column>\d+): (?P<message>.+)")
        .span(0, 4)
        .tested(&["ERROR: /b/till/BUILD.bazel:3:11: Compiling till.cc failed: (Exit 1)"], &["ERROR: x"]),
    Rule::cause("bazel.analysis", ConfigError, 66, &["no such package", "no such target", "Analysis of target"], r"^ERROR: .*(?:no such (?:package|target) '|Analysis of target '.+' failed)")
        .tested(&["ERROR: no such package 'till/drawer': BUILD file not found"], &["no such package"]),
    Rule::cause("android.resource", CompileError, 82, &["AAPT: error", "aapt2", "Manifest merger failed"], r"(?:AAPT: error: |Manifest merger failed)")
        .span(0, 3)
        .tested(&["ERROR: /b/res/values/till.xml:3: AAPT: error: resource color/purse not found."], &["AAPT: note"]),
    Rule::cause("android.sdk", ToolchainVersion, 80, &["SDK location not found", "Failed to find target with hash string", "licences have not been accepted", "licenses have not been accepted"], r"(?:SDK location not found|Failed to find target with hash string|licen[cs]es have not been accepted)")
        .span(0, 3)
        .tested(&["> SDK location not found. Define a valid SDK location with an ANDROID_HOME variable"], &["SDK location found"]),
    Rule::cause("dart.error", CompileError, 80, &[".dart:"], r"^(?P<file>\S+\.dart):(?P<line>\d+):(?P<column>\d+): Error: (?P<message>.+)")
        .span(0, 3)
        .tested(&["lib/till.dart:3:9: Error: Undefined name 'purse'."], &["lib/till.dart:3:9: Warning: x"]),
    Rule::cause("dart.analyze", CompileError, 78, &["error • "], r"^\s*error [•-] (?P<message>.+) [•-] (?P<file>\S+\.dart):(?P<line>\d+):(?P<column>\d+) [•-] \w+")
        .tested(&["  error • Undefined name 'purse' • lib/till.dart:3:9 • undefined_identifier"], &["  info • x"]),
    Rule::cause("fortran.error", CompileError, 66, &["Error: ", "Fatal Error: "], r"^(?:Fatal )?Error: .+ at \(\d\)")
        .span(4, 0)
        .tested(&["Error: Symbol 'purse' at (1) has no IMPLICIT type"], &["Error: x"]),
    Rule::cause("ocaml.error", CompileError, 78, &["File \""], r"^File \x22(?P<file>[^\x22]+\.mli?)\x22, lines? (?P<line>\d+)(?:-\d+)?, characters [\d-]+:$")
        .span(0, 6)
        .tested(&["File \"src/till.ml\", line 3, characters 9-14:"], &["File \"till.py\", line 3, in sum"]),
    Rule::cause("nim.error", CompileError, 80, &[") Error: "], r"^(?P<file>\S+\.nims?)\((?P<line>\d+), (?P<column>\d+)\) Error: (?P<message>.+)")
        .tested(&["/b/till.nim(3, 9) Error: undeclared identifier: 'purse'"], &["till.nim(3, 9) Hint: x"]),
    Rule::cause("julia.error", ScriptError, 64, &["ERROR: "], r"^ERROR: (?:LoadError|\w+Error|InitError|Unsatisfiable requirements)\b.*")
        .span(0, 5)
        .tested(&["ERROR: LoadError: UndefVarError: `purse` not defined"], &["ERROR: x"]),
    Rule::cause("r.error", ScriptError, 58, &["Error in ", "Error: "], r"^\s*Error in \S.* ?:")
        .span(0, 4)
        .tested(&["Error in sum(purse) : object 'purse' not found"], &["an Error in x"]),
    Rule::cause("r.check", ScriptError, 52, &["... ERROR", "error most likely occurred in", "... WARNING"], r"^(?:\* checking .+ \.\.\. (?:\[.*\] )?ERROR|The error most likely occurred in:)")
        .span(0, 6)
        .tested(&["* checking tests ... ERROR", "The error most likely occurred in:"], &["* checking tests ... OK"]),
    Rule::cause("r.install", CompileError, 54, &["Installation failed.", "installation of package", "compilation failed for package"], r"^\s*(?:Installation failed\.$|ERROR: compilation failed for package|.*installation of package .+ had non-zero exit status)")
        .span(1, 2)
        .tested(&["Installation failed.", "ERROR: compilation failed for package 'purse'"], &["Installation ok"]),
    Rule::cause("latex.error", CompileError, 72, &["! LaTeX Error", "! Undefined control", "! Missing ", "! Package ", "! Emergency stop"], r"^! (?:LaTeX Error: |Undefined control sequence|Missing |Package \S+ Error|Emergency stop).*")
        .span(0, 4)
        .tested(&["! LaTeX Error: File `purse.sty' not found."], &["! ok"]),
    Rule::cause("protoc.error", CompileError, 78, &[".proto:"], r"^(?P<file>\S+\.proto):(?P<line>\d+):(?P<column>\d+): ?(?P<message>.+)")
        .tested(&["till.proto:3:9: \"Purse\" is not defined."], &["till.proto ok"]),
    Rule::cause("xcode.failed", CompileError, 50, &["The following build commands failed", "xcodebuild: error:"], r"^(?:The following build commands failed:|xcodebuild: error: .+)")
        .span(0, 3)
        .tested(&["xcodebuild: error: Unable to find a destination matching the provided destination specifier:"], &["build commands"]),
    Rule::cause("xcode.signing", ConfigError, 84, &["No signing certificate", "requires a provisioning profile", "Code Sign error", "No profiles for "], r"(?:No signing certificate|requires a provisioning profile|Code Sign error|No profiles for ')")
        .tested(&["error: \"Till\" requires a provisioning profile. Select one in the editor."], &["signed"]),
    Rule::cause("msbuild.missing_project", MissingFile, 80, &["MSB1003", "MSB1009", "MSB4025"], r"error (?P<message>MSB(?:1003|1009|4025|3202): .+)")
        .tested(&["MSBUILD : error MSB1009: Project file does not exist."], &["MSB1009"]),
    Rule::of(Role::Wrapper, "bazel.wrapper", CompileError, &["FAILED: Build did NOT complete", "Build did NOT complete successfully"], r"Build did NOT complete successfully")
        .tested(&["FAILED: Build did NOT complete successfully"], &[]),
];
