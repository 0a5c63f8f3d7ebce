//! Each fixture log has a snapshot of its report.

use std::fs;
use std::path::{Path, PathBuf};

use rca_engine::{Status, analyze};

fn logs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/logs")
}

/// The fixtures of one class, sorted by name.
pub(crate) fn fixtures(class: &str) -> Vec<(String, Vec<u8>)> {
    let mut list: Vec<(String, Vec<u8>)> = fs::read_dir(logs().join(class))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    list.sort();
    assert!(!list.is_empty(), "no fixtures of class {class}");
    list
}

fn check(class: &str) {
    for (name, log) in fixtures(class) {
        let report = analyze(&log);
        if name != "silent-exit" && name != "timeout-124" && name != "exit-143" {
            assert_eq!(report.status, Status::CauseFound, "{class}/{name}: {report:#?}");
            assert!(report.evidence[0].score > 0);
        }
        insta::assert_snapshot!(format!("{class}__{name}"), report.to_json());
    }
}

#[test]
fn tests_are_recognised() {
    check("test");
}

#[test]
fn builds_are_recognised() {
    check("build");
}

#[test]
fn dependencies_are_recognised() {
    check("dependency");
}

#[test]
fn infrastructure_is_recognised() {
    check("infra");
}

#[test]
fn configuration_is_recognised() {
    check("config");
}

#[test]
fn passing_logs_claim_nothing() {
    for (name, log) in fixtures("green") {
        let report = analyze(&log);
        assert_eq!(report.status, Status::NotFailed, "{name}: {report:#?}");
        assert!(report.evidence.is_empty());
        assert_eq!(report.root_cause, "");
    }
}

#[test]
fn evidence_stands_in_the_log_at_its_line_numbers() {
    for class in ["test", "build", "dependency", "infra", "config"] {
        for (name, log) in fixtures(class) {
            let text = String::from_utf8(log).unwrap();
            let lines: Vec<&str> = text.split('\n').collect();
            let report = analyze(text.as_bytes());
            assert!(report.evidence.len() <= 5);
            let shown: usize = report.evidence.iter().map(|item| item.excerpt.len()).sum();
            assert!(shown <= 30, "{name} shows {shown} lines");
            for item in &report.evidence {
                assert!((item.start_line..=item.end_line).contains(&item.focus_line));
                assert_eq!(item.end_line - item.start_line + 1, item.excerpt.len() as u64);
                for (number, shown) in (item.start_line..).zip(&item.excerpt) {
                    let raw = lines[number as usize - 1];
                    assert!(raw.contains(shown.trim()), "{name}:{number}: {shown:?} not in {raw:?}");
                }
            }
        }
    }
}

#[test]
fn an_exit_without_words_is_not_a_cause() {
    let (_, log) = fixtures("config").into_iter().find(|(name, _)| name == "silent-exit").unwrap();
    let report = analyze(&log);
    assert_eq!(report.status, Status::NoCauseFound);
    assert!(report.needs_more_context);
    assert_eq!(report.failing.exit_code, Some(3));
    assert_eq!(report.failing.command.as_deref(), Some("./check.sh"));
    assert!(report.missing_context_hint.contains("exit code 3"));
}
