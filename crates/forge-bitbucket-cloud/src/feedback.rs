//! Comments, build statuses and Code Insights reports.

use async_trait::async_trait;
use forge_core::{
    Error, ErrorKind, Feedback, ForgeKind, Result,
    model::{Comment, CommitStatus, Issue, PostAction, Posted, RepoRef, StatusState, Target},
};
use futures_util::TryStreamExt as _;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::{BitbucketCloudClient, Call, More, repo_path, segment, shown},
    wire::CommentAnswer,
};

const MAX_KEY_CHARS: usize = 40;
const MAX_DESCRIPTION_CHARS: usize = 255;
const MAX_DETAILS_CHARS: usize = 2000;

#[async_trait]
impl Feedback for BitbucketCloudClient {
    async fn upsert_comment(
        &self,
        repo: &RepoRef,
        target: &Target,
        comment: &Comment,
        known_id: Option<&str>,
    ) -> Result<Posted> {
        let place = CommentPlace::new(repo, target)?;
        let mut earlier = None;
        if let Some(id) = known_id {
            let path = format!("{}/{}", place.path, segment(id)?);
            match self.get::<CommentAnswer>(path, format!("read comment {id} on {}", place.name)).await {
                Ok(found) => {
                    self.learn_author(found.author());
                    earlier = Some(found).filter(|found| !found.is_deleted());
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if earlier.is_none() {
            earlier = self.find_comment(&place, &comment.marker).await?;
        }
        let Some(earlier) = earlier else { return self.create_comment(&place, comment).await };
        if is_same_text(earlier.text(), comment) {
            return Ok(posted(earlier, PostAction::Unchanged));
        }
        let call = Call {
            method: Method::PUT,
            path: format!("{}/{}", place.path, earlier.id),
            body: Some(content(comment)),
            operation: format!("edit comment {} on {}", earlier.id, place.name),
        };
        match self.send(call).await {
            // It was deleted between our looking and our writing.
            Err(error) if is_absent(&error) => self.create_comment(&place, comment).await,
            // An access token took another app's comment for its own; only authors may edit.
            Err(error) if error.kind() == ErrorKind::Forbidden && self.own_uuid().await?.is_none() => {
                self.create_comment(&place, comment).await
            }
            answer => Ok(posted(answer?.json()?, PostAction::Updated)),
        }
    }

    async fn upsert_issue(&self, repo: &RepoRef, _issue: &Issue, _known_id: Option<&str>) -> Result<Posted> {
        Err(no_issues(format!("open an issue in {}", shown(repo))))
    }

    async fn close_issue(&self, repo: &RepoRef, issue_id: &str, _body: Option<&str>) -> Result<()> {
        Err(no_issues(format!("close issue {issue_id} of {}", shown(repo))))
    }

    /// A build status, and beside a final one a Code Insights report, which holds a longer text. A token or plan that
    /// may not write reports still sets the status.
    async fn set_status(&self, repo: &RepoRef, sha: &str, status: &CommitStatus) -> Result<Posted> {
        let (state, result) = match status.state {
            StatusState::Pending => ("INPROGRESS", None),
            StatusState::Success => ("SUCCESSFUL", Some("PASSED")),
            StatusState::Failure => ("FAILED", Some("FAILED")),
            // There is no word for an error; this one does not claim that the commit is bad.
            StatusState::Error => ("STOPPED", Some("PENDING")),
        };
        let key = cut(&status.context, MAX_KEY_CHARS);
        let commit = format!("{}/commit/{}", repo_path(repo)?, segment(sha)?);
        // A build status without an address is refused.
        let url = match &status.target_url {
            Some(url) => url.clone(),
            None => self.commit_url(repo, sha)?,
        };
        let call = Call {
            method: Method::POST,
            path: format!("{commit}/statuses/build"),
            body: Some(json!({
                "key": key,
                "state": state,
                "name": status.context,
                "url": url,
                "description": cut(&status.description, MAX_DESCRIPTION_CHARS),
            })),
            operation: format!("set the status of {sha} in {}", shown(repo)),
        };
        self.send(call).await?;
        if let Some(result) = result.filter(|_| !status.description.is_empty()) {
            self.put_report(repo, &commit, &key, result, status).await?;
        }
        Ok(Posted::new(key, PostAction::Created))
    }
}

impl BitbucketCloudClient {
    async fn put_report(
        &self,
        repo: &RepoRef,
        commit: &str,
        key: &str,
        result: &str,
        status: &CommitStatus,
    ) -> Result<()> {
        let mut body = json!({
            "title": status.context,
            "details": cut(&status.description, MAX_DETAILS_CHARS),
            "report_type": "BUG",
            "reporter": status.context,
            "result": result,
        });
        if let (Some(link), Some(fields)) = (&status.target_url, body.as_object_mut()) {
            fields.insert("link".to_owned(), Value::from(link.as_str()));
        }
        let call = Call {
            method: Method::PUT,
            path: format!("{commit}/reports/{}", segment(key)?),
            body: Some(body),
            operation: format!("put a report in {}", shown(repo)),
        };
        match self.send(call).await {
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::Unsupported
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    async fn create_comment(&self, place: &CommentPlace, comment: &Comment) -> Result<Posted> {
        let call = Call {
            method: Method::POST,
            path: place.path.clone(),
            body: Some(content(comment)),
            operation: format!("comment on {}", place.name),
        };
        let created: CommentAnswer = self.send(call).await?.json()?;
        self.learn_author(created.author());
        Ok(posted(created, PostAction::Created))
    }

    /// Our comment with `marker`. One that somebody else wrote is not ours, whatever it says.
    async fn find_comment(&self, place: &CommentPlace, marker: &str) -> Result<Option<CommentAnswer>> {
        let path = Ok(format!("{}?pagelen=100", place.path));
        let operation = format!("list comments on {}", place.name);
        let mut comments = self.list(path, operation, |values: Vec<CommentAnswer>| (values, More::AsLinked));
        while let Some(comment) = comments.try_next().await? {
            if !comment.is_deleted()
                && comment.text().contains(marker)
                && comment.is_by(self.own_uuid().await?.as_deref())
            {
                return Ok(Some(comment));
            }
        }
        Ok(None)
    }

    fn commit_url(&self, repo: &RepoRef, sha: &str) -> Result<String> {
        let path = format!("{}/commits/{}", repo.full_name.trim_matches('/'), segment(sha)?);
        Ok(crate::provider::append(&self.place.web, &path)?.into())
    }
}

/// Where comments of a target are listed and made, and each below its id changed.
struct CommentPlace {
    path: String,
    name: String,
}

impl CommentPlace {
    fn new(repo: &RepoRef, target: &Target) -> Result<Self> {
        let path = repo_path(repo)?;
        match target {
            Target::Pull(number) => Ok(Self {
                path: format!("{path}/pullrequests/{}/comments", segment(number)?),
                name: format!("pull request {number} of {}", shown(repo)),
            }),
            Target::Commit(sha) => Ok(Self {
                path: format!("{path}/commit/{}/comments", segment(sha)?),
                name: format!("commit {sha} of {}", shown(repo)),
            }),
            _ => Err(Error::new(ErrorKind::Unsupported, "Bitbucket has no comments at such a place")
                .with_forge(ForgeKind::BITBUCKET_CLOUD)),
        }
    }
}

fn content(comment: &Comment) -> Value {
    json!({ "content": { "raw": comment.body } })
}

fn posted(comment: CommentAnswer, action: PostAction) -> Posted {
    let mut posted = Posted::new(comment.id.to_string(), action);
    posted.web_url = comment.into_web_url();
    posted
}

fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone)
}

/// Whether it says this already; it does too where Bitbucket has cut the marker out, which is an HTML comment.
fn is_same_text(theirs: &str, ours: &Comment) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    let theirs = plain(theirs);
    theirs == plain(&ours.body) || theirs == plain(&ours.body.replace(&ours.marker, ""))
}

fn no_issues(operation: String) -> Error {
    Error::new(ErrorKind::Unsupported, "Bitbucket Cloud has no issues since August 2026")
        .with_forge(ForgeKind::BITBUCKET_CLOUD)
        .with_operation(operation)
        .with_hint("use comments on commits, or the report that comes with a status")
}

fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    text.chars().take(max_chars - 1).chain(['…']).collect()
}
