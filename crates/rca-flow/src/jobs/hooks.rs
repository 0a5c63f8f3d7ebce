//! Looking after hooks: whether they are still there and switched on, which deliveries failed, and having those sent
//! again. Forges give up after one try (GitHub docs, "Handling failed webhook deliveries") or a few.

use std::collections::{BTreeMap, BTreeSet};

use forge_core::{
    ErrorKind, ForgeClient, Hooks,
    model::{HookDelivery, RepoRef},
};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use rca_store::{DeliveryFilter, Hook, HookChange, Integration, NewIncident, PageRequest, Repository, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::JobError;
use crate::{
    connect::timestamp,
    flow::{Flow, now},
    monitor::repo_ref,
    wide_hooks::{covers, is_of_app, namespace_of, namespace_ref},
};

/// Deliveries from shortly before the last look are looked at again: their end may have been unknown then.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// Older ones cannot be sent again at the forges that keep them shortest (GitHub: three days).
const OLDEST: SignedDuration = SignedDuration::from_hours(3 * 24);
/// A delivery is on its way for so long before its missing answer counts as a failure.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(15);
/// So many hooks are looked at in one go; the next go takes up where this one ended.
const MOST_HOOKS: usize = 25;
/// So many deliveries of one hook are asked for again in one go.
const MOST_AGAIN: usize = 20;
/// A delivery is asked for again so many times.
const MOST_TRIES: u32 = 3;
const LONGEST_INTERVAL_MS: i64 = 10 * 60 * 1000;
/// Beside those, so many in one go that are known not to work.
const MOST_URGENT: usize = 10;
/// The failed hook's incident.
const INCIDENT: &str = "hook_failing";
/// The incident of one that is gone or switched off and cannot be made again.
const LOST: &str = "hook_lost";
/// The incident of a hook that does not tell us what the poll finds.
const SILENT: &str = "hook_silent";
/// Why such a hook is unhealthy.
pub(super) const ONLY_BY_POLL: &str = "arrived only by poll";

/// What is remembered of a hook between looks.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// Until when its deliveries are known, unix milliseconds.
    until: Option<i64>,
    /// How often a delivery was asked for again, by its event id.
    tries: BTreeMap<String, u32>,
}

/// Looks after some of the integration's hooks. Returns the repositories whose deliveries failed and cannot be had
/// again, with the time of the first: their runs have to be looked for.
pub(super) async fn look_after(
    flow: &Flow,
    integration: &Integration,
    client: &dyn ForgeClient,
) -> Result<Vec<(Repository, Timestamp)>, JobError> {
    if !is_due(flow, integration).await? {
        return Ok(Vec::new());
    }
    let mark = format!("hooks:{}", integration.id);
    let last = flow.store().get_mark(&integration.workspace, &mark).await?;
    let last = last.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut hooks = flow.store().list_hooks(&integration.workspace, &integration.id).await?;
    hooks.retain(|hook| hook.forge_hook_id.is_some() && !is_of_app(hook));
    hooks.sort_by(|one, other| one.id.cmp(&other.id));
    // Round and round: those after the last one first.
    let begin = hooks.partition_point(|hook| hook.id <= last);
    hooks.rotate_left(begin);
    let others = hooks.split_off(hooks.len().min(MOST_HOOKS));
    let urgent = others
        .into_iter()
        .filter(|hook| matches!(hook.state.as_str(), "unhealthy" | "lost" | "disabled"))
        .take(MOST_URGENT);
    let turns = urgent.map(|hook| (hook, false)).chain(hooks.into_iter().map(|hook| (hook, true)));
    let mut lost = Vec::new();
    for (hook, is_its_turn) in &turns.collect::<Vec<_>>() {
        let repository = match &hook.repository {
            Some(id) => flow.store().get_repository(&integration.workspace, id).await?,
            None => None,
        };
        let place = match (&repository, namespace_of(hook)) {
            (Some(repository), _) => client.hooks().map(|hooks| (hooks, repo_ref(repository))),
            (None, Some(namespace)) => {
                client.namespace_hooks().map(|hooks| (hooks, namespace_ref(namespace)))
            }
            (None, None) => None,
        };
        let Some((facet, at)) = place else { continue };
        let look = Look { flow, integration, client, hook, hooks: facet, at, repository };
        match look.run().await {
            Ok(found) => lost.extend(found),
            Err(JobError::Forge(error)) if error.kind().is_credential() => return Err(error.into()),
            Err(JobError::Forge(error)) => {
                tracing::debug!(hook = %hook.id, %error, "a hook could not be looked at");
                if matches!(
                    error.kind(),
                    ErrorKind::RateLimited | ErrorKind::Unreachable | ErrorKind::Timeout
                ) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
        if *is_its_turn {
            let write = Write::SetMark {
                workspace: integration.workspace.clone(),
                name: mark.clone(),
                value: json!(hook.id),
            };
            flow.store().write(vec![write]).await?;
        }
    }
    Ok(lost)
}

/// How often hooks are looked after: less often than runs, because each costs a request or two.
pub(super) fn interval_ms(flow: &Flow) -> i64 {
    (flow.config().poll_interval_ms.max(1000) * 5).min(LONGEST_INTERVAL_MS)
}

async fn is_due(flow: &Flow, integration: &Integration) -> Result<bool, JobError> {
    let mark = format!("hooks_at:{}", integration.id);
    let at = now().as_millisecond();
    let last = flow.store().get_mark(&integration.workspace, &mark).await?.and_then(|mark| mark.as_i64());
    // A little early is in time: the task that asks is put off by the same interval.
    if last.is_some_and(|last| at - last < interval_ms(flow) * 9 / 10) {
        return Ok(false);
    }
    let write = Write::SetMark { workspace: integration.workspace.clone(), name: mark, value: json!(at) };
    flow.store().write(vec![write]).await?;
    Ok(true)
}

struct Look<'a> {
    flow: &'a Flow,
    integration: &'a Integration,
    client: &'a dyn ForgeClient,
    hook: &'a Hook,
    hooks: &'a dyn Hooks,
    at: RepoRef,
    repository: Option<Repository>,
}

impl Look<'_> {
    async fn run(&self) -> Result<Vec<(Repository, Timestamp)>, JobError> {
        if !self.is_there().await? {
            return Ok(Vec::new());
        }
        if !self.client.capabilities().hook_deliveries {
            return Ok(Vec::new());
        }
        self.failed_deliveries().await
    }

    /// Whether the hook is still there and switched on; repairs it otherwise.
    async fn is_there(&self) -> Result<bool, JobError> {
        let mut all = self.hooks.list_hooks(&self.at);
        let mut found = None;
        while let Some(hook) = all.try_next().await? {
            if Some(&hook.id) == self.hook.forge_hook_id.as_ref() {
                found = Some(hook);
                break;
            }
        }
        drop(all);
        let (state, message) = match &found {
            Some(hook) if hook.is_active && !hook.health.is_disabled => {
                if self.hook.last_error.as_deref() == Some(ONLY_BY_POLL) {
                    self.write_anew().await?;
                }
                return Ok(true);
            }
            Some(hook) => {
                let failure = hook.health.last_failure.as_deref().unwrap_or("it was switched off");
                ("disabled", format!("the forge sends nothing any more: {failure}"))
            }
            None => ("lost", "the hook was removed at the forge".to_owned()),
        };
        // Registered anew, it begins with a clean record; where that is refused, the state stays for people to see.
        match self.flow.register(self.integration, self.hooks, &self.at, self.hook).await {
            Ok(()) => {
                tracing::info!(hook = %self.hook.id, state, "a hook was registered anew: {message}");
                let (workspace, integration) = (&self.integration.workspace, &self.integration.id);
                let over = [INCIDENT, LOST]
                    .map(|code| resolved(code, workspace, integration, self.hook.repository.clone()));
                self.flow.store().write(over.into()).await?;
            }
            Err(error) if error.kind().is_credential() => return Err(error.into()),
            Err(error) => self.lose(state, &message, &error).await?,
        }
        Ok(false)
    }

    /// Says that there is no hook that works, and cannot be one.
    async fn lose(&self, state: &str, message: &str, error: &forge_core::Error) -> Result<(), JobError> {
        let message = format!("{message}, and it cannot be made again: {}", error.message());
        let change = HookChange {
            state: Some(state.to_owned()),
            last_error: Some(Some(message.clone())),
            ..HookChange::default()
        };
        let (workspace, hook) = (&self.integration.workspace, self.hook);
        let writes = vec![
            Write::SetHookState { workspace: workspace.clone(), id: hook.id.clone(), change },
            Write::OpenIncident(NewIncident {
                workspace: workspace.clone(),
                code: LOST.to_owned(),
                severity: "high".to_owned(),
                message: format!("the hook of {}: {message}", self.at.full_name),
                remedy: "give the credential the right to manage hooks, switch the hook on at the forge, or change the mode to \
                         polling; it is tried again by itself"
                    .to_owned(),
                integration: Some(self.integration.id.clone()),
                repository: hook.repository.clone(),
            }),
        ];
        Ok(self.flow.store().write(writes).await?)
    }

    /// What a hook that is there and says nothing is may be wrong: its address, its events, its secret. No forge shows
    /// secrets, so all of it is written once more.
    async fn write_anew(&self) -> Result<(), JobError> {
        let unsure = Hook { data: without_secret(self.hook), ..self.hook.clone() };
        self.flow.register(self.integration, self.hooks, &self.at, &unsure).await?;
        tracing::info!(hook = %self.hook.id, "a hook that told us nothing was registered anew");
        Ok(())
    }

    async fn failed_deliveries(&self) -> Result<Vec<(Repository, Timestamp)>, JobError> {
        let name = format!("hook:{}", self.hook.id);
        let stored = self.flow.store().get_mark(&self.integration.workspace, &name).await?;
        let memory: Memory =
            stored.and_then(|stored| serde_json::from_value(stored).ok()).unwrap_or_default();
        let begun = now();
        let since = memory.until.map_or(timestamp(self.hook.created_at), timestamp) - OVERLAP;
        let since = since.max(begun - OLDEST);
        let forge_hook_id = self.hook.forge_hook_id.as_deref().unwrap_or_default();
        let all = self.hooks.list_deliveries(&self.at, forge_hook_id, since).await?;
        let failed = self.still_failed(&all, begun).await?;
        let can_repeat = self.client.capabilities().hook_redelivery;
        let (mut tries, mut lost, mut newest) = (BTreeMap::new(), Vec::new(), None);
        // Oldest first, so that what was sent first comes first again.
        for delivery in failed.iter().rev().copied() {
            newest = Some(delivery);
            let count = memory.tries.get(event_of(delivery)).copied().unwrap_or(0);
            if !can_repeat {
                if count == 0 {
                    lost.push(delivery);
                }
                tries.insert(event_of(delivery).to_owned(), 1);
                continue;
            }
            let is_asked = count < MOST_TRIES && tries.len() < MOST_AGAIN;
            tries.insert(event_of(delivery).to_owned(), count + u32::from(is_asked));
            if !is_asked {
                continue;
            }
            match self.hooks.redeliver(&self.at, forge_hook_id, &delivery.id).await {
                Ok(()) => {
                    tracing::info!(hook = %self.hook.id, delivery = %delivery.id, "a failed delivery is sent again")
                }
                Err(error) if is_final(error.kind()) => lost.push(delivery),
                Err(error) => return Err(error.into()),
            }
        }
        // What failed and was not seen off yet stays in sight.
        let open = failed.iter().filter(|delivery| {
            tries.get(event_of(delivery)).copied().unwrap_or(0) < MOST_TRIES && can_repeat
        });
        let until = open.map(|delivery| delivery.sent_at).min().unwrap_or(begun).min(begun);
        let had_failures = !memory.tries.is_empty();
        let memory = Memory { until: Some(until.as_millisecond()), tries };
        let write = Write::SetMark {
            workspace: self.integration.workspace.clone(),
            name,
            value: serde_json::to_value(memory).unwrap_or_default(),
        };
        self.flow.store().write(vec![write]).await?;
        match newest {
            Some(delivery) => {
                let answer = match delivery.status {
                    Some(status) => format!("was answered with {status}"),
                    None => "got no answer".to_owned(),
                };
                let message = format!("the delivery of {} {answer}", delivery.sent_at);
                self.set(Some("unhealthy"), Some(message)).await?;
            }
            // Only what was found here ends here: a failure that only the poll saw stays until a delivery comes.
            None if had_failures => {
                if self.hook.state == "unhealthy" {
                    self.set(Some("registered"), None).await?;
                }
                self.resolve().await?;
            }
            None => {}
        }
        let Some(first) = lost.iter().map(|delivery| delivery.sent_at).min() else { return Ok(Vec::new()) };
        self.repositories(first).await
    }

    /// The failed ones whose event neither came another time nor is stored with us, newest first, each event once.
    async fn still_failed<'d>(
        &self,
        all: &'d [HookDelivery],
        begun: Timestamp,
    ) -> Result<Vec<&'d HookDelivery>, JobError> {
        let mut seen: BTreeSet<&str> =
            all.iter().filter(|delivery| delivery.is_accepted()).map(event_of).collect();
        let mut failed = Vec::new();
        for delivery in all {
            let is_under_way =
                delivery.status.is_none() && begun.duration_since(delivery.sent_at) < UNDER_WAY;
            if delivery.is_accepted() || is_under_way || !seen.insert(event_of(delivery)) {
                continue;
            }
            // Our answer may have been lost on its way: what is stored is not missing.
            let is_stored = match &delivery.event_id {
                Some(event) => self.is_stored(event).await?,
                None => false,
            };
            if !is_stored {
                failed.push(delivery);
            }
        }
        Ok(failed)
    }

    async fn is_stored(&self, event: &str) -> Result<bool, JobError> {
        let filter = DeliveryFilter {
            hook: Some(self.hook.id.clone()),
            key: Some(event.to_owned()),
            ..DeliveryFilter::default()
        };
        let page = PageRequest::first(1);
        let found = self.flow.store().list_deliveries(&self.integration.workspace, &filter, &page).await?;
        Ok(!found.items.is_empty())
    }

    async fn repositories(&self, first: Timestamp) -> Result<Vec<(Repository, Timestamp)>, JobError> {
        if let Some(repository) = &self.repository {
            return Ok(vec![(repository.clone(), first)]);
        }
        let all = self.flow.all_repositories(self.integration, Some(true)).await?;
        let served = all.into_iter().filter(|repository| covers(self.hook, &repository.full_name));
        Ok(served.map(|repository| (repository, first)).collect())
    }

    async fn set(&self, state: Option<&str>, error: Option<String>) -> Result<(), JobError> {
        let mut writes = Vec::new();
        if let Some(message) = &error {
            writes.push(Write::OpenIncident(NewIncident {
                workspace: self.integration.workspace.clone(),
                code: INCIDENT.to_owned(),
                severity: "medium".to_owned(),
                message: format!("the hook of {} fails: {message}", self.at.full_name),
                remedy: "look whether the forge reaches our address and takes its certificate; what failed is asked for again"
                    .to_owned(),
                integration: Some(self.integration.id.clone()),
                repository: self.hook.repository.clone(),
            }));
        }
        writes.push(Write::SetHookState {
            workspace: self.integration.workspace.clone(),
            id: self.hook.id.clone(),
            change: HookChange {
                state: state.map(str::to_owned),
                last_error: Some(error),
                ..HookChange::default()
            },
        });
        Ok(self.flow.store().write(writes).await?)
    }

    async fn resolve(&self) -> Result<(), JobError> {
        let write = Write::ResolveIncident {
            workspace: self.integration.workspace.clone(),
            code: INCIDENT.to_owned(),
            integration: Some(self.integration.id.clone()),
            repository: self.hook.repository.clone(),
        };
        Ok(self.flow.store().write(vec![write]).await?)
    }
}

/// The hook should have told of a failure and did not.
pub(super) fn silent(hook: &Hook, integration: &Integration, full_name: &str) -> Vec<Write> {
    vec![
        Write::SetHookState {
            workspace: hook.workspace.clone(),
            id: hook.id.clone(),
            change: HookChange {
                state: Some("unhealthy".to_owned()),
                last_error: Some(Some(ONLY_BY_POLL.to_owned())),
                ..HookChange::default()
            },
        },
        Write::OpenIncident(NewIncident {
            workspace: hook.workspace.clone(),
            code: SILENT.to_owned(),
            severity: "medium".to_owned(),
            message: format!("a failure of {full_name} {ONLY_BY_POLL}: its hook did not tell of it"),
            remedy: "the hook is registered anew by itself; if this goes on, look at its deliveries at the forge: it has \
                     to reach our address and take its certificate"
                .to_owned(),
            integration: Some(integration.id.clone()),
            repository: hook.repository.clone(),
        }),
    ]
}

/// A delivery came by the hook of that repository, or by one that serves many.
pub(crate) fn no_longer_silent(workspace: &str, integration: &str, repository: Option<String>) -> Write {
    resolved(SILENT, workspace, integration, repository)
}

/// Nothing is wrong with a hook any more, because there is none.
pub(crate) fn hook_is_well(workspace: &str, integration: &str, repository: Option<&str>) -> Vec<Write> {
    let resolved = |code| resolved(code, workspace, integration, repository.map(str::to_owned));
    vec![resolved(INCIDENT), resolved(LOST), resolved(SILENT)]
}

fn resolved(code: &str, workspace: &str, integration: &str, repository: Option<String>) -> Write {
    Write::ResolveIncident {
        workspace: workspace.to_owned(),
        code: code.to_owned(),
        integration: Some(integration.to_owned()),
        repository,
    }
}

fn without_secret(hook: &Hook) -> Value {
    let mut data = hook.data.clone();
    if let Some(data) = data.as_object_mut() {
        data.remove("secret");
    }
    data
}

/// What makes two deliveries the same event.
fn event_of(delivery: &HookDelivery) -> &str {
    delivery.event_id.as_deref().unwrap_or(&delivery.id)
}

/// Whether the forge will never send it again.
fn is_final(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::Gone
            | ErrorKind::Unsupported
            | ErrorKind::Invalid
            | ErrorKind::Forbidden
            | ErrorKind::Conflict
    )
}
