//! A large change of the perimeter, repository by repository, with its progress readable.

use rca_store::{ClaimedTask, Write};

use super::{JobResult, Settlement, field, integration_of};
use crate::{connect::value, flow::Flow, monitor::operation_mark, types::OperationView};

/// The progress is stored after so many.
const STEP: usize = 20;

pub(super) async fn run(flow: &Flow, task: &ClaimedTask) -> JobResult {
    let integration = integration_of(flow, task).await?;
    let operation: Option<String> = field(task, "operation")?;
    let add: Vec<String> = field(task, "add")?;
    let remove: Vec<String> = field(task, "remove")?;
    let total = add.len() + remove.len();
    let mut items = Vec::with_capacity(total);
    let mark = |items: &[_], state: &str| {
        let operation = operation.as_ref()?;
        let view = OperationView { state: state.to_owned(), done: items.len(), total, items: items.to_vec() };
        Some(Write::SetMark {
            workspace: task.workspace.clone(),
            name: operation_mark(operation),
            value: value(&view),
        })
    };
    // Beginning again after a crash does the first ones again, which changes nothing.
    for (position, (id, is_added)) in
        add.iter().map(|id| (id, true)).chain(remove.iter().map(|id| (id, false))).enumerate()
    {
        let item = if is_added {
            flow.start_monitoring(&integration, id).await
        } else {
            flow.stop_monitoring(&integration, id).await
        };
        items.push(item);
        if position % STEP == STEP - 1
            && let Some(write) = mark(&items, "running")
        {
            flow.store().write(vec![write]).await?;
        }
    }
    if operation.is_none() {
        // The repositories have their hooks now: those that served them before can go.
        flow.drop_namespace_hooks(&integration).await?;
    }
    Ok(Settlement::done(mark(&items, "done").into_iter().collect()))
}
