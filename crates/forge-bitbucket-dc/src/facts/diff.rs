//! The files of a change from its list, the lines from its hunks.

use std::collections::HashMap;

use forge_core::{
    Error, ErrorKind, ForgeKind, Result,
    model::{Change, Diff, FileChange, LineRange, RepoRef},
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::{
    client::{DcClient, repo_path, segment, shown},
    wire,
};

/// Files of one change; servers list no more than a thousand either (`page.max.changes`).
const MAX_FILES: usize = 1000;

pub(super) async fn read(client: &DcClient, repo: &RepoRef, change: &Change) -> Result<Diff> {
    let operation = format!("read a change of {}", shown(repo));
    let path = repo_path(repo)?;
    let (place, query): (String, Vec<(&str, &str)>) = match change {
        Change::Pull(number) => (format!("{path}/pull-requests/{}", segment(number)?), Vec::new()),
        Change::Commit(sha) => (format!("{path}/commits/{}", segment(sha)?), Vec::new()),
        // From their merge base: what `from` has and `to` has not.
        Change::Range { base, head } => {
            (format!("{path}/compare"), vec![("from", head.as_str()), ("to", base.as_str())])
        }
        _ => {
            return Err(Error::new(ErrorKind::Unsupported, "Bitbucket cannot compare such a thing")
                .with_forge(ForgeKind::BITBUCKET_DC)
                .with_operation(operation));
        }
    };
    let listed: Vec<(&str, &str)> = query.iter().copied().chain([("limit", "1000")]).collect();
    let all = client.list::<wire::ChangedPath>(Ok(format!("{place}/changes")), &listed, operation.clone());
    let mut files: Vec<wire::ChangedPath> = all.take(MAX_FILES + 1).try_collect().await?;
    let mut diff = Diff::default();
    diff.is_truncated = files.len() > MAX_FILES;
    files.truncate(MAX_FILES);
    if files.is_empty() {
        return Ok(diff);
    }
    let mut lines = lines(client, &format!("{place}/diff"), &query, &operation).await?;
    for file in files {
        let is_copy = file.is_copy();
        let Some(mut file) = file.into_model() else { continue };
        file.lines = match file.change {
            FileChange::Removed => Some(Vec::new()),
            _ if is_copy => None,
            _ => lines.remove(&file.path),
        };
        diff.files.push(file);
    }
    Ok(diff)
}

/// The written lines by path. Servers cut long diffs and say so; what they do not show, or show too much of, is left
/// out: the files are known all the same.
async fn lines(
    client: &DcClient,
    path: &str,
    query: &[(&str, &str)],
    operation: &str,
) -> Result<HashMap<String, Vec<LineRange>>> {
    let request = client.api.get(path).query(query);
    let request = request.query(&[("contextLines", "0"), ("withComments", "false")]).operation(operation);
    let answer: Result<wire::DiffAnswer> = match client.send(request).await {
        Ok(response) => response.json(),
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => Ok(answer.into_lines()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::TooLarge | ErrorKind::Forge | ErrorKind::Timeout | ErrorKind::NotFound
            ) =>
        {
            Ok(HashMap::new())
        }
        Err(error) => Err(error),
    }
}
