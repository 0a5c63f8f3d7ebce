//! Cuts the stream into lines, carries what one line tells about the next, and writes.

use std::ops::Range;

use super::Redactions;
use super::known::Known;
use super::scan::{Scope, Span, detect, has_literal, is_base64};
use super::skim::{Clean, clean_line, is_joined};
use super::view::View;

/// A longer line is looked at in windows of this size.
pub(super) const WINDOW: usize = 64 * 1024;
/// What two windows have in common.
const OVERLAP: usize = 16 * 1024;
/// What stays of the written part of a line for the look to the left.
const CONTEXT: usize = 1024;
/// How far two lines are put together.
pub(super) const SEAM: usize = 2048;
/// A key block without an end does not go on for ever.
const BLOCK_LINES: usize = 600;

/// A replacement, in raw bytes of a piece.
#[derive(Debug, Clone)]
struct Cut {
    range: Range<usize>,
    kind: &'static str,
    is_counted: bool,
}

/// A line, or the rest of a long one. The bytes before `written` are only context.
#[derive(Debug, Clone, Default)]
struct Piece {
    raw: Vec<u8>,
    written: usize,
    cuts: Vec<Cut>,
}

/// A secret block of several lines that has begun.
#[derive(Debug, Clone, Copy)]
struct Block {
    column: usize,
    left: usize,
    /// Base64 of a key block: it ends with the first line that is not base64.
    is_encoded: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    line: Piece,
    held: Option<Piece>,
    block: Option<Block>,
    /// The window ended inside a secret: the rest of it is dropped.
    is_dropping: bool,
    redactions: Redactions,
}

impl Lines {
    pub(super) fn push(&mut self, chunk: &[u8], known: Option<&Known>, out: &mut Vec<u8>) {
        let mut at = 0;
        while at < chunk.len() {
            at = self.skim(chunk, at, known, out);
            let rest = chunk.get(at..).unwrap_or_default();
            let room = rest.len().min(WINDOW - self.line.raw.len().min(WINDOW));
            let window = rest.get(..room).unwrap_or(rest);
            let newline = memchr::memchr(b'\n', window);
            let head = newline.map_or(room, |at| at + 1);
            at += head;
            self.take(rest.get(..head).unwrap_or_default());
            if newline.is_some() {
                self.end_line(known, out);
            } else if self.line.raw.len() >= WINDOW {
                self.slide(known, out);
            }
        }
    }

    /// Writes the lines from `from` on that carry no secret, without a copy of each, and gives where
    /// they end. The last of them is held, as every line is until the next is seen.
    fn skim(&mut self, chunk: &[u8], from: usize, known: Option<&Known>, out: &mut Vec<u8>) -> usize {
        if !self.line.raw.is_empty() || self.block.is_some() || self.is_dropping {
            return from;
        }
        let Some(mut line) = clean_line(chunk, from, known) else { return from };
        let text = |range: &Range<usize>| chunk.get(range.clone()).unwrap_or_default();
        if let Some(held) = &mut self.held {
            // The line before may carry anything, so the seam is looked at in full.
            seam(held, &mut self.line.cuts, &line.view, content_start(&line.view), known);
            if !self.line.cuts.is_empty() {
                self.line.raw.extend_from_slice(text(&line.range));
                settle(&mut self.line.cuts, 0);
                self.hold(out);
                return line.range.end;
            }
            write(held, held.raw.len(), out, &mut self.redactions);
        }
        while let Some(next) = clean_line(chunk, line.range.end, known) {
            if is_joined(&line.view, &next.view, known) {
                break;
            }
            line = next;
        }
        let Clean { range, .. } = line;
        out.extend_from_slice(text(&(from..range.start)));
        let held = self.held.get_or_insert_default();
        held.raw.clear();
        held.cuts.clear();
        held.written = 0;
        held.raw.extend_from_slice(text(&range));
        range.end
    }

    pub(super) fn finish(&mut self, known: Option<&Known>, out: &mut Vec<u8>) -> Redactions {
        if !self.line.raw.is_empty() {
            self.end_line(known, out);
        }
        if let Some(held) = self.held.take() {
            write(&held, held.raw.len(), out, &mut self.redactions);
        }
        self.block = None;
        self.is_dropping = false;
        std::mem::take(&mut self.redactions)
    }

    /// Adds to the line, without the rest of a secret that was longer than a window.
    fn take(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if self.is_dropping {
            let end = bytes.iter().position(|byte| {
                byte.is_ascii_whitespace() && *byte != b'\r' || matches!(byte, b'"' | b'\'' | b'<' | b'>')
            });
            self.is_dropping = end.is_none();
            bytes = bytes.get(end.unwrap_or(bytes.len())..).unwrap_or_default();
        }
        self.line.raw.extend_from_slice(bytes);
    }

    fn end_line(&mut self, known: Option<&Known>, out: &mut Vec<u8>) {
        self.is_dropping = false;
        self.look(known);
        self.hold(out);
    }

    /// Writes the held line and holds the one just looked at.
    fn hold(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        if let Some(mut held) = self.held.replace(line) {
            write(&held, held.raw.len(), out, &mut self.redactions);
            held.raw.clear();
            held.cuts.clear();
            held.written = 0;
            self.line = held;
        }
    }

    /// Writes all but the overlap of a full window.
    fn slide(&mut self, known: Option<&Known>, out: &mut Vec<u8>) {
        self.look(known);
        if let Some(held) = self.held.take() {
            write(&held, held.raw.len(), out, &mut self.redactions);
        }
        let length = self.line.raw.len();
        let mut until = length - OVERLAP;
        if let Some(cut) = self.line.cuts.iter().find(|cut| cut.range.contains(&until)) {
            until = cut.range.end;
            self.is_dropping = until == length;
        }
        write(&self.line, until, out, &mut self.redactions);
        if self.is_dropping {
            // What follows belongs to the secret; no context may join it to what is written.
            self.line = Piece::default();
            return;
        }
        let from = until.saturating_sub(CONTEXT);
        // A secret in the context is written already and may not be found a second time.
        let from = self
            .line
            .cuts
            .iter()
            .filter(|cut| cut.range.end <= until)
            .map(|cut| cut.range.end)
            .fold(from, usize::max);
        self.line.raw.drain(..from);
        self.line.written = until - from;
        self.line.cuts.clear();
    }

    /// Finds the secrets of the line, of the seam with the line before, and of an open block.
    fn look(&mut self, known: Option<&Known>) {
        let raw = content(&self.line.raw);
        let view = View::of(raw);
        let start = content_start(&view);
        if let Some(block) = self.block.take() {
            self.block = in_block(&view, start, block, &mut self.line.cuts);
        }
        let spans = detect(&view, known, Scope::Line);
        for span in spans {
            let text = view.slice(span.range.clone());
            let is_open = span.kind == "private-key" && memchr::memmem::find(text, b"END").is_none();
            let is_encoded = span.kind == "encoded-secret"
                && span.range.end + 2 >= view.len()
                && text.len() >= 48
                && is_encoded_key(text);
            if is_open || is_encoded {
                self.block = Some(Block { column: span.range.start, left: BLOCK_LINES, is_encoded });
            }
            let mut range = view.raw(span.range);
            // A lone escape in front would swallow the bracket of the replacement.
            while range.start.checked_sub(1).and_then(|before| raw.get(before)) == Some(&0x1b) {
                range.start -= 1;
            }
            self.line.cuts.push(Cut { range, kind: span.kind, is_counted: true });
        }
        if view.is_edited() {
            for span in detect(&View::raw_of(raw), known, Scope::Raw) {
                self.line.cuts.push(Cut { range: span.range, kind: span.kind, is_counted: true });
            }
        }
        if let Some(held) = &mut self.held {
            seam(held, &mut self.line.cuts, &view, start, known);
        }
        settle(&mut self.line.cuts, self.line.written);
    }
}

/// A line without its end.
pub(super) fn content(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    raw.strip_suffix(b"\r").unwrap_or(raw)
}

/// Sorts replacements and joins those that overlap. One that begins in the context was seen before.
fn settle(cuts: &mut Vec<Cut>, written: usize) {
    cuts.retain(|cut| cut.range.end > written);
    cuts.sort_by_key(|cut| (cut.range.start, cut.kind == "high-entropy", !cut.is_counted));
    let mut settled: Vec<Cut> = Vec::with_capacity(cuts.len());
    for cut in cuts.drain(..) {
        match settled.last_mut() {
            Some(last) if cut.range.start < last.range.end => {
                last.range.end = last.range.end.max(cut.range.end)
            }
            _ => settled.push(cut),
        }
    }
    *cuts = settled;
}

fn write(piece: &Piece, until: usize, out: &mut Vec<u8>, redactions: &mut Redactions) {
    let mut at = piece.written;
    for cut in piece.cuts.iter().filter(|cut| cut.range.start < until) {
        out.extend_from_slice(piece.raw.get(at..cut.range.start).unwrap_or_default());
        out.extend_from_slice(b"[REDACTED:");
        out.extend_from_slice(cut.kind.as_bytes());
        out.push(b']');
        at = cut.range.end;
        if cut.is_counted {
            redactions.add(cut.kind);
        }
    }
    out.extend_from_slice(piece.raw.get(at..until).unwrap_or_default());
}

/// Where the text begins behind a timestamp, a stream mark, a name of a service and an indent.
pub(super) fn content_start(view: &View<'_>) -> usize {
    let text = view.slice(0..160);
    let spaces = |at: usize| view.run_end(at, 200, |byte| matches!(byte, b' ' | b'\t'));
    let mut at = spaces(0);
    let is_time = |word: &[u8]| {
        let word = word.strip_prefix(b"[").unwrap_or(word);
        word.len() >= 8
            && word.iter().take(4).filter(|byte| byte.is_ascii_digit()).count() >= 3
            && word.contains(&b':')
            && word.iter().all(|byte| {
                byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b',' | b'T' | b'Z' | b'+' | b']')
            })
            || word.len() == 10
                && word.get(4) == Some(&b'-')
                && word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
    };
    let first = (view.at(at), view.at(at + 1));
    let is_framed =
        first.0.is_ascii_digit() || first.1.is_ascii_digit() || matches!(first.0, b'[' | b's' | b'|');
    for _ in 0..if is_framed { 3 } else { 0 } {
        let end = view.run_end(at, 64, |byte| byte > b' ');
        let word = view.slice(at..end);
        // GitLab Runner writes `00O ` and, for a line that goes on, `00O+` behind the time.
        let is_stream = word.len() >= 3
            && word.iter().take(2).all(u8::is_ascii_hexdigit)
            && matches!(word.get(2), Some(b'O' | b'E'))
            && (word.len() == 3 || word.get(3) == Some(&b'+'));
        if is_stream && at > 0 {
            at += if word.len() == 3 { 3 } else { 4 };
            at = if word.len() == 3 { spaces(at) } else { at };
        } else if is_time(word)
            || matches!(word, b"stdout:" | b"stderr:" | b"stdout" | b"stderr" | b"|")
            || at > 0 && matches!(word, b"F" | b"P")
        {
            at = spaces(end);
        } else {
            break;
        }
    }
    // Compose writes `service-1  | ` in front of a line.
    let text = text.get(at..).unwrap_or_default();
    let text = text.get(..text.len().min(42)).unwrap_or(text);
    match memchr::memchr(b'|', text).and_then(|_| memchr::memmem::find(text, b" | ")) {
        Some(bar) if bar < 40 => {
            let name = view
                .run_end(at, 40, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
            if spaces(name) + 1 == at + bar + 2 { spaces(at + bar + 3) } else { at }
        }
        _ => at,
    }
}

/// Takes the line's part of an open key block; gives the block back while it goes on.
fn in_block(view: &View<'_>, start: usize, block: Block, cuts: &mut Vec<Cut>) -> Option<Block> {
    let mut drop = |range: Range<usize>| {
        cuts.push(Cut {
            range: view.raw(range),
            kind: if block.is_encoded { "encoded-secret" } else { "private-key" },
            is_counted: false,
        })
    };
    let is_body = |byte: u8| is_base64(byte) || byte == b'=';
    let trim = |from: usize| {
        let from =
            view.run_end(from, 200, |byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'+' | b'>' | b'|'));
        let end =
            view.run_start(view.len(), 16, |byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b',' | b';'));
        let end = if view.slice(end.saturating_sub(2)..end) == b"\\n" { end - 2 } else { end };
        from..end.max(from)
    };
    let is_whole = |range: &Range<usize>| {
        !range.is_empty() && view.slice(range.clone()).iter().all(|byte| is_body(*byte))
    };
    let from_start = trim(start);
    let last = view.run_start(view.len(), 4096, |byte| byte > b' ');
    let from_last = trim(last);
    let from_column = trim(block.column);
    if block.is_encoded {
        let range = [from_start, from_column].into_iter().find(is_whole)?;
        drop(range);
        return block.left.checked_sub(1).map(|left| Block { left, ..block });
    }
    let text = view.slice(0..view.len());
    if let Some(end) = memchr::memmem::find(text, b"-END ").or_else(|| memchr::memmem::find(text, b"- END "))
    {
        let begin = view.run_start(end + 1, 8, |byte| matches!(byte, b'-' | b' '));
        let body = view.run_start(begin, 4096, |byte| byte > b' ');
        let tail = view.run_end(end + 5, 64, |byte| byte.is_ascii_alphanumeric() || byte == b' ');
        drop(body..view.run_end(tail, 8, |byte| byte == b'-'));
        return None;
    }
    let is_long = |range: &Range<usize>| range.len() >= 16 || view.before(range.end) == b'=';
    if let Some(range) = [from_start, from_column]
        .into_iter()
        .find(is_whole)
        .or_else(|| Some(from_last).filter(|range| is_whole(range) && is_long(range)))
    {
        drop(range);
    } else {
        // Another process wrote between the lines, or the body carries a mark of its own.
        let mut at = 0;
        while at < view.len() {
            let end = view.run_end(at, 4096, is_body);
            if end - at >= 44 {
                drop(at..end);
            }
            at = end + 1;
        }
    }
    block.left.checked_sub(1).map(|left| Block { left, ..block })
}

/// Base64 of the start of a key block, in any of its three alignments.
fn is_encoded_key(text: &[u8]) -> bool {
    (0..3).any(|before| memchr::memmem::find(text, &super::known::base64(b"-----BEGIN", before)).is_some())
}

/// A byte that can stand in a token which goes on in the next line.
pub(super) const fn is_token(byte: u8) -> bool {
    byte > b' '
        && !matches!(
            byte,
            b'"' | b'\'' | b'<' | b'>' | b'`' | b'|' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b';' | b','
        )
}

/// Finds what begins at the end of the held line and goes on in this one.
fn seam(held: &mut Piece, cuts: &mut Vec<Cut>, view: &View<'_>, start: usize, known: Option<&Known>) {
    let before = View::of(content(&held.raw));
    let tail = before.run_start(before.len(), SEAM, is_token);
    let head = view.run_end(start, SEAM, is_token);
    if tail == before.len() || head == start {
        return;
    }
    let middle = before.len() - tail;
    let last = held.cuts.iter().rev().find(|cut| cut.range.end >= before.raw(0..before.len()).end).cloned();
    let rest = view.slice(start..head);
    let is_whole =
        view.run_end(head, 200, |byte| matches!(byte, b' ' | b'"' | b'\'' | b',' | b';')) >= view.len();
    let looks_wrapped = is_whole
        && rest.len() >= 4
        && super::names::looks_random(rest)
        && !rest.contains(&b':')
        && !rest.contains(&b'/')
        || rest.len() >= 20 && super::names::looks_random(rest) && is_whole;
    if let Some(last) = last.filter(|last| last.kind != "high-entropy") {
        // The secret may end with its line. It goes on when the line is full and what follows
        // does not look like a word.
        if looks_wrapped && before.len() >= 60 && !matches!(last.kind, "private-key" | "url-credentials") {
            cuts.push(Cut { range: view.raw(start..head), kind: last.kind, is_counted: false });
        }
        return;
    }
    for span in across(before.slice(tail..before.len()), rest, known) {
        held.cuts.push(Cut {
            range: before.raw(tail + span.range.start..before.len()),
            kind: span.kind,
            is_counted: true,
        });
        cuts.push(Cut {
            range: view.raw(start..start + span.range.end - middle),
            kind: span.kind,
            is_counted: false,
        });
    }
    settle(&mut held.cuts, held.written);
}

/// What begins in the end of a line and goes on in the beginning of the next.
pub(super) fn across(tail: &[u8], head: &[u8], known: Option<&Known>) -> Vec<Span> {
    let joined = [tail, head].concat();
    if known.is_none() && head.len() < 20 && !has_literal(&joined) {
        return Vec::new();
    }
    let mut spans = detect(&View::of(&joined), known, Scope::Seam);
    spans.retain(|span| span.range.start < tail.len() && span.range.end > tail.len());
    spans
}
