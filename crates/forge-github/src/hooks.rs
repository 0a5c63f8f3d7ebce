//! Hooks of a repository.

#![expect(clippy::disallowed_methods, reason = "the hook's secret goes to the forge")]

use async_trait::async_trait;
use forge_core::{
    BoxStream, ErrorKind, Hooks, Result,
    model::{Hook, HookSpec, RepoRef},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    client::{Call, GitHubClient, More, repo_path, segment, shown},
    wire::HookAnswer,
};

/// What we subscribe to, sorted. The runs are what is acted on; the others keep the picture whole.
const EVENTS: [&str; 6] = ["check_run", "check_suite", "push", "status", "workflow_job", "workflow_run"];

#[async_trait]
impl Hooks for GitHubClient {
    fn list_hooks(&self, repo: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let path = repo_path(repo).map(|path| format!("{path}/hooks?per_page=100"));
        self.list(path, format!("list hooks of {}", shown(repo)), |response| {
            Ok((response.json::<Vec<HookAnswer>>()?, More::AsLinked))
        })
        .map_ok(HookAnswer::into_model)
        .boxed()
    }

    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec) -> Result<Hook> {
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

    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool {
        hook.url == spec.url.as_str()
            && hook.is_active
            && hook.is_signed
            && hook.verifies_tls == Some(true)
            && hook.events.iter().map(String::as_str).eq(EVENTS)
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
