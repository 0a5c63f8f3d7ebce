//! The report for a terminal.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::report::{Evidence, Report, Status};

/// How the text for a terminal looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HumanOptions {
    /// Use colours, and make places links where `path` is absolute.
    pub color: bool,
    /// Columns of the terminal; longer log lines are cut. 0 means no limit.
    pub width: usize,
    /// The file the log came from, shown before line numbers.
    pub path: Option<String>,
}

impl Default for HumanOptions {
    fn default() -> Self {
        Self { color: false, width: 100, path: None }
    }
}

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[1;31m";
const DIM: &str = "\u{1b}[2m";
const RESET: &str = "\u{1b}[0m";

impl Report {
    /// The report as text for a terminal: cause, evidence with line numbers, advice.
    ///
    /// Nothing of the log can act on the terminal: its control characters are gone.
    pub fn to_human(&self, options: HumanOptions) -> String {
        let paint = |style: &'static str| if options.color { style } else { "" };
        let (bold, red, dim, reset) = (paint(BOLD), paint(RED), paint(DIM), paint(RESET));
        let mut out = String::new();
        let path = options.path.as_deref().map(printable).unwrap_or_default();
        let _ = match self.status {
            Status::CauseFound => {
                writeln!(out, "{red}{}{reset}", cut(&printable(&self.root_cause), options.width))
            }
            Status::NoCauseFound => {
                writeln!(out, "{bold}no cause found{reset}: {}", printable(&self.missing_context_hint))
            }
            Status::NotALog => {
                writeln!(out, "{bold}not a log{reset}: {}", printable(&self.missing_context_hint))
            }
            Status::NotFailed => writeln!(out, "nothing in this log says that the job failed"),
        };
        if self.status == Status::CauseFound {
            let _ = writeln!(
                out,
                "{dim}{} · {} · confidence {:.0} %{reset}",
                word(&self.category),
                word(&self.domain),
                self.confidence * 100.0
            );
        }
        for evidence in &self.evidence {
            out.push('\n');
            let step = if evidence.step.is_empty() {
                String::new()
            } else {
                format!(" in {}", printable(&evidence.step))
            };
            let place = if path.is_empty() {
                format!("line {}", evidence.focus_line)
            } else {
                format!("{path}:{}", evidence.focus_line)
            };
            let step = cut(&step, options.width.saturating_sub(place.width()));
            let place = linked(place, &options);
            let _ = writeln!(out, "{bold}{place}{reset}{dim}{step}{reset}");
            lines(evidence, &options, &mut out);
        }
        if !self.explanation.is_empty() || !self.fix_suggestion.is_empty() {
            let _ = writeln!(out, "\n{} {}", printable(&self.explanation), printable(&self.fix_suggestion));
        }
        for note in &self.notes {
            let _ = writeln!(out, "{dim}note: {}{reset}", printable(note));
        }
        out
    }
}

/// The place as a link (OSC 8) to the file we were given. Nothing that stands in a log becomes one.
fn linked(place: String, options: &HumanOptions) -> String {
    match options.path.as_deref().filter(|path| options.color && path.starts_with('/')) {
        Some(path) => {
            format!("\u{1b}]8;;file:///{}\u{1b}\\{place}\u{1b}]8;;\u{1b}\\", super::sarif::uri(path))
        }
        None => place,
    }
}

fn lines(evidence: &Evidence, options: &HumanOptions, out: &mut String) {
    let digits = evidence.end_line.to_string().len();
    for (number, text) in (evidence.start_line..).zip(&evidence.excerpt) {
        let mark = if number == evidence.focus_line { '>' } else { ' ' };
        let text = cut(&printable(text), options.width.saturating_sub(digits + 5));
        let line = format!("{mark} {number:digits$} | {text}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// The text without anything a terminal acts on or that hides text.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => out.push_str("    "),
            // Direction overrides, zero-width and tag characters change what is read.
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => {
                let _ = write!(out, "<U+{:04X}>", u32::from(character));
            }
            '\u{2028}' | '\u{2029}' => out.push(' '),
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

/// The name of a value as it stands in JSON, with spaces.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text.replace('_', " "),
        _ => String::new(),
    }
}

/// The text cut to so many columns of a terminal; wide characters take two.
fn cut(text: &str, width: usize) -> String {
    if width == 0 || text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut short = String::new();
    for character in text.chars() {
        let columns = character.width().unwrap_or(0);
        if columns > left {
            break;
        }
        left -= columns;
        short.push(character);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn text_is_cut_by_columns() {
        for (text, width, shown) in [
            ("drawer", 6, "drawer"),
            ("drawers", 6, "drawe…"),
            ("引き出し", 8, "引き出し"),
            ("引き出し", 7, "引き出…"),
            ("引き出し", 6, "引き…"),
            ("e\u{301}e\u{301}e\u{301}", 3, "e\u{301}e\u{301}e\u{301}"),
            ("any", 0, "any"),
        ] {
            assert_eq!(cut(text, width), shown);
        }
    }
}
