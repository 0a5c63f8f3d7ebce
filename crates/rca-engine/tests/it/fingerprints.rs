//! One cause has one fingerprint over runs, machines, paths and times; different causes have different ones.

use std::collections::BTreeMap;

use rca_engine::analyze;

use crate::detectors::fixtures;

const CLASSES: [&str; 5] = ["test", "build", "dependency", "infra", "config"];

/// The log as another run of the same job would print it: other times, machine, directory and hashes.
fn rerun(log: &str) -> String {
    [
        ("2026-05-06T07:", "2027-11-23T19:"),
        (".7654321Z", ".1234567Z"),
        ("1778050", "1893456"),
        ("/home/runner/work/till/till/", "/home/runner/work/till-2/till-2/"),
        ("/builds/shop/till/", "/builds/agency/fork-of-till/"),
        ("/home/travis/build/shop/till/", "/home/travis/build/agency/till/"),
        ("till-runner a1_Bc", "till-runner z9_Yx"),
        ("s_11ee11ee11ee", "s_0a0b0c0d0e0f"),
        ("1c2c3c4c", "5d6d7d8d"),
        ("0f0f0f0f", "a7a7a7a7"),
        ("0f0f0f0", "a7a7a7a"),
    ]
    .into_iter()
    .fold(log.to_owned(), |log, (from, to)| log.replace(from, to))
}

#[test]
fn another_run_of_the_same_failure_has_the_same_fingerprint() {
    for class in CLASSES {
        for (name, log) in fixtures(class) {
            let log = String::from_utf8(log).unwrap();
            let (first, again) = (analyze(log.as_bytes()), analyze(rerun(&log).as_bytes()));
            assert_eq!(first.status, again.status, "{class}/{name}");
            assert_eq!(
                first.fingerprint, again.fingerprint,
                "{class}/{name}:\n{}\n{}",
                first.template, again.template
            );
        }
    }
}

#[test]
fn different_failures_have_different_fingerprints() {
    let mut seen: BTreeMap<String, (String, String)> = BTreeMap::new();
    for class in CLASSES {
        for (name, log) in fixtures(class) {
            let report = analyze(&log);
            // Without a cause there is nothing to tell apart.
            if report.fingerprint.is_empty() {
                continue;
            }
            let fixture = (format!("{class}/{name}"), report.root_cause);
            if let Some(other) = seen.insert(report.fingerprint, fixture.clone()) {
                // Runners of one language report the same failed test in the same words.
                assert_eq!(other.1, fixture.1, "{} and {}", other.0, fixture.0);
            }
        }
    }
    assert!(seen.len() > 150, "only {} different fingerprints", seen.len());
}
