//! What an app may do has changed at the forge: it was installed, suspended, removed, or given other repositories.

use rca_store::{ClaimedTask, DeliveryStatus, Write};

use super::{JobError, JobResult, Settlement, field, sync_task};
use crate::{flow::Flow, flow::now, health, integrations::healthy_writes, receive::delivered};

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let id: String = field(task, "integration")?;
    let hook: String = field(task, "hook")?;
    let delivery: String = field(task, "delivery")?;
    let action: Option<String> = field(task, "action")?;
    let mut writes = vec![
        Write::SetHookState {
            workspace: task.workspace.clone(),
            id: hook,
            change: delivered(task.created_at),
        },
        Write::SetDeliveryStatus {
            workspace: task.workspace.clone(),
            id: delivery,
            status: DeliveryStatus::Done,
            reason: None,
            analyses: Vec::new(),
        },
    ];
    let integration = flow.integration(&task.workspace, &id).await?;
    // The delivery does not tell whose installation it is about, and need not: each is asked.
    for integration in flow.same_app(&integration).await? {
        let asked = async {
            let client = flow.client(&integration).await?;
            client.whoami().await.map(|identity| (client, identity))
        };
        match asked.await {
            Ok((client, identity)) => {
                let health = health::assess(&*client, &identity, true, now());
                writes.extend(healthy_writes(&integration, &health));
                writes.push(Write::Enqueue(sync_task(&integration)));
            }
            Err(error) if health::is_lost(&integration, &error) => {
                let reason = match action.as_deref() {
                    Some("deleted") => "the app was uninstalled at the forge",
                    Some("suspend") => "the app's installation is suspended at the forge",
                    _ => error.message(),
                };
                writes.extend(Flow::park_writes(&integration, reason));
            }
            Err(error) => return Err(JobError::Forge(error)),
        }
    }
    Ok(Settlement::done(writes))
}
