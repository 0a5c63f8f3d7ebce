//! Hooks of a repository.

#![expect(clippy::disallowed_methods, reason = "the hook's secret goes to the forge")]

use std::cmp::Reverse;

use async_trait::async_trait;
use forge_core::{
    BoxStream, Error, ErrorKind, ForgeKind, Hooks, Result,
    model::{Hook, HookDelivery, HookSpec, RepoRef},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    client::{Call, GitHubClient, More, repo_path, segment, shown},
    wire::{DeliveryAnswer, HookAnswer},
};

/// What we subscribe to, sorted. The runs are what is acted on; the others keep the picture whole.
pub(crate) const EVENTS: [&str; 6] =
    ["check_run", "check_suite", "push", "status", "workflow_job", "workflow_run"];

/// The most past deliveries that are told.
const MOST_DELIVERIES: usize = 1000;

#[async_trait]
impl Hooks for GitHubClient {
    fn list_hooks(&self, repo: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let (client, repo) = (self.clone(), repo.clone());
        stream::once(async move {
            client.require_own_hooks(&repo).await?;
            let path = repo_path(&repo).map(|path| format!("{path}/hooks?per_page=100"));
            Ok::<_, Error>(client.list(path, format!("list hooks of {}", shown(&repo)), |response| {
                Ok((response.json::<Vec<HookAnswer>>()?, More::AsLinked))
            }))
        })
        .try_flatten()
        .map_ok(HookAnswer::into_model)
        .boxed()
    }

    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec) -> Result<Hook> {
        self.require_own_hooks(repo).await?;
        let mut body = hook_body(spec);
        if let Some(body) = body.as_object_mut() {
            body.insert("name".to_owned(), "web".into());
        }
        let call = Call {
            method: Method::POST,
            path: format!("{}/hooks", repo_path(repo)?),
            body: Some(body),
            operation: format!("create a hook of {}", shown(repo)),
        };
        let hook: HookAnswer = self.send(call).await?.json()?;
        Ok(hook.into_model())
    }

    async fn update_hook(&self, repo: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook> {
        let call = Call {
            method: Method::PATCH,
            path: format!("{}/hooks/{}", repo_path(repo)?, segment(hook_id)?),
            body: Some(hook_body(spec)),
            operation: format!("change hook {hook_id} of {}", shown(repo)),
        };
        let hook: HookAnswer = self.send(call).await?.json()?;
        Ok(hook.into_model())
    }

    async fn delete_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()> {
        let call = Call {
            method: Method::DELETE,
            path: format!("{}/hooks/{}", repo_path(repo)?, segment(hook_id)?),
            body: None,
            operation: format!("delete hook {hook_id} of {}", shown(repo)),
        };
        match self.send(call).await {
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => Err(error),
            _ => Ok(()),
        }
    }

    async fn test_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()> {
        let call = Call {
            method: Method::POST,
            path: format!("{}/hooks/{}/pings", repo_path(repo)?, segment(hook_id)?),
            body: None,
            operation: format!("ping hook {hook_id} of {}", shown(repo)),
        };
        self.send(call).await.map(drop)
    }

    /// The forge keeps them for three days, an Enterprise Server for seven (GitHub docs, webhooks/testing-and-
    /// troubleshooting-webhooks/redelivering-webhooks).
    async fn list_deliveries(
        &self,
        repo: &RepoRef,
        hook_id: &str,
        since: Timestamp,
    ) -> Result<Vec<HookDelivery>> {
        self.require_own_hooks(repo).await?;
        let path = format!("{}/hooks/{}/deliveries?per_page=100", repo_path(repo)?, segment(hook_id)?);
        let operation = format!("list deliveries of hook {hook_id} of {}", shown(repo));
        // The API tells whole seconds.
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        let deliveries = self.list(Ok(path), operation, move |response| {
            let page: Vec<DeliveryAnswer> = response.json()?;
            let count = page.len();
            let recent: Vec<_> = page.into_iter().filter(|delivery| delivery.delivered_at >= since).collect();
            let more = if recent.len() < count { More::No } else { More::AsLinked };
            Ok((recent, more))
        });
        let mut found: Vec<HookDelivery> =
            deliveries.map_ok(DeliveryAnswer::into_model).take(MOST_DELIVERIES).try_collect().await?;
        // Stable: what was sent in one second stays as GitHub sorts it.
        found.sort_by_key(|delivery| Reverse(delivery.sent_at));
        Ok(found)
    }

    async fn redeliver(&self, repo: &RepoRef, hook_id: &str, delivery_id: &str) -> Result<()> {
        self.require_own_hooks(repo).await?;
        let (hook, delivery) = (segment(hook_id)?, segment(delivery_id)?);
        let call = Call {
            method: Method::POST,
            path: format!("{}/hooks/{hook}/deliveries/{delivery}/attempts", repo_path(repo)?),
            body: None,
            operation: format!("send delivery {delivery_id} of hook {hook_id} of {} again", shown(repo)),
        };
        self.send(call).await.map(drop)
    }

    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool {
        hook.url == spec.url.as_str()
            && hook.is_active
            && hook.is_signed
            && hook.verifies_tls == Some(true)
            && hook.events.iter().map(String::as_str).eq(EVENTS)
    }
}

impl GitHubClient {
    /// An app has one hook for all its repositories, set when it is made; another one of each repository would send
    /// everything twice.
    async fn require_own_hooks(&self, repo: &RepoRef) -> Result<()> {
        if !self.is_installation().await? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, "an app's own hook serves all its repositories")
            .with_forge(ForgeKind::GITHUB)
            .with_operation(format!("manage hooks of {}", shown(repo)))
            .with_hint("its address and secret are on the app's settings page"))
    }
}

/// The whole configuration, always: GitHub docs, rest/repos/webhooks, "Update a repository webhook": a `config` without
/// `secret` removes the secret; and without `content_type` the deliveries become forms.
fn hook_body(spec: &HookSpec) -> Value {
    json!({
        "active": true,
        "events": EVENTS,
        "config": {
            "url": spec.url.as_str(),
            "content_type": "json",
            "insecure_ssl": "0",
            "secret": spec.secret.expose_secret(),
        },
    })
}
