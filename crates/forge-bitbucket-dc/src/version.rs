//! The server's version, which need not be semantic: `8.0.0-m12` is one too.

/// Major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32);

impl Version {
    /// The oldest that is supported.
    pub(crate) const MINIMUM: Self = Self(7, 6);
    /// Build statuses of a repository: Atlassian, "Updating build status for commits".
    pub(crate) const RICH_BUILDS: Self = Self(7, 4);
    /// Every version from here on has hooks of projects; they came with one after 8.6.
    pub(crate) const PROJECT_HOOKS: Self = Self(8, 11);

    /// `None` where the text does not begin with two numbers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split(['.', '-', '+', ' ']);
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        Some(Self(major, minor))
    }
}
