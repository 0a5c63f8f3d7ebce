//! Hooks are looked after: what the forge could not deliver is asked for again.

use std::time::{Duration, Instant};

use forge_core::model::HookDelivery;
use jiff::{SignedDuration, Timestamp};
use rca_flow::types::HookView;

use crate::stub::{PYTEST, World, finished};

async fn world(redelivery: bool) -> World {
    let world = World::connected().await;
    world.stub.lock().tells_deliveries = Some(redelivery);
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world
}

fn failed(id: &str, event: &str) -> HookDelivery {
    let mut delivery = HookDelivery::new(id, "workflow_run", Timestamp::now() - SignedDuration::from_mins(1));
    delivery.event_id = Some(event.to_owned());
    delivery.status = Some(503);
    delivery
}

/// Works until it is so; half a minute at most.
async fn until(world: &World, what: &str, is_so: impl Fn(&World) -> bool) {
    let began = Instant::now();
    while !is_so(world) {
        assert!(began.elapsed() < Duration::from_secs(30), "not so after half a minute: {what}");
        world.drain().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn hook(world: &World) -> HookView {
    let list =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    list.items[0].hook.clone()
}

#[tokio::test]
async fn a_delivery_that_failed_is_sent_again_and_taken_once() {
    let world = world(true).await;
    world.stub.lock().past = vec![failed("7", "lost")];
    until(&world, "it is asked for again", |world| !world.stub.lock().redelivered.is_empty()).await;
    assert_eq!(world.stub.lock().redelivered, ["7"]);
    let seen = hook(&world).await;
    assert_eq!(seen.state, "unhealthy");
    assert!(seen.last_error.as_deref().is_some_and(|error| error.contains("503")), "{seen:?}");
    // The forge sends it again, twice even.
    assert_eq!(world.deliver("lost", &finished("10", true)).await, "accepted");
    assert_eq!(world.deliver("lost", &finished("10", true)).await, "duplicate");
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 1);
    assert_eq!(hook(&world).await.state, "active");
    // It is with us now: whatever the forge's list says, it is not asked for again.
    let looks = world.stub.calls("list_deliveries");
    until(&world, "the next look", |world| world.stub.calls("list_deliveries") > looks).await;
    assert_eq!(world.stub.lock().redelivered.len(), 1);
}

#[tokio::test]
async fn a_delivery_that_always_fails_is_given_up() {
    let world = world(true).await;
    world.stub.lock().past = vec![failed("7", "lost")];
    until(&world, "five looks", |world| world.stub.calls("list_deliveries") >= 5).await;
    assert_eq!(world.stub.lock().redelivered.len(), 3);
}

#[tokio::test]
async fn where_nothing_is_sent_again_the_run_is_looked_for() {
    let world = world(false).await;
    world.stub.lock().past = vec![failed("7", "lost")];
    until(&world, "the comment", |world| !world.stub.lock().comments.is_empty()).await;
    assert!(world.stub.lock().redelivered.is_empty());
}

#[tokio::test]
async fn a_hook_that_was_removed_at_the_forge_is_made_again() {
    let world = world(true).await;
    world.stub.lock().hooks.clear();
    until(&world, "the hook is back", |world| !world.stub.lock().hooks.is_empty()).await;
    assert_eq!(hook(&world).await.state, "registered");
    assert_eq!(world.deliver("d1", &finished("10", true)).await, "accepted");
}
