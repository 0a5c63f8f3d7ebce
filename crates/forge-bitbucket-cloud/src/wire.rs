//! What Bitbucket sends, as it sends it, and how that becomes the shared model.
//!
//! Nearly every field is optional: the API description lacks some and declares others wrongly.

mod ci;
mod facts;
mod feedback;
mod repo;

pub(crate) use ci::{Pipeline, Step};
pub(crate) use facts::{Branch, ChangedPath, CommitAnswer, TestCase, TestReasons, TestSummary};
pub(crate) use feedback::{CommentAnswer, PullRequestAnswer};
use jiff::Timestamp;
pub(crate) use repo::{HookAnswer, Repository, User, WorkspaceAccess};
use serde::Deserialize;

/// A page of a list. `next` is a whole address, and absent on the last page.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) values: Vec<T>,
    pub(crate) next: Option<String>,
    /// Of the whole list, where the list is counted.
    size: Option<u64>,
    pagelen: Option<u64>,
}

impl<T> Page<T> {
    /// The number of the last page.
    pub(crate) fn last(&self) -> Option<u64> {
        Some(self.size?.div_ceil(self.pagelen.filter(|length| *length > 0)?))
    }
}

/// As [`Page`], where an answer without a list is possible.
#[derive(Debug, Deserialize)]
pub(crate) struct MaybePage<T> {
    #[serde(default = "Vec::new")]
    pub(crate) values: Vec<T>,
}

#[derive(Debug, Deserialize)]
struct Links {
    html: Option<Link>,
}

#[derive(Debug, Deserialize)]
struct Link {
    href: Option<String>,
}

fn html_link(links: Option<Links>) -> Option<String> {
    non_empty(links?.html?.href)
}

/// A time as Bitbucket prints it; `None` when it prints something else.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
