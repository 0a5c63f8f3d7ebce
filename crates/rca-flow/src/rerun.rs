//! Analysing a job's log again, and what is different then.

use forge_core::{ErrorKind, ForgeClientExt, LogOptions, model::Job};
use rca_engine::{Evidence, Report};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    connect::value,
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow, now},
    integrations::audit,
    jobs::{Context, Guide, JobError, finish, introduced_by, read_log},
    monitor::repo_ref,
    rewording::{in_engines_words, reword},
    types::{EvidencePlace, ReportChange, Rerun},
};

impl Flow {
    /// Reads a job's log at the forge and analyses it again. The new report takes the place of the old one; nothing is
    /// posted.
    ///
    /// # Errors
    /// `not_found`; `not_finished` while the first analysis is under way; `log_gone` where there is no log to read
    /// again, and the old report stays; what the forge refuses.
    pub async fn rerun(&self, caller: &Caller, id: &str) -> Result<Rerun> {
        let analysis = self.store().get_analysis(&caller.workspace, id).await?;
        let mut analysis = analysis.ok_or_else(|| FlowError::not_found("analysis"))?;
        if matches!(analysis.state.as_str(), "queued" | "running") {
            return Err(conflict("not_finished", "the analysis is still under way: wait for its end"));
        }
        let Some(integration) = analysis.integration.clone() else {
            return Err(conflict("log_gone", "logs that were sent in are not kept: send it again"));
        };
        let integration = self.integration(&caller.workspace, &integration).await?;
        let repository = self.repository(&caller.workspace, &analysis.repository_key).await?;
        let client = self.client(&integration).await?;
        let context = Context { integration, repository, client };
        let repo = repo_ref(&context.repository);
        let ci = context.client.require_ci()?;
        let gone = |error: forge_core::Error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::Gone => {
                conflict("log_gone", "the forge has no log of this job any more: the report stays as it was")
            }
            _ => error.into(),
        };
        let mut job: Job = ci.get_job(&repo, &analysis.job_id).await.map_err(gone)?;
        if job.is_log_erased {
            return Err(conflict("log_gone", "the log was erased at the forge: the report stays as it was"));
        }
        if job.run_id.is_empty() {
            job.run_id.clone_from(&analysis.run_id);
        }
        let options = LogOptions::new(self.config().log_max_bytes);
        let home = job.repo.clone().unwrap_or(repo);
        let unavailable = |error: JobError| match error {
            JobError::Forge(error) => gone(error),
            JobError::Store(message) | JobError::Dead(message) => {
                FlowError::new(FlowErrorKind::Unavailable, "unavailable", message)
            }
        };
        let mut guide =
            Guide::of_job(self, &context, &analysis, &job, false).await.map_err(unavailable)?.anew();
        let guided = std::mem::take(&mut guide.writes);
        let log = ci.job_log(&home, &job, options).await;
        let read = read_log(self, &caller.workspace, guide, log).await.map_err(unavailable)?;
        let mut report = read.report;
        let before: Option<Report> =
            analysis.report.clone().and_then(|report| serde_json::from_value(report).ok());
        // A model's words differ from time to time and mean nothing.
        let before = before.map(|report| in_engines_words(report, &analysis));
        let told = introduced_by(self, &context, &analysis, &job, &report, None).await;
        analysis.introduced_by = Some(value(&told));
        let (changes, added, removed) = difference(before.as_ref(), &report);
        let last = LastRerun::of(now().to_string(), &changes, &added, &removed);
        if let Some(data) = analysis.data.as_object_mut() {
            data.insert(LAST.to_owned(), value(&last));
        }
        (analysis.input_key, analysis.reused_from) = (Some(read.input_key), None);
        reword(self, &mut analysis, &mut report).await;
        let mut writes = finish(&mut analysis, &report, now().as_millisecond());
        writes.extend(guided);
        let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
        writes.push(audit(caller, "analysis.rerun", id, json!({ "changed": fields })));
        self.store().write(writes).await?;
        Ok(Rerun {
            is_same: changes.is_empty() && added.is_empty() && removed.is_empty(),
            changes,
            evidence_added: added,
            evidence_removed: removed,
            analysis: self.get_analysis(caller, id).await?,
        })
    }
}

/// Under this name an analysis keeps what its last rerun changed.
const LAST: &str = "rerun";
/// Fields that are kept, and characters of each value: enough to be read, and a row stays small.
const MOST_FIELDS: usize = 40;
const MOST_CHARS: usize = 600;

/// What the last rerun of an analysis changed; nothing in it where the report stayed the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRerun {
    /// RFC 3339.
    pub at: String,
    /// Fields of the report that changed; long values are cut.
    pub changes: Vec<ReportChange>,
    /// Evidence that was not there before.
    pub evidence_added: Vec<EvidencePlace>,
    /// Evidence that is there no more.
    pub evidence_removed: Vec<EvidencePlace>,
}

impl LastRerun {
    fn of(at: String, changes: &[ReportChange], added: &[EvidencePlace], removed: &[EvidencePlace]) -> Self {
        let short = |value: &Value| match value {
            Value::String(text) => Value::from(forge_core::text::cut(text, MOST_CHARS)),
            Value::Array(_) | Value::Object(_) => {
                Value::from(forge_core::text::cut(&value.to_string(), MOST_CHARS))
            }
            other => other.clone(),
        };
        let kept = changes.iter().take(MOST_FIELDS).map(|change| ReportChange {
            field: change.field.clone(),
            before: short(&change.before),
            after: short(&change.after),
        });
        Self {
            at,
            changes: kept.collect(),
            evidence_added: added.to_vec(),
            evidence_removed: removed.to_vec(),
        }
    }

    pub(crate) fn read(data: &Value) -> Option<Self> {
        serde_json::from_value(data.get(LAST)?.clone()).ok()
    }

    /// Whether the report stayed as it was.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.changes.is_empty() && self.evidence_added.is_empty() && self.evidence_removed.is_empty()
    }
}

fn conflict(code: &'static str, message: &str) -> FlowError {
    FlowError::new(FlowErrorKind::Conflict, code, message)
}

type Difference = (Vec<ReportChange>, Vec<EvidencePlace>, Vec<EvidencePlace>);

/// Fields by their path, e.g. `failing.tests`; evidence by its lines, role and rule.
fn difference(before: Option<&Report>, after: &Report) -> Difference {
    let mut changes = Vec::new();
    let old = before.map(value).unwrap_or_default();
    compare("", &old, &value(after), &mut changes);
    let places = |report: &Report| report.evidence.iter().map(place).collect::<Vec<_>>();
    let (old, new) = (before.map(places).unwrap_or_default(), places(after));
    let only = |these: &[EvidencePlace], others: &[EvidencePlace]| -> Vec<EvidencePlace> {
        these.iter().filter(|place| !others.contains(place)).cloned().collect()
    };
    (changes, only(&new, &old), only(&old, &new))
}

fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<ReportChange>) {
    if let (Some(old), Some(new)) = (before.as_object(), after.as_object()) {
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            // Evidence is told by its places; steps are long and follow from the log.
            if path.is_empty() && matches!(name.as_str(), "evidence" | "steps") {
                continue;
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let (old, new) = (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
            compare(&path, old, new, changes);
        }
    } else if before != after {
        let field = if path.is_empty() { "report".to_owned() } else { path.to_owned() };
        let after = if path.is_empty() { Value::Null } else { after.clone() };
        changes.push(ReportChange { field, before: before.clone(), after });
    }
}

fn place(evidence: &Evidence) -> EvidencePlace {
    EvidencePlace {
        start_line: evidence.start_line,
        end_line: evidence.end_line,
        role: crate::connect::word(&evidence.role),
        rule: evidence.rule.clone(),
    }
}
