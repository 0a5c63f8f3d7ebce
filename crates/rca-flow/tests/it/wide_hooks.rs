//! One hook for a whole namespace, and hooks of repositories where the forge refuses it.

use forge_core::{ErrorKind, ForgeKind, model::Repo};
use rca_flow::types::{IntegrationPatch, RepositoryFilter, RepositoryView, TokenRequest};
use serde_json::json;

use crate::stub::{PYTEST, World, finished};

async fn connected(perimeter: serde_json::Value, change: impl FnOnce(&World)) -> World {
    let mut world = World::new().await;
    world.stub.lock().has_namespace_hooks = true;
    world.stub.lock().repos.push(Repo::new("2", "group/till", "https://stub.example/group/till"));
    change(&world);
    let request: TokenRequest = serde_json::from_value(json!({
        "base_url": "https://stub.example", "token": "good-token", "mode": "webhook",
        "backfill": { "enabled": false }, "perimeter": perimeter,
    }))
    .unwrap();
    let view = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, request).await.unwrap();
    world.integration = view.id;
    world.drain().await;
    world
}

async fn all() -> World {
    connected(json!({ "mode": "all" }), |_| {}).await
}

/// Who owns the hooks at the forge.
fn owners(world: &World) -> Vec<String> {
    let mut owners: Vec<_> = world.stub.lock().hooks.iter().map(|(owner, ..)| owner.clone()).collect();
    owners.sort();
    owners
}

async fn repositories(world: &World) -> Vec<RepositoryView> {
    let filter = RepositoryFilter::default();
    world.flow.list_repositories(&world.caller, &world.integration, &filter).await.unwrap().items
}

async fn reason(world: &World) -> String {
    let page = rca_store::PageRequest::first(1);
    let found = world
        .flow
        .store()
        .list_deliveries(&world.caller.workspace, &Default::default(), &page)
        .await
        .unwrap();
    found.items[0].reason.clone().unwrap_or_default()
}

#[tokio::test]
async fn one_hook_serves_all_repositories_of_the_namespace() {
    let world = all().await;
    assert_eq!(owners(&world), ["group"]);
    let found = repositories(&world).await;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|found| found.monitored && found.hook.state == "registered"), "{found:?}");
    for (number, repo) in ["1", "2"].into_iter().enumerate() {
        let run = format!("1{number}");
        world.stub.add_failed_run(&run, &format!("aaa{number}"), &[("unit", PYTEST)], None);
        let mut event = finished(&run, true);
        event.repo_id = Some(repo.to_owned());
        assert_eq!(world.deliver(&run, &event).await, "accepted");
    }
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 2);
    assert!(repositories(&world).await.iter().all(|found| found.hook.state == "active"));
}

#[tokio::test]
async fn a_namespace_hook_speaks_for_its_namespace_only() {
    let world = connected(json!({ "mode": "projects", "projects": ["group"] }), |world| {
        world.stub.lock().repos.push(Repo::new("3", "other/safe", "https://stub.example/other/safe"));
    })
    .await;
    assert_eq!(owners(&world), ["group"]);
    let mut event = finished("10", true);
    (event.repo_id, event.repo) = (Some("3".to_owned()), Some("other/safe".to_owned()));
    assert_eq!(world.deliver("d1", &event).await, "ignored");
    assert!(reason(&world).await.contains("not known"), "{}", reason(&world).await);
}

#[tokio::test]
async fn a_repository_younger_than_the_last_sync_is_taken_up_by_its_first_delivery() {
    let world = all().await;
    world.stub.lock().repos.push(Repo::new("4", "group/new", "https://stub.example/group/new"));
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], None);
    let mut event = finished("10", true);
    (event.repo_id, event.repo) = (Some("4".to_owned()), Some("group/new".to_owned()));
    assert_eq!(world.deliver("d1", &event).await, "accepted");
    // What the payload claims is asked for at the forge: this one is not there.
    (event.repo_id, event.repo) = (Some("5".to_owned()), Some("group/invented".to_owned()));
    assert_eq!(world.deliver("d2", &event).await, "accepted");
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 1);
    assert!(reason(&world).await.contains("gone"), "{}", reason(&world).await);
    let found = repositories(&world).await;
    assert!(found.iter().any(|found| found.full_name == "group/new" && found.monitored), "{found:?}");
    assert_eq!(owners(&world), ["group"]);
}

#[tokio::test]
async fn where_the_namespace_takes_no_hook_each_repository_gets_its_own() {
    let world = connected(json!({ "mode": "all" }), |world| {
        world.stub.fail("create_hook", ErrorKind::Forbidden, 1);
    })
    .await;
    assert_eq!(owners(&world), ["1", "2"]);
    // It is not asked for again with every sync.
    let calls = world.stub.calls("create_hook");
    world.flow.sync_integration(&world.caller, &world.integration).await.unwrap();
    world.drain().await;
    assert_eq!(
        (world.stub.calls("create_hook"), owners(&world)),
        (calls, vec!["1".to_owned(), "2".to_owned()])
    );
}

#[tokio::test]
async fn the_perimeter_decides_who_has_the_hook() {
    let world = connected(json!({ "mode": "selected" }), |_| {}).await;
    assert!(owners(&world).is_empty());
    let change = |perimeter: serde_json::Value| -> IntegrationPatch {
        serde_json::from_value(json!({ "perimeter": perimeter })).unwrap()
    };
    for (perimeter, expected) in [
        (json!({ "mode": "all" }), vec!["group"]),
        (json!({ "mode": "selected" }), vec!["1", "2"]),
        (json!({ "mode": "projects", "projects": ["group"] }), vec!["group"]),
    ] {
        let patch = change(perimeter);
        world.flow.update_integration(&world.caller, &world.integration, patch).await.unwrap();
        world.drain().await;
        assert_eq!(owners(&world), expected);
    }
}

#[tokio::test]
async fn disconnecting_removes_the_hook_of_the_namespace() {
    let world = all().await;
    let report = world.flow.disconnect(&world.caller, &world.integration, false).await.unwrap();
    assert_eq!((report.removed_hooks, report.leftover_hooks.len()), (1, 0));
    assert!(owners(&world).is_empty());
}

#[tokio::test]
async fn the_secret_of_a_namespace_hook_is_rotated_for_all() {
    let world = all().await;
    let id = repositories(&world).await[0].id.clone();
    let (_, old) = world.hook();
    let made = world.flow.rotate_webhook_secret(&world.caller, &id).await.unwrap();
    assert_ne!(old, made.secret);
    assert_eq!(world.hook().1, made.secret);
    assert_eq!(owners(&world), ["group"]);
}
