//! Unified diffs, as forges give them for what a change writes.
#![no_main]

use forge_core::model::written_lines;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|patch: &str| {
    let added = patch.lines().filter(|line| line.starts_with('+')).count() as u64;
    let mut lines = 0_u64;
    for range in written_lines(patch) {
        assert!(range.start <= range.end);
        lines += range.end - range.start + 1;
    }
    assert!(lines <= added);
});
