//! Linters, formatters and type checkers of other languages, and checks of a project's own rules.
//!
//! **What:** findings with their place and rule.
//! **Why:** the tool's count at the end only sums up the findings.
//! **What to do:** fix the finding, run the formatter, or change the rule on purpose.

use crate::report::Category::{CompileError, Coverage, DocBuild, LintFormat, PolicyCheck, TypeCheck};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("mypy.error", TypeCheck, 83, &[".py:"], r"^(?P<file>[\w./\\-]+\.pyi?):(?P<line>\d+):(?:(?P<column>\d+):)? error: (?P<message>.+)")
        .span(0, 2)
        .tested(&["till.py:7: error: Name \"purse\" is not defined  [name-defined]"], &["till.py:7: note: x"]),
    Rule::cause("flake8.finding", LintFormat, 78, &[".py:"], r"^(?P<file>[\w./\\-]+\.pyi?):(?P<line>\d+):(?P<column>\d+): (?P<message>[A-Z]{1,4}\d{2,4}\b.+)")
        .tested(&["till.py:3:1: E302 expected 2 blank lines, found 1", "till.py:1:8: B006 [*] Do not use mutable data structures for argument defaults"], &["a.py:3:80: note"]),
    Rule::cause("ruff.finding", LintFormat, 78, &["[*]"], r"^(?P<message>[A-Z]{1,5}\d{3,4} (?:\[\*\] )?\S.+)$")
        .span(0, 4)
        .tested(&["B006 [*] Do not use mutable data structures for argument defaults"], &["HTTP 200 x"]),
    Rule::cause("ruff.location", LintFormat, 78, &[".py:", ".pyi:", ".ipynb:"], r"^\s*--> (?P<file>\S+\.(?:pyi?|ipynb)):(?P<line>\d+):(?P<column>\d+)$")
        .span(1, 4)
        .tested(&["  --> src/till/drawer.py:12:16"], &["--> src/main.rs:3:5"]),
    Rule::cause("black.reformat", LintFormat, 80, &["would reformat", "would be reformatted", "Would reformat", "reformatted"], r"^(?i:would reformat[: ]\s*(?P<file>\S+)|\d+ files? would be reformatted)|^reformatted \S+")
        .tested(&["would reformat src/a.py", "Would reformat: src/a.py", "1 file would be reformatted"], &["0 reformat"]),
    Rule::cause("rubocop.offense", LintFormat, 80, &[": C: ", ": W: ", ": E: ", ": F: "], r"^(?P<file>\S+\.\w+):(?P<line>\d+):(?P<column>\d+): [CWEF]: (?:\[Correct\w+\] )?(?P<message>.+)")
        .span(0, 2)
        .tested(&["app/till.rb:4:3: W: Lint/UselessAssignment: Useless assignment to variable - `sum`."], &["app/till.rb:4:3: I: x"]),
    Rule::cause("phpstan.finding", TypeCheck, 78, &["Line   "], r"^\s+Line\s+(?P<file>\S+\.php)")
        .span(1, 5)
        .tested(&["  Line   src/App/Kernel.php"], &["Line 3"]),
    Rule::cause("markdownlint.finding", LintFormat, 82, &[" MD0"], r"^(?P<file>\S+\.\w+):\s?(?P<line>\d+)(?::\d+)?:? (?P<message>(?:error )?MD\d{3}\b.+)")
        .tested(&["docs/menu.md: 3: MD022/blanks-around-headings Headings should be surrounded by blank lines", "a.md:3:1 MD041/first-line-heading"], &["README MD012"]),
    Rule::cause("perlcritic.finding", LintFormat, 74, &["(Severity: "], r"at line (?P<line>\d+), column (?P<column>\d+)\..*\(Severity: \d\)")
        .tested(&["Code before strictures are enabled at line 3, column 1.  See page 429 of PBP.  (Severity: 4)"], &["(Severity: 5)"]),
    Rule::cause("swiftlint.finding", LintFormat, 74, &["Violation: "], r"^(?P<file>\S+\.swift):(?P<line>\d+):(?P<column>\d+): (?:warning|error): (?P<message>.+ Violation: .+)")
        .tested(&["/b/Till.swift:4:5: warning: Line Length Violation: Line should be 120 characters or less"], &["Violation: x"]),
    Rule::cause("xcpretty.compile", CompileError, 82, &["❌ "], r"^\s*❌\s+(?P<file>\S+?):(?P<line>\d+):(?P<column>\d+): (?P<message>.+)")
        .span(0, 3)
        .tested(&["❌  /b/Till.swift:7:9: 'drawer' is inaccessible"], &["✅ ok"]),
    Rule::cause("shellcheck.finding", LintFormat, 78, &["(error):", "(warning):", "(info):", "(style):", " line ", "- SC", "^ SC"], r"^(?:In (?P<file>\S+) line (?P<line>\d+):$|\s*\^-+\^? SC\d{4} )")
        .span(0, 3)
        .tested(&["In deploy.sh line 12:", "     ^--^ SC2086 (info): Double quote to prevent"], &["SC2086"]),
    Rule::cause("yamllint.finding", LintFormat, 76, &["  error  "], r"^\s+(?P<line>\d+):(?P<column>\d+)\s+error\s+.+\([\w-]+\)$")
        .span(1, 1)
        .tested(&["  3:81      error    line too long (90 > 80 characters)  (line-length)"], &["  3:81  warning  x  (y)"]),
    Rule::cause("golangci.finding", LintFormat, 74, &["(errcheck)", "(govet)", "(staticcheck)", "(unused)", "(gosimple)", "(revive)", "(gofmt)", "(goimports)", "(gosec)", "(ineffassign)", "(lll)"], r"^(?P<file>\S+\.go):(?P<line>\d+):(?:(?P<column>\d+):)? (?P<message>.+) \(\w+\)$")
        .tested(&["a/b.go:12:3: Error return value is not checked (errcheck)"], &["(errcheck) x"]),
    Rule::cause("mix.format", LintFormat, 84, &["mix format failed"], r"mix format failed due to --check-formatted")
        .span(0, 4)
        .tested(&["** (Mix) mix format failed due to --check-formatted."], &["mix format"]),
    Rule::cause("elixir.compile", CompileError, 84, &["(CompileError)", "(SyntaxError)", "(TokenMissingError)", "== Compilation error in file"], r"(?:\*\* \((?:CompileError|SyntaxError|TokenMissingError)\) .+|^== Compilation error in file)")
        .span(7, 1)
        .tested(&["** (CompileError) lib/till.ex:9: undefined function sum/2"], &["CompileError"]),
    Rule::cause("erlc.error", CompileError, 78, &[".erl:"], r"^(?P<file>\S+\.[eh]rl):(?P<line>\d+)(?::(?P<column>\d+))?: (?P<message>(?:syntax error|field|record|function|variable|undefined|can't find|import) .+|.* undefined.*)")
        .tested(&["src/till.erl:7: field total undefined in record sale"], &["src/v.erl:91: Warning: unused"]),
    Rule::of(Role::Noise, "erlc.warning", CompileError, &[": Warning: "], r"\.[eh]rl:\d+(?::\d+)?: Warning: ")
        .tested(&["test/a.erl:3: Warning: behaviour foo undefined"], &[]),
    Rule::cause("haskell.error", CompileError, 83, &[".hs:"], r"^(?P<file>\S+\.l?hs):(?P<line>\d+):(?P<column>\d+): error:(?P<message>.*)")
        .span(0, 5)
        .tested(&["src/Till.hs:3:5: error:"], &["src/A.hs:38:10: warning: x"]),
    Rule::cause("php.fatal", CompileError, 78, &["PHP Fatal error", "PHP Parse error", "Fatal error: ", "Parse error: "], r"^(?:PHP )?(?:Fatal|Parse) error:\s+(?P<message>.+)")
        .span(0, 3)
        .tested(&["PHP Fatal error:  Class 'X' not found in /b/a.php on line 12", "Parse error: syntax error, unexpected"], &["no Fatal error: x"]),
    Rule::cause("ruby.syntax", CompileError, 70, &["syntax error, unexpected"], r"^(?:\S+:\d+: )?.*syntax error, unexpected")
        .tested(&["till.rb:12: syntax error, unexpected keyword_end"], &["syntax error"]),
    Rule::cause("perl.compile", CompileError, 64, &["BEGIN failed--compilation aborted", "Can't locate "], r"(?:Can't locate \S+\.pm in @INC|BEGIN failed--compilation aborted)")
        .span(1, 1)
        .tested(&["Can't locate JSON.pm in @INC (you may need to install the JSON module)"], &["Can't locate x"]),
    Rule::cause("codespell.finding", LintFormat, 70, &["==>"], r"^(?P<file>\S+):(?P<line>\d+): \w+ ==> \w+")
        .tested(&["a.md:12: recieve ==> receive"], &["a ==> b"]),
    Rule::cause("precommit.hook", LintFormat, 66, &["hook id: ", "files were modified by this hook"], r"^- (?:hook id: \S+|files were modified by this hook)")
        .span(1, 4)
        .tested(&["- hook id: trailing-whitespace", "- files were modified by this hook"], &["hook id: x"]),
    Rule::cause("sphinx.warning", DocBuild, 74, &["Warning, treated as error", "build finished with problems"], r"(?:^Warning, treated as error:|build finished with problems)")
        .span(0, 3)
        .tested(&["Warning, treated as error:"], &["Warning: x"]),
    Rule::cause("xml.validity", DocBuild, 70, &["validity error", "parser error"], r"^\S+:\d+: (?:element \S+: )?(?:validity|parser) error : .+")
        .tested(&["../xml/menu.xml:9: element title: validity error : Element title content does not follow the DTD"], &["validity error"]),
    Rule::cause("coverage.below", Coverage, 84, &["coverage"], r"(?i)(?:required (?:test )?coverage of \d+(?:\.\d+)?% not reached|coverage (?:for \w+ )?\(?[\d.]+%?\)? (?:does not meet|is below|is less than)|fail[-_]under)")
        .tested(&["FAIL Required test coverage of 90% not reached. Total coverage: 80.11%", "ERROR: Coverage for lines (70%) does not meet global threshold (80%)"], &["coverage: 90%"]),
    Rule::cause("policy.limit", PolicyCheck, 60, &["exceeds the limit", "exceeds the maximum", "exceeded the limit", "exceeded the maximum", "is not allowed by", "policy violation", "more than the maximum", "than the maximum"], r"(?i)(?:exceed(?:s|ed) the (?:configured |allowed )?(?:limit|maximum)|(?:more|larger|longer) than the (?:allowed |permitted )?maximum|policy violation|is not allowed by (?:the )?policy)")
        .tested(&["the bundle exceeds the maximum size of 900 kB", "error: policy violation: drawer is open"], &["no more than the rest"]),
    Rule::cause("editorconfig.finding", LintFormat, 68, &[": found setting ", "Wrong indent", "Trailing whitespace"], r"(?:^\S+ failed \w+: found setting|Wrong indent style found|^\S+:\d+: [Tt]railing whitespace)")
        .tested(&["till.css failed indent_size: found setting '3', should be '2'"], &["failed"]),
];
