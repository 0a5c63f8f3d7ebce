//! Where the deliveries of one repository go: for people who set a hook up by hand, and who wait for its first delivery.

use forge_core::ForgeKind;

use crate::{
    error::Result,
    flow::{Caller, Flow, forge_of},
    monitor::repository_view,
    types::RepositoryView,
    wide_hooks::{is_of_app, namespace_of},
};

/// The hook of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookPlace {
    /// The repository and the state of its hook.
    pub repository: RepositoryView,
    /// The integration.
    pub integration_id: String,
    /// The forge.
    pub forge: ForgeKind,
    /// Our address that it sends to; nothing while there is no hook.
    pub webhook_url: Option<String>,
    /// The namespace whose hook serves it.
    pub namespace: Option<String>,
    /// Whether an app's hook serves it: its secret is the app's.
    pub is_of_app: bool,
}

impl Flow {
    /// Where the deliveries of a repository go.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn hook_place(&self, caller: &Caller, repository: &str) -> Result<HookPlace> {
        let repository = self.repository(&caller.workspace, repository).await?;
        let integration = self.integration(&caller.workspace, &repository.integration).await?;
        let hook = self.hook_of(&integration, &repository).await?;
        let webhook_url = match &hook {
            Some(hook) => Some(self.hook_url(&integration.forge, &hook.id)?.into()),
            None => None,
        };
        Ok(HookPlace {
            namespace: hook.as_ref().and_then(namespace_of).map(str::to_owned),
            is_of_app: hook.as_ref().is_some_and(is_of_app),
            repository: repository_view(repository, &[], hook),
            integration_id: integration.id.clone(),
            forge: forge_of(&integration.forge)?,
            webhook_url,
        })
    }
}
