//! Scanners of dependencies, infrastructure and code, and gates on coverage and versions.
//!
//! **What:** the finding, with the rule that it broke, and thresholds that were missed.
//! **Why:** the counts at the end prove a failure but name nothing that can be fixed.
//! **What to do:** fix or accept the finding in the scanner's own ignore file, with a reason.

use crate::report::Category::{Coverage, DocBuild, PolicyCheck};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("cargo_deny.finding", PolicyCheck, 84, &["error[vulnerability]", "error[rejected]", "error[banned]", "error[unlicensed]", "error[duplicate]", "error[yanked]", "error[unmaintained]", "error[source-not-allowed]", "error[unsound]"], r"^error\[(?:vulnerability|rejected|banned|unlicensed|duplicate|yanked|unmaintained|unsound|source-not-allowed)\]: (?P<message>.+)")
        .span(0, 4)
        .tested(&["error[vulnerability]: Out-of-bounds read in `purse`"], &["error[E0425]: cannot find value"]),
    Rule::cause("semver.finding", PolicyCheck, 80, &["--- failure "], r"^--- failure (?P<message>\w+: .+?) ---$")
        .span(0, 7)
        .tested(&["--- failure function_missing: pub fn removed or renamed ---"], &["--- success x ---"]),
    Rule::cause("audit.found", PolicyCheck, 76, &[" known vulnerabilit", " vulnerabilities found", " vulnerability found", "Vulnerabilities found!", "security vulnerability advisor"], r"(?:^Found [1-9]\d* known vulnerabilit|^error: [1-9]\d* (?:vulnerability|vulnerabilities) found|^Vulnerabilities found!|^Found [1-9]\d* security vulnerability advisor)")
        .span(0, 4)
        .tested(&["Found 1 known vulnerability in 1 package", "error: 2 vulnerabilities found!"], &["No known vulnerabilities found"]),
    Rule::cause("snyk.finding", PolicyCheck, 74, &["severity vulnerability found in", "[High Severity]", "[Critical Severity]"], r"^\s*✗ .*(?:severity vulnerability found in|\[(?:High|Critical) Severity\])")
        .span(0, 4)
        .tested(&["✗ High severity vulnerability found in purse"], &["✔ no vulnerabilities"]),
    Rule::cause("grype.threshold", PolicyCheck, 80, &["at or above the severity threshold"], r"discovered vulnerabilities at or above the severity threshold")
        .span(3, 0)
        .tested(&["[0012] ERROR discovered vulnerabilities at or above the severity threshold"], &["threshold"]),
    Rule::cause("checkov.finding", PolicyCheck, 80, &["FAILED for resource: "], r"^\s+FAILED for resource: (?P<message>\S+)")
        .span(1, 2)
        .tested(&["	FAILED for resource: aws_s3_bucket.till"], &["	PASSED for resource: aws_s3_bucket.till"]),
    Rule::cause("semgrep.finding", PolicyCheck, 78, &["❯❯❱ ", "❯❱ "], r"^\s*❯❯?❱ +(?P<message>[\w.-]+)$")
        .span(1, 4)
        .tested(&["   ❯❯❱ shop.rules.no-eval"], &["   ❯ menu"]),
    Rule::cause("conftest.failed", PolicyCheck, 78, &["FAIL - "], r"^FAIL - (?P<file>\S+) - (?P<message>.+)")
        .tested(&["FAIL - deploy/till.yaml - main - Containers must not run as root"], &["WARN - deploy/till.yaml - main - x"]),
    Rule::cause("coverage.threshold", Coverage, 72, &["coverage threshold for", "below the expected minimum coverage", "covered ratio is", "failed minimum line coverage", "is less than fail-under", "below minimum coverage", "Coverage failure: "], r"(?:coverage threshold for .+ not met|below the expected minimum coverage|covered ratio is [\d.]+, but expected minimum|failed minimum (?:line|branch) coverage|is less than fail-under|below minimum coverage)")
        .tested(&["Jest: \"global\" coverage threshold for lines (90%) not met: 71%", "Line coverage (71.00%) is below the expected minimum coverage (90.00%).", "[ant:jacocoReport] Rule violated for bundle app: lines covered ratio is 0.71, but expected minimum is 0.90"], &["Coverage: 99%"]),
    Rule::cause("documentation.coverage", DocBuild, 78, &["RESULT: FAILED (minimum"], r"^RESULT: FAILED \(minimum: ")
        .tested(&["RESULT: FAILED (minimum: 80.0%, actual: 71.2%)"], &["RESULT: PASSED (minimum: 80.0%, actual: 99%)"]),
    Rule::cause("mutation.threshold", PolicyCheck, 78, &["minimum required MSI", "Final mutation score"], r"(?:minimum required (?:Covered Code )?MSI percentage should be|Final mutation score [\d.]+ (?:is )?under breaking threshold)")
        .tested(&["[ERROR] The minimum required MSI percentage should be 80%, but actual is 71%."], &["MSI"]),
    Rule::cause("unused.listed", PolicyCheck, 70, &["Unused files (", "Unused dependencies", "unused dependencies:", "Unused devDependencies", "Unused exports ("], r"^(?:Unused (?:files|dependencies|devDependencies|exports|exported types) \([1-9]\d*\)|Unused (?:devD|d)ependencies$|unused dependencies:$|.*found the following unused dependencies)")
        .span(0, 4)
        .tested(&["Unused files (1)", "unused dependencies:"], &["Unused files (0)", "No unused dependencies"]),
    Rule::cause("django.migrations", PolicyCheck, 76, &["Migrations for '"], r"^Migrations for '\w+':$")
        .with_advice("The models changed and no migration was committed.", "Run makemigrations and commit what it writes.")
        .span(0, 3)
        .tested(&["Migrations for 'till':"], &["No changes detected"]),
    Rule::cause("changeset.missing", PolicyCheck, 76, &["no changesets were found"], r"have been changed but no changesets were found")
        .span(0, 2)
        .tested(&["🦋  error Some packages have been changed but no changesets were found."], &["changesets"]),
    Rule::cause("brakeman.warning", PolicyCheck, 78, &["Confidence: "], r"^Confidence: (?:High|Medium|Weak)$")
        .span(0, 6)
        .tested(&["Confidence: High"], &["Confidence: 0.9"]),
];
