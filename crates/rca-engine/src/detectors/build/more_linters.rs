//! More linters: oxlint, Deno, Ruff's likes, Vale, SQLFluff, pydocstyle, .NET's analyzers, hlint, golangci-lint's list.
//!
//! **What:** the finding with its rule and its place.
//! **Why:** the count at the end names nothing.
//! **What to do:** fix the place, most tools do it themselves with a fix option.

use crate::report::Category::{LintFormat, PolicyCheck};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("oxlint.finding", LintFormat, 80, &["× "], r"^\s*× (?P<message>[\w-]+(?:\([\w/-]+\))?: .+)")
        .span(0, 5)
        .tested(&["  × eslint(no-unused-vars): Variable 'coin' is declared but never used."], &["  ⚠ eslint(no-unused-vars): x"]),
    Rule::cause("deno.format", LintFormat, 80, &["not formatted file"], r"^error: Found [1-9]\d* not formatted files?")
        .span(4, 0)
        .tested(&["error: Found 1 not formatted file in 12 files"], &["Checked 12 files"]),
    Rule::cause("golangci.named", LintFormat, 83, &[".go:"], r"^(?P<file>\S+\.go):(?P<line>\d+):(?:(?P<column>\d+):)? (?P<message>.+ \((?:[a-z]{3,}|SA\d+|[A-Z]{1,2}\d{3,4})(?:, \w+)*\))$")
        .span(0, 2)
        .tested(&["drawer/drawer.go:12:2: ineffectual assignment to total (ineffassign)"], &["drawer/drawer.go:12:2: undefined: total"]),
    Rule::cause("pydocstyle.finding", LintFormat, 78, &["    D1", "    D2", "    D3", "    D4"], r"^\s{4,}(?P<message>D[1-4]\d\d: .+)")
        .span(1, 0)
        .tested(&["        D103: Missing docstring in public function"], &["D103"]),
    Rule::cause("sqlfluff.finding", LintFormat, 78, &[" | P: "], r"^L: +(?P<line>\d+) \| P: +(?P<column>\d+) \| (?P<message>\w{2,4}\d{2} \| .+)")
        .span(1, 1)
        .tested(&["L:   3 | P:   5 | LT01 | Expected only single space before naked identifier."], &["L: 3"]),
    Rule::cause("vale.finding", LintFormat, 78, &[" error  "], r"^\s+(?P<line>\d+):(?P<column>\d+)\s+error\s+(?P<message>.+?)\s{2,}[A-Z]\w+\.\w+$")
        .span(1, 2)
        .tested(&[" 3:14  error    Did you really mean 'drawr'?  Vale.Spelling"], &[" 3:14  warning  x  Vale.Spelling"]),
    Rule::cause("dotnet.analyzer", LintFormat, 80, &[": error "], r"^\s*(?:\d+>)?(?P<file>[^()\n]+)\((?P<line>\d+),(?P<column>\d+)\): error (?P<message>(?:WHITESPACE|FINALNEWLINE|CHARSET|IMPORTS|ENDOFLINE|(?:CA|IDE|SA|RCS|S|MA|VSTHRD|NUnit|xUnit|RS)\d{3,5}): .+)")
        .span(0, 2)
        .tested(&["/b/src/Drawer.cs(12,5): error WHITESPACE: Fix whitespace formatting. Replace 4 characters with 8.", "/b/src/Drawer.cs(12,17): error CA1822: Member 'Total' can be static [/b/Shop.csproj]"], &["/b/a.cs(1,2): error CS0103: x", "/b/a.cs(1,2): warning CA1822: x"]),
    Rule::cause("hlint.finding", LintFormat, 74, &[".hs:"], r"^(?P<file>\S+\.hs):(?P<line>\d+):(?P<column>\d+)(?:-\d+)?: (?:Warning|Suggestion|Error): (?P<message>.+)$")
        .span(0, 4)
        .tested(&["src/Till.hs:12:5-20: Warning: Use map"], &["src/Till.hs:12:5: warning: [-Wunused]"]),
    Rule::cause("luacheck.finding", LintFormat, 74, &[".lua:"], r"^\s+(?P<file>\S+\.lua):(?P<line>\d+):(?P<column>\d+): (?P<message>\([WE]\d{3}\) .+)")
        .tested(&["    src/till.lua:12:5: (W211) unused variable total"], &["    src/till.lua OK"]),
    Rule::cause("kubeconform.finding", PolicyCheck, 80, &[" is invalid: "], r"^(?P<file>\S+\.(?:ya?ml|json)) - (?P<message>.+ is invalid: .+)")
        .tested(&["deploy/till.yaml - Deployment till is invalid: problem validating schema"], &["deploy/till.yaml - Deployment till is valid"]),
    Rule::cause("ansible_lint.finding", LintFormat, 76, &[".yml:", ".yaml:"], r"^(?P<file>\S+\.ya?ml):(?P<line>\d+)(?::\d+)?: (?P<message>[a-z][\w-]+(?:\[[\w-]+\])?: .+)$")
        .tested(&["site.yml:12: name[missing]: All tasks should be named."], &["site.yml:12: x"]),
    Rule::cause("helm_lint.finding", LintFormat, 74, &["[ERROR] templates/", "[ERROR] Chart.yaml"], r"^\[ERROR\] (?P<message>(?:templates/|Chart\.yaml).+)")
        .tested(&["[ERROR] templates/till.yaml: unable to parse YAML"], &["[INFO] Chart.yaml: icon is recommended"]),
    Rule::cause("buf.finding", LintFormat, 76, &[".proto:"], r"^(?P<file>\S+\.proto):(?P<line>\d+):(?P<column>\d+):(?P<message>\S.+)")
        .tested(&["proto/till.proto:3:1:Files with package \"shop\" must be within a directory \"shop\"."], &["proto/till.proto ok"]),
    Rule::cause("tflint.finding", LintFormat, 78, &["Error: ", "Warning: "], r"^(?:Error|Warning): (?P<message>.+ \((?:aws|google|azurerm|terraform)_\w+\))$")
        .span(0, 3)
        .tested(&["Error: \"t1.till\" is an invalid value as instance_type (aws_instance_invalid_type)"], &["Error: x (y)"]),
];
