//! The list of repositories, as the forge has it now.

use std::collections::BTreeMap;

use forge_core::{ErrorKind, ForgeClient, model::Repo};
use futures_util::{StreamExt, TryStreamExt, stream};
use rca_store::{
    ClaimedTask, Integration, NewRepository, NewTask, PageRequest, Repository, RepositoryFilter, Write,
};
use serde_json::json;

use super::{JobError, JobResult, MONITOR, Settlement, integration_of};
use crate::{
    credentials::ConnectionData,
    flow::Flow,
    integrations::{mode_of, perimeter_of},
    operations::{End, Head, sync_operation},
    perimeter::is_wanted,
    types::{Mode, PerimeterMode},
    wide_hooks::{covers, namespaces},
};

/// Stored while the list is still being read.
const BATCH: usize = 200;

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let integration = integration_of(flow, task).await?;
    let operation = sync_operation(&integration);
    if integration.auth == "webhook_only" {
        let end = flow.end_operation(&task.workspace, &operation, End::Done).await?;
        return Ok(Settlement::done(end.into_iter().collect()));
    }
    let known = flow.operation_head(&task.workspace, &operation).await?;
    let mut head = Head { done: 0, end: None, ..known.unwrap_or_else(|| Head::new("sync", 0)) };
    let asked = head.asked;
    let client = flow.client(&integration).await?;
    if let Some(started) = read(flow, &integration, &*client, &mut head).await? {
        // Where one vanishes while the pages are read, others move between them and can be missed. So what is missing
        // is gone only when a second reading does not find it either.
        if !missing(flow, &integration, started).await?.is_empty() {
            head.done = 0;
            if read(flow, &integration, &*client, &mut head).await?.is_some() {
                drop_vanished(flow, &integration, started).await?;
            }
        }
    }
    let mut writes: Vec<Write> = new_perimeter(flow, &integration).await?.into_iter().collect();
    let last = flow.operation_head(&task.workspace, &operation).await?;
    // Asked for again meanwhile, it runs again.
    if last.is_none_or(|last| last.asked == asked) {
        let end = Some(End::Done);
        writes.push(Head { total: head.done, end, ..head }.write(&task.workspace, &operation));
    }
    Ok(Settlement::done(writes))
}

/// Stores what the forge lists, and how far that is. Gives the time at which it began; `None` for an empty list, which
/// is a credential that lost its rights more often than a forge that lost everything.
async fn read(
    flow: &Flow,
    integration: &Integration,
    client: &dyn ForgeClient,
    head: &mut Head,
) -> Result<Option<i64>, JobError> {
    let data = ConnectionData::of(integration);
    let mut started = None;
    let mut listing = if data.level.as_deref() == Some("repository") {
        let repo = single(flow, integration, client, &data).await?;
        stream::once(async move { Ok(repo) }).boxed()
    } else {
        client.repos().list_repos()
    };
    loop {
        let mut batch = Vec::new();
        let mut is_over = false;
        while batch.len() < BATCH {
            match listing.try_next().await? {
                Some(repo) if is_in_level(&data, &repo) => batch.push(repo),
                Some(_) => {}
                None => {
                    is_over = true;
                    break;
                }
            }
        }
        if !batch.is_empty() {
            head.done += batch.len();
            let at = store(flow, integration, batch).await?;
            started.get_or_insert(at);
            let asked = flow.operation_head(&integration.workspace, &sync_operation(integration)).await?;
            head.asked = asked.map_or(head.asked, |asked| asked.asked);
            flow.store()
                .write(vec![head.write(&integration.workspace, &sync_operation(integration))])
                .await?;
        }
        if is_over {
            return Ok(started);
        }
    }
}

/// The one repository of a token that reaches no further. It is known by its name first, and by its id once it has been
/// seen.
async fn single(
    flow: &Flow,
    integration: &Integration,
    client: &dyn ForgeClient,
    data: &ConnectionData,
) -> Result<Repo, JobError> {
    let name = data.repository.clone().unwrap_or_default();
    let missing = match client.repos().get_repo(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        outcome => return Ok(outcome?),
    };
    match flow.all_repositories(integration, None).await?.into_iter().next() {
        Some(seen) => Ok(client.repos().get_repo(&seen.forge_id).await?),
        None => Err(missing.into()),
    }
}

pub(super) async fn store(flow: &Flow, integration: &Integration, repos: Vec<Repo>) -> Result<i64, JobError> {
    let repositories = repos
        .into_iter()
        .map(|repo| NewRepository {
            workspace: integration.workspace.clone(),
            integration: integration.id.clone(),
            forge_id: repo.id,
            full_name: repo.full_name,
            default_branch: repo.default_branch,
            web_url: Some(repo.web_url),
            archived: repo.is_archived,
            has_ci: repo.has_ci.unwrap_or(true),
            data: json!({
                "is_public": repo.is_public,
                "has_ci": repo.has_ci,
                "has_issues": repo.has_issues,
                "can_manage_hooks": repo.can_manage_hooks,
            }),
        })
        .collect();
    Ok(flow.store().upsert_repositories(repositories).await?)
}

/// Some of those that are stored and have not been seen since.
async fn missing(flow: &Flow, integration: &Integration, started: i64) -> Result<Vec<String>, JobError> {
    let filter = RepositoryFilter {
        integration: Some(integration.id.clone()),
        not_seen_since: Some(started),
        ..RepositoryFilter::default()
    };
    let gone =
        flow.store().list_repositories(&integration.workspace, &filter, &PageRequest::first(500)).await?;
    Ok(gone.items.into_iter().map(|repository| repository.id).collect())
}

async fn drop_vanished(flow: &Flow, integration: &Integration, started: i64) -> Result<(), JobError> {
    loop {
        let ids = missing(flow, integration, started).await?;
        if ids.is_empty() || flow.store().delete_repositories(&integration.workspace, &ids).await? == 0 {
            return Ok(());
        }
    }
}

/// Brings what is monitored to what the perimeter and the mode ask for.
async fn new_perimeter(flow: &Flow, integration: &Integration) -> Result<Option<Write>, JobError> {
    let perimeter = perimeter_of(integration);
    let has_hooks = mode_of(integration) != Mode::Polling;
    let all = flow.all_repositories(integration, None).await?;
    let wishes = flow.wishes(integration).await?;
    let (inside, outside): (Vec<_>, Vec<_>) =
        all.iter().partition(|repository| is_wanted(&perimeter, &wishes, repository));
    // Of those that nobody chose by name, only where something can fail.
    let is_live = |repository: &&Repository| {
        perimeter.mode == PerimeterMode::Selected || (!repository.archived && repository.has_ci)
    };
    let wanted: Vec<_> = inside.into_iter().filter(is_live).collect();
    let remove: Vec<String> = outside
        .into_iter()
        .filter(|repository| repository.monitored)
        .map(|repository| repository.id.clone())
        .collect();
    flow.ensure_namespace_hooks(integration, &namespaces(&perimeter, &wanted)).await?;
    let wide = flow.serving_hooks(integration).await?;
    let own: BTreeMap<String, bool> = flow
        .store()
        .list_hooks(&integration.workspace, &integration.id)
        .await?
        .into_iter()
        .filter_map(|hook| Some((hook.repository?, !needs_repair(&hook.state))))
        .collect();
    let mut add = Vec::new();
    for repository in wanted {
        // Those that are monitored and lack a hook get one, too: this repairs what failed before. One too many goes.
        let has_right_hook = if wide.iter().any(|hook| covers(hook, &repository.full_name)) {
            !own.contains_key(&repository.id)
        } else {
            own.get(&repository.id) == Some(&true)
        };
        let has_wrong_hook = if has_hooks { !has_right_hook } else { own.contains_key(&repository.id) };
        if !repository.monitored || has_wrong_hook {
            add.push(repository.id.clone());
        }
    }
    if add.is_empty() && remove.is_empty() {
        flow.drop_namespace_hooks(integration).await?;
        return Ok(None);
    }
    let payload = json!({ "operation": null, "add": add, "remove": remove });
    let task = NewTask::new(
        integration.workspace.clone(),
        MONITOR,
        format!("perimeter:{}", integration.id),
        payload,
    )
    .with_integration(integration.id.clone());
    Ok(Some(Write::Enqueue(task)))
}

/// Whether a hook in this state is registered anew by the next sync.
fn needs_repair(state: &str) -> bool {
    matches!(state, "none" | "unhealthy" | "disabled" | "lost")
}

fn is_in_level(data: &ConnectionData, repo: &Repo) -> bool {
    match (data.level.as_deref(), &data.project_key) {
        (Some("project"), Some(project)) => is_under(project, &repo.full_name),
        _ => true,
    }
}

/// Whether a repository lies in a project or group; names are compared as forges do, without case.
pub(crate) fn is_under(project: &str, full_name: &str) -> bool {
    let (project, name) = (project.trim_matches('/').to_lowercase(), full_name.to_lowercase());
    name.strip_prefix(&project).is_some_and(|rest| rest.starts_with('/'))
}
