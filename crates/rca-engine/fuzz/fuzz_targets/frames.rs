//! Logs out of the markers of every CI system: line numbers stay in the log.
#![no_main]

use libfuzzer_sys::fuzz_target;

const PARTS: &[&[u8]] = &[
    b"##[group]", b"##[endgroup]", b"##[error]", b"##[section]Starting: ", b"Run ", b"section_start:1:a\r\x1b[0K",
    b"section_end:1:a\r\x1b[0K", b"travis_fold:start:a", b"travis_fold:end:a", b"travis_time:end:1:duration=2",
    b"\x1b[", b"\x1b]8;;", b"^[[31m", b"\r", b"\n", b"\n", b"\n", b"2026-01-01T00:00:00.0Z ", b"00O ", b"00O+", b"00E+",
    b"E   assert ", b"error: x", b"FAILED ", b"[task 2026-01-01T00:00:00.000Z] ", b"::error::", b"#12 3.4 ", b"svc-1  | ",
    b"exited with 1", b"\xc3", b"\xe2\x80\xa8", b"Tests run: 1, Failures: 1, Errors: 0", b"[Pipeline] { (a)", b"$ make",
    b"+ make", b"Finished: FAILURE", b"Job succeeded", b"ERROR: Job failed: exit code 1", b"\xff\xfe", b"\0", b" ",
];

fuzz_target!(|parts: Vec<u8>| {
    let log: Vec<u8> =
        parts.iter().flat_map(|part| PARTS[usize::from(*part) % PARTS.len()]).copied().collect();
    let report = rca_engine::analyze(&log);
    for evidence in &report.evidence {
        assert!(evidence.end_line <= report.log.lines);
        assert_eq!(evidence.excerpt.len() as u64, evidence.end_line - evidence.start_line + 1);
    }
});
