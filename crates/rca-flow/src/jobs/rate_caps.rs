//! Not too many comments within an hour. What is capped waits: the text is made again once there is room, so that it is
//! the newest that is said then, and once.

use std::time::Duration;

use rca_store::{CommentPost, PostLimits};

use super::{Context, JobError, later::Later};
use crate::{connect::timestamp, flow::Flow, introduced_by::minute, settings};

/// A place among the comments of this hour.
pub(super) struct Place {
    post: Option<CommentPost>,
}

impl Place {
    /// Gives it to others: the forge has refused the text.
    pub(super) async fn release(self, flow: &Flow) -> Result<(), JobError> {
        if let Some(post) = self.post {
            flow.store().release_post(post).await?;
        }
        Ok(())
    }
}

/// Asks whether a text may be posted at a target now.
pub(super) async fn reserve(
    flow: &Flow,
    context: &Context,
    target: &str,
    body_hash: &str,
) -> Result<Result<Place, Later>, JobError> {
    let workspace = &context.integration.workspace;
    let caps = settings::rate_caps(&flow.store().get_settings(workspace).await?);
    let limits = PostLimits {
        target: caps.pull_request_per_hour.filter(|_| target.starts_with("pr:")),
        repository: caps.repository_per_hour,
    };
    if limits == PostLimits::default() {
        return Ok(Ok(Place { post: None }));
    }
    let post = CommentPost {
        workspace: workspace.clone(),
        repository: context.repository.id.clone(),
        target: target.to_owned(),
        body_hash: body_hash.to_owned(),
    };
    let Some(refused) = flow.store().reserve_post(post.clone(), limits).await? else {
        return Ok(Ok(Place { post: Some(post) }));
    };
    let whose = if refused.is_of_target { "this pull request" } else { "this repository" };
    let comments = if refused.limit == 1 { "comment" } else { "comments" };
    let at = minute(timestamp(refused.until));
    let reason = format!(
        "{} {comments} an hour are allowed for {whose} (settings: rate_caps); it is said at {at}",
        refused.limit
    );
    let pause = u64::try_from(refused.until - refused.now).unwrap_or(0).max(1000);
    Ok(Err(Later { pause: Duration::from_millis(pause), reason }))
}
