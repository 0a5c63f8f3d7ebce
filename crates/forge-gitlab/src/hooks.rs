//! Project hooks: docs api/project_webhooks.md.

#![expect(clippy::disallowed_methods, reason = "the hook's secret goes to the forge")]

use async_trait::async_trait;
use forge_core::{
    BoxStream, ErrorKind, Hooks, Result,
    model::{Hook, HookSpec, RepoRef},
};
use secrecy::ExposeSecret as _;

use crate::{
    client::{Client, name_of, number},
    wire,
};

/// What this product subscribes to, sorted.
const EVENTS: [&str; 2] = ["job_events", "pipeline_events"];

#[async_trait]
impl Hooks for Client {
    fn list_hooks(&self, repo: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let client = self.clone();
        let operation = format!("list hooks of {}", name_of(repo));
        self.list(
            repo,
            operation,
            |api, path| api.get(&format!("{path}/hooks")).query(&[("per_page", "100")]),
            move |hook: wire::Hook| client.noted(hook),
        )
    }

    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec) -> Result<Hook> {
        let operation = format!("create a hook at {}", name_of(repo));
        let body = body(spec);
        let hook = self
            .call(repo, &operation, |api, path| api.post(&format!("{path}/hooks")).json(&body))
            .await?
            .json()?;
        Ok(self.noted(hook))
    }

    async fn update_hook(&self, repo: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook> {
        let hook_id = number(hook_id, "hook id")?;
        let operation = format!("update hook {hook_id} of {}", name_of(repo));
        // GitLab forgets the secret when the address changes, so all of it goes along each time.
        let body = body(spec);
        let hook: wire::Hook = self
            .call(repo, &operation, |api, path| api.put(&format!("{path}/hooks/{hook_id}")).json(&body))
            .await?
            .json()?;
        let hook = self.noted(hook);
        if hook.is_active {
            return Ok(hook);
        }
        // Changing a hook that GitLab has switched off for good does not switch it on; only a new one is on.
        let fresh = self.create_hook(repo, spec).await?;
        self.delete_hook(repo, hook_id).await?;
        Ok(fresh)
    }

    async fn delete_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()> {
        let hook_id = number(hook_id, "hook id")?;
        let operation = format!("delete hook {hook_id} of {}", name_of(repo));
        self.call(repo, &operation, |api, path| {
            api.delete(&format!("{path}/hooks/{hook_id}")).allow_status(404)
        })
        .await?;
        Ok(())
    }

    async fn test_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()> {
        let hook_id = number(hook_id, "hook id")?;
        let operation = format!("test hook {hook_id} of {}", name_of(repo));
        let test = |trigger: &'static str| {
            let operation = &operation;
            async move {
                self.call(repo, operation, |api, path| {
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

    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool {
        // GitLab before 19.0 ignores signing tokens in silence; asking for one again and again would change nothing.
        let wants_signing = spec.signing_token.is_some() && self.knows_signing();
        hook.url == spec.url.as_str()
            && hook.is_active
            && hook.verifies_tls != Some(false)
            && hook.events == EVENTS
            && (hook.is_signed || !wants_signing)
    }
}

impl Client {
    /// The hook in the common model; remembers whether the instance knows signing tokens.
    fn noted(&self, hook: wire::Hook) -> Hook {
        if hook.signing_token_present.is_some() {
            self.set_knows_signing();
        }
        hook.into_hook()
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
