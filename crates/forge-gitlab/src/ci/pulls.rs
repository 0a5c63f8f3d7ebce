//! Merge requests of a pipeline: docs api/merge_requests.md, api/commits.md.

use forge_core::{
    Result,
    model::{PullRequest, RefType, RepoRef, Run},
};
use futures_util::TryStreamExt as _;

use crate::{
    client::{Client, name_of, number, segment},
    error::absent,
    wire::{self, MergeRequest},
};

impl Client {
    pub(super) async fn find_merge_requests(&self, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
        let mut found = Vec::new();
        let mut unseen = Vec::new();
        for iid in &run.pull_requests {
            match self.merge_request_of(repo, iid, run.sha.as_deref()).await? {
                Some((merge_request, home)) => found.push(merge_request.into_pull_request(home)),
                None => unseen.push(PullRequest::new(iid.clone(), repo.clone())),
            }
        }
        if found.is_empty() && run.ref_type != Some(RefType::Tag) {
            found = match &run.git_ref {
                Some(branch) => self.of_branch(repo, branch).await?,
                None => self.of_commit(repo, run).await?,
            };
        }
        found.retain(|pull| pull.is_open);
        found.sort_by_key(|pull| pull.head_sha != run.sha);
        // The pipeline names it, so it is there: whoever may not read it learns at the comment whether they may write.
        Ok(if found.is_empty() { unseen } else { found })
    }

    /// Merge request `iid` as a pipeline's reference names it, and the project whose number it is.
    ///
    /// A fork's merge request pipeline runs in the fork under the number of the target project, where the fork itself
    /// may have a merge request of that number too: so a commit that does not fit makes us look at the target.
    pub(super) async fn merge_request_of(
        &self,
        repo: &RepoRef,
        iid: &str,
        sha: Option<&str>,
    ) -> Result<Option<(MergeRequest, RepoRef)>> {
        let here = self.get_merge_request(repo, iid).await?;
        if let Some(found) = &here
            && (sha.is_none() || found.sha.as_deref() == sha)
        {
            return Ok(here.map(|found| (found, repo.clone())));
        }
        if let Some(parent) = self.parent_of(repo).await?
            && let Some(found) = self.get_merge_request(&parent, iid).await?
            && found.source_project_id.map(|id| id.to_string()).as_deref() == Some(repo.id.as_str())
        {
            return Ok(Some((found, parent)));
        }
        Ok(here.map(|found| (found, repo.clone())))
    }

    async fn get_merge_request(&self, repo: &RepoRef, iid: &str) -> Result<Option<MergeRequest>> {
        let iid = number(iid, "merge request number")?;
        let operation = format!("get merge request {iid} of {}", name_of(repo));
        let answer =
            self.call(repo, &operation, |api, path| api.get(&format!("{path}/merge_requests/{iid}"))).await;
        absent(answer)?.map(|answer| answer.json()).transpose()
    }

    async fn parent_of(&self, repo: &RepoRef) -> Result<Option<RepoRef>> {
        let operation = format!("get project {}", name_of(repo));
        let Some(answer) = absent(self.call(repo, &operation, |api, path| api.get(path)).await)? else {
            return Ok(None);
        };
        let project: wire::Project = answer.json()?;
        Ok(project
            .forked_from_project
            .map(|parent| RepoRef::new(parent.id.to_string(), parent.path_with_namespace)))
    }

    /// Open merge requests from `branch`, in this project or, for a fork, in the project it was forked from.
    async fn of_branch(&self, repo: &RepoRef, branch: &str) -> Result<Vec<PullRequest>> {
        let here = self.list_from_branch(repo, branch, &repo.id).await?;
        if !here.is_empty() {
            return Ok(here);
        }
        match self.parent_of(repo).await? {
            Some(parent) => self.list_from_branch(&parent, branch, &repo.id).await,
            None => Ok(Vec::new()),
        }
    }

    async fn list_from_branch(
        &self,
        target: &RepoRef,
        branch: &str,
        source_id: &str,
    ) -> Result<Vec<PullRequest>> {
        let operation = format!("list merge requests of {}", name_of(target));
        let branch = branch.to_owned();
        let found: Vec<MergeRequest> = absent(
            self.list(
                target,
                operation,
                move |api, path| {
                    api.get(&format!("{path}/merge_requests")).query(&[
                        ("state", "opened"),
                        ("source_branch", &branch),
                        ("per_page", "100"),
                    ])
                },
                |found| found,
            )
            .try_collect()
            .await,
        )?
        .unwrap_or_default();
        // Forks may have a branch of the same name.
        let is_from_source =
            |found: &MergeRequest| found.source_project_id.is_none_or(|id| id.to_string() == source_id);
        Ok(found
            .into_iter()
            .filter(is_from_source)
            .map(|found| found.into_pull_request(target.clone()))
            .collect())
    }

    async fn of_commit(&self, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
        let Some(sha) = &run.sha else { return Ok(Vec::new()) };
        let sha = segment(sha, "commit")?;
        let operation = format!("list merge requests of a commit of {}", name_of(repo));
        let home = repo.clone();
        let found = self
            .list(
                repo,
                operation,
                move |api, path| {
                    api.get(&format!("{path}/repository/commits/{sha}/merge_requests"))
                        .query(&[("per_page", "100")])
                },
                move |found: MergeRequest| found.into_pull_request(home.clone()),
            )
            .try_collect()
            .await;
        Ok(absent(found)?.unwrap_or_default())
    }
}
