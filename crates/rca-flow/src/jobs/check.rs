//! Looking at credentials before they are missed: an end that comes near, scopes that were taken away, one that works again.

use std::time::Duration;

use rca_store::{ClaimedTask, Integration, NewTask};
use serde_json::json;

use super::{CHECK, JobResult, Settlement, field, hooks};
use crate::flow::Flow;

/// No integration's own task, because those wait while its credential is refused, and this may be what ends that.
pub(crate) fn task(flow: &Flow, integration: &Integration) -> NewTask {
    let payload = json!({ "of": integration.id });
    NewTask::new(integration.workspace.clone(), CHECK, format!("check:{}", integration.id), payload)
        .with_delay_ms(hooks::interval_ms(flow))
        .with_priority(-5)
}

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let id: String = field(task, "of")?;
    let integration = flow.store().get_integration(&task.workspace, &id).await?;
    let Some(integration) = integration.filter(|integration| integration.removed_at.is_none()) else {
        return Ok(Settlement::done(Vec::new()));
    };
    let pause = Duration::from_millis(u64::try_from(hooks::interval_ms(flow)).unwrap_or(60_000));
    let mut settlement = Settlement::wait(pause);
    if integration.enabled && integration.auth != "webhook_only" {
        match flow.examine(&integration).await {
            Ok(writes) => settlement.writes = writes,
            Err(error) => {
                tracing::debug!(integration = %integration.id, %error, "the credential cannot be looked at now");
            }
        }
    }
    Ok(settlement)
}
