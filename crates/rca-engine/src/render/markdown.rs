//! The report as Markdown.

use std::fmt::Write as _;

use super::human::{printable, word};
use crate::report::{Report, Status};

impl Report {
    /// The report as Markdown that says the same at every forge.
    ///
    /// Text of the log is shown only inside fences longer than any run of backticks in it, and other
    /// text that came from the log as code, so that it can neither mention people, nor link, nor run
    /// a forge's quick actions.
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        let _ = match self.status {
            Status::CauseFound => writeln!(
                out,
                "**{}** {}\n\n{}",
                capital(&word(&self.category)),
                code(&self.root_cause),
                [inert(&self.explanation), inert(&self.fix_suggestion)].join(" ").trim()
            ),
            Status::NoCauseFound => {
                writeln!(out, "**No cause found.** {}", code(&self.missing_context_hint))
            }
            Status::NotALog => writeln!(out, "**Not a log.** {}", code(&self.missing_context_hint)),
            Status::NotFailed => writeln!(out, "Nothing in this log says that the job failed."),
        };
        for evidence in &self.evidence {
            let range = if evidence.start_line == evidence.end_line {
                format!("Line {}", evidence.start_line)
            } else {
                format!("Lines {}-{}", evidence.start_line, evidence.end_line)
            };
            let step = if evidence.step.is_empty() {
                String::new()
            } else {
                format!(" in {}", code(&evidence.step))
            };
            let text: Vec<String> = evidence.excerpt.iter().map(|line| printable(line)).collect();
            let text = text.join("\n");
            let fence = "`".repeat(longest_run(&text).max(2) + 1);
            let _ = writeln!(out, "\n{range}{step}:\n\n{fence}text\n{text}\n{fence}");
        }
        if !self.failing.tests.is_empty() {
            out.push_str("\nFailing tests:\n\n");
            for test in self.failing.tests.iter().take(10) {
                let _ = writeln!(out, "- {}", code(&test.name));
            }
            let more = self.failing.tests.len().saturating_sub(10);
            if more > 0 {
                let _ = writeln!(out, "- and {more} more");
            }
        }
        out
    }
}

/// Prose that a user's rule may have brought along: no markup, no mention, no reference, no link,
/// and no quick action. Some forges decode entities before they look for mentions, and a backslash
/// does not stop all of them, so an invisible break stands behind the sign.
fn inert(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    let text = text.trim().replace("://", ":\u{2060}//");
    for (index, character) in text.chars().enumerate() {
        match character {
            '@' | '#' | '!' | '~' | '$' => {
                out.push(character);
                out.push('\u{2060}');
            }
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' => {
                out.push('\\');
                out.push(character);
            }
            '/' | '-' | '+' | '>' | '=' if index == 0 => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

/// Text as inline code, whatever it contains.
fn code(text: &str) -> String {
    let text = printable(text);
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(text) + 1);
    format!("{fence} {text} {fence}")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + characters.as_str() + ":"
}
