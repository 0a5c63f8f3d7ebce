//! Tells lines that cannot carry a secret from the others, so that most of a log is only looked at.
//!
//! Every answer here is on the safe side: a line is clean only when [`super::scan::detect`] would
//! find nothing in it.

use std::ops::Range;

use super::families::Alphabet;
use super::known::Known;
use super::lines::{WINDOW, content, content_start, is_token};
use super::scan::{LONGEST, RUN, first_literal, has_literal};
use super::view::View;

/// Where the next literal of the gate stands in a chunk. What was searched once is not searched again.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// No literal begins in `from..hit`.
    from: usize,
    hit: usize,
}

impl Search {
    fn has_none(&mut self, chunk: &[u8], range: &Range<usize>) -> bool {
        if range.start < self.from || self.hit < range.start {
            let rest = chunk.get(range.start..).unwrap_or_default();
            self.from = range.start;
            self.hit = first_literal(rest).map_or(chunk.len(), |at| range.start + at);
        }
        range.end <= self.hit
    }
}

/// The clean line at `from`, with its end.
pub(super) fn clean_line(
    chunk: &[u8],
    from: usize,
    search: &mut Search,
    known: Option<&Known>,
) -> Option<Range<usize>> {
    let rest = chunk.get(from..)?;
    let rest = rest.get(..rest.len().min(WINDOW)).unwrap_or(rest);
    let line = from..from + memchr::memchr(b'\n', rest)? + 1;
    let text = content(chunk.get(line.clone())?);
    let is_clean = search.has_none(chunk, &line)
        && memchr::memchr3(0x1b, b'\r', 0, text).is_none()
        && !has_shaped_run(text)
        && known.is_none_or(|known| !known.is_in(text));
    is_clean.then_some(line)
}

/// Whether something may begin at the end of one clean line and go on in the next.
pub(super) fn may_join(before: &[u8], after: &[u8], known: Option<&Known>) -> bool {
    if !before.last().is_some_and(|byte| is_token(*byte)) {
        return false;
    }
    let view = View::of(after);
    let start = content_start(&view);
    if !after.get(start).is_some_and(|byte| is_token(*byte)) {
        return false;
    }
    let run = |text: &mut dyn Iterator<Item = &u8>, limit: usize| {
        text.take(limit).take_while(|byte| is_token(**byte)).count()
    };
    let limit = if known.is_some() { 2048 } else { LONGEST.max(64) };
    let tail = run(&mut before.iter().rev(), limit);
    let head = run(&mut after.iter().skip(start), limit);
    let tail = before.get(before.len() - tail..).unwrap_or_default();
    let head = after.get(start..start + head).unwrap_or_default();
    // The keys of NuGet begin with `oy2` and have no capital letter.
    if head.len() >= 20 && (has_capital(tail) || has_capital(head) || tail.contains(&b'o')) {
        return true;
    }
    let joined = [tail, head].concat();
    has_literal(&joined) || known.is_some_and(|known| known.is_in(&joined))
}

fn has_capital(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_uppercase)
}

/// Whether a run of token bytes is long enough to be a secret by its shape or by chance. All of
/// those have a capital letter, but for the keys of NuGet.
fn has_shaped_run(text: &[u8]) -> bool {
    let is_word = |byte: &u8| Alphabet::Word.has(*byte);
    let mut at = RUN - 1;
    while let Some(byte) = text.get(at) {
        if !is_word(byte) {
            at += RUN;
            continue;
        }
        let (left, right) = text.split_at(at);
        let start = at - left.iter().rev().take_while(|byte| is_word(byte)).count();
        let end = at + right.iter().take_while(|byte| is_word(byte)).count();
        let run = text.get(start..end).unwrap_or_default();
        if run.len() >= RUN && (has_capital(run) || run.starts_with(b"oy2")) {
            return true;
        }
        at = end + RUN;
    }
    false
}
