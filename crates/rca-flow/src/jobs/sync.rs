//! The list of repositories, as the forge has it now.

use std::collections::BTreeMap;

use forge_core::model::Repo;
use futures_util::TryStreamExt;
use rca_store::{ClaimedTask, Integration, NewRepository, NewTask, PageRequest, RepositoryFilter, Write};
use serde_json::json;

use super::{JobError, JobResult, MONITOR, Settlement, integration_of};
use crate::{
    credentials::ConnectionData,
    flow::Flow,
    integrations::{mode_of, perimeter_of},
    types::{Mode, Perimeter, PerimeterMode},
    wide_hooks::{covers, namespaces},
};

/// Stored while the list is still being read.
const BATCH: usize = 200;

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let integration = integration_of(flow, task).await?;
    if integration.auth == "webhook_only" {
        return Ok(Settlement::done(Vec::new()));
    }
    let client = flow.client(&integration).await?;
    let data = ConnectionData::of(&integration);
    let mut started = None;
    if data.level.as_deref() == Some("repository") {
        let name = data.repository.clone().unwrap_or_default();
        let repo = client.repos().get_repo(&name).await?;
        started = Some(store(flow, &integration, vec![repo]).await?);
    } else {
        let mut listing = client.repos().list_repos();
        let mut batch = Vec::new();
        while let Some(repo) = listing.try_next().await? {
            if is_in_level(&data, &repo) {
                batch.push(repo);
            }
            if batch.len() >= BATCH {
                let at = store(flow, &integration, std::mem::take(&mut batch)).await?;
                started.get_or_insert(at);
            }
        }
        if !batch.is_empty() {
            let at = store(flow, &integration, batch).await?;
            started.get_or_insert(at);
        }
    }
    // An empty list is a credential that lost its rights more often than a forge that lost everything.
    if let Some(started) = started {
        drop_vanished(flow, &integration, started).await?;
    }
    Ok(Settlement::done(new_perimeter(flow, &integration).await?.into_iter().collect()))
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
                "has_issues": repo.has_issues,
                "can_manage_hooks": repo.can_manage_hooks,
            }),
        })
        .collect();
    Ok(flow.store().upsert_repositories(repositories).await?)
}

async fn drop_vanished(flow: &Flow, integration: &Integration, started: i64) -> Result<(), JobError> {
    let filter = RepositoryFilter {
        integration: Some(integration.id.clone()),
        not_seen_since: Some(started),
        ..RepositoryFilter::default()
    };
    loop {
        let gone =
            flow.store().list_repositories(&integration.workspace, &filter, &PageRequest::first(500)).await?;
        let ids: Vec<String> = gone.items.into_iter().map(|repository| repository.id).collect();
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
    let wanted: Vec<_> = all
        .iter()
        .filter(|repository| match perimeter.mode {
            PerimeterMode::Selected => repository.monitored,
            _ => !repository.archived && is_inside(&perimeter, &repository.full_name),
        })
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
        if !repository.monitored || (has_hooks && !has_right_hook) {
            add.push(repository.id.clone());
        }
    }
    if add.is_empty() {
        flow.drop_namespace_hooks(integration).await?;
        return Ok(None);
    }
    let payload = json!({ "operation": null, "add": add, "remove": [] });
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

pub(super) fn is_inside(perimeter: &Perimeter, full_name: &str) -> bool {
    perimeter.mode == PerimeterMode::All
        || perimeter.projects.iter().any(|project| is_under(project, full_name))
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
