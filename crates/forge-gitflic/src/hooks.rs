//! Hooks of a project (docs.gitflic.ru, api/webhooks): made, listed and removed, never changed.

use async_trait::async_trait;
use forge_core::{
    BoxStream, Error, ErrorKind, Hooks, Result,
    model::{Hook, HookSpec, RepoRef},
};
use futures_util::TryStreamExt as _;
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::{
    client::{Call, GitFlicClient, repo_path, segment, shown},
    error::unsupported,
    wire::{self, Fields},
};

/// Failed runs are acted on; a run that succeeds ends the story of an earlier failure.
const EVENTS: [&str; 2] = ["PIPELINE_FAIL", "PIPELINE_SUCCESS"];
const WARNING: &str = "PIPELINE_WARNING";
/// The other events, which a server may want to see named.
const OTHER_EVENTS: [&str; 19] = [
    "BRANCH_CREATE",
    "BRANCH_DELETE",
    "BRANCH_UPDATE",
    "COLLABORATOR_ADD",
    "COLLABORATOR_DELETE",
    "COLLABORATOR_UPDATE",
    "DISCUSSION_CREATE",
    "ISSUE_CREATE",
    "ISSUE_UPDATE",
    "MERGE",
    "MERGE_REQUEST_ACCEPT",
    "MERGE_REQUEST_CANCEL",
    "MERGE_REQUEST_CLOSE",
    "MERGE_REQUEST_CREATE",
    "MERGE_REQUEST_UPDATE",
    "NEW_ISSUE_NOTE",
    "PIPELINE_NEW",
    "TAG_CREATE",
    "TAG_DELETE",
];

#[async_trait]
impl Hooks for GitFlicClient {
    fn list_hooks(&self, repo: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let path = repo_path(repo).map(|path| format!("{path}/setting/webhook"));
        self.list(path, format!("list hooks of {}", shown(repo)), wire::hook)
    }

    /// First with the events that are wanted alone, because a version may refuse those that it does not know; when
    /// that is refused, with all of them, because a version may want each one named.
    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec) -> Result<Hook> {
        let path = format!("{}/setting/webhook", repo_path(repo)?);
        let operation = format!("create a hook of {}", shown(repo));
        let mut call = Call { method: Method::POST, path, body: Some(self.body(spec, &[])), operation };
        let response = match self.send(&call).await {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                call.body = Some(self.body(spec, &OTHER_EVENTS));
                self.send(&call).await?
            }
            answer => answer?,
        };
        let value = serde_json::from_slice::<Value>(response.bytes()).unwrap_or_default();
        if let Some(hook) = wire::hook(Fields::new(&value)) {
            return Ok(hook);
        }
        // It was made, but the answer does not say which it is.
        let mut all = self.list_hooks(repo);
        let mut found = None;
        while let Some(hook) = all.try_next().await? {
            if hook.url == spec.url.as_str() {
                found = Some(hook);
            }
        }
        found.ok_or_else(|| {
            response.unexpected("the answer is not a hook, and none with our address is listed")
        })
    }

    /// A new hook takes the old one's place, and has another id. It is made first, so that no event falls between;
    /// only where GitFlic refuses a second hook with the same address the old one has to go before.
    async fn update_hook(&self, repo: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook> {
        match self.create_hook(repo, spec).await {
            Ok(hook) => {
                self.delete_hook(repo, hook_id).await?;
                Ok(hook)
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.delete_hook(repo, hook_id).await?;
                self.create_hook(repo, spec).await
            }
            Err(error) => Err(error),
        }
    }

    /// Some of GitFlic's resources are removed by `DELETE`, others by `POST`, both at `.../delete`. What works is
    /// remembered.
    async fn delete_hook(&self, repo: &RepoRef, hook_id: &str) -> Result<()> {
        let path = format!("{}/setting/webhook/{}/delete", repo_path(repo)?, segment(hook_id)?);
        let operation = format!("delete hook {hook_id} of {}", shown(repo));
        let mut was_not_found = false;
        if !self.learned.deletes_by_post() {
            let call =
                Call { method: Method::DELETE, path: path.clone(), body: None, operation: operation.clone() };
            match self.send(&call).await {
                // 404 may be the hook or the address.
                Err(error) if is_other_way(&error) => was_not_found = error.status() == Some(404),
                answer => return answer.map(drop),
            }
        }
        let call = Call { method: Method::POST, path, body: None, operation };
        match self.send(&call).await {
            Ok(_) => {
                self.learned.note_deletes_by_post();
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => Ok(()),
            Err(error) if error.status() == Some(405) && was_not_found => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn test_hook(&self, _repo: &RepoRef, _hook_id: &str) -> Result<()> {
        unsupported("GitFlic tests hooks on its web page only")
    }

    /// Further events of pipelines do no harm.
    fn is_as_specified(&self, hook: &Hook, spec: &HookSpec) -> bool {
        let mut wanted = self.events();
        hook.url == spec.url.as_str()
            && hook.is_active
            && wanted.all(|event| hook.events.iter().any(|it| it == event))
            && hook.events.iter().all(|event| event.starts_with("PIPELINE_"))
    }
}

impl GitFlicClient {
    fn events(&self) -> impl Iterator<Item = &'static str> {
        EVENTS.into_iter().chain(self.subscribes_warnings.then_some(WARNING))
    }

    #[expect(clippy::disallowed_methods, reason = "the forge repeats the secret in its deliveries")]
    fn body(&self, spec: &HookSpec, unwanted: &[&str]) -> Value {
        let mut events: Map<String, Value> =
            unwanted.iter().map(|&key| (key.to_owned(), false.into())).collect();
        events.extend(self.events().map(|key| (key.to_owned(), true.into())));
        json!({
            "url": spec.url.as_str(),
            "secret": spec.secret.expose_secret(),
            "events": events,
        })
    }
}

fn is_other_way(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 404 | 405 | 415 | 501))
}
