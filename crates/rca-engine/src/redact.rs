//! Removes secrets before anything of the log can reach a report.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

pub use crate::report::Redactions;

/// What stands for a removed secret.
const MASK: &str = "[redacted]";

/// A line longer than this is passed on in pieces.
const LINE_LIMIT: usize = 64 * 1024;

#[expect(clippy::unwrap_used, reason = "the pattern is a constant that a test compiles")]
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|xox[abprs]-[A-Za-z0-9-]{10,}",
    )
    .unwrap()
});

/// A streaming redactor: bytes in, the same bytes without secrets out, newlines kept one to one.
#[derive(Debug, Default)]
pub struct Redactor {
    known: Vec<String>,
    line: Vec<u8>,
    count: u64,
}

impl Redactor {
    /// A redactor that knows the common token formats.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also removes these exact values.
    #[must_use]
    pub fn with_known<'a>(mut self, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.known.extend(known.into_iter().filter(|value| !value.is_empty()).map(str::to_owned));
        self
    }

    /// Takes the next bytes and appends what can be released to `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
            let mut rest = piece;
            while self.line.len() + rest.len() > LINE_LIMIT {
                let (head, tail) = rest.split_at(LINE_LIMIT.saturating_sub(self.line.len()));
                self.line.extend_from_slice(head);
                self.flush(out);
                rest = tail;
            }
            self.line.extend_from_slice(rest);
            if rest.ends_with(b"\n") {
                self.flush(out);
            }
        }
    }

    /// Releases what is held back and says what was removed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Redactions {
        self.flush(out);
        let mut kinds = BTreeMap::new();
        if self.count > 0 {
            kinds.insert("token".to_owned(), self.count);
        }
        Redactions { count: self.count, kinds }
    }

    /// One line without its secrets.
    pub fn redact_line<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let mut text = TOKEN.replace_all(line, MASK);
        for value in &self.known {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), MASK));
            }
        }
        text
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        match std::str::from_utf8(&line) {
            Ok(text) => match self.redact_line(text) {
                Cow::Borrowed(_) => out.extend_from_slice(&line),
                Cow::Owned(masked) => {
                    self.count += 1;
                    out.extend_from_slice(masked.as_bytes());
                }
            },
            Err(_) => out.extend_from_slice(&line),
        }
        self.line = line;
        self.line.clear();
    }
}
