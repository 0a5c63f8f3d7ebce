//! A log and its report: what the analysis follows is gathered first, and a report that is known is not made again.

use std::time::{Duration, Instant};

use bytes::Bytes;
use forge_core::{LogStream, model::Job};
use futures_util::TryStreamExt;
use rca_engine::{Analyzer, Baseline, Report};
use rca_store::{Analysis, Write};
use sha2::{Digest, Sha256};

use super::{Context, JobError};
use crate::{
    baselines::{self, Green},
    flow::Flow,
    rewording::in_engines_words,
    rules,
};

/// So much of a log is held back until it is known whether it was analysed before. Longer ones are analysed as they come:
/// what they hash to is known at their end, when the work is done, and to hold them back would take memory for each task
/// that runs. So their reports are made anew, which costs seconds at the longest log.
const HELD: usize = 4 * 1024 * 1024;

/// What the analysis of a log follows besides the log.
#[derive(Debug)]
pub(crate) struct Guide {
    analyzer: Analyzer,
    notes: Vec<String>,
    /// Tells one guide from another.
    version: Sha256,
    /// A report is made even where one is known.
    is_anew: bool,
    /// To be written with the analysis.
    pub(crate) writes: Vec<Write>,
    /// What was asked of the forge on the way.
    pub(crate) green: Option<Green>,
}

/// A report, and what it follows from.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) report: Report,
    pub(crate) input_key: String,
    /// The analysis that has the report already.
    pub(crate) reused_from: Option<String>,
}

impl Guide {
    /// The rules of a workspace, for a log that no repository is known of.
    pub(crate) async fn of_workspace(flow: &Flow, workspace: &str) -> Result<Self, JobError> {
        Self::new(flow, workspace, None, None, None).await
    }

    /// The rules and the passing logs of a job. `may_ask`: where nothing is known of passing logs, the forge is asked.
    pub(crate) async fn of_job(
        flow: &Flow,
        context: &Context,
        analysis: &Analysis,
        job: &Job,
        may_ask: bool,
    ) -> Result<Self, JobError> {
        let mut baseline = baselines::stored(flow, context, &job.name).await?;
        let mut green = None;
        if baseline.is_none() && may_ask {
            (baseline, green) = baselines::needed(flow, context, analysis, job).await;
        }
        Self::new(flow, &analysis.workspace, Some(context), baseline, green).await
    }

    async fn new(
        flow: &Flow,
        workspace: &str,
        context: Option<&Context>,
        baseline: Option<Baseline>,
        green: Option<Green>,
    ) -> Result<Self, JobError> {
        let mut used = rules::in_use(flow, workspace, context).await?;
        let writes = std::mem::take(&mut used.writes);
        let mut version = Sha256::new();
        let engine = [rca_engine::VERSION, rca_engine::detectors_digest()];
        for part in engine.iter().map(|part| part.as_bytes()).chain([used.version().as_bytes()]) {
            version.update((part.len() as u64).to_be_bytes());
            version.update(part);
        }
        let (mut analyzer, notes) = used.analyzer();
        if let Some(baseline) = baseline {
            version.update(Sha256::digest(baseline.encode()));
            analyzer = analyzer.with_baseline(baseline);
        }
        for note in &notes {
            version.update(Sha256::digest(note.as_bytes()));
        }
        Ok(Self { analyzer, notes, version, is_anew: false, writes, green })
    }

    /// The same, for somebody who asks for a new report.
    pub(crate) fn anew(mut self) -> Self {
        self.is_anew = true;
        self
    }

    /// What the report of a log with this hash follows from.
    fn input_key(&self, sha256: &str, is_truncated: bool) -> String {
        let mut key = self.version.clone();
        key.update(sha256.as_bytes());
        key.update([u8::from(is_truncated)]);
        hex::encode(key.finalize())
    }

    /// Looks for the report of a log with this hash; it depends on nothing else.
    pub(crate) async fn known(
        &self,
        flow: &Flow,
        workspace: &str,
        sha256: &str,
        is_truncated: bool,
    ) -> Result<(String, Option<(Report, String)>), JobError> {
        let key = self.input_key(sha256, is_truncated);
        let known = flow.store().find_analysis_of(workspace, &key).await?;
        let known = known.and_then(|known| {
            let report = serde_json::from_value(known.report.clone()?).ok()?;
            // Each analysis is said in other words by itself, and keeps the engine's beside them.
            Some((in_engines_words(report, &known), known.id))
        });
        Ok((key, known))
    }

    /// The analyzer, and what is to be noted in its report.
    pub(crate) fn into_analyzer(self) -> (Analyzer, Vec<String>) {
        (self.analyzer, self.notes)
    }
}

/// The report of a log, which is streamed through.
pub(crate) async fn read(
    flow: &Flow,
    workspace: &str,
    guide: Guide,
    log: forge_core::Result<LogStream>,
) -> Result<Read, JobError> {
    let mut log = log?;
    let mut held: Vec<Bytes> = Vec::new();
    let (mut length, mut is_whole) = (0, true);
    while let Some(chunk) = log.bytes.try_next().await? {
        length += chunk.len();
        held.push(chunk);
        if length > HELD {
            is_whole = false;
            break;
        }
    }
    if is_whole && !guide.is_anew {
        let mut hash = Sha256::new();
        held.iter().for_each(|chunk| hash.update(chunk));
        let sha256 = hex::encode(hash.finalize());
        let (input_key, known) = guide.known(flow, workspace, &sha256, log.is_truncated()).await?;
        if let Some((report, id)) = known {
            return Ok(Read { report, input_key, reused_from: Some(id) });
        }
    }
    let version = guide.version.clone();
    let (mut analyzer, notes) = guide.into_analyzer();
    let mut time = Duration::ZERO;
    let mut push = |analyzer: &mut Analyzer, chunk: &[u8]| {
        let began = Instant::now();
        analyzer.push(chunk);
        time += began.elapsed();
    };
    for chunk in held {
        push(&mut analyzer, &chunk);
        // The engine computes; others share this thread.
        tokio::task::yield_now().await;
    }
    // A stream that has ended is not asked again.
    while !is_whole && let Some(chunk) = log.bytes.try_next().await? {
        push(&mut analyzer, &chunk);
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let mut report = analyzer.finish();
    flow.0.measures.log_done(report.log.bytes, time + began.elapsed());
    if log.is_truncated() {
        report.truncated = true;
        report.notes.push("the log was longer than the limit and was read only in part".to_owned());
    }
    report.notes.extend(notes);
    let mut key = version;
    key.update(report.log.sha256.as_bytes());
    key.update([u8::from(log.is_truncated())]);
    Ok(Read { report, input_key: hex::encode(key.finalize()), reused_from: None })
}
