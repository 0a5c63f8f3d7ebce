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
        .tested(&["t.py:2: error: Incompatible return value type (got \"int\", expected \"str\")  [return-value]"], &["t.py:2: note: x"]),
    Rule::cause("flake8.finding", LintFormat, 78, &[".py:"], r"^(?P<file>[\w./\\-]+\.pyi?):(?P<line>\d+):(?P<column>\d+): (?P<message>[A-Z]{1,4}\d{2,4}\b.+)")
        .tested(&["a.py:3:80: E501 line too long (88 > 79 characters)", "a.py:1:8: F401 [*] `os` imported but unused"], &["a.py:3:80: note"]),
    Rule::cause("ruff.finding", LintFormat, 78, &["[*]"], r"^(?P<message>[A-Z]{1,5}\d{3,4} (?:\[\*\] )?\S.+)$")
        .span(0, 4)
        .tested(&["F401 [*] `os` imported but unused"], &["HTTP 200 x"]),
    Rule::cause("black.reformat", LintFormat, 80, &["would reformat", "would be reformatted", "Would reformat", "reformatted"], r"^(?i:would reformat[: ]\s*(?P<file>\S+)|\d+ files? would be reformatted)|^reformatted \S+")
        .tested(&["would reformat src/a.py", "Would reformat: src/a.py", "1 file would be reformatted"], &["0 reformat"]),
    Rule::cause("rubocop.offense", LintFormat, 80, &[": C: ", ": W: ", ": E: ", ": F: "], r"^(?P<file>\S+\.\w+):(?P<line>\d+):(?P<column>\d+): [CWEF]: (?:\[Correct\w+\] )?(?P<message>.+)")
        .span(0, 2)
        .tested(&["db/a.rb:1:1: C: Style/FrozenStringLiteralComment: Missing magic comment"], &["db/a.rb:1:1: I: x"]),
    Rule::cause("phpstan.finding", TypeCheck, 78, &["Line   "], r"^\s+Line\s+(?P<file>\S+\.php)")
        .span(1, 5)
        .tested(&["  Line   src/App/Kernel.php"], &["Line 3"]),
    Rule::cause("markdownlint.finding", LintFormat, 82, &[" MD0"], r"^(?P<file>\S+\.\w+):\s?(?P<line>\d+)(?::\d+)?:? (?P<message>(?:error )?MD\d{3}\b.+)")
        .tested(&["docs/README.md: 29: MD012/no-multiple-blanks Multiple consecutive blank lines", "a.md:3:1 MD041/first-line-heading"], &["README MD012"]),
    Rule::cause("perlcritic.finding", LintFormat, 74, &["(Severity: "], r"at line (?P<line>\d+), column (?P<column>\d+)\..*\(Severity: \d\)")
        .tested(&["Use x instead of y at line 69, column 28.  See page 218 of PBP.  (Severity: 5)"], &["(Severity: 5)"]),
    Rule::cause("swiftlint.finding", LintFormat, 74, &["Violation: "], r"^(?P<file>\S+\.swift):(?P<line>\d+):(?P<column>\d+): (?:warning|error): (?P<message>.+ Violation: .+)")
        .tested(&["/b/A.swift:156:13: warning: Redundant Discardable Let Violation: Prefer `_ = foo()`"], &["Violation: x"]),
    Rule::cause("xcpretty.compile", CompileError, 82, &["❌ "], r"^\s*❌\s+(?P<file>\S+?):(?P<line>\d+):(?P<column>\d+): (?P<message>.+)")
        .span(0, 3)
        .tested(&["❌  /b/A.swift:47:19: 'value' is inaccessible"], &["✅ ok"]),
    Rule::cause("shellcheck.finding", LintFormat, 78, &["(error):", "(warning):", "(info):", "(style):", " line ", "^-"], r"^(?:In (?P<file>\S+) line (?P<line>\d+):$|\s*\^-+\^? SC\d{4} )")
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
        .span(0, 3)
        .tested(&["** (CompileError) lib/a.ex:102: undefined function i/1"], &["CompileError"]),
    Rule::cause("erlc.error", CompileError, 78, &[".erl:"], r"^(?P<file>\S+\.[eh]rl):(?P<line>\d+)(?::(?P<column>\d+))?: (?P<message>(?:syntax error|field|record|function|variable|undefined|can't find|import) .+|.* undefined.*)")
        .tested(&["src/v.erl:91: field title undefined in record page"], &["src/v.erl:91: Warning: unused"]),
    Rule::of(Role::Noise, "erlc.warning", CompileError, &[": Warning: "], r"\.[eh]rl:\d+(?::\d+)?: Warning: ")
        .tested(&["test/a.erl:3: Warning: behaviour foo undefined"], &[]),
    Rule::cause("haskell.error", CompileError, 83, &[".hs:"], r"^(?P<file>\S+\.l?hs):(?P<line>\d+):(?P<column>\d+): error:(?P<message>.*)")
        .span(0, 5)
        .tested(&["src/A.hs:38:10: error:"], &["src/A.hs:38:10: warning: x"]),
    Rule::cause("php.fatal", CompileError, 78, &["PHP Fatal error", "PHP Parse error", "Fatal error: ", "Parse error: "], r"^(?:PHP )?(?:Fatal|Parse) error:\s+(?P<message>.+)")
        .span(0, 3)
        .tested(&["PHP Fatal error:  Class 'X' not found in /b/a.php on line 286", "Parse error: syntax error, unexpected"], &["no Fatal error: x"]),
    Rule::cause("ruby.syntax", CompileError, 70, &["syntax error, unexpected"], r"^(?:\S+:\d+: )?.*syntax error, unexpected")
        .tested(&["a.rb:3520: syntax error, unexpected end-of-input"], &["syntax error"]),
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
        .tested(&["../xml/a.xml:72: element name: validity error : Element marker is not declared"], &["validity error"]),
    Rule::cause("coverage.below", Coverage, 84, &["coverage"], r"(?i)(?:required (?:test )?coverage of \d+(?:\.\d+)?% not reached|coverage (?:for \w+ )?\(?[\d.]+%?\)? (?:does not meet|is below|is less than)|fail[-_]under)")
        .tested(&["FAIL Required test coverage of 90% not reached. Total coverage: 80.11%", "ERROR: Coverage for lines (70%) does not meet global threshold (80%)"], &["coverage: 90%"]),
    Rule::cause("policy.limit", PolicyCheck, 64, &[" more than the ", "exceeds the limit", "exceeds the maximum", "is not allowed by", "policy violation"], r"(?i)(?:which is more than the \d+ maximum|exceeds the (?:limit|maximum)|policy violation|is not allowed by (?:the )?policy)")
        .tested(&["Your change has 4200 lines which is more than the 2000 maximum"], &["no more than the rest"]),
    Rule::cause("awesomebot.links", PolicyCheck, 74, &["> Links", ". http", "[L"], r"^(?:> Links\s*$|\s*\d+\. (?:\[L\d+\] )? ?https?://\S+ (?:\d{3}|\S.*(?:Timeout|timed out|refused|Failed)).*)")
        .span(0, 3)
        .tested(&["3. http://example.org/ Net::ReadTimeout", "18. [L1674]  http://example.org/a.jpg Net::ReadTimeout"], &["3. http://example.org/"]),
    Rule::cause("editorconfig.finding", LintFormat, 68, &["failed indent_char", "failed trailing_whitespace", "Wrong indent", "Trailing whitespace"], r"(?:^\S+ failed \w+: found setting|Wrong indent style found|^\S+:\d+: [Tt]railing whitespace)")
        .tested(&["CHANGELOG.md failed indent_char: found setting '  ', should be '    '"], &["failed"]),
];
