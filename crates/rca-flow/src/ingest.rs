//! Logs that are sent to us by any CI system.

use std::time::Duration;

use rca_engine::redact::Redactor;
use rca_store::{Analysis, NewTask, SecretOwner, Write, new_id};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    connect::value,
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    jobs::{ANALYSE_LOG, LOG_SECRET, passed},
    types::{AnalysisView, IngestAnswer, IngestRequest},
};

/// The longest that a caller may wait for the report.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often the store is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// The longest of the short fields.
const FIELD_CHARS: usize = 500;

/// What a status word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// To be analysed.
    Failed,
    /// Passed: what the same job failed with before is over.
    Passed,
    /// Neither: cancelled, skipped, or not at its end.
    Otherwise,
}

/// Reads a status word of any CI system. A word that nobody knows counts as a failure: who sends a log here has a
/// reason to.
#[must_use]
pub fn ended(status: &str) -> Ended {
    match status.trim().to_lowercase().replace([' ', '-'], "_").as_str() {
        "success" | "successful" | "succeeded" | "passed" | "pass" | "ok" | "fixed" => Ended::Passed,
        "completed" | "complete" | "canceled" | "cancelled" | "aborted" | "killed" | "skipped"
        | "not_built" | "not_run" | "neutral" | "manual" | "running" | "pending" | "queued" | "created"
        | "waiting" | "blocked" | "on_hold" | "started" | "in_progress" | "declined" | "stale" => {
            Ended::Otherwise
        }
        _ => Ended::Failed,
    }
}

impl Flow {
    /// Takes a log. The same content, or the same idempotency key, is analysed once.
    ///
    /// The log is redacted before anything of it is stored, sealed while it waits, and wiped with the end of its
    /// analysis.
    ///
    /// # Errors
    /// `invalid_field`, `log_too_large`.
    pub async fn ingest(
        &self,
        caller: &Caller,
        request: IngestRequest,
        idempotency_key: Option<&str>,
    ) -> Result<IngestAnswer> {
        check(&request, idempotency_key, self.config().ingest_max_bytes)?;
        let ended = ended(&request.status);
        if ended == Ended::Passed {
            let writes = passed(self, &caller.workspace, &request).await.map_err(|error| {
                tracing::warn!(?error, "a log that passed was not taken in");
                FlowError::new(
                    FlowErrorKind::Unavailable,
                    "unavailable",
                    "the log could not be taken in; try again",
                )
            })?;
            if !writes.is_empty() {
                self.store().write(writes).await?;
            }
        }
        if ended != Ended::Failed {
            return Ok(IngestAnswer {
                status: "ignored",
                analysis_id: None,
                location: None,
                reason: Some(format!("the status '{}' is not a failure", short(&request.status))),
                warnings: warnings(&request),
            });
        }
        let warnings = warnings(&request);
        let sha256 = hex::encode(Sha256::digest(request.log.as_bytes()));
        let key = match idempotency_key {
            Some(key) => digest(&["key", key]),
            None => digest(&[
                "content",
                &request.provider,
                &request.project,
                request.pipeline_id.as_deref().unwrap_or_default(),
                request.build_number.as_deref().unwrap_or_default(),
                request.job_id.as_deref().unwrap_or_default(),
                request.job_name.as_deref().unwrap_or_default(),
                &sha256,
            ]),
        };
        let bytes = request.log.len();
        let run_id = request.pipeline_id.clone().or(request.build_number.clone()).unwrap_or_default();
        let wanted = Analysis {
            id: new_id(),
            workspace: caller.workspace.clone(),
            forge: request.provider.clone(),
            // The content decides what is the same; two attempts of one job are two analyses.
            repository_key: format!("{}:{}", request.project, key),
            repository: request.project.clone(),
            run_id,
            attempt: 1,
            job_id: request.job_id.clone().unwrap_or_else(|| "log".to_owned()),
            job_name: request.job_name.clone(),
            branch: request.branch.clone(),
            commit_sha: request.commit_sha.clone(),
            pipeline_url: request.pipeline_url.clone(),
            source: "ingest".to_owned(),
            state: "queued".to_owned(),
            idempotency_key: Some(key),
            data: json!({ "status": short(&request.status), "build_number": request.build_number }),
            ..Analysis::default()
        };
        let (analysis, is_new) = self.store().create_analysis_if_new(wanted).await?;
        // One that is still queued may have lost its task to a crash before the first answer: it is given again.
        if is_new || analysis.state == "queued" {
            let log = request.log;
            let redacted = tokio::task::spawn_blocking(move || redact(&log));
            let (log, redactions) = redacted.await.map_err(|_| {
                FlowError::new(
                    FlowErrorKind::Unavailable,
                    "unavailable",
                    "the log could not be redacted; try again",
                )
            })?;
            let payload = json!({
                "analysis": analysis.id, "redactions": redactions, "sha256": sha256, "bytes": bytes,
            });
            self.store()
                .write(vec![
                    Write::PutSecret {
                        workspace: caller.workspace.clone(),
                        owner: SecretOwner::new("analysis", analysis.id.clone()),
                        name: LOG_SECRET.to_owned(),
                        secret: log,
                    },
                    Write::Enqueue(NewTask::new(
                        caller.workspace.clone(),
                        ANALYSE_LOG,
                        format!("analyse:{}", analysis.id),
                        payload,
                    )),
                ])
                .await?;
        }
        Ok(IngestAnswer {
            status: if is_new { "accepted" } else { "duplicate" },
            location: Some(format!("/v1/analyses/{}", analysis.id)),
            analysis_id: Some(analysis.id),
            reason: None,
            warnings,
        })
    }

    /// The analysis, once it has ended or `wait` (at most a minute) is over.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn wait_for_analysis(&self, caller: &Caller, id: &str, wait: Duration) -> Result<AnalysisView> {
        let until = tokio::time::Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            let view = self.get_analysis(caller, id).await?;
            if !matches!(view.state.as_str(), "queued" | "running") || tokio::time::Instant::now() >= until {
                return Ok(view);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

fn redact(log: &str) -> (SecretString, Value) {
    let mut redactor = Redactor::new();
    let mut clean = Vec::with_capacity(log.len());
    redactor.push(log.as_bytes(), &mut clean);
    let redactions = redactor.finish(&mut clean);
    (SecretString::from(String::from_utf8_lossy(&clean).into_owned()), value(&redactions))
}

fn check(request: &IngestRequest, key: Option<&str>, limit: usize) -> Result<()> {
    if request.log.len() > limit {
        return Err(FlowError::new(
            FlowErrorKind::TooLarge,
            "log_too_large",
            format!("the log has {} bytes; at most {limit} are taken: send its end", request.log.len()),
        ));
    }
    for (name, value) in
        [("provider", &request.provider), ("project", &request.project), ("status", &request.status)]
    {
        if value.trim().is_empty() {
            return Err(FlowError::invalid_field(name, "is empty"));
        }
    }
    let optional = [
        ("pipeline_id", &request.pipeline_id),
        ("job_id", &request.job_id),
        ("job_name", &request.job_name),
        ("branch", &request.branch),
        ("commit_sha", &request.commit_sha),
        ("pipeline_url", &request.pipeline_url),
        ("build_number", &request.build_number),
    ];
    let given = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let required =
        [("provider", &request.provider), ("project", &request.project), ("status", &request.status)];
    for (name, value) in given.chain(required) {
        if value.chars().count() > FIELD_CHARS {
            return Err(FlowError::invalid_field(name, format!("is longer than {FIELD_CHARS} characters")));
        }
        if value.chars().any(char::is_control) {
            return Err(FlowError::invalid_field(name, "holds control characters"));
        }
    }
    if let Some(url) = &request.pipeline_url {
        let is_web = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_web {
            return Err(FlowError::invalid_field("pipeline_url", "is no http or https address"));
        }
    }
    if key.is_some_and(|key| key.is_empty() || key.len() > 200) {
        return Err(FlowError::invalid_field("Idempotency-Key", "has 1 to 200 characters"));
    }
    Ok(())
}

/// Variables that the sender's shell did not replace, e.g. because they stood in single quotes.
fn warnings(request: &IngestRequest) -> Vec<String> {
    let fields = [
        ("project", Some(&request.project)),
        ("pipeline_id", request.pipeline_id.as_ref()),
        ("job_id", request.job_id.as_ref()),
        ("job_name", request.job_name.as_ref()),
        ("branch", request.branch.as_ref()),
        ("commit_sha", request.commit_sha.as_ref()),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(_, value)| {
            let rest = value
                .strip_prefix("${")
                .or_else(|| value.strip_prefix('$'))
                .or_else(|| value.strip_prefix('%'));
            rest.is_some_and(|rest| {
                rest.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
            })
        })
        .map(|(name, value)| {
            format!(
                "{name} is the literal text '{}': the variable was not replaced; put it in double quotes",
                short(value)
            )
        })
        .collect()
}

fn short(text: &str) -> String {
    crate::markdown::cut(&crate::markdown::visible(text), 60)
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}
