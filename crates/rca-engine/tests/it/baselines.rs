//! What passing logs of the same job contribute.

use proptest::prelude::*;
use rca_engine::{Analyzer, Baseline, BaselineError};

const GREEN: &[u8] = b"starting build 11\nerror: cache is cold, filling it\ndone in 3.1 s\n";
const RED: &[u8] =
    b"starting build 12\nerror: cache is cold, filling it\nerror: ledger is locked by 4711\nThe command \"run\" exited with 1.\n";

fn learned(log: &[u8]) -> Baseline {
    let mut learner = Baseline::new().learn();
    for byte in log {
        learner.push(&[*byte]);
    }
    learner.finish()
}

#[test]
fn lines_of_passing_logs_are_not_the_cause() {
    let mut plain = Analyzer::new();
    plain.push(RED);
    assert_eq!(plain.finish().evidence[0].focus_line, 2);

    let mut analyzer = Analyzer::new().with_baseline(learned(GREEN));
    analyzer.push(RED);
    let report = analyzer.finish();
    assert_eq!(report.evidence[0].focus_line, 3);
    assert!(report.evidence[0].why.iter().any(|reason| reason.contains("in no passing log")));
    assert!(report.baseline.used);
    assert_eq!(report.baseline.logs, 1);
    assert_eq!(report.baseline.novel_lines, 2);
}

#[test]
fn baselines_merge_and_survive_storage() {
    let mut first = learned(GREEN);
    first.merge(&learned(b"another line\n"));
    assert_eq!(first.logs(), 2);
    assert_eq!(first.templates(), 4);
    let stored = serde_json::to_string(&first).unwrap();
    assert_eq!(serde_json::from_str::<Baseline>(&stored).unwrap(), first);
}

fn of_lines(lines: &[u16]) -> Baseline {
    // Letters, since numbers are masked.
    let word = |line: u16| format!("{line:b}").replace('0', "o").replace('1', "i");
    learned(lines.iter().map(|line| word(*line) + "\n").collect::<String>().as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn encoding_keeps_the_baseline(lines in prop::collection::vec(any::<u16>(), 0..200)) {
        let baseline = of_lines(&lines);
        let bytes = baseline.encode();
        prop_assert!(bytes.len() <= 14 + 10 * baseline.templates());
        prop_assert_eq!(Baseline::decode(&bytes), Ok(baseline));
        for cut in 0..bytes.len() {
            prop_assert_eq!(Baseline::decode(&bytes[..cut]), Err(BaselineError));
        }
        prop_assert_eq!(Baseline::decode(&[&bytes[..], b"x"].concat()), Err(BaselineError));
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for bytes in [bytes.clone(), [&b"frb1"[..], &bytes].concat()] {
            if let Ok(baseline) = Baseline::decode(&bytes) {
                prop_assert_eq!(baseline.encode(), bytes);
            }
        }
    }

    #[test]
    fn merging_does_not_depend_on_the_order(
        first in prop::collection::vec(any::<u16>(), 0..50),
        second in prop::collection::vec(any::<u16>(), 0..50),
        third in prop::collection::vec(any::<u16>(), 0..50),
    ) {
        let parts = [of_lines(&first), of_lines(&second), of_lines(&third)];
        let merged = |order: [usize; 3]| {
            let mut all = Baseline::new();
            order.iter().for_each(|index| all.merge(&parts[*index]));
            all
        };
        prop_assert_eq!(merged([0, 1, 2]), merged([2, 0, 1]));
        let both = of_lines(&[first, second].concat());
        let mut two = parts[0].clone();
        two.merge(&parts[1]);
        prop_assert_eq!(two.templates(), both.templates());
    }
}

#[test]
fn a_baseline_is_bounded() {
    let word = |mut number: u32| {
        let mut text = String::new();
        while number > 0 {
            text.push(char::from(b'g' + (number % 20) as u8));
            number /= 20;
        }
        text
    };
    let log: String = (1..=210_000_u32).map(|number| format!("zz {}\n", word(number))).collect();
    let mut learner = Baseline::new().learn();
    learner.push(log.as_bytes());
    let baseline = learner.finish();
    assert_eq!(baseline.templates(), 200_000);
    let bytes = baseline.encode();
    assert!(bytes.len() <= 1_600_000 && bytes.len() <= Baseline::MAX_BYTES, "{}", bytes.len());
    assert_eq!(Baseline::decode(&bytes), Ok(baseline));
}

#[test]
fn one_cause_has_one_fingerprint() {
    let log = |number: u32, path: &str| {
        format!(
            "/{path}/src/main.c:{number}:3: error: 'count' undeclared\nmake: *** [Makefile:{number}: a] Error 1\n"
        )
    };
    let first = rca_engine::analyze(log(3, "home/a").as_bytes());
    let second = rca_engine::analyze(log(88, "builds/7/x").as_bytes());
    let other = rca_engine::analyze(log(3, "home/a").replace("count", "total").as_bytes());
    assert_eq!(first.fingerprint, second.fingerprint);
    assert_ne!(first.fingerprint, other.fingerprint);
    assert_eq!(first.fingerprint.len(), 32);
}

#[test]
fn one_cause_has_one_fingerprint_in_any_frame() {
    let body = |run: u32, home: &str, seconds: &str| {
        format!(
            "{home}/src/drawer.rs:{run}: note\nthread 'drawer::tests::adds_up' panicked at src/drawer.rs:{run}:9:\nassertion `left == right` failed\n  left: 41\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; finished in {seconds}s\n"
        )
    };
    let plain = rca_engine::analyze(body(31, "/home/a", "0.01").as_bytes());
    let stamped: String = body(77, "/builds/7", "3.20")
        .lines()
        .map(|line| format!("2026-05-06T07:00:01.7654321Z {line}\n"))
        .collect();
    let stamped = rca_engine::analyze(stamped.as_bytes());
    assert_eq!(plain.fingerprint, stamped.fingerprint);
    let other = body(31, "/home/a", "0.01").replace("adds_up", "opens");
    assert_ne!(plain.fingerprint, rca_engine::analyze(other.as_bytes()).fingerprint);
}

#[test]
fn headings_do_not_hide_different_causes() {
    let log = |package: &str, take: u32| {
        format!(
            "Solving environment: failed after {take} s\n\nPackagesNotFoundError: The following packages are not available from current channels:\n\n  - {package}=9.{take}\nThe command \"conda\" exited with 1.\n"
        )
    };
    let first = rca_engine::analyze(log("purse", 3).as_bytes());
    let again = rca_engine::analyze(log("purse", 8).as_bytes());
    let other = rca_engine::analyze(log("drawer", 3).as_bytes());
    assert!(first.root_cause.ends_with("- purse=9.3"), "{}", first.root_cause);
    assert_eq!(first.fingerprint, again.fingerprint);
    assert_ne!(first.fingerprint, other.fingerprint);
}
