//! Foreign text in Markdown: shown, never obeyed.
//!
//! Log lines, job names and branch names are written by whoever may push. None of them may become a mention, a
//! reference that closes an issue, a quick action, a link, an image, HTML, or the end of a code block. Two forms are
//! safe on every forge: a fenced block whose lines carry a number in front, and prose in which each character that
//! could begin markup is defused.

use std::fmt::Write;

pub use forge_core::text::{cut, visible};

/// Invisible break that stops forges from recognising a reference: a backslash does not, because GitHub and GitLab
/// look for references in the rendered text.
const BREAK: char = '\u{200b}';

/// One line of prose made of foreign text.
///
/// Line ends become spaces. The result is never empty of meaning for Markdown's sake: it can stand in a paragraph, a
/// list item or a heading.
#[must_use]
pub fn prose(text: &str) -> String {
    let joined = text.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let shown = visible(&joined.join(" "));
    let mut safe = String::with_capacity(shown.len() + 16);
    let mut hex_run = 0_usize;
    for character in shown.chars() {
        // Forges link abbreviated commit ids; a break inside the run stops that.
        if character.is_ascii_hexdigit() {
            hex_run += 1;
            if hex_run.is_multiple_of(7) {
                safe.push(BREAK);
            }
        } else {
            hex_run = 0;
        }
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // A quick action of GitLab is a line that begins with a slash; a paragraph may begin with this text.
            '/' if safe.is_empty() => safe.push_str("\\/"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '-' | '|' | '=' => {
                safe.push('\\');
                safe.push(character);
            }
            // Mentions, issues, merge requests, milestones, labels, snippets, vulnerabilities, alerts, emoji, schemes.
            '@' | '#' | '!' | '%' | '~' | '$' | '^' | ':' => {
                safe.push('\\');
                safe.push(character);
                safe.push(BREAK);
            }
            // `www.host` and `a@b.c` are linked without a scheme.
            '.' => {
                safe.push('.');
                if safe.ends_with("www.") || safe.ends_with("WWW.") {
                    safe.push(BREAK);
                }
            }
            _ => safe.push(character),
        }
    }
    if shown.contains('&') {
        // An epic of GitLab is `&1`; the entity is decoded before references are looked for.
        safe = safe.replace("&amp;", "&amp;\u{200b}");
    }
    safe
}

/// A code span of foreign text: neither references nor markup are looked for in it.
#[must_use]
pub fn code(text: &str) -> String {
    let joined = text.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let shown = visible(&joined.join(" "));
    if shown.trim().is_empty() {
        return "\u{2014}".to_owned();
    }
    let ticks = "`".repeat(longest_run(&shown) + 1);
    // The inner spaces are dropped by Markdown; they keep a leading or trailing backtick apart from the delimiter.
    if shown.starts_with('`') || shown.ends_with('`') || ticks.len() > 1 {
        format!("{ticks} {shown} {ticks}")
    } else {
        format!("{ticks}{shown}{ticks}")
    }
}

/// A fenced block of numbered lines, the line `focus` marked.
///
/// The fence is longer than any run of backticks inside; the number in front keeps every line from beginning with a
/// slash, a fence or markup even where a renderer goes wrong.
#[must_use]
pub fn numbered_block(lines: &[String], first_line: u64, focus: u64) -> String {
    let shown: Vec<String> = lines.iter().map(|line| cut(&visible(line), 400)).collect();
    let longest = shown.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let last = first_line.saturating_add((shown.len() as u64).saturating_sub(1));
    let width = last.to_string().len();
    let mut block = format!("{fence}text\n");
    for (number, line) in (first_line..).zip(&shown) {
        let mark = if number == focus { '>' } else { ' ' };
        let _ = writeln!(block, "{mark}{number:>width$} | {line}");
    }
    block.push_str(&fence);
    block.push('\n');
    block
}

/// A link that we built ourselves, to an http(s) address; plain text when `url` is anything else.
#[must_use]
pub fn link(text: &str, url: Option<&str>) -> String {
    let label = prose(text);
    let Some(url) = url.and_then(|url| url::Url::parse(url).ok()) else { return label };
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return label;
    }
    // A parsed URL has no spaces or control characters; these few could still end the link.
    let target = url.as_str().replace('(', "%28").replace(')', "%29").replace('<', "%3C").replace('>', "%3E");
    let target = target.replace('\\', "%5C").replace('`', "%60").replace('|', "%7C").replace('"', "%22");
    format!("[{label}](<{target}>)")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}
