//! What passing logs of the same job look like, kept small.

mod encoding;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::frame::Decoder;
use crate::input::{Intake, LineSplitter};
use crate::redact::Redactor;
use crate::template;

pub use self::encoding::BaselineError;

/// Templates kept at most; a log with more distinct lines than this is not predictable anyway.
const TEMPLATE_LIMIT: usize = 200_000;

/// A compact summary of passing logs: hashes of their masked lines, not the lines.
///
/// It can be stored instead of the logs, merged, and updated with each passing run. It holds at most
/// 200,000 hashes (1.6 MB).
///
/// ```
/// let mut learner = rca_engine::Baseline::new().learn();
/// learner.push(b"compiling app v0.1.0\nfinished in 3.2 s\n");
/// let baseline = learner.finish();
/// assert_eq!(baseline.logs(), 1);
/// assert_eq!(baseline.templates(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    logs: u32,
    templates: BTreeSet<u64>,
}

/// Reads one passing log into a [`Baseline`], in pieces of any size.
#[derive(Debug)]
pub struct Learner {
    baseline: Baseline,
    intake: Intake,
    redactor: Redactor,
    redacted: Vec<u8>,
    splitter: LineSplitter,
    decoder: Decoder,
}

impl Baseline {
    /// A baseline of no logs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to read one more passing log.
    pub fn learn(self) -> Learner {
        Learner {
            baseline: self,
            intake: Intake::default(),
            redactor: Redactor::new(),
            redacted: Vec::new(),
            splitter: LineSplitter::default(),
            decoder: Decoder::default(),
        }
    }

    /// Adds what another baseline knows.
    pub fn merge(&mut self, other: &Self) {
        self.logs = self.logs.saturating_add(other.logs);
        for &hash in &other.templates {
            self.insert(hash);
        }
    }

    /// How many passing logs it was learned from.
    pub const fn logs(&self) -> u32 {
        self.logs
    }

    /// How many distinct masked lines it knows.
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    /// Whether nothing was learned yet.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    pub(crate) fn contains(&self, hash: u64) -> bool {
        self.templates.contains(&hash)
    }

    fn insert(&mut self, hash: u64) {
        // The smallest hashes stay, so that the order of logs and merges does not matter.
        if self.templates.insert(hash) && self.templates.len() > TEMPLATE_LIMIT {
            self.templates.pop_last();
        }
    }
}

impl Learner {
    /// Takes the next bytes of the log.
    pub fn push(&mut self, chunk: &[u8]) {
        // Lines are learned as the analysis sees them: without secrets.
        let Self { baseline, intake, redactor, redacted, splitter, decoder } = self;
        for piece in chunk.chunks(256 * 1024) {
            intake.push(piece, |text| {
                redacted.clear();
                redactor.push(text, redacted);
                splitter.push(redacted, |_, line| learn_line(baseline, decoder, line));
            });
        }
    }

    /// Ends the log.
    pub fn finish(mut self) -> Baseline {
        let Self { baseline, intake, redactor, redacted, splitter, decoder } = &mut self;
        redacted.clear();
        intake.finish(|text| redactor.push(text, redacted));
        redactor.finish(redacted);
        splitter.push(redacted, |_, line| learn_line(baseline, decoder, line));
        splitter.finish(|_, line| learn_line(baseline, decoder, line));
        self.baseline.logs = self.baseline.logs.saturating_add(1);
        self.baseline
    }
}

fn learn_line(baseline: &mut Baseline, decoder: &mut Decoder, line: &[u8]) {
    decoder.decode(line);
    let text = decoder.text().trim();
    if !text.is_empty() {
        baseline.insert(template::hash(&template::mask(text)));
    }
}
