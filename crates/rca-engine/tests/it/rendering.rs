//! Reports as text.

use rca_engine::render::HumanOptions;
use rca_engine::{Analyzer, Options, Report, analyze};

use crate::detectors::fixtures;

#[test]
fn json_reads_back_and_its_keys_are_sorted() {
    for (_, log) in fixtures("test") {
        let report = analyze(&log);
        let json = report.to_json();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        let keys: Vec<&str> = json
            .lines()
            .filter_map(|line| line.strip_prefix("  \""))
            .filter_map(|line| line.split('"').next())
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
    }
}

#[test]
fn text_for_people_is_stable() {
    let (_, log) = fixtures("test").into_iter().find(|(name, _)| name == "libtest").unwrap();
    let report = analyze(&log);
    let options = HumanOptions { path: Some("build.log".to_owned()), ..HumanOptions::default() };
    insta::assert_snapshot!("human", report.to_human(options));
    insta::assert_snapshot!("markdown", report.to_markdown());
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let report = analyze(b"a.c:1:1: error: \x1b[31mred\x1b[0m\nmake: *** [a] Error 1\n");
    assert!(!report.to_human(HumanOptions::default()).contains('\u{1b}'));
    let coloured = report.to_human(HumanOptions { color: true, ..HumanOptions::default() });
    assert!(coloured.contains("\u{1b}[1;31m"));
}

#[test]
fn log_text_stays_inert_in_markdown() {
    let report = analyze(
        "a.c:1:1: error: ``` @all /close [x](http://evil.example) <img src=x> \u{202e}\n```\n/merge\nmake: *** [a] Error 1\n".as_bytes(),
    );
    let markdown = report.to_markdown();
    let mut fence: Option<String> = None;
    for line in markdown.lines() {
        let ticks: String = line.chars().take_while(|character| *character == '`').collect();
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 && line.ends_with("text") => fence = Some(ticks),
            None => {
                assert!(!line.starts_with('/'), "{line}");
                let outside: String = line.split("````").step_by(2).collect();
                assert!(!outside.contains("@all"), "{line}");
            }
        }
    }
    assert_eq!(fence, None);
    assert!(!markdown.contains('\u{202e}'));
}

#[test]
fn known_secrets_do_not_reach_the_report() {
    let mut options = Options::default();
    options.known_secrets = vec!["hunter2hunter2".to_owned()];
    let mut analyzer = Analyzer::new().with_options(options);
    analyzer.push(b"error: login with hunter2hunter2 failed\nThe command \"x\" exited with 1.\n");
    let report = analyzer.finish();
    assert!(!report.to_json().contains("hunter2"));
    assert_eq!(report.redactions.count, 1);
}
