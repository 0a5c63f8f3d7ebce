//! Follows what test runners and JVMs print over several lines, which no pattern for one line can bound.
//!
//! A log line with an error inside a test that then passed is no cause: the test wanted it. Runners that
//! report passed tests tell where each test's own output begins and ends, so those ranges are kept.
//! Of the links of a JVM exception chain the last `Caused by` is what really happened.

mod chain;
pub(crate) mod failure;
pub(crate) mod heading;
mod progress;

use self::chain::Chain;
use self::progress::Progress;

/// Ranges kept at most; of a job with more passed tests that log between failures, the rest is unknown.
const RANGES: usize = 50_000;

/// What the blocks read so far say about single lines.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    progress: Progress,
    chain: Chain,
    step: usize,
    /// First and last lines of output of passed tests, in order.
    passed: Vec<(u64, u64)>,
}

impl Blocks {
    /// Takes the next line.
    pub(crate) fn read(&mut self, number: u64, step: usize, text: &str) {
        if step != self.step {
            self.step = step;
            self.progress.reset();
        }
        if let Some((first, last)) = self.progress.read(number, text)
            && first <= last
        {
            let room = self.passed.len() < RANGES;
            match self.passed.last_mut() {
                Some(range) if first <= range.1 + 1 && first >= range.0 => range.1 = range.1.max(last),
                _ if room => self.passed.push((first, last)),
                _ => {}
            }
        }
        self.chain.read(number, text);
    }

    /// Whether the line was printed by a test that then passed.
    pub(crate) fn in_passed_test(&self, line: u64) -> bool {
        // The ranges end in order, though a later one may begin earlier.
        let from = self.passed.partition_point(|(_, last)| *last < line);
        self.passed.get(from).is_some_and(|(first, _)| *first <= line)
    }

    /// Whether a later `Caused by` of the same exception says more than this line.
    pub(crate) fn is_outer_exception(&self, line: u64) -> bool {
        self.chain.is_outer(line)
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;

    fn read(log: &str) -> Blocks {
        let mut blocks = Blocks::default();
        for (number, line) in (1..).zip(log.lines()) {
            blocks.read(number, 0, line);
        }
        blocks
    }

    /// The lines that hold `!` must be in a passed test, the others not.
    fn check(log: &str) {
        let blocks = read(log);
        for (number, line) in (1..).zip(log.lines()) {
            assert_eq!(blocks.in_passed_test(number), line.contains('!'), "{number}: {line}\n{log}");
        }
    }

    #[test]
    fn output_of_passed_tests_is_known() {
        for log in [
            "=== RUN   TestSum\nERROR sum!\n--- PASS: TestSum (0.01s)\n=== RUN   TestTax\nERROR tax\n--- FAIL: TestTax (0.01s)",
            "[ RUN      ] Till.Opens\nerror: jammed!\n[       OK ] Till.Opens (0 ms)\n[ RUN      ] Till.Shuts\nerror: bent\n[  FAILED  ] Till.Shuts (1 ms)",
            "[INFO] Running shop.TillTest\nERROR no drawer!\njava.io.IOException: x!\n[INFO] Tests run: 2, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s\n[INFO] Running shop.TaxTest\nERROR bad\n[ERROR] Tests run: 2, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.1 s",
            "Test Case '-[Till.Sum testA]' started.\nerror: x!\nTest Case '-[Till.Sum testA]' passed (0.1 seconds).\nTest Case '-[Till.Sum testB]' started.\nerror: y\nTest Case '-[Till.Sum testB]' failed (0.1 seconds).",
            "TillTest > adds STANDARD_ERR\n    ERROR x!\nTillTest > adds PASSED\nTillTest > taxes STANDARD_ERR\n    ERROR y\nTillTest > taxes FAILED",
            "test_sum (tests.Till) ... ERROR: printed!\nERROR: again!\nok\ntest_tax (tests.Till) ... ERROR: y\nFAIL",
            "TAP version 13\nok 1 - opens\nerror: between!\nok 2 - shuts\nnot ok 3 - sums\nerror: why\nok 4 - taxes",
            "  till\n    ✓ opens\nerror: between!\n    ✓ shuts\nerror: other\n    1) sums",
            "tests/till.py::test_open\nERROR logged!\nPASSED\ntests/till.py::test_shut\nERROR logged\nFAILED",
        ] {
            check(log);
        }
    }

    #[test]
    fn the_last_cause_of_an_exception_counts() {
        let blocks = read(
            "shop.OuterException: no sale\n\tat shop.Till.sell(Till.java:1)\nCaused by: shop.MiddleException: no drawer\n\t... 3 more\nCaused by: java.io.IOException: jammed\n\t... 9 more\ndone\nshop.OtherException: x\n\tat a.b(C.java:1)\n",
        );
        let outer: Vec<u64> = (1..=8).filter(|line| blocks.is_outer_exception(*line)).collect();
        assert_eq!(outer, [1, 3]);
    }
}
