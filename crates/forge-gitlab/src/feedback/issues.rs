//! Issues: docs api/issues.md.

use forge_core::{
    BoxStream, Result,
    model::{Issue, PostAction, Posted, RepoRef},
};
use futures_util::TryStreamExt as _;

use crate::{
    client::{Client, name_of, number},
    error::absent,
    wire,
};

impl Client {
    pub(super) async fn put_issue(
        &self,
        repo: &RepoRef,
        issue: &Issue,
        known_id: Option<&str>,
    ) -> Result<Posted> {
        let own_id = self.own_id().await?;
        let mut found = None;
        if let Some(known_id) = known_id {
            let iid = number(known_id, "issue number")?;
            let operation = format!("get issue {iid} of {}", name_of(repo));
            let answer =
                self.call(repo, &operation, |api, path| api.get(&format!("{path}/issues/{iid}"))).await;
            if let Some(answer) = absent(answer)? {
                let known: wire::Issue = answer.json()?;
                found = Some(known).filter(|known| known.is_ours(own_id, &issue.marker));
            }
        }
        if found.is_none() {
            found = self.find_issue(repo, issue, own_id).await?;
        }
        let (action, written) = match found {
            Some(found)
                if found.is_open()
                    && found.title == issue.title
                    && found.description.as_deref() == Some(&issue.body) =>
            {
                (PostAction::Unchanged, found)
            }
            Some(found) => (PostAction::Updated, self.change_issue(repo, &found, issue).await?),
            None => (PostAction::Created, self.create_issue(repo, issue).await?),
        };
        let iid = written.iid.to_string();
        let mut posted = Posted::new(iid.clone(), action);
        posted.web_url = written.web_url.or_else(|| self.web_url(repo, &format!("issues/{iid}")));
        Ok(posted)
    }

    /// The open issue of ours with the marker. People may have taken labels off, so labels do not narrow the search;
    /// the author does.
    async fn find_issue(&self, repo: &RepoRef, issue: &Issue, own_id: u64) -> Result<Option<wire::Issue>> {
        let operation = format!("list issues of {}", name_of(repo));
        let author = own_id.to_string();
        let mut issues: BoxStream<'static, Result<wire::Issue>> = self.list(
            repo,
            operation,
            move |api, path| {
                api.get(&format!("{path}/issues")).query(&[
                    ("state", "opened"),
                    ("author_id", &author),
                    ("scope", "all"),
                    ("per_page", "100"),
                ])
            },
            |issue| issue,
        );
        while let Some(found) = issues.try_next().await? {
            if found.is_open() && found.is_ours(own_id, &issue.marker) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn create_issue(&self, repo: &RepoRef, issue: &Issue) -> Result<wire::Issue> {
        let operation = format!("open an issue at {}", name_of(repo));
        let body = wire::IssueBody {
            title: &issue.title,
            description: &issue.body,
            labels: issue.labels.join(","),
            state_event: None,
        };
        self.call(repo, &operation, |api, path| api.post(&format!("{path}/issues")).json(&body)).await?.json()
    }

    async fn change_issue(&self, repo: &RepoRef, known: &wire::Issue, issue: &Issue) -> Result<wire::Issue> {
        let iid = known.iid;
        let operation = format!("edit issue {iid} of {}", name_of(repo));
        // Without labels: those that people have set or taken off stay as they are.
        let state_event = (!known.is_open()).then_some("reopen");
        let body = wire::IssueBody {
            title: &issue.title,
            description: &issue.body,
            labels: String::new(),
            state_event,
        };
        self.call(repo, &operation, |api, path| api.put(&format!("{path}/issues/{iid}")).json(&body))
            .await?
            .json()
    }

    pub(super) async fn end_issue(
        &self,
        repo: &RepoRef,
        issue_id: &str,
        description: Option<&str>,
    ) -> Result<()> {
        let iid = number(issue_id, "issue number")?;
        let operation = format!("close issue {iid} of {}", name_of(repo));
        let body = wire::IssueState { state_event: "close", description };
        self.call(repo, &operation, |api, path| api.put(&format!("{path}/issues/{iid}")).json(&body)).await?;
        Ok(())
    }
}
