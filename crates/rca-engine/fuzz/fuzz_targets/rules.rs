//! Any text is a rules file or an error, and rules that were read can be used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rca_engine::{Analyzer, Rules};

fuzz_target!(|input: (String, String, Vec<u8>)| {
    let (file, pattern, log) = input;
    let _ = Rules::parse(&file);
    let quoted = pattern.replace('\'', "").replace(|character: char| character.is_control() && character != '\t', "");
    let text = format!("[[rule]]\nid = \"a\"\npattern = '{quoted}'\ncategory = \"network\"\n");
    if let Ok(rules) = Rules::parse(&text) {
        let hits = rules.test(&log);
        assert_eq!(hits.len(), 1);
        let mut analyzer = Analyzer::new().with_rules(rules);
        analyzer.push(&log);
        let report = analyzer.finish();
        assert!(report.log.lines >= hits[0].count);
    }
});
