use std::sync::Mutex;

use async_trait::async_trait;
use forge_core::{
    BoxStream, Capabilities, Ci, EnsureHook, ErrorKind, Feedback, ForgeClient, ForgeClientExt, ForgeKind,
    Hooks, Repos, Result,
    model::{Hook, HookSpec, Identity, RepoRef},
};
use futures_util::stream;
use url::Url;

/// A forge of hooks only, kept in memory.
#[derive(Debug)]
struct HooksOnly {
    url: Url,
    hooks: Mutex<Vec<Hook>>,
    calls: Mutex<Vec<String>>,
    has_hooks: bool,
}

impl HooksOnly {
    fn new(hooks: Vec<Hook>) -> Self {
        Self {
            url: Url::parse("https://forge.example").unwrap(),
            hooks: Mutex::new(hooks),
            calls: Mutex::default(),
            has_hooks: true,
        }
    }

    fn called(&self, what: String) {
        self.calls.lock().unwrap().push(what);
    }
}

#[async_trait]
impl ForgeClient for HooksOnly {
    fn kind(&self) -> ForgeKind {
        ForgeKind::custom("memory")
    }
    fn base_url(&self) -> &Url {
        &self.url
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::NONE.with_hooks(false)
    }
    async fn whoami(&self) -> Result<Identity> {
        unreachable!("not asked for")
    }
    fn repos(&self) -> &dyn Repos {
        unreachable!("not asked for")
    }
    fn hooks(&self) -> Option<&dyn Hooks> {
        self.has_hooks.then_some(self)
    }
    fn ci(&self) -> Option<&dyn Ci> {
        None
    }
    fn feedback(&self) -> Option<&dyn Feedback> {
        None
    }
}

#[async_trait]
impl Hooks for HooksOnly {
    fn list_hooks(&self, _repo: &RepoRef) -> BoxStream<'static, Result<Hook>> {
        let hooks = self.hooks.lock().unwrap().clone();
        Box::pin(stream::iter(hooks.into_iter().map(Ok)))
    }
    async fn create_hook(&self, _repo: &RepoRef, spec: &HookSpec) -> Result<Hook> {
        self.called("create".to_owned());
        Ok(Hook::new("new", spec.url.as_str()))
    }
    async fn update_hook(&self, _repo: &RepoRef, hook_id: &str, spec: &HookSpec) -> Result<Hook> {
        self.called(format!("update {hook_id}"));
        Ok(Hook::new(hook_id, spec.url.as_str()))
    }
    async fn delete_hook(&self, _repo: &RepoRef, hook_id: &str) -> Result<()> {
        self.called(format!("delete {hook_id}"));
        Ok(())
    }
    async fn test_hook(&self, _repo: &RepoRef, _hook_id: &str) -> Result<()> {
        unreachable!("not asked for")
    }
    fn is_as_specified(&self, hook: &Hook, _spec: &HookSpec) -> bool {
        hook.is_active
    }
}

const OURS: &str = "https://rca.example/v1/webhooks/memory/abc";

async fn check(hooks: Vec<Hook>, registered: Option<&str>, action: EnsureHook, calls: &[&str]) {
    let client = HooksOnly::new(hooks);
    let spec = HookSpec::new(Url::parse(OURS).unwrap(), "secret".to_owned().into());
    let ensured = client.ensure_hook(&RepoRef::new("1", "a/b"), &spec, registered).await.unwrap();
    assert_eq!(ensured.action, action);
    assert_eq!(*client.calls.lock().unwrap(), calls);
}

fn inactive(id: &str) -> Hook {
    let mut hook = Hook::new(id, OURS);
    hook.is_active = false;
    hook
}

#[tokio::test]
async fn creates_updates_or_leaves() {
    let other = || Hook::new("1", "https://rca.example/v1/webhooks/memory/other");
    check(vec![], None, EnsureHook::Created, &["create"]).await;
    check(vec![other()], Some("1"), EnsureHook::Created, &["create"]).await;
    check(vec![other(), Hook::new("2", OURS)], Some("2"), EnsureHook::Unchanged, &[]).await;
    // Not known to carry this secret: it has to be sent again.
    check(vec![Hook::new("2", OURS)], None, EnsureHook::Updated, &["update 2"]).await;
    check(vec![inactive("2")], Some("2"), EnsureHook::Updated, &["update 2"]).await;
}

#[tokio::test]
async fn removes_duplicates_and_keeps_the_registered_one() {
    let three = vec![Hook::new("1", OURS), Hook::new("2", OURS), Hook::new("3", OURS)];
    let client = HooksOnly::new(three);
    let spec = HookSpec::new(Url::parse(OURS).unwrap(), "secret".to_owned().into());
    let ensured = client.ensure_hook(&RepoRef::new("1", "a/b"), &spec, Some("2")).await.unwrap();
    assert_eq!((ensured.hook.id.as_str(), ensured.action), ("2", EnsureHook::Unchanged));
    assert_eq!(ensured.removed_duplicates, 2);
    let mut calls = client.calls.lock().unwrap().clone();
    calls.sort();
    assert_eq!(calls, ["delete 1", "delete 3"]);
}

#[tokio::test]
async fn a_missing_facet_is_a_typed_error_and_no_call() {
    let mut client = HooksOnly::new(vec![]);
    client.has_hooks = false;
    let spec = HookSpec::new(Url::parse(OURS).unwrap(), "secret".to_owned().into());
    let error = client.ensure_hook(&RepoRef::new("1", "a/b"), &spec, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(client.require_ci().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(client.calls.lock().unwrap().is_empty());
}
