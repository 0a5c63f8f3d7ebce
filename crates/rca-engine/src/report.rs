//! The report: what the engine says of one log.

use serde::{Deserialize, Serialize};

use crate::redact::Redactions;

/// The name and version of the report's schema.
pub const SCHEMA: &str = "forge-rca/report/1";

/// What one log says about why its job failed.
///
/// The same bytes give the same report on every machine. Line numbers are 1-based and count the raw
/// file split on `\n` only. Every text in it has passed the redactor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA`] for reports of this version.
    pub schema: String,
    /// Whether a cause was found, and if not, which kind of "no" this is.
    pub status: Status,
    /// The log ended in the middle, or lines were cut.
    pub truncated: bool,
    /// One sentence: the cause. Empty unless `status` is [`Status::CauseFound`].
    pub root_cause: String,
    /// What the cause means.
    pub explanation: String,
    /// What to do about it.
    pub fix_suggestion: String,
    /// The class of the failure.
    pub category: Category,
    /// The coarse area the category belongs to.
    pub domain: Domain,
    /// How bad it is for the people who wait for this job.
    pub severity: Severity,
    /// 0 to 1: of the reports that say 0.8, about four in five are right.
    pub confidence: f64,
    /// 0 to 1: how much the failure looks like one that comes and goes.
    pub flaky_hint: f64,
    /// The log alone does not say enough.
    pub needs_more_context: bool,
    /// What is missing, when `needs_more_context` is set.
    pub missing_context_hint: String,
    /// Whether running the job again may help.
    pub retry_likely_helps: Retry,
    /// The lines that prove the claim, best first.
    pub evidence: Vec<Evidence>,
    /// What followed from the cause, in the order of the log.
    pub consequences: Vec<Consequence>,
    /// What failed: tool, command, tests, places, packages.
    pub failing: Failing,
    /// The steps of the job, in the order of the log.
    pub steps: Vec<StepSummary>,
    /// Equal for failures with one cause, over runs, machines, paths and times.
    pub fingerprint: String,
    /// The cause line with everything that varies masked.
    pub template: String,
    /// What a passing log contributed.
    pub baseline: BaselineSummary,
    /// The log itself.
    pub log: LogSummary,
    /// What the redactor removed.
    pub redactions: Redactions,
    /// Remarks on the input, such as lines that were cut.
    pub notes: Vec<String>,
}

/// Whether a cause was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A cause is named, with the lines that prove it.
    CauseFound,
    /// The job failed, but no line says why.
    NoCauseFound,
    /// Empty or binary input.
    NotALog,
    /// Nothing in the log says that the job failed.
    NotFailed,
}

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Category {
    CompileError,
    LinkError,
    TypeCheck,
    LintFormat,
    PolicyCheck,
    DocBuild,
    Coverage,
    TestFailure,
    TestTimeout,
    TestCollection,
    Crash,
    DependencyResolution,
    MissingDependency,
    Checksum,
    ToolchainVersion,
    MissingTool,
    MissingFile,
    ConfigError,
    ScriptError,
    Permission,
    Oom,
    DiskFull,
    Timeout,
    Network,
    ServiceUnavailable,
    RateLimit,
    Auth,
    ScmCheckout,
    DockerImage,
    ArtifactCache,
    RunnerLost,
    Cancelled,
    DeployPublish,
    Unknown,
}

/// The coarse area of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// The code under test does not build or breaks a rule.
    Code,
    /// A test failed.
    Test,
    /// A package could not be resolved, fetched or used.
    Dependency,
    /// The job itself is set up wrongly.
    Configuration,
    /// Machines, networks and services around the job.
    Infrastructure,
    /// Not known.
    Unknown,
}

/// How bad a failure is for those who wait for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Style and housekeeping.
    Low,
    /// Most failures.
    Medium,
    /// Nothing can be built, or the failure is likely to hit every job.
    High,
}

/// Whether running the job again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It is likely to pass.
    Yes,
    /// It fails again.
    No,
    /// It cannot be told from the log.
    Maybe,
}

/// What a piece of evidence stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceRole {
    /// The cause, or an independent second one.
    Cause,
    /// Followed from the cause.
    Consequence,
    /// Shown because nothing better was found.
    Context,
}

/// Lines of the log that prove a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// 1 is the best.
    pub rank: u32,
    /// First line shown.
    pub start_line: u64,
    /// Last line shown.
    pub end_line: u64,
    /// The line that matters most.
    pub focus_line: u64,
    /// What the lines stand for.
    pub role: EvidenceRole,
    /// The step they belong to.
    pub step: String,
    /// The rule that recognised them.
    pub rule: String,
    /// The sum of the weights in `why`.
    pub score: i32,
    /// Why they were ranked here, one reason each.
    pub why: Vec<String>,
    /// The lines themselves, without control sequences and secrets.
    pub excerpt: Vec<String>,
}

/// A line that followed from the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consequence {
    /// First line.
    pub start_line: u64,
    /// Last line.
    pub end_line: u64,
    /// The rule that recognised it.
    pub rule: String,
}

/// What failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// The tool that reported the failure.
    pub tool: Option<String>,
    /// The command of the failing step.
    pub command: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Failed tests, in the order of the log, at most 50.
    pub tests: Vec<FailingTest>,
    /// Places in the source, in the order of the log, at most 50.
    pub locations: Vec<Location>,
    /// Packages that could not be resolved, built or found.
    pub packages: Vec<String>,
}

/// A failed test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingTest {
    /// Its full name as the runner prints it.
    pub name: String,
    /// The source file, relative where it can be told.
    pub file: Option<String>,
    /// The line in that file.
    pub line: Option<u64>,
    /// The message of the assertion or the exception.
    pub message: Option<String>,
}

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The path, relative to the repository where it can be told.
    pub path: String,
    /// The line.
    pub line: Option<u64>,
    /// The column.
    pub column: Option<u64>,
    /// What the tool said about it.
    pub message: String,
}

/// A step of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSummary {
    /// Its name or command.
    pub name: String,
    /// Its first line.
    pub start_line: u64,
    /// Its last line.
    pub end_line: u64,
    /// How it ended.
    pub status: StepStatus,
    /// How long it took, where the log has timestamps.
    pub seconds: Option<u64>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// The log says that it failed.
    Failed,
    /// The log says that it passed.
    Passed,
    /// Clean-up that runs whatever happened before.
    Cleanup,
    /// The log does not say.
    Unknown,
}

/// What passing logs contributed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineSummary {
    /// A baseline was given and was not empty.
    pub used: bool,
    /// How many passing logs it was learned from.
    pub logs: u32,
    /// Lines of this log that none of them has.
    pub novel_lines: u64,
}

/// The log itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSummary {
    /// The CI system whose framing was recognised, `plain` if none.
    pub dialect: String,
    /// Lines, split on `\n`.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the raw bytes, in hex.
    pub sha256: String,
    /// From the first timestamp to the last.
    pub duration_seconds: Option<u64>,
}

impl Report {
    /// The report as indented JSON with sorted keys and a final newline.
    pub fn to_json(&self) -> String {
        // `serde_json::Value` keeps its keys sorted, which is the order the schema promises.
        let value = serde_json::to_value(self).unwrap_or(serde_json::Value::Null);
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl Category {
    /// Every category, in the order in which they are declared.
    pub const ALL: &[Self] = &[
        Self::CompileError,
        Self::LinkError,
        Self::TypeCheck,
        Self::LintFormat,
        Self::PolicyCheck,
        Self::DocBuild,
        Self::Coverage,
        Self::TestFailure,
        Self::TestTimeout,
        Self::TestCollection,
        Self::Crash,
        Self::DependencyResolution,
        Self::MissingDependency,
        Self::Checksum,
        Self::ToolchainVersion,
        Self::MissingTool,
        Self::MissingFile,
        Self::ConfigError,
        Self::ScriptError,
        Self::Permission,
        Self::Oom,
        Self::DiskFull,
        Self::Timeout,
        Self::Network,
        Self::ServiceUnavailable,
        Self::RateLimit,
        Self::Auth,
        Self::ScmCheckout,
        Self::DockerImage,
        Self::ArtifactCache,
        Self::RunnerLost,
        Self::Cancelled,
        Self::DeployPublish,
        Self::Unknown,
    ];
    /// The coarse area this category belongs to.
    pub const fn domain(self) -> Domain {
        match self {
            Self::CompileError
            | Self::LinkError
            | Self::TypeCheck
            | Self::LintFormat
            | Self::PolicyCheck
            | Self::DocBuild
            | Self::Coverage => Domain::Code,
            Self::TestFailure | Self::TestTimeout | Self::TestCollection | Self::Crash => Domain::Test,
            Self::DependencyResolution
            | Self::MissingDependency
            | Self::Checksum
            | Self::ToolchainVersion => Domain::Dependency,
            Self::MissingTool
            | Self::MissingFile
            | Self::ConfigError
            | Self::ScriptError
            | Self::Permission => Domain::Configuration,
            Self::Oom
            | Self::DiskFull
            | Self::Timeout
            | Self::Network
            | Self::ServiceUnavailable
            | Self::RateLimit
            | Self::Auth
            | Self::ScmCheckout
            | Self::DockerImage
            | Self::ArtifactCache
            | Self::RunnerLost
            | Self::Cancelled
            | Self::DeployPublish => Domain::Infrastructure,
            Self::Unknown => Domain::Unknown,
        }
    }

    /// How bad a failure of this category is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::LintFormat | Self::PolicyCheck | Self::DocBuild | Self::Coverage | Self::Cancelled => {
                Severity::Low
            }
            Self::CompileError
            | Self::LinkError
            | Self::Crash
            | Self::Oom
            | Self::DiskFull
            | Self::Auth
            | Self::RunnerLost
            | Self::DeployPublish => Severity::High,
            _ => Severity::Medium,
        }
    }

    /// Whether running the job again may help, when a rule does not say otherwise.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Network
            | Self::ServiceUnavailable
            | Self::RateLimit
            | Self::RunnerLost
            | Self::Cancelled => Retry::Yes,
            Self::TestTimeout
            | Self::TestFailure
            | Self::Crash
            | Self::Oom
            | Self::DiskFull
            | Self::Timeout
            | Self::ScmCheckout
            | Self::DockerImage
            | Self::ArtifactCache
            | Self::DeployPublish
            | Self::Unknown => Retry::Maybe,
            _ => Retry::No,
        }
    }

    /// What a failure of this category means, and what to do about it.
    pub(crate) const fn advice(self) -> (&'static str, &'static str) {
        match self {
            Self::CompileError => (
                "The compiler rejected the source.",
                "Fix the first reported error; later ones often follow from it.",
            ),
            Self::LinkError => (
                "The objects compiled, but the linker could not put them together.",
                "Add the missing library or definition, or correct the order and the search path.",
            ),
            Self::TypeCheck => {
                ("The type checker rejected the source.", "Correct the types at the reported place.")
            }
            Self::LintFormat => (
                "A style or format check failed.",
                "Run the formatter or linter locally and commit the result.",
            ),
            Self::PolicyCheck => (
                "A check of the project's own rules failed.",
                "Do what the check asks for, or change its rule on purpose.",
            ),
            Self::DocBuild => {
                ("The documentation does not build.", "Correct the reported place in the documentation.")
            }
            Self::Coverage => (
                "The coverage is below the required threshold.",
                "Add tests for the uncovered code or adjust the threshold on purpose.",
            ),
            Self::TestFailure => {
                ("A test failed.", "Run the named test locally; compare the expected with the actual value.")
            }
            Self::TestTimeout => (
                "A test did not end in time.",
                "Look for a missing signal or a slow dependency; raise the limit only if the work is really that long.",
            ),
            Self::TestCollection => (
                "The tests could not be loaded.",
                "Fix the import or syntax error that stops the test runner.",
            ),
            Self::Crash => (
                "A process ended abnormally.",
                "Look at the stack trace and reproduce the crash with the same input.",
            ),
            Self::DependencyResolution => (
                "The declared dependencies cannot be satisfied.",
                "Correct the version requirement or the lock file, and check that the registry has the version.",
            ),
            Self::MissingDependency => (
                "A package or library the job needs is not installed.",
                "Add it to the declared dependencies or to the image of the job.",
            ),
            Self::Checksum => (
                "A download does not have the expected content.",
                "Clear the cache; if it persists, check whether the published file changed before accepting the new checksum.",
            ),
            Self::ToolchainVersion => (
                "The version of a tool does not suit the code.",
                "Pin the tool to a supported version or change the code's requirement.",
            ),
            Self::MissingTool => (
                "A program the job calls is not installed.",
                "Install it in the job or use an image that has it.",
            ),
            Self::MissingFile => (
                "A file the job needs does not exist.",
                "Check the path, the working directory and whether an earlier step should have made the file.",
            ),
            Self::ConfigError => (
                "A configuration is wrong or incomplete.",
                "Correct the reported setting or provide the missing variable.",
            ),
            Self::ScriptError => ("A script of the job failed.", "Look at the reported line of the script."),
            Self::Permission => (
                "An operation was not allowed.",
                "Grant the permission, or run the step as the user that owns the resource.",
            ),
            Self::Oom => {
                ("The job ran out of memory.", "Use fewer parallel workers or a machine with more memory.")
            }
            Self::DiskFull => {
                ("The disk is full.", "Free space on the runner or use one with a larger disk.")
            }
            Self::Timeout => (
                "The job took longer than allowed.",
                "Find out what it waited for; raise the limit only if the work is really that long.",
            ),
            Self::Network => (
                "A connection could not be made or was broken.",
                "Run the job again; if it persists, check the address, the proxy and the certificate.",
            ),
            Self::ServiceUnavailable => (
                "A service the job uses did not answer properly.",
                "Run the job again when the service is back.",
            ),
            Self::RateLimit => (
                "A service refused the request because there were too many.",
                "Authenticate the requests or wait, then run the job again.",
            ),
            Self::Auth => (
                "A service refused the credentials.",
                "Check that the credential exists in this job, has not expired and has the needed scope.",
            ),
            Self::ScmCheckout => (
                "The source could not be checked out.",
                "Check that the reference exists and that the job may read the repository.",
            ),
            Self::DockerImage => (
                "A container image could not be pulled, built or started.",
                "Check the image's name, tag and registry credentials.",
            ),
            Self::ArtifactCache => (
                "An artifact or cache could not be stored or fetched.",
                "Check that the artifact exists and the storage is reachable.",
            ),
            Self::RunnerLost => (
                "The machine that ran the job went away.",
                "Run the job again; if it persists, check the runner's memory, disk and host.",
            ),
            Self::Cancelled => ("The job was cancelled.", "Run it again if it is still needed."),
            Self::DeployPublish => (
                "Deploying or publishing failed.",
                "Check the target's state and credentials; the artifact itself may be fine.",
            ),
            Self::Unknown => ("", ""),
        }
    }
}
