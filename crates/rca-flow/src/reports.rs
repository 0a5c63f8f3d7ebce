//! Reports that do not come from a job's log.

use rca_engine::{Category, Evidence, EvidenceRole, Report, Severity, Status, redact::Redactor};

/// A run whose configuration the forge refused: its message is all there is, and it is the proof.
pub(crate) fn config_error(text: &str) -> Report {
    // Redacted first: everything below is quoted from it.
    let mut redactor = Redactor::new();
    let mut clean = Vec::with_capacity(text.len());
    redactor.push(text.replace('\r', "\n").as_bytes(), &mut clean);
    redactor.finish(&mut clean);
    let text = String::from_utf8_lossy(&clean).into_owned();
    let mut report = rca_engine::analyze(text.as_bytes());
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let first = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(0);
    let cause = lines.get(first).map(|line| line.trim().to_owned()).unwrap_or_default();
    let shown: Vec<String> = lines.into_iter().take(30).collect();
    report.status = Status::CauseFound;
    report.template.clone_from(&cause);
    report.fingerprint = fingerprint(&cause);
    report.root_cause = cause;
    report.explanation = "The forge refused the pipeline's configuration, so no job was started.".to_owned();
    report.fix_suggestion =
        "Correct the configuration file at the reported place; most forges have a linter for it.".to_owned();
    report.category = Category::ConfigError;
    report.domain = Category::ConfigError.domain();
    report.severity = Severity::High;
    report.confidence = 0.95;
    report.needs_more_context = false;
    report.missing_context_hint = String::new();
    report.evidence = vec![Evidence {
        rank: 1,
        start_line: 1,
        end_line: (shown.len() as u64).max(1),
        focus_line: first as u64 + 1,
        role: EvidenceRole::Cause,
        step: String::new(),
        rule: "config_error".to_owned(),
        score: 100,
        why: vec!["the forge's own message".to_owned()],
        excerpt: shown,
    }];
    report.notes.push("there is no log: the text is the forge's message".to_owned());
    report
}

fn fingerprint(cause: &str) -> String {
    use sha2::{Digest, Sha256};
    let mut digest = hex::encode(Sha256::digest(format!("config_error\n{cause}")));
    digest.truncate(32);
    digest
}
