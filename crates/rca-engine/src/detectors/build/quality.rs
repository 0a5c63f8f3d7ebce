//! Checks of style, spelling, links, commit messages, duplication and security, in any language.
//!
//! **What:** findings with their place, and the verdict of a gate.
//! **Why:** such tools end with a count; the finding above it is what has to change.
//! **What to do:** fix the finding, run the tool's own fixer, or accept it on purpose in its settings.

use crate::report::Category::{LintFormat, PolicyCheck, TypeCheck};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("links.broken", PolicyCheck, 74, &[". http", "] http", "] <http", "✖ http", "broken http", "0 http", "1 http", "2 http", "3 http", "4 http", "5 http", "6 http", "7 http", "8 http", "9 http", "  http", "\thttp", "link http"], r"^\s*(?:(?:\d+\.|\[[✖✗xX]\]|✖|\[(?:4\d\d|5\d\d|ERROR|TIMEOUT)\]|\(line +\d+\) broken)\s+(?:\[L\d+\]\s+)?(?:[45]\d\d https?://|https?://\S+\s.*(?:\b[45]\d\d\b|[Tt]ime(?:d )?[Oo]ut|refused|[Ff]ailed|[Nn]ot [Ff]ound|[Ee]rror))|\[(?:404|410|ERROR)\] <?https?://\S+|.*[Ee]xternal link https?://\S+ failed)")
        .span(0, 3)
        .tested(&["  [✖] https://menu.example.org/x → Status: 404", "3. [L12] https://menu.example.org/ Net::OpenTimeout", "[404] https://menu.example.org/gone | Network error: Not Found"], &["3. https://menu.example.org/", "[✓] https://menu.example.org/ 200"]),
    Rule::cause("links.heading", PolicyCheck, 76, &["> Links", "BROKEN LINKS", "broken links", "Broken links"], r"(?i)^\s*(?:> Links\s*$|(?:[1-9]\d* )?broken links?(?: found)?[:.]?$)")
        .span(0, 3)
        .tested(&["> Links", "3 broken links found"], &["0 broken links found", "no broken links"]),
    Rule::cause("lintrunner.finding", LintFormat, 76, &[">>> Lint for "], r"^>>> Lint for (?P<file>\S+):$")
        .span(0, 5)
        .tested(&[">>> Lint for src/drawer.py:"], &[">>> Lint"]),
    Rule::cause("commitlint.finding", LintFormat, 78, &["✖ ", "input: "], r"^\s*✖\s+(?P<message>.+ \[[a-z]+(?:-[a-z]+)+\])$")
        .span(1, 2)
        .tested(&["✖   subject may not be empty [subject-empty]"], &["✖ 3 problems"]),
    Rule::cause("stylelint.finding", LintFormat, 76, &["✖ ", "× "], r"^\s+(?P<line>\d+):(?P<column>\d+)\s+[✖×]\s+(?P<message>.+)")
        .span(1, 2)
        .tested(&["  4:3  ✖  Unexpected unit  unit-disallowed-list"], &["✖ 3 problems"]),
    Rule::cause("biome.finding", LintFormat, 76, &[" lint/", " format ━", " assist/", " organizeImports ━"], r"^(?P<file>\S+\.\w+)(?::(?P<line>\d+):(?P<column>\d+))? (?:lint/\S+|format|assist/\S+|organizeImports)(?: +FIXABLE)? +━")
        .span(0, 5)
        .tested(&["src/till.ts:3:5 lint/style/useConst  FIXABLE  ━━━━━━━━"], &["src/till.ts ok"]),
    Rule::cause("isort.finding", LintFormat, 78, &["incorrectly sorted"], r"^ERROR: (?P<file>\S+) Imports are incorrectly sorted")
        .tested(&["ERROR: /b/src/till.py Imports are incorrectly sorted and/or formatted."], &["sorted"]),
    Rule::cause("bandit.issue", PolicyCheck, 76, &[">> Issue: "], r"^>> Issue: (?P<message>.+)")
        .span(0, 5)
        .tested(&[">> Issue: [B602:subprocess_popen_with_shell_equals_true] shell"], &["Issue: x"]),
    Rule::cause("pyright.error", TypeCheck, 82, &[" - error: "], r"^\s*(?P<file>\S+\.pyi?):(?P<line>\d+):(?P<column>\d+) - error: (?P<message>.+)")
        .span(0, 1)
        .tested(&["  /b/src/till.py:3:9 - error: \"total\" is not defined (reportUndefinedVariable)"], &["/b/src/till.py:3:9 - warning: x"]),
    Rule::cause("checkstyle.finding", LintFormat, 88, &[".java:", ".kt:"], r"^(?:\[(?:ERROR|error|WARN|ant:checkstyle)\] )+(?:\[ERROR\] )?(?P<file>\S+\.(?:java|kt)):(?P<line>\d+)(?::(?P<column>\d+))?: (?P<message>.+ \[[A-Z]\w+\])$")
        .span(0, 2)
        .tested(&["[ERROR] src/main/java/shop/Till.java:7:3: Missing a Javadoc comment. [MissingJavadocMethod]", "[ant:checkstyle] [ERROR] /b/Till.java:9: Line is longer than 100. [LineLength]"], &["[ERROR] /b/Till.java:[7,3] x"]),
    Rule::cause("ktlint.finding", LintFormat, 80, &[".kt:", ".kts:"], r"^(?P<file>\S+\.kts?):(?P<line>\d+):(?P<column>\d+):? (?P<message>.+ [(\[](?:[a-z-]+:)?[A-Za-z-]+[)\]])$")
        .span(0, 2)
        .tested(&["/b/Till.kt:3:1: Unexpected blank line (standard:no-blank-line)", "/b/Till.kt:3:1: Too long [LongMethod]"], &["/b/Till.kt:3"]),
    Rule::cause("spotless.violation", LintFormat, 82, &["had format violations", "format violations"], r"files? had format violations")
        .span(0, 6)
        .tested(&["> The following files had format violations:"], &["no violations"]),
    Rule::cause("phpcs.finding", LintFormat, 76, &[" | ERROR"], r"^\s*(?P<line>\d+) \| ERROR\s+\| (?P<message>.+)")
        .span(0, 2)
        .tested(&["  12 | ERROR | [x] Expected 1 newline at end of file"], &["  12 | WARNING | x"]),
    Rule::cause("phpcsfixer.finding", LintFormat, 76, &[".php (", ".php\""], r"^\s+\d+\) (?P<file>\S+\.php)(?: \([\w, ]+\))?$")
        .span(0, 4)
        .tested(&["   1) src/Till.php (no_unused_imports)"], &["1) TillTest::adds"]),
    Rule::cause("psalm.finding", TypeCheck, 78, &["ERROR: "], r"^ERROR: (?P<message>[A-Z]\w+ - (?P<file>\S+\.php):(?P<line>\d+):(?P<column>\d+) - .+)")
        .span(0, 2)
        .tested(&["ERROR: UndefinedClass - src/Till.php:3:9 - Class Purse does not exist"], &["ERROR: x"]),
    Rule::cause("actionlint.finding", LintFormat, 76, &[".yml:", ".yaml:", "ockerfile"], r"^(?P<file>\S*(?:\.ya?ml|[Dd]ockerfile\S*)):(?P<line>\d+)(?::(?P<column>\d+))?:? (?P<message>.+ \[[a-z-]+\]|(?:DL|SC)\d{4}\b.+)$")
        .span(0, 3)
        .tested(&[".github/workflows/ci.yml:9:7: unexpected key \"step\" [syntax-check]", "Dockerfile:3 DL3008 warning: Pin versions in apt get install"], &["ci.yml: ok"]),
    Rule::cause("clippy.denied", LintFormat, 72, &["lint level is defined here", "-D warnings", "`#[deny("], r"^\s*= note: `(?:-D [\w:-]+`? implied by|#\[deny\()")
        .span(9, 0)
        .tested(&["   = note: `-D clippy::needless-return` implied by `-D warnings`"], &["note: x"]),
    Rule::cause("gofmt.diff", LintFormat, 70, &["diff -u ", "diff ", "gofmt"], r"^diff (?:-u )?(?:a/)?(?P<file>\S+?\.go)(?:\.orig)? \S+\.go$")
        .span(0, 5)
        .tested(&["diff -u till.go.orig till.go", "diff till.go.orig till.go"], &["a diff"]),
    Rule::cause("credo.finding", LintFormat, 68, &["┃ ["], r"^┃ \[[FWRCD]\] . .+")
        .span(0, 2)
        .tested(&["┃ [W] ↗ There should be no calls to IO.inspect/1."], &["┃ ok"]),
    Rule::cause("quality.gate", PolicyCheck, 80, &["QUALITY GATE", "quality gate", "Quality Gate"], r"(?i)quality gate (?:status: ?)?(?:failed|has failed|failure|error)|QUALITY GATE STATUS: FAILED")
        .span(0, 2)
        .tested(&["ERROR: QUALITY GATE STATUS: FAILED - View details on https://sonar.example.org"], &["QUALITY GATE STATUS: PASSED"]),
    Rule::cause("license.missing", PolicyCheck, 74, &["license header", "licence header", "License header", "without license", "unapproved licenses", "Unapproved licenses"], r"(?i)(?:(?:missing|without|no|invalid) (?:a )?(?:valid )?licen[cs]e header|licen[cs]e header .*(?:missing|not found)|unapproved licen[cs]es)")
        .span(0, 4)
        .tested(&["ERROR: src/till.go is missing license header", "Too many files with unapproved license: 2 unapproved licenses"], &["license header ok"]),
    Rule::cause("generated.stale", PolicyCheck, 74, &["is out of date", "are out of date", "not up to date", "out-of-date", "uncommitted changes", "has uncommitted", "working tree is dirty", "are not up-to-date", "forgot to"], r"(?i)(?:(?:generated|docs?|documentation|schema|files?|bindings|snapshots?|manifests?|changelog)\b.{0,60} (?:is|are) (?:out[ -]of[ -]date|not up[ -]to[ -]date|stale)|(?:there are|found|detected|has) uncommitted changes|working tree is dirty)")
        .span(0, 4)
        .tested(&["Generated files are out of date, run `make generate`", "Error: found uncommitted changes after build"], &["everything is up to date"]),
    Rule::cause("spelling.finding", LintFormat, 70, &["Unknown word ("], r"^(?P<file>\S+):(?P<line>\d+):(?P<column>\d+) - Unknown word \((?P<message>[^)]+)\)")
        .tested(&["docs/menu.md:3:9 - Unknown word (receit)"], &["Unknown word"]),
    Rule::cause("trivy.finding", PolicyCheck, 66, &["Total: ", "CRITICAL"], r"^Total: [1-9]\d* \(.*(?:HIGH|CRITICAL): \d+.*\)")
        .span(1, 5)
        .tested(&["Total: 3 (HIGH: 2, CRITICAL: 1)"], &["Total: 0 (HIGH: 0)"]),
    Rule::cause("secrets.found", PolicyCheck, 76, &["leaks found", "secrets detected", "Potential secrets"], r"(?i)(?:\bleaks found: [1-9]|\bwrn leaks found|potential secrets? (?:about to be committed|detected)|[1-9]\d* secrets? detected)")
        .span(1, 3)
        .tested(&["WRN leaks found: 2"], &["no leaks found"]),
];
