//! Logs in other encodings and with other line ends.

use proptest::prelude::*;
use rca_engine::{Analyzer, Report, Status, analyze};

const LOG: &str =
    "$ make\ncc -c a.c\na.c:3:5: error: 'größe' undeclared \u{1f600}\nmake: *** [Makefile:2: a.o] Error 1\n";

fn pieces(log: &[u8], size: usize) -> Report {
    let mut analyzer = Analyzer::new();
    for piece in log.chunks(size) {
        analyzer.push(piece);
    }
    analyzer.finish()
}

fn utf16(text: &str, is_big: bool) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(|unit: u16| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

#[test]
fn utf_16_is_read_as_the_same_text() {
    let plain = analyze(LOG.as_bytes());
    assert_eq!(plain.status, Status::CauseFound);
    for is_big in [false, true] {
        let bytes = utf16(LOG, is_big);
        let report = analyze(&bytes);
        assert_eq!(report.evidence, plain.evidence);
        assert_eq!(report.log.bytes, bytes.len() as u64);
        assert_eq!(report.log.lines, 4);
        assert!(report.notes.iter().any(|note| note.contains("UTF-16")));
        for size in [1, 2, 3, 7] {
            assert_eq!(pieces(&bytes, size), report);
        }
        // Half a character at the end is one that is not known.
        let cut = pieces(&bytes[..bytes.len() - 1], 5);
        assert_eq!(cut.evidence[0].excerpt[1], plain.evidence[0].excerpt[1]);
    }
}

#[test]
fn secrets_in_utf_16_are_found() {
    let secret = format!("ghp_{}", "a1B2".repeat(9));
    let log = format!("$ run\nerror: cannot use {secret}\n");
    let report = analyze(&utf16(&log, false));
    assert_eq!(report.redactions.count, 1);
    assert!(!report.to_json().contains(&secret));
}

#[test]
fn carriage_returns_alone_end_lines() {
    let log = LOG.replace('\n', "\r");
    let report = analyze(log.as_bytes());
    assert_eq!(report.status, Status::CauseFound);
    assert_eq!(report.evidence[0].focus_line, 3);
    assert!(report.notes[0].contains("no line feeds"));
    assert_eq!(pieces(log.as_bytes(), 1), report);
    // With a line feed anywhere near the start they are what a terminal does with them.
    let report = analyze(b"$ get\n 10%\r 50%\r100% done\nerror: no space\n");
    assert_eq!(report.log.lines, 3);
    assert!(report.notes.is_empty());
}

#[test]
fn windows_line_ends_change_nothing_but_the_bytes() {
    let (plain, windows) = (analyze(LOG.as_bytes()), analyze(LOG.replace('\n', "\r\n").as_bytes()));
    assert_eq!((windows.evidence, windows.fingerprint), (plain.evidence, plain.fingerprint));
}

#[test]
fn nuls_and_broken_bytes_do_not_hide_the_cause() {
    let mut log = b"$ make\n\xff\xfe\xc3(\xf0\x9f\n\0\0\0\n".to_vec();
    log.extend_from_slice(b"a.c:3:5: error: 'x\xff' undecl\0ared\nmake: *** [a] Error 1\n");
    let report = analyze(&log);
    assert_eq!(report.status, Status::CauseFound);
    assert_eq!(report.evidence[0].focus_line, 4);
    assert_eq!(report.evidence[0].excerpt[0], "a.c:3:5: error: 'x\u{fffd}' undeclared");
}

#[test]
fn what_gitlab_printed_in_pieces_is_read_as_one_line() {
    let log = "2026-01-01T00:00:00.000000Z 00O $ make\n\
               2026-01-01T00:00:01.000000Z 00O compiling ... \n\
               2026-01-01T00:00:02.000000Z 00E a.c:3:5: err\n\
               2026-01-01T00:00:02.100000Z 00E+or: 'x' undeclared\n\
               2026-01-01T00:00:03.000000Z 00O ERROR: Job failed: ex\n\
               2026-01-01T00:00:03.000000Z 00O+it code 2\n";
    let report = analyze(log.as_bytes());
    assert_eq!(report.log.dialect, "gitlab");
    assert_eq!(report.evidence[0].rule, "cc.error", "{report:#?}");
    assert_eq!(report.evidence[0].focus_line, 4);
    assert_eq!(report.failing.exit_code, Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_cut_of_any_encoding_gives_the_same(
        text in "(\\PC|\r|\n|\t|error: |\u{1f600}){0,80}",
        form in 0_u8..3,
        cut in 0_usize..4,
        size in 1_usize..9,
    ) {
        let mut bytes = match form {
            0 => text.into_bytes(),
            1 => utf16(&text, true),
            _ => utf16(&text, false),
        };
        bytes.truncate(bytes.len().saturating_sub(cut));
        prop_assert_eq!(pieces(&bytes, size), analyze(&bytes));
    }
}
