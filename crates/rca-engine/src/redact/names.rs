//! Values that are secret by the name in front of them: `password=`, `"secret": "..."`,
//! `--token x`, `API_KEY=...`, headers.

use std::ops::Range;

use super::view::View;

/// How far a name reaches to each side of the word that gave it away.
const NAME: usize = 96;
/// What is read of a value before it is known to be one; then it is followed to its end.
const VALUE: usize = 1024;
/// How far a value is followed.
const REACH: usize = 2 * super::lines::WINDOW;

/// Where the name around a word of the gate ends, and the secret value behind it.
pub(super) struct Named {
    pub(super) name_end: usize,
    pub(super) value: Option<(Range<usize>, &'static str)>,
}

/// Looks at the name around `hit`.
pub(super) fn named_value(view: &View<'_>, hit: Range<usize>) -> Named {
    let start = view.run_start(hit.start, NAME, is_name);
    let end = view.run_end(view.run_end(hit.start, hit.len(), is_name), NAME, is_name);
    if view.slice(start.saturating_sub(10)..start) == b"[REDACTED:" {
        return Named { name_end: end, value: None };
    }
    // A task of Gradle: `:credentials:compileJava`.
    if view.before(start) == b':' && view.at(end) == b':' {
        return Named { name_end: end, value: None };
    }
    // Most of what is named so has no value behind it, which is cheaper to see than what the name means.
    let name = start..end;
    let value = lead_of(view, &name).and_then(|lead| {
        let kind = kind_of(view.slice(name.clone()))?;
        value_of(view, name, kind, lead)
    });
    Named { name_end: end, value }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// What a name promises, or nothing when it is not the name of a secret.
fn kind_of(name: &[u8]) -> Option<&'static str> {
    let name = name.strip_prefix(b"--").unwrap_or(name);
    let mut words = words(name);
    while let Some(last) = words.last() {
        let is_qualifier = last.bytes().all(|byte| byte.is_ascii_digit())
            || [
                "value",
                "string",
                "raw",
                "base64",
                "b64",
                "prod",
                "production",
                "staging",
                "dev",
                "test",
                "ci",
                "old",
                "new",
                "default",
                "plain",
                "text",
                "data",
                "env",
            ]
            .contains(&last.as_str());
        if words.len() < 2 || !is_qualifier {
            break;
        }
        words.pop();
    }
    let last = words.last()?.as_str();
    let earlier = words.len().checked_sub(2).and_then(|index| words.get(index)).map_or("", String::as_str);
    let ends = |endings: &[&str]| endings.iter().any(|ending| last.ends_with(ending));
    if earlier == "key" && last == "token" || matches!(earlier, "no" | "max" | "min" | "num") {
        return None;
    }
    if ends(&["authorization"]) {
        Some("authorization")
    } else if last == "pass" || ends(&["password", "passwd", "passphrase", "pwd", "userpass", "dbpass"]) {
        Some("password")
    } else if ends(&[
        "apikey",
        "accesskey",
        "secretkey",
        "privatekey",
        "accountkey",
        "signingkey",
        "encryptionkey",
    ]) {
        Some("api-key")
    } else if ends(&["secret", "secrets", "credential", "credentials"]) {
        Some("secret")
    } else if ends(&["token", "jwt"]) || last == "pat" {
        Some("token")
    } else if last == "key"
        && [
            "api",
            "secret",
            "private",
            "access",
            "encryption",
            "master",
            "signing",
            "account",
            "storage",
            "license",
            "service",
            "deploy",
            "app",
            "admin",
            "auth",
            "session",
            "jwt",
            "hmac",
            "webhook",
            "integration",
            "ssh",
        ]
        .contains(&earlier)
    {
        Some("api-key")
    } else if last == "auth" && (words.len() == 1 || earlier == "basic") {
        Some("auth")
    } else if ends(&["signature"]) || last == "sig" {
        Some("signature")
    } else if last == "cookie" {
        Some("cookie")
    } else {
        None
    }
}

/// The words of a name in lower case: parted by punctuation and by capitals.
fn words(name: &[u8]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = 0_u8;
    let mut is_open = false;
    for &byte in name {
        if !byte.is_ascii_alphanumeric() {
            is_open = false;
        } else {
            let is_camel = byte.is_ascii_uppercase() && previous.is_ascii_lowercase();
            match words.last_mut() {
                Some(word) if is_open && !is_camel => word.push(byte.to_ascii_lowercase().into()),
                _ => words.push(char::from(byte.to_ascii_lowercase()).into()),
            }
            is_open = true;
        }
        previous = byte;
    }
    words
}

/// What stands between a name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// `name=value`.
    Equals,
    /// `name = value`.
    SpacedEquals,
    /// `name: value`.
    Colon,
    /// `--name value`, a `.netrc` and SQL.
    Space,
    /// `<name>value</name>`.
    Element,
}

/// What leads from a name to its value.
struct Lead {
    separator: Separator,
    /// Where the value begins.
    begin: usize,
    is_flag: bool,
    is_quoted_name: bool,
    /// Only passwords are written so, as in SQL: `PASSWORD 'x'`.
    is_password_only: bool,
}

fn lead_of(view: &View<'_>, name: &Range<usize>) -> Option<Lead> {
    let is_flag = view.at(name.start) == b'-' && view.at(name.start + 1) == b'-';
    let mut at = name.end;
    let mut is_quoted_name = false;
    while matches!(view.at(at), b'"' | b'\'' | b'\\' | b']' | b'`') && at < name.end + 4 {
        is_quoted_name |= view.at(at) != b']';
        at += 1;
    }
    let spaces = |at: usize| view.run_end(at, 32, |byte| matches!(byte, b' ' | b'\t'));
    let sign = spaces(at);
    let mut is_password_only = false;
    let (separator, begin) = if view.at(sign) == b'=' && matches!(view.at(sign + 1), b'=' | b'~') {
        return None;
    } else if view.at(sign) == b'=' || matches!(view.slice(sign..sign + 2), b":=" | b"?=") {
        let after = sign + 1 + usize::from(view.at(sign) != b'=') + usize::from(view.at(sign + 1) == b'>');
        let begin = spaces(after);
        (if begin == name.end + 1 { Separator::Equals } else { Separator::SpacedEquals }, begin)
    } else if view.at(sign) == b':' {
        if view.at(sign + 1) == b':' || view.slice(sign..sign + 3) == b"://" {
            return None;
        }
        (Separator::Colon, spaces(sign + 1))
    } else if view.slice(at..at + 3).eq_ignore_ascii_case(b"%3d") {
        (Separator::Equals, at + 3)
    } else if view.slice(at..at + 3).eq_ignore_ascii_case(b"%3a") {
        (Separator::Colon, at + 3)
    } else if view.slice(at..at + 6).eq_ignore_ascii_case(b"\\u003d")
        || view.slice(name.end..name.end + 6).eq_ignore_ascii_case(b"\\u003d")
    {
        (Separator::Equals, name.end + 6)
    } else if view.at(at) == b'>' && view.before(name.start) == b'<' {
        (Separator::Element, at + 1)
    } else if sign > at {
        is_password_only = !is_flag && !is_netrc(view, name);
        if is_password_only && view.at(sign) != b'\'' {
            return None;
        }
        (Separator::Space, sign)
    } else {
        return None;
    };
    Some(Lead { separator, begin, is_flag, is_quoted_name, is_password_only })
}

fn value_of(
    view: &View<'_>,
    name: Range<usize>,
    kind: &'static str,
    lead: Lead,
) -> Option<(Range<usize>, &'static str)> {
    let Lead { separator, begin, is_flag, is_quoted_name, is_password_only } = lead;
    if is_password_only && kind != "password" {
        return None;
    }
    match kind {
        "authorization" => return header(view, begin).map(|range| (range, kind)),
        "cookie" => {
            let end = view.run_end(begin, VALUE, |byte| !matches!(byte, b'"' | b'\'' | b'\n'));
            let value = view.slice(begin..end);
            let is_cookie = separator == Separator::Colon && value.contains(&b'=') && !is_placeholder(value);
            return is_cookie
                .then(|| (begin..view.run_end(end, REACH, |byte| !matches!(byte, b'"' | b'\'')), kind));
        }
        _ => {}
    }
    let begin =
        if view.at(begin) == b'[' && matches!(view.at(begin + 1), b'"' | b'\'') { begin + 1 } else { begin };
    let (range, is_quoted) = bounds(view, begin, separator)?;
    let value = view.slice(range.clone());
    if value.is_empty() || is_placeholder(value) || is_stop_word(value) {
        return None;
    }
    // Prose that quotes an option or a sentence behind the word, the end of `echo "TOKEN=" >> file`,
    // and a macro that Rust code names its tokens by.
    let is_prose_quote =
        separator == Separator::Space && !is_flag && (value.starts_with(b"-") || value.contains(&b' '));
    let is_next_string = is_quoted && value.starts_with(b" ");
    if is_prose_quote || is_next_string || value.starts_with(b"Token![") {
        return None;
    }
    let shape = Shape {
        separator,
        is_quoted,
        is_prose: !is_quoted_name && is_prose_before(view, name.start),
        has_more: has_more(view, range.end),
        is_capital_name: !view.slice(name.clone()).iter().any(u8::is_ascii_lowercase),
    };
    let is_long = !is_quoted && range.len() >= VALUE;
    is_secret(value, view.slice(name), kind, shape).then(|| {
        let end = if is_long {
            view.run_end(range.end, REACH, |byte| {
                !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'`' | b'<')
            })
        } else {
            range.end
        };
        (range.start..end, if kind == "auth" { "authorization" } else { kind })
    })
}

struct Shape {
    separator: Separator,
    is_quoted: bool,
    is_prose: bool,
    has_more: bool,
    is_capital_name: bool,
}

/// Whether the value is one, and not prose or source code that speaks of one.
fn is_secret(value: &[u8], name: &[u8], kind: &'static str, shape: Shape) -> bool {
    let is_number = {
        let digits = value
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b':'))
            .count();
        digits > 0
            && value.len() - digits <= 3
            && value.iter().skip(digits).all(|byte| byte.is_ascii_alphabetic() || *byte == b'%')
            && value.len() < 12
    };
    if is_number && (kind != "password" || name.eq_ignore_ascii_case(b"pass")) {
        return false;
    }
    if (kind != "password" || name.ends_with(b"wd") || name.ends_with(b"WD")) && is_location(value) {
        return false;
    }
    if matches!(kind, "signature" | "auth")
        && (value.len() < 8
            || kind == "signature" && (value.len() < 16 || shape.separator != Separator::Equals)
            || !looks_random(value))
    {
        return false;
    }
    // A test that passed, as Go writes it: `--- PASS: TestName (0.02s)`.
    if name.trim_ascii_start().strip_prefix(b"--").unwrap_or(name).eq_ignore_ascii_case(b"pass")
        && !shape.is_quoted
        && !matches!(shape.separator, Separator::Equals | Separator::Element)
    {
        return false;
    }
    if name.eq_ignore_ascii_case(value) {
        return false;
    }
    if shape.is_quoted {
        // Code names a secret more often than it holds one: `data["token"] = "token"` is a name.
        return !(value.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b' ')
            && value.contains(&b' ')
            && !matches!(kind, "password" | "secret"));
    }
    let is_identifier =
        value.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | b'-'));
    match shape.separator {
        Separator::Element => true,
        Separator::Equals if shape.is_capital_name => true,
        Separator::Equals => {
            !(is_code(value) || is_identifier && value.contains(&b'.') && speaks_of_secret(value))
        }
        Separator::SpacedEquals | Separator::Colon => {
            if is_code(value) || is_identifier && (speaks_of_secret(value) || value.contains(&b'.')) {
                return false;
            }
            if shape.is_prose || shape.has_more {
                looks_random(value)
            } else {
                !is_identifier || kind == "password" || value.len() >= 16 || shape.is_capital_name
            }
        }
        Separator::Space => {
            looks_random(value)
                || !shape.has_more && is_identifier && value.iter().any(u8::is_ascii_lowercase)
        }
    }
}

/// Digits and letters together, as a word of a sentence seldom has them.
pub(super) fn looks_random(value: &[u8]) -> bool {
    value.len() >= 5
        && value.iter().any(u8::is_ascii_alphabetic)
        && value.iter().any(|byte| {
            byte.is_ascii_digit() || matches!(byte, b'!' | b'#' | b'$' | b'@' | b'^' | b'&' | b'*')
        })
        && !is_code(value)
}

fn speaks_of_secret(value: &[u8]) -> bool {
    let value = value.to_ascii_lowercase();
    ["token", "pass", "secret", "key", "auth", "pwd", "credential", "cookie"]
        .iter()
        .any(|word| memchr::memmem::find(&value, word.as_bytes()).is_some())
}

fn is_code(value: &[u8]) -> bool {
    value.contains(&b'(')
        || memchr::memmem::find(value, b"::").is_some()
        || memchr::memmem::find(value, b"->").is_some()
        || matches!(value.first(), Some(b'&' | b'{' | b'['))
}

fn is_location(value: &[u8]) -> bool {
    value.starts_with(b"/")
        || value.starts_with(b"./")
        || value.starts_with(b"../")
        || value.starts_with(b"~/")
        || value.starts_with(b"http://")
        || value.starts_with(b"https://")
        || value.starts_with(b"file:")
        || value.get(1..3) == Some(b":\\")
}

/// A word of a sentence stands right before the name.
fn is_prose_before(view: &View<'_>, start: usize) -> bool {
    let at = view.run_start(start, 8, |byte| byte == b' ');
    let before = view.before(at);
    at < start && before.is_ascii_alphabetic() || matches!(view.before(start), b'/' | b'@')
}

/// More words of the same sentence follow the value.
fn has_more(view: &View<'_>, end: usize) -> bool {
    let next = view.run_end(end, 8, |byte| byte == b' ');
    next > end && view.at(next).is_ascii_lowercase()
}

fn is_netrc(view: &View<'_>, name: &Range<usize>) -> bool {
    let line = view.slice(name.start.saturating_sub(300)..name.start);
    view.slice(name.clone()) == b"password"
        && (memchr::memmem::find(line, b"login ").is_some()
            || memchr::memmem::find(line, b"machine ").is_some())
}

/// The value that begins at `begin`, without its quotes, and whether it had some.
fn bounds(view: &View<'_>, begin: usize, separator: Separator) -> Option<(Range<usize>, bool)> {
    let escaped = view.at(begin) == b'\\' && matches!(view.at(begin + 1), b'"' | b'\'');
    let open = begin + usize::from(escaped);
    let quote = view.at(open);
    if matches!(quote, b'"' | b'\'' | b'`') {
        let start = open + 1;
        let mut end = start;
        let limit = view.len().min(start + REACH);
        while end < limit && view.at(end) != quote {
            end += if !escaped && view.at(end) == b'\\' { 2 } else { 1 };
        }
        let mut end = end.min(limit);
        if escaped && view.at(end.saturating_sub(1)) == b'\\' {
            end -= 1;
        }
        return (start <= end).then_some((start..end, true));
    }
    let mut end = view.run_end(begin, VALUE, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'`' | b'<')
    });
    for index in begin..end {
        let rest = view.slice(index + 1..(index + 40).min(end));
        let is_next_pair = || {
            let name = rest.iter().take_while(|byte| is_name(**byte)).count();
            name > 0 && matches!(rest.get(name), Some(b'=' | b':'))
        };
        let is_end = match view.at(index) {
            b'&' => is_next_pair() || rest.starts_with(b"amp;"),
            b';' | b',' => rest.is_empty() || is_next_pair(),
            b'\\' => matches!(rest.first(), Some(b'n' | b'r' | b't')) || rest.is_empty(),
            b'%' => rest.get(..2).is_some_and(|code| code.eq_ignore_ascii_case(b"26")),
            b')' | b'}' | b']' => {
                rest.iter().all(|byte| matches!(byte, b')' | b'}' | b']' | b',' | b';' | b'.'))
                    && !view.slice(begin..index).contains(&b'(')
            }
            _ => false,
        };
        // A mask or a placeholder may hold a bracket; it is judged as a whole.
        if is_end
            && !view.slice(begin..index).starts_with(b"[")
            && !view.slice(begin..index).starts_with(b"$")
        {
            end = index;
            break;
        }
    }
    (separator != Separator::Space || view.at(begin) != b'-').then_some((begin..end, false))
}

/// The credential of an authorization header: the scheme stays.
pub(super) fn header(view: &View<'_>, begin: usize) -> Option<Range<usize>> {
    let begin = view.run_end(begin, 4, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b' ' | b'['));
    if view.slice(begin.saturating_sub(1)..begin + 8) == b"[REDACTED" {
        return None;
    }
    let scheme = view.run_end(begin, 24, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_scheme = [
        "bearer",
        "basic",
        "token",
        "digest",
        "negotiate",
        "apikey",
        "key",
        "ntlm",
        "aws4-hmac-sha256",
        "flyv1",
        "private-token",
    ]
    .iter()
    .any(|known| view.slice(begin..scheme).eq_ignore_ascii_case(known.as_bytes()));
    let start = if is_scheme { view.run_end(scheme, 8, |byte| byte == b' ') } else { begin };
    // These two carry a list of parts.
    let is_list = view.slice(begin..scheme).eq_ignore_ascii_case(b"digest")
        || view.slice(begin..scheme).starts_with(b"AWS4");
    let end = if !is_list {
        view.run_end(start, REACH, |byte| {
            !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'\\' | b'`' | b'<' | b'>')
        })
    } else {
        view.run_end(start, REACH, |byte| !matches!(byte, b'"' | b'\'' | b'\\'))
    };
    let value = view.slice(start..end);
    let is_value = value.len() >= 4
        && !is_placeholder(value)
        && (is_scheme && !is_stop_word(value) || looks_random(value) && !value.contains(&b' '));
    is_value.then_some(start..end)
}

/// A mask of a CI system, a variable that is not expanded, or an example.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    const MARKS: [&[u8]; 22] = [
        b"***",
        b"[MASKED]",
        b"[REDACTED",
        b"[secure]",
        b"[FILTERED]",
        b"[hidden]",
        b"<",
        b"${",
        b"$(",
        b"{{",
        b"%(",
        b"%{",
        b"#{",
        b"(redacted",
        b"(sensitive",
        b"(hidden",
        b"process.env",
        b"os.environ",
        b"os.getenv",
        b"env.",
        b"secrets.",
        b"$env:",
    ];
    if MARKS.iter().any(|mark| {
        value.len() >= mark.len()
            && value.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark))
    }) {
        return true;
    }
    let is_variable =
        |name: &[u8]| !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    if value.strip_prefix(b"$").is_some_and(is_variable)
        || value.strip_prefix(b"%").is_some_and(|rest| is_variable(rest.strip_suffix(b"%").unwrap_or(rest)))
    {
        return true;
    }
    if value
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .is_some_and(|name| name.is_empty() || is_variable(name))
        || value == b"{"
        || value == b"["
        || value == b"..."
    {
        return true;
    }
    value.first().is_some_and(|first| {
        matches!(first, b'*' | b'x' | b'X' | b'.' | b'-' | b'_' | b'#' | b'?')
            && value.iter().all(|byte| byte == first)
    })
}

fn is_stop_word(value: &[u8]) -> bool {
    const WORDS: &[&str] = &[
        "true",
        "false",
        "null",
        "none",
        "nil",
        "yes",
        "no",
        "on",
        "off",
        "undefined",
        "empty",
        "required",
        "invalid",
        "incorrect",
        "missing",
        "expired",
        "wrong",
        "not",
        "is",
        "are",
        "was",
        "must",
        "the",
        "a",
        "an",
        "to",
        "for",
        "and",
        "or",
        "of",
        "in",
        "with",
        "has",
        "cannot",
        "failed",
        "unset",
        "set",
        "string",
        "str",
        "&str",
        "bytes",
        "number",
        "int",
        "integer",
        "bool",
        "boolean",
        "any",
        "object",
        "optional",
        "unknown",
        "value",
        "flag",
        "option",
        "argument",
        "stringarray",
        "amd64",
        "arm64",
        "i386",
        "secret",
        "token",
        "basic",
        "bearer",
        "ok",
        "error",
        "denied",
        "write",
        "read",
        "inherit",
        "auto",
        "default",
        "type",
        "unauthorized",
        "forbidden",
        "|",
        ">",
        "|-",
        ">-",
        "=",
        "+",
        "eof",
        "return",
        "await",
        "new",
    ];
    let value = value
        .strip_suffix(b".")
        .or_else(|| value.strip_suffix(b","))
        .or_else(|| value.strip_suffix(b";"))
        .unwrap_or(value);
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}
