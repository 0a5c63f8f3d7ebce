//! The rules that an analysis follows: those of the workspace, then those of the repository's `.forge-rca.toml`.
//!
//! The file is read from the default branch, not at the commit that failed: who may open a pull request could otherwise
//! write the rule that hides its own failure, and a fork's file would be a stranger's. A file that cannot be used costs
//! a note in the report and one incident, never the analysis.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use forge_core::{
    ErrorKind,
    text::{cut, visible},
};
use rca_engine::{Analyzer, Rules};
use rca_store::{NewIncident, Write};
use sha2::{Digest, Sha256};

use crate::{
    flow::Flow,
    jobs::{Context, JobError},
    monitor::repo_ref,
    settings,
};

/// Where a repository keeps its rules.
pub(crate) const FILE: &str = ".forge-rca.toml";
/// The most of a repository's file that is read: compiled rules take a hundred times as much.
const MOST_BYTES: usize = 64 * 1024;
/// How long a file is taken for what the branch has.
const FRESH: Duration = Duration::from_mins(10);
/// And what could not be read for now.
const FRESH_FAILURE: Duration = Duration::from_mins(1);
/// How long the forge may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Files that are kept; beyond it all are forgotten.
const KEPT: usize = 2_000;
/// Characters of a fault in notes and incidents.
const FAULT: usize = 300;
const INCIDENT: &str = "rules_invalid";

/// The rules files of repositories as they were read last. Their texts only: compiled they are large.
#[derive(Debug, Default)]
pub(crate) struct RuleFiles(Mutex<HashMap<String, (Instant, File)>>);

#[derive(Debug, Clone)]
enum File {
    Absent,
    Text(Arc<str>),
    /// There, and of no use.
    Fault(String),
    /// Perhaps there.
    Unread(String),
}

/// What an analysis follows, and what is said of it.
#[derive(Debug, Default)]
pub(crate) struct RulesInUse {
    rules: Vec<Rules>,
    notes: Vec<String>,
    hash: Sha256,
    /// To be written with the analysis: the incident of a faulty file, or its end.
    pub(crate) writes: Vec<Write>,
}

impl RulesInUse {
    /// An analyzer that follows them; those of the workspace are believed first.
    pub(crate) fn analyzer(self) -> (Analyzer, Vec<String>) {
        (self.rules.into_iter().fold(Analyzer::new(), Analyzer::with_rules), self.notes)
    }

    /// Tells these rules from others.
    pub(crate) fn version(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }

    async fn add(&mut self, text: String) -> Result<(), String> {
        let hash = Sha256::digest(text.as_bytes());
        // Compiling two hundred patterns takes its time.
        let parsed = tokio::task::spawn_blocking(move || Rules::parse(&text)).await;
        let rules = parsed.map_err(|_| "reading it was interrupted".to_owned())?;
        let rules = rules.map_err(|error| {
            let fault = cut(&visible(&error.to_string()), FAULT);
            format!("{fault}; correct it and try it with 'forge-rca rules test'")
        })?;
        self.hash.update(hash);
        self.rules.push(rules);
        Ok(())
    }
}

/// The rules of a workspace, and of a repository where there is one.
pub(crate) async fn in_use(
    flow: &Flow,
    workspace: &str,
    context: Option<&Context>,
) -> Result<RulesInUse, JobError> {
    let mut used = RulesInUse::default();
    let settings = flow.store().get_settings(workspace).await?;
    if let Some(text) = settings::rules(&settings)
        && let Err(fault) = used.add(text.to_owned()).await
    {
        // It was tried when it was set; another version of this program may know other keys.
        used.notes.push(format!("the rules in the settings are not used: {fault}"));
    }
    if let Some(context) = context {
        add_file(flow, context, &mut used).await;
    }
    Ok(used)
}

async fn add_file(flow: &Flow, context: &Context, used: &mut RulesInUse) {
    let repository = &context.repository;
    let Some(branch) = repository.default_branch.as_deref() else { return };
    let (file, is_new) = match flow.0.rule_files.get(&repository.id) {
        Some(known) => (known, false),
        None => {
            let file = read(context, branch).await;
            flow.0.rule_files.put(&repository.id, file.clone());
            (file, true)
        }
    };
    let fault = match file {
        File::Absent => None,
        File::Text(text) => used.add(text.to_string()).await.err(),
        File::Fault(fault) => Some(fault),
        File::Unread(reason) => {
            used.notes.push(format!("{FILE} on {branch} could not be read and is not followed: {reason}"));
            return;
        }
    };
    let (workspace, integration) = (&repository.workspace, Some(repository.integration.clone()));
    if let Some(fault) = fault {
        used.notes.push(format!("{FILE} on {branch} is not followed: {fault}"));
        used.writes.push(Write::OpenIncident(NewIncident {
            workspace: workspace.clone(),
            code: INCIDENT.to_owned(),
            severity: "low".to_owned(),
            message: format!("{FILE} of {} is not followed: {fault}", repository.full_name),
            remedy: format!("correct the file on {branch}; it is read again within ten minutes"),
            integration,
            repository: Some(repository.id.clone()),
        }));
    } else if is_new {
        used.writes.push(Write::ResolveIncident {
            workspace: workspace.clone(),
            code: INCIDENT.to_owned(),
            integration,
            repository: Some(repository.id.clone()),
        });
    }
}

async fn read(context: &Context, branch: &str) -> File {
    let Some(facts) = context.client.facts().filter(|_| context.client.capabilities().files) else {
        return File::Absent;
    };
    let repo = repo_ref(&context.repository);
    match tokio::time::timeout(PATIENCE, facts.read_file(&repo, branch, FILE)).await {
        Ok(Ok(None)) => File::Absent,
        Ok(Ok(Some(text))) if text.len() <= MOST_BYTES => File::Text(text.into()),
        Ok(Ok(Some(_))) => too_large(),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::TooLarge => too_large(),
            // A credential that may not read files says nothing of whether there is one.
            ErrorKind::Forbidden | ErrorKind::Unsupported => File::Absent,
            _ => File::Unread(cut(&visible(error.message()), FAULT)),
        },
        Err(_) => File::Unread("the forge took too long".to_owned()),
    }
}

fn too_large() -> File {
    File::Fault(format!("it is larger than {} KiB: remove rules that match nothing", MOST_BYTES / 1024))
}

impl RuleFiles {
    fn get(&self, repository: &str) -> Option<File> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, file) = files.get(repository)?;
        let fresh = if matches!(file, File::Unread(_)) { FRESH_FAILURE } else { FRESH };
        (read_at.elapsed() < fresh).then(|| file.clone())
    }

    fn put(&self, repository: &str, file: File) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= KEPT {
            files.clear();
        }
        files.insert(repository.to_owned(), (Instant::now(), file));
    }
}
