//! Rust's test runners: libtest and nextest, and panics.
//!
//! **What:** the panic of a failed test with its place.
//! **Why:** `test x ... FAILED` only says that a test failed; the panic line says why.
//! **What to do:** `cargo test NAME -- --nocapture`, with `RUST_BACKTRACE=1` for the call stack.

use crate::report::Category::{Crash, TestFailure, TestTimeout};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("libtest.panic", TestFailure, 78, &["panicked at"], r"^thread '(?P<test>[^']+::[^']+|[a-z_0-9]{5,})'(?: \(\d+\))? panicked at (?:'(?P<message>.*)', )?(?P<file>[^\s:]+):(?P<line>\d+)(?::(?P<column>\d+))?:?$")
        .span(0, 3)
        .tested(&["thread 'tests::adds' panicked at src/lib.rs:9:9:", "thread 'adds_up' panicked at 'sums differ', tests/till.rs:12:9"], &["thread panicked at home"]),
    Rule::cause("rust.panic", Crash, 77, &["panicked at"], r"^thread '[^']*'(?: \(\d+\))? panicked at .+")
        .span(0, 3)
        .tested(&["thread 'main' panicked at src/main.rs:3:5:", "thread '<unnamed>' panicked at 'x', src/a.rs:1:2"], &["the thread panicked at"]),
    Rule::detail("libtest.failed", TestFailure, 62, &["FAILED"], r"^test (?P<test>\S+(?: - .+?)?) \.\.\. FAILED$")
        .tested(&["test tests::adds ... FAILED"], &[]),
    Rule::cause("nextest.failed", TestFailure, 70, &["FAIL [", "SIGABRT [", "SIGSEGV ["], r"^\s*(?:FAIL|SIGABRT|SIGSEGV) \[ *[\d.]+s\](?: \(\d+/\d+\))? \S+ (?P<test>\S+)")
        .span(0, 2)
        .tested(&["        FAIL [   0.003s] app tests::adds"], &["        PASS [   0.003s] app tests::adds"]),
    Rule::cause("nextest.timeout", TestTimeout, 78, &["TIMEOUT ["], r"^\s*TIMEOUT \[ *[\d.]+s\](?: \(\d+/\d+\))? \S+ (?P<test>\S+)")
        .tested(&["     TIMEOUT [ 60.003s] app tests::slow"], &["SLOW [> 60.000s] app tests::slow"]),
    Rule::of(Role::Summary, "libtest.summary", TestFailure, &["test result: FAILED"], r"^test result: FAILED\. \d+ passed; \d+ failed")
        .tested(&["test result: FAILED. 3 passed; 1 failed; 0 ignored"], &["test result: ok. 3 passed; 0 failed"]),
    Rule::of(Role::Wrapper, "libtest.wrapper", TestFailure, &["error: test failed", "target failed:", "targets failed:"], r"^error: (?:test failed, to rerun|\d+ targets? failed:)")
        .tested(&["error: test failed, to rerun pass `--lib`"], &["error: x"]),
];
