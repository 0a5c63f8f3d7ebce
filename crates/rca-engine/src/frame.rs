//! Takes the frame a CI system puts around each line away, and reads what the frame says about steps.

mod ansi;
mod clock;
mod marks;

pub(crate) use marks::{Dialect, Event};

/// Bytes of a text that was printed in pieces.
const JOINED: usize = 4096;

/// Decodes one line at a time. The markers of the dialects do not collide, so all are tried on every
/// line; the first strong one names the dialect.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    dialect: Dialect,
    plain: Vec<u8>,
    text: String,
    events: Vec<Event>,
    quiet: bool,
    in_header: bool,
    error: bool,
    /// The line goes on with the one before.
    continues: bool,
    /// The line has the mark of one of GitLab's streams.
    streamed: bool,
    /// The text of the last line that a later one may go on with.
    earlier: String,
    first_time: Option<u64>,
    last_time: Option<u64>,
}

impl Decoder {
    /// Decodes a raw line; the result is read with [`Self::text`] and [`Self::events`].
    pub(crate) fn decode(&mut self, raw: &[u8]) {
        self.text.clear();
        self.events.clear();
        self.error = false;
        self.continues = false;
        self.streamed = false;
        let mut plain = std::mem::take(&mut self.plain);
        // Without escapes there is nothing to take out, and no copy is needed for it.
        let stripped = if ansi::is_plain(raw) {
            raw
        } else {
            plain.clear();
            ansi::strip(raw, &mut plain);
            &plain
        };
        let mut line = stripped.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stripped);
        while let Some(rest) = line.strip_suffix(b"\r") {
            line = rest;
        }
        line = self.take_prefix(line);
        let mut shown: &[u8] = b"";
        loop {
            let end = memchr::memchr(b'\r', line);
            let part = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
            let mut rest = marks::read(part, self);
            // Travis's macOS terminals print the name of a capability, `nl`, before some lines.
            if self.dialect == Dialect::Travis
                && let Some(tail) = rest.strip_prefix(b"nl")
                && !tail.first().is_some_and(u8::is_ascii_lowercase)
            {
                rest = tail;
            }
            if !rest.is_empty() {
                shown = rest;
            }
            let Some(end) = end else { break };
            line = line.get(end + 1..).unwrap_or_default();
        }
        self.show(marks::strip_inner(shown));
        self.plain = plain;
        let mut text = std::mem::take(&mut self.text);
        if self.streamed {
            // What was printed piece by piece is read as a whole, on the line of its last piece.
            if self.continues && self.earlier.len() + text.len() <= JOINED {
                text.insert_str(0, &self.earlier);
            }
            self.earlier.clear();
            self.earlier.push_str(&text);
        }
        marks::read_text(&text, self);
        self.text = text;
    }

    /// Takes the bytes as text: valid UTF-8 without control characters is by far the commonest.
    fn show(&mut self, bytes: &[u8]) {
        let has_control =
            bytes.iter().fold(false, |has, byte| has | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f));
        match std::str::from_utf8(bytes) {
            // The control characters beyond ASCII begin with this byte.
            Ok(text) if !has_control && memchr::memchr(0xc2, bytes).is_none() => self.text.push_str(text),
            _ => {
                let text = String::from_utf8_lossy(bytes);
                self.text
                    .extend(text.chars().filter(|character| !character.is_control() || *character == '\t'));
            }
        }
        self.text.truncate(self.text.trim_end().len());
    }

    /// The line without its frame.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What the frame says about steps.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The CI system marked the line as an error.
    pub(crate) const fn is_error(&self) -> bool {
        self.error
    }

    /// The line only repeats the definition of the step, such as its script.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The dialect recognised so far.
    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The last timestamp seen, in seconds.
    pub(crate) const fn now(&self) -> Option<u64> {
        self.last_time
    }

    /// Seconds from the first timestamp to the last.
    pub(crate) fn duration(&self) -> Option<u64> {
        Some(self.last_time?.saturating_sub(self.first_time?))
    }

    /// Timestamps and stream tags at the start of the line.
    fn take_prefix<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        let mut line = line;
        // Taskcluster, docs "live logging": `[task 2025-02-13T22:10:07.053Z] text`.
        let tags: &[&[u8]] =
            if line.first() == Some(&b'[') { &[b"[task ", b"[vcs ", b"[cache ", b"[setup "] } else { &[] };
        for tag in tags {
            if let Some(rest) = line.strip_prefix(*tag)
                && let Some((time, length)) = clock::read(rest)
                && rest.get(length) == Some(&b']')
            {
                self.tick(time);
                self.name(Dialect::Taskcluster);
                line = rest.get(length + 1..).unwrap_or_default();
                line = line.strip_prefix(b" ").unwrap_or(line);
                // mozharness adds its own clock and level: `22:10:07    ERROR - text`.
                return strip_mozharness(line);
            }
        }
        if line.first().is_some_and(u8::is_ascii_digit)
            && let Some((time, length)) = clock::read(line)
        {
            let rest = line.get(length..).unwrap_or_default();
            if rest.is_empty() || rest.starts_with(b" ") || rest.starts_with(b"\t") {
                self.tick(time);
                let rest = rest.get(1..).unwrap_or_default();
                // GitLab docs, "job log timestamps": two hex digits of the stream, `O` or `E`, and
                // `+` when the line goes on with the one before.
                if let [a, b, b'O' | b'E', tail @ ..] = rest
                    && a.is_ascii_hexdigit()
                    && b.is_ascii_hexdigit()
                {
                    self.name(Dialect::Gitlab);
                    self.streamed = true;
                    self.continues = tail.first() == Some(&b'+');
                    return match tail {
                        [b' ' | b'+', text @ ..] => text,
                        text => text,
                    };
                }
                // Zuul writes `2017-11-10 02:43:05.887718 | text`.
                if let Some(text) = rest.strip_prefix(b"| ") {
                    self.name(Dialect::Zuul);
                    return text;
                }
                if line.get(10) == Some(&b'T') && line.get(length.saturating_sub(1)) == Some(&b'Z') {
                    return rest;
                }
            }
        }
        line
    }

    const fn tick(&mut self, time: u64) {
        if self.first_time.is_none() {
            self.first_time = Some(time);
        }
        self.last_time = Some(time);
    }

    /// The first strong marker decides; a plain log may embed parts of others.
    fn name(&mut self, dialect: Dialect) {
        if self.dialect == Dialect::Plain {
            self.dialect = dialect;
        }
    }
}

fn strip_mozharness(line: &[u8]) -> &[u8] {
    if line.len() > 20
        && line.get(2) == Some(&b':')
        && line.get(5) == Some(&b':')
        && let Some(at) = memchr::memmem::find(line.get(..24.min(line.len())).unwrap_or_default(), b" - ")
    {
        return line.get(at + 3..).unwrap_or_default();
    }
    line
}
