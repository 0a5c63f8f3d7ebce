use forge_core::model::{self, AnnotationLevel, FileChange};
use serde::Deserialize;

use super::{non_empty, time};

/// As much of a remark as is kept.
const MAX_MESSAGE_CHARS: usize = 4000;

/// GitHub docs, rest/commits/commits, "Compare two commits".
#[derive(Debug, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) total_commits: Option<usize>,
    pub(crate) commits: Option<Vec<CommitAnswer>>,
    /// On the first page only.
    pub(crate) files: Option<Vec<FileAnswer>>,
}

/// GitHub docs, rest/commits/commits, "Get a commit".
#[derive(Debug, Deserialize)]
pub(crate) struct OneCommit {
    pub(crate) files: Option<Vec<FileAnswer>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FileAnswer {
    filename: String,
    previous_filename: Option<String>,
    status: Option<String>,
    /// Absent for binary files and where the change is too large.
    patch: Option<String>,
}

impl FileAnswer {
    /// `None` for a file that is listed without a change.
    pub(crate) fn into_model(self) -> Option<model::ChangedFile> {
        let change = match self.status.as_deref() {
            Some("added" | "copied") => FileChange::Added,
            Some("removed") => FileChange::Removed,
            Some("renamed") => FileChange::Renamed,
            Some("unchanged") => return None,
            _ => FileChange::Modified,
        };
        let mut file = model::ChangedFile::new(self.filename, change);
        if change == FileChange::Renamed {
            file.old_path = self.previous_filename;
        }
        Some(match self.patch {
            Some(patch) => file.with_patch(&patch),
            None => file,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct CommitAnswer {
    pub(crate) sha: String,
    html_url: Option<String>,
    commit: Option<GitCommit>,
}

#[derive(Debug, Deserialize)]
struct GitCommit {
    message: Option<String>,
    author: Option<Signature>,
    committer: Option<Signature>,
}

#[derive(Debug, Deserialize)]
struct Signature {
    name: Option<String>,
    date: Option<String>,
}

impl CommitAnswer {
    pub(crate) fn into_model(self) -> model::Commit {
        let git = self.commit;
        let message = git.as_ref().and_then(|commit| commit.message.as_deref()).unwrap_or_default();
        let mut commit = model::Commit::new(self.sha, message);
        commit.web_url = non_empty(self.html_url);
        if let Some(git) = git {
            commit.author = git.author.and_then(|author| non_empty(author.name));
            commit.committed_at = git.committer.and_then(|committer| time(committer.date.as_deref()));
        }
        commit
    }
}

/// GitHub docs, rest/checks/runs, "List check run annotations".
#[derive(Debug, Deserialize)]
pub(crate) struct AnnotationAnswer {
    path: Option<String>,
    start_line: Option<u64>,
    annotation_level: Option<String>,
    title: Option<String>,
    message: Option<String>,
    raw_details: Option<String>,
}

impl AnnotationAnswer {
    /// `None` for what says nothing, and for what Actions remarks of every failed step: that it failed.
    pub(crate) fn into_model(self) -> Option<model::Annotation> {
        // Remarks about the job itself stand at this folder, which is no file.
        let is_about_job = self.path.as_deref().is_none_or(|path| matches!(path, "" | ".github"));
        let text = non_empty(self.message).or(non_empty(self.raw_details)).unwrap_or_default();
        if is_about_job && text.trim_start().starts_with("Process completed with exit code") {
            return None;
        }
        let title = non_empty(self.title);
        if text.is_empty() && title.is_none() {
            return None;
        }
        let level = match self.annotation_level.as_deref() {
            Some("failure") => AnnotationLevel::Failure,
            Some("warning") => AnnotationLevel::Warning,
            _ => AnnotationLevel::Notice,
        };
        let message: String = text.chars().take(MAX_MESSAGE_CHARS).collect();
        let mut annotation = model::Annotation::new(level, message);
        annotation.title = title;
        if !is_about_job {
            annotation.path = self.path;
            annotation.line = self.start_line.filter(|line| *line > 0);
        }
        Some(annotation)
    }
}
