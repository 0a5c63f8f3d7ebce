//! Lines that may be the cause, and what was read about failed tests and places.

use std::collections::BTreeSet;

use regex::Captures;

use crate::blocks::{failure, heading};
use crate::report::{Domain, FailingTest, Location};
use crate::rules::Rule;

/// Candidates kept at most.
const LIMIT: usize = 4096;
/// Tests, places and packages kept at most, each.
const FOUND: usize = 400;

/// Lines that may be the cause.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidate {
    pub(crate) focus: u64,
    pub(crate) start: u64,
    pub(crate) excerpt: Vec<String>,
    /// The text of the focus line.
    pub(crate) text: String,
    /// The index of the rule; none for a line that only the CI system marked.
    pub(crate) rule: Option<u16>,
    pub(crate) weight: i32,
    pub(crate) step: usize,
    pub(crate) hash: u64,
    /// The CI system marked the line as an error.
    pub(crate) marked: bool,
    /// The program logged the line below the level of an error.
    pub(crate) muted: bool,
    /// Whether no passing log has the line; none without a baseline.
    pub(crate) novel: Option<bool>,
}

impl Candidate {
    pub(crate) fn new(line: u64, text: &str, rule: Option<u16>, weight: i32, step: usize) -> Self {
        Self {
            focus: line,
            start: line,
            excerpt: vec![text.to_owned()],
            text: text.to_owned(),
            rule,
            weight,
            step,
            ..Self::default()
        }
    }

    /// Adds a line further up. Lines between that were blank stay blank.
    pub(crate) fn precede(&mut self, line: u64, text: &str) {
        while self.start > line + 1 {
            self.excerpt.insert(0, String::new());
            self.start -= 1;
        }
        self.excerpt.insert(0, text.to_owned());
        self.start = line;
    }

    /// Adds a line further down.
    pub(crate) fn extend(&mut self, line: u64, text: &str) {
        // Blank lines are shown, but a long gap ends the block.
        if line > self.end() + 4 {
            return;
        }
        while self.end() + 1 < line {
            self.excerpt.push(String::new());
        }
        self.excerpt.push(text.to_owned());
    }

    /// The last line shown.
    pub(crate) fn end(&self) -> u64 {
        (self.start + self.excerpt.len() as u64).saturating_sub(1)
    }
}

/// The candidates of a log: the heaviest and the latest, in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    all: Vec<Candidate>,
}

impl Candidates {
    pub(crate) fn add(&mut self, candidate: Candidate) {
        self.all.push(candidate);
        if self.all.len() >= LIMIT {
            self.shrink();
        }
    }

    /// The last candidate turned out to be allowed to fail.
    pub(crate) fn discount_last(&mut self) {
        if let Some(last) = self.all.last_mut() {
            last.weight = 0;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.all.iter()
    }

    /// Halves the list. Half of what stays are the latest, since most causes stand near the end; the
    /// other half are the heaviest of the rest, since some stand early.
    fn shrink(&mut self) {
        self.all.sort_by_key(|candidate| candidate.focus);
        let latest = self.all.split_off(self.all.len().saturating_sub(LIMIT / 4));
        self.all.sort_by_key(|candidate| (std::cmp::Reverse(candidate.weight), candidate.focus));
        self.all.truncate(LIMIT / 4);
        self.all.extend(latest);
    }
}

/// What the named groups of the rules' patterns say failed.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Each with its step and its line.
    pub(crate) tests: Vec<(usize, u64, &'static str, FailingTest)>,
    pub(crate) locations: Vec<(usize, u64, Location)>,
    pub(crate) packages: Vec<(usize, String)>,
    /// Lines that end the traceback of a failed test.
    pub(crate) verdicts: BTreeSet<u64>,
    /// The failed test whose block is being read, and the line of its heading.
    open: Option<(usize, u64)>,
    in_traceback: bool,
    /// The place of the open test came from its call stack, so a deeper frame may replace it.
    from_stack: bool,
    /// The name of the open test stands on the next line.
    is_unnamed: bool,
}

/// Lines of one test's block at most.
const BLOCK: u64 = 200;

impl Found {
    /// Reads one more line of the block of the failed test that was seen last.
    pub(crate) fn read(&mut self, line: u64, text: &str) {
        let Some((at, opened)) = self.open else { return };
        let Some((_, _, tool, test)) = self.tests.get_mut(at) else { return };
        if line - opened > BLOCK {
            self.open = None;
            return;
        }
        if self.is_unnamed && !text.trim().is_empty() {
            test.name = text.trim().to_owned();
            self.is_unnamed = false;
            return;
        }
        if text.trim_start().starts_with("Traceback (most recent call last)") {
            self.in_traceback = true;
            return;
        }
        // Mocha prints the suite in the heading and the test below it, deeper and with a colon at the end.
        if *tool == "mocha"
            && line - opened <= 4
            && test.message.is_none()
            && text.starts_with("     ")
            && let Some(rest) = text.strip_suffix(':')
        {
            test.name.push(' ');
            test.name.push_str(rest.trim());
            return;
        }
        let said = failure::read(&test.name, text, self.in_traceback);
        if let Some((file, number)) = said.place
            && (test.file.is_none() || said.deeper && self.from_stack)
        {
            // A JVM frame has the name of the file only.
            test.file = Some(relative(file));
            test.line = Some(number);
            self.from_stack = true;
        } else if let Some((file, number)) = said.place
            && test.line.is_none()
            && test.file.as_deref() == Some(relative(file).as_str())
        {
            test.line = Some(number);
        }
        if let Some(message) = said.message
            && test.message.is_none()
        {
            test.message = Some(message.to_owned());
        }
        if said.ends_traceback {
            self.in_traceback = false;
            // pytest lists failed tests at its end, and what follows belongs to none of them.
            if self.verdicts.len() < FOUND && matches!(*tool, "unittest" | "testr" | "nose") {
                self.verdicts.insert(line);
            }
        }
    }

    /// Takes what one matching line says. `above` are the lines before it, the nearest first.
    pub(crate) fn take<'a>(
        &mut self,
        step: usize,
        line: u64,
        rule: &'static Rule,
        captures: &Captures<'_>,
        above: impl Iterator<Item = &'a str>,
    ) {
        let group = |name| captures.name(name).map(|value| value.as_str().trim().to_owned());
        let number = |name| captures.name(name).and_then(|value| value.as_str().parse::<u64>().ok());
        let (file, at) = (group("file").map(|path| relative(&path)), number("line"));
        let message = group("message").filter(|text| !text.is_empty());
        if let Some(package) = group("package")
            && self.packages.len() < FOUND
            && !self.packages.iter().any(|(_, known)| *known == package)
        {
            self.packages.push((step, package));
        }
        let is_unnamed = heading::names_below(rule.id);
        let name = group("test").or_else(|| heading::name_above(rule.id, above));
        let name = name.or_else(|| captures.get(0).filter(|_| is_unnamed).map(|all| all.as_str().to_owned()));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            // The summary names files only, for tests without a name of their own.
            if rule.id == "prove.file" && self.tests.iter().any(|known| known.0 == step && known.2 == "prove")
            {
                return;
            }
            self.is_unnamed = is_unnamed;
            let known_at = self.tests.iter().position(|known| known.0 == step && known.3.name == name);
            if let Some((_, _, _, test)) = known_at.and_then(|at| self.tests.get_mut(at)) {
                test.file = test.file.take().or(file);
                test.line = test.line.or(at);
                test.message = test.message.take().or(message);
                self.open = known_at.map(|at| (at, line));
                self.in_traceback = false;
                self.from_stack = false;
            } else if self.tests.len() < FOUND {
                let mut test = FailingTest { name, file, line: at, message };
                // GoogleTest and `go test -v` print what failed above the name of the test.
                let after = self.tests.last().map_or(0, |last| last.1);
                if test.file.is_none()
                    && let Some((_, told, place)) = self.locations.last()
                    && *told > after
                    && (matches!(rule.tool(), "gtest" | "go") && line - told < 30
                        || place.path.ends_with(".hs") && line - told == 1)
                {
                    test.file = Some(place.path.clone());
                    test.line = place.line;
                    test.message =
                        test.message.or_else(|| Some(place.message.clone()).filter(|text| !text.is_empty()));
                }
                // Of nested Go tests the parent comes first, and the reason belongs to the child.
                if rule.tool() == "go"
                    && test.file.is_none()
                    && let Some((.., parent)) = self.tests.last()
                    && test.name.strip_prefix(&parent.name).is_some_and(|rest| rest.starts_with('/'))
                {
                    test.file.clone_from(&parent.file);
                    test.line = parent.line;
                    test.message.clone_from(&parent.message);
                }
                self.tests.push((step, line, rule.tool(), test));
                self.open = Some((self.tests.len() - 1, line));
                self.in_traceback = false;
                self.from_stack = false;
            }
            return;
        }
        // A line of the block that a test opened says more about that test.
        if let Some((_, opened, tool, test)) = self.tests.last_mut()
            && (*tool == rule.tool() && line.saturating_sub(*opened) < 200
                || rule.category.domain() == Domain::Test && line.saturating_sub(*opened) < 30)
            && (file.is_some() || message.is_some())
        {
            if test.message.is_none() {
                test.message.clone_from(&message);
            }
            if test.file.is_none() && file.is_some() {
                test.file.clone_from(&file);
                test.line = at;
            }
        }
        if let Some(path) = file
            && self.locations.len() < FOUND
        {
            let location =
                Location { path, line: at, column: number("column"), message: message.unwrap_or_default() };
            if !self.locations.iter().any(|(_, _, known)| *known == location) {
                self.locations.push((step, line, location));
            }
        }
    }
}

/// A path relative to the repository, where the checkout directory can be told.
fn relative(path: &str) -> String {
    // The directories that hosted runners check out into: GitHub `/home/runner/work/NAME/NAME/`,
    // GitLab `/builds/GROUP/NAME/`, Travis `/home/travis/build/OWNER/NAME/`.
    for (root, depth) in [
        ("/home/runner/work/", 2),
        ("/Users/runner/work/", 2),
        ("/__w/", 2),
        ("/home/travis/build/", 2),
        ("/Users/travis/build/", 2),
        ("/builds/", 2),
        ("/var/lib/jenkins/workspace/", 1),
        ("/opt/atlassian/pipelines/agent/build/", 0),
    ] {
        if let Some(rest) = path.strip_prefix(root) {
            let mut rest = rest;
            for _ in 0..depth {
                rest = rest.split_once('/').map_or(rest, |(_, tail)| tail);
            }
            return rest.to_owned();
        }
    }
    path.strip_prefix("./").unwrap_or(path).to_owned()
}
