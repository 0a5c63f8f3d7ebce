//! Small job logs as CI systems print them, written for tests and demonstrations.

use bytes::{Bytes, BytesMut};

const GREEN_LINE: &[u8] = b"ok: compiled module and ran its checks, nothing to report on this line\n";
const FAILURE: &[u8] = b"error: assertion failed: left == right\nERROR: Job failed: exit code 1\n";

/// Bytes `start..end` of a generated log of `length` bytes: green lines, and the failure at its end.
pub(crate) fn generated_piece(start: u64, end: u64, length: u64) -> Bytes {
    let tail_start = length.saturating_sub(FAILURE.len() as u64);
    let mut piece = BytesMut::with_capacity(usize::try_from(end - start).unwrap_or(0) + GREEN_LINE.len());
    let mut position = start;
    while position < end {
        let rest = if position >= tail_start {
            part(FAILURE, position - tail_start, end - position)
        } else if position + 1 == tail_start {
            b"\n"
        } else {
            let room = (tail_start - 1).min(end) - position;
            part(GREEN_LINE, position % GREEN_LINE.len() as u64, room)
        };
        piece.extend_from_slice(rest);
        position += rest.len() as u64;
    }
    piece.freeze()
}

/// What of `text` begins at `offset`, at most `room` bytes and at least one.
fn part(text: &'static [u8], offset: u64, room: u64) -> &'static [u8] {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = text.get(offset..).filter(|rest| !rest.is_empty()).unwrap_or(b"\n");
    rest.get(..usize::try_from(room).unwrap_or(usize::MAX)).unwrap_or(rest)
}

/// A small log with its framing, and where its cause stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleLog {
    /// A short name such as `pytest`.
    pub name: &'static str,
    /// The raw log.
    pub bytes: Vec<u8>,
    /// The line that names the cause, counted from 1 in `bytes`.
    pub cause_line: usize,
    /// What that line says, without framing.
    pub cause: &'static str,
}

/// How a CI system frames what its jobs print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// GitHub Actions: a byte order mark, a time on every line, groups, `##[error]`, post steps after the failure.
    GitHubActions,
    /// GitLab Runner: sections, colours, `$ command`, `ERROR: Job failed`.
    GitLabRunner,
    /// Nothing.
    Plain,
}

/// Every sample log in one framing.
#[must_use]
pub fn all(framing: Framing) -> Vec<SampleLog> {
    [PYTEST, CARGO, GO, NPM, DOCKER, OUT_OF_MEMORY].iter().map(|sample| sample.framed(framing)).collect()
}

/// A failing assertion under pytest.
#[must_use]
pub fn pytest(framing: Framing) -> SampleLog {
    PYTEST.framed(framing)
}

/// A type error under cargo.
#[must_use]
pub fn cargo(framing: Framing) -> SampleLog {
    CARGO.framed(framing)
}

/// A failing test under `go test`.
#[must_use]
pub fn go(framing: Framing) -> SampleLog {
    GO.framed(framing)
}

/// A dependency conflict under npm.
#[must_use]
pub fn npm(framing: Framing) -> SampleLog {
    NPM.framed(framing)
}

/// A missing file in a docker build.
#[must_use]
pub fn docker(framing: Framing) -> SampleLog {
    DOCKER.framed(framing)
}

/// A process that the kernel killed for its memory.
#[must_use]
pub fn out_of_memory(framing: Framing) -> SampleLog {
    OUT_OF_MEMORY.framed(framing)
}

struct Sample {
    name: &'static str,
    command: &'static str,
    output: &'static str,
    cause: &'static str,
    exit_code: u8,
}

impl Sample {
    fn framed(&self, framing: Framing) -> SampleLog {
        let text = match framing {
            Framing::GitHubActions => self.github(),
            Framing::GitLabRunner => self.gitlab(),
            Framing::Plain => self.output.to_owned(),
        };
        let cause_line = text.lines().position(|line| line.contains(self.cause)).map_or(0, |index| index + 1);
        SampleLog { name: self.name, bytes: text.into_bytes(), cause_line, cause: self.cause }
    }

    fn github(&self) -> String {
        let mut lines = vec![
            "##[group]Runner Image".to_owned(),
            "Image: ubuntu-24.04".to_owned(),
            "##[endgroup]".to_owned(),
            format!("##[group]Run {}", self.command),
            format!("\u{1b}[36;1m{}\u{1b}[0m", self.command),
            "shell: /usr/bin/bash -e {0}".to_owned(),
            "##[endgroup]".to_owned(),
        ];
        lines.extend(self.output.lines().map(str::to_owned));
        lines.push(format!("##[error]Process completed with exit code {}.", self.exit_code));
        lines.push("Post job cleanup.".to_owned());
        lines.push("Cleaning up orphan processes".to_owned());
        let mut text = String::from("\u{feff}");
        for (index, line) in lines.iter().enumerate() {
            let (minute, second) = (index / 60, index % 60);
            text.push_str(&format!("2026-11-20T10:{minute:02}:{second:02}.1234567Z {line}\n"));
        }
        text
    }

    fn gitlab(&self) -> String {
        let mut text = String::from("\u{1b}[0KRunning with gitlab-runner 18.5.0\u{1b}[0;m\n");
        text.push_str("section_start:1763632800:prepare_executor\r\u{1b}[0K");
        text.push_str("\u{1b}[0K\u{1b}[36;1mPreparing the \"docker\" executor\u{1b}[0;m\u{1b}[0;m\n");
        text.push_str("section_end:1763632801:prepare_executor\r\u{1b}[0K");
        text.push_str("section_start:1763632801:step_script\r\u{1b}[0K");
        text.push_str(
            "\u{1b}[0K\u{1b}[36;1mExecuting \"step_script\" stage of the job script\u{1b}[0;m\u{1b}[0;m\n",
        );
        text.push_str(&format!("\u{1b}[32;1m$ {}\u{1b}[0;m\n{}", self.command, self.output));
        text.push_str("section_end:1763632830:step_script\r\u{1b}[0K");
        text.push_str("section_start:1763632830:cleanup_file_variables\r\u{1b}[0K");
        text.push_str("\u{1b}[0K\u{1b}[36;1mCleaning up project directory and file based variables\u{1b}[0;m\u{1b}[0;m\n");
        text.push_str("section_end:1763632831:cleanup_file_variables\r\u{1b}[0K");
        text.push_str(&format!("\u{1b}[31;1mERROR: Job failed: exit code {}\n\u{1b}[0;m", self.exit_code));
        text
    }
}

const PYTEST: Sample = Sample {
    name: "pytest",
    command: "python -m pytest -q",
    output: "\
collected 3 items

tests/test_cart.py ..F                                                   [100%]

=================================== FAILURES ===================================
_______________________________ test_total_with_tax ________________________________

    def test_total_with_tax():
        cart = Cart([Item('tea', 400)])
>       assert cart.total(tax=0.2) == 480
E       assert 400 == 480
E        +  where 400 = total(tax=0.2)

tests/test_cart.py:21: AssertionError
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_total_with_tax - assert 400 == 480
1 failed, 2 passed in 0.12s
",
    cause: "E       assert 400 == 480",
    exit_code: 1,
};

const CARGO: Sample = Sample {
    name: "cargo",
    command: "cargo test",
    output: "\
   Compiling shop v0.3.0 (/builds/acme/shop)
error[E0308]: mismatched types
  --> src/cart.rs:18:9
   |
17 |     fn total(&self) -> u64 {
   |                        --- expected `u64` because of return type
18 |         self.sum
   |         ^^^^^^^^ expected `u64`, found `u32`

For more information about this error, try `rustc --explain E0308`.
error: could not compile `shop` (lib) due to 1 previous error
",
    cause: "error[E0308]: mismatched types",
    exit_code: 101,
};

const GO: Sample = Sample {
    name: "go",
    command: "go test ./...",
    output: "\
ok  \texample.com/shop/item\t0.004s
--- FAIL: TestTotalWithTax (0.00s)
    cart_test.go:27: total with tax: got 400, want 480
FAIL
FAIL\texample.com/shop/cart\t0.006s
FAIL
",
    cause: "cart_test.go:27: total with tax: got 400, want 480",
    exit_code: 1,
};

const NPM: Sample = Sample {
    name: "npm",
    command: "npm ci",
    output: "\
npm error code ERESOLVE
npm error ERESOLVE could not resolve
npm error
npm error While resolving: shop@0.3.0
npm error Found: cart-kit@4.1.0
npm error Could not resolve dependency:
npm error peer cart-kit@\"^3.0.0\" from tax-table@2.2.0
npm error A complete log of this run can be found in: /root/.npm/_logs/debug-0.log
",
    cause: "npm error ERESOLVE could not resolve",
    exit_code: 1,
};

const DOCKER: Sample = Sample {
    name: "docker",
    command: "docker build -t shop .",
    output: "\
#5 [1/3] FROM docker.io/library/alpine:3.20
#6 [2/3] COPY dist/shop /usr/bin/shop
#6 ERROR: failed to calculate checksum of ref 1234: \"/dist/shop\": not found
------
 > [2/3] COPY dist/shop /usr/bin/shop:
------
ERROR: failed to solve: failed to compute cache key: \"/dist/shop\": not found
",
    cause: "#6 ERROR: failed to calculate checksum of ref 1234: \"/dist/shop\": not found",
    exit_code: 1,
};

const OUT_OF_MEMORY: Sample = Sample {
    name: "out_of_memory",
    command: "make bundle",
    output: "\
bundling 1842 modules
bundling chunk 7 of 9
make: *** [Makefile:12: bundle] Killed
",
    cause: "make: *** [Makefile:12: bundle] Killed",
    exit_code: 137,
};
