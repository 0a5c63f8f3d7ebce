//! Commit statuses: docs api/commits.md, "Commit status". Each one becomes a job of source `external` in a pipeline, which
//! may change that pipeline's state and set off hooks: so nothing is sent that is there already.

use forge_core::{
    Result,
    model::{CommitStatus, PostAction, Posted, RepoRef, StatusState},
};
use futures_util::TryStreamExt as _;

use crate::{
    client::{Client, name_of, segment},
    wire,
};

/// The longest description that GitLab keeps.
const MAX_DESCRIPTION: usize = 255;

impl Client {
    pub(super) async fn put_status(
        &self,
        repo: &RepoRef,
        sha: &str,
        status: &CommitStatus,
    ) -> Result<Posted> {
        let sha = segment(sha, "commit")?;
        let description: String = status.description.chars().take(MAX_DESCRIPTION).collect();
        let body = wire::StatusBody {
            state: word(status.state),
            name: &status.context,
            description: &description,
            target_url: status.target_url.as_deref(),
        };
        let standing = self.find_status(repo, &sha, &status.context).await?;
        let is_same = |standing: &wire::CommitStatus| {
            standing.status.as_deref() == Some(body.state)
                && standing.description.as_deref().unwrap_or_default() == description
                && standing.target_url == status.target_url
        };
        if let Some(standing) = standing.as_ref().filter(|standing| is_same(standing)) {
            return Ok(Posted::new(standing.id.to_string(), PostAction::Unchanged));
        }
        let operation = format!("set the status of commit {sha} of {}", name_of(repo));
        // A state cannot follow itself ("Cannot transition status"); with nothing but another text it stays as it is.
        let repeats = standing.as_ref().filter(|standing| standing.status.as_deref() == Some(body.state));
        let answer = self
            .call(repo, &operation, |api, path| {
                let request = api.post(&format!("{path}/statuses/{sha}")).json(&body);
                if repeats.is_some() { request.allow_status(400) } else { request }
            })
            .await?;
        if let (400, Some(standing)) = (answer.status().as_u16(), repeats) {
            return Ok(Posted::new(standing.id.to_string(), PostAction::Unchanged));
        }
        let made: wire::CommitStatus = answer.json()?;
        let action = if standing.is_some() { PostAction::Updated } else { PostAction::Created };
        Ok(Posted::new(made.id.to_string(), action))
    }

    async fn find_status(
        &self,
        repo: &RepoRef,
        sha: &str,
        context: &str,
    ) -> Result<Option<wire::CommitStatus>> {
        let operation = format!("list statuses of commit {sha} of {}", name_of(repo));
        let (sha, name) = (sha.to_owned(), context.to_owned());
        let found: Vec<wire::CommitStatus> = self
            .list(
                repo,
                operation,
                move |api, path| {
                    api.get(&format!("{path}/repository/commits/{sha}/statuses"))
                        .query(&[("name", &name), ("per_page", "100")])
                },
                |status| status,
            )
            .try_collect()
            .await?;
        Ok(found
            .into_iter()
            .filter(|status| status.name.as_deref() == Some(context))
            .max_by_key(|status| status.id))
    }
}

fn word(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "pending",
        StatusState::Success => "success",
        StatusState::Failure => "failed",
        // That we could not tell must not fail the pipeline that the status becomes a job of.
        StatusState::Error => "canceled",
    }
}
