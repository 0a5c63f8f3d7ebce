//! Comments, issues and statuses.

use async_trait::async_trait;
use forge_core::{
    Error, ErrorKind, Feedback, ForgeKind, Result,
    model::{Comment, CommitStatus, Issue, PostAction, Posted, RepoRef, StatusState, Target},
};
use futures_util::TryStreamExt as _;
use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    check_runs,
    client::{Call, GitHubClient, More, repo_path, segment, shown},
    wire::{Author, IssueAnswer, PostedComment, StatusAnswer},
};

/// The longest description of a status that GitHub takes.
const MAX_DESCRIPTION_CHARS: usize = 140;

#[async_trait]
impl Feedback for GitHubClient {
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
            let path = format!("{}/{}", place.one, segment(id)?);
            earlier = absent_as_none(self.get(path, format!("read comment {id} on {}", place.name)).await)?;
        }
        if earlier.is_none() {
            earlier = self.find_comment(&place, &comment.marker).await?;
        }
        let (call, action) = match earlier {
            Some(earlier) if is_same_text(earlier.body.as_deref(), &comment.body) => {
                return Ok(posted(earlier.id, earlier.html_url, PostAction::Unchanged));
            }
            Some(earlier) => (
                Call {
                    method: Method::PATCH,
                    path: format!("{}/{}", place.one, earlier.id),
                    body: Some(json!({ "body": comment.body })),
                    operation: format!("edit comment {} on {}", earlier.id, place.name),
                },
                PostAction::Updated,
            ),
            None => (place.create(&comment.body), PostAction::Created),
        };
        let answer = match self.send(call).await {
            // It was deleted between our looking and our writing.
            Err(error) if action == PostAction::Updated && is_absent(&error) => {
                let answer: PostedComment = self.send(place.create(&comment.body)).await?.json()?;
                return Ok(posted(answer.id, answer.html_url, PostAction::Created));
            }
            answer => answer?.json::<PostedComment>()?,
        };
        Ok(posted(answer.id, answer.html_url, action))
    }

    async fn upsert_issue(&self, repo: &RepoRef, issue: &Issue, known_id: Option<&str>) -> Result<Posted> {
        let path = format!("{}/issues", repo_path(repo)?);
        let mut earlier = None;
        if let Some(id) = known_id {
            let operation = format!("read issue {id} of {}", shown(repo));
            let known = absent_as_none(self.get(format!("{path}/{}", segment(id)?), operation).await)?;
            earlier = known.filter(|known: &IssueAnswer| {
                known.body.as_deref().is_some_and(|text| text.contains(&issue.marker))
            });
        }
        if earlier.is_none() {
            earlier = self.find_issue(repo, &path, &issue.marker).await?;
        }
        let is_open = |earlier: &IssueAnswer| earlier.state.as_deref() == Some("open");
        let mut body = json!({ "title": issue.title, "body": issue.body });
        let (call, action) = match earlier {
            Some(earlier)
                if is_open(&earlier)
                    && earlier.title.as_deref() == Some(&*issue.title)
                    && is_same_text(earlier.body.as_deref(), &issue.body) =>
            {
                return Ok(posted(earlier.number, earlier.html_url, PostAction::Unchanged));
            }
            Some(earlier) => {
                if let (false, Some(fields)) = (is_open(&earlier), body.as_object_mut()) {
                    fields.insert("state".to_owned(), json!("open"));
                }
                let call = Call {
                    method: Method::PATCH,
                    path: format!("{path}/{}", earlier.number),
                    body: Some(body),
                    operation: format!("edit issue {} of {}", earlier.number, shown(repo)),
                };
                (call, PostAction::Updated)
            }
            None => {
                if let (false, Some(fields)) = (issue.labels.is_empty(), body.as_object_mut()) {
                    fields.insert("labels".to_owned(), json!(issue.labels));
                }
                let operation = format!("open an issue in {}", shown(repo));
                (Call { method: Method::POST, path, body: Some(body), operation }, PostAction::Created)
            }
        };
        let answer: IssueAnswer = self.send(call).await?.json()?;
        Ok(posted(answer.number, answer.html_url, action))
    }

    async fn close_issue(&self, repo: &RepoRef, issue_id: &str, body: Option<&str>) -> Result<()> {
        let mut change = json!({ "state": "closed" });
        if let (Some(body), Some(fields)) = (body, change.as_object_mut()) {
            fields.insert("body".to_owned(), json!(body));
        }
        let call = Call {
            method: Method::PATCH,
            path: format!("{}/issues/{}", repo_path(repo)?, segment(issue_id)?),
            body: Some(change),
            operation: format!("close issue {issue_id} of {}", shown(repo)),
        };
        self.send(call).await.map(drop)
    }

    /// As an app a check run, otherwise a commit status: only apps may write check runs.
    async fn set_status(&self, repo: &RepoRef, sha: &str, status: &CommitStatus) -> Result<Posted> {
        if self.is_installation().await? {
            return check_runs::set(self, repo, sha, status).await;
        }
        let state = match status.state {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
            StatusState::Error => "error",
        };
        let mut body = json!({
            "state": state,
            "context": status.context,
            "description": cut(&status.description, MAX_DESCRIPTION_CHARS),
        });
        if let (Some(target), Some(fields)) = (&status.target_url, body.as_object_mut()) {
            fields.insert("target_url".to_owned(), Value::from(target.as_str()));
        }
        let call = Call {
            method: Method::POST,
            path: format!("{}/statuses/{}", repo_path(repo)?, segment(sha)?),
            body: Some(body),
            operation: format!("set the status of {sha} in {}", shown(repo)),
        };
        let answer: StatusAnswer = self.send(call).await?.json()?;
        Ok(Posted::new(answer.id.to_string(), PostAction::Created))
    }
}

/// Where comments of a target are listed, made and changed.
struct CommentPlace {
    all: String,
    one: String,
    name: String,
}

impl CommentPlace {
    fn new(repo: &RepoRef, target: &Target) -> Result<Self> {
        let path = repo_path(repo)?;
        match target {
            // GitHub docs, rest/issues/comments: every pull request is an issue.
            Target::Pull(number) => Ok(Self {
                all: format!("{path}/issues/{}/comments", segment(number)?),
                one: format!("{path}/issues/comments"),
                name: format!("pull request {number} of {}", shown(repo)),
            }),
            Target::Commit(sha) => Ok(Self {
                all: format!("{path}/commits/{}/comments", segment(sha)?),
                one: format!("{path}/comments"),
                name: format!("commit {sha} of {}", shown(repo)),
            }),
            _ => Err(Error::new(ErrorKind::Unsupported, "GitHub has no comments at such a place")
                .with_forge(ForgeKind::GITHUB)),
        }
    }

    fn create(&self, body: &str) -> Call {
        Call {
            method: Method::POST,
            path: self.all.clone(),
            body: Some(json!({ "body": body })),
            operation: format!("comment on {}", self.name),
        }
    }
}

impl GitHubClient {
    /// Our comment with `marker`. One that somebody else wrote is not ours, whatever it says.
    async fn find_comment(&self, place: &CommentPlace, marker: &str) -> Result<Option<PostedComment>> {
        let path = Ok(format!("{}?per_page=100", place.all));
        let mut comments = self.list(path, format!("list comments on {}", place.name), |response| {
            Ok((response.json::<Vec<PostedComment>>()?, More::AsLinked))
        });
        while let Some(comment) = comments.try_next().await? {
            let has_marker = comment.body.as_deref().is_some_and(|body| body.contains(marker));
            if has_marker
                && self.is_ours(comment.user.as_ref(), comment.performed_via_github_app.as_ref()).await?
            {
                return Ok(Some(comment));
            }
        }
        Ok(None)
    }

    async fn find_issue(&self, repo: &RepoRef, path: &str, marker: &str) -> Result<Option<IssueAnswer>> {
        let creator = match self.own_login().await? {
            // GitHub does not say how this filter names a bot; author and marker are looked at anyway.
            Some(login) if !login.ends_with("[bot]") => {
                let login: String = form_urlencoded::byte_serialize(login.as_bytes()).collect();
                format!("&creator={login}")
            }
            _ => String::new(),
        };
        let path = Ok(format!("{path}?state=open{creator}&per_page=100"));
        let mut issues = self.list(path, format!("list issues of {}", shown(repo)), |response| {
            Ok((response.json::<Vec<IssueAnswer>>()?, More::AsLinked))
        });
        while let Some(issue) = issues.try_next().await? {
            let has_marker = issue.body.as_deref().is_some_and(|body| body.contains(marker));
            if has_marker
                && issue.pull_request.is_none()
                && self.is_ours(issue.user.as_ref(), issue.performed_via_github_app.as_ref()).await?
            {
                return Ok(Some(issue));
            }
        }
        Ok(None)
    }

    /// Whether the credential's account wrote it. Of an installation token that was given as it is no login is known;
    /// what a bot has written through an app is the nearest that shows.
    async fn is_ours(&self, author: Option<&Author>, app: Option<&Value>) -> Result<bool> {
        let Some(author) = author else { return Ok(false) };
        Ok(match self.own_login().await? {
            Some(own) => author.login.as_deref().is_some_and(|login| login.eq_ignore_ascii_case(&own)),
            None => app.is_some_and(|app| !app.is_null()) && author.kind.as_deref() == Some("Bot"),
        })
    }
}

pub(crate) fn posted(id: u64, web_url: Option<String>, action: PostAction) -> Posted {
    let mut posted = Posted::new(id.to_string(), action);
    posted.web_url = web_url;
    posted
}

fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone)
}

fn absent_as_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// GitHub gives line ends back as a browser sends them.
fn is_same_text(theirs: Option<&str>, ours: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    theirs.is_some_and(|theirs| plain(theirs) == plain(ours))
}

pub(crate) fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    text.chars().take(max_chars - 1).chain(['…']).collect()
}
