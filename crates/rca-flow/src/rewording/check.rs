//! Whether a model's answer may stand in a report.

use forge_core::text::visible;
use rca_engine::Report;
use serde::Deserialize;

use super::{lines, redact};

/// The longest of the two texts, in characters.
const MOST_CHARS: usize = 600;
/// Words that look like names and are none.
const PLAIN: [&str; 5] = ["and/or", "e.g", "i.e", "CI/CD", "I/O"];

/// What takes the place of the engine's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Words {
    pub(super) explanation: String,
    pub(super) fix_suggestion: String,
}

/// The words of an answer.
///
/// # Errors
/// Why they cannot stand in the report.
pub(super) fn check(answer: &str, report: &Report) -> Result<Words, String> {
    let words: Words = object_in(answer)
        .and_then(|object| serde_json::from_str(object).ok())
        .ok_or_else(|| "its answer is not the object that was asked for".to_owned())?;
    let sources = Sources::of(report);
    Ok(Words {
        explanation: sources.check(&words.explanation)?,
        fix_suggestion: sources.check(&words.fix_suggestion)?,
    })
}

/// The object in an answer that may have a fence or a sentence around it.
fn object_in(answer: &str) -> Option<&str> {
    answer.get(answer.find('{')?..=answer.rfind('}')?)
}

struct Sources {
    /// Lines of the log, spaces made one.
    lines: Vec<String>,
    /// What the engine says itself.
    own: String,
}

impl Sources {
    fn of(report: &Report) -> Self {
        let own = [&report.root_cause, &report.explanation, &report.fix_suggestion];
        Self {
            lines: lines(report).map(one_space).collect(),
            own: one_space(&own.map(String::as_str).join(" ")),
        }
    }

    fn holds(&self, text: &str) -> bool {
        self.own.contains(text) || self.lines.iter().any(|line| line.contains(text))
    }

    fn check(&self, text: &str) -> Result<String, String> {
        let text = one_space(text);
        if text.is_empty() {
            return Err("a text is empty".to_owned());
        }
        if text.chars().count() > MOST_CHARS {
            return Err(format!("a text is longer than {MOST_CHARS} characters"));
        }
        if visible(&text) != text {
            return Err("a text holds hidden characters".to_owned());
        }
        if redact(&text).1 > 0 {
            return Err("a text holds what looks like a secret".to_owned());
        }
        let quotes = quotes(&text).ok_or_else(|| "a quote has no end".to_owned())?;
        if quotes.iter().any(|quote| !self.holds(quote)) {
            return Err("it quotes what does not stand in the log".to_owned());
        }
        for word in text.split(' ').map(bare).filter(|word| !PLAIN.contains(word)) {
            // A stranger's line may hold them; that is no reason to say them to people as our own words.
            if (is_address(word) || word.contains('@')) && !self.own.contains(word) {
                return Err("it holds an address or a mention".to_owned());
            }
            if is_name(word) && !self.holds(word) {
                return Err("it names what does not stand in the log".to_owned());
            }
        }
        Ok(text)
    }
}

fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A word without the marks around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|mark: char| "`'\"“”‘’«»()[]{}<>.,;:!?…*".contains(mark))
}

fn is_address(word: &str) -> bool {
    word.contains("://") || word.starts_with("www.")
}

/// Numbers, paths, identifiers, versions, files: what a reader takes for a fact of the log.
fn is_name(word: &str) -> bool {
    word.contains("::") || word.contains(['/', '\\', '_', '.']) || word.chars().any(|it| it.is_ascii_digit())
}

/// What stands between quotation marks; `None` when one has no end.
fn quotes(text: &str) -> Option<Vec<String>> {
    let marks: Vec<char> = text.chars().collect();
    let mut quotes = Vec::new();
    let mut at = 0;
    while let Some(&open) = marks.get(at) {
        let before = at.checked_sub(1).and_then(|at| marks.get(at));
        let close = match open {
            '`' | '"' => open,
            '“' => '”',
            '‘' => '’',
            '«' => '»',
            // Else it is an apostrophe.
            '\'' if !before.is_some_and(|before| before.is_alphanumeric()) => '\'',
            _ => {
                at += 1;
                continue;
            }
        };
        // One mark or three are the same.
        let begin = at + marks.iter().skip(at).take_while(|mark| **mark == open).count();
        let is_close = |at: usize| {
            let next = marks.get(at + 1);
            marks.get(at) == Some(&close)
                && (close != '\'' || !next.is_some_and(|next| next.is_alphanumeric()))
        };
        let end = match (begin..marks.len()).find(|at| is_close(*at)) {
            Some(end) => end,
            None if open == '\'' => {
                at = begin;
                continue;
            }
            // Two marks without anything between them.
            None if begin - at == 2 && open == close => begin,
            None => return None,
        };
        let quote: String = marks.iter().skip(begin).take(end - begin).collect();
        let quote = one_space(quote.trim_end_matches(['.', ',', ';', ':', '!', '?', '…']));
        if !quote.is_empty() {
            quotes.push(quote);
        }
        at = end + marks.iter().skip(end).take_while(|mark| **mark == close).count().max(1);
    }
    Some(quotes)
}

#[cfg(test)]
mod tests {
    use super::quotes;

    #[test]
    fn quotes_are_found_and_apostrophes_are_none() {
        let of = |text: &str| quotes(text).map(|found| found.join("|"));
        assert_eq!(of("it doesn't say `a b`, \"c.\" or 'd'").as_deref(), Some("a b|c|d"));
        assert_eq!(of("the tests' end, “x” and «y» ```z```").as_deref(), Some("x|y|z"));
        assert_eq!(of("`one").as_deref(), None);
        assert_eq!(of("``").as_deref(), Some(""));
        assert_eq!(of("").as_deref(), Some(""));
    }
}
