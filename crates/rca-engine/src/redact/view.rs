//! A line as a reader sees it: escape sequences, carriage returns and NULs taken out, with the way
//! back to the raw bytes.

use std::borrow::Cow;
use std::ops::Range;

const ESCAPE: u8 = 0x1b;

/// The visible bytes of a line. All access is total: outside the line every byte is a NUL.
#[derive(Debug)]
pub(super) struct View<'a> {
    text: Cow<'a, [u8]>,
    /// Where something was taken out: the index of the visible byte behind it, and that byte's raw index.
    gaps: Vec<(usize, usize)>,
}

impl<'a> View<'a> {
    /// Views the raw bytes of a line.
    pub(super) fn of(raw: &'a [u8]) -> Self {
        let next = |from: usize| memchr::memchr3(ESCAPE, b'\r', 0, raw.get(from..).unwrap_or_default());
        let Some(mut gap) = next(0) else { return Self::raw_of(raw) };
        let mut text = Vec::with_capacity(raw.len());
        let mut gaps: Vec<(usize, usize)> = Vec::new();
        let mut index = 0;
        loop {
            text.extend_from_slice(raw.get(index..gap).unwrap_or_default());
            index = gap;
            index += match raw.get(index) {
                Some(&ESCAPE) => escape_length(raw.get(index..).unwrap_or_default()),
                Some(b'\r' | 0) => 1,
                _ => break,
            };
            match gaps.last_mut() {
                Some(last) if last.0 == text.len() => last.1 = index,
                _ => gaps.push((text.len(), index)),
            }
            gap = next(index).map_or(raw.len(), |at| index + at);
        }
        Self { text: Cow::Owned(text), gaps }
    }

    /// The bytes as they are.
    pub(super) const fn raw_of(raw: &'a [u8]) -> Self {
        Self { text: Cow::Borrowed(raw), gaps: Vec::new() }
    }

    /// Whether anything was taken out.
    pub(super) fn is_edited(&self) -> bool {
        !self.gaps.is_empty()
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn at(&self, index: usize) -> u8 {
        self.text.get(index).copied().unwrap_or(0)
    }

    /// The byte before `index`; a NUL at the start.
    pub(super) fn before(&self, index: usize) -> u8 {
        index.checked_sub(1).map_or(0, |index| self.at(index))
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        let end = range.end.min(self.len());
        self.text.get(range.start.min(end)..end).unwrap_or_default()
    }

    /// Whether something invisible stood right before the byte at `index`.
    pub(super) fn gap_before(&self, index: usize) -> bool {
        index > 0 && index < self.len() && self.gaps.binary_search_by_key(&index, |gap| gap.0).is_ok()
    }

    /// The raw bytes that a range of visible bytes stands for.
    pub(super) fn raw(&self, range: Range<usize>) -> Range<usize> {
        if self.gaps.is_empty() {
            return range;
        }
        let start = self.raw_index(range.start).unwrap_or(0);
        let last = range.end.checked_sub(1).and_then(|last| self.raw_index(last));
        start..last.map_or(start, |last| last + 1)
    }

    /// The raw index of a visible byte.
    fn raw_index(&self, index: usize) -> Option<usize> {
        let before = self.gaps.partition_point(|gap| gap.0 <= index).checked_sub(1);
        let (visible, raw) = before.and_then(|at| self.gaps.get(at)).copied().unwrap_or((0, 0));
        (index < self.len()).then_some(raw + index - visible)
    }

    /// The end of the run of bytes of `class` that begins at `from`, looking at most `limit` far.
    pub(super) fn run_end(&self, from: usize, limit: usize, class: impl Fn(u8) -> bool) -> usize {
        let run = self.slice(from..from.saturating_add(limit));
        from + run.iter().position(|byte| !class(*byte)).unwrap_or(run.len())
    }

    /// The start of the run of bytes of `class` that ends before `to`, looking at most `limit` back.
    pub(super) fn run_start(&self, to: usize, limit: usize, class: impl Fn(u8) -> bool) -> usize {
        let run = self.slice(to.saturating_sub(limit)..to);
        to - run.iter().rev().position(|byte| !class(*byte)).unwrap_or(run.len())
    }

    /// Whether a token may begin at `index`: a word does not run into it.
    pub(super) fn is_boundary(&self, index: usize) -> bool {
        let before = self.before(index);
        if index == 0 || !before.is_ascii_alphanumeric() && before != b'_' || self.gap_before(index) {
            return true;
        }
        let earlier = index.checked_sub(2).map_or(0, |index| self.at(index));
        // The `n` of a JSON-escaped line end, and the digits of a percent-encoded delimiter.
        matches!(before, b'n' | b't' | b'r') && earlier == b'\\'
            || earlier.is_ascii_hexdigit() && index >= 3 && self.at(index - 3) == b'%'
    }
}

/// The length of the control sequence at the start of `raw`. What an operating-system command
/// carries (the target of a hyperlink) is kept as text: a secret can stand in it.
fn escape_length(raw: &[u8]) -> usize {
    match raw.get(1) {
        Some(b'[') => {
            let body = raw.get(2..raw.len().min(40)).unwrap_or_default();
            let end = body.iter().position(|byte| !(0x20..0x40).contains(byte));
            match end {
                Some(end) if body.get(end).is_some_and(|byte| (0x40..0x7f).contains(byte)) => end + 3,
                _ => 1,
            }
        }
        Some(b'(' | b')') => 3.min(raw.len()),
        Some(b']' | b'\\' | b'7' | b'8' | b'=' | b'>' | b'M') => 2,
        _ => 1,
    }
}
