//! The report as SARIF 2.1.0, for code scanning and editors.

use serde_json::{Map, Value, json};

use super::human::{printable, word};
use crate::report::{Category, EvidenceRole, Location, Report, Severity, Status};

/// Where the lines of the log are said to stand: SARIF needs a name for the file.
const LOG: &str = "job.log";
/// Places in the source that become locations of the result.
const PLACES: usize = 10;

impl Report {
    /// The report as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), indented.
    ///
    /// It has one result when a cause was found and none otherwise. The result stands at the places
    /// in the source that failed; where the log names none, at the line of the log, as `job.log`.
    /// The lines that prove it are related locations. The level follows the severity.
    pub fn to_sarif(&self) -> String {
        let evidence = self.evidence.first().filter(|_| self.status == Status::CauseFound);
        let results: Vec<Value> = evidence.iter().map(|evidence| self.result(&evidence.rule)).collect();
        let rules: Vec<Value> = evidence
            .iter()
            .map(|evidence| {
                json!({
                    "id": evidence.rule,
                    "shortDescription": { "text": sentence(&word(&self.category)) },
                    "help": { "text": text_or(&self.fix_suggestion, "Look at the lines of the log.") },
                })
            })
            .collect();
        let notes: Vec<Value> = self
            .notes
            .iter()
            .chain(Some(&self.missing_context_hint).filter(|hint| !hint.is_empty()))
            .map(|note| json!({ "level": "note", "message": { "text": printable(note) } }))
            .collect();
        let log = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "Forge RCA",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                } },
                "columnKind": "unicodeCodePoints",
                "invocations": [{
                    "executionSuccessful": !matches!(self.status, Status::NotALog),
                    "toolExecutionNotifications": notes,
                }],
                "results": results,
            }],
        });
        let mut text = serde_json::to_string_pretty(&log).unwrap_or_default();
        text.push('\n');
        text
    }

    fn result(&self, rule: &str) -> Value {
        let mut message = printable(&self.root_cause);
        for part in [&self.explanation, &self.fix_suggestion] {
            if !part.is_empty() {
                message = format!("{message}\n{}", printable(part));
            }
        }
        let tests = self.failing.tests.iter().filter_map(|test| {
            Some(Location {
                path: test.file.clone()?,
                line: test.line,
                column: None,
                message: test.message.clone().unwrap_or_default(),
            })
        });
        let mut places: Vec<Location> = Vec::new();
        for place in self.failing.locations.iter().cloned().chain(tests) {
            if !place.path.is_empty() && !places.contains(&place) && places.len() < PLACES {
                places.push(place);
            }
        }
        let related: Vec<Value> = self
            .evidence
            .iter()
            .filter(|evidence| evidence.role != EvidenceRole::Consequence)
            .enumerate()
            .map(|(index, evidence)| {
                let snippet: Vec<String> = evidence.excerpt.iter().map(|line| printable(line)).collect();
                json!({
                    "id": index,
                    "message": { "text": text_or(&printable(&evidence.step), "log") },
                    "physicalLocation": {
                        "artifactLocation": { "uri": LOG },
                        "region": {
                            "startLine": evidence.start_line.max(1),
                            "endLine": evidence.end_line.max(1),
                            "snippet": { "text": snippet.join("\n") },
                        },
                    },
                })
            })
            .collect();
        let mut locations: Vec<Value> = places.iter().map(location).collect();
        if locations.is_empty() {
            locations.extend(self.evidence.first().map(|evidence| {
                json!({ "physicalLocation": {
                    "artifactLocation": { "uri": LOG },
                    "region": { "startLine": evidence.focus_line.max(1) },
                } })
            }));
        }
        json!({
            "ruleId": rule,
            "ruleIndex": 0,
            "level": match self.severity {
                Severity::High => "error",
                Severity::Medium => "warning",
                Severity::Low => "note",
            },
            "message": { "text": message },
            "locations": locations,
            "relatedLocations": related,
            "partialFingerprints": { "forgeRca/v1": self.fingerprint },
            "properties": {
                "category": word(&self.category),
                "confidence": self.confidence,
                "tags": tags(self.category),
            },
        })
    }
}

fn tags(category: Category) -> [String; 2] {
    [word(&category.domain()), word(&category)]
}

fn location(place: &Location) -> Value {
    let mut region = Map::new();
    if let Some(line) = place.line.filter(|line| *line > 0) {
        region.insert("startLine".to_owned(), json!(line));
        if let Some(column) = place.column.filter(|column| *column > 0) {
            region.insert("startColumn".to_owned(), json!(column));
        }
    }
    let mut physical = Map::new();
    physical.insert("artifactLocation".to_owned(), json!({ "uri": uri(&place.path) }));
    if !region.is_empty() {
        physical.insert("region".to_owned(), region.into());
    }
    let mut location = Map::new();
    location.insert("physicalLocation".to_owned(), physical.into());
    if !place.message.is_empty() {
        location.insert("message".to_owned(), json!({ "text": printable(&place.message) }));
    }
    location.into()
}

/// A path as a relative reference: every byte that could be a scheme, an authority, a query or
/// white space is encoded.
pub(super) fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut out = String::with_capacity(path.len());
    for byte in path.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn text_or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + characters.as_str() + "."
}
