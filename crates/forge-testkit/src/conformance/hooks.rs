//! Hooks.

#![expect(clippy::indexing_slicing, reason = "a case that cannot go on may panic, like every test")]

use std::time::Duration;

use forge_core::{
    Delivery, EnsureHook, ErrorKind, ForgeClientExt, Secrets, ensure_hook,
    model::{EventKind, HookSpec},
};
use futures_util::TryStreamExt;
use secrecy::SecretString;
use url::Url;

use super::{Harness, assert_no_unknown_request, mutations, requests, shop};
use crate::{HookSetup, JobSpec, Receiver, RunSpec};

const SECRET: &str = "6f1c3a5e7b9d0f2a4c6e8b1d3f5a7c9e6f1c3a5e7b9d0f2a4c6e8b1d3f5a7c9e";

fn spec(url: &str) -> HookSpec {
    HookSpec::new(Url::parse(url).expect("a URL"), SecretString::from(SECRET.to_owned()))
}

/// Whether the adapter manages hooks; where it does not, nothing is sent.
async fn is_claimed<H: Harness>(harness: &H) -> bool {
    let client = harness.client();
    let claimed = harness.provider().capabilities().hooks;
    assert_eq!(client.hooks().is_some(), claimed, "facet and capability differ");
    if !claimed {
        let repo = shop(harness.fake());
        let error = client.ensure_hook(&repo.repo_ref(), &spec("http://127.0.0.1:9/hook"), None).await;
        assert_eq!(error.expect_err("it is not claimed").kind(), ErrorKind::Unsupported);
        assert_eq!(requests(harness.fake()), 0);
    }
    claimed
}

/// A hook that is missing is created: active, with TLS verification, secret and events.
pub async fn creates_what_is_missing<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness).await {
        return;
    }
    let repo = shop(harness.fake());
    let spec = spec("http://127.0.0.1:9/webhook/abc");
    let ensured = harness.client().ensure_hook(&repo.repo_ref(), &spec, None).await.expect("a new hook");
    assert_eq!((ensured.action, ensured.removed_duplicates), (EnsureHook::Created, 0));
    let hooks = harness.fake().hooks(&repo);
    let [hook] = hooks.as_slice() else { panic!("one hook, not {}", hooks.len()) };
    assert_eq!(hook.forge_id, ensured.hook.id);
    assert_eq!((hook.url.as_str(), hook.content_type.as_str()), (spec.url.as_str(), "json"));
    assert_eq!(hook.secret.as_deref(), Some(SECRET));
    assert!(hook.is_active && hook.verifies_tls);
    assert!(hook.events.iter().any(|event| !event.starts_with("push")), "{:?}", hook.events);
    assert!(harness.client().hooks().expect("claimed").is_as_specified(&ensured.hook, &spec));
    assert_no_unknown_request(harness.fake());
}

/// A hook that is as it should be costs no change.
pub async fn leaves_what_is_right<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness).await {
        return;
    }
    let repo = shop(harness.fake());
    let spec = spec("http://127.0.0.1:9/webhook/abc");
    let client = harness.client();
    let first = client.ensure_hook(&repo.repo_ref(), &spec, None).await.expect("a new hook");
    let before = mutations(harness.fake());
    let again = client.ensure_hook(&repo.repo_ref(), &spec, Some(&first.hook.id)).await.expect("the same");
    assert_eq!((again.action, again.hook.id), (EnsureHook::Unchanged, first.hook.id));
    assert_eq!(mutations(harness.fake()), before);
}

/// A hook with the right address and wrong settings, or an unknown secret, is brought in order.
pub async fn updates_what_is_wrong<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness).await {
        return;
    }
    let repo = shop(harness.fake());
    let spec = spec("http://127.0.0.1:9/webhook/abc");
    let setup = HookSetup::new(spec.url.as_str()).with_secret("old").with_events(&["push_events"]);
    let id = harness.fake().hook_id(harness.fake().add_hook(&repo, &setup));
    for registered in [Some(id.clone()), None] {
        let ensured = harness.client().ensure_hook(&repo.repo_ref(), &spec, registered.as_deref()).await;
        let ensured = ensured.expect("an updated hook");
        assert_eq!(ensured.action, EnsureHook::Updated);
        assert!(ensured.hook.id == id || harness.fake().replaces_hooks());
        let hooks = harness.fake().hooks(&repo);
        let [hook] = hooks.as_slice() else { panic!("one hook, not {}", hooks.len()) };
        assert_eq!(hook.forge_id, ensured.hook.id);
        assert_eq!(hook.secret.as_deref(), Some(SECRET));
        assert!(hook.is_active && hook.verifies_tls && hook.content_type == "json");
        let client = harness.client();
        let hooks = client.hooks().expect("claimed");
        assert!(hooks.is_as_specified(&ensured.hook, &spec), "events: {:?}", hook.events);
    }
    assert_no_unknown_request(harness.fake());
}

/// Of several hooks with our address one stays, and other people's stay too.
pub async fn removes_duplicates<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness).await {
        return;
    }
    let repo = shop(harness.fake());
    let spec = spec("http://127.0.0.1:9/webhook/abc");
    for _ in 0..3 {
        harness.fake().add_hook(&repo, &HookSetup::new(spec.url.as_str()).with_secret(SECRET));
    }
    harness.fake().add_hook(&repo, &HookSetup::new("http://127.0.0.1:9/webhook/abcd"));
    let ensured = harness.client().ensure_hook(&repo.repo_ref(), &spec, None).await.expect("one is kept");
    assert_eq!(ensured.removed_duplicates, 2);
    assert_eq!(harness.fake().hooks(&repo).len(), 2);
}

/// Our hook is found behind 130 others.
pub async fn reads_all_pages<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness).await {
        return;
    }
    let repo = shop(harness.fake());
    for number in 0..130 {
        harness.fake().add_hook(&repo, &HookSetup::new(&format!("http://127.0.0.1:9/other/{number}")));
    }
    let spec = spec("http://127.0.0.1:9/webhook/abc");
    let setup = HookSetup::new(spec.url.as_str()).with_secret("old");
    let id = harness.fake().hook_id(harness.fake().add_hook(&repo, &setup));
    let client = harness.client();
    let ensured = client.ensure_hook(&repo.repo_ref(), &spec, None).await.expect("it is found");
    assert_eq!(ensured.action, EnsureHook::Updated);
    assert!(ensured.hook.id == id || harness.fake().replaces_hooks());
    let listed = client.hooks().expect("claimed").list_hooks(&repo.repo_ref());
    assert_eq!(listed.try_collect::<Vec<_>>().await.expect("all pages").len(), 131);
}

/// Deleting what is gone is no error.
pub async fn deleting_twice_is_fine<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness).await {
        return;
    }
    let repo = shop(harness.fake());
    let setup = HookSetup::new("http://127.0.0.1:9/hook");
    let id = harness.fake().hook_id(harness.fake().add_hook(&repo, &setup));
    let client = harness.client();
    let hooks = client.hooks().expect("claimed");
    for _ in 0..2 {
        hooks.delete_hook(&repo.repo_ref(), &id).await.expect("it is gone");
        assert!(harness.fake().hooks(&repo).is_empty());
    }
}

/// A test delivery arrives where it is claimed, and where it is not nothing is sent.
pub async fn test_deliveries_arrive<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness).await {
        return;
    }
    let repo = shop(harness.fake());
    harness.fake().add_run(&repo, &RunSpec::new(vec![JobSpec::green("test")]));
    let receiver = Receiver::start().await;
    let setup = HookSetup::new(receiver.url().as_str()).with_secret(SECRET);
    let id = harness.fake().hook_id(harness.fake().add_hook(&repo, &setup));
    let client = harness.client();
    let tested = client.hooks().expect("claimed").test_hook(&repo.repo_ref(), &id).await;
    if harness.provider().capabilities().hook_test {
        tested.expect("a test delivery");
        assert_eq!(receiver.wait_for(1).await.len(), 1);
        assert_no_unknown_request(harness.fake());
    } else {
        assert_eq!(tested.expect_err("it is not claimed").kind(), ErrorKind::Unsupported);
        assert_eq!(requests(harness.fake()), 0);
    }
}

/// The whole way: a hook made by the adapter, a delivery by the forge, verified and parsed by the adapter.
pub async fn registered_hooks_get_deliveries_that_verify<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness).await {
        return;
    }
    let receiver = Receiver::start().await;
    let repo = shop(harness.fake());
    let spec = HookSpec::new(receiver.url().clone(), SecretString::from(SECRET.to_owned()));
    harness.client().ensure_hook(&repo.repo_ref(), &spec, None).await.expect("a new hook");
    let run = harness.fake().add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    let outcomes = harness.fake().deliver(&run).await;
    assert!(!outcomes.is_empty(), "the hook is subscribed to nothing that a failed run sends");
    let provider = harness.provider();
    let secrets = Secrets::new(SecretString::from(SECRET.to_owned()));
    let mut triggers = 0;
    for received in receiver.received() {
        let delivery = Delivery {
            headers: &received.headers,
            query: None,
            body: &received.body,
            received_at: harness.fake().now(),
        };
        let verified = provider.webhooks().verify(&delivery, &secrets).expect("the proof is right");
        let event = provider.webhooks().parse(&verified).expect("the payload is known");
        let kind = if harness.fake().tells_runs() { EventKind::Run } else { EventKind::Push };
        triggers += usize::from(event.triggers_rca && event.kind == kind);
    }
    let is_unannounced = provider.capabilities().unannounced_runs;
    assert_eq!(is_unannounced, !harness.fake().tells_runs(), "how runs end is told by deliveries, or not");
    assert_eq!(triggers, 1, "one delivery begins the analysis of one failed run");
}

/// A delivery that we failed to take is told of, and where the forge can, sent again under the same event id.
pub async fn past_deliveries_are_told_and_sent_again<H: Harness>() {
    let harness = H::start().await;
    let capabilities = harness.provider().capabilities();
    let (repo, client) = (shop(harness.fake()), harness.client());
    let since = harness.fake().now().checked_sub(jiff::SignedDuration::from_mins(5)).expect("a time");
    let Some(hooks) = client.hooks() else { return };
    if !capabilities.hook_deliveries {
        let error = hooks.list_deliveries(&repo.repo_ref(), "7", since).await.expect_err("it is not claimed");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = hooks.redeliver(&repo.repo_ref(), "7", "8").await.expect_err("it is not claimed");
        assert_eq!((error.kind(), requests(harness.fake())), (ErrorKind::Unsupported, 0));
        return;
    }
    let receiver = Receiver::start().await;
    receiver.set_status(503);
    let spec = HookSpec::new(receiver.url().clone(), SecretString::from(SECRET.to_owned()));
    let hook = client.ensure_hook(&repo.repo_ref(), &spec, None).await.expect("a new hook").hook;
    let greetings = usize::from(harness.fake().greets_hooks());
    let greeted = async {
        while harness.fake().deliveries().len() < greetings {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), greeted).await.expect("the forge greets a new hook");
    let run = harness.fake().add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    let sent = harness.fake().deliver(&run).await.len() + greetings;
    let past = hooks.list_deliveries(&repo.repo_ref(), &hook.id, since).await.expect("the deliveries");
    assert_eq!(past.len(), sent);
    assert!(past.windows(2).all(|pair| pair[0].sent_at >= pair[1].sent_at), "newest first: {past:?}");
    let first = receiver.received().into_iter().nth(greetings).expect("it arrived");
    let event_id = harness.provider().webhooks().delivery_id(&first.headers);
    assert!(past.iter().all(|delivery| delivery.status == Some(503) && !delivery.is_accepted()), "{past:?}");
    let failed = past.iter().find(|delivery| delivery.event_id == event_id).expect("named by its event id");
    receiver.set_status(204);
    let redelivered = hooks.redeliver(&repo.repo_ref(), &hook.id, &failed.id).await;
    if capabilities.hook_redelivery {
        redelivered.expect("it is sent again");
        let received = receiver.wait_for(sent + 1).await;
        let again = received.last().expect("it arrived");
        assert_eq!(harness.provider().webhooks().delivery_id(&again.headers), event_id);
        assert_eq!(again.body, first.body);
    } else {
        assert_eq!(redelivered.expect_err("it is not claimed").kind(), ErrorKind::Unsupported);
    }
    // Forges tell whole seconds.
    let later = harness.fake().now().checked_add(jiff::SignedDuration::from_secs(1)).expect("a time");
    let none = hooks.list_deliveries(&repo.repo_ref(), &hook.id, later).await;
    assert_eq!(none.expect("a list"), []);
    assert_no_unknown_request(harness.fake());
}

/// One hook of a namespace gets the deliveries of all repositories below it, and of no others.
pub async fn namespace_hook_serves_all_its_repositories<H: Harness>() {
    let harness = H::start().await;
    let (fake, client) = (harness.fake(), harness.client());
    let claimed = harness.provider().capabilities().namespace_hooks;
    assert_eq!(client.namespace_hooks().is_some(), claimed, "facet and capability differ");
    assert_eq!(requests(fake), 0);
    let Some(hooks) = client.namespace_hooks() else { return };
    let repos = [fake.add_repo("acme/shop"), fake.add_repo("acme/till")];
    let other = fake.add_repo("emca/shop");
    let namespace = fake.namespace("acme");
    let receiver = Receiver::start().await;
    let spec = HookSpec::new(receiver.url().clone(), SecretString::from(SECRET.to_owned()));
    let created = ensure_hook(hooks, &namespace, &spec, None).await.expect("a new hook");
    assert_eq!(created.action, EnsureHook::Created);
    let again = ensure_hook(hooks, &namespace, &spec, Some(&created.hook.id)).await.expect("the same");
    assert_eq!((again.action, fake.namespace_hooks("acme").len()), (EnsureHook::Unchanged, 1));
    let mut named = Vec::new();
    for repo in repos.iter().chain([&other]) {
        let run = fake.add_run(repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
        fake.deliver(&run).await;
    }
    let (provider, secrets) = (harness.provider(), Secrets::new(SecretString::from(SECRET.to_owned())));
    for received in receiver.received() {
        let delivery = Delivery {
            headers: &received.headers,
            query: None,
            body: &received.body,
            received_at: fake.now(),
        };
        let verified = provider.webhooks().verify(&delivery, &secrets).expect("the proof is right");
        named.extend(provider.webhooks().parse(&verified).expect("a known payload").repo_id);
    }
    named.dedup();
    assert_eq!(named, [repos[0].forge_id.clone(), repos[1].forge_id.clone()]);
    hooks.delete_hook(&namespace, &created.hook.id).await.expect("it is gone");
    assert!(fake.namespace_hooks("acme").is_empty());
    assert_no_unknown_request(fake);
}
