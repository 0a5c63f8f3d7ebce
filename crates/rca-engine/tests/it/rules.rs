//! Rules files and detectors of users.

use rca_engine::{Analyzer, Category, Retry, Rules, RulesError, Severity, Status};

const FILE: &str = r#"
[[rule]]
id = "acme.licence"
pattern = 'no licence left for \S+'
category = "service_unavailable"
cause = "all licences are in use"
fix = "wait for another job to end"
owner = "tools team"
severity = "high"
retry = "no"
matches = ["sim: no licence left for solver"]
matches_not = ["licence found"]

[[rule]]
id = "acme.telemetry"
pattern = "^ERROR: telemetry"
ignore = true
"#;

fn report(rules: &str, log: &str) -> rca_engine::Report {
    let mut analyzer = Analyzer::new().with_rules(Rules::parse(rules).unwrap());
    analyzer.push(log.as_bytes());
    analyzer.finish()
}

#[test]
fn a_rule_names_the_cause_in_its_own_words() {
    let report = report(FILE, "$ simulate\nERROR: disk was cleaned\nsim: no licence left for solver\nexit\n");
    assert_eq!(report.status, Status::CauseFound);
    assert_eq!(report.root_cause, "all licences are in use");
    assert_eq!(report.fix_suggestion, "wait for another job to end");
    assert_eq!((report.category, report.severity), (Category::ServiceUnavailable, Severity::High));
    assert_eq!(report.retry_likely_helps, Retry::No);
    assert_eq!(report.evidence[0].rule, "acme.licence");
    assert_eq!(report.evidence[0].focus_line, 3);
    assert!(report.evidence[0].why[0].contains("acme.licence"));
    assert_eq!(report.notes, ["taken care of by tools team"]);
}

#[test]
fn an_ignored_line_is_no_failure() {
    let log = "$ run\nERROR: telemetry is off\nThe command \"run\" exited with 1.\n";
    assert_eq!(rca_engine::analyze(log.as_bytes()).status, Status::CauseFound);
    let report = report(FILE, log);
    assert_eq!(report.status, Status::NoCauseFound);
    assert_eq!(report.root_cause, "");
}

#[test]
fn rules_are_tried_on_a_log_behind_its_frame() {
    let rules = Rules::parse(FILE).unwrap();
    let log = "2026-01-01T00:00:00.0000000Z sim: no licence left for a\nother\n\
               2026-01-01T00:00:01.0000000Z \u{1b}[31msim: no licence left for b\u{1b}[0m\n";
    let hits = rules.test(log.as_bytes());
    assert_eq!(hits.len(), 2);
    assert_eq!(
        (hits[0].id.as_str(), hits[0].count, hits[0].lines.as_slice()),
        ("acme.licence", 2, &[1, 3][..])
    );
    assert_eq!((hits[1].count, hits[1].lines.len()), (0, 0));
}

#[test]
fn faults_name_the_rule_and_the_line_and_repeat_nothing() {
    let rule = |lines: &str| format!("# a comment\n\n[[rule]]\nid = \"a.b\"\n{lines}\n");
    for (text, wanted) in [
        ("[[rule]\n".to_owned(), "line 1 of the rules file"),
        (
            rule("pattern = \"x\"\ncategory = \"network\"\npatern = \"y\""),
            "line 7 of the rules file: unknown field",
        ),
        (rule("pattern = \"x\"\ncategory = \"nonsense\""), "line 6 of the rules file: unknown variant"),
        (rule("pattern = \"x\""), "rule `a.b` at line 3 of the rules file: `category` is missing"),
        (
            rule("pattern = \"(?=s3cret)\"\ncategory = \"network\""),
            "rule `a.b` at line 3 of the rules file: `pattern` is not",
        ),
        (
            rule("pattern = \"(s3cret)\\\\1\"\ncategory = \"network\""),
            "rule `a.b` at line 3 of the rules file: `pattern` is not",
        ),
        (rule("pattern = \"((a{100}){100}){100}\"\ncategory = \"network\""), "`pattern` is too large"),
        (rule("pattern = \"x*\"\ncategory = \"network\""), "matches an empty line"),
        (
            rule("pattern = \"x\"\ncategory = \"network\"\nmatches = [\"x\", \"s3cret\"]"),
            "does not match example 2 of `matches`",
        ),
        (
            rule("pattern = \"s3\"\ncategory = \"network\"\nmatches_not = [\"s3cret\"]"),
            "matches example 1 of `matches_not`",
        ),
        (
            rule("pattern = \"x\"\nignore = true\n[[rule]]\nid = \"a.b\"\npattern = \"y\"\nignore = true"),
            "rule `a.b` at line 7 of the rules file: another rule",
        ),
        ("[[rule]]\nid = \"A b\"\npattern = \"x\"\nignore = true\n".to_owned(), "rule `#1` at line 1"),
        (rule(&format!("pattern = \"{}\"\nignore = true", "x".repeat(2000))), "more than 1000 bytes"),
        ("#".repeat(300_000), "more than 256 KiB"),
        ("[[rule]]\nid = \"a\"\npattern = \"x\"\nignore = true\n".repeat(201), "more than 200 rules"),
    ] {
        let error: RulesError = Rules::parse(&text).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(wanted), "{message} for {wanted}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    assert!(Rules::parse("").unwrap().is_empty());
}

#[test]
fn a_costly_pattern_stays_linear() {
    // A pattern that takes for ever in an engine that goes back.
    let rules = "[[rule]]\nid = \"slow\"\npattern = '(a+)+(a+)+(a+)+b$'\ncategory = \"network\"\n";
    let log = format!("{}\n", "a".repeat(16_000)).repeat(50);
    assert_eq!(report(rules, &log).status, Status::NotFailed);
}
