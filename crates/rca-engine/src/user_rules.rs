//! The rules of a repository: `.forge-rca.toml`.

use std::collections::BTreeSet;
use std::ops::Range;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;
use toml::Spanned;

use crate::custom::{Detector, Finding};
use crate::frame::Decoder;
use crate::input::{Intake, LineSplitter};
use crate::redact::Redactor;
use crate::report::{Category, Retry, Severity};

/// Bytes of a rules file.
const FILE_LIMIT: usize = 256 * 1024;
/// Rules of a file.
const RULE_LIMIT: usize = 200;
/// Bytes of a pattern, a text or an example.
const TEXT_LIMIT: usize = 1000;
/// Bytes that a compiled pattern may take.
const COMPILED_LIMIT: usize = 512 * 1024;
/// Lines named for each rule by [`Rules::test`].
const NAMED_LINES: usize = 20;

/// The rules of a repository, read from `.forge-rca.toml`.
///
/// ```
/// let rules = rca_engine::Rules::parse(r#"
/// [[rule]]
/// id = "acme.licence"
/// pattern = 'no licence left for (?P<package>\S+)'
/// category = "service_unavailable"
/// cause = "all licences are in use"
/// fix = "wait for another job to end, or ask for more licences"
/// owner = "tools team"
/// severity = "high"
/// retry = "yes"
/// matches = ["sim: no licence left for solver"]
/// matches_not = ["licence found"]
///
/// [[rule]]
/// id = "acme.known-warning"
/// pattern = "^ERROR: telemetry is off"
/// ignore = true
/// "#)?;
/// assert_eq!(rules.len(), 2);
/// let mut analyzer = rca_engine::Analyzer::new().with_rules(rules);
/// analyzer.push(b"$ simulate\nERROR: telemetry is off\nsim: no licence left for solver\n");
/// assert_eq!(analyzer.finish().root_cause, "all licences are in use");
/// # Ok::<(), rca_engine::RulesError>(())
/// ```
///
/// # Keys of a rule
///
/// | key | meaning |
/// |---|---|
/// | `id` | name in reports: small letters, digits, `.`, `-`, `_` |
/// | `pattern` | regular expression, looked for in each line without its frame; no look-around, so that time is linear |
/// | `category` | class of the failure; needed unless `ignore` is set |
/// | `cause`, `fix`, `owner` | texts for the report |
/// | `severity` | `low`, `medium` or `high` |
/// | `retry` | `yes`, `no` or `maybe`: whether another run helps |
/// | `ignore` | the line is no failure, whatever it looks like |
/// | `matches`, `matches_not` | lines that must and must not match; checked when the file is read |
///
/// Limits: 256 KiB, 200 rules, 1000 bytes for each text.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Compiled>,
    any: Option<RegexSet>,
}

#[derive(Debug, Clone)]
struct Compiled {
    pattern: Regex,
    finding: Finding,
}

/// What one rule recognised in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleHits {
    /// The rule.
    pub id: String,
    /// How many lines it matches.
    pub count: u64,
    /// The numbers of the first of them, at most 20.
    pub lines: Vec<u64>,
}

/// Why a rules file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The file is longer than 256 KiB or has more than 200 rules.
    #[error("the rules file has more than {what}: split it, or remove rules that match nothing")]
    TooLarge {
        /// Which limit.
        what: &'static str,
    },
    /// The file is not TOML, or has keys that are not known.
    #[error("line {line} of the rules file: {message}")]
    Syntax {
        /// The line.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A rule cannot be used.
    #[error("rule `{id}` at line {line} of the rules file: {message}")]
    Rule {
        /// The rule; its number where it has no usable name.
        id: String,
        /// The line on which the rule begins.
        line: usize,
        /// What is wrong, and what to do.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Raw>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    pattern: String,
    category: Option<Category>,
    cause: Option<String>,
    fix: Option<String>,
    owner: Option<String>,
    severity: Option<Severity>,
    retry: Option<Retry>,
    #[serde(default)]
    ignore: bool,
    #[serde(default)]
    matches: Vec<String>,
    #[serde(default)]
    matches_not: Vec<String>,
}

impl Rules {
    /// Reads a rules file and checks every rule against its own examples.
    ///
    /// # Errors
    ///
    /// When the file is too large, is not TOML, has unknown keys, or a rule cannot be used. The
    /// error names the rule and the line; it never repeats a pattern or an example.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        if text.len() > FILE_LIMIT {
            return Err(RulesError::TooLarge { what: "256 KiB" });
        }
        let file: File = toml::from_str(text).map_err(|error| RulesError::Syntax {
            line: error.span().map_or(1, |span| line_of(text, span)),
            message: error.message().to_owned(),
        })?;
        if file.rule.len() > RULE_LIMIT {
            return Err(RulesError::TooLarge { what: "200 rules" });
        }
        let mut ids = BTreeSet::new();
        let mut rules = Vec::with_capacity(file.rule.len());
        for (index, raw) in file.rule.into_iter().enumerate() {
            let line = line_of(text, raw.span());
            let raw = raw.into_inner();
            let is_named = is_id(&raw.id);
            let id = if is_named { raw.id.clone() } else { format!("#{}", index + 1) };
            let fault = |message: String| RulesError::Rule { id: id.clone(), line, message };
            if !is_named {
                return Err(fault(
                    "`id` must be 1 to 64 small letters, digits, `.`, `-` or `_`: choose another".to_owned(),
                ));
            }
            if !ids.insert(raw.id.clone()) {
                return Err(fault("another rule has this id: choose another".to_owned()));
            }
            rules.push(compile(raw).map_err(fault)?);
        }
        let any = RegexSetBuilder::new(rules.iter().map(|rule| rule.pattern.as_str()))
            .size_limit(RULE_LIMIT * COMPILED_LIMIT)
            .build()
            .ok();
        Ok(Self { rules, any })
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Says which lines of a log each rule matches, in the order of the rules.
    pub fn test(&self, log: &[u8]) -> Vec<RuleHits> {
        let mut hits: Vec<RuleHits> = self
            .rules
            .iter()
            .map(|rule| RuleHits { id: rule.finding.id.clone(), count: 0, lines: Vec::new() })
            .collect();
        let (mut intake, mut splitter, mut decoder) =
            (Intake::default(), LineSplitter::default(), Decoder::default());
        let (mut redactor, mut text) = (Redactor::new(), Vec::new());
        // The same way as in an analysis: what a rule sees is decoded and has no secrets.
        intake.push(log, |chunk| redactor.push(chunk, &mut text));
        intake.finish(|chunk| redactor.push(chunk, &mut text));
        redactor.finish(&mut text);
        let mut each = |number: u64, line: &[u8]| {
            decoder.decode(line);
            for (rule, hit) in self.rules.iter().zip(&mut hits) {
                if rule.pattern.is_match(decoder.text()) {
                    hit.count += 1;
                    if hit.lines.len() < NAMED_LINES {
                        hit.lines.push(number);
                    }
                }
            }
        };
        splitter.push(&text, &mut each);
        splitter.finish(&mut each);
        hits
    }
}

impl Detector for Rules {
    fn detect(&self, line: &str) -> Option<Finding> {
        let any = self.any.as_ref()?;
        if !any.is_match(line) {
            return None;
        }
        // The first rule of the file wins, so that an ignored line can be put in front.
        let rule = any.matches(line).into_iter().next()?;
        self.rules.get(rule).map(|rule| rule.finding.clone())
    }
}

fn compile(raw: Raw) -> Result<Compiled, String> {
    let texts = [Some(&raw.pattern), raw.cause.as_ref(), raw.fix.as_ref(), raw.owner.as_ref()];
    let examples = raw.matches.iter().chain(&raw.matches_not);
    if texts.into_iter().flatten().chain(examples).any(|text| text.len() > TEXT_LIMIT) {
        return Err(format!("a text has more than {TEXT_LIMIT} bytes: shorten it"));
    }
    let pattern = RegexBuilder::new(&raw.pattern).size_limit(COMPILED_LIMIT).nest_limit(50).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => "`pattern` is too large: use smaller repetitions".to_owned(),
            _ => "`pattern` is not a regular expression without look-around and back-references: correct it"
                .to_owned(),
        },
    )?;
    if pattern.is_match("") {
        return Err(
            "`pattern` matches an empty line, so it would match all: make it more specific".to_owned()
        );
    }
    for (number, example) in raw.matches.iter().enumerate() {
        if !pattern.is_match(example) {
            return Err(format!(
                "`pattern` does not match example {} of `matches`: correct one of them",
                number + 1
            ));
        }
    }
    for (number, example) in raw.matches_not.iter().enumerate() {
        if pattern.is_match(example) {
            return Err(format!(
                "`pattern` matches example {} of `matches_not`: correct one of them",
                number + 1
            ));
        }
    }
    let mut finding = match (raw.ignore, raw.category) {
        (true, _) => Finding::ignored(raw.id),
        (false, Some(category)) => Finding::new(raw.id, category),
        (false, None) => return Err("`category` is missing: name one, or set `ignore`".to_owned()),
    };
    finding.cause = raw.cause;
    finding.fix = raw.fix;
    finding.owner = raw.owner;
    finding.severity = raw.severity;
    finding.retry = raw.retry;
    Ok(Compiled { pattern, finding })
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
}
