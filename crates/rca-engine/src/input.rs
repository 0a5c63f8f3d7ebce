//! Splits a stream of bytes into lines, with bounded memory whatever the input is.

use memchr::memchr_iter;

/// Bytes of a line that are looked at. The rest of the line is counted and dropped.
pub(crate) const LINE_LIMIT: usize = 16 * 1024;

/// Collects lines out of chunks of any size. Lines end at `\n` only, as `sed` and editors count.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    pending: Vec<u8>,
    open: bool,
    lines: u64,
    cut: u64,
    cut_pending: bool,
}

impl LineSplitter {
    /// Calls `each` with the number and the bytes of every line that `chunk` completes.
    pub(crate) fn push(&mut self, chunk: &[u8], mut each: impl FnMut(u64, &[u8])) {
        let mut start = 0;
        for end in memchr_iter(b'\n', chunk) {
            let piece = chunk.get(start..end).unwrap_or_default();
            start = end + 1;
            self.lines += 1;
            if self.open {
                self.hold(piece);
                each(self.lines, &self.pending);
                self.pending.clear();
                self.open = false;
                self.cut += u64::from(self.cut_pending);
                self.cut_pending = false;
            } else if piece.len() > LINE_LIMIT {
                self.cut += 1;
                each(self.lines, piece.get(..LINE_LIMIT).unwrap_or_default());
            } else {
                each(self.lines, piece);
            }
        }
        let rest = chunk.get(start..).unwrap_or_default();
        if !rest.is_empty() {
            self.open = true;
            self.hold(rest);
        }
    }

    /// Ends the input: a last line without a newline is a line too.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(u64, &[u8])) {
        if self.open {
            self.lines += 1;
            self.cut += u64::from(self.cut_pending);
            each(self.lines, &self.pending);
            self.pending.clear();
            self.open = false;
        }
    }

    /// Lines seen so far.
    pub(crate) const fn lines(&self) -> u64 {
        self.lines
    }

    /// Lines that were longer than [`LINE_LIMIT`].
    pub(crate) const fn cut(&self) -> u64 {
        self.cut
    }

    fn hold(&mut self, piece: &[u8]) {
        let room = LINE_LIMIT.saturating_sub(self.pending.len());
        if piece.len() > room {
            self.cut_pending = true;
        }
        self.pending.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
    }
}
