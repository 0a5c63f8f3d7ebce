//! Looking at integrations, changing and ending them.

#![expect(
    clippy::disallowed_methods,
    reason = "the secret is used here, where it goes into a request, a cipher or a hash"
)]

use forge_core::{ErrorKind, ForgeKind, StaticCredential};
use rca_store::{Integration, IntegrationChange, NewAudit, NewIncident, SecretOwner, Write};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{
    connect::{Settings, backfill, check_settings, timestamp, value, word},
    credentials::{ACCESS_TOKEN, ConnectionData, stored_tokens, token_credential},
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow, forge_of, now},
    health, jobs,
    operations::{Head, sync_operation},
    policy,
    types::{
        Backfill, Disconnected, FeedbackChange, FeedbackPatch, FeedbackPolicy, Health, IntegrationPatch,
        IntegrationView, Mode, Perimeter, PerimeterMode, ReplaceTokenRequest, time,
    },
};

impl Flow {
    /// The integrations of the caller's workspace.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_integrations(&self, caller: &Caller) -> Result<Vec<IntegrationView>> {
        let mut views = Vec::new();
        for integration in self.store().list_integrations(&caller.workspace).await? {
            views.push(self.view(&integration).await?);
        }
        Ok(views)
    }

    /// One integration.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get_integration(&self, caller: &Caller, id: &str) -> Result<IntegrationView> {
        let integration = self.integration(&caller.workspace, id).await?;
        self.view(&integration).await
    }

    /// Changes an integration. Its address cannot be changed: a stored token is never sent to another place.
    ///
    /// # Errors
    /// `not_found`, `invalid_field`.
    pub async fn update_integration(
        &self,
        caller: &Caller,
        id: &str,
        patch: IntegrationPatch,
    ) -> Result<IntegrationView> {
        let known = self.integration(&caller.workspace, id).await?;
        check_settings(&Settings {
            mode: patch.mode,
            perimeter: patch.perimeter.clone(),
            backfill: patch.backfill,
            feedback: None,
        })?;
        let change = IntegrationChange {
            mode: patch.mode.map(|mode| word(&mode)),
            perimeter: patch.perimeter.as_ref().map(value),
            backfill: patch.backfill.map(|change| value(&backfill(backfill_of(&known), Some(change)))),
            feedback: patch.feedback.map(|change| merge(&known.feedback, change)),
            enabled: patch.enabled,
            ..IntegrationChange::default()
        };
        let integration = self.store().update_integration(&caller.workspace, id, change).await?;
        let mut writes = vec![audit(caller, "integration.update", id, json!({}))];
        writes.push(Write::Enqueue(jobs::poll_task(&integration)));
        if patch.perimeter.is_some() {
            writes.extend(self.forget_wishes(&integration).await?);
        }
        if patch.mode.is_some() || patch.perimeter.is_some() {
            // A sync registers and removes what the new perimeter and mode ask for.
            writes.push(Write::Enqueue(jobs::sync_task(&integration)));
        }
        self.store().write(writes).await?;
        self.view(&integration).await
    }

    /// Asks the forge how the credential is, and remembers the answer.
    ///
    /// # Errors
    /// `not_found`; what the forge refuses is in the health and no error.
    pub async fn check_integration(&self, caller: &Caller, id: &str) -> Result<IntegrationView> {
        let integration = self.integration(&caller.workspace, id).await?;
        if integration.auth != "webhook_only" {
            self.store().write(self.examine(&integration).await?).await?;
        }
        self.get_integration(caller, id).await
    }

    /// Asks the forge how the credential is. Gives what is to be remembered of the answer.
    ///
    /// # Errors
    /// When the forge says nothing of it.
    pub(crate) async fn examine(&self, integration: &Integration) -> forge_core::Result<Vec<Write>> {
        let asked = async {
            let client = self.client(integration).await?;
            client.whoami().await.map(|identity| (client, identity))
        };
        match asked.await {
            Ok((client, identity)) => {
                let health = health::assess(&*client, &identity, health::is_refreshed(integration), now());
                Ok(healthy_writes(integration, &health))
            }
            Err(error) if health::is_lost(integration, &error) => {
                Ok(Self::park_writes(integration, error.message()))
            }
            Err(error) => Err(error),
        }
    }

    /// Replaces the token in place. It must be of the same account; the address stays what it is.
    ///
    /// # Errors
    /// `not_found`, `token_rejected`, `other_account`; the old token stays then.
    pub async fn replace_token(
        &self,
        caller: &Caller,
        id: &str,
        request: ReplaceTokenRequest,
    ) -> Result<IntegrationView> {
        let integration = self.integration(&caller.workspace, id).await?;
        if integration.auth != "token" {
            return Err(FlowError::new(
                FlowErrorKind::Conflict,
                "not_a_token",
                "this integration was not connected with a token: connect it again the way it was connected",
            ));
        }
        if request.token.expose_secret().trim().is_empty() {
            return Err(FlowError::invalid_field("token", "is empty"));
        }
        let mut data = ConnectionData::of(&integration);
        data.email = request.email.or(data.email);
        let credential = token_credential(request.token.clone(), data.email.as_deref());
        let provider = self.provider(forge_of(&integration.forge)?)?;
        let client = provider
            .connect(&self.instance_of(&integration)?, Arc::new(StaticCredential::new(credential)))?;
        let identity = client.whoami().await?;
        if integration.account.get("id").and_then(Value::as_str) != Some(identity.account.id.as_str()) {
            return Err(FlowError::new(
                FlowErrorKind::Unprocessable,
                "other_account",
                "the token belongs to another account: connect it as a new integration",
            ));
        }
        let health = health::assess(&*client, &identity, false, now());
        self.store().replace_credential(&caller.workspace, id, &[(ACCESS_TOKEN, request.token)]).await?;
        self.0.clients.forget(id);
        let change = IntegrationChange { data: Some(value(&data)), ..IntegrationChange::default() };
        self.store().update_integration(&caller.workspace, id, change).await?;
        let mut writes = healthy_writes(&integration, &health);
        writes.push(audit(caller, "integration.replace_token", id, json!({})));
        self.store().write(writes).await?;
        self.get_integration(caller, id).await
    }

    /// Lists the repositories again, in the background. Gives the operation that tells how far that is.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn sync_integration(&self, caller: &Caller, id: &str) -> Result<String> {
        let integration = self.integration(&caller.workspace, id).await?;
        let operation = sync_operation(&integration);
        let head = self.operation_head(&caller.workspace, &operation).await?;
        let mut head = head.unwrap_or_else(|| Head::new("sync", 0));
        (head.done, head.end) = (0, None);
        head.asked += 1;
        let writes =
            vec![head.write(&caller.workspace, &operation), Write::Enqueue(jobs::sync_task(&integration))];
        self.store().write(writes).await?;
        Ok(operation)
    }

    /// Ends an integration: removes our hooks, revokes the grant, wipes the secrets. What the forge does not let us
    /// remove is listed; the integration ends all the same.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn disconnect(&self, caller: &Caller, id: &str, keep_webhooks: bool) -> Result<Disconnected> {
        let integration = self.integration(&caller.workspace, id).await?;
        let mut report = Disconnected::default();
        // First nothing new comes in, then what is there goes.
        let change = IntegrationChange { enabled: Some(false), ..IntegrationChange::default() };
        self.store().update_integration(&caller.workspace, id, change).await?;
        if !keep_webhooks {
            self.remove_hooks(&integration, &mut report).await?;
        }
        report.revoked = self.revoke(&integration).await;
        self.store().remove_integration(&caller.workspace, id).await?;
        self.store().delete_secrets(&caller.workspace, &SecretOwner::integration(id)).await?;
        self.0.clients.forget(id);
        self.store().write(vec![audit(caller, "integration.disconnect", id, value(&report))]).await?;
        Ok(report)
    }

    async fn revoke(&self, integration: &Integration) -> bool {
        if integration.auth != "oauth" {
            return false;
        }
        let revoked = async {
            let provider = self.0.providers.get(&forge_of(&integration.forge)?);
            let app = self.oauth_app(integration, &ConnectionData::of(integration)).await?;
            let Some(provider) = provider else { return Ok(false) };
            let Some(flow) = provider.oauth(&self.instance_of(integration)?, &app)? else { return Ok(false) };
            let tokens = stored_tokens(self.store(), integration).await?;
            match flow.revoke(&tokens).await {
                // A dead grant is what was asked for.
                Err(error) if error.kind() == ErrorKind::InvalidGrant => Ok(true),
                other => other,
            }
        };
        match revoked.await {
            Ok(is_revoked) => is_revoked,
            Err(error) => {
                tracing::warn!(integration = %integration.id, %error, "the grant could not be revoked");
                false
            }
        }
    }

    pub(crate) async fn view(&self, integration: &Integration) -> Result<IntegrationView> {
        let policy = self.feedback_policy(integration).await?;
        let mut health = health_view(integration);
        let mut webhook_url = None;
        if let Some(hook) = self.app_hook(integration).await? {
            let url: String = self.hook_url(&integration.forge, &hook.id)?.into();
            if hook.state == "pending_manual" {
                let remedy = format!(
                    "set the webhook address of the app to {url}, and its secret to the one given here"
                );
                let message = "no delivery has come to the hook of the app yet";
                health::add(&mut health, "hook_pending", message, &remedy, timestamp(hook.created_at));
            }
            webhook_url = Some(url);
        }
        Ok(IntegrationView {
            id: integration.id.clone(),
            forge: forge_of(&integration.forge)?,
            base_url: integration.base_url.clone(),
            auth: integration.auth.clone(),
            account: integration.account.clone(),
            mode: mode_of(integration),
            perimeter: perimeter_of(integration),
            feedback: policy,
            backfill: backfill_of(integration),
            enabled: integration.enabled,
            created_at: time(integration.created_at),
            webhook_url,
            health,
        })
    }

    /// What an integration wishes itself to be said at the forge, and what is said without a wish of its own.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn feedback_wishes(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(FeedbackChange, FeedbackPolicy)> {
        let mut integration = self.integration(&caller.workspace, id).await?;
        let own = serde_json::from_value(std::mem::take(&mut integration.feedback)).unwrap_or_default();
        Ok((own, self.feedback_policy(&integration).await?))
    }

    /// What is said at the forge for this integration, all wishes considered.
    pub(crate) async fn feedback_policy(&self, integration: &Integration) -> Result<FeedbackPolicy> {
        let settings = self.store().get_settings(&integration.workspace).await?;
        let forge: ForgeKind = forge_of(&integration.forge)?;
        let defaults =
            policy::feedback(policy::default_feedback(forge), &value(&self.config().feedback), &Value::Null);
        let workspace = settings.get("feedback").cloned().unwrap_or_default();
        Ok(policy::feedback(defaults, &workspace, &integration.feedback))
    }
}

/// The forge takes the credential: what waited for it goes on, and each problem that it has is one incident.
pub(crate) fn healthy_writes(integration: &Integration, health: &Health) -> Vec<Write> {
    let known = health::of(integration);
    let health = health::with_beginnings(health, &known);
    // Looked at often, and by all replicas: what is as it was costs no write.
    if health == known && health.problems.is_empty() && integration.parked_reason.is_none() {
        return Vec::new();
    }
    let mut writes = vec![
        Write::UnparkIntegration { workspace: integration.workspace.clone(), id: integration.id.clone() },
        Write::SetIntegrationHealth {
            workspace: integration.workspace.clone(),
            id: integration.id.clone(),
            health: value(&health),
        },
    ];
    writes.extend(health_incidents(integration, &health));
    writes
}

/// Opens the incidents of what is wrong with the credential, and ends the others.
pub(crate) fn health_incidents(integration: &Integration, health: &Health) -> Vec<Write> {
    let write = |code: &str| match health.problems.iter().find(|problem| problem.code == code) {
        Some(problem) => Write::OpenIncident(NewIncident {
            workspace: integration.workspace.clone(),
            code: code.to_owned(),
            severity: if code == "credential_expired" { "high" } else { "medium" }.to_owned(),
            message: format!("{}: {}", integration.base_url, problem.message),
            remedy: problem.remedy.clone(),
            integration: Some(integration.id.clone()),
            repository: None,
        }),
        None => Write::ResolveIncident {
            workspace: integration.workspace.clone(),
            code: code.to_owned(),
            integration: Some(integration.id.clone()),
            repository: None,
        },
    };
    ["credential_rejected", "credential_expired", "credential_expiring", "scope_missing"].map(write).into()
}

pub(crate) fn audit(caller: &Caller, action: &str, target: &str, detail: Value) -> Write {
    Write::Audit(NewAudit {
        workspace: caller.workspace.clone(),
        actor: caller.name.clone(),
        action: action.to_owned(),
        target: target.to_owned(),
        detail,
    })
}

pub(crate) fn mode_of(integration: &Integration) -> Mode {
    serde_json::from_value(Value::from(integration.mode.as_str())).unwrap_or_default()
}

pub(crate) fn perimeter_of(integration: &Integration) -> Perimeter {
    serde_json::from_value(integration.perimeter.clone())
        .unwrap_or(Perimeter { mode: PerimeterMode::Selected, projects: Vec::new() })
}

pub(crate) fn backfill_of(integration: &Integration) -> Backfill {
    serde_json::from_value(integration.backfill.clone()).unwrap_or_default()
}

fn health_view(integration: &Integration) -> Health {
    let health = health::of(integration);
    match &integration.parked_reason {
        Some(reason) => health::rejected(&health, reason, timestamp(integration.created_at)),
        None => health,
    }
}

/// The wishes of `known` as `change` leaves them.
pub(crate) fn merge(known: &Value, change: FeedbackPatch) -> Value {
    let known: FeedbackChange = serde_json::from_value(known.clone()).unwrap_or_default();
    value(&change.over(known))
}
