//! What the engine recognises, as data.

use crate::detectors;
use crate::report::Category;
use crate::rules::Role;

/// One thing that the engine recognises on a line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recognised {
    /// `tool.failure`, as in [`Evidence::rule`](crate::Evidence::rule).
    pub id: &'static str,
    /// What the line means for the failure: `cause`, `detail`, `summary`, `wrapper` or `noise`.
    pub role: &'static str,
    /// The class of the failure.
    pub category: Category,
    /// One of these must occur, whatever its case, before the line is looked at.
    pub literals: &'static [&'static str],
    /// A line that is recognised.
    pub example: &'static str,
}

/// Everything that the built-in rules recognise, in the order in which they are tried.
///
/// ```
/// assert!(rca_engine::recognised().any(|rule| rule.id == "rustc.error"));
/// ```
pub fn recognised() -> impl Iterator<Item = Recognised> {
    detectors::ALL.iter().copied().flatten().map(|rule| Recognised {
        id: rule.id,
        role: match rule.role {
            Role::Cause => "cause",
            Role::Detail => "detail",
            Role::Summary => "summary",
            Role::Wrapper => "wrapper",
            Role::Noise => "noise",
        },
        category: rule.category,
        literals: rule.literals,
        example: rule.yes.first().copied().unwrap_or_default(),
    })
}
