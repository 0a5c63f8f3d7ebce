//! Comments, build statuses, Code Insights reports. Issues live in Jira.

use async_trait::async_trait;
use forge_core::{
    BoxStream, Error, ErrorKind, Feedback, ForgeKind, Result,
    model::{Comment, CommitStatus, Issue, PostAction, Posted, RepoRef, StatusState, Target},
};
use futures_util::{StreamExt as _, TryStreamExt as _, future};
use serde_json::{Value, json};
use url::Url;

use crate::{
    client::{DcClient, repo_path, repo_place, segment, shown},
    error,
    version::Version,
    wire::{self, Activity, PostedComment},
};

const MAX_KEY_CHARS: usize = 255;
const MAX_DESCRIPTION_CHARS: usize = 255;
const MAX_URL_BYTES: usize = 450;
const MAX_TITLE_CHARS: usize = 450;
const MAX_DETAILS_CHARS: usize = 2000;

#[async_trait]
impl Feedback for DcClient {
    async fn upsert_comment(
        &self,
        repo: &RepoRef,
        target: &Target,
        comment: &Comment,
        known_id: Option<&str>,
    ) -> Result<Posted> {
        let place = CommentPlace::new(&self.base_url, repo, target)?;
        let mut earlier = None;
        if let Some(id) = known_id {
            earlier = self.read_comment(&place, id).await?;
        }
        if earlier.is_none() {
            earlier = self.find_comment(&place, &comment.marker).await?;
        }
        let Some(mut earlier) = earlier else { return self.create_comment(&place, &comment.body).await };
        let mut is_second_try = false;
        loop {
            if is_same_text(earlier.text.as_deref(), &comment.body) {
                let action = if is_second_try { PostAction::Updated } else { PostAction::Unchanged };
                return Ok(place.posted(earlier.id, action));
            }
            let request = self
                .api
                .put(&format!("{}/{}", place.comments, earlier.id))
                .json(&json!({ "text": comment.body, "version": earlier.version.unwrap_or(0) }))
                .operation(format!("edit comment {} on {}", earlier.id, place.name));
            match self.send(request).await {
                Ok(response) => {
                    let answer: PostedComment = response.json()?;
                    return Ok(place.posted(answer.id, PostAction::Updated));
                }
                // It was deleted between our looking and our writing.
                Err(error) if error::is_absent(&error) => {
                    return self.create_comment(&place, &comment.body).await;
                }
                // Somebody else was quicker, or an earlier try of ours arrived after all: the version says so.
                Err(error) if error.kind() == ErrorKind::Conflict && !is_second_try => {
                    is_second_try = true;
                    match self.read_comment(&place, &earlier.id.to_string()).await? {
                        Some(now) => earlier = now,
                        None => return self.create_comment(&place, &comment.body).await,
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn upsert_issue(&self, _repo: &RepoRef, _issue: &Issue, _known: Option<&str>) -> Result<Posted> {
        Err(no_issues())
    }

    async fn close_issue(&self, _repo: &RepoRef, _issue_id: &str, _body: Option<&str>) -> Result<()> {
        Err(no_issues())
    }

    /// A build status, and with success or failure a Code Insights report of the same key, which the pull request
    /// shows.
    async fn set_status(&self, repo: &RepoRef, sha: &str, status: &CommitStatus) -> Result<Posted> {
        let state = match status.state {
            StatusState::Pending => "INPROGRESS",
            StatusState::Success => "SUCCESSFUL",
            StatusState::Failure | StatusState::Error => "FAILED",
        };
        let key = cut(&status.context, MAX_KEY_CHARS);
        // An address is obligatory; a cut one would lead nowhere.
        let commit_url = || match repo.full_name.split_once('/') {
            Some((project, slug)) => {
                format!("{}/commits/{sha}", wire::repository_url(&self.base_url, project, slug))
            }
            None => self.base_url.as_str().to_owned(),
        };
        let target = status.target_url.clone().filter(|url| url.len() <= MAX_URL_BYTES);
        let body = json!({
            "key": key,
            "state": state,
            "name": key,
            "url": target.clone().unwrap_or_else(commit_url),
            "description": cut(&status.description, MAX_DESCRIPTION_CHARS),
        });
        let operation = format!("set the status of {sha} in {}", shown(repo));
        let segment = segment(sha)?;
        let rich = format!("{}/commits/{segment}/builds", repo_path(repo)?);
        let global = format!("build-status/1.0/commits/{segment}");
        if self.version().await?.is_some_and(|version| version >= Version::RICH_BUILDS) {
            match self.post_status(&rich, &body, &operation).await {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => {
                    self.post_status(&global, &body, &operation).await?;
                }
                other => other?,
            }
        } else {
            self.post_status(&global, &body, &operation).await?;
        }
        if self.settings.has_insights && status.state != StatusState::Pending {
            self.put_report(repo, sha, status, target.as_deref()).await?;
        }
        let mut posted = Posted::new(key, PostAction::Created);
        posted.web_url = Some(commit_url());
        Ok(posted)
    }
}

impl DcClient {
    async fn create_comment(&self, place: &CommentPlace, text: &str) -> Result<Posted> {
        let request = self
            .api
            .post(&place.comments)
            .json(&json!({ "text": text }))
            .operation(format!("comment on {}", place.name));
        let answer: PostedComment = self.send(request).await?.json()?;
        Ok(place.posted(answer.id, PostAction::Created))
    }

    async fn read_comment(&self, place: &CommentPlace, id: &str) -> Result<Option<PostedComment>> {
        let path = format!("{}/{}", place.comments, segment(id)?);
        match self.get(&path, format!("read comment {id} on {}", place.name)).await {
            Ok(comment) => Ok(Some(comment)),
            Err(error) if error::is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Our comment with `marker`. One that somebody else wrote is not ours, whatever it says.
    async fn find_comment(&self, place: &CommentPlace, marker: &str) -> Result<Option<PostedComment>> {
        let mut comments = self.comments(place);
        loop {
            match comments.try_next().await {
                Ok(Some(comment)) => {
                    let has_marker = comment.text.as_deref().is_some_and(|text| text.contains(marker));
                    if has_marker && self.is_ours(&comment) {
                        return Ok(Some(comment));
                    }
                }
                Ok(None) => return Ok(None),
                // Some versions list the comments of a commit by file only: then only the id finds ours again.
                Err(error) if error.kind() == ErrorKind::Invalid && place.activities.is_none() => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Comments of a pull request are listed by file only; the general ones are among its activities.
    fn comments(&self, place: &CommentPlace) -> BoxStream<'static, Result<PostedComment>> {
        let operation = format!("list comments on {}", place.name);
        let query = [("limit", "100")];
        match &place.activities {
            Some(path) => self
                .list::<Activity>(Ok(path.clone()), &query, operation)
                .try_filter_map(|activity| future::ready(Ok(activity.comment)))
                .boxed(),
            None => self.list(Ok(place.comments.clone()), &query, operation),
        }
    }

    fn is_ours(&self, comment: &PostedComment) -> bool {
        let author = comment.author.as_ref().and_then(|author| author.name.as_deref());
        match (author, self.user_name()) {
            (Some(author), Some(own)) => author.eq_ignore_ascii_case(own),
            _ => false,
        }
    }

    async fn post_status(&self, path: &str, body: &Value, operation: &str) -> Result<()> {
        // The same key again replaces the status, so that doing it twice does no harm.
        let request = self.api.post(path).json(body).repeatable().allow_status(405).operation(operation);
        let response = self.send(request).await?;
        if response.status().as_u16() == 405 {
            return Err(Error::new(ErrorKind::Unsupported, "this server takes no build statuses here")
                .with_forge(ForgeKind::BITBUCKET_DC)
                .with_operation(operation));
        }
        Ok(())
    }

    /// A report can only be changed by whoever made it, and servers can have Code Insights switched off: the status says
    /// the same, so those are no failures.
    async fn put_report(
        &self,
        repo: &RepoRef,
        sha: &str,
        status: &CommitStatus,
        link: Option<&str>,
    ) -> Result<()> {
        let mut body = json!({
            "title": cut(&status.context, MAX_TITLE_CHARS),
            "details": cut(&status.description, MAX_DETAILS_CHARS),
            "result": if status.state == StatusState::Success { "PASS" } else { "FAIL" },
            "reporter": "Forge RCA",
        });
        if let (Some(link), Some(fields)) = (link, body.as_object_mut()) {
            fields.insert("link".to_owned(), link.into());
        }
        let path = format!(
            "insights/latest/{}/commits/{}/reports/{}",
            repo_place(repo)?,
            segment(sha)?,
            segment(&status.context)?
        );
        let operation = format!("report on {sha} in {}", shown(repo));
        let request = self.api.put(&path).json(&body).allow_status(405).operation(operation);
        match self.send(request).await {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::Forbidden | ErrorKind::Conflict | ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }
}

/// Where comments of a target are listed, made and changed.
struct CommentPlace {
    comments: String,
    activities: Option<String>,
    name: String,
    web_url: String,
}

impl CommentPlace {
    fn new(base_url: &Url, repo: &RepoRef, target: &Target) -> Result<Self> {
        let path = repo_path(repo)?;
        let web = repo.full_name.split_once('/');
        let web =
            web.map(|(project, slug)| wire::repository_url(base_url, project, slug)).unwrap_or_default();
        match target {
            Target::Pull(number) => {
                let pull = format!("{path}/pull-requests/{}", segment(number)?);
                Ok(Self {
                    comments: format!("{pull}/comments"),
                    activities: Some(format!("{pull}/activities")),
                    name: format!("pull request {number} of {}", shown(repo)),
                    web_url: format!("{web}/pull-requests/{number}/overview"),
                })
            }
            Target::Commit(sha) => Ok(Self {
                comments: format!("{path}/commits/{}/comments", segment(sha)?),
                activities: None,
                name: format!("commit {sha} of {}", shown(repo)),
                web_url: format!("{web}/commits/{sha}"),
            }),
            _ => Err(Error::new(ErrorKind::Unsupported, "Bitbucket has no comments at such a place")
                .with_forge(ForgeKind::BITBUCKET_DC)),
        }
    }

    fn posted(&self, id: u64, action: PostAction) -> Posted {
        let mut posted = Posted::new(id.to_string(), action);
        posted.web_url = Some(format!("{}?commentId={id}", self.web_url));
        posted
    }
}

fn no_issues() -> Error {
    Error::new(ErrorKind::Unsupported, "Bitbucket Data Center has no issues")
        .with_forge(ForgeKind::BITBUCKET_DC)
        .with_operation("open or close an issue")
        .with_hint("comment on the pull request or commit instead")
}

fn is_same_text(theirs: Option<&str>, ours: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    theirs.is_some_and(|theirs| plain(theirs) == plain(ours))
}

fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    text.chars().take(max_chars - 1).chain(['…']).collect()
}
