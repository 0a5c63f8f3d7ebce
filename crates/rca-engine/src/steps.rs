//! Follows the steps of a job through its log.

use crate::frame::Event;
use crate::report::{StepStatus, StepSummary};

/// Steps kept by name; what follows is counted into the last one.
const STEP_LIMIT: usize = 2000;

/// A step while its log is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) command: Option<String>,
    pub(crate) start_line: u64,
    pub(crate) end_line: u64,
    pub(crate) exit_code: Option<i32>,
    pub(crate) exit_line: u64,
    pub(crate) cleanup: bool,
    start_time: Option<u64>,
    end_time: Option<u64>,
}

/// The steps seen so far and how the job ended.
#[derive(Debug)]
pub(crate) struct StepTracker {
    steps: Vec<Step>,
    closed: bool,
    /// The line on which the job was declared failed, and its exit code.
    pub(crate) job_failed: Option<(u64, Option<i32>)>,
    /// The line on which the job was declared passed.
    pub(crate) job_passed: Option<u64>,
}

impl Default for StepTracker {
    fn default() -> Self {
        let first = Step { start_line: 1, ..Step::default() };
        Self { steps: vec![first], closed: false, job_failed: None, job_passed: None }
    }
}

impl StepTracker {
    /// Takes what the frame said on `line`. Returns true when a command ended with a failure.
    pub(crate) fn apply(&mut self, line: u64, events: &[Event], now: Option<u64>) -> bool {
        let mut failed = false;
        for event in events {
            match event {
                Event::Start(name) => self.open(name.clone(), false, line, now),
                Event::Cleanup(name) => self.open(name.clone(), true, line, now),
                Event::End => self.closed = true,
                Event::Command(command) => {
                    // A new command after an ended one is a step of its own (Travis, plain `set -x`).
                    if self.closed || self.current().exit_code.is_some() {
                        let cleanup = self.current().cleanup;
                        self.open(command.clone(), cleanup, line, now);
                    }
                    if let Some(step) = self.steps.last_mut() {
                        // Runners set the mask themselves before the first command of the script.
                        if step.name.is_empty() || step.name == "umask 000" {
                            step.name.clone_from(command);
                        }
                        step.command = Some(command.clone());
                    }
                }
                Event::Exit(code) => {
                    failed |= *code != 0;
                    if let Some(step) = self.steps.last_mut() {
                        step.exit_code = Some(*code);
                        step.exit_line = line;
                    }
                }
                Event::Failed(code) => {
                    failed = true;
                    self.job_failed = Some((line, *code));
                    self.job_passed = None;
                }
                Event::Passed => self.job_passed = Some(line),
            }
        }
        if let Some(step) = self.steps.last_mut() {
            step.end_line = line;
            step.end_time = now;
        }
        failed
    }

    /// The index of the running step.
    pub(crate) const fn index(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// The step with this index.
    pub(crate) fn get(&self, index: usize) -> Option<&Step> {
        self.steps.get(index)
    }

    /// Whether the running step is clean-up.
    pub(crate) fn in_cleanup(&self) -> bool {
        self.current().cleanup
    }

    /// Whether any command ended with a code other than 0.
    pub(crate) fn has_failed_command(&self) -> bool {
        self.steps.iter().any(|step| step.exit_code.is_some_and(|code| code != 0) && !step.cleanup)
    }

    /// The index of the step that failed first, or, when only the job's end says so, of the last one
    /// that is not clean-up.
    pub(crate) fn failing(&self) -> Option<usize> {
        let explicit =
            self.steps.iter().position(|step| step.exit_code.is_some_and(|code| code != 0) && !step.cleanup);
        explicit.or_else(|| {
            let last = self.steps.iter().rposition(|step| !step.cleanup && step.exit_code != Some(0))?;
            Some(last)
        })
    }

    /// The exit code of the failing step or of the job.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        let step = self.failing().and_then(|index| self.get(index)).and_then(|step| step.exit_code);
        step.or_else(|| self.job_failed.and_then(|(_, code)| code)).filter(|code| *code != 0)
    }

    /// The steps as the report shows them.
    pub(crate) fn summaries(&self) -> Vec<StepSummary> {
        let failing =
            if self.job_failed.is_some() || self.has_failed_command() { self.failing() } else { None };
        let shown = self.steps.iter().enumerate().filter(|(_, step)| !step.name.is_empty());
        shown
            .map(|(index, step)| StepSummary {
                name: step.name.clone(),
                start_line: step.start_line,
                end_line: step.end_line.max(step.start_line),
                status: match step.exit_code {
                    _ if step.cleanup => StepStatus::Cleanup,
                    Some(0) => StepStatus::Passed,
                    Some(_) => StepStatus::Failed,
                    None if failing == Some(index) => StepStatus::Failed,
                    None => StepStatus::Unknown,
                },
                seconds: step.end_time.zip(step.start_time).map(|(end, start)| end.saturating_sub(start)),
            })
            .take(200)
            .collect()
    }

    #[expect(clippy::indexing_slicing, reason = "the list is never empty")]
    fn current(&self) -> &Step {
        &self.steps[self.steps.len() - 1]
    }

    fn open(&mut self, name: String, cleanup: bool, line: u64, now: Option<u64>) {
        self.closed = false;
        if let Some(step) = self.steps.last_mut()
            && step.end_line + 1 < line
        {
            step.end_line = line - 1;
        }
        if self.steps.len() >= STEP_LIMIT {
            return;
        }
        self.steps.push(Step {
            name,
            cleanup,
            start_line: line,
            end_line: line,
            start_time: now,
            end_time: now,
            ..Step::default()
        });
    }
}
