//! The perimeter: which repositories are monitored, and their hooks.

#![expect(clippy::disallowed_methods, reason = "hook secrets are derived and hashed here")]

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{
    EnsureHook, ErrorKind, ForgeClient, ForgeClientExt, ForgeKind, Hooks,
    model::{HookSpec, RepoRef},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use rca_store::{
    Hook, HookChange, Integration, NewHook, PageRequest, Repository, RepositoryFilter as StoreFilter, Write,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow, forge_of},
    integrations::{audit, backfill_of, mode_of},
    jobs::{self, hook_is_well},
    operations::{BackfillPlan, Head, backfill_write},
    types::{
        Disconnected, HookView, LeftoverHook, List, Mode, MonitorItem, MonitorOutcome, MonitorRequest,
        RepositoryFilter, RepositoryView, WebhookSecret, page, time,
    },
    wide_hooks::{covers, is_of_app, namespace_of, namespace_ref, registered_data},
};

/// Up to so many repositories are done while the caller waits.
const AT_ONCE: usize = 50;
/// Of those, so many at a time.
const AT_A_TIME: usize = 4;
/// How long an old webhook secret stays valid.
const OVERLAP_MS: i64 = 24 * 60 * 60 * 1000;

/// The secrets of one hook, made from one that is stored.
///
/// The shared token travels with every delivery of forges that have no signatures, so the signing token must not
/// follow from it: both follow from a third that is never sent.
pub(crate) struct HookSecret(SecretString);

impl HookSecret {
    pub(crate) fn generate() -> Self {
        Self(SecretString::from(hex::encode(rand::random::<[u8; 32]>())))
    }

    pub(crate) fn stored(secret: SecretString) -> Self {
        Self(secret)
    }

    /// What is kept: the others follow from it.
    pub(crate) fn as_stored(&self) -> &SecretString {
        &self.0
    }

    fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(self.0.expose_secret().as_bytes());
        hash.finalize().into()
    }

    /// HMAC key or shared token: 64 hex characters, which survive a query string.
    pub(crate) fn shared(&self) -> SecretString {
        SecretString::from(hex::encode(self.derive("shared")))
    }

    /// A signing token in the form of Standard Webhooks.
    pub(crate) fn signing(&self) -> SecretString {
        SecretString::from(format!("whsec_{}", STANDARD.encode(self.derive("signing"))))
    }

    pub(crate) fn token_hash(&self) -> String {
        token_hash(&self.shared())
    }
}

/// The hash by which a hook is found from its shared token.
pub(crate) fn token_hash(token: &SecretString) -> String {
    hex::encode(Sha256::digest(token.expose_secret().as_bytes()))
}

impl Flow {
    /// Repositories of an integration with their hooks.
    ///
    /// # Errors
    /// `not_found`, `invalid_field` for a wrong cursor.
    pub async fn list_repositories(
        &self,
        caller: &Caller,
        integration: &str,
        filter: &RepositoryFilter,
    ) -> Result<List<RepositoryView>> {
        let integration = self.integration(&caller.workspace, integration).await?;
        let wide = self.serving_hooks(&integration).await?;
        let wanted = StoreFilter {
            integration: Some(integration.id.clone()),
            search: filter.search.clone(),
            monitored: filter.monitored,
            not_seen_since: None,
        };
        let page = page(filter.limit, filter.cursor.as_deref())?;
        let page = self.store().list_repositories(&caller.workspace, &wanted, &page).await?;
        let ids: Vec<String> = page.items.iter().map(|repository| repository.id.clone()).collect();
        let mut own =
            self.store().list_hooks_of_repositories(&caller.workspace, &integration.id, &ids).await?;
        let view = |repository: Repository| {
            let own = own.remove(&repository.id);
            repository_view(repository, &wide, own)
        };
        let items = page.items.into_iter().map(view).collect();
        Ok(List { items, next_cursor: page.next_cursor })
    }

    /// Changes which repositories are monitored. Each succeeds or fails by itself; above fifty the work goes on in the
    /// background.
    ///
    /// # Errors
    /// `not_found` for the integration, `invalid_field` for a contradicting request.
    pub async fn monitor(
        &self,
        caller: &Caller,
        integration: &str,
        request: MonitorRequest,
    ) -> Result<MonitorOutcome> {
        let integration = self.integration(&caller.workspace, integration).await?;
        let mut add = request.add;
        if request.all {
            if !add.is_empty() || !request.remove.is_empty() {
                return Err(FlowError::invalid_field("all", "stands alone"));
            }
            add =
                self.all_repositories(&integration, None).await?.into_iter().map(|found| found.id).collect();
        }
        if let Some(both) = add.iter().find(|id| request.remove.contains(id)) {
            return Err(FlowError::invalid_field("add", format!("{both} is to be removed too")));
        }
        let detail = json!({ "add": add.len(), "remove": request.remove.len() });
        self.store().write(vec![audit(caller, "repositories.monitor", &integration.id, detail)]).await?;
        self.wish(&integration, request.all, &add, &request.remove).await?;
        let backfill = self.plan_backfill(&integration, &add).await?;
        let total = add.len() + request.remove.len();
        if total > AT_ONCE {
            let operation_id = rca_store::new_id();
            let task =
                jobs::monitor_task(&integration, &operation_id, &add, &request.remove, backfill.as_ref());
            let head = Head::new("monitor", total).write(&caller.workspace, &operation_id);
            self.store().write(vec![head, Write::Enqueue(task)]).await?;
            return Ok(MonitorOutcome::Accepted { operation_id });
        }
        let (integration, backfill) = (&integration, backfill.as_ref());
        let mut items: Vec<MonitorItem> = stream::iter(add)
            .map(|id| async move { self.start_monitoring(integration, &id, backfill).await })
            .buffered(AT_A_TIME)
            .collect()
            .await;
        for id in &request.remove {
            items.push(self.stop_monitoring(integration, id).await);
        }
        Ok(MonitorOutcome::Done(items))
    }

    /// A new webhook secret for a repository. The forge gets it where we may; the old one works for a day longer.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn rotate_webhook_secret(&self, caller: &Caller, repository: &str) -> Result<WebhookSecret> {
        let repository = self.repository(&caller.workspace, repository).await?;
        let integration = self.integration(&caller.workspace, &repository.integration).await?;
        let hook = self.hook_of(&integration, &repository).await?;
        let hook = hook.ok_or_else(|| FlowError::not_found("hook: monitor the repository first"))?;
        if is_of_app(&hook) {
            return Err(FlowError::new(
                FlowErrorKind::Conflict,
                "secret_of_app",
                "the secret is the app's: change it at the forge, then connect the app again with the new one",
            ));
        }
        let secret = HookSecret::generate();
        // Valid with us before the forge uses it, so that no delivery in between is refused.
        let ends = self
            .store()
            .rotate_hook_secret(
                &caller.workspace,
                &hook.id,
                &secret.0,
                Some(&secret.token_hash()),
                OVERLAP_MS,
            )
            .await?;
        let forge = forge_of(&integration.forge)?;
        if let Some(forge_hook_id) = &hook.forge_hook_id {
            let client = self.client(&integration).await?;
            let spec = self.hook_spec(forge, &hook.id, &secret)?;
            let (hooks, at) = match (namespace_of(&hook), client.namespace_hooks()) {
                (Some(namespace), Some(hooks)) => (hooks, namespace_ref(namespace)),
                _ => (client.require_hooks()?, repo_ref(&repository)),
            };
            let change = match hooks.update_hook(&at, forge_hook_id, &spec).await {
                Ok(updated) => HookChange {
                    // Where hooks cannot be changed, the new one has another id.
                    forge_hook_id: Some(updated.id),
                    last_error: Some(None),
                    data: Some(registered_data(&hook, updated.is_signed, &secret.token_hash())),
                    ..HookChange::default()
                },
                Err(error) => HookChange {
                    last_error: Some(Some(format!("the new secret could not be set: {}", error.message()))),
                    ..HookChange::default()
                },
            };
            self.store().update_hook(&caller.workspace, &hook.id, change).await?;
        }
        self.store().write(vec![audit(caller, "hook.rotate_secret", &repository.id, json!({}))]).await?;
        Ok(WebhookSecret {
            webhook_url: self.hook_url(forge.as_str(), &hook.id)?.into(),
            secret: secret.shared().expose_secret().to_owned(),
            expires_old_at: time(ends),
        })
    }

    /// The operation for the back-fills of those that are not monitored yet; begun here, because the work may end in
    /// any order.
    async fn plan_backfill(&self, integration: &Integration, add: &[String]) -> Result<Option<BackfillPlan>> {
        if !backfill_of(integration).enabled || integration.auth == "webhook_only" {
            return Ok(None);
        }
        let mut repositories = Vec::new();
        if add.len() > AT_ONCE {
            let others = self.all_repositories(integration, Some(false)).await?;
            let others: HashSet<String> = others.into_iter().map(|repository| repository.id).collect();
            repositories.extend(add.iter().filter(|id| others.contains(*id)).cloned());
        } else {
            for id in add {
                let found = self.store().get_repository(&integration.workspace, id).await?;
                let is_ours = |found: &Repository| found.integration == integration.id && !found.monitored;
                repositories.extend(found.filter(is_ours).map(|found| found.id));
            }
        }
        if repositories.is_empty() {
            return Ok(None);
        }
        let plan = BackfillPlan { operation: rca_store::new_id(), repositories };
        let head = Head::new("backfill", plan.repositories.len());
        self.store().write(vec![head.write(&integration.workspace, &plan.operation)]).await?;
        Ok(Some(plan))
    }

    pub(crate) async fn start_monitoring(
        &self,
        integration: &Integration,
        id: &str,
        backfill: Option<&BackfillPlan>,
    ) -> MonitorItem {
        let error = match self.try_start(integration, id, backfill).await {
            Ok(item) => return item,
            Err(error) => error,
        };
        if let Some(mark) = backfill.and_then(|plan| plan.item(id)) {
            let told = backfill_write(&integration.workspace, &mark, id, 0, Some(error.message.clone()));
            if let Err(error) = self.store().write(vec![told]).await {
                tracing::warn!(%error, "the end of a back-fill could not be recorded");
            }
        }
        MonitorItem {
            id: id.to_owned(),
            monitored: false,
            hook_registered: false,
            backfill_operation_id: None,
            error: Some(error.message),
        }
    }

    async fn try_start(
        &self,
        integration: &Integration,
        id: &str,
        backfill: Option<&BackfillPlan>,
    ) -> Result<MonitorItem> {
        let repository = self.repository(&integration.workspace, id).await?;
        if repository.integration != integration.id {
            return Err(FlowError::not_found("repository"));
        }
        // One that the plan names is new also when this is done again after a crash.
        let item = backfill.and_then(|plan| plan.item(id));
        let is_new = !repository.monitored || item.is_some();
        self.store().set_monitored(&integration.workspace, &[id.to_owned()], true).await?;
        if is_new && backfill_of(integration).enabled && integration.auth != "webhook_only" {
            self.store().enqueue(jobs::backfill_task(integration, &repository, item.as_deref())).await?;
        }
        let backfill_operation_id = item.and(backfill).map(|plan| plan.operation.clone());
        if mode_of(integration) == Mode::Polling {
            // One that is left from another mode is not needed any more.
            let own = self.store().find_hook_of_repository(&integration.workspace, id).await?;
            let dropped = match &own {
                Some(own) => self.drop_own_hook(integration, &repository, own).await,
                None => Ok(()),
            };
            return Ok(MonitorItem {
                id: id.to_owned(),
                monitored: true,
                hook_registered: dropped.is_err(),
                backfill_operation_id,
                error: dropped.err().map(|error| error.message),
            });
        }
        let registered = self.ensure_hook(integration, &repository).await;
        Ok(MonitorItem {
            id: id.to_owned(),
            monitored: true,
            hook_registered: registered.is_ok(),
            backfill_operation_id,
            error: registered.err().map(|error| error.message),
        })
    }

    /// Makes sure that the repository's deliveries come by exactly one hook of ours, with the right secret: by a wide
    /// one where there is one, else by its own.
    pub(crate) async fn ensure_hook(&self, integration: &Integration, repository: &Repository) -> Result<()> {
        // Two requests at once would both find no hook at the forge, and make one each.
        let _turn = self.0.turns.take(&repository.id).await;
        let own = self.store().find_hook_of_repository(&integration.workspace, &repository.id).await?;
        let wide = self.serving_hooks(integration).await?;
        if wide.iter().any(|hook| covers(hook, &repository.full_name)) {
            if let Some(own) = own {
                self.drop_own_hook(integration, repository, &own).await?;
            }
            return Ok(());
        }
        if integration.auth == "app" {
            return Err(FlowError::not_found("hook of the app: connect the app again"));
        }
        let hook = match own {
            Some(hook) => hook,
            None => {
                let secret = HookSecret::generate();
                // Stored before the forge is asked: its test delivery can come before its answer.
                self.store()
                    .insert_hook(NewHook {
                        id: hex::encode(rand::random::<[u8; 20]>()),
                        workspace: integration.workspace.clone(),
                        integration: integration.id.clone(),
                        repository: Some(repository.id.clone()),
                        forge: integration.forge.clone(),
                        state: "none".to_owned(),
                        secret: secret.0.clone(),
                        token_hash: Some(secret.token_hash()),
                        data: json!({}),
                    })
                    .await?
            }
        };
        let client = self.client(integration).await?;
        let registered = match client.require_hooks() {
            Ok(hooks) => self.register(integration, hooks, &repo_ref(repository), &hook).await,
            Err(error) => Err(error),
        };
        let Err(error) = registered else { return Ok(()) };
        let needs_hand =
            matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Unsupported);
        let change = HookChange {
            state: Some(if needs_hand { "pending_manual" } else { "none" }.to_owned()),
            last_error: Some(Some(error.message().to_owned())),
            ..HookChange::default()
        };
        self.store().update_hook(&integration.workspace, &hook.id, change).await?;
        Err(error.into())
    }

    /// Brings a stored hook to the forge, or what is there to what it should be, and remembers how it is.
    ///
    /// # Errors
    /// What the forge refuses; the row is left as it was then.
    pub(crate) async fn register(
        &self,
        integration: &Integration,
        hooks: &dyn Hooks,
        at: &RepoRef,
        hook: &Hook,
    ) -> forge_core::Result<()> {
        let stored = |error: FlowError| forge_core::Error::new(ErrorKind::Forge, error.message);
        let known = self.store().get_hook(&hook.id).await.map_err(|error| stored(error.into()))?;
        let current = known.and_then(|known| known.secrets.into_iter().next());
        let current = current.ok_or_else(|| stored(FlowError::not_found("hook secret")))?;
        let secret = HookSecret::stored(current);
        let spec = self.hook_spec(forge_of(&integration.forge)?, &hook.id, &secret).map_err(stored)?;
        // The id vouches for the secret only as long as this very secret was registered under it.
        let registered = hook.forge_hook_id.as_deref().filter(|_| {
            hook.data.get("secret").and_then(Value::as_str) == Some(secret.token_hash().as_str())
        });
        if hook.forge_hook_id.is_none() {
            self.take_over(integration, hooks, at, hook, &spec).await.map_err(stored)?;
        }
        let mut ensured = forge_core::ensure_hook(hooks, at, &spec, registered).await?;
        if ensured.hook.health.is_disabled {
            // The forge has given it up, and no change revives it: a new one has a clean record.
            hooks.delete_hook(at, &ensured.hook.id).await?;
            ensured.hook = hooks.create_hook(at, &spec).await?;
            ensured.action = EnsureHook::Created;
        }
        let is_active = hook.state == "active" && ensured.action == EnsureHook::Unchanged;
        let change = HookChange {
            state: Some(if is_active { "active" } else { "registered" }.to_owned()),
            forge_hook_id: Some(ensured.hook.id),
            last_error: Some(None),
            data: Some(registered_data(hook, ensured.hook.is_signed, &secret.token_hash())),
            ..HookChange::default()
        };
        self.store()
            .update_hook(&integration.workspace, &hook.id, change)
            .await
            .map_err(|error| stored(error.into()))
    }

    /// What an integration before this one left at the forge becomes the new hook. Beside it, it would be refused for ever.
    async fn take_over(
        &self,
        integration: &Integration,
        hooks: &dyn Hooks,
        at: &RepoRef,
        hook: &Hook,
        spec: &HookSpec,
    ) -> Result<()> {
        let place = hook.repository.as_ref().map(|_| at.id.as_str());
        let (workspace, forge) = (&integration.workspace, &integration.forge);
        let left = self.store().left_hooks(workspace, forge, &integration.base_url, place).await?;
        let mut is_taken = false;
        for old in left.iter().filter(|old| namespace_of(old) == namespace_of(hook)) {
            let Some(forge_hook_id) = old.forge_hook_id.as_deref() else { continue };
            let outcome = match is_taken {
                false => hooks.update_hook(at, forge_hook_id, spec).await.map(drop),
                true => hooks.delete_hook(at, forge_hook_id).await,
            };
            match outcome {
                Ok(()) => is_taken = true,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => {}
                Err(error) => {
                    tracing::debug!(hook = %old.id, %error, "an old hook could not be taken over");
                    continue;
                }
            }
            self.store().update_hook(workspace, &old.id, gone()).await?;
        }
        Ok(())
    }

    pub(crate) async fn stop_monitoring(&self, integration: &Integration, id: &str) -> MonitorItem {
        match self.try_stop(integration, id).await {
            Ok(item) => item,
            Err(error) => MonitorItem {
                id: id.to_owned(),
                monitored: false,
                // A hook that could not be removed is still there; what does not exist has none.
                hook_registered: error.kind != FlowErrorKind::NotFound,
                backfill_operation_id: None,
                error: Some(error.message),
            },
        }
    }

    async fn try_stop(&self, integration: &Integration, id: &str) -> Result<MonitorItem> {
        let repository = self.repository(&integration.workspace, id).await?;
        if repository.integration != integration.id {
            return Err(FlowError::not_found("repository"));
        }
        // From here on nothing is done for it, whatever becomes of the hook.
        self.store().set_monitored(&integration.workspace, &[id.to_owned()], false).await?;
        if let Some(hook) = self.store().find_hook_of_repository(&integration.workspace, id).await? {
            self.drop_own_hook(integration, &repository, &hook).await?;
        }
        Ok(MonitorItem {
            id: id.to_owned(),
            monitored: false,
            hook_registered: false,
            backfill_operation_id: None,
            error: None,
        })
    }

    async fn drop_own_hook(
        &self,
        integration: &Integration,
        repository: &Repository,
        hook: &Hook,
    ) -> Result<()> {
        let client = self.client(integration).await?;
        if let Err(error) = self.delete_own(&*client, repository, hook).await {
            let change = HookChange {
                state: Some("unhealthy".to_owned()),
                last_error: Some(Some(format!("it could not be removed: {}", error.message))),
                ..HookChange::default()
            };
            self.store().update_hook(&integration.workspace, &hook.id, change).await?;
            return Err(error);
        }
        self.store().remove_hook(&integration.workspace, &hook.id).await?;
        Ok(self
            .store()
            .write(hook_is_well(&integration.workspace, &integration.id, Some(&repository.id)))
            .await?)
    }

    async fn delete_own(&self, client: &dyn ForgeClient, repository: &Repository, hook: &Hook) -> Result<()> {
        match client.hooks() {
            Some(hooks) => self.delete_from(hooks, &repo_ref(repository), hook).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn delete_from(&self, hooks: &dyn Hooks, at: &RepoRef, hook: &Hook) -> Result<()> {
        if let Some(forge_hook_id) = &hook.forge_hook_id {
            return Ok(hooks.delete_hook(at, forge_hook_id).await?);
        }
        // The forge may have made it although its answer never reached us.
        let url = self.hook_url(&hook.forge, &hook.id)?;
        let mut all = hooks.list_hooks(at);
        while let Some(found) = all.try_next().await? {
            if found.url == url.as_str() {
                hooks.delete_hook(at, &found.id).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn remove_hooks(
        &self,
        integration: &Integration,
        report: &mut Disconnected,
    ) -> Result<()> {
        let client = self.client(integration).await;
        for hook in self.store().list_hooks(&integration.workspace, &integration.id).await? {
            if hook.state == "none" && hook.forge_hook_id.is_none() {
                continue;
            }
            if is_of_app(&hook) {
                if !self.pass_on(integration, &hook).await? {
                    report.leftover_hooks.push(LeftoverHook {
                        repository: "*".to_owned(),
                        url: self.hook_url(&integration.forge, &hook.id)?.into(),
                        reason: "the hook is a part of the app: delete the app at the forge".to_owned(),
                    });
                }
                continue;
            }
            let repository = match &hook.repository {
                Some(id) => self.store().get_repository(&integration.workspace, id).await?,
                None => None,
            };
            let owner = match (&repository, namespace_of(&hook)) {
                (Some(repository), _) => repository.full_name.clone(),
                (None, Some(namespace)) => namespace.to_owned(),
                (None, None) => continue,
            };
            let removed = match (&client, &repository) {
                (Ok(client), Some(repository)) => self.delete_own(&**client, repository, &hook).await,
                (Ok(client), None) => self.delete_wide(&**client, &hook).await,
                (Err(error), _) => Err(FlowError::invalid_field("credential", error.message())),
            };
            match removed {
                Ok(()) => {
                    report.removed_hooks += 1;
                    self.store().update_hook(&integration.workspace, &hook.id, gone()).await?;
                }
                Err(error) => report.leftover_hooks.push(LeftoverHook {
                    repository: owner,
                    url: self.hook_url(&integration.forge, &hook.id)?.into(),
                    reason: error.message,
                }),
            }
        }
        Ok(())
    }

    fn hook_spec(&self, forge: ForgeKind, hook: &str, secret: &HookSecret) -> Result<HookSpec> {
        let spec = HookSpec::new(self.hook_url(forge.as_str(), hook)?, secret.shared());
        let signs_time =
            self.0.providers.get(&forge).is_some_and(|provider| provider.capabilities().signed_delivery_time);
        Ok(if signs_time { spec.with_signing_token(secret.signing()) } else { spec })
    }

    pub(crate) async fn all_repositories(
        &self,
        integration: &Integration,
        monitored: Option<bool>,
    ) -> Result<Vec<Repository>> {
        let filter =
            StoreFilter { integration: Some(integration.id.clone()), monitored, ..StoreFilter::default() };
        let mut all = Vec::new();
        let mut page = PageRequest::first(500);
        loop {
            let found = self.store().list_repositories(&integration.workspace, &filter, &page).await?;
            all.extend(found.items);
            match found.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => return Ok(all),
            }
        }
    }
}

/// A hook that is not at the forge any more.
fn gone() -> HookChange {
    HookChange { state: Some("none".to_owned()), ..HookChange::default() }
}

pub(crate) fn repository_view(repository: Repository, wide: &[Hook], own: Option<Hook>) -> RepositoryView {
    let is_served = |hook: &&Hook| repository.monitored && covers(hook, &repository.full_name);
    let hook = wide.iter().find(is_served).cloned().or(own);
    RepositoryView {
        id: repository.id,
        forge_id: repository.forge_id,
        full_name: repository.full_name,
        default_branch: repository.default_branch,
        web_url: repository.web_url,
        archived: repository.archived,
        has_ci: repository.data.get("has_ci").and_then(Value::as_bool),
        monitored: repository.monitored,
        hook: hook.map_or_else(
            || HookView { state: "none".to_owned(), last_delivery_at: None, last_error: None },
            |hook| HookView {
                state: hook.state,
                last_delivery_at: hook.last_delivery_at.map(time),
                last_error: hook.last_error,
            },
        ),
    }
}

pub(crate) fn repo_ref(repository: &Repository) -> RepoRef {
    RepoRef::new(repository.forge_id.clone(), repository.full_name.clone())
}
