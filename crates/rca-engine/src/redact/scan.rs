//! Finds the secrets of one line: one pass of an automaton over every literal, and at each hit a
//! matcher that looks at most a bounded way around it.

use std::ops::Range;
use std::sync::LazyLock;

use super::families::{Alphabet, FAMILIES, Family};
use super::known::{Known, base64};
use super::names::{header, is_placeholder, looks_random, named_value};
use super::view::View;
use crate::literals::{Hit, Literals, SHORTEST};

/// How far a token is followed.
const REACH: usize = 2 * super::lines::WINDOW;
/// What is read of a token before it is known to be one.
const PROBE: usize = 256;
/// Every run of at least this many token bytes is looked at.
const RUN: usize = 24;

/// A part of a line that must not leave, in visible bytes.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) range: Range<usize>,
    pub(super) kind: &'static str,
    /// Which kind names the place when several overlap: the lowest.
    rank: u8,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    Line,
    /// The text that an encoded run stands for: not decoded again.
    Decoded,
    /// The bytes with their escape sequences: only tokens that are known by a prefix. A sequence that
    /// was cut off swallows the first letter of what follows it.
    Raw,
    /// Two lines put together: names and chance look too much alike there.
    Seam,
}

#[derive(Debug, Clone, Copy)]
enum Literal {
    Family(usize),
    Name,
    Url,
    EncodedUrl,
    Bearer,
    UserFlag,
    PrivateKey,
    Jwt,
    /// A piece of base64 and how many characters before it its quantum begins.
    Base64(usize),
}

/// The literals, and what each of them may begin.
struct Gate {
    literals: Literals,
    kinds: Vec<Literal>,
}

/// An Azure client secret: three characters and a digit stand before the mark.
const AZURE: &str = "Q~";

const NAMES: &[&str] = &[
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "accountkey",
    "_key",
    "-key",
    ".key",
    "auth",
    "credential",
    "signature",
    "sig=",
    "cookie",
    "_pat",
    "jwt",
    "signingkey",
    "encryptionkey",
    "apiKey",
];

static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let mut patterns: Vec<Vec<u8>> = Vec::new();
    let mut kinds = Vec::new();
    let mut add = |pattern: Vec<u8>, kind| {
        patterns.push(pattern);
        kinds.push(kind);
    };
    for (index, family) in FAMILIES.iter().enumerate() {
        if family.prefix == AZURE {
            // Too short to be looked for by itself; a digit stands before it.
            for digit in b'0'..=b'9' {
                add([&[digit], AZURE.as_bytes()].concat(), Literal::Family(index));
            }
        } else {
            add(family.prefix.into(), Literal::Family(index));
        }
    }
    for name in NAMES {
        add((*name).into(), Literal::Name);
    }
    let encoded = FAMILIES
        .iter()
        .filter(|family| family.prefix.len() >= 4 && !family.mixed)
        .map(|family| family.prefix);
    for prefix in encoded.chain(["-----BEGIN", "password", "secret", "token=", "Bearer "]) {
        for before in 0..3 {
            let piece = base64(prefix.as_bytes(), before);
            add(piece, Literal::Base64((before * 8).div_ceil(6)));
        }
    }
    add("://".into(), Literal::Url);
    add("%3A%2F%2F".into(), Literal::EncodedUrl);
    add("bearer ".into(), Literal::Bearer);
    add("-u ".into(), Literal::UserFlag);
    add("--user ".into(), Literal::UserFlag);
    add("--user=".into(), Literal::UserFlag);
    add("private key".into(), Literal::PrivateKey);
    add("private+key".into(), Literal::PrivateKey);
    add("private%20key".into(), Literal::PrivateKey);
    add("eyJ".into(), Literal::Jwt);
    debug_assert!(patterns.iter().all(|pattern| pattern.len() >= SHORTEST), "a literal is too short");
    Gate { literals: Literals::new(patterns), kinds }
});

/// What is found, sorted and without overlaps.
pub(super) fn detect(view: &View<'_>, known: Option<&Known>, scope: Scope) -> Vec<Span> {
    let mut spans = Vec::new();
    if let Some(known) = known {
        known.find(view, |range| spans.push(Span { range, kind: "known-secret", rank: 0 }));
    }
    literals(view, &GATE, scope, &mut spans);
    if scope != Scope::Raw {
        runs(view, scope, &mut spans);
    }
    merge(spans)
}

fn literals(view: &View<'_>, gate: &Gate, scope: Scope, spans: &mut Vec<Span>) {
    // Each of these keeps the work linear: what was read to its end is not read again.
    let (mut family_end, mut web_end, mut name_end, mut encoded_end, mut key_end) = (0, 0, 0, 0, 0);
    let mut run = 0..0;
    for Hit { literal, range: hit } in gate.literals.all(view.text()) {
        let Some(literal) = gate.kinds.get(literal) else { continue };
        if scope == Scope::Raw && !matches!(literal, Literal::Family(_)) {
            continue;
        }
        let mut add = |range: Range<usize>, kind, rank| spans.push(Span { range, kind, rank });
        match *literal {
            Literal::Family(index) if hit.start >= family_end => {
                let Some(family) = FAMILIES.get(index) else { continue };
                if let Some(range) = token(view, family, hit.end - family.prefix.len()..hit.end) {
                    family_end = range.end;
                    add(range, family.kind, 1);
                }
            }
            Literal::Jwt if hit.start >= web_end && view.slice(hit.clone()) == b"eyJ" => {
                let (end, is_token) = jwt(view, hit.start);
                web_end = end;
                if is_token {
                    add(hit.start..end, "jwt", 2);
                }
            }
            Literal::Url => {
                if let Some(range) = url_credentials(view, hit.end) {
                    add(range, "url-credentials", 3);
                }
            }
            Literal::PrivateKey if hit.start >= key_end => {
                if let Some(range) = private_key(view, hit) {
                    key_end = range.end;
                    add(range, "private-key", 1);
                }
            }
            Literal::Name if scope != Scope::Seam && hit.start >= name_end => {
                let named = named_value(view, hit);
                name_end = named.name_end;
                if let Some((range, kind)) = named.value {
                    name_end = name_end.max(range.end);
                    add(range, kind, 4);
                }
            }
            Literal::Bearer if scope != Scope::Seam && view.is_boundary(hit.start) => {
                if let Some(range) = header(view, hit.start)
                    .filter(|range| range.len() >= 12 && looks_random(view.slice(range.clone())))
                {
                    add(range, "authorization", 4);
                }
            }
            Literal::UserFlag
                if scope != Scope::Seam && matches!(view.before(hit.start), 0 | b' ' | b'\t') =>
            {
                if let Some(range) = user_flag(view, hit.end) {
                    add(range, "password", 4);
                }
            }
            Literal::Base64(lead) if scope != Scope::Decoded && hit.start >= encoded_end => {
                if hit.start >= run.end {
                    run = view.run_start(hit.start, REACH, is_base64)
                        ..view.run_end(hit.start, REACH, is_base64);
                }
                if is_encoded_secret(view, &run, hit.start.saturating_sub(lead)) {
                    encoded_end = run.end;
                    let end = view.run_end(run.end, 2, |byte| byte == b'=');
                    add(run.start..end, "encoded-secret", 2);
                }
            }
            Literal::EncodedUrl if scope == Scope::Line && hit.start >= encoded_end => {
                encoded_end = encoded_url(view, hit.start, &mut |range| add(range, "url-credentials", 3));
            }
            _ => {}
        }
    }
}

fn token(view: &View<'_>, family: &Family, hit: Range<usize>) -> Option<Range<usize>> {
    if view.slice(hit.clone()) != family.prefix.as_bytes() {
        return None;
    }
    let mut start = hit.start;
    if family.prefix == AZURE {
        start = start.checked_sub(4)?;
    } else if family.prefix.starts_with('.') {
        start = view.run_start(start, 64, |byte| Alphabet::Word.has(byte));
    }
    if family.bounded && !view.is_boundary(start) {
        return None;
    }
    let probe = view.slice(hit.end..view.run_end(hit.end, PROBE, |byte| family.alphabet.has(byte)));
    let is_mixed = !family.mixed
        || probe.iter().any(u8::is_ascii_digit)
            && (probe.len() >= 32 || probe.iter().any(u8::is_ascii_uppercase));
    if !is_mixed || probe.len() < family.least {
        return None;
    }
    let is_tilde = family.prefix == AZURE;
    let mut end = view.run_end(hit.end, REACH, |byte| family.alphabet.has(byte) || is_tilde && byte == b'~');
    if end - hit.end >= family.least {
        // A second token, or a longer form that is not known yet, may hang on to it.
        end = view.run_end(end, REACH, |byte| Alphabet::Word.has(byte));
    }
    while end > hit.end && matches!(view.before(end), b'.' | b',') {
        end -= 1;
    }
    (end - hit.end >= family.least).then_some(start..end)
}

/// Where a web token that begins at `start` ends, or where the run that is none does.
fn jwt(view: &View<'_>, start: usize) -> (usize, bool) {
    let word = |from| view.run_end(from, REACH, |byte| Alphabet::Word.has(byte));
    let head = word(start);
    if view.at(head) != b'.' || head - start < 12 {
        return (head, false);
    }
    let body = word(head + 1);
    if body - head < 10 {
        return (head, false);
    }
    let mut end = body;
    for _ in 0..3 {
        if view.at(end) == b'.' && Alphabet::Word.has(view.at(end + 1)) {
            end = word(end + 1);
        }
    }
    (end, true)
}

/// The password of `scheme://user:password@host`, or a token in the place of the user.
fn url_credentials(view: &View<'_>, begin: usize) -> Option<Range<usize>> {
    let end = view.run_end(begin, 2048, |byte| {
        byte > b' ' && !matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\')
    });
    let authority = view.slice(begin..end);
    let at = memchr::memrchr(b'@', authority)?;
    let user = authority.get(..at)?;
    let range = match memchr::memchr(b':', user) {
        Some(colon) => begin + colon + 1..begin + at,
        None if at >= 20 && looks_random(user) => begin..begin + at,
        None => return None,
    };
    let value = view.slice(range.clone());
    (!value.is_empty() && !is_placeholder(value) && !value.ends_with(b"]")).then_some(range)
}

fn encoded_url(view: &View<'_>, hit: usize, add: &mut dyn FnMut(Range<usize>)) -> usize {
    let end = view.run_end(hit, 2048, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'-' | b'_' | b'.' | b'~' | b'+' | b'*' | b'!')
    });
    let (mut text, mut map) = (Vec::new(), Vec::new());
    let mut index = hit;
    while index < end {
        let code = std::str::from_utf8(view.slice(index + 1..index + 3))
            .ok()
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        let (byte, length) = match (view.at(index), code) {
            (b'%', Some(byte)) => (byte, 3),
            (byte, _) => (byte, 1),
        };
        text.push(byte);
        map.push(index);
        index += length;
    }
    map.push(end);
    let place = |index: usize| map.get(index).copied().unwrap_or(end);
    if let Some(range) = url_credentials(&View::of(&text), 3) {
        add(place(range.start)..place(range.end));
    }
    end
}

/// `curl -u user:password`.
fn user_flag(view: &View<'_>, begin: usize) -> Option<Range<usize>> {
    let begin = view.run_end(begin, 4, |byte| matches!(byte, b' ' | b'"' | b'\''));
    let end = view.run_end(begin, 2048, |byte| byte > b' ' && !matches!(byte, b'"' | b'\''));
    let colon = memchr::memchr(b':', view.slice(begin..end))? + begin;
    let value = view.slice(colon + 1..end);
    // `docker run -u 1000:1000` and `-u root:root` name a group.
    let is_group =
        value.iter().all(u8::is_ascii_digit) || value.starts_with(b"//") || value == view.slice(begin..colon);
    let is_curl = ["curl", "wget", "http"].iter().any(|tool| {
        memchr::memmem::find(view.slice(begin.saturating_sub(400)..begin), tool.as_bytes()).is_some()
    });
    (colon > begin
        && !value.is_empty()
        && !is_group
        && !is_placeholder(value)
        && (is_curl || looks_random(value)))
    .then_some(colon + 1..end)
}

/// A key block from its BEGIN to its END, or to the end of the line.
fn private_key(view: &View<'_>, hit: Range<usize>) -> Option<Range<usize>> {
    let earlier = view.slice(hit.start.saturating_sub(48)..hit.start);
    let begin = hit.start - earlier.len() + memchr::memmem::rfind(earlier, b"BEGIN")?;
    let dash = |byte: u8| matches!(byte, b'-' | b' ' | b'+');
    let start = view.run_start(begin, 8, dash);
    let start = start + view.slice(start..begin).iter().position(|byte| *byte == b'-')?;
    let rest = view.slice(hit.end..view.len());
    let Some(at) = memchr::memmem::find(rest, b"-END ")
        .or_else(|| memchr::memmem::find(rest, b"- END "))
        .or_else(|| memchr::memmem::find(rest, b"-END+"))
    else {
        return Some(start..view.len());
    };
    let tail = hit.end + at + 5;
    let end = view.run_end(tail, 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'+'));
    Some(start..view.run_end(end, 8, |byte| byte == b'-'))
}

pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// Whether a secret is in what a run of base64 stands for, around the quantum at `quantum`.
fn is_encoded_secret(view: &View<'_>, run: &Range<usize>, quantum: usize) -> bool {
    // Only what is near the hit is decoded: a long run with many hits stays linear.
    let quanta = (quantum.saturating_sub(run.start) / 4).min(24);
    let from = quantum - quanta * 4;
    let decoded = decode(view.slice(from..run.end.min(quantum + 512)));
    !detect(&View::of(&decoded), None, Scope::Decoded).is_empty()
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut value) = (0, 0_u32);
    for &byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        value = (value << 6 | u32::from(six)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((value >> bits & 0xff).try_into().unwrap_or(0));
        }
    }
    out
}

/// Long runs of token bytes: formats without a prefix, and chance. Each run covers a multiple of
/// its least length, so only those places are looked at.
fn runs(view: &View<'_>, scope: Scope, spans: &mut Vec<Span>) {
    let word = |byte: u8| Alphabet::Word.has(byte);
    let mut at = RUN - 1;
    while at < view.len() {
        if !word(view.at(at)) {
            at += RUN;
            continue;
        }
        let start = view.run_start(at, REACH, word);
        let end = view.run_end(at, REACH, word);
        at = end.max(at) + RUN;
        if end - start < RUN {
            continue;
        }
        let run = view.slice(start..end);
        if let Some((range, kind)) = shaped(view, start, end) {
            spans.push(Span { range, kind, rank: 3 });
        } else if scope == Scope::Line
            && is_random(run)
            && !is_digest(view, start, end)
            && !(start..end).any(|index| view.gap_before(index) && index > start)
        {
            spans.push(Span { range: start..end, kind: "high-entropy", rank: 9 });
        }
    }
}

/// Tokens without a literal of their own.
fn shaped(view: &View<'_>, start: usize, end: usize) -> Option<(Range<usize>, &'static str)> {
    let run = view.slice(start..end);
    let is_hex = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if run.len() == 34 && run.starts_with(b"SK") && run.get(2..).is_some_and(is_hex) {
        return Some((start..end, "twilio-key"));
    }
    if run.len() == 35
        && run.starts_with(b"cio")
        && looks_random(run)
        && run.iter().any(u8::is_ascii_uppercase)
    {
        return Some((start..end, "crates-io-token"));
    }
    if run.len() == 46
        && run.starts_with(b"oy2")
        && run.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        return Some((start..end, "nuget-key"));
    }
    if (33..=37).contains(&run.len()) && view.before(start) == b':' {
        let digits = view.run_start(start - 1, 12, |byte| byte.is_ascii_digit());
        let count = start - 1 - digits;
        if (8..=12).contains(&count) && run.iter().any(u8::is_ascii_uppercase) {
            return Some((digits..end, "telegram-token"));
        }
    }
    let word = |byte: u8| Alphabet::Word.has(byte);
    if (23..=28).contains(&run.len())
        && matches!(run.first(), Some(b'M' | b'N' | b'O'))
        && view.at(end) == b'.'
    {
        let middle = view.run_end(end + 1, 16, word);
        let tail = view.run_end(middle + 1, 64, word);
        if middle - end == 7 && view.at(middle) == b'.' && tail - middle > 27 {
            return Some((start..tail, "discord-token"));
        }
    }
    if run.len() == 24
        && view.before(start) == b'.'
        && view.slice(start.saturating_sub(2)..start) == b"s."
        && view.is_boundary(start - 2)
        && is_random_enough(run, 3)
    {
        return Some((start - 2..end, "vault-token"));
    }
    None
}

fn is_random_enough(run: &[u8], digits: usize) -> bool {
    let count = |class: fn(&u8) -> bool| run.iter().filter(|byte| class(byte)).count();
    count(u8::is_ascii_digit) >= digits
        && count(u8::is_ascii_uppercase) >= 4
        && count(u8::is_ascii_lowercase) >= 4
}

/// Capitals, small letters and digits change places as often as chance would have it; names
/// in camel case, mangled symbols and digests do not.
fn is_random(run: &[u8]) -> bool {
    if !(32..=160).contains(&run.len())
        || !is_random_enough(run, 3)
        || run.starts_with(b"_Z")
        || run.starts_with(b"_R")
        || run.starts_with(b"ey")
    {
        return false;
    }
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let punctuation = run.iter().filter(|byte| class(**byte) == 3).count();
    let changes =
        run.windows(2).filter(|pair| matches!(pair, [left, right] if class(*left) != class(*right))).count();
    let mut seen = [false; 128];
    run.iter().for_each(|byte| {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    });
    let distinct = seen.iter().filter(|seen| **seen).count();
    punctuation * 12 <= run.len() && changes * 100 >= run.len() * 48 && distinct >= 18
}

/// A checksum, a path, base64 of something larger, or an integrity value.
fn is_digest(view: &View<'_>, start: usize, end: usize) -> bool {
    let wide = |byte: u8| is_base64(byte) || matches!(byte, b'=' | b'%' | b'.' | b'$' | b'@');
    let left = view.run_start(start, 512, wide);
    let right = view.run_end(end, 512, wide);
    if left != start || right != end {
        return true;
    }
    let before = view.slice(start.saturating_sub(10)..start);
    ["h1:", "sha1:", "sha256:", "sha384:", "sha512:", "SHA256:", "base64,", "md5:"]
        .iter()
        .any(|mark| before.ends_with(mark.as_bytes()))
}

fn merge(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.range.start, span.rank));
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans.into_iter().filter(|span| !span.range.is_empty()) {
        match merged.last_mut() {
            Some(last) if span.range.start < last.range.end => {
                last.range.end = last.range.end.max(span.range.end);
                if span.rank < last.rank {
                    (last.rank, last.kind) = (span.rank, span.kind);
                }
            }
            _ => merged.push(span),
        }
    }
    merged
}

/// Whether a text has anything that a secret may begin with.
pub(super) fn has_literal(text: &[u8]) -> bool {
    GATE.literals.is_match(text)
}
