//! Logs made to cost time, at one, two and four times a size: time should about double each time.
//! The process fails when it more than triples.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rca_engine::{Analyzer, Redactor};

/// Time may grow by this much when a log doubles.
const LIMIT: f64 = 3.0;
/// Bytes of the smallest log.
const SIZE: usize = 2 << 20;

/// Makes a hostile log of about so many bytes.
type Maker = fn(usize) -> Vec<u8>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kinds: &[(&str, Maker)] = &[
        ("one line", |size| vec![b'x'; size]),
        ("one line of causes", |size| b"error: x ".repeat(size / 9)),
        ("one line of returns", |size| b"\r50% ".repeat(size / 5)),
        ("different causes", |size| {
            lines(size, |number| format!("f{number}.c:{number}:1: error: 'x{number}' undeclared"))
        }),
        ("nested sections", |size| {
            lines(size, |number| format!("section_start:17000{number}:part_{number}\r\u{1b}[0Kpart"))
        }),
        ("groups", |size| {
            lines(size, |number| format!("##[group]Run step {number}\n##[endgroup]\n##[error]x{number}"))
        }),
        ("escapes", |size| b"\x1b[1;31m\x1b]0;t\x07^[[0mx\x1b(B\n".repeat(size / 27)),
        ("escapes without an end", |size| b"\x1b[1;\x1b]8;;".repeat(size / 9)),
        ("names without values", |size| b"password password= token: secret_key_ ".repeat(size / 38)),
        ("prefixes of tokens", |size| b"ghp_glpat-eyJAKIAxoxb-".repeat(size / 22)),
        ("urls", |size| b"http://a:b http://c%3A%2F%2F".repeat(size / 28)),
        ("base64", |size| b"Z2hwX2docF9naHBfcGFzc3dvcmQ9".repeat(size / 28)),
        ("key blocks", |size| b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n".repeat(size / 37)),
        ("wrapped tokens", |size| {
            b"abcDEF123abcDEF123abcDEF123ghp\n_abcDEF123abcDEF123abcDEF12\n".repeat(size / 59)
        }),
        ("what patterns hate", |size| {
            lines(size, |_| format!("{}{}{}", "(((a:".repeat(100), "E  ".repeat(100), "1) ".repeat(100)))
        }),
        ("NULs", |size| vec![0; size]),
        ("new lines", |size| vec![b'\n'; size]),
    ];
    let mut bad = Vec::new();
    println!("| log | 2 MiB | 4 MiB | 8 MiB | growth |\n|---|---|---|---|---|");
    for (name, make) in kinds {
        let mut times = measure(*make);
        // A busy machine is the commoner reason: only what stays is a finding.
        for _ in 0..2 {
            if growth(&times) > LIMIT {
                let again = measure(*make);
                times = times.into_iter().zip(again).map(|(first, second)| first.min(second)).collect();
            }
        }
        let worst = growth(&times);
        let cells: Vec<String> =
            times.iter().map(|time| format!("{:.1} ms", time.as_secs_f64() * 1e3)).collect();
        println!("| {name} | {} | {worst:.2} |", cells.join(" | "));
        if worst > LIMIT {
            bad.push(*name);
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(format!("more than linear: {}", bad.join(", ")).into()) }
}

/// One, two and four times the size.
fn measure(make: fn(usize) -> Vec<u8>) -> Vec<Duration> {
    [1, 2, 4].iter().map(|times| fastest(&make(SIZE * times))).collect()
}

/// How much the time grows for each doubling, from the smallest log to the largest.
fn growth(times: &[Duration]) -> f64 {
    match times {
        [first, .., last] => (last.as_secs_f64() / first.as_secs_f64()).sqrt(),
        _ => 1.0,
    }
}

/// The best of five: the machine may be busy.
fn fastest(log: &[u8]) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        let mut analyzer = Analyzer::new();
        analyzer.push(log);
        let report = analyzer.finish();
        let mut out = Vec::new();
        let mut redactor = Redactor::new().with_known(["xxxxxxxxyyyyyyyy", "abcDEF123abcDEF124"]);
        for piece in log.chunks(64 * 1024) {
            out.clear();
            redactor.push(piece, &mut out);
        }
        redactor.finish(&mut out);
        best = best.min(begin.elapsed());
        assert_eq!(report.log.bytes, log.len() as u64);
    }
    best
}

fn lines(size: usize, line: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = String::with_capacity(size + 4096);
    let mut number = 0;
    while text.len() < size {
        let _ = writeln!(text, "{}", line(number));
        number += 1;
    }
    text.into_bytes()
}
