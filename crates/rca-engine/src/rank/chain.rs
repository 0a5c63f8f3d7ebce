//! From the cause to its consequences: what failed only because something else had failed before.

use super::{PROOF, Ranked};
use crate::analyzer::Reader;
use crate::report::{Category, Consequence, Report};
use crate::rules::Role;

/// Lines between a cause and what is missing because of it.
const REACH: u64 = 80;

/// What could not be fetched or built is missing a few lines later; the missing file is not the cause.
pub(super) fn cascade(reader: &Reader, ranked: &mut [Ranked<'_>]) {
    ranked.sort_by_key(|item| item.candidate.focus);
    let mut before: Option<(u64, usize)> = None;
    for item in ranked {
        let Some(rule) = item.rule else { continue };
        let follows = matches!(rule.category, Category::MissingFile | Category::MissingTool)
            || rule.category == Category::ScriptError && rule.weight < PROOF;
        if follows
            && let Some((line, step)) = before
            && item.candidate.focus - line <= REACH
            && item.candidate.step.saturating_sub(step) <= 1
        {
            item.score -= 30;
            item.why.push(format!("-30 likely follows from line {line}"));
        }
        let stops = matches!(
            rule.category,
            Category::Network
                | Category::ScmCheckout
                | Category::Auth
                | Category::ServiceUnavailable
                | Category::DependencyResolution
                | Category::Checksum
                | Category::CompileError
                | Category::LinkError
        );
        let passed = reader.steps.get(item.candidate.step).is_some_and(|step| step.exit_code == Some(0));
        if stops && rule.role == Role::Cause && rule.weight >= PROOF && !passed && !item.candidate.muted {
            before = Some((item.candidate.focus, item.candidate.step));
        }
    }
}

/// Whether a later failure is one only because of the cause.
pub(super) fn is_consequence(reader: &Reader, best: &Ranked<'_>, item: &Ranked<'_>) -> bool {
    if item.candidate.focus <= best.candidate.focus {
        return false;
    }
    let (Some(cause), Some(other)) = (best.rule, item.rule) else { return false };
    if matches!(other.role, Role::Summary | Role::Wrapper) {
        return true;
    }
    // What kills the machine or the process takes everything along.
    let kills = matches!(
        cause.category,
        Category::Oom | Category::DiskFull | Category::RunnerLost | Category::Timeout | Category::Cancelled
    );
    let failed =
        |step: usize| reader.steps.get(step).is_some_and(|step| step.exit_code.is_some_and(|code| code != 0));
    let later_step = best.candidate.step < item.candidate.step && failed(best.candidate.step);
    (kills && other.category != cause.category)
        || later_step
        || item.why.iter().any(|reason| reason.contains("likely follows from"))
}

/// What came after the cause and only passes it on.
pub(super) fn consequences(reader: &Reader, ranked: &[Ranked<'_>], best: &Ranked<'_>, report: &mut Report) {
    let mut list: Vec<Consequence> = ranked
        .iter()
        .filter(|item| is_consequence(reader, best, item))
        .map(|item| Consequence {
            start_line: item.candidate.focus,
            end_line: item.candidate.focus,
            rule: item.rule.map_or("", |rule| rule.id).to_owned(),
        })
        .collect();
    list.sort_by_key(|item| item.start_line);
    list.truncate(20);
    report.consequences = list;
}
