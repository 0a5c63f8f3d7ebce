use std::collections::HashMap;

use forge_core::model::{self, FileChange, LineRange};
use serde::Deserialize;
use serde_json::Value;

use super::time;

/// A path, which the server also takes apart.
#[derive(Debug, Deserialize)]
struct PathAnswer {
    #[serde(rename = "toString")]
    text: Option<String>,
}

impl PathAnswer {
    fn into_text(self) -> Option<String> {
        self.text.filter(|text| !text.is_empty())
    }
}

/// One file of a change.
#[derive(Debug, Deserialize)]
pub(crate) struct ChangedPath {
    #[serde(rename = "type")]
    kind: Option<String>,
    path: Option<PathAnswer>,
    #[serde(rename = "srcPath")]
    source: Option<PathAnswer>,
}

impl ChangedPath {
    /// Of a copy the server shows what differs from the file that it was made of; to its path every line is new.
    pub(crate) fn is_copy(&self) -> bool {
        self.kind.as_deref() == Some("COPY")
    }

    /// `None` where no path is said.
    pub(crate) fn into_model(self) -> Option<model::ChangedFile> {
        let change = match self.kind.as_deref().unwrap_or_default() {
            "ADD" | "COPY" => FileChange::Added,
            "DELETE" => FileChange::Removed,
            "MOVE" => FileChange::Renamed,
            _ => FileChange::Modified,
        };
        let mut file = model::ChangedFile::new(self.path?.into_text()?, change);
        file.old_path = self.source.and_then(PathAnswer::into_text).filter(|_| change == FileChange::Renamed);
        Some(file)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct DiffAnswer {
    #[serde(default)]
    diffs: Vec<FileDiff>,
}

#[derive(Debug, Deserialize)]
struct FileDiff {
    destination: Option<PathAnswer>,
    hunks: Option<Vec<Hunk>>,
    binary: Option<bool>,
    truncated: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Hunk {
    #[serde(default)]
    segments: Vec<Segment>,
    truncated: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Segment {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    lines: Vec<Line>,
    truncated: Option<bool>,
}

/// Where a line is in the file after the change.
#[derive(Debug, Deserialize)]
struct Line {
    destination: Option<u64>,
}

impl DiffAnswer {
    /// The written lines of every file that is shown whole.
    pub(crate) fn into_lines(self) -> HashMap<String, Vec<LineRange>> {
        let whole = |file: FileDiff| {
            let path = file.destination?.into_text()?;
            let is_cut = file.binary == Some(true) || file.truncated == Some(true);
            (!is_cut).then_some(())?;
            let mut ranges: Vec<LineRange> = Vec::new();
            for hunk in file.hunks.unwrap_or_default() {
                (hunk.truncated != Some(true)).then_some(())?;
                for segment in hunk.segments {
                    (segment.truncated != Some(true)).then_some(())?;
                    if segment.kind.as_deref() != Some("ADDED") {
                        continue;
                    }
                    for line in segment.lines.iter().filter_map(|line| line.destination) {
                        match ranges.last_mut() {
                            Some(last) if last.end.checked_add(1) == Some(line) => last.end = line,
                            _ => ranges.push(LineRange { start: line, end: line }),
                        }
                    }
                }
            }
            Some((path, ranges))
        };
        self.diffs.into_iter().filter_map(whole).collect()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Commit {
    pub(crate) id: String,
    #[serde(rename = "committerTimestamp")]
    pub(crate) committer_timestamp: Option<Value>,
    message: Option<String>,
    author: Option<Author>,
}

/// Somebody that the server knows, or a name out of Git.
#[derive(Debug, Deserialize)]
struct Author {
    name: Option<String>,
    #[serde(rename = "displayName")]
    display_name: Option<String>,
}

impl Commit {
    /// `web_url` is the repository's.
    pub(crate) fn into_model(self, web_url: Option<&str>) -> model::Commit {
        let url = web_url.map(|repository| format!("{repository}/commits/{}", self.id));
        let mut commit = model::Commit::new(self.id, self.message.as_deref().unwrap_or_default());
        commit.author = self
            .author
            .and_then(|author| author.display_name.or(author.name))
            .filter(|name| !name.is_empty());
        commit.committed_at = time(self.committer_timestamp.as_ref());
        commit.web_url = url;
        commit
    }
}
