//! Wording that many tools share, for what no other detector knows, and the wrappers of all CI systems.
//!
//! **What:** lines that begin with `error:` or `fatal:`, and exit codes.
//! **Why:** most programs say why they stop in such a line; it counts less than any specific rule.
//! **What to do:** read the line; the tool is not one the engine knows in detail.

use crate::report::Category::{ScriptError, TestFailure, Unknown};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("generic.fatal", ScriptError, 46, &["fatal"], r"(?i)^(?:\S+: )?(?:\[?fatal\]?)(?: error)?: ?\S.*")
        .span(0, 2)
        .tested(&["FATAL: cannot open database", "[fatal]: x"], &["non-fatal warning"]),
    Rule::cause("generic.error", ScriptError, 40, &["error"], r"(?i)^\s*(?:\[?error\]?|[\w./-]{1,30}: error)(?: \[?\w+\]?)?: ?\S.*")
        .span(0, 2)
        .tested(&["error: cannot do that", "Error: boom", "tool: error: x", "ERROR: Process failed"], &["0 errors", "no error: ok"]),
    Rule::cause("generic.bracketed", ScriptError, 36, &["[error]", "ERROR ", "✘", "✖", "❌", "error! "], r"^(?:\[(?:error|ERROR)\] \S.*|(?:\S+ )?ERROR (?:- )?[A-Z:\[(].*|[✘✖❌] \S.*)")
        .span(0, 2)
        .tested(&["[error] boom", "✖ 2 problems", "12:00 ERROR - Something broke"], &["no ERROR"]),
    Rule::cause("generic.failed", ScriptError, 26, &["fail", "cannot ", "could not ", "unable to ", "can't "], r"(?i)(?:^|: )(?:failed|failure|cannot|can't|could not|couldn't|unable to) (?:to )?\w+")
        .span(1, 1)
        .tested(&["Failed to open x", "app: could not bind to port"], &["failed"]),
    Rule::cause("generic.mismatch", TestFailure, 34, &["FAIL:", "FAILED:", "FAIL "], r"(?i)^\s*(?:\S+\s+)?fail(?:ed)?:\s+\S.*")
        .span(0, 2)
        .tested(&["fail: till.lua:12: no such drawer", "Till   FAIL:   drawers=4, expected=2", "FAILED: a.o"], &["failures: 0"]),
    Rule::of(Role::Noise, "generic.none", Unknown, &["0 error", "no error", "0 failed", "0 failures", "errors: 0", "-werror", "error_", "continue-on-error", "ignored", "allowed failure"], r"(?i)(?:\b0 errors?\b|\bno errors?\b|\b0 (?:failed|failures)\b|(?:failed|errors?|failures): 0(?:,|$)|\(ignored\)$|\[allowed failure\]|-Werror=?\S*\s.*-[cIoW])")
        .with_weight(55)
        .tested(&["Found 0 errors", "12 passed, 0 failed", "make: [x] Error 1 (ignored)"], &[]),
    Rule::of(Role::Wrapper, "ci.exit", Unknown, &["exit code", "exit status", "exited with", "Exit code", "non-zero"], r"(?i)^(?:\[\w+\] )?(?:##\[error\])?(?:error: )?(?:process completed with exit code [1-9]|job failed: exit (?:code|status) [1-9]|.*exited with (?:code |status )?'?[1-9]|script returned exit code [1-9]|.*returned (?:a )?non-zero exit (?:code|status)|.* exit(?:ed with)? (?:code|status):? [1-9]\d{0,2}\.?$)")
        .tested(&["Process completed with exit code 1.", "ERROR: Job failed: exit code 1", "The command \"make\" exited with 2."], &["exit code 0"]),
    Rule::of(Role::Wrapper, "ci.job_failed", Unknown, &["Job failed", "marked build as failure", "Finished: FAILURE", "build exited with", "Unsuccessful task run", "Done. Your build"], r"^(?:ERROR: Job failed:|Build step '.*marked build as failure|Finished: FAILURE|Done\. Your build exited with [1-9])|Unsuccessful task run")
        .tested(&["Finished: FAILURE", "Done. Your build exited with 1."], &["Done. Your build exited with 0."]),
];
