//! Reads a log once and keeps what may matter.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::baseline::Baseline;
use crate::blocks::Blocks;
use crate::candidate::{Candidate, Candidates, Found};
use crate::custom::{Detector, Finding};
use crate::frame::{Decoder, Event};
use crate::input::{Intake, LineSplitter};
use crate::rank::{self, Signs};
use crate::redact::Redactor;
use crate::report::{Domain, Report, Status};
use crate::rules::{CUSTOM_ID, Role, RuleSet};
use crate::steps::StepTracker;
use crate::template;
#[cfg(feature = "rules")]
use crate::user_rules::Rules;

/// Lines kept to show what came before.
const RING: usize = 12;
/// Bytes of a line that can be shown.
const SHOWN: usize = 500;
/// Candidates that still collect following lines.
const OPEN: usize = 12;
/// Equal lines of one step that become candidates of their own.
const REPEATS: u32 = 6;
/// Findings of users' detectors whose texts are kept.
const FINDINGS: usize = 10_000;
/// Templates whose repetition is counted.
const COUNTED: usize = 50_000;

/// How much a report shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Evidence items at most; 5 unless told.
    pub max_evidence: usize,
    /// Lines of all evidence items together at most; 30 unless told.
    pub max_lines: usize,
    /// Values that must never appear in the report, besides those recognised by their form.
    pub known_secrets: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_evidence: 5, max_lines: 30, known_secrets: Vec::new() }
    }
}

/// Reads a log in pieces of any size and says why the job failed.
///
/// It reads once, keeps a bounded part whatever the size of the log, and never panics on any bytes.
/// How the log is cut into pieces does not change the report.
///
/// ```
/// let mut analyzer = rca_engine::Analyzer::new();
/// analyzer.push(b"$ make\nmain.c:3:5: error: 'x' undeclared\n");
/// analyzer.push(b"make: *** [Makefile:2: main.o] Error 1\n");
/// let report = analyzer.finish();
/// assert_eq!(report.category, rca_engine::Category::CompileError);
/// assert_eq!(report.evidence[0].focus_line, 2);
/// ```
#[derive(Debug)]
pub struct Analyzer {
    redactor: Redactor,
    redacted: Vec<u8>,
    intake: Intake,
    splitter: LineSplitter,
    digest: Sha256,
    bytes: u64,
    reader: Reader,
}

/// What has been read, as the ranking sees it.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) options: Options,
    pub(crate) baseline: Baseline,
    pub(crate) rules: &'static RuleSet,
    pub(crate) decoder: Decoder,
    pub(crate) steps: StepTracker,
    pub(crate) candidates: Candidates,
    pub(crate) found: Found,
    pub(crate) blocks: Blocks,
    /// The last lines before a command was declared failed.
    pub(crate) tail: Option<Candidate>,
    /// The last lines before clean-up began.
    pub(crate) cleanup_tail: Option<Candidate>,
    /// Steps in which a test or a compiler failed by itself.
    pub(crate) hard_steps: BTreeSet<usize>,
    /// The last lines before the first line that passes a failure on.
    pub(crate) wrapper_tail: Option<Candidate>,
    pub(crate) counts: HashMap<(usize, u64), u32>,
    pub(crate) novel_lines: u64,
    /// Lines that count failures or pass them on.
    pub(crate) failure_lines: u64,
    pub(crate) last_failure_line: u64,
    pub(crate) binary_bytes: u64,
    pub(crate) text_lines: u64,
    detectors: Vec<Arc<dyn Detector>>,
    /// What they found, by line.
    findings: BTreeMap<u64, Finding>,
    ring: VecDeque<(u64, String)>,
    open: Vec<(Candidate, u8)>,
    matched: Vec<u16>,
}

impl Default for Analyzer {
    fn default() -> Self {
        Self::new()
    }
}

impl Analyzer {
    /// An analyzer with the default options and no baseline.
    pub fn new() -> Self {
        Self {
            redactor: Redactor::new(),
            redacted: Vec::new(),
            intake: Intake::default(),
            splitter: LineSplitter::default(),
            digest: Sha256::new(),
            bytes: 0,
            reader: Reader {
                options: Options::default(),
                baseline: Baseline::new(),
                rules: RuleSet::built_in(),
                decoder: Decoder::default(),
                steps: StepTracker::default(),
                candidates: Candidates::default(),
                found: Found::default(),
                blocks: Blocks::default(),
                tail: None,
                wrapper_tail: None,
                cleanup_tail: None,
                hard_steps: BTreeSet::new(),
                counts: HashMap::new(),
                novel_lines: 0,
                failure_lines: 0,
                last_failure_line: 0,
                binary_bytes: 0,
                text_lines: 0,
                detectors: Vec::new(),
                findings: BTreeMap::new(),
                ring: VecDeque::with_capacity(RING),
                open: Vec::new(),
                matched: Vec::new(),
            },
        }
    }

    /// Sets how much the report shows, and which values it must not.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.redactor = Redactor::new().with_known(options.known_secrets.iter().map(String::as_str));
        self.reader.options = options;
        self
    }

    /// Gives what passing logs of the same job look like.
    #[must_use]
    pub fn with_baseline(mut self, baseline: Baseline) -> Self {
        self.reader.baseline = baseline;
        self
    }

    /// Also asks this detector about every line. Of several that recognise a line the one added
    /// first is believed, and any of them before the built-in rules.
    #[must_use]
    pub fn with_detector(mut self, detector: Arc<dyn Detector>) -> Self {
        self.reader.detectors.push(detector);
        self
    }

    /// Also follows the rules of a repository.
    #[cfg(feature = "rules")]
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        if rules.is_empty() { self } else { self.with_detector(Arc::new(rules)) }
    }

    /// Takes the next bytes of the log.
    pub fn push(&mut self, chunk: &[u8]) {
        // A bounded piece at a time, so that a caller's huge buffer is not copied whole.
        for piece in chunk.chunks(256 * 1024) {
            self.bytes += piece.len() as u64;
            self.digest.update(piece);
            let Self { intake, redactor, splitter, redacted, reader, .. } = self;
            intake.push(piece, |text| {
                redacted.clear();
                redactor.push(text, redacted);
                splitter.push(redacted, |number, line| reader.read_line(number, line));
            });
        }
    }

    /// Ends the log and reports.
    pub fn finish(self) -> Report {
        self.finish_with_signs().0
    }

    /// The report, and what its confidence rests on; for `examples/calibrate.rs`.
    #[doc(hidden)]
    pub fn finish_with_signs(mut self) -> (Report, Option<Signs>) {
        let Self { intake, redactor, splitter, redacted, reader, .. } = &mut self;
        redacted.clear();
        intake.finish(|text| redactor.push(text, redacted));
        let redactions = redactor.finish(redacted);
        splitter.push(redacted, |number, line| reader.read_line(number, line));
        splitter.finish(|number, line| reader.read_line(number, line));
        reader.close_all();
        let (mut report, signs) = rank::report(&self.reader);
        report.log.lines = self.splitter.lines();
        report.log.bytes = self.bytes;
        report.log.sha256 = hex(&self.digest.finalize());
        report.redactions = redactions;
        self.reader.tell(&self.redactor, &mut report);
        report.notes.extend(self.intake.note().map(str::to_owned));
        let cut = self.splitter.cut();
        if cut > 0 {
            report.truncated = true;
            report.notes.push(format!("{cut} very long lines were read only in part"));
        }
        (report, signs)
    }
}

/// Analyses a log that is in memory.
///
/// ```
/// let report = rca_engine::analyze(b"everything is fine\n");
/// assert_eq!(report.status, rca_engine::Status::NotFailed);
/// ```
pub fn analyze(log: &[u8]) -> Report {
    let mut analyzer = Analyzer::new();
    analyzer.push(log);
    analyzer.finish()
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Reader {
    fn read_line(&mut self, number: u64, raw: &[u8]) {
        // Archives inside logs leave NULs at the ends; one byte in three is a file that is no log.
        // So many bytes at a time that their count fits a byte, which the compiler makes wide steps of.
        for bytes in raw.chunks(255) {
            self.binary_bytes += u64::from(bytes.iter().map(|byte| u8::from(*byte < 9)).sum::<u8>());
        }
        self.decoder.decode(raw);
        let cleanup = self.decoder.events().iter().any(|event| matches!(event, Event::Cleanup(_)));
        if cleanup && self.cleanup_tail.is_none() && !self.steps.in_cleanup() {
            self.cleanup_tail = self.last_lines(5);
        }
        if self.steps.apply(number, self.decoder.events(), self.decoder.now()) {
            self.close_all();
            self.take_tail(number);
        } else if !self.decoder.events().is_empty() {
            self.close_all();
        }
        let text = self.decoder.text();
        if text.is_empty() {
            self.remember(number);
            return;
        }
        self.text_lines += 1;
        self.blocks.read(number, self.steps.index(), text);
        self.found.read(number, text);
        let mut novel = None;
        if !self.baseline.is_empty() {
            let known = self.baseline.contains(template::hash(&template::mask(text.trim())));
            self.novel_lines += u64::from(!known);
            novel = Some(!known);
        }
        for (candidate, _) in &mut self.open {
            candidate.extend(number, clip(text));
        }
        self.open.retain_mut(|(candidate, left)| {
            *left = left.saturating_sub(1);
            let done = *left == 0;
            if done {
                self.candidates.add(std::mem::take(candidate));
            }
            !done
        });
        // Ansible says on the next line when a task may fail.
        if text == "...ignoring" {
            self.candidates.discount_last();
            for (candidate, _) in &mut self.open {
                candidate.weight = 0;
            }
        }
        if self.decoder.is_quiet() {
            self.remember(number);
            return;
        }
        if let Some(finding) = self.detectors.iter().find_map(|detector| detector.detect(text)) {
            self.take_finding(number, finding, novel);
            self.remember(number);
            return;
        }
        let mut matched = std::mem::take(&mut self.matched);
        self.rules.matches(text, &mut matched);
        if !matched.is_empty() || self.decoder.is_error() {
            self.consider(number, &matched, novel);
        }
        self.matched = matched;
        self.remember(number);
    }

    /// Makes the best rule of a line a candidate.
    fn consider(&mut self, number: u64, matched: &[u16], novel: Option<bool>) {
        let rules = || matched.iter().filter_map(|&index| Some((index, self.rules.get(index)?)));
        let text = self.decoder.text();
        let step = self.steps.index();
        // The first of the heaviest, so that the order of the rules decides ties.
        let best = rules().rev_max();
        if best.is_some_and(|(_, rule)| rule.role == Role::Noise) {
            return;
        }
        if let Some((_, rule)) = best
            && matches!(rule.role, Role::Summary | Role::Wrapper)
            && !self.steps.in_cleanup()
        {
            self.failure_lines += 1;
            if rule.role == Role::Wrapper && self.wrapper_tail.is_none() {
                self.wrapper_tail = self.last_lines(5);
            }
            self.last_failure_line = number;
        }
        if let Some((_, rule)) = best
            && rule.role == Role::Cause
            && rule.weight >= 74
            && matches!(rule.category.domain(), Domain::Test | Domain::Code)
            && self.hard_steps.len() < 1000
        {
            self.hard_steps.insert(step);
        }
        for (index, rule) in rules() {
            if let Some(pattern) = self.rules.pattern(index)
                && let Some(captures) = pattern.captures(text)
            {
                let above = self.ring.iter().rev().map(|(_, text)| text.as_str());
                self.found.take(step, number, rule, &captures, above);
            }
        }
        let marked = self.decoder.is_error();
        let rule = match best {
            Some((index, _)) => Some(index),
            None if marked => None,
            None => return,
        };
        let hash = template::hash(&template::mask(text.trim()));
        if self.counts.len() < COUNTED || self.counts.contains_key(&(step, hash)) {
            let count = self.counts.entry((step, hash)).or_insert(0);
            *count += 1;
            if *count > REPEATS {
                return;
            }
        }
        let (before, after) = best.map_or((0, 0), |(_, rule)| (rule.before, rule.after));
        let weight = best.map_or(38, |(_, rule)| rule.weight);
        let mut candidate = Candidate::new(number, clip(text), rule, weight, step);
        candidate.hash = hash;
        candidate.marked = marked;
        candidate.novel = novel;
        candidate.muted = is_muted(text);
        let context = self.ring.iter().rev().take(usize::from(before));
        for (line, text) in context.take_while(|(_, text)| !text.is_empty()) {
            candidate.precede(*line, text);
        }
        if after > 0 && self.open.len() < OPEN {
            self.open.push((candidate, after));
        } else {
            self.candidates.add(candidate);
        }
    }

    /// Makes what a user's detector found a candidate.
    fn take_finding(&mut self, number: u64, finding: Finding, novel: Option<bool>) {
        if finding.is_ignored || self.findings.len() >= FINDINGS {
            return;
        }
        let text = self.decoder.text();
        let rule = Some(RuleSet::custom(finding.category));
        let weight = i32::from(finding.weight);
        let mut candidate = Candidate::new(number, clip(text), rule, weight, self.steps.index());
        candidate.hash = template::hash(&template::mask(text.trim()));
        candidate.marked = self.decoder.is_error();
        candidate.novel = novel;
        self.findings.insert(number, finding);
        if self.open.len() < OPEN {
            self.open.push((candidate, 2));
        } else {
            self.candidates.add(candidate);
        }
    }

    /// Says in the report what users' detectors said about its lines.
    fn tell(&self, redactor: &Redactor, report: &mut Report) {
        // Their texts come from outside, so they take the same way as the log.
        let clean = |text: &str| redactor.redact_line(clip(text)).into_owned();
        for (index, evidence) in report.evidence.iter_mut().enumerate() {
            let finding = self.findings.get(&evidence.focus_line);
            let Some(finding) = finding.filter(|_| evidence.rule == CUSTOM_ID) else { continue };
            evidence.rule = clean(&finding.id);
            if let Some(why) = evidence.why.first_mut() {
                *why = format!("{:+} rule {}", finding.weight, evidence.rule);
            }
            if index > 0 || report.status != Status::CauseFound {
                continue;
            }
            report.failing.tool = None;
            if let Some(cause) = &finding.cause {
                report.root_cause = clean(cause);
                report.explanation.clear();
            }
            if let Some(fix) = &finding.fix {
                report.fix_suggestion = clean(fix);
            }
            report.severity = finding.severity.unwrap_or(report.severity);
            report.retry_likely_helps = finding.retry.unwrap_or(report.retry_likely_helps);
            if let Some(owner) = &finding.owner {
                report.notes.push(format!("taken care of by {}", clean(owner)));
            }
        }
    }

    fn close_all(&mut self) {
        for (candidate, _) in self.open.drain(..) {
            self.candidates.add(candidate);
        }
    }

    /// The line on which the first failure was reported, or the end of the log.
    pub(crate) fn end_of_failure(&self) -> u64 {
        let step = self.steps.failing().and_then(|index| self.steps.get(index));
        match step {
            Some(step) if step.exit_code.is_some() => step.exit_line,
            Some(step) => step.end_line,
            None => self.last_failure_line,
        }
    }

    /// Keeps the last lines before the first failure that the frame reports.
    fn take_tail(&mut self, number: u64) {
        if self.tail.is_none() && !self.steps.in_cleanup() {
            self.tail = self.last_lines(5);
            if let Some(tail) = &mut self.tail {
                tail.extend(number, clip(self.decoder.text()));
            }
        }
    }

    /// The last lines with text, as evidence of last resort.
    pub(crate) fn last_lines(&self, count: usize) -> Option<Candidate> {
        let mut lines = self.ring.iter().rev().filter(|(_, text)| !text.is_empty()).take(count);
        let (number, text) = lines.next()?;
        let mut candidate = Candidate::new(*number, text, None, 0, self.steps.index());
        for (number, text) in lines {
            candidate.precede(*number, text);
        }
        Some(candidate)
    }

    fn remember(&mut self, number: u64) {
        let mut slot = if self.ring.len() >= RING {
            self.ring.pop_front().map(|(_, text)| text).unwrap_or_default()
        } else {
            String::new()
        };
        slot.clear();
        slot.push_str(clip(self.decoder.text()));
        self.ring.push_back((number, slot));
    }
}

/// The heaviest rule, and of equally heavy ones the first.
trait Heaviest<'a> {
    fn rev_max(self) -> Option<(u16, &'a crate::rules::Rule)>;
}

impl<'a, I: Iterator<Item = (u16, &'a crate::rules::Rule)>> Heaviest<'a> for I {
    fn rev_max(self) -> Option<(u16, &'a crate::rules::Rule)> {
        self.reduce(|best, next| if next.1.weight > best.1.weight { next } else { best })
    }
}

/// The program logged the line below the level of an error.
fn is_muted(text: &str) -> bool {
    let head: &str = clip(text).get(..60).unwrap_or(text);
    [
        "[warn", "warning:", "warning]", "[info", " info ", " debug ", "[debug", "info:", "debug:", " warn ",
        "warn:",
    ]
    .iter()
    .any(|level| head.as_bytes().windows(level.len()).any(|part| part.eq_ignore_ascii_case(level.as_bytes())))
}

/// The part of a line that can be shown.
fn clip(text: &str) -> &str {
    let mut end = SHOWN.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
