//! The status of a commit as an app writes it: a check run (GitHub docs, rest/checks/runs).

use forge_core::{
    Result,
    model::{CommitStatus, PostAction, Posted, RepoRef, StatusState},
};
use futures_util::TryStreamExt as _;
use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    client::{Call, GitHubClient, More, repo_path, segment, shown},
    feedback::{cut, posted},
    wire::{CheckRunAnswer, CheckRunPage},
};

/// The longest title of a check run's output that GitHub takes.
const MAX_TITLE_CHARS: usize = 255;

/// Sets the check run called as the status's context: the one that is there is changed, so that there is never a second.
pub(crate) async fn set(
    client: &GitHubClient,
    repo: &RepoRef,
    sha: &str,
    status: &CommitStatus,
) -> Result<Posted> {
    let path = format!("{}/check-runs", repo_path(repo)?);
    let (state, conclusion) = match status.state {
        StatusState::Pending => ("in_progress", None),
        StatusState::Success => ("completed", Some("success")),
        // GitHub has no word for "could not tell" that a rule about required checks would not take for good.
        StatusState::Failure | StatusState::Error => ("completed", Some("failure")),
    };
    let mut body = json!({
        "name": status.context,
        "external_id": external_id(status),
        "status": state,
        "output": {
            "title": cut(&status.description, MAX_TITLE_CHARS),
            "summary": status.description,
        },
    });
    if let Some(fields) = body.as_object_mut() {
        if let Some(conclusion) = conclusion {
            fields.insert("conclusion".to_owned(), conclusion.into());
        }
        if let Some(target) = &status.target_url {
            fields.insert("details_url".to_owned(), Value::from(target.as_str()));
        }
    }
    let earlier = find(client, repo, sha, status).await?;
    let (call, action) = match earlier {
        Some(earlier) if says(&earlier, &body) => {
            return Ok(posted(earlier.id, earlier.html_url, PostAction::Unchanged));
        }
        Some(earlier) => (
            Call {
                method: Method::PATCH,
                path: format!("{path}/{}", earlier.id),
                body: Some(body),
                operation: format!("change check run {} of {}", earlier.id, shown(repo)),
            },
            PostAction::Updated,
        ),
        None => {
            if let Some(fields) = body.as_object_mut() {
                fields.insert("head_sha".to_owned(), sha.into());
            }
            let operation = format!("create a check run for {sha} in {}", shown(repo));
            (Call { method: Method::POST, path, body: Some(body), operation }, PostAction::Created)
        }
    };
    let answer: CheckRunAnswer = client.send(call).await?.json()?;
    Ok(posted(answer.id, answer.html_url, action))
}

/// What tells ours from another app's check run of the same name.
fn external_id(status: &CommitStatus) -> String {
    format!("forge-rca:{}", status.context)
}

async fn find(
    client: &GitHubClient,
    repo: &RepoRef,
    sha: &str,
    status: &CommitStatus,
) -> Result<Option<CheckRunAnswer>> {
    let name: String = form_urlencoded::byte_serialize(status.context.as_bytes()).collect();
    let path = repo_path(repo).and_then(|path| {
        Ok(format!(
            "{path}/commits/{}/check-runs?check_name={name}&filter=latest&per_page=100",
            segment(sha)?
        ))
    });
    let own_slug = client.own_login().await?;
    let own_slug = own_slug.as_deref().and_then(|login| login.strip_suffix("[bot]"));
    let external_id = external_id(status);
    let mut runs = client.list(path, format!("list check runs of {sha} in {}", shown(repo)), |response| {
        Ok((response.json::<CheckRunPage>()?.check_runs, More::AsLinked))
    });
    while let Some(run) = runs.try_next().await? {
        let app = run.app.as_ref().and_then(|app| app.slug.as_deref());
        let is_of_other_app = matches!((app, own_slug), (Some(app), Some(own)) if app != own);
        if !is_of_other_app
            && run.name.as_deref() == Some(&status.context)
            && run.external_id.as_deref() == Some(&external_id)
        {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// Whether the check run says already what `body` would make it say.
fn says(run: &CheckRunAnswer, body: &Value) -> bool {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let output = run.output.as_ref();
    run.status.as_deref() == text("/status")
        && run.conclusion.as_deref() == text("/conclusion")
        && output.and_then(|output| output.title.as_deref()) == text("/output/title")
        && output.and_then(|output| output.summary.as_deref()) == text("/output/summary")
        // Without one GitHub shows the app's own page.
        && text("/details_url").is_none_or(|target| run.details_url.as_deref() == Some(target))
}
