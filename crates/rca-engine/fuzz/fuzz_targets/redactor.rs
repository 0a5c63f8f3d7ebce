//! Chunks do not matter, line ends stay, and a known secret never comes out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rca_engine::Redactor;

const SECRET: &str = "s3cret-Value/x9";

fuzz_target!(|input: (u8, Vec<u8>, bool)| {
    let (size, mut text, is_planted) = input;
    if is_planted {
        let at = text.len() / 2;
        text.splice(at..at, SECRET.bytes());
    }
    let redact = |size: usize| {
        let mut redactor = Redactor::new().with_known([SECRET]);
        let mut out = Vec::new();
        for piece in text.chunks(size) {
            redactor.push(piece, &mut out);
        }
        let redactions = redactor.finish(&mut out);
        (out, redactions)
    };
    let whole = redact(usize::MAX);
    assert_eq!(redact(usize::from(size) + 1), whole);
    let ends = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(ends(&whole.0), ends(&text));
    assert!(!whole.0.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
});
