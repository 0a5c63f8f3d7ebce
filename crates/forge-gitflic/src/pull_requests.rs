//! The merge requests that a pipeline is about.

use std::sync::atomic::{AtomicUsize, Ordering};

use forge_core::{
    Result,
    model::{PullRequest, RefType, RepoRef, Run},
};
use futures_util::TryStreamExt as _;

use crate::{
    client::{GitFlicClient, repo_path, shown},
    page::More,
    wire::{self, Fields, is_number},
};

/// Closed ones are listed too, and nothing filters them.
const SEARCHED_PAGES: usize = 10;

/// Open merge requests of the pipeline's branch; pipelines do not name theirs.
///
/// A branch of the same name in a fork is another one, except where the pipeline says that it runs for a merge request.
pub(crate) async fn find(client: &GitFlicClient, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
    let Some(branch) = run.git_ref.clone().filter(|_| run.ref_type != Some(RefType::Tag)) else {
        return Ok(Vec::new());
    };
    let is_for_merge_request =
        run.trigger.as_deref().is_some_and(|source| source.eq_ignore_ascii_case("MERGE_REQUEST_EVENT"));
    let number = number_in(&branch);
    let (web, here) = (client.web().to_owned(), repo.clone());
    let pages_left = AtomicUsize::new(SEARCHED_PAGES);
    let path = repo_path(repo).map(|path| format!("{path}/merge-request/list"));
    let operation = format!("list merge requests of {}", shown(repo));
    let found = client.list_pages(path, operation, move |items| {
        let mut matching = Vec::new();
        for item in items {
            let (pull_request, sources, project) = wire::pull_request(Fields::new(item), &here, &web)?;
            let is_here =
                is_for_merge_request || project.is_none_or(|id| here.id.is_empty() || id == here.id);
            let is_its_branch = sources.contains(&branch) && is_here;
            if pull_request.is_open && (is_its_branch || number.as_deref() == Some(&pull_request.number)) {
                let mut pull_request = pull_request;
                pull_request.source_branch = Some(branch.clone());
                matching.push(pull_request);
            }
        }
        let is_last = pages_left.fetch_sub(1, Ordering::Relaxed) <= 1;
        let more = if is_last || !matching.is_empty() { More::No } else { More::Yes };
        Some((matching, more))
    });
    found.try_collect().await
}

/// The number in a reference that Git servers make for a merge request: `refs/merge-requests/12/head`.
fn number_in(git_ref: &str) -> Option<String> {
    let mut parts = git_ref.split('/');
    parts.by_ref().find(|part| matches!(*part, "merge-requests" | "merge-request"))?;
    parts.next().filter(|number| is_number(number)).map(str::to_owned)
}
