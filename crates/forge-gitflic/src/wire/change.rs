use forge_core::model::{ChangedFile, Commit, FileChange, RepoRef};
use serde_json::Value;

use super::{Fields, branch_or_tag, web_url};
use crate::clock::Clock;

/// What stands for no file, in the way of Git.
const NO_FILE: &str = "/dev/null";

/// A commit with its parents.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) commit: Commit,
    pub(crate) parents: Vec<String>,
}

pub(crate) fn revision(fields: Fields<'_>, repo: &RepoRef, base_url: &str, clock: Clock) -> Option<Revision> {
    let sha = fields.text("hash")?;
    let mut commit = Commit::new(sha, &fields.first_text(&["shortMessage", "message"]).unwrap_or_default());
    commit.author = fields.at("authorIdent").text("name");
    commit.committed_at = fields.time("createdAt", clock);
    commit.web_url = web_url(base_url, repo, &format!("/commit/{}", commit.sha));
    let parents =
        fields.items("parentCommitIds").filter_map(|parent| parent.value()?.as_str().map(str::to_owned));
    Some(Revision { commit, parents: parents.collect() })
}

/// The branch that a word or an object of a merge request names.
pub(crate) fn branch(fields: Fields<'_>, key: &str) -> Option<String> {
    let name = fields.names(key).into_iter().next();
    branch_or_tag(name).0
}

/// A file of a commit or comparison.
///
/// `changeType` has no documented words: they are taken to be Git's (`ADD`, `MODIFY`, `DELETE`, `RENAME`, `COPY`) or words
/// that begin like them; other words are decided by the paths.
pub(crate) fn changed_file(fields: Fields<'_>) -> Option<ChangedFile> {
    let [old, new] = ["oldPath", "newPath"].map(|key| fields.text(key));
    let is_none = |path: &Option<String>| path.as_deref() == Some(NO_FILE);
    let word = fields.word("changeType").unwrap_or_default();
    let begins = |words: &[&str]| words.iter().any(|start| word.starts_with(start));
    let change = if begins(&["ADD", "NEW", "CREAT", "COP"]) || is_none(&old) {
        FileChange::Added
    } else if begins(&["DEL", "REM"]) && !begins(&["RENAM"]) || is_none(&new) {
        FileChange::Removed
    } else if begins(&["REN", "MOV"]) || (old.is_some() && new.is_some() && old != new) {
        FileChange::Renamed
    } else {
        FileChange::Modified
    };
    let [old, new] = [old, new].map(|path| path.filter(|path| path != NO_FILE));
    let named = fields.first_text(&["filePath", "fileName"]);
    let path = if change == FileChange::Removed { old.clone().or(named) } else { new.or(named) };
    let mut file = ChangedFile::new(path?, change);
    if let Some(patch) = patch(fields) {
        file = file.with_patch(&patch);
    }
    if change == FileChange::Renamed {
        file.old_path = old;
    }
    Some(file)
}

/// The file's hunks, where its `lines` are those of a unified diff. What the lines hold is not documented in full, so that
/// without a hunk's header among them nothing is known.
fn patch(fields: Fields<'_>) -> Option<String> {
    let is = |key: &str| fields.flag(key) == Some(true);
    if is("isBinary") || is("isLarge") || is("isCollapsed") {
        return None;
    }
    let bodies: Vec<&str> = fields
        .items("lines")
        .filter_map(|line| line.at("body").value().or(line.value()).and_then(Value::as_str))
        .map(|body| body.trim_end_matches(['\r', '\n']))
        .collect();
    bodies.iter().any(|body| body.starts_with("@@ -")).then(|| bodies.join("\n"))
}
