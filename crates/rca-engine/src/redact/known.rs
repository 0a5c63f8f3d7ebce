//! Secrets that the caller knows, in the forms in which they leave a program.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::view::View;

/// Shorter ones would blank out words of the log.
const SHORTEST: usize = 4;
/// Long forms are also found by pieces of this many bytes, so that a wrapped one is found on each line.
const PIECE: usize = 24;

/// The forms of the known secrets and the automaton that finds them.
#[derive(Clone)]
pub(super) struct Known {
    forms: Vec<Vec<u8>>,
    pieces: Vec<(usize, usize)>,
    automaton: AhoCorasick,
}

impl Known {
    /// Takes the secrets; nothing when none is long enough to be looked for.
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut forms: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            forms.extend(forms_of(secret.trim_matches(['\r', '\n'])));
            // A key of several lines is printed line by line.
            if secret.contains('\n') {
                secret
                    .lines()
                    .map(str::trim)
                    .filter(|line| line.len() >= 8)
                    .for_each(|line| forms.extend(forms_of(line)));
            }
        }
        forms.retain(|form| form.len() >= SHORTEST);
        forms.sort_unstable();
        forms.dedup();
        let mut pieces = Vec::new();
        let mut patterns: Vec<&[u8]> = Vec::new();
        for (index, form) in forms.iter().enumerate() {
            patterns.push(form);
            pieces.push((index, 0));
            if form.len() >= 2 * PIECE {
                for (piece, pattern) in form.chunks_exact(PIECE).enumerate() {
                    patterns.push(pattern);
                    pieces.push((index, piece * PIECE));
                }
            }
        }
        if patterns.is_empty() {
            return None;
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&patterns)
            .expect("the forms of the known secrets fit an automaton");
        Some(Self { forms, pieces, automaton })
    }

    /// Finds every form, and every long piece of one.
    pub(super) fn find(&self, view: &View<'_>, mut found: impl FnMut(Range<usize>)) {
        let mut done = 0..0;
        for hit in self.automaton.find_overlapping_iter(view.text()) {
            if done.start <= hit.start() && hit.end() <= done.end {
                continue;
            }
            let Some((form, offset)) = self.pieces.get(hit.pattern().as_usize()) else { continue };
            let Some(form) = self.forms.get(*form) else { continue };
            let mut start = hit.start();
            let mut back = *offset;
            while back > 0 && start > 0 && form.get(back - 1) == Some(&view.before(start)) {
                start -= 1;
                back -= 1;
            }
            let mut end = hit.end();
            let mut next = offset + hit.len();
            while end < view.len() && form.get(next) == Some(&view.at(end)) {
                end += 1;
                next += 1;
            }
            done = start..end;
            found(start..end);
        }
    }
}

fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    if bytes.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = vec![bytes.to_vec()];
    if let Ok(json) = serde_json::to_string(secret) {
        let json = json.trim_matches('"');
        forms.push(json.into());
        forms.push(json.replace('/', "\\/").into());
        let html_safe = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
        forms.push(html_safe.replace('=', "\\u003d").into());
        forms.push(html_safe.into());
    }
    for keep in ["-_.~", "-_.~!*'()", "-_.*", "-_.~!*'();:@&=+$,/?#", ""] {
        for space in ["%20", "+"] {
            let upper = percent(bytes, keep, space, b"0123456789ABCDEF");
            forms.push(percent(bytes, keep, space, b"0123456789abcdef"));
            forms.push(upper);
        }
    }
    let hex = percent_hex(bytes);
    forms.push(hex.to_ascii_uppercase());
    forms.push(hex);
    if bytes.len() >= 5 {
        for skip in 0..3 {
            let standard = base64(bytes, skip);
            if standard.len() >= 5 {
                forms.push(
                    standard
                        .iter()
                        .map(|byte| match byte {
                            b'+' => b'-',
                            b'/' => b'_',
                            other => *other,
                        })
                        .collect(),
                );
                forms.push(standard);
            }
        }
    }
    forms
}

fn digit(digits: &[u8], index: u8) -> u8 {
    digits.get(usize::from(index)).copied().unwrap_or(b'A')
}

fn percent(bytes: &[u8], keep: &str, space: &str, digits: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in bytes {
        if byte == b' ' {
            out.extend_from_slice(space.as_bytes());
        } else if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            out.push(byte);
        } else {
            out.extend([b'%', digit(digits, byte >> 4), digit(digits, byte & 15)]);
        }
    }
    out
}

fn percent_hex(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| [digit(b"0123456789abcdef", byte >> 4), digit(b"0123456789abcdef", byte & 15)])
        .collect()
}

/// The characters of base64 that depend on `bytes` alone when `before` bytes (0, 1 or 2) of the
/// same quantum stand in front of it, whatever follows.
pub(super) fn base64(bytes: &[u8], before: usize) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let first = (before * 8).div_ceil(6);
    let last = (before + bytes.len()) * 8 / 6;
    (first..last)
        .map(|index| {
            let value = (0..6).fold(0, |value, bit| {
                let position = index * 6 + bit;
                let byte =
                    (position / 8).checked_sub(before).and_then(|at| bytes.get(at)).copied().unwrap_or(0);
                value << 1 | (byte >> (7 - position % 8) & 1)
            });
            digit(DIGITS, value)
        })
        .collect()
}
