//! What users of the crate recognise on their own.

use std::fmt;

use crate::report::{Category, Retry, Severity};

/// Recognises lines that the built-in rules do not know, or know better than they do.
///
/// ```
/// use std::sync::Arc;
/// use rca_engine::{Analyzer, Category, Detector, Finding};
///
/// #[derive(Debug)]
/// struct LicenceServer;
///
/// impl Detector for LicenceServer {
///     fn detect(&self, line: &str) -> Option<Finding> {
///         line.contains("no licence left")
///             .then(|| Finding::new("acme.licence", Category::ServiceUnavailable).with_cause("all licences are in use"))
///     }
/// }
///
/// let mut analyzer = Analyzer::new().with_detector(Arc::new(LicenceServer));
/// analyzer.push(b"$ simulate\nsim: no licence left\n");
/// let report = analyzer.finish();
/// assert_eq!(report.root_cause, "all licences are in use");
/// assert_eq!(report.evidence[0].rule, "acme.licence");
/// ```
pub trait Detector: fmt::Debug + Send + Sync {
    /// Says what `line` means, if anything. It is called once for each line with text, in order; the
    /// line has no frame, no control sequences and no secrets. It should take time linear in the
    /// length of the line.
    fn detect(&self, line: &str) -> Option<Finding>;
}

/// What a [`Detector`] says about a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub(crate) id: String,
    pub(crate) category: Category,
    pub(crate) weight: u8,
    pub(crate) is_ignored: bool,
    pub(crate) cause: Option<String>,
    pub(crate) fix: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) severity: Option<Severity>,
    pub(crate) retry: Option<Retry>,
}

impl Finding {
    /// The line can be the root cause. `id` is shown as the rule of the evidence.
    pub fn new(id: impl Into<String>, category: Category) -> Self {
        Self {
            id: id.into(),
            category,
            weight: 95,
            is_ignored: false,
            cause: None,
            fix: None,
            owner: None,
            severity: None,
            retry: None,
        }
    }

    /// The line looks like a failure and is none: no rule looks at it.
    pub fn ignored(id: impl Into<String>) -> Self {
        Self { is_ignored: true, ..Self::new(id, Category::Unknown) }
    }

    /// How much the line says about the cause, from 0 to 100. It is 95 unless told, above every
    /// built-in rule.
    #[must_use]
    pub fn with_weight(mut self, weight: u8) -> Self {
        self.weight = weight.min(100);
        self
    }

    /// The cause in one sentence. Without it the line itself is shown.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Who takes care of it. The report names them in a note.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// How bad it is, when the answer of the category does not fit.
    #[must_use]
    pub const fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// Whether running the job again may help, when the answer of the category does not fit.
    #[must_use]
    pub const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }
}
