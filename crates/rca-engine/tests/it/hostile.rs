//! Logs made to cost time, memory or a false claim. Time is looked at by `benches/hostile.rs`.

use std::fmt::Write as _;

use rca_engine::{Analyzer, Report, Status};

fn analyse(log: &str) -> Report {
    let mut analyzer = Analyzer::new();
    for piece in log.as_bytes().chunks(64 * 1024) {
        analyzer.push(piece);
    }
    let report = analyzer.finish();
    assert_eq!(report.log.bytes, log.len() as u64);
    assert!(report.to_json().len() < 200_000, "{}", report.to_json().len());
    assert!(report.evidence.len() <= 5);
    report
}

#[test]
fn a_hundred_thousand_different_causes_leave_the_first_one_first() {
    let mut log = "$ make\nfirst.c:1:1: error: 'first' undeclared\n".to_owned();
    for number in 0..100_000 {
        let _ = writeln!(log, "f{number}.c:{number}:1: error: 'x{number}' undeclared");
    }
    log.push_str("make: *** [all] Error 1\n");
    let report = analyse(&log);
    assert_eq!(report.status, Status::CauseFound);
    assert_eq!(report.evidence[0].focus_line, 2);
}

#[test]
fn nested_and_endless_sections_are_counted_and_bounded() {
    let mut log = String::new();
    for number in 0..20_000 {
        let _ = writeln!(log, "section_start:17000{number:05}:part_{number}\r\u{1b}[0Kpart {number}");
    }
    log.push_str("a.c:1:1: error: 'x' undeclared\n");
    for number in (0..20_000).rev() {
        let _ = writeln!(log, "section_end:17000{number:05}:part_{number}\r\u{1b}[0K");
    }
    log.push_str("ERROR: Job failed: exit code 1\n");
    let report = analyse(&log);
    assert_eq!(report.evidence[0].focus_line, 20_001);
    assert!(report.steps.len() <= 200);
}

#[test]
fn storms_of_escapes_hide_nothing() {
    let storm = "\u{1b}[38;5;196m\u{1b}[1m\u{1b}]0;title\u{7}^[[31m\u{1b}(B".repeat(40);
    let log = format!(
        "$ make\n{storm}\n{storm}a.c:1:1: {storm}error: 'x' undeclared{storm}\n{storm}\nmake: *** [a] Error 1\n"
    );
    let report = analyse(&log);
    assert_eq!(report.evidence[0].focus_line, 3);
    assert_eq!(report.evidence[0].excerpt[0], "a.c:1:1: error: 'x' undeclared");
    // An escape that never ends takes its line with it, not the rest of the log.
    let report =
        analyse("$ make\n\u{1b}[1;2;3\u{1b}]8;;x\na.c:1:1: error: 'x' undeclared\nmake: *** [a] Error 1\n");
    assert_eq!(report.evidence[0].focus_line, 3);
}

#[test]
fn one_line_of_causes_is_read_in_part_and_said_so() {
    let log = "error: x ".repeat(400_000);
    let report = analyse(&log);
    assert!(report.truncated);
    assert!(report.notes.iter().any(|note| note.contains("very long")));
    assert_eq!(report.log.lines, 1);
}

#[test]
fn text_that_patterns_hate_claims_nothing() {
    for part in ["a:", "((((", "\\\\", "....", "[[[[", "'\"'\"", "a a ", "-----", "=====", "E  ", "::"] {
        let line = part.repeat(8_000 / part.len());
        let report = analyse(&format!("{line}\n").repeat(50));
        assert!(matches!(report.status, Status::NotFailed | Status::NoCauseFound), "{part}: {report:?}");
    }
}
