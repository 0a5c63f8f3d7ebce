//! TypeScript, bundlers, Node itself and JavaScript linters.
//!
//! **What:** compiler errors, unresolved modules, lint findings with their rule.
//! **Why:** `npm ERR! Lifecycle script failed` only passes on what the tool said above it.
//! **What to do:** fix the reported place; run the linter with its fix option for style.

use crate::report::Category::{
    CompileError, LintFormat, MissingDependency, Oom, PolicyCheck, ScriptError, TypeCheck,
};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("tsc.error", TypeCheck, 84, &["error TS", " TS"], r"^(?:\s*)(?P<file>[^\s():]+\.(?:[cm]?tsx?|vue|jsx?|svelte))(?:\((?P<line>\d+),(?P<column>\d+)\)|:\d+:\d+)(?::| -)\s+error\s+(?P<message>TS\d+: .+)")
        .span(0, 3)
        .tested(&["src/till.ts(3,5): error TS2554: Expected 2 arguments, but got 1.", "src/till.tsx:5:6 - error TS2304: Cannot find name 'Purse'."], &["src/a.ts(3,5): warning"]),
    Rule::cause("webpack.module", MissingDependency, 80, &["Module not found", "Cannot find module", "Could not resolve \"", "Failed to resolve import", "ERR_MODULE_NOT_FOUND"], r"(?:Module not found: |(?:^|Error: |Error \[\w+\]: )Cannot find (?:module|package) '(?P<package>[^']+)'|Could not resolve \x22|Failed to resolve import|ERR_MODULE_NOT_FOUND)")
        .span(1, 4)
        .tested(&["Error: Cannot find module './prices.json'", "Cannot find module '@shop/x'", "ERROR in ./a.js Module not found: Error: Can't resolve 'x'"], &["module found"]),
    Rule::cause("webpack.error", CompileError, 66, &["ERROR in "], r"^ERROR in (?P<message>\S.*)")
        .span(0, 5)
        .tested(&["ERROR in ./src/a.js 3:4"], &["an ERROR in x"]),
    Rule::cause("babel.syntax", CompileError, 70, &["SyntaxError: ", "Parsing error: ", "Unexpected token"], r"^\s*(?:SyntaxError: (?:/|\S+\.[jt]sx?: |Unexpected|Invalid|Missing).*|(?P<file>\S+\.[jt]sx?):(?P<line>\d+):(?P<column>\d+): Parsing error: .+|Unexpected token ILLEGAL)")
        .span(2, 3)
        .tested(&["SyntaxError: /b/src/a.js: Unexpected token (3:4)", "  /b/src/till.js:8:2: Parsing error: Unexpected token"], &["no SyntaxError: x"]),
    Rule::cause("node.heap", Oom, 90, &["JavaScript heap out of memory"], r"JavaScript heap out of memory")
        .with_advice("Node reached its heap limit.", "Raise it with NODE_OPTIONS=--max-old-space-size, or use fewer parallel workers.")
        .span(1, 2)
        .tested(&["FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"], &["heap"]),
    Rule::cause("node.uncaught", ScriptError, 56, &["Error: ", "Error ["], r"^(?:Uncaught )?(?:\w*Error)(?: \[\w+\])?: (?P<message>.+)")
        .span(2, 3)
        .tested(&["Error: boom", "TypeError: drawer.open is not a function"], &["  Error: x"]),
    Rule::cause("eslint.error", LintFormat, 78, &["  error  "], r"^\s+(?P<line>\d+):(?P<column>\d+)\s+error\s+(?P<message>.+?)\s{2,}[\w@/-]+$")
        .span(1, 2)
        .tested(&["  1:7  error  'a' is assigned a value but never used  no-unused-vars"], &["  1:7  warning  'a' is unused  no-unused-vars"]),
    Rule::cause("standard.finding", LintFormat, 78, &["standard: ", ".js:", ".jsx:", ".ts:"], r"^\s*(?:standard: .+|(?P<file>/?[\w./@-]+\.[jt]sx?):(?P<line>\d+):(?P<column>\d+): [A-Z'].*\.?)$")
        .span(0, 3)
        .tested(&["standard: Use JavaScript Standard Style (https://standardjs.com)", "  /b/till.js:4:9: Extra semicolon."], &["  at /b/till.js:4:9"]),
    Rule::cause("prettier.check", LintFormat, 78, &["Code style issues", "[warn] ", "prettier/prettier", "(space-before", "Forgot to run Prettier"], r"(?:Code style issues (?:found|were)|^\[warn\] \S+\.(?:[jt]sx?|css|md|json|ya?ml|vue|html)$|\(prettier/prettier\)$|^\S+\.[jt]sx?:\d+ .+ \([a-z-]+(?:/[a-z-]+)?\)$)")
        .tested(&["[warn] src/a.ts", "[warn] Code style issues found in 2 files. Run Prettier with --write to fix.", "src/a.js:12 Replace `x` with `y` (prettier/prettier)"], &["[warn] deprecated"]),
    Rule::cause("sizelimit.exceeded", PolicyCheck, 82, &["size limit has exceeded"], r"(?i)(?:package )?size limit has exceeded by")
        .span(1, 3)
        .tested(&["Package size limit has exceeded by 1.2 kB"], &["size limit"]),
    Rule::cause("vite.build", CompileError, 64, &["error during build:", "Build failed with", "Failed to compile"], r"^(?:error during build:|.*Build failed with \d+ errors?|Failed to compile\.?$)")
        .span(0, 5)
        .tested(&["error during build:", "Failed to compile."], &["Build passed"]),
    Rule::of(Role::Wrapper, "yarn.wrapper", ScriptError, &["error Command failed with exit code", "ELIFECYCLE", "Exit status ", "Lifecycle script", "npm error code ", "npm ERR! code ", "npm ERR! Test failed"], r"(?:^error Command failed with exit code \d+|ELIFECYCLE|npm (?:ERR!|error) (?:Exit status \d+|Test failed|Lifecycle script|command failed|code \d+$))")
        .tested(&["error Command failed with exit code 1.", " ELIFECYCLE  Command failed with exit code 2.", "npm ERR! Test failed.  See above for more details."], &["Exit status 0"]),
];
