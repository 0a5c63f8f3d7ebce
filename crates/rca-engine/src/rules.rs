//! Rules as data, and the gate that lets only promising lines reach their patterns.

use std::sync::{LazyLock, OnceLock};

use regex::Regex;

use crate::detectors;
use crate::literals::Literals;
use crate::report::{Category, Retry};

/// What a matching line means for the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It can be the root cause.
    Cause,
    /// It says more about a cause near by: where, which value, which package.
    Detail,
    /// It counts failures: proof that something failed, not why.
    Summary,
    /// It only passes a failure on, such as an exit code. It never wins while a cause exists.
    Wrapper,
    /// It looks like an error and is none.
    Noise,
}

/// One thing the engine recognises on one line.
///
/// The named groups `test`, `file`, `line`, `column`, `message` and `package` of the pattern fill the
/// report's list of what failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// `tool.failure`, stable: it is part of reports.
    pub(crate) id: &'static str,
    pub(crate) role: Role,
    pub(crate) category: Category,
    /// 0 to 100: how much a line of this kind says about the cause.
    pub(crate) weight: i32,
    /// One of these must occur, whatever its case, before the pattern is tried.
    pub(crate) literals: &'static [&'static str],
    pub(crate) pattern: &'static str,
    /// Lines shown before and after the matching one.
    pub(crate) before: u8,
    pub(crate) after: u8,
    pub(crate) retry: Option<Retry>,
    pub(crate) advice: Option<(&'static str, &'static str)>,
    /// Lines that must match.
    pub(crate) yes: &'static [&'static str],
    /// Lines that must not.
    pub(crate) no: &'static [&'static str],
}

impl Rule {
    /// A rule for a line that can be the root cause.
    pub(crate) const fn cause(
        id: &'static str,
        category: Category,
        weight: i32,
        literals: &'static [&'static str],
        pattern: &'static str,
    ) -> Self {
        Self {
            id,
            role: Role::Cause,
            category,
            weight,
            literals,
            pattern,
            before: 0,
            after: 0,
            retry: None,
            advice: None,
            yes: &[],
            no: &[],
        }
    }

    /// A rule for a line that belongs to a cause near by.
    pub(crate) const fn detail(
        id: &'static str,
        category: Category,
        weight: i32,
        literals: &'static [&'static str],
        pattern: &'static str,
    ) -> Self {
        let mut rule = Self::cause(id, category, weight, literals, pattern);
        rule.role = Role::Detail;
        rule
    }

    /// A rule for a line that proves a failure without saying why.
    pub(crate) const fn of(
        role: Role,
        id: &'static str,
        category: Category,
        literals: &'static [&'static str],
        pattern: &'static str,
    ) -> Self {
        let mut rule = Self::cause(id, category, 8, literals, pattern);
        rule.role = role;
        if matches!(role, Role::Noise) {
            rule.weight = 100;
        }
        rule
    }

    /// Replaces the weight. A line is noise only where no heavier rule matches it.
    pub(crate) const fn with_weight(mut self, weight: i32) -> Self {
        self.weight = weight;
        self
    }

    /// Shows this many lines around the matching one.
    pub(crate) const fn span(mut self, before: u8, after: u8) -> Self {
        self.before = before;
        self.after = after;
        self
    }

    /// Says whether another run may help, when the category's answer does not fit.
    pub(crate) const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Says what it means and what to do, when the category's text is too general.
    pub(crate) const fn with_advice(mut self, means: &'static str, fix: &'static str) -> Self {
        self.advice = Some((means, fix));
        self
    }

    /// The lines that must match and those that must not.
    pub(crate) const fn tested(mut self, yes: &'static [&'static str], no: &'static [&'static str]) -> Self {
        self.yes = yes;
        self.no = no;
        self
    }

    /// The tool part of the id.
    pub(crate) fn tool(&self) -> &'static str {
        self.id.split('.').next().unwrap_or(self.id)
    }
}

/// All rules behind one gate.
#[derive(Debug)]
pub(crate) struct RuleSet {
    rules: Vec<&'static Rule>,
    patterns: Vec<OnceLock<Option<Regex>>>,
    gate: Literals,
    /// For each literal of the gate, the rules that need it.
    owners: Vec<Vec<u16>>,
}

/// Above every index of a built-in rule.
const CUSTOM: u16 = 60_000;
/// The id of the rules below; the report shows the finding's own.
pub(crate) const CUSTOM_ID: &str = "user.rule";

/// For each category the rule that stands for what a user's detector found.
static CUSTOM_RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    Category::ALL.iter().map(|category| Rule::cause(CUSTOM_ID, *category, 95, &[], "").span(1, 2)).collect()
});

static BUILT_IN: LazyLock<RuleSet> = LazyLock::new(|| RuleSet::new(detectors::ALL));

impl RuleSet {
    /// The rules of all detectors.
    pub(crate) fn built_in() -> &'static Self {
        &BUILT_IN
    }

    fn new(groups: &[&'static [Rule]]) -> Self {
        let rules: Vec<&'static Rule> = groups.iter().copied().flatten().collect();
        let mut literals: Vec<String> = Vec::new();
        let mut owners: Vec<Vec<u16>> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            for literal in rule.literals {
                let literal = literal.to_ascii_lowercase();
                match literals.iter().position(|known| *known == literal) {
                    Some(at) => {
                        if let Some(list) = owners.get_mut(at) {
                            list.push(index);
                        }
                    }
                    None => {
                        literals.push(literal);
                        owners.push(vec![index]);
                    }
                }
            }
        }
        let gate = Literals::new(&literals);
        let patterns = rules.iter().map(|_| OnceLock::new()).collect();
        Self { rules, patterns, gate, owners }
    }

    /// The rules, in order.
    #[cfg(test)]
    pub(crate) fn rules(&self) -> &[&'static Rule] {
        &self.rules
    }

    /// The index of the rule for what a user's detector found.
    pub(crate) const fn custom(category: Category) -> u16 {
        CUSTOM + category as u16
    }

    /// The rule with this index.
    pub(crate) fn get(&self, index: u16) -> Option<&'static Rule> {
        match index.checked_sub(CUSTOM) {
            Some(index) => CUSTOM_RULES.get(usize::from(index)),
            None => self.rules.get(usize::from(index)).copied(),
        }
    }

    /// The pattern of a rule; it is compiled when a line first needs it.
    pub(crate) fn pattern(&self, index: u16) -> Option<&Regex> {
        let index = usize::from(index);
        let rule = self.rules.get(index)?;
        self.patterns.get(index)?.get_or_init(|| Regex::new(rule.pattern).ok()).as_ref()
    }

    /// Fills `matched` with the rules that match `line`, in the order of the rules.
    pub(crate) fn matches(&self, line: &str, matched: &mut Vec<u16>) {
        matched.clear();
        self.gate.each(line.as_bytes(), |hit| {
            for rule in self.owners.get(hit.literal).into_iter().flatten() {
                if !matched.contains(rule) {
                    matched.push(*rule);
                }
            }
        });
        matched.sort_unstable();
        matched.retain(|&rule| self.pattern(rule).is_some_and(|pattern| pattern.is_match(line)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Role, RuleSet};
    use crate::literals::SHORTEST;

    #[test]
    fn every_rule_matches_its_lines_and_not_the_others() {
        let set = RuleSet::built_in();
        let mut ids = BTreeSet::new();
        let mut matched = Vec::new();
        let mut faults = Vec::new();
        for (index, rule) in set.rules().iter().enumerate() {
            let index = index as u16;
            if !ids.insert(rule.id) {
                faults.push(format!("{} is there twice", rule.id));
            }
            if set.pattern(index).is_none() {
                faults.push(format!("{} does not compile", rule.id));
            }
            for literal in rule.literals.iter().filter(|literal| literal.len() < SHORTEST) {
                faults.push(format!("{}: {literal:?} is too short to be found", rule.id));
            }
            if rule.yes.is_empty() {
                faults.push(format!("{} has no positive line", rule.id));
            }
            if rule.role == Role::Cause && rule.no.is_empty() {
                faults.push(format!("{} has no negative line", rule.id));
            }
            for line in rule.yes {
                set.matches(line, &mut matched);
                if !matched.contains(&index) {
                    faults.push(format!("{} misses {line:?}", rule.id));
                }
            }
            for line in rule.no {
                set.matches(line, &mut matched);
                if matched.contains(&index) {
                    faults.push(format!("{} wrongly matches {line:?}", rule.id));
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
