//! Orders the candidates by fixed weights that can be read in the report, and writes the report.

mod chain;
mod confidence;

use sha2::{Digest, Sha256};

use self::chain::{cascade, consequences, is_consequence};
pub use self::confidence::Signs;
use crate::analyzer::{Reader, hex};
use crate::candidate::Candidate;
use crate::frame::Dialect;
use crate::report::{
    BaselineSummary, Category, Domain, Evidence, EvidenceRole, Failing, FailingTest, LogSummary, Report,
    Retry, SCHEMA, Severity, Status,
};
use crate::rules::{Role, Rule};
use crate::template;

/// A candidate below this claims nothing.
const CLAIM: i32 = 30;
/// A candidate of at least this weight proves a failure even where nothing else says that one happened.
const PROOF: i32 = 74;
/// Evidence this much below the best is not shown.
const SPREAD: i32 = 45;

struct Ranked<'a> {
    candidate: &'a Candidate,
    rule: Option<&'static Rule>,
    score: i32,
    why: Vec<String>,
    /// The job went on for long after the line, so it survived it.
    doubt: bool,
}

/// Writes the report of what was read, and says what its confidence rests on.
pub(crate) fn report(reader: &Reader) -> (Report, Option<Signs>) {
    let mut signs = None;
    let report = write(reader, &mut signs);
    (report, signs)
}

fn write(reader: &Reader, signs: &mut Option<Signs>) -> Report {
    let mut ranked: Vec<Ranked<'_>> =
        reader.candidates.iter().map(|candidate| rank(reader, candidate)).collect();
    cascade(reader, &mut ranked);
    ranked.sort_by_key(|item| (std::cmp::Reverse(item.score), item.candidate.focus));
    let mut report = empty(reader);
    if reader.text_lines == 0 {
        report.status = Status::NotALog;
        report.missing_context_hint = "the input has no text".to_owned();
        return report;
    }
    if reader.binary_bytes > 64 * reader.text_lines && reader.binary_bytes > 4096 && !failed(reader) {
        report.status = Status::NotALog;
        report.missing_context_hint = "the input is binary data, not a log".to_owned();
        return report;
    }
    // These CI systems always end a log with the job's result.
    let ends = matches!(reader.decoder.dialect(), Dialect::Gitlab | Dialect::Travis | Dialect::Jenkins);
    if ends && reader.steps.job_failed.is_none() && reader.steps.job_passed.is_none() {
        report.truncated = true;
        report.notes.push("the log ends before the result of the job".to_owned());
    }
    let best = ranked.iter().find(|item| is_cause(item));
    let proven = best.is_some_and(|item| item.candidate.weight >= PROOF && item.score >= PROOF);
    let passed = reader.steps.job_passed.is_some();
    // GitHub marks the failure of every step; a job that came to its clean-up without a mark has passed,
    // whatever its tools said on the way.
    let unmarked = reader.decoder.dialect() == Dialect::GithubActions && reader.cleanup_tail.is_some();
    if passed || !(failed(reader) || proven && !unmarked || has_marked(&ranked)) {
        report.status = Status::NotFailed;
        return report;
    }
    report.steps = reader.steps.summaries();
    report.failing = failing(reader, best);
    if let Some(best) = best
        && let Some(test) =
            report.failing.tests.iter_mut().find(|test| best.candidate.text.contains(&test.name))
        && test.message.is_none()
        && best.candidate.weight >= PROOF
    {
        // Most runners print the message below the name.
        let below = (best.candidate.start..).zip(&best.candidate.excerpt);
        let said = |text: &str| text.trim().trim_start_matches("[info]").trim_start().to_owned();
        let mut below = below
            .filter(|(line, _)| *line > best.candidate.focus)
            .map(|(_, text)| said(text))
            .filter(|text| text.contains(char::is_alphanumeric) && !text.starts_with(['ℹ', '│']))
            .filter(|text| !text.ends_with(':') && !text.starts_with("FAIL"));
        test.message = below.next();
    }
    match best.filter(|item| item.score >= CLAIM) {
        Some(best) => *signs = Some(claim(reader, &ranked, best, &mut report)),
        None => match (told_by_code(report.failing.exit_code), &reader.tail) {
            (Some((category, sentence)), Some(tail)) => {
                claim_by_code(reader, category, sentence, tail, &mut report);
            }
            _ => admit(reader, &ranked, &mut report),
        },
    }
    report
}

/// Whether the log itself says that something failed.
fn failed(reader: &Reader) -> bool {
    reader.steps.job_failed.is_some() || reader.steps.has_failed_command() || reader.failure_lines > 0
}

fn has_marked(ranked: &[Ranked<'_>]) -> bool {
    ranked.iter().any(|item| item.candidate.marked && item.score > 0)
}

fn is_cause(item: &Ranked<'_>) -> bool {
    item.rule.is_none_or(|rule| matches!(rule.role, Role::Cause | Role::Detail))
}

/// Adds up the reasons for and against one candidate.
fn rank<'a>(reader: &Reader, candidate: &'a Candidate) -> Ranked<'a> {
    let rule = candidate.rule.and_then(|index| reader.rules.get(index));
    let mut score = 0;
    let mut why = Vec::new();
    let mut doubt = false;
    let mut add = |points: i32, reason: String| {
        score += points;
        why.push(format!("{points:+} {reason}"));
    };
    add(
        candidate.weight,
        rule.map_or_else(|| "marked as an error".to_owned(), |rule| format!("rule {}", rule.id)),
    );
    if candidate.marked && rule.is_some() {
        add(8, "marked as an error by the CI system".to_owned());
    }
    let ends_test = reader.found.verdicts.contains(&candidate.focus);
    let soft = is_soft(rule) && !ends_test;
    if ends_test {
        add(14, "ends the traceback of a failed test".to_owned());
    }
    let failing = reader.steps.failing();
    if soft && candidate.muted {
        add(-30, "logged below the level of an error".to_owned());
    }
    let known_failure = reader.steps.has_failed_command() || reader.steps.job_failed.is_some();
    if let Some(step) = reader.steps.get(candidate.step) {
        let by_runner = rule.is_some_and(|rule| matches!(rule.tool(), "job" | "runner"));
        if by_runner {
            // The runner's own verdict stands after the steps it is about.
            add(30, "said by the CI system".to_owned());
        } else if step.cleanup {
            add(-90, "in clean-up".to_owned());
        } else if step.exit_code == Some(0) {
            add(-60, "the step passed".to_owned());
        } else if step.exit_code.is_some() && failing.is_some_and(|failing| failing < candidate.step) {
            // Travis goes on after a failed command, and the next ones miss what it should have made.
            add(14, "in a step that failed after another one".to_owned());
        } else if step.exit_code.is_some() || failing == Some(candidate.step) && known_failure {
            add(30, "in the failing step".to_owned());
        } else if let Some(failing) = failing.filter(|_| reader.steps.has_failed_command()) {
            if candidate.step > failing {
                add(-30, "after the failing step".to_owned());
            } else if soft {
                let specific = candidate.weight >= PROOF;
                add(if specific { -14 } else { -45 }, "before the failing step".to_owned());
            }
        }
    }
    if let (Some(code), Some(rule)) = (reader.steps.exit_code(), rule)
        && agrees(code, rule.category)
    {
        add(15, format!("exit code {code} agrees"));
    }
    if soft {
        let end = reader.end_of_failure();
        let distance = end.saturating_sub(candidate.focus);
        let agrees =
            rule.zip(reader.steps.exit_code()).is_some_and(|(rule, code)| agrees(code, rule.category));
        if distance > 1000 {
            add(-16, "the job went on for long".to_owned());
            doubt = !agrees;
        } else if distance > 150 {
            add(-8, "the job went on".to_owned());
        }
        let skipped = rule.is_some_and(|rule| rule.category == Category::MissingTool);
        if skipped && !agrees && distance > 30 && reader.steps.exit_code().is_some() {
            add(-20, "the script went on without the command".to_owned());
            doubt = true;
        }
        if reader.hard_steps.contains(&candidate.step) && !agrees {
            add(-16, "a test or a compiler failed in the same step".to_owned());
        }
    }
    let verdict = rule.is_some_and(|rule| {
        rule.weight >= PROOF
            && matches!(
                rule.category,
                Category::TestFailure
                    | Category::TestTimeout
                    | Category::TestCollection
                    | Category::Oom
                    | Category::DiskFull
                    | Category::RunnerLost
            )
    });
    if !verdict && reader.blocks.in_passed_test(candidate.focus) {
        add(-50, "printed by a test that passed".to_owned());
    }
    if rule.is_some_and(|rule| matches!(rule.tool(), "jvm" | "junit"))
        && reader.blocks.is_outer_exception(candidate.focus)
    {
        add(-10, "another exception caused it".to_owned());
    }
    match candidate.novel {
        Some(true) => add(25, "in no passing log".to_owned()),
        Some(false) => add(-60, "in passing logs too".to_owned()),
        None => {}
    }
    let count = reader.counts.get(&(candidate.step, candidate.hash)).copied().unwrap_or(1);
    if count > 20 {
        add(-12, format!("repeated {count} times"));
    } else if count > 4 {
        add(-4, format!("repeated {count} times"));
    }
    Ranked { candidate, rule, score, why, doubt }
}

/// Incidents that a job can survive: they count less when the job went on, or something failed by itself.
fn is_soft(rule: Option<&'static Rule>) -> bool {
    rule.is_none_or(|rule| {
        matches!(
            rule.category,
            Category::Network
                | Category::ServiceUnavailable
                | Category::RateLimit
                | Category::Auth
                | Category::MissingTool
                | Category::MissingFile
                | Category::MissingDependency
                | Category::Permission
                | Category::ScriptError
                | Category::DockerImage
                | Category::ArtifactCache
                | Category::Unknown
        )
    })
}

/// Exit codes that shells and kernels give a meaning.
const fn agrees(code: i32, category: Category) -> bool {
    matches!(
        (code, category),
        (137, Category::Oom)
            | (124 | 143, Category::Timeout | Category::TestTimeout)
            | (127, Category::MissingTool)
            | (126, Category::Permission)
            | (134 | 139, Category::Crash)
    )
}

fn empty(reader: &Reader) -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        status: Status::NoCauseFound,
        truncated: false,
        root_cause: String::new(),
        explanation: String::new(),
        fix_suggestion: String::new(),
        category: Category::Unknown,
        domain: Domain::Unknown,
        severity: Severity::Low,
        confidence: 0.0,
        flaky_hint: 0.0,
        needs_more_context: false,
        missing_context_hint: String::new(),
        retry_likely_helps: Retry::Maybe,
        evidence: Vec::new(),
        consequences: Vec::new(),
        failing: Failing::default(),
        steps: Vec::new(),
        fingerprint: String::new(),
        template: String::new(),
        baseline: BaselineSummary {
            used: !reader.baseline.is_empty(),
            logs: reader.baseline.logs(),
            novel_lines: reader.novel_lines,
        },
        log: LogSummary {
            dialect: reader.decoder.dialect().name().to_owned(),
            duration_seconds: reader.decoder.duration(),
            ..LogSummary::default()
        },
        redactions: crate::redact::Redactions::default(),
        notes: Vec::new(),
    }
}

/// Names the best candidate as the cause.
fn claim(reader: &Reader, ranked: &[Ranked<'_>], best: &Ranked<'_>, report: &mut Report) -> Signs {
    let category = best.rule.map_or(Category::Unknown, |rule| rule.category);
    report.status = Status::CauseFound;
    report.category = category;
    report.domain = category.domain();
    report.severity = category.severity();
    report.retry_likely_helps = best.rule.and_then(|rule| rule.retry).unwrap_or_else(|| category.retry());
    report.flaky_hint = match report.retry_likely_helps {
        Retry::Yes => 0.8,
        Retry::Maybe if category == Category::TestTimeout => 0.5,
        Retry::Maybe => 0.3,
        Retry::No => 0.05,
    };
    let (means, fix) = best.rule.and_then(|rule| rule.advice).unwrap_or_else(|| category.advice());
    report.explanation = means.to_owned();
    report.fix_suggestion = fix.to_owned();
    report.root_cause = sentence(best, report);
    report.template = template::mask(best.candidate.text.trim());
    report.fingerprint = fingerprint(best, report);
    let signs = Signs::of(ranked, best);
    report.confidence = signs.confidence();
    if report.confidence < 0.4 {
        report.needs_more_context = true;
        report.missing_context_hint =
            "the cause is a guess from general wording; a passing log of the same job would help".to_owned();
    }
    show(reader, ranked, report);
    consequences(reader, ranked, best, report);
    signs
}

/// Exit codes that name the cause when no line does.
const fn told_by_code(code: Option<i32>) -> Option<(Category, &'static str)> {
    match code {
        Some(124) => Some((Category::Timeout, "the command was stopped by a time limit (exit code 124)")),
        Some(134) => Some((Category::Crash, "the process aborted (exit code 134)")),
        Some(137) => Some((
            Category::Oom,
            "the process was killed, most likely because memory ran out (exit code 137)",
        )),
        Some(143) => Some((
            Category::Timeout,
            "the process was asked to end, often by a time limit or because the job was stopped (exit code 143)",
        )),
        Some(139) => Some((Category::Crash, "the process crashed with a segmentation fault (exit code 139)")),
        _ => None,
    }
}

/// Names the cause that the exit code tells, with the end of the step as evidence.
fn claim_by_code(reader: &Reader, category: Category, sentence: &str, tail: &Candidate, report: &mut Report) {
    report.status = Status::CauseFound;
    report.category = category;
    report.domain = category.domain();
    report.severity = category.severity();
    report.retry_likely_helps = category.retry();
    report.flaky_hint = 0.4;
    report.confidence = 0.6;
    sentence.clone_into(&mut report.root_cause);
    let (means, fix) = category.advice();
    report.explanation = means.to_owned();
    report.fix_suggestion = fix.to_owned();
    report.needs_more_context = true;
    "the log does not say what the command was doing; run it with more output"
        .clone_into(&mut report.missing_context_hint);
    sentence.clone_into(&mut report.template);
    let item = Ranked {
        candidate: tail,
        rule: None,
        score: CLAIM,
        why: vec![format!("{CLAIM:+} the exit code")],
        doubt: true,
    };
    let mut evidence = evidence(reader, &item, 10);
    evidence.rank = 1;
    "exit.code".clone_into(&mut evidence.rule);
    report.evidence.push(evidence);
    let mut digest = Sha256::new();
    digest.update(b"exit.code");
    digest.update(sentence.as_bytes());
    digest.update(report.failing.command.as_deref().map(template::mask).unwrap_or_default().as_bytes());
    report.fingerprint = hex(digest.finalize().get(..16).unwrap_or_default());
}

/// Says that no line names the cause, and shows the end of the failing step.
fn admit(reader: &Reader, ranked: &[Ranked<'_>], report: &mut Report) {
    report.status = Status::NoCauseFound;
    report.needs_more_context = true;
    let mut hint = match (&report.failing.command, report.failing.exit_code) {
        (Some(command), Some(code)) => format!("`{command}` ended with exit code {code} without saying why"),
        (Some(command), None) => format!("`{command}` failed without saying why"),
        (None, Some(code)) => format!("the job ended with exit code {code} without saying why"),
        (None, None) => "the log ends without saying why the job failed".to_owned(),
    };
    if let Some(meaning) = report.failing.exit_code.and_then(meaning) {
        hint.push_str("; ");
        hint.push_str(meaning);
    }
    hint.push_str("; run it with more output, or give a passing log of the same job");
    report.missing_context_hint = hint;
    show(reader, ranked, report);
}

/// What an exit code usually means.
const fn meaning(code: i32) -> Option<&'static str> {
    match code {
        124 => Some("124 is how `timeout` reports that the time was up"),
        126 => Some("126 means that a file could not be executed"),
        127 => Some("127 means that a command was not found"),
        134 => Some("134 means that the process aborted"),
        137 => Some("137 means that the process was killed, often because memory ran out"),
        139 => Some("139 means a segmentation fault"),
        143 => Some("143 means that the process was asked to end, often by a time limit"),
        _ => None,
    }
}

/// Chooses the evidence: the best first, no line twice, within the limits.
fn show(reader: &Reader, ranked: &[Ranked<'_>], report: &mut Report) {
    let mut left = reader.options.max_lines;
    let top = ranked.iter().find(|item| is_cause(item)).map_or(0, |item| item.score);
    let causes = ranked.iter().filter(|item| is_cause(item) && item.score >= 0 && item.score >= top - SPREAD);
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut hashes: Vec<u64> = Vec::new();
    let mut kinds: Vec<Option<u16>> = Vec::new();
    let rounds = [false, true].into_iter().flat_map(|fourth| causes.clone().map(move |item| (fourth, item)));
    for (fourth, item) in rounds {
        if report.evidence.len() >= reader.options.max_evidence || left == 0 {
            break;
        }
        let candidate = item.candidate;
        if seen.iter().any(|(start, end)| (*start..=*end).contains(&candidate.focus)) {
            continue;
        }
        // Other kinds of evidence come before the fourth line of one kind.
        let same_rule = kinds.iter().filter(|known| **known == candidate.rule).count();
        if fourth != (same_rule >= 3) {
            continue;
        }
        // The same words again prove nothing new.
        if candidate.rule.is_some() && hashes.contains(&candidate.hash) {
            continue;
        }
        hashes.push(candidate.hash);
        kinds.push(candidate.rule);
        let first = report.evidence.is_empty();
        let limit = left.min(if first { 10 } else { 5 });
        let mut evidence = evidence(reader, item, limit);
        // Lines already shown are not shown again.
        while let Some(line) = evidence.excerpt.first()
            && evidence.start_line < evidence.focus_line
            && (line.is_empty()
                || seen.iter().any(|(start, end)| (*start..=*end).contains(&evidence.start_line)))
        {
            evidence.excerpt.remove(0);
            evidence.start_line += 1;
        }
        evidence.rank = report.evidence.len() as u32 + 1;
        evidence.role = match ranked.iter().find(|item| is_cause(item)) {
            _ if report.status != Status::CauseFound => EvidenceRole::Context,
            Some(best) if is_consequence(reader, best, item) => EvidenceRole::Consequence,
            _ => EvidenceRole::Cause,
        };
        left = left.saturating_sub(evidence.excerpt.len());
        seen.push((evidence.start_line, evidence.end_line));
        report.evidence.push(evidence);
    }
    if (report.evidence.len() < 2 && report.confidence < 0.9)
        || report.status != Status::CauseFound
        || report.confidence < 0.6
    {
        let tail = reader.tail.clone().or_else(|| reader.cleanup_tail.clone());
        let tails = [
            reader.wrapper_tail.clone().filter(|_| report.status != Status::CauseFound),
            tail.or_else(|| reader.last_lines(5)),
        ];
        for tail in tails.into_iter().flatten() {
            if left > 0
                && report.evidence.len() < reader.options.max_evidence
                && !seen.iter().any(|(start, end)| (*start..=*end).contains(&tail.focus))
            {
                let item = Ranked {
                    candidate: &tail,
                    rule: None,
                    score: 0,
                    why: vec!["+0 last lines of the failing step".to_owned()],
                    doubt: true,
                };
                let mut evidence = evidence(reader, &item, left.min(6));
                evidence.rank = report.evidence.len() as u32 + 1;
                evidence.role = EvidenceRole::Context;
                "step.tail".clone_into(&mut evidence.rule);
                left = left.saturating_sub(evidence.excerpt.len());
                seen.push((evidence.start_line, evidence.end_line));
                report.evidence.push(evidence);
            }
        }
    }
}

fn evidence(reader: &Reader, item: &Ranked<'_>, limit: usize) -> Evidence {
    let candidate = item.candidate;
    let mut start = candidate.start;
    let mut excerpt = candidate.excerpt.clone();
    // The focus line stays, whatever has to go.
    while excerpt.len() > limit && start < candidate.focus {
        excerpt.remove(0);
        start += 1;
    }
    excerpt.truncate(limit.max(1));
    while excerpt.last().is_some_and(String::is_empty) && excerpt.len() > 1 {
        excerpt.pop();
    }
    Evidence {
        rank: 0,
        start_line: start,
        end_line: start + excerpt.len() as u64 - 1,
        focus_line: candidate.focus,
        role: EvidenceRole::Cause,
        step: reader.steps.get(candidate.step).map(|step| step.name.clone()).unwrap_or_default(),
        rule: item.rule.map_or("ci.annotation", |rule| rule.id).to_owned(),
        score: item.score,
        why: item.why.clone(),
        excerpt,
    }
}

fn failing(reader: &Reader, best: Option<&Ranked<'_>>) -> Failing {
    let step = reader.steps.failing().and_then(|index| reader.steps.get(index));
    // What other steps reported does not belong to this failure.
    let same = |step: usize| best.is_none_or(|best| best.candidate.step == step);
    // Go also reports the parents of a failed subtest, as failed and without a reason of their own.
    let parent = |name: &str| {
        reader.found.tests.iter().any(|(.., tool, test)| {
            *tool == "go" && test.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    // A build system that runs another runner reports the whole program as one test.
    let runs = |tools: &[&str]| reader.found.tests.iter().any(|test| same(test.0) && tools.contains(&test.2));
    let is_outer = |tool: &str| match tool {
        "go" => runs(&["ginkgo", "gocheck"]),
        "ctest" | "meson" | "automake" | "bazel" => {
            runs(&["gtest", "catch2", "qttest", "boost", "doctest", "cpputest", "unity", "check", "cmocka"])
        }
        _ => false,
    };
    Failing {
        tool: best.and_then(|best| best.rule).map(|rule| rule.tool().to_owned()),
        command: step.and_then(|step| step.command.clone()),
        exit_code: reader.steps.exit_code(),
        tests: one_name_each(
            reader
                .found
                .tests
                .iter()
                .filter(|test| same(test.0) && !(test.2 == "go" && parent(&test.3.name)))
                .filter(|test| !is_outer(test.2))
                .map(|test| &test.3),
        ),
        locations: reader
            .found
            .locations
            .iter()
            .filter(|place| same(place.0))
            .map(|place| place.2.clone())
            .take(50)
            .collect(),
        packages: reader
            .found
            .packages
            .iter()
            .filter(|package| same(package.0))
            .map(|package| package.1.clone())
            .take(50)
            .collect(),
    }
}

/// Joins what two lists of one runner say of one test under a short and a full name.
fn one_name_each<'a>(found: impl Iterator<Item = &'a FailingTest>) -> Vec<FailingTest> {
    let mut tests: Vec<FailingTest> = Vec::new();
    let is_end = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', ':', '/', ' ']))
    };
    for test in found {
        let known =
            tests.iter_mut().find(|known| is_end(&known.name, &test.name) || is_end(&test.name, &known.name));
        let Some(known) = known else {
            if tests.len() < 50 {
                tests.push(test.clone());
            }
            continue;
        };
        if test.name.len() > known.name.len() {
            known.name.clone_from(&test.name);
        }
        if known.file.is_none() {
            known.file.clone_from(&test.file);
            known.line = test.line;
        }
        if known.message.is_none() {
            known.message.clone_from(&test.message);
        }
    }
    tests
}

/// The cause in one sentence: the test's name where there is one, and the line.
fn sentence(best: &Ranked<'_>, report: &Report) -> String {
    let text = plain(best);
    let test = report.failing.tests.first().filter(|_| report.domain == Domain::Test);
    let mut sentence = match test {
        Some(test) if !text.contains(&test.name) => format!("{}: {text}", test.name),
        Some(test) => match &test.message {
            Some(message) if !text.contains(message.as_str()) => format!("{text}: {message}"),
            _ => text.to_owned(),
        },
        None => match continuation(best) {
            Some(next) => format!("{text} {next}"),
            None => text.to_owned(),
        },
    };
    if sentence.len() > 300 {
        let mut end = 300;
        while !sentence.is_char_boundary(end) {
            end -= 1;
        }
        sentence.truncate(end);
        sentence.push('…');
    }
    sentence
}

/// The line that says what happened, without the marks that the tool puts in front of it.
fn plain<'a>(best: &Ranked<'a>) -> &'a str {
    let text = best.candidate.text.trim();
    match best.rule.map(|rule| rule.id) {
        // The note says only which lint it was.
        Some("clippy.denied") => {
            let error = best.candidate.excerpt.iter().rev().find(|line| line.starts_with("error: "));
            error.map_or(text, |line| line.trim())
        }
        Some(id) if id.starts_with("pytest.") => text.strip_prefix("E ").map_or(text, str::trim_start),
        _ => text,
    }
}

/// The next line, where the line itself is only a heading.
fn continuation<'a>(best: &Ranked<'a>) -> Option<&'a str> {
    const HEADINGS: &[&str] =
        &["links.heading", "standard.finding", "gtest.failure", "maven.compile_heading", "ginkgo.heading"];
    let heading =
        best.candidate.text.ends_with(':') || best.rule.is_some_and(|rule| HEADINGS.contains(&rule.id));
    let lines = (best.candidate.start..).zip(&best.candidate.excerpt).filter(|_| heading);
    let mut below =
        lines.filter(|(line, text)| *line > best.candidate.focus && text.chars().any(char::is_alphanumeric));
    below.next().map(|(_, text)| text.trim())
}

/// Equal for one cause over runs, machines, paths and times.
fn fingerprint(best: &Ranked<'_>, report: &Report) -> String {
    let mut digest = Sha256::new();
    digest.update(best.rule.map_or("ci.annotation", |rule| rule.id).as_bytes());
    digest.update([0]);
    digest.update(report.template.as_bytes());
    if let Some(next) = continuation(best) {
        digest.update([0]);
        digest.update(template::mask(next).as_bytes());
    }
    if let Some(test) = report.failing.tests.first().filter(|_| report.domain == Domain::Test) {
        digest.update([0]);
        digest.update(template::mask(&test.name).as_bytes());
    }
    hex(digest.finalize().get(..16).unwrap_or_default())
}
