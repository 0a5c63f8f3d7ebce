//! The living comment: what we say at the forge about the failed jobs of one pull request or commit.

use std::fmt::Write;

use forge_core::ForgeKind;
use rca_engine::Report;
use sha2::{Digest, Sha256};

use crate::{
    markdown::{code, cut, link, numbered_block, prose},
    rewording::is_reworded,
    types::IntroducedBy,
};

/// How many runs are named; the others are counted.
const NAMED_RUNS: usize = 5;

/// A failed job as the comment shows it.
#[derive(Debug, Clone)]
pub struct FailedJob {
    /// The analysis: names the page that shows all of it.
    pub analysis_id: String,
    /// The job's name.
    pub name: String,
    /// Where a person looks at the job.
    pub url: Option<String>,
    /// The job's attempt.
    pub attempt: u32,
    /// What the engine says; `None` when there is no log or the analysis is not done.
    pub report: Option<Report>,
    /// Why there is no report, e.g. `the log has expired`.
    pub missing: Option<String>,
    /// Whose failure it is.
    pub introduced_by: Option<IntroducedBy>,
    /// What is remembered of the same failure.
    pub memory: Option<Memory>,
}

/// A failure that was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// How often, this time included.
    pub count: u64,
    /// In how many repositories.
    pub repositories: usize,
    /// The day of the first time, e.g. `2026-11-17`.
    pub since: String,
    /// The commit that fixed it last.
    pub last_fix: Option<String>,
}

/// A run as the comment names it.
#[derive(Debug, Clone)]
pub struct ShownRun {
    /// Its number or id.
    pub number: String,
    /// Workflow or pipeline name.
    pub name: Option<String>,
    /// Where a person looks at it.
    pub url: Option<String>,
    /// Its attempt.
    pub attempt: u32,
}

/// What the comment says.
#[derive(Debug, Clone)]
pub enum Story {
    /// Jobs fail now.
    Red {
        /// The runs they fail in, newest first.
        runs: Vec<ShownRun>,
        /// The failed jobs.
        jobs: Vec<FailedJob>,
        /// How many more are still being analysed.
        pending: usize,
        /// How many failed before and do not any more.
        fixed: usize,
    },
    /// All is well again.
    Green {
        /// The run that showed it.
        run: ShownRun,
        /// Names of the jobs that failed before.
        fixed: Vec<String>,
    },
}

/// What a forge makes of HTML in a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// Comments of HTML are hidden, and a few tags work.
    Html,
    /// HTML is shown as it was typed, so there must be none.
    NoHtml,
}

impl Markup {
    /// Both Bitbuckets show HTML as text (Bitbucket support: "Markdown syntax guide", HTML is not supported).
    #[must_use]
    pub fn of(forge: ForgeKind) -> Self {
        match forge {
            ForgeKind::BITBUCKET_CLOUD | ForgeKind::BITBUCKET_DC => Self::NoHtml,
            _ => Self::Html,
        }
    }
}

/// What is said, without what changes from run to run: two comments of one gist tell the reader nothing different.
#[must_use]
pub fn gist(story: &Story) -> String {
    let Story::Red { jobs, .. } = story else { return "green".to_owned() };
    let mut causes: Vec<String> = groups(jobs)
        .into_iter()
        .filter_map(|group| group.first().copied())
        .map(|job| match (cause_of(job), &job.report) {
            (Some(_), Some(report)) if !report.fingerprint.is_empty() => report.fingerprint.clone(),
            (Some(cause), _) => format!("{}: {cause}", job.name),
            (None, _) => job.name.clone(),
        })
        .collect();
    causes.sort_unstable();
    causes.dedup();
    format!("red\n{}", causes.join("\n"))
}

/// The hidden line by which our comment is found again: a comment of HTML, or where that shows, the definition of a
/// link that nothing uses.
///
/// It depends on this installation's public address, the repository and the target, so that a second installation, or
/// one that was connected anew, never confuses its comment with another's.
#[must_use]
pub fn marker(public_url: &str, repository_forge_id: &str, target: &str, markup: Markup) -> String {
    let mut hash = Sha256::new();
    for part in [public_url, repository_forge_id, target] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut id = hex::encode(hash.finalize());
    id.truncate(24);
    match markup {
        Markup::Html => format!("<!-- forge-rca:v1 {id} -->"),
        Markup::NoHtml => format!("[forge-rca-v1-{id}]: #"),
    }
}

/// The whole comment in at most `max_chars` characters, `marker` included.
///
/// `pages` is the address of the dashboard without a trailing slash, where there is one to link to.
///
/// Jobs with one cause are one section. What does not fit is counted openly; nothing is cut in the middle of a block.
#[must_use]
pub fn comment(story: &Story, marker: &str, pages: Option<&str>, max_chars: usize, markup: Markup) -> String {
    // A definition needs an empty line behind it in some readings of Markdown.
    let marker = match markup {
        Markup::Html => marker.to_owned(),
        Markup::NoHtml => format!("{marker}\n"),
    };
    let marker = marker.as_str();
    match story {
        Story::Red { runs, jobs, pending, fixed } => {
            let foot = "Derived from the text of the job's log: line numbers are those of the raw log.";
            let foot = match markup {
                Markup::Html => format!("<sub>{foot}</sub>\n"),
                Markup::NoHtml => format!("*{foot}*\n"),
            };
            red(runs, jobs, *pending, *fixed, (marker, &foot), pages, max_chars)
        }
        Story::Green { run, fixed } => green(run, fixed, marker, max_chars),
    }
}

/// One line for a commit status.
#[must_use]
pub fn status_line(story: &Story) -> String {
    match story {
        Story::Green { .. } => "all jobs pass again".to_owned(),
        Story::Red { jobs, .. } => {
            let cause = groups(jobs)
                .into_iter()
                .find_map(|group| group.first().and_then(|job| cause_of(job)).map(str::to_owned));
            let count = if jobs.len() == 1 {
                "1 job failed".to_owned()
            } else {
                format!("{} jobs failed", jobs.len())
            };
            match cause {
                Some(cause) => cut(
                    &crate::markdown::visible(&format!("{count}: {cause}")).replace(['\n', '\r'], " "),
                    140,
                ),
                None => format!("{count}: no cause found in the log"),
            }
        }
    }
}

fn red(
    runs: &[ShownRun],
    jobs: &[FailedJob],
    pending: usize,
    fixed: usize,
    (marker, foot): (&str, &str),
    pages: Option<&str>,
    max_chars: usize,
) -> String {
    let groups = groups(jobs);
    let mut head = format!("{marker}\n");
    let count = match jobs.len() {
        1 => "1 job failed".to_owned(),
        count => format!("{count} jobs failed"),
    };
    let has_causes = groups.iter().all(|group| group.first().is_some_and(|job| cause_of(job).is_some()));
    let causes = match groups.len() {
        count if count == jobs.len() || !has_causes => String::new(),
        1 => ", one cause".to_owned(),
        count => format!(", {count} causes"),
    };
    let _ = writeln!(head, "### \u{274c} {count}{causes}\n");
    let named = runs.iter().take(NAMED_RUNS).map(run_link).collect::<Vec<_>>().join(", ");
    if !named.is_empty() {
        let more = match runs.len().saturating_sub(NAMED_RUNS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(head, "In {named}{more}.\n");
    }
    if pending > 0 {
        let _ = writeln!(head, "{pending} more failed {} still being analysed.\n", job_s_are(pending));
    }
    if fixed > 0 {
        let verb = if fixed == 1 { "job that failed before passes" } else { "jobs that failed before pass" };
        let _ = writeln!(head, "{fixed} {verb} now.\n");
    }
    // Without a dashboard they can be seen at the forge.
    let all = match (pages, runs.first()) {
        (Some(pages), _) => format!(" {}", link("All of them", Some(&format!("{pages}/analyses")))),
        (None, Some(run)) => format!(" All of them are in {}.", run_link(run)),
        (None, None) => String::new(),
    };
    // What the note about left out jobs needs, at its longest.
    let reserve = 140 + all.chars().count();
    let budget = max_chars.saturating_sub(head.chars().count() + foot.chars().count() + reserve);

    let mut body = String::new();
    let mut used = 0;
    let mut left_out = 0;
    for (index, group) in groups.iter().enumerate() {
        // Once one did not fit, later ones are not shown either: the order says what matters.
        let mut section = String::new();
        if left_out == 0 {
            section = self::section(group, index == 0, pages, true);
            if used + section.chars().count() > budget {
                section = self::section(group, index == 0, pages, false);
            }
        }
        let length = section.chars().count();
        if left_out > 0 || used + length > budget {
            left_out += group.len();
            continue;
        }
        used += length;
        body.push_str(&section);
    }
    if left_out > 0 {
        let _ = writeln!(
            body,
            "**{left_out} more failed {} not shown here**: the comment would be longer than the forge allows.{all}\n",
            job_s_are(left_out),
        );
    }
    format!("{head}{body}{foot}")
}

fn green(run: &ShownRun, fixed: &[String], marker: &str, max_chars: usize) -> String {
    let mut text = format!("{marker}\n### \u{2705} All jobs pass again\n\nFixed in {}.\n", run_link(run));
    if !fixed.is_empty() {
        text.push_str("\nFailed before:\n");
        let mut left_out = 0;
        for name in fixed {
            let line = format!("- {}\n", code(&cut(name, 120)));
            if text.chars().count() + line.chars().count() + 40 > max_chars || left_out > 0 {
                left_out += 1;
            } else {
                text.push_str(&line);
            }
        }
        if left_out > 0 {
            let _ = writeln!(text, "- and {left_out} more");
        }
    }
    text
}

fn section(group: &[&FailedJob], is_first: bool, pages: Option<&str>, with_details: bool) -> String {
    let Some(job) = group.first() else { return String::new() };
    let mut text = String::from("#### ");
    text.push_str(&link(&cut(&job.name, 120), job.url.as_deref()));
    if group.len() > 1 {
        let _ = write!(text, " \u{d7}{}", group.len());
    }
    if job.attempt > 1 {
        let _ = write!(text, " (attempt {})", job.attempt);
    }
    text.push_str("\n\n");
    let Some(report) = &job.report else {
        let reason = job.missing.as_deref().unwrap_or("the analysis failed");
        let _ = writeln!(text, "No analysis: {}.\n", prose(reason));
        return text;
    };
    match cause_of(job) {
        Some(cause) => {
            let _ = writeln!(text, "**Cause:** {}\n", code(&cut(cause, 300)));
        }
        None => {
            let _ = writeln!(
                text,
                "**No cause found in the log.** {}\n",
                prose(&cut(&report.missing_context_hint, 300))
            );
        }
    }
    let shown = if is_first { 2 } else { 1 };
    let mut told: Vec<(u64, u64)> = Vec::new();
    for evidence in report.evidence.iter().take(if with_details { shown } else { 1 }) {
        let lines = if with_details { 14 } else { 4 };
        let (excerpt, start) = around(&evidence.excerpt, evidence.start_line, evidence.focus_line, lines);
        let step = if evidence.step.is_empty() {
            String::new()
        } else {
            format!(", step {}", code(&cut(&evidence.step, 100)))
        };
        let last = start + (excerpt.len() as u64).saturating_sub(1);
        // Windows of evidence overlap; the same lines twice prove nothing more.
        if told.iter().any(|(first, end)| start <= *end && last >= *first) {
            continue;
        }
        told.push((start, last));
        let range =
            if last > start { format!("lines {start}\u{2013}{last}") } else { format!("line {start}") };
        let _ = writeln!(text, "Log {range}{step}:\n");
        text.push_str(&numbered_block(excerpt, start, evidence.focus_line));
        text.push('\n');
    }
    if let Some(told) = job.introduced_by.as_ref().filter(|told| told.verdict != "unknown") {
        let verdict = match told.verdict.as_str() {
            "this_change" => "this change",
            "base_branch" => "not this change: the base branch fails too",
            "flaky" => "flaky",
            _ => "infrastructure",
        };
        let _ = writeln!(text, "**Introduced by:** {verdict} ({})\n", prose(&cut(&told.reason, 300)));
    }
    if let Some(memory) = &job.memory {
        let _ = writeln!(text, "{}\n", remembered(memory));
    }
    if with_details {
        if !report.explanation.is_empty() {
            let _ = writeln!(text, "{}\n", prose(&cut(&report.explanation, 500)));
        }
        if !report.fix_suggestion.is_empty() {
            let _ = writeln!(text, "**What to do:** {}\n", prose(&cut(&report.fix_suggestion, 500)));
        }
    }
    let mut facts = vec![word(&report.category), format!("confidence {:.0} %", report.confidence * 100.0)];
    if word(&report.retry_likely_helps) == "yes" {
        facts.push("running it again is likely to help".to_owned());
    }
    if !report.consequences.is_empty() {
        facts.push(match report.consequences.len() {
            1 => "1 later error follows from it".to_owned(),
            count => format!("{count} later errors follow from it"),
        });
    }
    if with_details && is_reworded(report) {
        facts.push("explained in a language model's words".to_owned());
    }
    if report.truncated {
        facts.push("the log was cut".to_owned());
    }
    if let Some(pages) = pages {
        facts.push(link("full report", Some(&format!("{pages}/analyses/{}", job.analysis_id))));
    }
    let _ = writeln!(text, "{}\n", facts.join(" \u{b7} "));
    if group.len() > 1 {
        let names: Vec<String> =
            group.iter().skip(1).take(20).map(|job| link(&cut(&job.name, 80), job.url.as_deref())).collect();
        let more = group.len() - 1 - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(text, "The same in: {}{more}\n", names.join(", "));
    }
    text
}

fn remembered(memory: &Memory) -> String {
    let mut text = format!("Seen {} times", memory.count);
    if memory.repositories > 1 {
        let _ = write!(text, " in {} repositories", memory.repositories);
    }
    let _ = write!(text, " since {}", memory.since);
    if let Some(fix) = &memory.last_fix {
        let _ = write!(text, ", last fixed by {}", code(&fix.chars().take(12).collect::<String>()));
    }
    text.push('.');
    text
}

/// Jobs with one cause together, in the order of their first; groups with a cause before those without.
pub(crate) fn groups(jobs: &[FailedJob]) -> Vec<Vec<&FailedJob>> {
    let mut groups: Vec<(Option<&str>, Vec<&FailedJob>)> = Vec::new();
    for job in jobs {
        let fingerprint = cause_of(job).and(job.report.as_ref()).map(|report| report.fingerprint.as_str());
        let fingerprint = fingerprint.filter(|fingerprint| !fingerprint.is_empty());
        let known = fingerprint.and_then(|wanted| groups.iter_mut().find(|(have, _)| *have == Some(wanted)));
        match known {
            Some((_, group)) => group.push(job),
            None => groups.push((fingerprint, vec![job])),
        }
    }
    // Stable: the order of the forge is kept among equals.
    groups.sort_by_key(|(_, group)| group.first().and_then(|job| cause_of(job)).is_none());
    groups.into_iter().map(|(_, group)| group).collect()
}

fn cause_of(job: &FailedJob) -> Option<&str> {
    job.report.as_ref().map(|report| report.root_cause.as_str()).filter(|cause| !cause.trim().is_empty())
}

/// At most `limit` lines of an excerpt that hold the focus, and the number of the first.
fn around(excerpt: &[String], start: u64, focus: u64, limit: usize) -> (&[String], u64) {
    let offset = usize::try_from(focus.saturating_sub(start)).unwrap_or(0);
    let begin = offset.saturating_sub(limit / 2).min(excerpt.len().saturating_sub(limit));
    let end = (begin + limit).min(excerpt.len());
    (excerpt.get(begin..end).unwrap_or_default(), start + begin as u64)
}

fn run_link(run: &ShownRun) -> String {
    let mut text = match &run.name {
        Some(name) => format!("{} run {}", cut(name, 80), run.number),
        None => format!("run {}", run.number),
    };
    if run.attempt > 1 {
        let _ = write!(text, " attempt {}", run.attempt);
    }
    link(&text, run.url.as_deref())
}

fn job_s_are(count: usize) -> &'static str {
    if count == 1 { "job is" } else { "jobs are" }
}

/// The word that an enum of the report is serialised as.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        _ => String::new(),
    }
}
