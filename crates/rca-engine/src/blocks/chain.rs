//! Chains of JVM exceptions: `a.B: x`, frames, `Caused by: c.D: y`, frames.

use std::collections::BTreeSet;

/// Lines kept at most.
const LIMIT: usize = 20_000;

/// The exceptions that a later `Caused by` explains.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The headings of the chain that is being read, the outermost first.
    open: Vec<u64>,
    /// Lines of the open chain that are neither frame nor heading, such as a message of several lines.
    other: u8,
    outer: BTreeSet<u64>,
}

impl Chain {
    /// Takes the next line.
    pub(super) fn read(&mut self, number: u64, text: &str) {
        let line = text.trim_start();
        let line = line.strip_prefix("[junit] ").or_else(|| line.strip_prefix("[ERROR] ")).unwrap_or(line);
        let line = line.trim_start();
        if line.starts_with("at ") || line.starts_with("... ") && line.ends_with(" more") {
            self.other = 0;
        } else if let Some(rest) = line.strip_prefix("Caused by: ") {
            if is_exception(rest) && !self.open.is_empty() {
                self.open.push(number);
                self.other = 0;
            }
        } else if is_exception(line) || after_colon(line).is_some_and(is_exception) {
            self.close();
            self.open.push(number);
        } else if !self.open.is_empty() {
            self.other += 1;
            if self.other > 6 {
                self.close();
            }
        }
    }

    /// Whether a deeper exception of the same chain was read.
    pub(super) fn is_outer(&self, line: u64) -> bool {
        self.outer.contains(&line) || self.open.iter().rev().skip(1).any(|heading| *heading == line)
    }

    fn close(&mut self) {
        self.open.pop();
        if self.outer.len() < LIMIT {
            self.outer.extend(self.open.drain(..));
        }
        self.open.clear();
        self.other = 0;
    }
}

/// What stands behind the first `: `.
fn after_colon(line: &str) -> Option<&str> {
    let ends = memchr::memchr_iter(b':', line.as_bytes()).map(|at| at + 1);
    ends.filter_map(|end| line.get(end..)?.strip_prefix(' ')).next()
}

/// Whether the line begins with the qualified name of an exception: `java.io.IOException`.
fn is_exception(line: &str) -> bool {
    let end = memchr::memchr2(b':', b' ', line.as_bytes()).unwrap_or(line.len());
    let name = line.get(..end).unwrap_or_default();
    // Every line is asked, and hardly any name ends so.
    if !matches!(name.as_bytes().last(), Some(b'n' | b'r' | b'e')) {
        return false;
    }
    let Some((package, class)) = name.rsplit_once('.') else { return false };
    (class.ends_with("Exception") || class.ends_with("Error") || class.ends_with("Failure"))
        && package.starts_with(|character: char| character.is_ascii_lowercase())
        && package.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$'))
}
