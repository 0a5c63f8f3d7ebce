//! Any bytes, in any pieces, in bounded memory.

use proptest::prelude::*;
use rca_engine::{Analyzer, Report, Status, analyze};

use crate::detectors::fixtures;

fn in_pieces(log: &[u8], sizes: &[usize]) -> Report {
    let mut analyzer = Analyzer::new();
    let mut rest = log;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        analyzer.push(piece);
        rest = tail;
    }
    analyzer.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_do_not_change_the_report(
        class in prop::sample::select(vec!["build", "config", "dependency", "infra", "test"]),
        which in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1_usize..2000, 1..20),
    ) {
        let logs = fixtures(class);
        let (_, log) = which.get(&logs);
        prop_assert_eq!(in_pieces(log, &sizes), analyze(log));
    }

    #[test]
    fn any_bytes_give_a_report(log in prop::collection::vec(any::<u8>(), 0..4000)) {
        let report = analyze(&log);
        prop_assert_eq!(report.log.bytes, log.len() as u64);
        let lines = log.split(|byte| *byte == b'\n').count() - usize::from(log.is_empty() || log.ends_with(b"\n"));
        // Without a line feed carriage returns count, and UTF-16 is turned into text first.
        if log.contains(&b'\n') && !log.starts_with(b"\xff\xfe") && !log.starts_with(b"\xfe\xff") {
            prop_assert_eq!(report.log.lines, lines as u64);
        }
    }

    #[test]
    fn broken_frames_give_a_report(parts in prop::collection::vec(prop::sample::select(vec![
        "##[group]", "##[error]", "Run ", "section_start:1:a\r", "section_end:", "travis_fold:start:", "travis_time:end:",
        "\u{1b}[", "\u{1b}]8;;", "^[[31m", "\r", "\n", "2026-01-01T00:00:00.0Z ", "00O+", "E   assert ", "error: x", "FAILED ",
        "[task 2026-01-01T00:00:00.000Z] ", "::error", "#12 3.4 ", "exited with ", "é", "\u{2028}", "Tests run: 1, Failures: 1, Errors: 0",
    ]), 0..80)) {
        let log = parts.concat();
        let report = analyze(log.as_bytes());
        prop_assert_eq!(in_pieces(log.as_bytes(), &[1]), report);
    }
}

#[test]
fn one_huge_line_is_read_in_part() {
    let mut analyzer = Analyzer::new();
    for _ in 0..128 {
        analyzer.push(&[b'x'; 64 * 1024]);
    }
    analyzer.push(b"\nmain.c:1:1: error: expected ';'\nmake: *** [Makefile:1: a] Error 1\n");
    let report = analyzer.finish();
    assert_eq!(report.log.bytes, 8 * 1024 * 1024 + 67);
    assert_eq!(report.log.lines, 3);
    assert_eq!(report.evidence[0].focus_line, 2);
    assert!(report.truncated);
    assert!(report.to_json().len() < 10_000);
}

#[test]
fn many_candidates_keep_the_report_small() {
    let mut analyzer = Analyzer::new();
    analyzer.push(b"a.c:1:1: error: the first one\n");
    for number in 0..20_000 {
        analyzer.push(format!("f{number}.c:{number}:3: error: 'x{number}' undeclared\n").as_bytes());
    }
    analyzer.push(b"make: *** [Makefile:1: a] Error 1\n");
    let report = analyzer.finish();
    assert_eq!(report.status, Status::CauseFound);
    assert_eq!(report.evidence[0].focus_line, 1);
    assert!(report.to_json().len() < 60_000);
}

#[test]
fn what_is_no_log_is_said_so() {
    for log in [&b""[..], b"\n\n\n", &[0; 20_000]] {
        let report = analyze(log);
        assert_eq!(report.status, Status::NotALog);
        assert!(report.evidence.is_empty());
    }
}

#[test]
fn a_log_without_its_end_is_truncated() {
    let (_, log) = fixtures("test").into_iter().find(|(name, _)| name == "pytest").unwrap();
    assert!(!analyze(&log).truncated);
    let text = String::from_utf8(log).unwrap();
    let (head, _) = text.split_once("short test summary").unwrap();
    let report = analyze(head.as_bytes());
    assert!(report.truncated);
    assert_eq!(report.status, Status::CauseFound);
    assert!(report.notes[0].contains("ends before the result"));
}
