//! Deliveries: proved on the raw bytes, stored, acknowledged; everything else happens later.

use bytes::Bytes;
use forge_core::{
    Delivery, ForgeKind, Provider, Secrets,
    model::{Event, EventKind},
};
use http::HeaderMap;
use rca_store::{
    Accepted, Hook, HookChange, HookWithSecrets, Integration, NewDelivery, NewTask, Repository, Write,
};
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    error::{FlowError, FlowErrorKind, Result},
    flow::{Flow, now},
    integrations::perimeter_of,
    jobs::{self, STATUS_CONTEXT},
    monitor::{HookSecret, token_hash},
    types::{DeliveryAnswer, PerimeterMode},
    wide_hooks::{covers, is_of_app},
};

/// Why a delivery was not taken.
#[derive(Debug)]
pub enum Refused {
    /// It was not proved, or there is no such hook: one answer for all, and no trace.
    Unproved,
    /// It was proved, and comes before its time: the forge should send it after so long.
    TooMany(std::time::Duration),
    /// It was proved and cannot be stored now: the forge should send it again.
    Unavailable(FlowError),
}

impl From<Refused> for FlowError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unproved => {
                Self::new(FlowErrorKind::Unauthorized, "delivery_refused", "the delivery was not accepted")
            }
            Refused::TooMany(_) => Self::new(
                FlowErrorKind::RateLimited,
                "rate_limited",
                "deliveries come faster than the server's quotas allow: their runs are looked for at the forge",
            ),
            Refused::Unavailable(error) => error,
        }
    }
}

impl Flow {
    /// Takes a delivery for the hook of our address. The forge and the secret are those of the hook's row, whatever
    /// the headers say. Returns after it is on disk.
    ///
    /// # Errors
    /// [`Refused::Unproved`] for an unknown hook, another forge's hook, and a wrong or missing proof alike;
    /// [`Refused::TooMany`] for what is proved and over the quota.
    pub async fn receive(
        &self,
        forge: ForgeKind,
        hook_id: &str,
        headers: &HeaderMap,
        query: Option<&str>,
        body: Bytes,
    ) -> Result<DeliveryAnswer, Refused> {
        // Ids that we never make are not looked for.
        let is_possible = hook_id.len() <= 64 && hook_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hook = if is_possible {
            self.store().get_hook(hook_id).await.map_err(|error| Refused::Unavailable(error.into()))?
        } else {
            None
        };
        self.take(forge, hook, headers, query, body).await
    }

    /// Takes a delivery whose hook is found by the token that it carries.
    ///
    /// # Errors
    /// As [`Flow::receive`].
    pub async fn receive_by_token(
        &self,
        forge: ForgeKind,
        token: Option<&SecretString>,
        headers: &HeaderMap,
        query: Option<&str>,
        body: Bytes,
    ) -> Result<DeliveryAnswer, Refused> {
        let hook = match token {
            Some(token) => self
                .store()
                .find_hook_by_token_hash(forge.as_str(), &token_hash(token))
                .await
                .map_err(|error| Refused::Unavailable(error.into()))?,
            None => None,
        };
        self.take(forge, hook, headers, query, body).await
    }

    async fn take(
        &self,
        forge: ForgeKind,
        hook: Option<HookWithSecrets>,
        headers: &HeaderMap,
        query: Option<&str>,
        body: Bytes,
    ) -> Result<DeliveryAnswer, Refused> {
        let provider = self.provider(forge).map_err(|_| Refused::Unproved)?;
        let delivery = Delivery { headers, query, body: &body, received_at: now() };
        if provider.webhooks().is_unsigned_ping(&delivery) {
            return Ok(DeliveryAnswer {
                status: "ignored",
                delivery_id: None,
                reason: Some("a test message without a proof".to_owned()),
            });
        }
        let hook = hook.filter(|found| found.hook.forge == forge.as_str());
        let Some(HookWithSecrets { hook, secrets }) = hook else {
            // The same work as for a hook that exists, so that the time tells nothing.
            let nobody = Secrets::new(HookSecret::stored(SecretString::from("nobody")).shared());
            let _ = provider.webhooks().verify(&delivery, &nobody);
            return Err(Refused::Unproved);
        };
        let verified = provider
            .webhooks()
            .verify(&delivery, &secrets_of(provider.as_ref(), &hook, secrets))
            .map_err(|error| {
                tracing::debug!(hook = %hook.id, %error, "a delivery was refused");
                Refused::Unproved
            })?;
        self.admit(&hook).await?;
        let event = provider.webhooks().parse(&verified);
        let key = provider
            .webhooks()
            .delivery_id(headers)
            .filter(|id| !id.is_empty() && id.len() <= 200)
            .unwrap_or_else(|| hex::encode(Sha256::digest(&body)));
        let received_at = delivery.received_at.as_millisecond();
        let stored = self.store_delivery(&hook, event, key, received_at, body.clone()).await;
        stored.map_err(Refused::Unavailable)
    }

    async fn store_delivery(
        &self,
        hook: &Hook,
        event: forge_core::Result<Event>,
        delivery_key: String,
        received_at: i64,
        body: Bytes,
    ) -> Result<DeliveryAnswer> {
        let (name, action, judged) = match event {
            Ok(event) => {
                let (name, action) = (word(event.kind), event.action.clone());
                let judged = self.judge(hook, event).await?;
                (name, action, judged)
            }
            Err(error) => {
                let reason = format!("the body cannot be read: {}", error.message());
                ("other".to_owned(), None, Judged { integration: None, repository: None, then: Err(reason) })
            }
        };
        let delivery = NewDelivery {
            workspace: hook.workspace.clone(),
            integration: judged.integration.unwrap_or_else(|| hook.integration.clone()),
            hook: hook.id.clone(),
            forge: hook.forge.clone(),
            delivery_key,
            event: name,
            action,
            repository: judged.repository,
            // What it said was read already; headers can hold the shared token.
            headers: Vec::new(),
            body,
            received_at,
        };
        let (accepted, status, reason) = match judged.then {
            Ok(task) => (self.store().accept_delivery(delivery, *task).await?, "accepted", None),
            Err(reason) => {
                let accepted = self.store().accept_ignored_delivery(delivery, &reason).await?;
                self.note_delivery(hook, received_at).await;
                (accepted, "ignored", Some(reason))
            }
        };
        Ok(match accepted {
            Accepted::New { id } => DeliveryAnswer { status, delivery_id: Some(id), reason },
            Accepted::Duplicate { id } => {
                DeliveryAnswer { status: "duplicate", delivery_id: Some(id), reason: None }
            }
        })
    }

    /// What is to be done about an event, or why nothing.
    async fn judge(&self, hook: &Hook, event: Event) -> Result<Judged> {
        let owner = self.store().get_integration(&hook.workspace, &hook.integration).await?;
        let Some(owner) = owner.filter(|integration| integration.removed_at.is_none()) else {
            return Ok(Judged::ignored(None, "the integration was disconnected"));
        };
        if is_of_app(hook) && event.repo_id.is_none() && event.kind == EventKind::Other {
            return Ok(Judged::about_app(hook, &event));
        }
        let (integration, repository) = self.subject_of(hook, owner, &event).await?;
        let integration_id = integration.id.clone();
        Ok(Judged {
            integration: Some(integration_id),
            ..self.judge_of(hook, event, integration, repository)
        })
    }

    /// The repository that the event is about, and the integration that it belongs to. A hook of an app serves all
    /// integrations of that app; one of a namespace serves nothing outside it, whatever the payload says.
    async fn subject_of(
        &self,
        hook: &Hook,
        owner: Integration,
        event: &Event,
    ) -> Result<(Integration, Option<Repository>)> {
        if let Some(id) = &hook.repository {
            let repository = self.store().get_repository(&hook.workspace, id).await?;
            return Ok((owner, repository));
        }
        let Some(forge_id) = &event.repo_id else { return Ok((owner, None)) };
        for integration in self.same_app(&owner).await? {
            let found =
                self.store().find_repository_by_forge_id(&hook.workspace, &integration.id, forge_id).await?;
            if let Some(repository) = found.filter(|found| covers(hook, &found.full_name)) {
                return Ok((integration, Some(repository)));
            }
        }
        Ok((owner, None))
    }

    fn judge_of(
        &self,
        hook: &Hook,
        event: Event,
        integration: Integration,
        repository: Option<Repository>,
    ) -> Judged {
        let name = repository.as_ref().map(|repository| repository.full_name.clone());
        if !integration.enabled {
            return Judged::ignored(name.or(event.repo), "the integration is switched off");
        }
        if event.kind == EventKind::Status && event.job_name.as_deref() == Some(STATUS_CONTEXT) {
            return Judged::ignored(name, "our own status");
        }
        // A run that has passed can turn a comment green.
        let may_heal =
            event.terminal && !event.failed && event.kind == EventKind::Run && event.run_id.is_some();
        let Some(repository) = repository else {
            let may_be_new = event.triggers_rca
                && perimeter_of(&integration).mode != PerimeterMode::Selected
                && event.repo.as_deref().is_some_and(|name| covers(hook, name));
            if !may_be_new {
                return Judged::ignored(event.repo, "the repository is not known to the integration");
            }
            // Made since the last sync: the forge is asked before this is believed.
            let payload =
                json!({ "forge_id": event.repo_id, "hook": hook.id, "own": hook.repository, "event": event });
            return Judged::begun(event.repo, hook, &integration, payload);
        };
        let is_webhook_only = integration.auth == "webhook_only";
        let is_another = if is_webhook_only {
            // Only the name is known of it.
            event.repo.as_ref().is_some_and(|name| !name.eq_ignore_ascii_case(&repository.full_name))
        } else {
            event.repo_id.as_ref().is_some_and(|id| *id != repository.forge_id)
        };
        if is_another {
            return Judged::ignored(name, "the event is about another repository than the hook");
        }
        if !event.triggers_rca && !may_heal {
            let reason = event.reason.unwrap_or_else(|| "nothing to do for this event".to_owned());
            return Judged::ignored(name, &reason);
        }
        if !repository.monitored {
            return Judged::ignored(name, "the repository is not monitored");
        }
        if is_webhook_only {
            let reason = "there is no token to read the forge with: send the log by ingest";
            return Judged::ignored(name, reason);
        }
        let payload =
            json!({ "repository": repository.id, "hook": hook.id, "own": hook.repository, "event": event });
        Judged::begun(name, hook, &integration, payload)
    }

    /// Remembers that the hook works. Best effort: it is only for people who look.
    async fn note_delivery(&self, hook: &Hook, received_at: i64) {
        let is_recent = hook.last_delivery_at.is_some_and(|last| received_at - last < 60_000);
        if hook.state == "active" && is_recent {
            return;
        }
        let change = Write::SetHookState {
            workspace: hook.workspace.clone(),
            id: hook.id.clone(),
            change: delivered(received_at),
        };
        let spoken = jobs::no_longer_silent(&hook.workspace, &hook.integration, hook.repository.clone());
        let _ = self.store().write(vec![change, spoken]).await;
    }
}

/// A hook that a delivery came by.
pub(crate) fn delivered(received_at: i64) -> HookChange {
    HookChange {
        state: Some("active".to_owned()),
        last_delivery_at: Some(received_at),
        last_error: Some(None),
        ..HookChange::default()
    }
}

struct Judged {
    /// Whose delivery it is, where that is another integration than the hook's.
    integration: Option<String>,
    repository: Option<String>,
    then: std::result::Result<Box<NewTask>, String>,
}

impl Judged {
    fn ignored(repository: Option<String>, reason: &str) -> Self {
        Self { integration: None, repository, then: Err(reason.to_owned()) }
    }

    fn begun(
        repository: Option<String>,
        hook: &Hook,
        integration: &Integration,
        payload: serde_json::Value,
    ) -> Self {
        let task = NewTask::new(hook.workspace.clone(), jobs::PROCESS_DELIVERY, "", payload)
            .with_integration(integration.id.clone())
            .with_priority(10);
        Self { integration: None, repository, then: Ok(Box::new(task)) }
    }

    /// What an app may do, or where, has changed. The task is no integration's, because those of an integration wait
    /// while its credential is refused, and this may be what ends that.
    fn about_app(hook: &Hook, event: &Event) -> Self {
        let payload = json!({ "integration": hook.integration, "hook": hook.id, "action": event.action });
        let task = NewTask::new(hook.workspace.clone(), jobs::APP_CHANGED, "", payload).with_priority(10);
        Self { integration: None, repository: None, then: Ok(Box::new(task)) }
    }
}

fn secrets_of(provider: &dyn Provider, hook: &Hook, stored: Vec<SecretString>) -> Secrets {
    // Known only once the forge has said that it took the signing token; until then the shared secret is the proof.
    // Elsewhere "signed" means an HMAC whose key is that shared secret.
    let is_signed = provider.capabilities().signed_delivery_time
        && hook.data.get("signed").and_then(serde_json::Value::as_bool).unwrap_or(false);
    if is_of_app(hook) {
        return stored.into_iter().fold(Secrets::none(), Secrets::with_shared);
    }
    stored.into_iter().map(HookSecret::stored).fold(Secrets::none(), |secrets, secret| {
        if is_signed { secrets.with_signing(secret.signing()) } else { secrets.with_shared(secret.shared()) }
    })
}

fn word(kind: EventKind) -> String {
    crate::connect::word(&kind)
}
