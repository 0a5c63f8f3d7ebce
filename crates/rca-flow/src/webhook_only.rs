//! Connecting one repository by its hook alone, where nobody hands out a token.

#![expect(
    clippy::disallowed_methods,
    reason = "the hook's secret is shown once, to whoever sets the hook up"
)]

use forge_core::ForgeKind;
use rca_store::{NewHook, NewIntegration, NewRepository};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    connect::value,
    credentials::ConnectionData,
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow, forge_of},
    integrations::audit,
    monitor::HookSecret,
    types::{
        Backfill, Credential, FeedbackChange, Health, HealthStatus, Perimeter, Problem, TokenRequest,
        WebhookOnly, WebhookOnlyRequest,
    },
};

impl Flow {
    /// Connects one repository of Bitbucket Data Center and gives what its hook needs. With a token the hook is
    /// registered where the token may; without one a person sets it up, and logs come by ingest.
    ///
    /// # Errors
    /// `webhook_only_unsupported` for another forge, `invalid_field`, `address_not_allowed`; with a token what the forge
    /// refuses.
    pub async fn connect_webhook_only(
        &self,
        caller: &Caller,
        forge: ForgeKind,
        request: WebhookOnlyRequest,
    ) -> Result<WebhookOnly> {
        if forge != ForgeKind::BITBUCKET_DC {
            return Err(FlowError::new(
                FlowErrorKind::Unprocessable,
                "webhook_only_unsupported",
                format!("{} is connected with a token or by OAuth", forge.display_name()),
            ));
        }
        let is_name = |name: &str| {
            (1..=128).contains(&name.len())
                && name.chars().all(|character| character.is_alphanumeric() || "-_.~".contains(character))
        };
        let slug = request.repository.rsplit('/').next().unwrap_or_default().to_owned();
        if !is_name(&request.project_key) {
            return Err(FlowError::invalid_field("project_key", "is not the key of a project"));
        }
        if !is_name(&slug) {
            return Err(FlowError::invalid_field("repository", "is not the name of a repository"));
        }
        let full_name = format!("{}/{slug}", request.project_key);
        if request.token.is_some() {
            self.with_token(caller, forge, request, full_name).await
        } else {
            self.without_token(caller, forge, &request.base_url, full_name).await
        }
    }

    async fn with_token(
        &self,
        caller: &Caller,
        forge: ForgeKind,
        request: WebhookOnlyRequest,
        full_name: String,
    ) -> Result<WebhookOnly> {
        let Some(token) = request.token else { return Err(FlowError::invalid_field("token", "is missing")) };
        let request = TokenRequest {
            base_url: Some(request.base_url),
            api_base_url: None,
            oauth_base_url: None,
            token,
            level: Some("repository".to_owned()),
            project_key: Some(request.project_key),
            repository: Some(full_name.clone()),
            email: None,
            workspace: None,
            mode: None,
            perimeter: None,
            backfill: None,
            feedback: None,
        };
        let view = self.connect_token(caller, forge, request).await?;
        let integration = self.integration(&caller.workspace, &view.id).await?;
        let found = self.client(&integration).await?.repos().get_repo(&full_name).await?;
        let stored = NewRepository {
            workspace: caller.workspace.clone(),
            integration: integration.id.clone(),
            forge_id: found.id.clone(),
            full_name: found.full_name,
            default_branch: found.default_branch,
            web_url: Some(found.web_url),
            archived: found.is_archived,
            has_ci: true,
            data: json!({}),
        };
        self.store().upsert_repositories(vec![stored]).await?;
        let repository = self
            .store()
            .find_repository_by_forge_id(&caller.workspace, &integration.id, &found.id)
            .await?
            .ok_or_else(|| FlowError::not_found("repository"))?;
        let registered = self.start_monitoring(&integration, &repository.id, None).await.hook_registered;
        let hook = self.store().find_hook_of_repository(&caller.workspace, &repository.id).await?;
        let hook = hook.ok_or_else(|| FlowError::not_found("hook"))?;
        let secret = self.store().get_hook(&hook.id).await?.and_then(|hook| hook.secrets.into_iter().next());
        let secret = HookSecret::stored(secret.ok_or_else(|| FlowError::not_found("hook secret"))?);
        Ok(WebhookOnly {
            webhook_url: self.hook_url(&integration.forge, &hook.id)?.into(),
            secret: secret.shared().expose_secret().to_owned(),
            registered,
            instructions: instructions(&full_name, registered),
            integration: self.get_integration(caller, &integration.id).await?,
        })
    }

    async fn without_token(
        &self,
        caller: &Caller,
        forge: ForgeKind,
        base_url: &str,
        full_name: String,
    ) -> Result<WebhookOnly> {
        let base_url = self.checked_base_url(forge, base_url)?;
        let health = Health {
            status: HealthStatus::Degraded,
            credential: Credential::None,
            problems: vec![Problem {
                code: "no_credential".to_owned(),
                message: "without a token nothing can be read or said at the forge".to_owned(),
                remedy: "send logs by ingest, or connect with a token of the repository".to_owned(),
                since: crate::flow::now().to_string(),
            }],
            ..Health::default()
        };
        let new = NewIntegration {
            workspace: caller.workspace.clone(),
            forge: forge.as_str().to_owned(),
            base_url,
            api_base_url: None,
            oauth_base_url: None,
            auth: "webhook_only".to_owned(),
            account: json!({}),
            mode: "webhook".to_owned(),
            perimeter: value(&Perimeter::default()),
            feedback: value(&FeedbackChange::default()),
            backfill: value(&Backfill { enabled: false, ..Backfill::default() }),
            data: value(&ConnectionData {
                level: Some("repository".to_owned()),
                repository: Some(full_name.clone()),
                ..ConnectionData::default()
            }),
            health: value(&health),
        };
        let integration = self.store().insert_integration(new, &[]).await?;
        let repository = NewRepository {
            workspace: caller.workspace.clone(),
            integration: integration.id.clone(),
            // The forge's own id is not known without asking; deliveries are told by the name.
            forge_id: full_name.clone(),
            full_name: full_name.clone(),
            default_branch: None,
            web_url: None,
            archived: false,
            has_ci: true,
            data: json!({}),
        };
        self.store().upsert_repositories(vec![repository]).await?;
        let repository = self
            .store()
            .find_repository_by_forge_id(&caller.workspace, &integration.id, &full_name)
            .await?
            .ok_or_else(|| FlowError::not_found("repository"))?;
        self.store().set_monitored(&caller.workspace, std::slice::from_ref(&repository.id), true).await?;
        let secret = HookSecret::generate();
        let hook = self
            .store()
            .insert_hook(NewHook {
                id: hex::encode(rand::random::<[u8; 20]>()),
                workspace: caller.workspace.clone(),
                integration: integration.id.clone(),
                repository: Some(repository.id),
                forge: integration.forge.clone(),
                state: "pending_manual".to_owned(),
                secret: secret.as_stored().clone(),
                token_hash: Some(secret.token_hash()),
                data: json!({}),
            })
            .await?;
        let detail =
            json!({ "forge": integration.forge, "base_url": integration.base_url, "auth": "webhook_only" });
        self.store().write(vec![audit(caller, "integration.connect", &integration.id, detail)]).await?;
        Ok(WebhookOnly {
            webhook_url: self.hook_url(forge_of(&integration.forge)?.as_str(), &hook.id)?.into(),
            secret: secret.shared().expose_secret().to_owned(),
            registered: false,
            instructions: instructions(&full_name, false),
            integration: self.view(&integration).await?,
        })
    }
}

fn instructions(full_name: &str, is_registered: bool) -> String {
    if is_registered {
        return format!("The hook of {full_name} is registered; there is nothing to do.");
    }
    format!(
        "As an administrator of {full_name}, open Repository settings, Webhooks, Create webhook: give the URL and the \
         secret, tick Repository: Push and Pull request: Opened and Source branch updated, and keep SSL verification \
         on. Test connection then answers with status 200."
    )
}
