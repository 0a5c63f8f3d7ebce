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

/// How far the encoding is looked for before the input counts as plain text.
const SNIFFED: usize = 64 * 1024;

/// Turns what is not UTF-8 with line feeds into it: UTF-16 with a byte order mark, and logs whose
/// lines end with carriage returns only.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    form: Form,
    out: Vec<u8>,
}

#[derive(Debug)]
enum Form {
    /// Not known yet; these bytes were read.
    Open(Vec<u8>),
    Plain,
    CarriageReturns,
    Utf16 {
        is_big: bool,
        carry: Vec<u8>,
    },
}

impl Default for Form {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Intake {
    /// Calls `each` with the text of `chunk`, and of what was held back before.
    pub(crate) fn push(&mut self, chunk: &[u8], mut each: impl FnMut(&[u8])) {
        if let Form::Open(read) = &mut self.form {
            read.extend_from_slice(chunk);
            let Some(form) = form_of(read, false) else { return };
            let read = std::mem::take(read);
            self.form = form;
            self.convert(&read, each);
        } else if matches!(self.form, Form::Plain) {
            each(chunk);
        } else {
            self.convert(chunk, each);
        }
    }

    /// Ends the input.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if let Form::Open(read) = &mut self.form {
            let read = std::mem::take(read);
            self.form = form_of(&read, true).unwrap_or(Form::Plain);
            self.convert(&read, &mut each);
        }
        if let Form::Utf16 { carry, .. } = &self.form
            && !carry.is_empty()
        {
            each("\u{fffd}".as_bytes());
        }
    }

    /// What the report says about the form.
    pub(crate) const fn note(&self) -> Option<&'static str> {
        match self.form {
            Form::CarriageReturns => {
                Some("the log has no line feeds; its lines are counted by carriage returns")
            }
            Form::Utf16 { .. } => Some("the log is UTF-16; it was read as text"),
            Form::Open(_) | Form::Plain => None,
        }
    }

    fn convert(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        self.out.clear();
        match &mut self.form {
            Form::Open(_) | Form::Plain => return each(bytes),
            Form::CarriageReturns => {
                self.out.extend(bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }));
            }
            Form::Utf16 { is_big, carry } => {
                carry.extend_from_slice(bytes);
                let unit = |pair: &[u8]| match *pair {
                    [first, second] if *is_big => u16::from_be_bytes([first, second]),
                    [first, second] => u16::from_le_bytes([first, second]),
                    _ => 0,
                };
                let mut whole = carry.len() / 2 * 2;
                // The first half of a pair waits for the second.
                let last = carry.get(whole.saturating_sub(2)..whole).map_or(0, unit);
                if (0xd800..0xdc00).contains(&last) {
                    whole -= 2;
                }
                let units = carry.get(..whole).unwrap_or_default().chunks_exact(2).map(unit);
                let mut buffer = [0; 4];
                for character in char::decode_utf16(units) {
                    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                    self.out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                }
                carry.drain(..whole);
            }
        }
        each(&self.out);
    }
}

/// The form of what was read; nothing while more has to be seen.
fn form_of(read: &[u8], is_all: bool) -> Option<Form> {
    match read {
        [0xff, 0xfe, ..] => return Some(Form::Utf16 { is_big: false, carry: Vec::new() }),
        [0xfe, 0xff, ..] => return Some(Form::Utf16 { is_big: true, carry: Vec::new() }),
        [] | [0xff | 0xfe] if !is_all => return None,
        _ => {}
    }
    if read.get(..SNIFFED.min(read.len())).is_some_and(|head| head.contains(&b'\n')) {
        return Some(Form::Plain);
    }
    if read.len() < SNIFFED && !is_all {
        return None;
    }
    // One return is a progress bar at work; several in a row of texts are line ends.
    let returns = read.iter().take(SNIFFED).filter(|byte| **byte == b'\r').count();
    Some(if returns >= 2 { Form::CarriageReturns } else { Form::Plain })
}
