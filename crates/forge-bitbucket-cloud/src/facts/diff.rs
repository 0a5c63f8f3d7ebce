//! The files of a change from its statistics, the lines from its text.

use std::collections::HashMap;

use forge_core::{
    Error, ErrorKind, ForgeKind, Result,
    model::{Change, ChangedFile, Diff, FileChange, LineRange, RepoRef},
};
use futures_util::TryStreamExt as _;
use http::{HeaderValue, header};

use super::MAX_REDIRECTS;
use crate::{
    client::{BitbucketCloudClient, More, repo_path, segment, shown},
    wire,
};

/// Files of one change; more are not listed.
const MAX_FILES: usize = 1000;
/// So much of a change's text is read.
const MAX_TEXT_BYTES: u64 = 8 * 1024 * 1024;

pub(super) async fn read(client: &BitbucketCloudClient, repo: &RepoRef, change: &Change) -> Result<Diff> {
    let operation = format!("read a change of {}", shown(repo));
    let (list, text) = places(repo, change)?;
    let all =
        client.list(Ok(list), operation.clone(), |files: Vec<wire::ChangedPath>| (files, More::AsLinked));
    let mut files: Vec<wire::ChangedPath> =
        futures_util::StreamExt::take(all, MAX_FILES + 1).try_collect().await?;
    let mut diff = Diff::default();
    diff.is_truncated = files.len() > MAX_FILES;
    files.truncate(MAX_FILES);
    let mut lines = if files.is_empty() { HashMap::new() } else { client.lines(text, &operation).await? };
    for file in files {
        let Some(mut file) = file.into_model() else { continue };
        file.lines = match file.change {
            FileChange::Removed => Some(Vec::new()),
            _ => lines.remove(&file.path),
        };
        diff.files.push(file);
    }
    Ok(diff)
}

/// The paths of the statistics and of the text.
///
/// Of two commits the first is the one with the changes: the other way round than with git
/// (developer.atlassian.com/cloud/bitbucket/rest/api-group-commits, "Compare two commits"). `topic` compares with their
/// merge base. What belongs to a pull request is reached by a redirect, which keeps no parameters.
fn places(repo: &RepoRef, change: &Change) -> Result<(String, String)> {
    let path = repo_path(repo)?;
    let (spec, topic) = match change {
        Change::Pull(number) => {
            let pull = format!("{path}/pullrequests/{}", segment(number)?);
            return Ok((format!("{pull}/diffstat?pagelen=100"), format!("{pull}/diff")));
        }
        Change::Commit(sha) => (segment(sha)?, ""),
        Change::Range { base, head } => (format!("{}..{}", segment(head)?, segment(base)?), "topic=true&"),
        _ => {
            return Err(Error::new(ErrorKind::Unsupported, "Bitbucket cannot compare such a thing")
                .with_forge(ForgeKind::BITBUCKET_CLOUD));
        }
    };
    Ok((
        format!("{path}/diffstat/{spec}?{topic}pagelen=100"),
        format!("{path}/diff/{spec}?{topic}context=0&binary=false"),
    ))
}

impl BitbucketCloudClient {
    /// The written lines by path. A text that Bitbucket does not give (status 555 for one that takes it too long) or
    /// that is too large leaves files without lines; the files are known all the same.
    async fn lines(&self, path: String, operation: &str) -> Result<HashMap<String, Vec<LineRange>>> {
        let request = self
            .api
            .get(&path)
            .header(header::ACCEPT, HeaderValue::from_static("text/plain, */*;q=0.1"))
            .operation(operation);
        let text = match request.stream_following(MAX_TEXT_BYTES, MAX_REDIRECTS).await {
            Ok(response) => response.into_log().read_to_end().await,
            Err(error) => Err(error),
        };
        match text {
            Ok((text, is_cut)) => Ok(written(&String::from_utf8_lossy(&text), is_cut)),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Forge | ErrorKind::Timeout | ErrorKind::TooLarge | ErrorKind::NotFound
                ) =>
            {
                Ok(HashMap::new())
            }
            Err(error) => Err(error),
        }
    }
}

/// The written lines of each file in a diff of git. The last file of one that was cut off is not whole and left out.
fn written(text: &str, is_cut: bool) -> HashMap<String, Vec<LineRange>> {
    let mut files = HashMap::new();
    // Within a hunk every line begins with a sign, so that this begins a file wherever a line does.
    let mut starts: Vec<usize> = text.match_indices("\ndiff --git ").map(|(at, _)| at + 1).collect();
    if text.starts_with("diff --git ") {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut sections: Vec<&str> =
        starts.iter().zip(ends).filter_map(|(&start, end)| text.get(start..end)).collect();
    if is_cut {
        sections.pop();
    }
    for section in sections {
        let is_binary = |line: &str| line.starts_with("Binary files ") || line == "GIT binary patch";
        let head = section.find("\n@@ ").and_then(|at| section.get(..at)).unwrap_or(section);
        if head.lines().any(is_binary) {
            continue;
        }
        if let Some(path) = path_of(head) {
            let lines = ChangedFile::new("", FileChange::Modified).with_patch(section).lines;
            files.insert(path, lines.unwrap_or_default());
        }
    }
    files
}

/// The path after the change, from the lines before the first hunk.
fn path_of(head: &str) -> Option<String> {
    let after = |start: &str| head.lines().find_map(|line| line.strip_prefix(start));
    // A name with a space is followed by a tab there.
    let side = |start: &str, prefix: &str| {
        let name = unquoted(after(start)?.trim_end_matches('\t'))?;
        name.strip_prefix(prefix).map(str::to_owned)
    };
    side("+++ ", "b/")
        .or_else(|| side("--- ", "a/"))
        .or_else(|| unquoted(after("rename to ")?))
        .or_else(|| unquoted(after("copy to ")?))
        .or_else(|| {
            // Of a file without hunks both names are the same: an empty one, or another mode.
            let names = after("diff --git ")?;
            let (old, new) = names.split_at_checked(names.len() / 2)?;
            let new = unquoted(new.strip_prefix(' ')?)?;
            let old = unquoted(old)?;
            let path = new.strip_prefix("b/")?;
            (old.strip_prefix("a/")? == path).then(|| path.to_owned())
        })
}

/// Git quotes names with unusual bytes as C does: `"b/caf\303\251"`.
fn unquoted(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let mut bytes = Vec::new();
    let mut rest = inner.strip_suffix('"')?.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            first @ b'0'..=b'3' => {
                let digit = |byte: u8| matches!(byte, b'0'..=b'7').then(|| byte - b'0');
                let (second, third) = (digit(rest.next()?)?, digit(rest.next()?)?);
                (first - b'0') * 64 + second * 8 + third
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
