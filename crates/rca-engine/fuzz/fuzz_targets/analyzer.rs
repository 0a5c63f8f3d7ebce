//! Any bytes give a report, whatever the pieces, and every form of it can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rca_engine::{Analyzer, HumanOptions};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, log) = input;
    let whole = rca_engine::analyze(&log);
    let mut analyzer = Analyzer::new();
    for piece in log.chunks(usize::from(size) + 1) {
        analyzer.push(piece);
    }
    assert_eq!(analyzer.finish(), whole);
    for evidence in &whole.evidence {
        assert!(evidence.start_line <= evidence.focus_line && evidence.focus_line <= evidence.end_line);
        assert!(evidence.end_line <= whole.log.lines);
    }
    let options = HumanOptions { color: false, width: 40, path: Some("/a log".to_owned()) };
    assert!(!whole.to_human(options).contains('\u{1b}'));
    assert!(whole.to_json().len() + whole.to_sarif().len() + whole.to_junit().len() + whole.to_markdown().len() < 4_000_000);
});

