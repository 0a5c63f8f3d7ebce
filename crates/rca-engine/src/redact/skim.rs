//! Tells lines that carry no secret from the others, so that most of a log is only looked at and not
//! copied line by line.

use std::ops::Range;

use super::known::Known;
use super::lines::{SEAM, WINDOW, across, content, content_start, is_token};
use super::scan::{Scope, detect};
use super::view::View;

/// A line in which nothing was found.
pub(super) struct Clean<'a> {
    /// Where it stands in the chunk, with its end.
    pub(super) range: Range<usize>,
    pub(super) view: View<'a>,
}

/// The line at `from`, when it is whole and nothing is in it.
pub(super) fn clean_line<'a>(chunk: &'a [u8], from: usize, known: Option<&Known>) -> Option<Clean<'a>> {
    let rest = chunk.get(from..)?;
    let rest = rest.get(..rest.len().min(WINDOW)).unwrap_or(rest);
    let range = from..from + memchr::memchr(b'\n', rest)? + 1;
    let text = content(chunk.get(range.clone())?);
    let view = View::of(text);
    let is_clean = detect(&view, known, Scope::Line).is_empty()
        && (!view.is_edited() || detect(&View::raw_of(text), known, Scope::Raw).is_empty());
    is_clean.then_some(Clean { range, view })
}

/// Whether a secret begins at the end of one clean line and goes on in the next.
pub(super) fn is_joined(before: &View<'_>, after: &View<'_>, known: Option<&Known>) -> bool {
    if !is_token(before.before(before.len())) {
        return false;
    }
    let start = content_start(after);
    if !is_token(after.at(start)) {
        return false;
    }
    let tail = before.slice(before.run_start(before.len(), SEAM, is_token)..before.len());
    let head = after.slice(start..after.run_end(start, SEAM, is_token));
    !across(tail, head, known).is_empty()
}
