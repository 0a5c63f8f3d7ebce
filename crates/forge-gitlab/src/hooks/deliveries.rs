//! Past deliveries, which GitLab calls the events of a hook: it keeps those of the last seven days.

use forge_core::{
    Error, ErrorKind, Result,
    model::{HookDelivery, RepoRef},
};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;

use super::HookCalls;
use crate::{
    client::{name_of, number},
    error::Fault,
    wire,
};

const MAX_DELIVERIES: usize = 1_000;
/// An event holds its whole payload, so pages are kept small.
const PAGE: &str = "50";
const MAX_PAGE_BYTES: usize = 64 * 1024 * 1024;

/// Major and minor version of GitLab.
type Since = (u32, u32);

impl HookCalls {
    pub(super) async fn read_deliveries(
        &self,
        owner: &RepoRef,
        hook_id: &str,
        since: Timestamp,
    ) -> Result<Vec<HookDelivery>> {
        let hook_id = number(hook_id, "hook id")?.to_owned();
        let operation = format!("list deliveries of hook {hook_id} of {}", name_of(owner));
        let path_id = hook_id.clone();
        let mut events = self.client.list_at(
            self.owner,
            owner,
            operation.clone(),
            move |api, path| {
                api.get(&format!("{path}/hooks/{path_id}/events"))
                    .query(&[("per_page", PAGE)])
                    .max_body(MAX_PAGE_BYTES)
            },
            |event: wire::HookEvent| event,
        );
        let mut deliveries = Vec::new();
        let mut newer = Timestamp::now();
        loop {
            let event = match events.try_next().await {
                Ok(Some(event)) if deliveries.len() < MAX_DELIVERIES => event,
                Ok(_) => return Ok(deliveries),
                Err(error) => {
                    return Err(self.too_old_or(error, "the list of a hook's deliveries", (17, 3)).await);
                }
            };
            let mut delivery = event.into_delivery(newer);
            if delivery.sent_at < since {
                return Ok(deliveries);
            }
            // Clocks of several servers differ a little; the list's order counts.
            newer = delivery.sent_at.min(newer);
            delivery.sent_at = newer;
            deliveries.push(delivery);
        }
    }

    pub(super) async fn resend(&self, owner: &RepoRef, hook_id: &str, delivery_id: &str) -> Result<()> {
        let hook_id = number(hook_id, "hook id")?;
        let delivery_id = number(delivery_id, "delivery id")?;
        let operation = format!("send delivery {delivery_id} of hook {hook_id} of {} again", name_of(owner));
        let answer = self
            .call(owner, &operation, |api, path| {
                api.post(&format!("{path}/hooks/{hook_id}/events/{delivery_id}/resend"))
            })
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(self.too_old_or(error, "sending a delivery again", (17, 4)).await),
        }
    }

    /// An instance that does not know the path answers 404, as for a hook that is gone: its version tells them apart.
    async fn too_old_or(&self, error: Error, what: &'static str, since: Since) -> Error {
        if error.kind() != ErrorKind::NotFound {
            return self.explain(error);
        }
        let Ok(Some(version)) = self.client.version().await else { return self.explain(error) };
        let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().ok());
        let known = (numbers.next().flatten(), numbers.next().flatten());
        let (Some(major), Some(minor)) = known else { return self.explain(error) };
        if (major, minor) >= since {
            return self.explain(error);
        }
        let operation = error.operation().unwrap_or_default().to_owned();
        Error::from(Fault::TooOld { what, since, version }).with_operation(operation)
    }
}
