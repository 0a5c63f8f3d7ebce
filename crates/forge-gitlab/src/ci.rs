//! Pipelines, jobs and logs: docs api/pipelines.md, api/jobs.md.

mod jobs;
mod log;
mod pulls;
mod roots;

use async_trait::async_trait;
use forge_core::{
    BoxStream, Ci, LogOptions, LogStream, Result,
    model::{Job, PullRequest, RefType, RepoRef, Run, RunRef},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use crate::{
    client::{Client, name_of, number, segment},
    error::absent,
    facts::BY_PARENT,
    reference::Reference,
    wire,
};

pub(crate) use roots::Roots;

#[async_trait]
impl Ci for Client {
    async fn get_run(&self, repo: &RepoRef, run: &RunRef) -> Result<Run> {
        let id = number(&run.id, "pipeline id")?;
        let operation = format!("get pipeline {id} of {}", name_of(repo));
        let pipeline: wire::Pipeline = self
            .call(repo, &operation, |api, path| api.get(&format!("{path}/pipelines/{id}")))
            .await?
            .json()?;
        let reference = pipeline.git_ref.as_deref().map(Reference::parse);
        // By the commit as GitLab has it, before that of a merge request pipeline gives way to the one people know.
        let mut run = self.with_root(repo, pipeline.into_run()).await?;
        if let Some(Reference::MergeRequest { iid, is_merged }) = reference {
            self.add_merge_request(repo, &mut run, &iid, is_merged).await?;
        }
        Ok(run)
    }

    fn list_failed_runs(&self, repo: &RepoRef, since: Timestamp) -> BoxStream<'static, Result<Run>> {
        // Child pipelines are in the list only when their source is asked for by name.
        let top = self.list_failed_of(repo, since, None);
        let children = self.list_failed_of(repo, since, Some(BY_PARENT));
        let (client, repo) = (self.clone(), repo.clone());
        let children = children.and_then(move |run| {
            let (client, repo) = (client.clone(), repo.clone());
            async move { client.with_root(&repo, run).await }
        });
        top.chain(children).boxed()
    }

    fn list_jobs(&self, repo: &RepoRef, run: &RunRef) -> BoxStream<'static, Result<Job>> {
        self.walk_jobs(repo, run)
    }

    async fn get_job(&self, repo: &RepoRef, job_id: &str) -> Result<Job> {
        self.read_job(repo, job_id).await
    }

    async fn job_log(&self, repo: &RepoRef, job: &Job, options: LogOptions) -> Result<LogStream> {
        self.read_log(repo, job, options).await
    }

    async fn find_pull_requests(&self, repo: &RepoRef, run: &Run) -> Result<Vec<PullRequest>> {
        self.find_merge_requests(repo, run).await
    }
}

impl Client {
    fn list_failed_of(
        &self,
        repo: &RepoRef,
        since: Timestamp,
        source: Option<&'static str>,
    ) -> BoxStream<'static, Result<Run>> {
        let operation = format!("list failed pipelines of {}", name_of(repo));
        self.list(
            repo,
            operation,
            move |api, path| {
                // Newest first: a pipeline that changes while we turn pages moves to the front and pushes others to
                // later pages, where they are seen twice; oldest first it would pull them to pages already read.
                let request = api.get(&format!("{path}/pipelines")).query(&[
                    ("status", "failed"),
                    ("updated_after", &since.to_string()),
                    ("order_by", "updated_at"),
                    ("sort", "desc"),
                    ("per_page", "100"),
                ]);
                match source {
                    Some(source) => request.query(&[("source", source)]),
                    None => request,
                }
            },
            wire::Pipeline::into_run,
        )
    }

    /// Adds what the merge request of a merge request pipeline tells: branch, and the commit that people know.
    async fn add_merge_request(
        &self,
        repo: &RepoRef,
        run: &mut Run,
        iid: &str,
        is_merged: bool,
    ) -> Result<()> {
        let sha = run.sha.clone();
        let known_sha = sha.as_deref().filter(|_| !is_merged);
        if let Some((found, home)) = self.merge_request_of(repo, iid, known_sha).await? {
            run.git_ref = found.source_branch.clone();
            run.ref_type = run.git_ref.as_ref().map(|_| RefType::Branch);
            if home != *repo {
                // Its number belongs to the target project, not to this fork.
                run.pull_requests.clear();
            }
            run.head_repo_id = found.source_project_id.map(|id| id.to_string()).filter(|id| *id != repo.id);
        }
        if let (true, Some(sha)) = (is_merged, sha) {
            // Merged results and trains run on a commit that is in no branch: its second parent is the source's head.
            let sha = segment(&sha, "commit")?;
            let operation = format!("get the merged commit of pipeline {}", run.id);
            let commit = self
                .call(repo, &operation, |api, path| api.get(&format!("{path}/repository/commits/{sha}")))
                .await;
            if let Some(commit) = absent(commit)? {
                let commit: wire::Commit = commit.json()?;
                if let [_, head] = commit.parent_ids.as_slice() {
                    run.sha = Some(head.clone());
                }
            }
        }
        Ok(())
    }
}
