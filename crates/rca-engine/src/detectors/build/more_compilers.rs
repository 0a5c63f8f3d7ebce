//! Compilers and bundlers beyond the common ones, and generators of documentation.
//!
//! **What:** the first error with its place.
//! **Why:** the tools print it under a heading or behind a mark that no other tool uses.
//! **What to do:** fix the reported place; the first error often explains the rest.

use crate::report::Category::{
    Checksum, CompileError, ConfigError, DocBuild, LintFormat, MissingDependency, MissingFile, ScriptError,
    TypeCheck,
};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("bundler_js.typescript", TypeCheck, 84, &["[ERROR] TS"], r"^\s*(?:✘|X|✖) \[ERROR\] (?P<message>TS-?\d+: .+)")
        .span(0, 4)
        .tested(&["✘ [ERROR] TS2339: Property 'total' does not exist on type 'Drawer'. [plugin angular-compiler]"], &["[ERROR] TSX"]),
    Rule::cause("bundler_js.unresolved", MissingDependency, 82, &["Could not resolve \"", "Could not resolve '", "RollupError: ", "Rollup failed to resolve import"], r"(?:\[ERROR\] Could not resolve \x22(?P<package>[^\x22]+)|RollupError: Could not resolve '(?P<module>[^']+)'|Rollup failed to resolve import)")
        .span(0, 4)
        .tested(&["✘ [ERROR] Could not resolve \"./purse\"", "[!] RollupError: Could not resolve './purse.js' from src/till.js"], &["could resolve"]),
    Rule::cause("bundler_js.error", CompileError, 78, &["✘ [ERROR] ", "X [ERROR] ", "RollupError: ", "🚨 Build failed"], r"^\s*(?:[✘X] \[ERROR\] (?P<message>.+)|\[!\] (?:\(.+\) )?(?:RollupError: )?.+|🚨 Build failed\.?)")
        .span(0, 4)
        .tested(&["✘ [ERROR] Expected \";\" but found \"total\"", "[!] RollupError: Expected ';'"], &["an X [ERROR] y"]),
    Rule::cause("next.type_error", TypeCheck, 84, &["Type error: "], r"^Type error: (?P<message>.+)")
        .span(1, 4)
        .tested(&["Type error: Property 'total' does not exist on type 'Drawer'."], &["TypeError: x"]),
    Rule::cause("svelte.check", TypeCheck, 80, &["(ts)", "(svelte)", "(js)"], r"^Error: (?P<message>.+ \((?:ts|js|svelte|css)\))$")
        .span(1, 1)
        .tested(&["Error: Property 'total' does not exist on type 'Drawer'. (ts)"], &["Error: x (is)"]),
    Rule::cause("d.error", CompileError, 82, &["): Error: "], r"^(?P<file>\S+\.di?)\((?P<line>\d+)(?:,(?P<column>\d+))?\): Error: (?P<message>.+)")
        .span(0, 2)
        .tested(&["source/till/drawer.d(12,12): Error: undefined identifier `total`"], &["a(1): Error: x"]),
    Rule::cause("elm.error", CompileError, 82, &[".elm"], r"^-- (?P<message>[A-Z][A-Z -]+[A-Z]) -+ (?P<file>\S+\.elm)$")
        .span(0, 6)
        .tested(&["-- TYPE MISMATCH ------------------------------------------------ src/Drawer.elm"], &["-- a comment"]),
    Rule::cause("solc.error", CompileError, 82, &["Error ("], r"^\s*Error \(\d{4}\): (?P<message>.+)")
        .span(0, 4)
        .tested(&["Error (7576): Undeclared identifier."], &["Error: x", "Warning (2072): Unused local variable."]),
    Rule::of(Role::Wrapper, "solc.wrapper", CompileError, &["Compiler run failed"], r"^Error: Compiler run failed:?$")
        .with_weight(60)
        .tested(&["Error: Compiler run failed:"], &[]),
    Rule::cause("verilog.error", CompileError, 82, &["%Error"], r"^%Error(?:-\w+)?: (?P<file>[^\s:]+):(?P<line>\d+):(?P<column>\d+): (?P<message>.+)")
        .span(0, 3)
        .tested(&["%Error: till.v:12:5: syntax error, unexpected IDENTIFIER, expecting ';'"], &["%Error: Exiting due to 1 error(s)"]),
    Rule::cause("dune.error", CompileError, 80, &["File \""], r"^File \x22(?P<file>(?:[^\x22]*/)?dune(?:-project)?)\x22, line (?P<line>\d+), characters [\d-]+:$")
        .span(0, 5)
        .tested(&["File \"src/dune\", line 3, characters 12-17:"], &["File \"src/till.py\", line 3"]),
    Rule::cause("dune.library", MissingDependency, 84, &["Error: Library \""], r"^Error: Library \x22(?P<package>[^\x22]+)\x22 not found")
        .span(4, 1)
        .tested(&["Error: Library \"purse\" not found."], &["Library found"]),
    Rule::cause("cython.error", CompileError, 82, &[".pyx:", ".pxd:"], r"^(?P<file>\S+\.px[di]?|\S+\.pyx):(?P<line>\d+):(?P<column>\d+): (?P<message>.+)")
        .span(3, 0)
        .tested(&["till/drawer.pyx:12:11: undeclared name not builtin: sums"], &["till/drawer.pyx"]),
    Rule::cause("nix.hash", Checksum, 86, &["hash mismatch in fixed-output"], r"hash mismatch in fixed-output derivation")
        .span(0, 2)
        .tested(&["error: hash mismatch in fixed-output derivation '/nix/store/x.drv':"], &["hash"]),
    Rule::of(Role::Wrapper, "nix.builder", CompileError, &["error: builder for '", "dependencies of derivation", "Cannot build '/nix/store/"], r"^error: (?:builder for '|\d+ dependencies of derivation|Cannot build ')")
        .with_weight(44)
        .span(0, 8)
        .tested(&["error: builder for '/nix/store/x.drv' failed with exit code 2;"], &[]),
    Rule::cause("nix.log", CompileError, 80, &[": error: "], r"^ +> (?P<file>[^\s:]+):(?P<line>\d+):(?:(?P<column>\d+):)? (?:fatal )?error: (?P<message>.+)")
        .span(1, 2)
        .tested(&["       > drawer.c:12:5: error: 'total' undeclared"], &["       > gcc -c drawer.c"]),
    Rule::cause("nix.evaluation", ConfigError, 76, &["error: attribute '", "error: undefined variable '"], r"^\s*error: (?:attribute '(?P<package>[^']+)' missing|undefined variable ')")
        .span(0, 3)
        .tested(&["error: attribute 'purse' missing"], &["error: attribute"]),
    Rule::cause("meson.error", ConfigError, 80, &["meson.build:", "meson_options.txt:"], r"^(?P<file>\S*meson\w*\.(?:build|txt)):(?P<line>\d+):(?P<column>\d+): ERROR: (?P<message>.+)")
        .span(2, 0)
        .tested(&["meson.build:12:8: ERROR: Dependency \"purse\" not found, tried pkgconfig and cmake"], &["meson.build:12:8: WARNING: x"]),
    Rule::cause("r8.error", CompileError, 82, &["R8: ", "Missing classes detected", "D8: ", "Cannot fit requested classes", "Duplicate class "], r"(?:^ERROR: (?:R8|D8): (?P<message>.+)|Missing classes detected while running R8|Cannot fit requested classes in a single dex|Duplicate class \S+ found in modules)")
        .span(0, 2)
        .tested(&["ERROR: R8: Missing class shop.coin.Purse (referenced from: void shop.Drawer.open())", "> Duplicate class a.B found in modules x and y"], &["R8: done"]),
    Rule::cause("unity_editor.failed", CompileError, 74, &["Scripts have compiler errors", "Aborting batchmode due to failure", "No valid Unity Editor license"], r"(?:Scripts have compiler errors|Aborting batchmode due to failure|No valid Unity Editor license)")
        .span(0, 2)
        .tested(&["Aborting batchmode due to failure:"], &["batchmode"]),
    Rule::cause("clojure.compile", CompileError, 80, &["Syntax error "], r"^Syntax error (?:compiling|reading source|macroexpanding).* at \((?P<file>[^:()]+):(?P<line>\d+)(?::\d+)?\)")
        .span(0, 2)
        .tested(&["Syntax error compiling at (src/shop/till.clj:12:5)."], &["Syntax error here"]),
    Rule::cause("crystal.error", CompileError, 76, &[".cr:"], r"^In (?P<file>\S+\.cr):(?P<line>\d+):(?P<column>\d+)$")
        .span(0, 6)
        .tested(&["In src/till.cr:12:5"], &["In line 3"]),
    Rule::cause("node.module_kind", CompileError, 80, &["does not provide an export named", "ERR_REQUIRE_ESM", "Cannot use import statement outside a module", "ERR_UNKNOWN_FILE_EXTENSION"], r"(?:does not provide an export named|\[ERR_REQUIRE_ESM\]|Cannot use import statement outside a module|\[ERR_UNKNOWN_FILE_EXTENSION\])")
        .span(3, 1)
        .tested(&["SyntaxError: The requested module './purse' does not provide an export named 'open'"], &["an export named x"]),
    Rule::cause("json.syntax", ConfigError, 76, &["in JSON at position", "Unexpected end of JSON input", "JSONDecodeError", "is not valid JSON"], r"(?:SyntaxError: .+(?:in JSON at position \d+|Unexpected end of JSON input|is not valid JSON)|json\.decoder\.JSONDecodeError: )")
        .span(4, 2)
        .tested(&["SyntaxError: Expected double-quoted property name in JSON at position 31 (line 3 column 15)", "json.decoder.JSONDecodeError: Extra data: line 3"], &["in JSON at position"]),
    Rule::cause("powershell.parser", ScriptError, 78, &["ParserError: "], r"^(?:\x1b\[[\d;]*m)?ParserError: (?P<file>.*?):(?P<line>\d+)")
        .span(0, 4)
        .tested(&["ParserError: /b/build.ps1:12"], &["a ParserError: x"]),
    Rule::cause("mkdocs.warning", DocBuild, 80, &["WARNING -  Doc file", "WARNING -  A reference", "WARNING -  The following pages"], r"^WARNING +-  (?P<message>(?:Doc file|A reference to) .+)")
        .tested(&["WARNING -  Doc file 'drawer.md' contains a link 'purse.md', but the target is not found among documentation files."], &["INFO    -  Doc file 'drawer.md'"]),
    Rule::of(Role::Summary, "mkdocs.strict", DocBuild, &["warnings in strict mode"], r"^Aborted with \d+ warnings in strict mode")
        .tested(&["Aborted with 1 warnings in strict mode!"], &[]),
    Rule::cause("site.build", DocBuild, 78, &["error building site", "Liquid Exception: ", "Docusaurus found broken", "warning treated as error, aborting"], r"(?:^(?:Error|ERROR).*error building site|^\s*Liquid (?:Exception|Error): .+|Docusaurus found broken (?:links|anchors|markdown)|warning treated as error, aborting now)")
        .span(0, 3)
        .tested(&["Error: error building site: process: readAndProcessContent: x", "  Liquid Exception: Unknown tag 'till' in index.md"], &["building site"]),
    Rule::cause("rustc.diagnostic", CompileError, 64, &["error: "], r"^error: (?P<message>(?:expected|cannot find|unknown|no rules expected|mismatched|unexpected|the |proc macro|custom attribute|environment variable|macro|this file contains|unresolved|failed to resolve|recursion limit|couldn't read) ?.*)")
        .span(0, 6)
        .tested(&["error: expected `;`, found `}`"], &["error: x"]),
    Rule::cause("make.no_makefile", MissingFile, 80, &["no makefile found"], r"\*\*\* No targets(?: specified and no makefile found)?\.  Stop")
        .tested(&["make: *** No targets specified and no makefile found.  Stop."], &["makefile found"]),
    Rule::cause("android.lint", LintFormat, 82, &[": Error: "], r"^(?P<file>\S+\.(?:xml|kt|java|gradle|kts|toml)):(?P<line>\d+): Error: (?P<message>.+ \[\w+(?: from .+)?\])$")
        .span(0, 2)
        .tested(&["/b/app/src/main/res/layout/drawer.xml:12: Error: Missing contentDescription attribute on image [ContentDescription]"], &["a.xml:12: Warning: x [Y]"]),
    Rule::cause("sorbet.error", TypeCheck, 84, &["https://srb.help/"], r"^(?P<file>\S+\.rbi?):(?P<line>\d+): (?P<message>.+ https://srb\.help/\d+)$")
        .span(0, 3)
        .tested(&["app/models/drawer.rb:12: Method `totals` does not exist on `Drawer` https://srb.help/7003"], &["see https://srb.help/7003"]),
];
