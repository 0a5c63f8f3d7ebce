//! Hooks of a repository.

use async_trait::async_trait;
use forge_core::{
    BoxStream, Error, ErrorKind, ForgeKind, Hooks, Result,
    model::{Hook, HookSpec, RepoRef},
};
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    client::{BitbucketCloudClient, Call, More, repo_path, segment, shown},
    wire,
};

/// Sorted. A status that is born failed (an external CI that posts once, a refused configuration) is never updated, so
/// both events are needed.
const EVENTS: [&str; 2] = ["repo:commit_status_created", "repo:commit_status_updated"];

#[async_trait]
impl Hooks for BitbucketCloudClient {
    fn list_hooks(&self, repo: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let path = repo_path(repo).map(|path| format!("{path}/hooks?pagelen=100"));
        self.list(path, format!("list hooks of {}", shown(repo)), |values: Vec<wire::HookAnswer>| {
            (values.into_iter().map(wire::HookAnswer::into_model).collect(), More::AsLinked)
        })
    }

    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec) -> Result<Hook> {
        let call = Call {
            method: Method::POST,
            path: format!("{}/hooks", repo_path(repo)?),
            body: Some(hook_body(spec)),
            operation: format!("create a hook of {}", shown(repo)),
        };
        Ok(self.send(call).await?.json::<wire::HookAnswer>()?.into_model())
    }

    async fn update_hook(&self, repo: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook> {
        let call = Call {
            method: Method::PUT,
            path: format!("{}/hooks/{}", repo_path(repo)?, segment(hook_id)?),
            body: Some(hook_body(spec)),
            operation: format!("change hook {hook_id} of {}", shown(repo)),
        };
        Ok(self.send(call).await?.json::<wire::HookAnswer>()?.into_model())
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
        Err(Error::new(ErrorKind::Unsupported, "Bitbucket Cloud has no API for test deliveries")
            .with_forge(ForgeKind::BITBUCKET_CLOUD)
            .with_operation(format!("test hook {hook_id} of {}", shown(repo))))
    }

    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool {
        hook.url == spec.url.as_str()
            && hook.is_active
            && hook.is_signed
            && hook.verifies_tls != Some(false)
            && hook.events.iter().map(String::as_str).eq(EVENTS)
    }
}

/// The whole hook, always. `skip_cert_verification` is not in the API description, but in use.
#[expect(clippy::disallowed_methods, reason = "Bitbucket has to know the key that it signs with")]
fn hook_body(spec: &HookSpec) -> Value {
    json!({
        "description": "forge-rca",
        "url": spec.url.as_str(),
        "active": true,
        "skip_cert_verification": false,
        "secret": spec.secret.expose_secret(),
        "events": EVENTS,
    })
}
