//! Analyses as rows of a list, and log lines as they are shown: the same on every page.

use std::collections::BTreeMap;

use rca_engine::Status;
use rca_flow::types::AnalysisView;

use crate::frame::Frame;

/// Words that the API has for a value, such as `test_failure`.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// One analysis in a list.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    /// The class of the badge, and its word.
    pub(crate) badge: &'static str,
    pub(crate) category: String,
    pub(crate) cause: String,
    pub(crate) repository: String,
    /// The pull request, else the branch.
    pub(crate) place: String,
    pub(crate) job: String,
    /// Further jobs of the run that fail by the same cause, and are in the list as this row.
    pub(crate) more_jobs: usize,
    /// Per cent.
    pub(crate) sure: Option<i64>,
    pub(crate) whose: String,
    pub(crate) created_at: String,
}

impl Row {
    pub(crate) fn of(f: &Frame, analysis: &AnalysisView) -> Self {
        let report = analysis.report.as_ref();
        let cause = match report {
            Some(report) if report.status == Status::CauseFound => report.root_cause.clone(),
            Some(report) => f.word("report_status", &word(&report.status)),
            None => f.word("report_state", &analysis.state),
        };
        let place = match (&analysis.pr, &analysis.branch) {
            (Some(pr), _) => f.t1("report.pull", pr),
            (None, Some(branch)) => branch.clone(),
            (None, None) => String::new(),
        };
        let found = report.filter(|report| report.status == Status::CauseFound);
        Self {
            id: analysis.id.clone(),
            badge: badge(analysis),
            category: match found {
                Some(report) => f.word("category", &word(&report.category)),
                None => f.word("report_badge", &state_word(analysis)),
            },
            cause,
            repository: analysis.repository.clone(),
            place,
            more_jobs: 0,
            job: analysis.job_name.clone().unwrap_or_else(|| analysis.job_id.clone()),
            sure: found.map(|report| percent(report.confidence)),
            whose: match analysis.introduced_by.verdict.as_str() {
                "unknown" => String::new(),
                verdict => f.word("whose_short", verdict),
            },
            created_at: analysis.created_at.clone(),
        }
    }
}

/// The rows of a list, where the jobs of a run that fail by one cause are one row: a broken matrix is one failure.
pub(crate) fn rows(f: &Frame, analyses: &[AnalysisView]) -> Vec<Row> {
    let mut known = BTreeMap::new();
    let mut rows: Vec<Row> = Vec::new();
    for analysis in analyses {
        if let (Some(integration), Some(cluster)) = (&analysis.integration_id, &analysis.cluster_id) {
            let run = (integration, &analysis.repository, &analysis.run_id, analysis.attempt, cluster);
            if let Some(first) = known.get(&run).and_then(|at: &usize| rows.get_mut(*at)) {
                first.more_jobs += 1;
                continue;
            }
            known.insert(run, rows.len());
        }
        rows.push(Row::of(f, analysis));
    }
    rows
}

/// The state, or where there is a report what kind of answer it is.
pub(crate) fn state_word(analysis: &AnalysisView) -> String {
    analysis.report.as_ref().map_or_else(|| analysis.state.clone(), |report| word(&report.status))
}

/// Red is a failure that we explain, amber one that needs a person, blue what is under way, grey what is no failure.
pub(crate) fn badge(analysis: &AnalysisView) -> &'static str {
    match state_word(analysis).as_str() {
        "cause_found" => "red",
        "no_cause_found" | "failed" | "no_log" | "not_a_log" => "amber",
        "queued" | "running" => "blue",
        _ => "grey",
    }
}

pub(crate) fn percent(share: f64) -> i64 {
    (share.clamp(0.0, 1.0) * 100.0).round() as i64
}

/// A piece of a log line: text, or what stands where a secret was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) is_redacted: bool,
    pub(crate) is_hit: bool,
}

/// Splits a redacted line at the marks that the redactor left.
pub(crate) fn parts(line: &str) -> Vec<Part> {
    const MARK: &str = "[REDACTED:";
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(MARK) {
        let Some((kind, tail)) = after.split_once(']') else { break };
        let is_kind = !kind.is_empty() && kind.len() <= 60 && !kind.contains(char::is_whitespace);
        if !is_kind {
            break;
        }
        push(&mut parts, before);
        parts.push(Part { text: kind.replace('-', " "), is_redacted: true, is_hit: false });
        rest = tail;
    }
    push(&mut parts, rest);
    parts
}

fn push(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part { text: text.to_owned(), is_redacted: false, is_hit: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redacted_parts_are_told_from_text() {
        let shown: Vec<_> = parts("a [REDACTED:github-token] b [REDACTED:x y] [REDACTED:")
            .into_iter()
            .map(|part| (part.text, part.is_redacted))
            .collect();
        assert_eq!(
            shown,
            [
                ("a ".to_owned(), false),
                ("github token".to_owned(), true),
                (" b [REDACTED:x y] [REDACTED:".to_owned(), false)
            ]
        );
        assert!(parts("").is_empty());
    }
}
