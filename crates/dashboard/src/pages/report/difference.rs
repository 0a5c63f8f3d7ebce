//! What an analysis that was made again says otherwise than the one before.

use rca_flow::{
    rerun::LastRerun,
    types::{EvidencePlace, ReportChange},
};
use serde_json::Value;

use super::view::log_href;
use crate::{frame::Frame, pages::rows::percent};

/// Fields that a reader understands, the most telling first. The others follow by their names.
const KNOWN: [&str; 9] = [
    "status",
    "root_cause",
    "category",
    "severity",
    "confidence",
    "fix_suggestion",
    "explanation",
    "retry_likely_helps",
    "needs_more_context",
];
/// What only says again that something else changed.
const NOISE: [&str; 3] = ["fingerprint", "template", "schema"];

pub(super) struct Difference {
    pub(super) at: String,
    pub(super) is_same: bool,
    pub(super) rows: Vec<Changed>,
    /// Fields that only the machine reads, by their paths.
    pub(super) others: Vec<Changed>,
    pub(super) added: Vec<Place>,
    pub(super) removed: Vec<Place>,
}

pub(super) struct Changed {
    pub(super) name: String,
    pub(super) before: String,
    pub(super) after: String,
}

pub(super) struct Place {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) rule: String,
    pub(super) href: String,
}

impl Difference {
    /// The evidence that came and went, each under the key of its heading.
    pub(super) fn places(&self) -> Vec<(&'static str, &[Place])> {
        vec![("rerun.added", self.added.as_slice()), ("rerun.removed", self.removed.as_slice())]
    }

    pub(super) fn of(f: &Frame, id: &str, last: &LastRerun) -> Self {
        let changed = |change: &ReportChange| Changed {
            name: f.word("report_field", &change.field),
            before: shown(f, &change.field, &change.before),
            after: shown(f, &change.field, &change.after),
        };
        let is_known = |change: &&ReportChange| KNOWN.contains(&change.field.as_str());
        let mut known: Vec<&ReportChange> = last.changes.iter().filter(is_known).collect();
        known.sort_by_key(|change| KNOWN.iter().position(|field| *field == change.field));
        let others = last.changes.iter().filter(|change| !is_known(change));
        let place = |place: &EvidencePlace| Place {
            start: place.start_line,
            end: place.end_line,
            rule: place.rule.clone(),
            href: log_href(id, place.start_line, place.end_line),
        };
        Self {
            at: last.at.clone(),
            is_same: last.is_same(),
            rows: known.into_iter().map(changed).collect(),
            others: others.filter(|it| !NOISE.contains(&it.field.as_str())).map(changed).collect(),
            added: last.evidence_added.iter().map(place).collect(),
            removed: last.evidence_removed.iter().map(place).collect(),
        }
    }
}

/// A value in the words that the report itself has for it.
fn shown(f: &Frame, field: &str, value: &Value) -> String {
    match (field, value) {
        (_, Value::Null) => String::new(),
        ("confidence", Value::Number(share)) => format!("{} %", percent(share.as_f64().unwrap_or(0.0))),
        ("category" | "severity", Value::String(word)) => f.word(field, word),
        ("status", Value::String(word)) => f.word("report_badge", word),
        ("retry_likely_helps", Value::String(word)) => f.word("report", &format!("retry_{word}")),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}
