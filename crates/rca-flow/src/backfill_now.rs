//! A back-fill that somebody asks for.

use rca_store::Write;
use serde_json::json;

use crate::{
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    integrations::{audit, backfill_of},
    jobs,
    operations::{BackfillPlan, Head},
};

impl Flow {
    /// Looks for failed runs of all monitored repositories that are not analysed yet, in the background; nothing is said
    /// at the forge. Gives the operation that tells how far that is.
    ///
    /// # Errors
    /// `not_found`, `nothing_to_do` where no repository is monitored or back-fill is switched off.
    pub async fn backfill_integration(&self, caller: &Caller, id: &str) -> Result<String> {
        let integration = self.integration(&caller.workspace, id).await?;
        let nothing = |message: &str| FlowError::new(FlowErrorKind::Conflict, "nothing_to_do", message);
        if !backfill_of(&integration).enabled || integration.auth == "webhook_only" {
            return Err(nothing("back-fill is switched off for this integration: switch it on first"));
        }
        let repositories = self.all_repositories(&integration, Some(true)).await?;
        if repositories.is_empty() {
            return Err(nothing("no repository is monitored: choose some first"));
        }
        let plan = BackfillPlan {
            operation: rca_store::new_id(),
            repositories: repositories.iter().map(|repository| repository.id.clone()).collect(),
        };
        let head = Head::new("backfill", repositories.len());
        let mut writes = vec![head.write(&caller.workspace, &plan.operation)];
        writes.extend(repositories.iter().map(|repository| {
            let item = plan.item(&repository.id);
            Write::Enqueue(jobs::backfill_task(&integration, repository, item.as_deref()))
        }));
        let detail = json!({ "repositories": repositories.len() });
        writes.push(audit(caller, "integration.backfill", id, detail));
        self.store().write(writes).await?;
        Ok(plan.operation)
    }
}
