//! What the report page shows, made ready for its template.

use std::collections::BTreeMap;

use rca_engine::{Category, Evidence, EvidenceRole, Report, Retry, Status, StepStatus};
use rca_flow::{
    rewording::is_reworded,
    types::{AnalysisView, ClusterView, FeedbackView},
    whole::{OtherJob, ToldChannel, VerdictView, WholeAnalysis},
};

use super::{difference::Difference, links::Links};
use crate::{
    frame::{Frame, outer_link},
    pages::{
        rows::{self, Part, parts, percent, word},
        runs,
    },
};

/// Steps beyond this many are not outlined.
const MOST_STEPS: usize = 500;

/// The page.
pub(super) struct ReportView {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) badge: &'static str,
    pub(super) badge_word: String,
    pub(super) crumbs: Vec<Crumb>,
    pub(super) created_at: String,
    /// `queued`, `running`, `done`, `failed` or `no_log`.
    pub(super) state: String,
    pub(super) is_open: bool,
    /// The engine's word for the report, empty where there is none.
    pub(super) status: String,
    pub(super) error: String,
    pub(super) is_ingested: bool,
    pub(super) integration: Option<String>,
    /// The analysis of the same log whose report this is.
    pub(super) reused_from: Option<String>,
    /// Whether a model put explanation and advice into words.
    pub(super) is_reworded: bool,
    /// Whether something was not posted.
    pub(super) has_silent: bool,
    pub(super) may_rerun: bool,
    pub(super) has_report: bool,
    pub(super) has_cause: bool,
    pub(super) place: Option<Place>,
    pub(super) sure: i64,
    pub(super) whose: String,
    pub(super) whose_class: &'static str,
    pub(super) whose_reason: String,
    pub(super) retry: String,
    pub(super) explanation: String,
    pub(super) advice: String,
    pub(super) missing: String,
    pub(super) is_truncated: bool,
    pub(super) redacted: u64,
    pub(super) notes: Vec<String>,
    pub(super) log_lines: u64,
    pub(super) evidence: Vec<EvidenceView>,
    pub(super) more_evidence: Vec<EvidenceView>,
    pub(super) tests: Vec<TestRow>,
    pub(super) places: Vec<PlaceRow>,
    pub(super) packages: Vec<String>,
    pub(super) command: String,
    pub(super) exit_code: String,
    pub(super) consequences: Vec<Lines>,
    pub(super) same_cause: Vec<OtherJob>,
    pub(super) other_jobs: Vec<OtherJob>,
    /// The page of the run as a whole, where a forge has it.
    pub(super) run_href: Option<String>,
    pub(super) cluster: Option<ClusterLine>,
    pub(super) posted: Vec<PostedRow>,
    pub(super) silence: &'static str,
    pub(super) told: Vec<ToldRow>,
    pub(super) verdict: Option<VerdictView>,
    pub(super) difference: Option<Difference>,
    pub(super) steps: Vec<StepRow>,
    pub(super) technical: Vec<(String, String)>,
}

/// A piece of the line that says where the failure is.
pub(super) struct Crumb {
    pub(super) label: String,
    pub(super) text: String,
    pub(super) href: Option<String>,
    pub(super) is_inner: bool,
    pub(super) is_code: bool,
}

/// A place in the source.
pub(super) struct Place {
    pub(super) text: String,
    pub(super) href: Option<String>,
}

pub(super) struct TestRow {
    pub(super) name: String,
    pub(super) place: Option<Place>,
    pub(super) message: String,
    pub(super) first: String,
}

pub(super) struct PlaceRow {
    pub(super) place: Place,
    pub(super) message: String,
}

/// Lines of the log, by their numbers.
pub(super) struct Lines {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) rule: String,
    pub(super) href: String,
}

pub(super) struct EvidenceView {
    pub(super) role: String,
    pub(super) step: String,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) rule: String,
    pub(super) why: Vec<String>,
    pub(super) href: String,
    pub(super) lines: Vec<LineView>,
}

pub(super) struct LineView {
    pub(super) number: u64,
    /// Only where no earlier excerpt shows the same line.
    pub(super) has_anchor: bool,
    pub(super) is_focus: bool,
    pub(super) parts: Vec<Part>,
}

pub(super) struct ClusterLine {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) state_class: &'static str,
    pub(super) count: i64,
    pub(super) repositories: usize,
    pub(super) first_seen_at: String,
    pub(super) last_fix: Option<Crumb>,
}

pub(super) struct PostedRow {
    pub(super) target: String,
    pub(super) state: String,
    pub(super) class: &'static str,
    pub(super) href: Option<String>,
    pub(super) reason: String,
}

pub(super) struct ToldRow {
    pub(super) channel: ToldChannel,
    pub(super) class: &'static str,
}

pub(super) struct StepRow {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) class: &'static str,
    pub(super) status: String,
    pub(super) seconds: String,
    pub(super) href: String,
}

impl ReportView {
    pub(super) fn of(f: &Frame, whole: WholeAnalysis) -> Self {
        let analysis = &whole.analysis;
        let links = Links::of(analysis, whole.repository_url.as_deref());
        let is_ingested = analysis.integration_id.is_none();
        let is_open = matches!(analysis.state.as_str(), "queued" | "running");
        let report = analysis.report.as_ref();
        let has_cause = report.is_some_and(|report| report.status == Status::CauseFound);
        let status = report.map(|report| word(&report.status)).unwrap_or_default();
        let title = match report {
            Some(report) if has_cause => report.root_cause.clone(),
            Some(_) => f.word("report_status", &status),
            None => f.word("report_state", &analysis.state),
        };
        let badge_word = match report {
            Some(report) if has_cause => f.word("category", &word(&report.category)),
            _ => f.word("report_badge", &rows::state_word(analysis)),
        };
        let (same_cause, other_jobs) = whole.other_jobs.into_iter().partition(|job| job.is_same_cause);
        let (whose, whose_class) = match analysis.introduced_by.verdict.as_str() {
            verdict @ "this_change" => (f.word("whose", verdict), "red"),
            verdict @ ("base_branch" | "flaky" | "infrastructure") => (f.word("whose", verdict), "amber"),
            _ => (f.word("whose", "unknown"), "grey"),
        };
        let mut page = Self {
            id: analysis.id.clone(),
            title,
            badge: rows::badge(analysis),
            badge_word,
            crumbs: crumbs(f, analysis, &links, whole.build_number.as_deref()),
            created_at: analysis.created_at.clone(),
            state: analysis.state.clone(),
            is_open,
            status,
            error: analysis.error.clone().unwrap_or_default(),
            is_ingested,
            integration: analysis.integration_id.clone(),
            reused_from: analysis.reused_from.clone(),
            is_reworded: report.is_some_and(is_reworded),
            has_silent: analysis.feedback.iter().any(|it| matches!(it.state.as_str(), "skipped" | "failed")),
            may_rerun: f.may_write() && !is_ingested && !is_open,
            has_report: report.is_some(),
            has_cause,
            place: None,
            sure: report.map_or(0, |report| percent(report.confidence)),
            whose,
            whose_class,
            whose_reason: analysis.introduced_by.reason.clone(),
            retry: String::new(),
            explanation: String::new(),
            advice: String::new(),
            missing: String::new(),
            is_truncated: false,
            redacted: 0,
            notes: Vec::new(),
            log_lines: 0,
            evidence: Vec::new(),
            more_evidence: Vec::new(),
            tests: Vec::new(),
            places: Vec::new(),
            packages: Vec::new(),
            command: String::new(),
            exit_code: String::new(),
            consequences: Vec::new(),
            same_cause,
            other_jobs,
            run_href: analysis
                .integration_id
                .as_deref()
                .map(|of| runs::address(of, &analysis.repository, &analysis.root_run_id)),
            cluster: whole.cluster.map(|cluster| cluster_line(cluster, &links)),
            posted: analysis.feedback.iter().map(|feedback| posted(f, feedback)).collect(),
            silence: silence(analysis, whole.is_posted),
            told: told(whole.notifications),
            verdict: whole.verdict,
            difference: whole.rerun.as_ref().map(|last| Difference::of(f, &analysis.id, last)),
            steps: Vec::new(),
            technical: Vec::new(),
        };
        if let Some(report) = report {
            page.fill(f, report, &links, &whole.first_failures);
        }
        page
    }

    fn fill(&mut self, f: &Frame, report: &Report, links: &Links, first: &BTreeMap<String, String>) {
        self.retry = match report.retry_likely_helps {
            Retry::Yes => f.t("report.retry_yes"),
            Retry::No => f.t("report.retry_no"),
            Retry::Maybe => f.t("report.retry_maybe"),
        };
        self.explanation.clone_from(&report.explanation);
        self.advice.clone_from(&report.fix_suggestion);
        self.missing.clone_from(&report.missing_context_hint);
        self.is_truncated = report.truncated;
        self.redacted = report.redactions.count;
        self.notes.clone_from(&report.notes);
        self.log_lines = report.log.lines;
        self.packages.clone_from(&report.failing.packages);
        self.command = report.failing.command.clone().unwrap_or_default();
        self.exit_code = report.failing.exit_code.map(|code| code.to_string()).unwrap_or_default();
        self.tests = report
            .failing
            .tests
            .iter()
            .map(|test| TestRow {
                name: test.name.clone(),
                place: test.file.as_deref().map(|file| place(links, file, test.line)),
                message: test.message.clone().unwrap_or_default(),
                first: first
                    .get(&test.name.chars().take(300).collect::<String>())
                    .cloned()
                    .unwrap_or_default(),
            })
            .collect();
        self.places = report
            .failing
            .locations
            .iter()
            .map(|found| PlaceRow {
                place: place(links, &found.path, found.line),
                message: found.message.clone(),
            })
            .collect();
        let of_test = report.failing.tests.iter().find(|test| test.file.is_some());
        self.place = match (of_test, report.failing.locations.first()) {
            (Some(test), _) => test.file.as_deref().map(|file| place(links, file, test.line)),
            (None, Some(found)) => Some(place(links, &found.path, found.line)),
            (None, None) => None,
        };
        let mut shown = std::collections::BTreeSet::new();
        let mut all = report.evidence.iter().map(|evidence| {
            let mut view = evidence_view(f, &self.id, evidence);
            for line in &mut view.lines {
                line.has_anchor = shown.insert(line.number);
            }
            (evidence.role, view)
        });
        // The first is the proof; a second one of equal standing is shown too, the rest is folded.
        self.evidence.extend(all.next().map(|(_, view)| view));
        for (role, view) in all {
            let is_equal = role == EvidenceRole::Cause && self.evidence.len() < 2;
            if is_equal { &mut self.evidence } else { &mut self.more_evidence }.push(view);
        }
        self.consequences = report
            .consequences
            .iter()
            .map(|it| Lines {
                start: it.start_line,
                end: it.end_line,
                rule: it.rule.clone(),
                href: log_href(&self.id, it.start_line, it.end_line),
            })
            .collect();
        self.steps = report
            .steps
            .iter()
            .take(MOST_STEPS)
            .map(|step| StepRow {
                name: step.name.clone(),
                start: step.start_line,
                end: step.end_line,
                class: match step.status {
                    StepStatus::Failed => "red",
                    StepStatus::Passed => "green",
                    _ => "grey",
                },
                status: f.word("step", &word(&step.status)),
                seconds: step
                    .seconds
                    .map(|seconds| f.seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
                    .unwrap_or_default(),
                href: log_href(&self.id, step.start_line, step.start_line),
            })
            .collect();
        self.technical = technical(f, report);
    }
}

pub(super) fn log_href(id: &str, from: u64, to: u64) -> String {
    let range = if to > from { format!("{from}-{to}") } else { from.to_string() };
    format!("/analyses/{id}/log?lines={range}#L{from}")
}

fn technical(f: &Frame, report: &Report) -> Vec<(String, String)> {
    let mut facts = vec![
        (f.t("report.domain"), f.word("domain", &word(&report.domain))),
        (f.t("report.severity"), f.word("severity", &word(&report.severity))),
        (f.t("report.fingerprint"), report.fingerprint.clone()),
        (f.t("report.dialect"), report.log.dialect.clone()),
        (
            f.t("report.log_size"),
            f.t2("report.log_size_value", f.number(report.log.lines), f.number(report.log.bytes)),
        ),
        (f.t("report.log_hash"), report.log.sha256.clone()),
    ];
    if report.baseline.used {
        facts.push((f.t("report.baseline"), f.number(report.baseline.novel_lines)));
    }
    if let Some(tool) = &report.failing.tool {
        facts.insert(0, (f.t("report.tool"), tool.clone()));
    }
    if report.category == Category::Unknown {
        facts.retain(|(_, value)| !value.is_empty());
    }
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn place(links: &Links, path: &str, line: Option<u64>) -> Place {
    let text = line.map_or_else(|| path.to_owned(), |line| format!("{path}:{line}"));
    Place { text, href: links.file(path, line) }
}

fn evidence_view(f: &Frame, id: &str, evidence: &Evidence) -> EvidenceView {
    let lines = evidence
        .excerpt
        .iter()
        .zip(evidence.start_line..)
        .map(|(line, number)| LineView {
            number,
            has_anchor: false,
            is_focus: number == evidence.focus_line,
            parts: parts(line),
        })
        .collect();
    EvidenceView {
        role: f.word("evidence_role", &word(&evidence.role)),
        step: evidence.step.clone(),
        start: evidence.start_line,
        end: evidence.end_line,
        rule: evidence.rule.clone(),
        why: evidence.why.clone(),
        href: log_href(id, evidence.start_line, evidence.end_line),
        lines,
    }
}

fn crumbs(f: &Frame, analysis: &AnalysisView, links: &Links, number: Option<&str>) -> Vec<Crumb> {
    let outer = |label: &str, text: String, href: Option<String>, is_code: bool| Crumb {
        label: f.t(label),
        text,
        href,
        is_inner: false,
        is_code,
    };
    let given = |url: &Option<String>| url.as_deref().and_then(outer_link).map(str::to_owned);
    let mut crumbs = vec![match links.repository() {
        Some(href) => outer("report.repository", analysis.repository.clone(), Some(href), false),
        None => {
            let query: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("repository", &analysis.repository)
                .finish();
            Crumb {
                is_inner: true,
                ..outer(
                    "report.repository",
                    analysis.repository.clone(),
                    Some(format!("/failures?{query}")),
                    false,
                )
            }
        }
    }];
    let run = number.unwrap_or(&analysis.run_id);
    if !run.is_empty() {
        let text = if analysis.attempt > 1 {
            f.t2("report.run_attempt", run, analysis.attempt)
        } else {
            f.t1("report.run", run)
        };
        crumbs.push(outer("report.run_label", text, given(&analysis.pipeline_url), false));
    }
    if let Some(branch) = &analysis.branch {
        crumbs.push(outer("report.branch", branch.clone(), links.branch(branch), true));
    }
    if let Some(pr) = &analysis.pr {
        crumbs.push(outer("report.pull_label", f.t1("report.pull", pr), links.pull(pr), false));
    }
    if let Some(sha) = &analysis.commit_sha {
        let short = sha.chars().take(8).collect();
        crumbs.push(outer("report.commit", short, links.commit(sha), true));
    }
    let job = analysis.job_name.clone().unwrap_or_else(|| analysis.job_id.clone());
    if analysis.integration_id.is_some() || analysis.job_name.is_some() {
        crumbs.push(outer("report.job_label", f.t1("report.job", job), given(&analysis.job_url), false));
    }
    crumbs
}

fn cluster_line(cluster: ClusterView, links: &Links) -> ClusterLine {
    let state_class = match cluster.state.as_str() {
        "active" => "red",
        "acknowledged" => "amber",
        _ => "green",
    };
    let last_fix = cluster.last_fix.map(|sha| Crumb {
        label: String::new(),
        text: sha.chars().take(8).collect(),
        href: links.commit(&sha),
        is_inner: false,
        is_code: true,
    });
    ClusterLine {
        id: cluster.id,
        state: cluster.state,
        state_class,
        count: cluster.count,
        repositories: cluster.repositories.len(),
        first_seen_at: cluster.first_seen_at,
        last_fix,
    }
}

fn posted(f: &Frame, feedback: &FeedbackView) -> PostedRow {
    let (kind, rest) = feedback.target.split_once(':').unwrap_or((feedback.target.as_str(), ""));
    let target = match kind {
        "pr" => f.t1("report.posted_pull", rest),
        "commit" => f.t1("report.posted_commit", rest.chars().take(8).collect::<String>()),
        kind => f.word("posted_target", kind),
    };
    PostedRow {
        target,
        state: feedback.state.clone(),
        class: match feedback.state.as_str() {
            "posted" | "updated" => "green",
            "failed" => "amber",
            _ => "grey",
        },
        href: feedback.url.as_deref().and_then(outer_link).map(str::to_owned),
        reason: feedback.reason.clone().unwrap_or_default(),
    }
}

/// The key of the sentence that says why nothing was posted; empty where something was, or will be.
fn silence(analysis: &AnalysisView, is_posted: bool) -> &'static str {
    match analysis.source.as_str() {
        _ if !analysis.feedback.is_empty() => "",
        "ingest" => "report.silence_ingest",
        "backfill" if !is_posted => "report.silence_backfill",
        "manual" if !is_posted => "report.silence_manual",
        _ if matches!(analysis.state.as_str(), "queued" | "running") => "",
        _ => "report.silence_soon",
    }
}

/// Of a run with several causes a channel hears several times: what reads the same is one row.
fn told(mut channels: Vec<ToldChannel>) -> Vec<ToldRow> {
    channels.dedup_by(|one, other| {
        (&one.channel_id, &one.event, &one.state, &one.error)
            == (&other.channel_id, &other.event, &other.state, &other.error)
    });
    let class = |state: &str| match state {
        "sent" => "green",
        "failed" | "unknown" => "amber",
        _ => "grey",
    };
    channels.into_iter().map(|channel| ToldRow { class: class(&channel.state), channel }).collect()
}
