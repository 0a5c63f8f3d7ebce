//! The report as JUnit XML, for the test views of CI systems.

use std::fmt::Write as _;

use super::human::{printable, word};
use crate::report::{Report, Status};

impl Report {
    /// The report as JUnit XML, in the form that the forges read: one suite with a case for each
    /// failed test, or one case with an error where no test failed. A log that did not fail, or is
    /// none, gives an empty suite.
    ///
    /// All text is escaped, and characters that XML 1.0 cannot carry are left out.
    pub fn to_junit(&self) -> String {
        let mut cases = String::new();
        let (mut failures, mut errors) = (0, 0);
        let is_failed = matches!(self.status, Status::CauseFound | Status::NoCauseFound);
        let evidence = self.evidence.first();
        if is_failed {
            let proof = self.proof();
            let class = self.failing.tool.as_deref().unwrap_or("job");
            for (index, test) in self.failing.tests.iter().enumerate() {
                failures += 1;
                let file = test.file.as_deref().map(|file| attribute("file", file)).unwrap_or_default();
                let line = test.line.map(|line| attribute("line", &line.to_string())).unwrap_or_default();
                let message = test.message.as_deref().unwrap_or(&self.root_cause);
                // The lines of the log stand once, at the first case.
                let body = if index == 0 { proof.as_str() } else { message };
                let _ = writeln!(
                    cases,
                    "    <testcase{}{}{file}{line}>\n      <failure{}{}>{}</failure>\n    </testcase>",
                    attribute("classname", class),
                    attribute("name", &test.name),
                    attribute("message", message),
                    attribute("type", &word(&self.category)),
                    escaped(body),
                );
            }
            if failures == 0 {
                errors = 1;
                let name = evidence.map(|evidence| evidence.step.as_str()).filter(|step| !step.is_empty());
                let name = name.or(self.failing.command.as_deref()).unwrap_or("job");
                let message =
                    if self.root_cause.is_empty() { &self.missing_context_hint } else { &self.root_cause };
                let _ = writeln!(
                    cases,
                    "    <testcase{}{}>\n      <error{}{}>{}</error>\n    </testcase>",
                    attribute("classname", class),
                    attribute("name", name),
                    attribute("message", message),
                    attribute("type", &word(&self.category)),
                    escaped(&proof),
                );
            }
        }
        let count = failures + errors;
        let time = self.log.duration_seconds.unwrap_or(0);
        let totals = format!(
            r#"name="forge-rca" tests="{count}" failures="{failures}" errors="{errors}" time="{time}""#
        );
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {totals}>\n  <testsuite {totals} skipped=\"0\">\n{cases}  </testsuite>\n</testsuites>\n"
        )
    }

    /// The lines of the log that prove the claim, with their numbers.
    fn proof(&self) -> String {
        let mut text = String::new();
        for evidence in &self.evidence {
            for (number, line) in (evidence.start_line..).zip(&evidence.excerpt) {
                let _ = writeln!(text, "{number}: {line}");
            }
        }
        text
    }
}

fn attribute(name: &str, value: &str) -> String {
    format!(" {name}=\"{}\"", escaped(&value.replace(['\n', '\t'], " ")))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for character in printable(line).chars() {
            match character {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                // XML 1.0, "Characters": not part of any document.
                '\u{fffe}' | '\u{ffff}' => {}
                other => out.push(other),
            }
        }
    }
    out
}
