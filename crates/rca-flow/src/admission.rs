//! Deliveries that come faster than the operator allows. They are refused with the time after which they may come
//! again; because forges send again late, seldom or never, the next poll looks for the runs that they told of.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use rca_store::{Hook, HookChange, Integration, Repository, Write};
use serde_json::{Value, json};

use crate::{
    connect::timestamp,
    error::Result,
    flow::{Flow, now},
    receive::Refused,
    wide_hooks::covers,
};

/// Says whether one more proved delivery is taken now.
pub trait Admission: fmt::Debug + Send + Sync {
    /// Counts a delivery of a hook.
    ///
    /// # Errors
    /// How long to wait.
    fn admit(&self, workspace: &str, hook: &str) -> std::result::Result<(), Duration>;
}

/// Runs that refused deliveries of one hook told of.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) repositories: Vec<Repository>,
    pub(crate) since: Timestamp,
    looking: String,
}

impl Flow {
    /// Whether one more delivery of the hook is taken now.
    pub(crate) async fn admit(&self, hook: &Hook) -> std::result::Result<(), Refused> {
        let Some(admission) = &self.config().admission else { return Ok(()) };
        let Err(wait) = admission.admit(&hook.workspace, &hook.id) else { return Ok(()) };
        self.note_refused(hook).await.map_err(Refused::Unavailable)?;
        Err(Refused::TooMany(wait))
    }

    /// The first one since the last look is written down, and those after it cost a read.
    async fn note_refused(&self, hook: &Hook) -> Result<()> {
        let Some(owner) = self.store().get_integration(&hook.workspace, &hook.integration).await? else {
            return Ok(());
        };
        let mut writes = Vec::new();
        for integration in self.same_app(&owner).await? {
            let name = format!("refused:{}:{}", integration.id, hook.id);
            let noted = self.store().get_mark(&hook.workspace, &name).await?;
            if noted.is_none_or(|noted| noted.is_null()) {
                writes.push(mark(&hook.workspace, name, json!(now().as_millisecond())));
            }
        }
        if writes.is_empty() {
            return Ok(());
        }
        tracing::warn!(hook = %hook.id, "deliveries come faster than the quotas allow");
        let error = "deliveries came faster than the server's quotas allow; their runs are looked for";
        writes.push(Write::SetHookState {
            workspace: hook.workspace.clone(),
            id: hook.id.clone(),
            change: HookChange { last_error: Some(Some(error.to_owned())), ..HookChange::default() },
        });
        Ok(self.store().write(writes).await?)
    }

    /// What refused deliveries told of. Each is given again until [`Flow::found_missed`] has been called for it: a
    /// refusal after this call makes a new one, so that none falls between two looks.
    pub(crate) async fn missed(&self, integration: &Integration) -> Result<Vec<Missed>> {
        let workspace = &integration.workspace;
        let refused = format!("refused:{}:", integration.id);
        for (name, value) in self.store().list_marks(workspace, &refused).await? {
            let Some(since) = value.as_i64() else { continue };
            let looking = name.replacen("refused:", "looking:", 1);
            let earlier = self.store().get_mark(workspace, &looking).await?.and_then(|mark| mark.as_i64());
            let since = earlier.map_or(since, |earlier| earlier.min(since));
            let writes = vec![mark(workspace, name, Value::Null), mark(workspace, looking, json!(since))];
            self.store().write(writes).await?;
        }
        let looking = format!("looking:{}:", integration.id);
        let mut missed = Vec::new();
        for (name, value) in self.store().list_marks(workspace, &looking).await? {
            let (Some(since), Some(id)) = (value.as_i64(), name.strip_prefix(&looking)) else { continue };
            let mut repositories = self.all_repositories(integration, Some(true)).await?;
            let hook = self.store().get_hook(id).await?.map(|found| found.hook);
            if let Some(hook) = hook.filter(|hook| hook.workspace == *workspace) {
                repositories.retain(|repository| {
                    hook.repository.as_ref() == Some(&repository.id) || covers(&hook, &repository.full_name)
                });
            }
            missed.push(Missed { repositories, since: timestamp(since), looking: name });
        }
        Ok(missed)
    }

    /// The runs were looked for.
    pub(crate) async fn found_missed(&self, integration: &Integration, missed: &Missed) -> Result<()> {
        let write = mark(&integration.workspace, missed.looking.clone(), Value::Null);
        Ok(self.store().write(vec![write]).await?)
    }
}

fn mark(workspace: &str, name: String, value: Value) -> Write {
    Write::SetMark { workspace: workspace.to_owned(), name, value }
}
