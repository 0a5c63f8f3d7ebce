//! Hooks that serve many repositories: those of a namespace (a group, a project), and the one of an app.
//!
//! A repository that such a hook serves gets none of its own, so that nothing is delivered twice. Where the forge
//! refuses a namespace's hook (an edition without them, a right that is missing), its repositories get their own.

use std::collections::BTreeSet;

use forge_core::{ErrorKind, ForgeClient, Hooks, model::RepoRef};
use rca_store::{Hook, HookChange, Integration, NewHook, Repository};
use serde_json::{Value, json};

use crate::{
    connect::value,
    credentials::ConnectionData,
    error::Result,
    flow::{Flow, now},
    integrations::{mode_of, perimeter_of},
    jobs::{JobError, is_under},
    monitor::HookSecret,
    types::{Mode, Perimeter, PerimeterMode},
};

/// A namespace that was refused a hook is asked again after a day.
const ASK_AGAIN_MS: i64 = 24 * 60 * 60 * 1000;

/// The namespace that a hook serves; `None` for hooks of one repository or of an app.
pub(crate) fn namespace_of(hook: &Hook) -> Option<&str> {
    hook.data.get("namespace").and_then(Value::as_str)
}

/// Whether the hook is an app's: the forge keeps it with the app, and its secret was given to us.
pub(crate) fn is_of_app(hook: &Hook) -> bool {
    hook.data.get("app").is_some()
}

/// Whether deliveries about the repository of that name may come by this wide hook.
pub(crate) fn covers(hook: &Hook, full_name: &str) -> bool {
    hook.repository.is_none() && namespace_of(hook).is_none_or(|namespace| is_under(namespace, full_name))
}

fn is_serving(hook: &Hook) -> bool {
    is_of_app(hook)
        || (hook.forge_hook_id.is_some() && !matches!(hook.state.as_str(), "none" | "lost" | "disabled"))
}

/// As the forge's calls name a namespace. Its path stands for its id: where ids are numbers, the forge takes the path
/// as well.
pub(crate) fn namespace_ref(namespace: &str) -> RepoRef {
    RepoRef::new(namespace, namespace)
}

/// Whether the perimeter still asks for a hook of the namespace.
fn is_asked_for(perimeter: &Perimeter, namespace: &str) -> bool {
    match perimeter.mode {
        PerimeterMode::Selected => false,
        PerimeterMode::All => true,
        PerimeterMode::Projects => {
            perimeter.projects.iter().any(|project| project.trim_matches('/').eq_ignore_ascii_case(namespace))
        }
    }
}

/// The namespaces whose hooks would serve these repositories, none of them inside another.
pub(crate) fn namespaces(perimeter: &Perimeter, repositories: &[&Repository]) -> BTreeSet<String> {
    let all: BTreeSet<String> = match perimeter.mode {
        PerimeterMode::Selected => BTreeSet::new(),
        PerimeterMode::All => repositories
            .iter()
            .filter_map(|repository| repository.full_name.split_once('/'))
            .map(|(namespace, _)| namespace.to_owned())
            .collect(),
        PerimeterMode::Projects => perimeter
            .projects
            .iter()
            .map(|project| project.trim_matches('/').to_owned())
            .filter(|project| repositories.iter().any(|repository| is_under(project, &repository.full_name)))
            .collect(),
    };
    all.iter().filter(|one| !all.iter().any(|other| is_under(other, one))).cloned().collect()
}

impl Flow {
    /// The integrations of the same app, this one included; of one that is no app's, itself.
    pub(crate) async fn same_app(&self, integration: &Integration) -> Result<Vec<Integration>> {
        if integration.auth != "app" {
            return Ok(vec![integration.clone()]);
        }
        let app = ConnectionData::of(integration).app_id;
        let all = self.store().list_integrations(&integration.workspace).await?;
        Ok(all
            .into_iter()
            .filter(|other| {
                other.auth == "app"
                    && (&other.forge, &other.base_url, &other.api_base_url)
                        == (&integration.forge, &integration.base_url, &integration.api_base_url)
                    && ConnectionData::of(other).app_id == app
            })
            .collect())
    }

    /// The wide hooks that serve repositories of the integration now.
    pub(crate) async fn serving_hooks(&self, integration: &Integration) -> Result<Vec<Hook>> {
        let perimeter = perimeter_of(integration);
        let mut hooks = Vec::new();
        for sibling in self.same_app(integration).await? {
            hooks.extend(self.store().list_wide_hooks(&sibling.workspace, &sibling.id).await?);
        }
        hooks.retain(|hook| {
            is_serving(hook) && namespace_of(hook).is_none_or(|namespace| is_asked_for(&perimeter, namespace))
        });
        Ok(hooks)
    }

    /// The hook that tells of the repository: its own, or a wide one.
    pub(crate) async fn hook_of(
        &self,
        integration: &Integration,
        repository: &Repository,
    ) -> Result<Option<Hook>> {
        let own = self.store().find_hook_of_repository(&repository.workspace, &repository.id).await?;
        let wide = self.serving_hooks(integration).await?;
        Ok(wide.into_iter().find(|hook| covers(hook, &repository.full_name)).or(own))
    }

    /// Registers a hook at each of the namespaces, where the forge takes it.
    ///
    /// A refusal is no error: it is remembered, and the repositories get hooks of their own.
    pub(crate) async fn ensure_namespace_hooks(
        &self,
        integration: &Integration,
        namespaces: &BTreeSet<String>,
    ) -> Result<(), JobError> {
        if namespaces.is_empty() || mode_of(integration) == Mode::Polling || integration.auth == "app" {
            return Ok(());
        }
        let client = self.client(integration).await?;
        let Some(hooks) = client.namespace_hooks() else { return Ok(()) };
        let known = self.store().list_wide_hooks(&integration.workspace, &integration.id).await?;
        for namespace in namespaces {
            let known = known.iter().find(|hook| namespace_of(hook) == Some(namespace.as_str()));
            let refused_at = known.and_then(|hook| hook.data.get("refused_at")).and_then(Value::as_i64);
            if refused_at.is_some_and(|at| now().as_millisecond() - at < ASK_AGAIN_MS) {
                continue;
            }
            let hook = match known {
                Some(hook) => hook.clone(),
                None => self.new_namespace_hook(integration, namespace).await?,
            };
            self.ensure_namespace_hook(integration, hooks, &hook, namespace).await?;
        }
        Ok(())
    }

    async fn new_namespace_hook(&self, integration: &Integration, namespace: &str) -> Result<Hook> {
        let secret = HookSecret::generate();
        Ok(self
            .store()
            .insert_hook(NewHook {
                id: hex::encode(rand::random::<[u8; 20]>()),
                workspace: integration.workspace.clone(),
                integration: integration.id.clone(),
                repository: None,
                forge: integration.forge.clone(),
                state: "none".to_owned(),
                token_hash: Some(secret.token_hash()),
                secret: secret.as_stored().clone(),
                data: json!({ "namespace": namespace }),
            })
            .await?)
    }

    async fn ensure_namespace_hook(
        &self,
        integration: &Integration,
        hooks: &dyn Hooks,
        hook: &Hook,
        namespace: &str,
    ) -> Result<(), JobError> {
        let at = namespace_ref(namespace);
        let refusal = match self.register(integration, hooks, &at, hook).await {
            Ok(()) => return Ok(()),
            Err(error) if is_refusal(error.kind()) => error,
            Err(error) => return Err(error.into()),
        };
        tracing::info!(integration = %integration.id, namespace, error = %refusal, "the namespace takes no hook of ours");
        let change = HookChange {
            state: Some("none".to_owned()),
            data: Some(json!({ "namespace": namespace, "refused_at": now().as_millisecond() })),
            last_error: Some(Some(refusal.message().to_owned())),
            ..HookChange::default()
        };
        Ok(self.store().update_hook(&integration.workspace, &hook.id, change).await?)
    }

    /// Removes hooks of namespaces that the perimeter does not ask for any more. Called once the repositories have
    /// their own, so that nothing is missed in between.
    pub(crate) async fn drop_namespace_hooks(&self, integration: &Integration) -> Result<(), JobError> {
        let (perimeter, is_polled) = (perimeter_of(integration), mode_of(integration) == Mode::Polling);
        let wide = self.store().list_wide_hooks(&integration.workspace, &integration.id).await?;
        let unwanted: Vec<_> = wide
            .into_iter()
            .filter(|hook| {
                let is_asked = |namespace| is_asked_for(&perimeter, namespace) && !is_polled;
                namespace_of(hook).is_some_and(|namespace| !is_asked(namespace))
            })
            .collect();
        if unwanted.is_empty() {
            return Ok(());
        }
        let client = self.client(integration).await?;
        for hook in unwanted {
            match self.delete_wide(&*client, &hook).await {
                Ok(()) => self.store().remove_hook(&integration.workspace, &hook.id).await?,
                // What it sends is ignored where it is about nothing monitored; the next sync tries again.
                Err(error) => {
                    tracing::warn!(hook = %hook.id, %error, "a namespace's hook could not be removed")
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn delete_wide(&self, client: &dyn ForgeClient, hook: &Hook) -> Result<()> {
        let (Some(namespace), Some(hooks)) = (namespace_of(hook), client.namespace_hooks()) else {
            return Ok(());
        };
        if hook.data.get("refused_at").is_some() {
            return Ok(());
        }
        self.delete_from(hooks, &namespace_ref(namespace), hook).await
    }

    /// Gives the hook of an app that others use as well to one of them. Returns whether there was one.
    pub(crate) async fn pass_on(&self, integration: &Integration, hook: &Hook) -> Result<bool> {
        let heir = self.same_app(integration).await?.into_iter().find(|other| other.id != integration.id);
        match heir {
            Some(heir) => {
                self.store().move_hook(&integration.workspace, &hook.id, &heir.id).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// Whether the forge will say the same tomorrow, so that repositories get hooks of their own.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::Gone
            | ErrorKind::Unsupported
            | ErrorKind::Invalid
            | ErrorKind::InvalidInput
            | ErrorKind::Conflict
    )
}

/// What is kept of a hook that is registered, beside what it serves.
pub(crate) fn registered_data(hook: &Hook, is_signed: bool, token_hash: &str) -> Value {
    let mut data = json!({ "signed": is_signed, "secret": token_hash });
    if let (Some(namespace), Some(data)) = (namespace_of(hook), data.as_object_mut()) {
        data.insert("namespace".to_owned(), value(&namespace));
    }
    data
}
