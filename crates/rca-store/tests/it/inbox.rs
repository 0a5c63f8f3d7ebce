//! Deliveries: stored once, never lost, all accounted for.

use crate::support::{delivery, on_both_engines, task};
use rca_store::testing::Database;
use rca_store::{
    Accepted, DeliveryCounts, DeliveryFilter, DeliveryStatus, ErrorKind, NewTask, Outcome, PageRequest,
};
use serde_json::json;
use std::collections::BTreeSet;

on_both_engines!(
    parallel_identical_deliveries_make_one_row_and_one_task,
    content_comes_back_as_it_was,
    every_delivery_is_counted_somewhere,
    deliveries_that_share_a_task_end_with_it,
    a_replay_runs_again_and_is_audited,
    lists_filter_and_page,
    another_workspace_sees_nothing,
);

async fn parallel_identical_deliveries_make_one_row_and_one_task(database: &Database) {
    let store = database.store().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        calls.spawn(async move {
            store.accept_delivery(delivery(&store, "same"), task(&store, "")).await.unwrap()
        });
    }
    let (mut new, mut ids) = (0, BTreeSet::new());
    while let Some(accepted) = calls.join_next().await {
        match accepted.unwrap() {
            Accepted::New { id } => {
                new += 1;
                ids.insert(id);
            }
            Accepted::Duplicate { id } => {
                ids.insert(id);
            }
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
    // After a restart it is still known.
    store.close().await;
    let store = database.store().await;
    let again = store.accept_delivery(delivery(&store, "same"), task(&store, "")).await.unwrap();
    let id = ids.into_iter().next().unwrap();
    assert_eq!(again, Accepted::Duplicate { id: id.clone() });
    let claimed = store.claim(&["work"], 10, 60_000).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].payload, json!({ "key": "", "delivery": id }));
    assert_eq!(claimed[0].dedup_key, format!("delivery:{id}"));
    let counts = store.count_deliveries(store.default_workspace()).await.unwrap();
    assert_eq!((counts.received, counts.duplicate, counts.pending), (101, 100, 1));
}

async fn content_comes_back_as_it_was(database: &Database) {
    let store = database.store().await;
    let mut odd = delivery(&store, "odd");
    odd.body = bytes::Bytes::from_static(b"\xff\x00 not utf-8 {");
    odd.repository = Some("group/na\0me".to_owned());
    let Accepted::New { id } = store.accept_delivery(odd.clone(), task(&store, "a")).await.unwrap() else {
        panic!("it is new");
    };
    let workspace = store.default_workspace();
    let content = store.get_delivery_content(workspace, &id).await.unwrap();
    assert_eq!((content.body, content.headers), (odd.body, odd.headers));
    let stored = store.get_delivery(workspace, &id).await.unwrap().unwrap();
    assert_eq!(stored.repository.as_deref(), Some("group/na\u{fffd}me"));
    assert_eq!(stored.status, DeliveryStatus::Pending);
}

async fn every_delivery_is_counted_somewhere(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    for key in ["done", "dead", "pending", "ignored-later", "done"] {
        store.accept_delivery(delivery(&store, key), task(&store, key)).await.unwrap();
    }
    let ignored = store.accept_ignored_delivery(delivery(&store, "ping"), "a ping").await.unwrap();
    let Accepted::New { id: ping } = ignored else {
        panic!("it is new");
    };
    let stored = store.get_delivery(&workspace, &ping).await.unwrap().unwrap();
    assert_eq!(stored.reason.as_deref(), Some("a ping"));
    for held in store.claim(&["work"], 10, 60_000).await.unwrap() {
        let delivery = held.payload["delivery"].as_str().unwrap().to_owned();
        let (outcome, writes) = match held.dedup_key.as_str() {
            "done" => (Outcome::Done, vec![]),
            "dead" => (Outcome::Dead { error: "gone at the forge".into() }, vec![]),
            "ignored-later" => (
                Outcome::Done,
                vec![rca_store::Write::SetDeliveryStatus {
                    workspace: workspace.clone(),
                    id: delivery,
                    status: DeliveryStatus::Ignored,
                    reason: Some("not failed".into()),
                    analyses: vec![],
                }],
            ),
            _ => (Outcome::Wait { delay_ms: 60_000 }, vec![]),
        };
        store.settle(&held, outcome, writes).await.unwrap();
    }
    let counts = store.count_deliveries(&workspace).await.unwrap();
    assert!(counts.is_balanced());
    assert_eq!(
        counts,
        DeliveryCounts { received: 6, pending: 1, done: 1, ignored: 2, dead: 1, duplicate: 1 }
    );
    // A pending delivery whose task vanished is a loss, and the equation says so.
    database.execute("DELETE FROM task WHERE dedup_key = 'pending'").await;
    assert!(!store.count_deliveries(&workspace).await.unwrap().is_balanced());
}

async fn deliveries_that_share_a_task_end_with_it(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace();
    let accept = async |key: &str| match store
        .accept_delivery(delivery(&store, key), task(&store, "run-1"))
        .await
        .unwrap()
    {
        Accepted::New { id } => id,
        Accepted::Duplicate { .. } => panic!("it is new"),
    };
    let (first, second) = (accept("1").await, accept("2").await);
    let held = store.claim(&["work"], 10, 60_000).await.unwrap().remove(0);
    // This one comes while the task runs: it needs a run of its own.
    let third = accept("3").await;
    store.settle(&held, Outcome::Done, vec![]).await.unwrap();
    let again = store.claim(&["work"], 10, 60_000).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].payload["delivery"], json!(third));
    assert!(store.count_deliveries(workspace).await.unwrap().is_balanced());
    store.settle(&again[0], Outcome::Done, vec![]).await.unwrap();
    for id in [first, second, third] {
        let stored = store.get_delivery(workspace, &id).await.unwrap().unwrap();
        assert_eq!(stored.status, DeliveryStatus::Done, "{id}");
    }
}

async fn a_replay_runs_again_and_is_audited(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let Accepted::New { id } =
        store.accept_delivery(delivery(&store, "1"), task(&store, "").with_max_attempts(3)).await.unwrap()
    else {
        panic!("it is new");
    };
    let held = store.claim(&["work"], 1, 60_000).await.unwrap().remove(0);
    store.settle(&held, Outcome::Dead { error: "no".into() }, vec![]).await.unwrap();
    // Also when the old task has been cleaned away.
    database.execute("DELETE FROM task").await;
    let replayed = store.replay_delivery(&workspace, &id, "token:ann").await.unwrap();
    let held = store.claim(&["work"], 1, 60_000).await.unwrap().remove(0);
    assert_eq!(held.id, replayed);
    assert_eq!((held.attempts, held.max_attempts), (1, 3));
    assert_eq!(held.payload["delivery"], json!(id));
    store.settle(&held, Outcome::Done, vec![]).await.unwrap();
    let stored = store.get_delivery(&workspace, &id).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.reason), (DeliveryStatus::Done, None));
    let audit = store.list_audit(&workspace, &PageRequest::default()).await.unwrap();
    assert_eq!(audit.items[0].action, "delivery.replay");
    assert_eq!(audit.items[0].actor, "token:ann");
    let missing = store.replay_delivery(&workspace, "nope", "x").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

async fn lists_filter_and_page(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace();
    for number in 0..7 {
        let mut new = delivery(&store, &number.to_string());
        new.repository = Some(format!("group/{}", number % 2));
        store.accept_delivery(new, task(&store, "")).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut page = PageRequest::first(3);
    loop {
        let part = store.list_deliveries(workspace, &DeliveryFilter::default(), &page).await.unwrap();
        seen.extend(part.items.into_iter().map(|delivery| delivery.delivery_key));
        match part.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
    let filter = DeliveryFilter {
        repository: Some("group/1".into()),
        status: Some(DeliveryStatus::Pending),
        ..DeliveryFilter::default()
    };
    let part = store.list_deliveries(workspace, &filter, &PageRequest::default()).await.unwrap();
    assert_eq!(part.items.len(), 3);
}

async fn another_workspace_sees_nothing(database: &Database) {
    let store = database.store().await;
    let Accepted::New { id } = store.accept_delivery(delivery(&store, "1"), task(&store, "")).await.unwrap()
    else {
        panic!("it is new");
    };
    assert_eq!(store.get_delivery("other", &id).await.unwrap(), None);
    assert!(store.get_delivery_content("other", &id).await.is_err());
    assert!(store.replay_delivery("other", &id, "x").await.is_err());
    // One bad row in a batch refuses nobody else.
    let mut foreign = delivery(&store, "foreign");
    foreign.workspace = "other".to_owned();
    let bad = store.accept_delivery(foreign, NewTask::new("other", "work", "", json!({})));
    let (good_delivery, good_task) = (delivery(&store, "good"), task(&store, ""));
    let good = store.accept_delivery(good_delivery, good_task);
    let (bad, good) = tokio::join!(bad, good);
    assert_eq!(bad.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(matches!(good.unwrap(), Accepted::New { .. }));
}
