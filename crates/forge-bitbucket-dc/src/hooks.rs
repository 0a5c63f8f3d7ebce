//! Hooks of a repository, and of a project where the repository's name is a project key alone.

#![expect(clippy::disallowed_methods, reason = "the hook's secret goes to the forge")]

use async_trait::async_trait;
use forge_core::{
    BoxStream, Error, ErrorKind, ForgeKind, Hooks, Result,
    model::{Hook, HookSpec, RepoRef},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{HeaderValue, header::CONTENT_TYPE};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    client::{DcClient, repo_path, segment, shown},
    error,
    version::Version,
    wire,
};

/// Data Center itself announces no build status: pushes and pull requests say when to look. Sorted.
const PUSH_EVENTS: [&str; 4] = ["pr:from_ref_updated", "pr:opened", "repo:modified", "repo:refs_changed"];
/// Of use beside an event for build statuses.
const RENAME_EVENT: &str = "repo:modified";
const NAME: &str = "Forge RCA";

#[async_trait]
impl Hooks for DcClient {
    fn list_hooks(&self, repo: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let query = [("statistics", "true"), ("limit", "100")];
        let (client, place) = (self.clone(), repo.clone());
        self.list(hooks_path(repo), &query, format!("list hooks of {}", shown(repo)))
            .map_ok(wire::HookAnswer::into_model)
            .or_else(move |error| {
                let (client, place) = (client.clone(), place.clone());
                async move { Err(client.explain_absent(&place, error).await) }
            })
            .boxed()
    }

    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec) -> Result<Hook> {
        let body = hook_body(spec, &self.wanted_events().await?);
        let request = self.api.post(&hooks_path(repo)?).json(&body);
        let request = request.operation(format!("create a hook of {}", shown(repo)));
        match self.send(request).await {
            Ok(response) => Ok(response.json::<wire::HookAnswer>()?.into_model()),
            Err(error) => Err(self.explain_absent(repo, error).await),
        }
    }

    async fn update_hook(&self, repo: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook> {
        let body = hook_body(spec, &self.wanted_events().await?);
        let request = self.api.put(&hook_path(repo, hook_id)?).json(&body);
        let request = request.operation(format!("change hook {hook_id} of {}", shown(repo)));
        let hook: wire::HookAnswer = self.send(request).await?.json()?;
        Ok(hook.into_model())
    }

    async fn delete_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()> {
        let request = self
            .api
            .delete(&hook_path(repo, hook_id)?)
            .operation(format!("delete hook {hook_id} of {}", shown(repo)));
        match self.send(request).await {
            Err(error) if !error::is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The test message is `diagnostics:ping`, and it is not signed.
    async fn test_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()> {
        let operation = format!("test hook {hook_id} of {}", shown(repo));
        let hook: wire::HookAnswer = self.get(&hook_path(repo, hook_id)?, operation.clone()).await?;
        let hook = hook.into_model();
        let is_verifying = (hook.verifies_tls != Some(false)).to_string();
        let request = self
            .api
            .post(&format!("{}/test", hooks_path(repo)?))
            .query(&[("url", &hook.url), ("webhookId", hook_id), ("sslVerificationRequired", &is_verifying)])
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .operation(&operation);
        let answer: wire::HookTest = self.send(request).await?.json()?;
        match answer.status() {
            Some(status) if !(200..300).contains(&status) => {
                Err(failed(&operation, &format!("the test message was answered with status {status}")))
            }
            None if answer.response.is_some() => {
                Err(failed(&operation, "the server could not deliver the test message"))
            }
            _ => Ok(()),
        }
    }

    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool {
        hook.url == spec.url.as_str()
            && hook.is_active
            && hook.is_signed
            // Servers that do not tell always verify.
            && hook.verifies_tls != Some(false)
            && are_wanted(&hook.events)
    }
}

impl DcClient {
    /// A server that is too old for hooks of projects does not know their address.
    async fn explain_absent(&self, repo: &RepoRef, error: Error) -> Error {
        if repo.full_name.contains('/') || !error::is_absent(&error) {
            return error;
        }
        match self.version().await {
            Ok(Some(version)) if version < Version::PROJECT_HOOKS => Error::new(
                ErrorKind::Unsupported,
                format!("Bitbucket {}.{} has no hooks of projects", version.0, version.1),
            )
            .with_forge(ForgeKind::BITBUCKET_DC)
            .with_operation(format!("manage hooks of project {}", shown(repo)))
            .with_hint("register hooks of its repositories, or upgrade to 8.11 or later"),
            _ => error,
        }
    }

    /// An event for build statuses where the server lists one (an app may add it); pushes and pull requests otherwise,
    /// as far as the server knows them: it refuses a hook with an unknown event.
    async fn wanted_events(&self) -> Result<Vec<String>> {
        let Some(known) = self.webhook_events().await? else {
            return Ok(PUSH_EVENTS.map(str::to_owned).to_vec());
        };
        let is_known = |event: &str| known.iter().any(|known| known == event);
        let mut events: Vec<String> = known.iter().filter(|event| is_build_event(event)).cloned().collect();
        if events.is_empty() {
            events.extend(PUSH_EVENTS.into_iter().filter(|event| is_known(event)).map(str::to_owned));
        } else if is_known(RENAME_EVENT) {
            events.push(RENAME_EVENT.to_owned());
        }
        events.sort();
        Ok(events)
    }
}

/// Either of the two sets; old servers know some of the push events only.
fn are_wanted(events: &[String]) -> bool {
    let has = |wanted: &str| events.iter().any(|event| event == wanted);
    let is_ours = |event: &String| PUSH_EVENTS.contains(&event.as_str()) || is_build_event(event);
    let has_build = events.iter().any(|event| is_build_event(event));
    events.iter().all(is_ours) && (has_build || (has("repo:refs_changed") && has("pr:opened")))
}

pub(crate) fn is_build_event(event: &str) -> bool {
    event.starts_with("repo:") && event.contains("build")
}

fn hooks_path(repo: &RepoRef) -> Result<String> {
    if repo.full_name.contains('/') {
        return Ok(format!("{}/webhooks", repo_path(repo)?));
    }
    Ok(format!("api/1.0/projects/{}/webhooks", segment(&repo.full_name)?))
}

fn hook_path(repo: &RepoRef, hook_id: &str) -> Result<String> {
    Ok(format!("{}/{}", hooks_path(repo)?, segment(hook_id)?))
}

/// The whole hook, always: what a change leaves out is gone afterwards, the secret too.
fn hook_body(spec: &HookSpec, events: &[String]) -> Value {
    json!({
        "name": NAME,
        "url": spec.url.as_str(),
        "active": true,
        "events": events,
        "configuration": { "secret": spec.secret.expose_secret() },
        "sslVerificationRequired": true,
    })
}

fn failed(operation: &str, message: &str) -> Error {
    Error::new(ErrorKind::Invalid, message)
        .with_forge(ForgeKind::BITBUCKET_DC)
        .with_operation(operation)
        .with_hint("check that the server reaches our address and that its Java trusts our certificate")
}
