use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Job, Run};

/// What to compare.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// All that a pull or merge request changes against its target, by its number within the repository.
    Pull(String),
    /// What one commit changes against its first parent.
    Commit(String),
    /// What `head` has and `base` has not: from their merge base to `head`.
    Range {
        /// The older commit, by its full sha.
        base: String,
        /// The newer commit, by its full sha.
        head: String,
    },
}

/// The files that a [`Change`] touches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diff {
    /// One entry a file, as the forge sorts them.
    pub files: Vec<ChangedFile>,
    /// The forge shows only a part of a change this large: what is not listed may still have changed.
    pub is_truncated: bool,
}

/// How a change touches a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It is new.
    Added,
    /// Its content differs.
    Modified,
    /// It is gone.
    Removed,
    /// It was moved, its content possibly changed too.
    Renamed,
}

/// One file of a [`Diff`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChangedFile {
    /// The path after the change (before it, for a removed file), relative to the repository's root.
    pub path: String,
    /// The path before, where the file was renamed.
    pub old_path: Option<String>,
    /// What was done to it.
    pub change: FileChange,
    /// The lines that the change wrote, 1-based and inclusive, in the file after the change; `None` where the forge
    /// gives no text for it (binary, too large), so that every line may have changed.
    pub lines: Option<Vec<LineRange>>,
}

impl ChangedFile {
    /// A modified file without lines.
    #[must_use]
    pub fn new(path: impl Into<String>, change: FileChange) -> Self {
        Self { path: path.into(), old_path: None, change, lines: None }
    }

    /// Takes the written lines from a unified diff of this file: its hunks, with or without the file header.
    #[must_use]
    pub fn with_patch(mut self, patch: &str) -> Self {
        self.lines = Some(written_lines(patch));
        self
    }
}

/// Lines of a file, 1-based, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LineRange {
    /// The first line.
    pub start: u64,
    /// The last line.
    pub end: u64,
}

/// The lines that a unified diff adds, as ranges in the new file. What is no diff gives no ranges.
#[must_use]
pub fn written_lines(patch: &str) -> Vec<LineRange> {
    let mut ranges: Vec<LineRange> = Vec::new();
    // Line and how much of the hunk is left, old and new: a line that begins with `+++` inside a hunk is content.
    let (mut line, mut old_left, mut new_left) = (0_u64, 0_u64, 0_u64);
    for text in patch.lines() {
        if old_left == 0 && new_left == 0 {
            if let Some((start, old, new)) = hunk_header(text) {
                (line, old_left, new_left) = (start, old, new);
            }
            continue;
        }
        match text.as_bytes().first() {
            Some(b'+') => {
                match ranges.last_mut() {
                    Some(last) if last.end + 1 == line => last.end = line,
                    _ => ranges.push(LineRange { start: line, end: line }),
                }
                line = line.saturating_add(1);
                new_left = new_left.saturating_sub(1);
            }
            Some(b'-') => old_left = old_left.saturating_sub(1),
            // "\ No newline at end of file" is no line.
            Some(b'\\') => {}
            _ => {
                line = line.saturating_add(1);
                old_left = old_left.saturating_sub(1);
                new_left = new_left.saturating_sub(1);
            }
        }
    }
    ranges
}

/// Start in the new file, and the lengths in the old and the new one, of `@@ -1,2 +3,4 @@`.
fn hunk_header(text: &str) -> Option<(u64, u64, u64)> {
    let (old, rest) = text.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let span = |text: &str| -> Option<(u64, u64)> {
        let (start, length) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, length.parse().ok()?))
    };
    let ((_, old_length), (start, new_length)) = (span(old)?, span(new)?);
    Some((start, old_length, new_length))
}

/// A commit, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Commit {
    /// The full sha.
    pub sha: String,
    /// The first line of its message.
    pub title: String,
    /// Who wrote it: a name, not an address.
    pub author: Option<String>,
    /// When it was committed.
    pub committed_at: Option<Timestamp>,
    /// Where a person looks at it.
    pub web_url: Option<String>,
}

impl Commit {
    /// A commit of which only sha and message are known; of the message the first line is kept.
    #[must_use]
    pub fn new(sha: impl Into<String>, message: &str) -> Self {
        let title = message.lines().next().unwrap_or_default().trim().to_owned();
        Self { sha: sha.into(), title, author: None, committed_at: None, web_url: None }
    }
}

/// The commits between two others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Commits {
    /// Newest first, at most a hundred.
    pub items: Vec<Commit>,
    /// There are more.
    pub is_truncated: bool,
}

/// A job that succeeded, with the run it ran in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GreenJob {
    /// The run; its `sha` is the commit that was good.
    pub run: Run,
    /// The job; its log can be read like any other.
    pub job: Job,
}

impl GreenJob {
    /// A job and its run.
    #[must_use]
    pub fn new(run: Run, job: Job) -> Self {
        Self { run, job }
    }
}

/// A failing test as the forge's own test report tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportedTest {
    /// The test's name.
    pub name: String,
    /// Its suite or class.
    pub suite: Option<String>,
    /// The file, relative to the repository's root where the report has it so.
    pub file: Option<String>,
    /// The message or trace, cut to 4,000 characters. Foreign text, as hostile as a log.
    pub message: Option<String>,
}

impl ReportedTest {
    /// A failing test of which only the name is known.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), suite: None, file: None, message: None }
    }
}

/// How grave an [`Annotation`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationLevel {
    /// For information.
    Notice,
    /// A warning.
    Warning,
    /// An error.
    Failure,
}

/// A remark that a job left at a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Annotation {
    /// How grave it is.
    pub level: AnnotationLevel,
    /// What it says, cut to 4,000 characters. Foreign text, as hostile as a log.
    pub message: String,
    /// Its heading.
    pub title: Option<String>,
    /// The file, relative to the repository's root.
    pub path: Option<String>,
    /// The line, 1-based.
    pub line: Option<u64>,
}

impl Annotation {
    /// A remark without a place.
    #[must_use]
    pub fn new(level: AnnotationLevel, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), title: None, path: None, line: None }
    }
}

/// The file that defines a run's jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CiConfig {
    /// Its path, relative to the repository's root.
    pub path: String,
    /// Its text at the run's commit, at most 1 MiB.
    pub text: String,
}

impl CiConfig {
    /// A configuration file.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}
