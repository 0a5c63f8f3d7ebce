//! Hooks of projects and of groups: docs api/project_webhooks.md, api/group_webhooks.md.

#![expect(clippy::disallowed_methods, reason = "the hook's secret goes to the forge")]

mod deliveries;

use async_trait::async_trait;
use forge_core::{
    BoxStream, Error, ErrorKind, Hooks, Result,
    model::{Hook, HookDelivery, HookSpec, RepoRef},
};
use forge_http::{ApiClient, Request, Response};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::{
    client::{Client, Owner, name_of, number},
    wire,
};

/// What this product subscribes to, sorted.
const EVENTS: [&str; 2] = ["job_events", "pipeline_events"];

/// The hooks of one kind of owner: the calls are the same below `projects` and below `groups`.
#[derive(Debug, Clone)]
pub(crate) struct HookCalls {
    client: Client,
    owner: Owner,
}

impl HookCalls {
    pub(crate) fn new(client: Client, owner: Owner) -> Self {
        Self { client, owner }
    }

    async fn call(
        &self,
        owner: &RepoRef,
        operation: &str,
        build: impl Fn(&ApiClient, &str) -> Request + Send + Sync,
    ) -> Result<Response> {
        let answer = self.client.call_at(self.owner, owner, operation, build).await;
        answer.map_err(|error| self.explain(error))
    }

    /// Group hooks are refused for reasons of their own.
    fn explain(&self, error: Error) -> Error {
        match (self.owner, error.kind()) {
            (Owner::Group, ErrorKind::NotFound | ErrorKind::Forbidden) => error.with_hint(
                "hooks of groups need GitLab Premium or Ultimate and the role Owner of the group; register hooks at its projects instead",
            ),
            _ => error,
        }
    }

    /// The hook in the common model; remembers whether the instance knows signing tokens.
    fn noted(&self, hook: wire::Hook) -> Hook {
        if hook.signing_token_present.is_some() {
            self.client.set_knows_signing();
        }
        hook.into_hook()
    }
}

#[async_trait]
impl Hooks for HookCalls {
    fn list_hooks(&self, owner: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let (noting, explaining) = (self.clone(), self.clone());
        let operation = format!("list hooks of {}", name_of(owner));
        self.client
            .list_at(
                self.owner,
                owner,
                operation,
                |api, path| api.get(&format!("{path}/hooks")).query(&[("per_page", "100")]),
                move |hook: wire::Hook| noting.noted(hook),
            )
            .map_err(move |error| explaining.explain(error))
            .boxed()
    }

    async fn create_hook(&self, owner: &RepoRef, spec: &HookSpec) -> Result<Hook> {
        let operation = format!("create a hook at {}", name_of(owner));
        let body = body(spec);
        let hook = self
            .call(owner, &operation, |api, path| api.post(&format!("{path}/hooks")).json(&body))
            .await?
            .json()?;
        Ok(self.noted(hook))
    }

    async fn update_hook(&self, owner: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook> {
        let hook_id = number(hook_id, "hook id")?;
        let operation = format!("update hook {hook_id} of {}", name_of(owner));
        // GitLab forgets the secret when the address changes, so all of it goes along each time.
        let body = body(spec);
        let hook: wire::Hook = self
            .call(owner, &operation, |api, path| api.put(&format!("{path}/hooks/{hook_id}")).json(&body))
            .await?
            .json()?;
        let hook = self.noted(hook);
        if hook.is_active {
            return Ok(hook);
        }
        // Changing a hook that GitLab has switched off for good does not switch it on; only a new one is on.
        let fresh = self.create_hook(owner, spec).await?;
        self.delete_hook(owner, hook_id).await?;
        Ok(fresh)
    }

    async fn delete_hook(&self, owner: &RepoRef, hook_id: &str) -> Result<()> {
        let hook_id = number(hook_id, "hook id")?;
        let operation = format!("delete hook {hook_id} of {}", name_of(owner));
        self.call(owner, &operation, |api, path| {
            api.delete(&format!("{path}/hooks/{hook_id}")).allow_status(404)
        })
        .await?;
        Ok(())
    }

    async fn test_hook(&self, owner: &RepoRef, hook_id: &str) -> Result<()> {
        let hook_id = number(hook_id, "hook id")?;
        let operation = format!("test hook {hook_id} of {}", name_of(owner));
        let test = |trigger: &'static str| {
            let operation = &operation;
            async move {
                self.call(owner, operation, |api, path| {
                    api.post(&format!("{path}/hooks/{hook_id}/test/{trigger}"))
                })
                .await
            }
        };
        match test("pipeline_events").await {
            // There is no pipeline yet to tell of: a push proves the way as well.
            Err(error) if error.kind() == ErrorKind::Invalid => test("push_events").await.map(|_| ()),
            outcome => outcome.map(|_| ()),
        }
    }

    async fn list_deliveries(
        &self,
        owner: &RepoRef,
        hook_id: &str,
        since: Timestamp,
    ) -> Result<Vec<HookDelivery>> {
        self.read_deliveries(owner, hook_id, since).await
    }

    async fn redeliver(&self, owner: &RepoRef, hook_id: &str, delivery_id: &str) -> Result<()> {
        self.resend(owner, hook_id, delivery_id).await
    }

    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool {
        // GitLab before 19.0 ignores signing tokens in silence; asking for one again and again would change nothing.
        let wants_signing = spec.signing_token.is_some() && self.client.knows_signing();
        hook.url == spec.url.as_str()
            && hook.is_active
            && hook.verifies_tls != Some(false)
            && hook.events == EVENTS
            && (hook.is_signed || !wants_signing)
    }
}

fn body(spec: &HookSpec) -> wire::HookBody<'_> {
    let (token, signing_token) =
        (spec.secret.expose_secret(), spec.signing_token.as_ref().map(|token| token.expose_secret()));
    wire::HookBody {
        url: spec.url.as_str(),
        token,
        signing_token,
        pipeline_events: true,
        job_events: true,
        // On unless it is switched off.
        push_events: false,
        enable_ssl_verification: true,
    }
}
