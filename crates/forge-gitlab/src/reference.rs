//! What GitLab writes where a branch or tag name is expected.

use forge_core::model::RefType;

/// A reference, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A name without a prefix that would say whether it is a branch or a tag.
    Plain(String),
    /// A name with its type.
    Named(String, RefType),
    /// A merge request's hidden reference: docs ci/pipelines/merge_request_pipelines.md.
    MergeRequest {
        /// The merge request's number in its target project.
        iid: String,
        /// The commit is a merge of source and target made for the pipeline (`merge`, `train`), not the source's head.
        is_merged: bool,
    },
}

impl Reference {
    /// Takes `text` apart.
    pub(crate) fn parse(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("refs/heads/") {
            return Self::Named(name.to_owned(), RefType::Branch);
        }
        if let Some(name) = text.strip_prefix("refs/tags/") {
            return Self::Named(name.to_owned(), RefType::Tag);
        }
        let hidden = text.strip_prefix("refs/merge-requests/").and_then(|rest| rest.split_once('/'));
        if let Some((iid, kind)) = hidden
            && !iid.is_empty()
            && iid.bytes().all(|byte| byte.is_ascii_digit())
            && matches!(kind, "head" | "merge" | "train")
        {
            return Self::MergeRequest { iid: iid.to_owned(), is_merged: kind != "head" };
        }
        Self::Plain(text.to_owned())
    }
}
