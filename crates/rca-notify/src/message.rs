use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// Whether a message is bad news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// Something fails.
    Bad,
    /// Something works again.
    Good,
    /// Neither.
    Neutral,
}

impl Tone {
    /// A word, because colour and symbols alone say nothing to everybody.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bad => "failed",
            Self::Good => "fixed",
            Self::Neutral => "note",
        }
    }

    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Bad => "\u{1f534}",
            Self::Good => "\u{1f7e2}",
            Self::Neutral => "\u{1f535}",
        }
    }
}

/// One line of a log, already without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcerptLine {
    /// Its number in the raw log, from 1.
    pub number: u64,
    /// Its text.
    pub text: String,
    /// Whether it is the line that matters.
    pub is_focus: bool,
}

/// A link that we built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it is called.
    pub label: String,
    /// Where it leads.
    pub url: Url,
}

/// What is to be said. All texts are plain, whoever wrote them; channels make them inert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Names the message; the same message sent again has the same key. Letters, digits, `-`, `_` and `.`.
    pub key: String,
    /// Good or bad.
    pub tone: Tone,
    /// One line.
    pub title: String,
    /// Label and value, e.g. `branch`, `main`.
    pub facts: Vec<(String, String)>,
    /// Paragraphs.
    pub text: Vec<String>,
    /// Lines of the log that prove it.
    pub excerpt: Vec<ExcerptLine>,
    /// Links that we built.
    pub links: Vec<Link>,
    /// What it is, for webhooks: `analysis.failed`, `cluster.fixed`, `incident.opened`, ...
    pub event: String,
    /// The facts for programs, which webhooks send.
    pub data: Value,
}

impl Message {
    /// A message of one line.
    #[must_use]
    pub fn new(key: impl Into<String>, tone: Tone, title: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            tone,
            title: title.into(),
            facts: Vec::new(),
            text: Vec::new(),
            excerpt: Vec::new(),
            links: Vec::new(),
            event: "message".to_owned(),
            data: Value::Null,
        }
    }
}

/// One line without hidden characters, cut.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    forge_core::text::cut(&forge_core::text::visible(&joined), limit)
}

/// The excerpt as text with line numbers, in at most `limit` characters; whole lines only.
pub(crate) fn excerpt(lines: &[ExcerptLine], limit: usize) -> String {
    let width = lines.iter().map(|line| line.number).max().unwrap_or(0).to_string().len();
    let mut block = String::new();
    let mut length = 0;
    for (index, line) in lines.iter().enumerate() {
        let mark = if line.is_focus { '>' } else { ' ' };
        let text = forge_core::text::cut(&forge_core::text::visible(&line.text), 300);
        let shown = format!("{mark}{:>width$} | {text}", line.number);
        let size = shown.chars().count() + 1;
        if length + size > limit {
            let left = lines.len() - index;
            if !block.is_empty() {
                block.push('\n');
            }
            block.push_str(&format!("… {left} more lines"));
            return block;
        }
        if !block.is_empty() {
            block.push('\n');
        }
        length += size;
        block.push_str(&shown);
    }
    block
}
