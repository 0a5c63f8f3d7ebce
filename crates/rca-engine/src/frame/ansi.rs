//! Removes terminal control sequences.

use memchr::memchr2;

/// Appends `raw` without escape sequences to `out`. Carriage returns stay: they carry meaning.
///
/// Besides real escapes the caret form `^[[31m` is removed, which some tools write when they store a
/// log as text.
pub(crate) fn strip(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    loop {
        let Some(at) = memchr2(0x1b, b'^', rest) else {
            out.extend_from_slice(rest);
            return;
        };
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        let sequence = match from {
            [0x1b, after @ ..] => Some(after),
            [b'^', b'[', after @ ..] if after.first() == Some(&b'[') => Some(after),
            _ => None,
        };
        rest = match sequence {
            Some(after) => skip(after),
            None => {
                out.push(b'^');
                from.get(1..).unwrap_or_default()
            }
        };
    }
}

/// Whether [`strip`] would leave the line as it is.
pub(crate) fn is_plain(raw: &[u8]) -> bool {
    memchr2(0x1b, b'^', raw).is_none()
}

/// What follows the escape sequence whose introducer was just read.
fn skip(after: &[u8]) -> &[u8] {
    match after.first() {
        // CSI: parameters, then a final byte of 0x40 to 0x7e.
        Some(b'[') => {
            let body = after.get(1..).unwrap_or_default();
            let end = body.iter().position(|byte| (0x40..=0x7e).contains(byte));
            end.and_then(|at| body.get(at + 1..)).unwrap_or_default()
        }
        // OSC: up to BEL or the string terminator. One that never ends hides nothing.
        Some(b']') => {
            let body = after.get(1..).unwrap_or_default();
            match body.iter().position(|&byte| byte == 0x07 || byte == 0x1b) {
                Some(at) if body.get(at) == Some(&0x07) => body.get(at + 1..).unwrap_or_default(),
                Some(at) if body.get(at + 1) == Some(&b'\\') => body.get(at + 2..).unwrap_or_default(),
                _ => body,
            }
        }
        Some(b'(' | b')') => after.get(2..).unwrap_or_default(),
        Some(_) => after.get(1..).unwrap_or_default(),
        None => after,
    }
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn removes_colours_links_and_caret_forms() {
        for (raw, text) in [
            (&b"\x1b[31merror\x1b[0m: x"[..], &b"error: x"[..]),
            (b"^[[38;5;9mred^[[0m", b"red"),
            (b"\x1b]8;;http://x\x07link\x1b]8;;\x07", b"link"),
            (b"\x1b[0Ka\rb", b"a\rb"),
            (b"cut \x1b[3", b"cut "),
            (b"a ^ b", b"a ^ b"),
        ] {
            let mut out = Vec::new();
            strip(raw, &mut out);
            assert_eq!(out, text);
        }
    }
}
