//! The log of a job, read again at the forge, open at the lines that matter.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    routing::get,
};
use rca_engine::{Report, StepStatus};
use rca_flow::logs::{HeldLog, LogState};
use url::form_urlencoded;

use super::{
    Page, html,
    rows::{Part, parts, word},
};
use crate::{
    Dashboard,
    frame::{Frame, Nav},
    session::Viewer,
};

/// Lines of one part of the page.
const CHUNK: u64 = 500;
/// Lines before the ones that are asked for.
const BEFORE: u64 = 40;
/// How long a page waits for a log before it shows how far it is.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Found lines that are listed.
const MOST_HITS: usize = 500;
const MOST_STEPS: usize = 500;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/analyses/{id}/log", get(show))
}

#[derive(Template)]
#[template(path = "report/log.html")]
struct LogPage {
    f: Frame,
    id: String,
    title: String,
    job: String,
    /// What there is to say about the log: a key of the messages, and a value in it.
    notice: Option<(&'static str, String)>,
    /// Bytes so far, while it is being read.
    reading: Option<String>,
    is_here: bool,
    lines_total: u64,
    chunk: Chunk,
    steps: Vec<Step>,
    query: String,
    wrap: bool,
    wrap_href: String,
    /// This page, while the log is being read.
    again: String,
    hits: Option<Hits>,
    evidence: Vec<Mark>,
}

/// Lines that follow each other, with gaps where only the evidence is known.
#[derive(Default)]
struct Chunk {
    above: Option<More>,
    below: Option<More>,
    lines: Vec<Line>,
}

struct More {
    from: u64,
    to: u64,
    href: String,
    part: String,
}

struct Line {
    number: u64,
    class: &'static str,
    /// Lines before it are not there.
    is_after_gap: bool,
    parts: Vec<Part>,
}

struct Step {
    name: String,
    class: &'static str,
    status: String,
    seconds: String,
    href: String,
    is_here: bool,
}

struct Hits {
    count: u64,
    /// The place of the shown one among all, from 1.
    at: usize,
    previous: Option<String>,
    next: Option<String>,
}

struct Mark {
    start: u64,
    end: u64,
    href: String,
}

/// What the address asks for.
struct Wanted {
    from: Option<u64>,
    lines: Option<(u64, u64)>,
    query: String,
    wrap: bool,
    part: String,
}

impl Wanted {
    fn of(query: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| query.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
        let lines = text("lines");
        let (start, end) = lines.split_once('-').unwrap_or((lines.as_str(), lines.as_str()));
        let range = start.parse::<u64>().ok().zip(end.parse::<u64>().ok());
        let cut: String = text("q").chars().take(200).collect();
        Self {
            from: text("from").parse().ok().map(|from: u64| from.max(1)),
            lines: range.map(|(start, end)| (start.min(end).max(1), end.max(start).max(1))),
            query: cut,
            wrap: text("wrap") == "1",
            part: text("part"),
        }
    }

    /// The page with lines wrapped, or not any more.
    fn wrapped_otherwise(&self, id: &str, selected: &str) -> String {
        let other = Self { wrap: !self.wrap, part: String::new(), query: self.query.clone(), ..*self };
        let from = self.from.map(|from| from.to_string());
        let mut pairs = Vec::new();
        if !selected.is_empty() {
            pairs.push(("lines", selected));
        }
        if let Some(from) = &from {
            pairs.push(("from", from.as_str()));
        }
        other.address(id, &pairs)
    }

    fn address(&self, id: &str, pairs: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        if !self.query.is_empty() {
            query.append_pair("q", &self.query);
        }
        if self.wrap {
            query.append_pair("wrap", "1");
        }
        format!("/analyses/{id}/log?{}", query.finish())
    }
}

async fn show(
    State(state): State<Dashboard>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Page {
    let caller = viewer.caller();
    let analysis = state.flow.get_analysis(&caller, &id).await?;
    let f = Frame::inside(&state, &viewer, Nav::Failures).await?;
    let wanted = Wanted::of(&query);
    let report = analysis.report.as_ref();
    let opened = match &analysis.integration_id {
        Some(_) => state.flow.open_log(&caller, &id, PATIENCE).await?,
        None => LogState::Failed(rca_flow::FlowError::not_found("log")),
    };
    let focus = report.and_then(|report| report.evidence.first()).map(|evidence| evidence.focus_line);
    let selected = wanted.lines;
    let (mut notice, mut reading, mut chunk, mut hits, mut is_here) =
        (None, None, Chunk::default(), None, false);
    let mut lines_total = report.map_or(0, |report| report.log.lines);
    match opened {
        LogState::Ready(log) => {
            is_here = true;
            let is_other = report.is_some_and(|report| report.log.sha256 != log.sha256);
            if log.is_truncated {
                notice = Some(("log.truncated", f.number(log.lines)));
            } else if is_other {
                let known = report.map_or(0, |report| report.log.lines);
                notice =
                    Some(("log.changed", f.t2("log.changed_lines", f.number(known), f.number(log.lines))));
            }
            lines_total = log.lines;
            let mut at = selected.map(|(start, _)| start);
            if !wanted.query.is_empty() {
                let found = log.find(&wanted.query, MOST_HITS).await?;
                // Where nothing is chosen the first found line is.
                at = at.or_else(|| found.lines.first().copied());
                hits = Some(hits_of(&id, &wanted, &found.lines, found.count, at));
            }
            let around = at.or(focus).unwrap_or(1).saturating_sub(BEFORE);
            let from = wanted.from.unwrap_or(around).clamp(1, log.lines.max(1));
            chunk = read(&log, &id, &wanted, from, report).await?;
        }
        LogState::Reading(bytes) => {
            reading = Some(f.number(bytes / 1024));
            chunk.lines = known_lines(report, selected);
        }
        LogState::Failed(error) => {
            notice = Some(if analysis.integration_id.is_none() {
                ("log.not_kept", String::new())
            } else {
                ("log.gone", f.said(&error.message).into_owned())
            });
            chunk.lines = known_lines(report, selected);
        }
    }
    let first = chunk.lines.first().map_or(0, |line| line.number);
    let steps = report.map(|report| steps(&f, &id, &wanted, report, first)).unwrap_or_default();
    let selected = selected.map_or_else(String::new, |(start, end)| {
        if end > start { format!("{start}-{end}") } else { start.to_string() }
    });
    html(&LogPage {
        wrap_href: wanted.wrapped_otherwise(&id, &selected),
        again: wanted.address(&id, &[("lines", &selected)]),
        title: f.t1("log.title", analysis.job_name.as_deref().unwrap_or(&analysis.job_id)),
        job: analysis.repository.clone(),
        evidence: report.map(|report| marks(&id, &wanted, report)).unwrap_or_default(),
        query: wanted.query.clone(),
        wrap: wanted.wrap,
        f,
        id,
        notice,
        reading,
        is_here,
        lines_total,
        chunk,
        steps,
        hits,
    })
}

async fn read(
    log: &Arc<HeldLog>,
    id: &str,
    wanted: &Wanted,
    from: u64,
    report: Option<&Report>,
) -> Result<Chunk, crate::error::PageError> {
    let to = (from + CHUNK - 1).min(log.lines);
    let (from, to) = match wanted.part.as_str() {
        // The part above ends where the page begins, and may be short.
        "above" => (from, to.min(wanted.lines.map_or(to, |(_, end)| end))),
        _ => (from, to),
    };
    let texts = log.read(from, to).await?;
    let marks = Marks::of(report);
    let lines = texts
        .iter()
        .zip(from..)
        .map(|(text, number)| Line {
            number,
            class: class(number, &marks, wanted.lines.filter(|_| wanted.part.is_empty())),
            is_after_gap: false,
            parts: marked(parts(text), &wanted.query),
        })
        .collect();
    let more = |from: u64, to: u64, part: &str| {
        let (first, range) = (from.to_string(), format!("{from}-{to}"));
        let asked: &[(&str, &str)] = &[("from", &first), ("lines", &range), ("part", part)];
        More {
            from,
            to,
            href: wanted.address(id, asked.get(..1).unwrap_or_default()),
            part: wanted.address(id, asked),
        }
    };
    let above = (from > 1 && wanted.part != "below")
        .then(|| more(from.saturating_sub(CHUNK).max(1), from - 1, "above"));
    let below = (to < log.lines && wanted.part != "above")
        .then(|| more(to + 1, (to + CHUNK).min(log.lines), "below"));
    Ok(Chunk { above, below, lines })
}

/// Where the log cannot be had: the lines that the report holds.
fn known_lines(report: Option<&Report>, selected: Option<(u64, u64)>) -> Vec<Line> {
    let Some(report) = report else { return Vec::new() };
    let marks = Marks::of(Some(report));
    let mut known: BTreeMap<u64, &str> = BTreeMap::new();
    for evidence in &report.evidence {
        for (line, number) in evidence.excerpt.iter().zip(evidence.start_line..) {
            known.entry(number).or_insert(line);
        }
    }
    let mut before = 0;
    known
        .into_iter()
        .map(|(number, text)| {
            let is_after_gap = number > before + 1;
            before = number;
            Line { number, class: class(number, &marks, selected), is_after_gap, parts: parts(text) }
        })
        .collect()
}

/// The lines that the report speaks of.
struct Marks {
    focus: BTreeSet<u64>,
    evidence: Vec<(u64, u64)>,
}

impl Marks {
    fn of(report: Option<&Report>) -> Self {
        let evidence = report.map(|report| report.evidence.as_slice()).unwrap_or_default();
        Self {
            focus: evidence.iter().map(|evidence| evidence.focus_line).collect(),
            evidence: evidence.iter().map(|evidence| (evidence.start_line, evidence.end_line)).collect(),
        }
    }
}

fn class(number: u64, marks: &Marks, selected: Option<(u64, u64)>) -> &'static str {
    let within = |(start, end): &(u64, u64)| *start <= number && number <= *end;
    let is_selected = selected.as_ref().is_some_and(within);
    let is_focus = marks.focus.contains(&number);
    let is_evidence = marks.evidence.iter().any(within);
    match (is_selected, is_focus, is_evidence) {
        (true, true, _) => " selected cited focus",
        (true, false, true) => " selected cited",
        (true, false, false) => " selected",
        (false, true, _) => " cited focus",
        (false, false, true) => " cited",
        (false, false, false) => "",
    }
}

fn marks(id: &str, wanted: &Wanted, report: &Report) -> Vec<Mark> {
    let mark = |start: u64, end: u64| {
        let range = format!("{start}-{end}");
        Mark { start, end, href: format!("{}#L{start}", wanted.address(id, &[("lines", &range)])) }
    };
    report.evidence.iter().map(|evidence| mark(evidence.start_line, evidence.end_line)).collect()
}

fn steps(f: &Frame, id: &str, wanted: &Wanted, report: &Report, first: u64) -> Vec<Step> {
    let class = |status| match status {
        StepStatus::Failed => "red",
        StepStatus::Passed => "green",
        _ => "grey",
    };
    report
        .steps
        .iter()
        .take(MOST_STEPS)
        .map(|step| Step {
            name: step.name.clone(),
            class: class(step.status),
            status: f.word("step", &word(&step.status)),
            seconds: step
                .seconds
                .map(|seconds| f.seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
                .unwrap_or_default(),
            href: format!(
                "{}#L{}",
                wanted.address(id, &[("lines", &step.start_line.to_string())]),
                step.start_line
            ),
            is_here: step.start_line <= first && first <= step.end_line,
        })
        .collect()
}

fn hits_of(id: &str, wanted: &Wanted, lines: &[u64], count: u64, at: Option<u64>) -> Hits {
    let at = at.unwrap_or(0);
    let link = |line: u64| {
        let line = line.to_string();
        format!("{}#L{line}", wanted.address(id, &[("lines", &line)]))
    };
    Hits {
        count,
        at: lines.iter().position(|line| *line == at).map_or(0, |index| index + 1),
        previous: lines.iter().rev().find(|line| **line < at).map(|line| link(*line)),
        next: lines.iter().find(|line| **line > at).map(|line| link(*line)),
    }
}

/// Marks what was searched for, without regard to capitals where that keeps the letters' places.
fn marked(parts: Vec<Part>, query: &str) -> Vec<Part> {
    if query.is_empty() {
        return parts;
    }
    let wanted = query.to_lowercase();
    let mut shown = Vec::new();
    for part in parts {
        let lower = part.text.to_lowercase();
        if part.is_redacted || lower.len() != part.text.len() {
            shown.push(part);
            continue;
        }
        let mut at = 0;
        for (start, found) in lower.match_indices(&wanted) {
            push(&mut shown, part.text.get(at..start), false);
            push(&mut shown, part.text.get(start..start + found.len()), true);
            at = start + found.len();
        }
        push(&mut shown, part.text.get(at..), false);
    }
    shown
}

fn push(parts: &mut Vec<Part>, text: Option<&str>, is_hit: bool) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        parts.push(Part { text: text.to_owned(), is_redacted: false, is_hit });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_searched_for_is_marked() {
        let shown: Vec<_> = marked(parts("An error, no Error"), "error")
            .into_iter()
            .map(|part| (part.text, part.is_hit))
            .collect();
        let expected = [("An ", false), ("error", true), (", no ", false), ("Error", true)];
        assert_eq!(shown, expected.map(|(text, is_hit)| (text.to_owned(), is_hit)));
    }

    #[test]
    fn ranges_are_read_whatever_they_hold() {
        let lines = |text: &str| Wanted::of(&BTreeMap::from([("lines".to_owned(), text.to_owned())])).lines;
        assert_eq!(lines("3-7"), Some((3, 7)));
        assert_eq!(lines("7-3"), Some((3, 7)));
        assert_eq!(lines("5"), Some((5, 5)));
        assert_eq!(lines("0-0"), Some((1, 1)));
        for none in ["", "a", "3-b", "-1", "99999999999999999999"] {
            assert_eq!(lines(none), None, "{none}");
        }
    }
}
