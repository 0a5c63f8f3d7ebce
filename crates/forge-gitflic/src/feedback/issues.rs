use std::sync::atomic::{AtomicUsize, Ordering};

use forge_core::{
    Error, ErrorKind, ForgeKind, Result,
    model::{Issue, PostAction, Posted, RepoRef},
};
use futures_util::TryStreamExt as _;
use http::Method;
use serde_json::{Value, json};

use super::is_same_text;
use crate::{
    client::{Call, GitFlicClient, repo_path, segment, shown},
    page::More,
    wire::{self, Fields},
};

/// How many pages of issues are searched for ours.
const SEARCHED_PAGES: usize = 10;

/// An issue as it stands (docs.gitflic.ru, api/issue).
struct Known {
    number: String,
    title: String,
    description: String,
    assignees: Vec<String>,
    is_open: bool,
}

impl Known {
    fn read(fields: Fields<'_>) -> Option<Self> {
        // Both spellings are in the documents.
        let assignees = ["assignedUsers", "assigneUsers"].into_iter().flat_map(|key| fields.items(key));
        let is_closed = fields.word("status").is_some_and(|word| {
            ["CLOSED", "COMPLETED", "CANCELED", "CANCELLED", "REJECTED", "RESOLVED", "DONE"]
                .contains(&word.as_str())
        });
        Some(Self {
            number: fields.number("localId")?,
            title: fields.text("title").unwrap_or_default(),
            description: fields.text("description").unwrap_or_default(),
            assignees: assignees.filter_map(|user| user.id("id")).collect(),
            is_open: !is_closed,
        })
    }
}

/// Labels are known by UUID only and are left out.
pub(super) async fn upsert(
    client: &GitFlicClient,
    repo: &RepoRef,
    issue: &Issue,
    known_id: Option<&str>,
) -> Result<Posted> {
    let mut earlier = None;
    if let Some(id) = known_id {
        earlier = match get(client, repo, id).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => None,
            answer => Some(answer?).filter(|known| known.description.contains(&issue.marker)),
        };
    }
    if earlier.is_none() {
        earlier = find(client, repo, &issue.marker).await?;
    }
    match earlier {
        Some(known)
            if known.is_open
                && known.title == issue.title
                && is_same_text(&known.description, &issue.body) =>
        {
            Ok(posted(client, repo, &known.number, PostAction::Unchanged))
        }
        Some(known) => {
            edit(client, repo, &known, &issue.title, &issue.body, "OPEN").await?;
            Ok(posted(client, repo, &known.number, PostAction::Updated))
        }
        None => create(client, repo, issue).await,
    }
}

pub(super) async fn close(
    client: &GitFlicClient,
    repo: &RepoRef,
    id: &str,
    body: Option<&str>,
) -> Result<()> {
    let known = get(client, repo, id).await?;
    if !known.is_open {
        return Ok(());
    }
    edit(client, repo, &known, &known.title, body.unwrap_or(&known.description), "CLOSED").await
}

async fn get(client: &GitFlicClient, repo: &RepoRef, id: &str) -> Result<Known> {
    let path = format!("{}/issue/{}", repo_path(repo)?, segment(id)?);
    let response = client.send(&Call::get(path, format!("read issue {id} of {}", shown(repo)))).await?;
    wire::read(&response, "an issue", Known::read)
}

async fn find(client: &GitFlicClient, repo: &RepoRef, marker: &str) -> Result<Option<Known>> {
    let marker = marker.to_owned();
    let pages_left = AtomicUsize::new(SEARCHED_PAGES);
    let path = repo_path(repo).map(|path| format!("{path}/issue"));
    let mut found = client.list_pages(path, format!("list issues of {}", shown(repo)), move |items| {
        let all = items.iter().map(|item| Known::read(Fields::new(item)));
        let mut all: Vec<Known> = all.collect::<Option<_>>()?;
        all.retain(|known| known.is_open && known.description.contains(&marker));
        let is_last = pages_left.fetch_sub(1, Ordering::Relaxed) <= 1;
        let more = if is_last || !all.is_empty() { More::No } else { More::Yes };
        Some((all, more))
    });
    found.try_next().await
}

/// The list of assignees is mandatory, though it may be empty.
async fn create(client: &GitFlicClient, repo: &RepoRef, issue: &Issue) -> Result<Posted> {
    let call = Call {
        method: Method::POST,
        path: format!("{}/issue", repo_path(repo)?),
        body: Some(json!({ "title": issue.title, "description": issue.body, "assignedUsers": [] })),
        operation: format!("open an issue in {}", shown(repo)),
    };
    let response = client.send(&call).await?;
    let value = serde_json::from_slice::<Value>(response.bytes()).unwrap_or_default();
    let number = match Fields::new(&value).number("localId") {
        Some(number) => Some(number),
        // It was opened, but the answer does not say which it is.
        None => find(client, repo, &issue.marker).await?.map(|known| known.number),
    };
    let number = number.ok_or_else(|| response.unexpected("the answer is not an issue"))?;
    Ok(posted(client, repo, &number, PostAction::Created))
}

/// The whole issue is sent, so that nothing is lost where what is left out is cleared.
async fn edit(
    client: &GitFlicClient,
    repo: &RepoRef,
    known: &Known,
    title: &str,
    description: &str,
    status: &str,
) -> Result<()> {
    let mut call = Call {
        method: Method::PUT,
        path: format!("{}/issue/{}", repo_path(repo)?, segment(&known.number)?),
        body: Some(json!({
            "title": title,
            "description": description,
            "assignedUsers": known.assignees,
            "status": status,
        })),
        operation: format!("change issue {} of {}", known.number, shown(repo)),
    };
    // That issues can be changed is certain, by which verb is not.
    for method in [Method::PUT, Method::PATCH] {
        call.method = method;
        match client.send(&call).await {
            Err(error) if error.status() == Some(405) => {}
            answer => return answer.map(drop),
        }
    }
    Err(Error::new(ErrorKind::Unsupported, "this GitFlic does not change issues by API")
        .with_forge(ForgeKind::GITFLIC)
        .with_operation(call.operation))
}

fn posted(client: &GitFlicClient, repo: &RepoRef, number: &str, action: PostAction) -> Posted {
    let mut posted = Posted::new(number, action);
    posted.web_url = wire::web_url(client.web(), repo, &format!("/issue/{number}"));
    posted
}
