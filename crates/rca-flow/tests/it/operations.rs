//! Many repositories: listing them again, monitoring them all, and watching how far that is.

use std::time::Duration;

use forge_core::{ForgeKind, model::Repo};
use rca_flow::{
    Caller,
    types::{MonitorOutcome, MonitorRequest, TokenRequest},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::stub::World;

/// `count` repositories, discovered.
async fn world_of(count: usize) -> World {
    let mut world = World::new().await;
    world.stub.lock().repos = (0..count)
        .map(|number| {
            let name = format!("group/r{number:03}");
            Repo::new(number.to_string(), name, "https://stub.example/x")
        })
        .collect();
    let request: TokenRequest =
        serde_json::from_value(json!({ "token": "good-token", "backfill": { "enabled": false } })).unwrap();
    world.integration = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, request).await.unwrap().id;
    world.drain().await;
    world
}

#[tokio::test]
async fn an_operation_goes_on_where_its_worker_died() {
    let world = world_of(300).await;
    let request = MonitorRequest { all: true, ..Default::default() };
    let outcome = world.flow.monitor(&world.caller, &world.integration, request).await.unwrap();
    let MonitorOutcome::Accepted { operation_id } = outcome else { panic!("300 go on") };
    let begun = world.flow.get_operation(&world.caller, &operation_id).await.unwrap();
    assert_eq!((begun.state.as_str(), begun.done, begun.total), ("running", 0, 300));

    let operation = || async { world.flow.get_operation(&world.caller, &operation_id).await.unwrap() };
    let worker = world.worker.clone().with_lease(Duration::from_secs(2));
    let killed = {
        let worker = worker.clone();
        tokio::spawn(async move { worker.run(CancellationToken::new()).await })
    };
    while operation().await.done < 5 {
        tokio::task::yield_now().await;
    }
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let left = operation().await;
    assert!(left.done < 300, "it was broken off: {}", left.done);
    assert_eq!(left.state, "running");

    let stop = CancellationToken::new();
    let again = {
        let (worker, stop) = (worker.clone(), stop.clone());
        tokio::spawn(async move { worker.run(stop).await })
    };
    let over = async {
        while operation().await.state != "done" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), over).await.expect("it comes to its end");
    stop.cancel();
    again.await.unwrap();
    let over = operation().await;
    assert_eq!((over.done, over.total, over.items.len()), (300, 300, 300));
    assert_eq!(world.stub.lock().hooks.len(), 300, "a hook each, and one only");
    assert!(world.stub.calls("create_hook") <= 304, "what was recorded is not done again");
}

#[tokio::test]
async fn a_sync_tells_how_far_it_is() {
    let world = world_of(250).await;
    let id = format!("sync-{}", world.integration);
    let first = world.flow.get_operation(&world.caller, &id).await.unwrap();
    assert_eq!(
        (first.kind.as_str(), first.state.as_str(), first.done, first.total),
        ("sync", "done", 250, 250)
    );
    let operation = world.flow.sync_integration(&world.caller, &world.integration).await.unwrap();
    assert_eq!(operation, id);
    let asked = world.flow.get_operation(&world.caller, &id).await.unwrap();
    assert_eq!((asked.state.as_str(), asked.done, asked.total), ("running", 0, 250));
    world.drain().await;
    assert_eq!(world.flow.get_operation(&world.caller, &id).await.unwrap().state, "done");
    let stranger = Caller::new("another", "stranger");
    assert_eq!(world.flow.get_operation(&stranger, &id).await.unwrap_err().code, "not_found");
}

#[tokio::test]
async fn what_one_reading_misses_is_not_gone() {
    let world = world_of(3).await;
    let before =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    let stays = world.stub.lock().repos[1].clone();
    // A page moved: the first reading lacks one that the second has.
    world.stub.lock().missed_once = vec![stays.id.clone()];
    world.stub.lock().repos.remove(2);
    world.flow.sync_integration(&world.caller, &world.integration).await.unwrap();
    world.drain().await;
    let after =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    assert_eq!(after.items, before.items[..2], "the same rows; only what vanished is gone");
}

#[tokio::test]
async fn archived_and_without_ci_is_told_and_stays_outside_of_all() {
    let mut world = World::new().await;
    let mut repos: Vec<_> = ["plain", "old", "bare"]
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let full_name = format!("group/{name}");
            Repo::new(number.to_string(), full_name, "https://stub.example/x")
        })
        .collect();
    repos[1].is_archived = true;
    repos[2].has_ci = Some(false);
    world.stub.lock().repos = repos;
    let request: TokenRequest =
        serde_json::from_value(json!({ "token": "good-token", "perimeter": { "mode": "all" } })).unwrap();
    world.integration = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, request).await.unwrap().id;
    world.drain().await;
    let list =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    let told: Vec<_> = list
        .items
        .iter()
        .map(|repository| {
            (repository.full_name.as_str(), repository.archived, repository.has_ci, repository.monitored)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("group/bare", false, Some(false), false),
            ("group/old", true, None, false),
            ("group/plain", false, None, true),
        ]
    );
}
